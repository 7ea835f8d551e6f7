"""The log's months: made ahead, dropped when nobody keeps them, and never in a writer's way."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_partition import PartitionRule
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import (
    DatabaseMissing,
    LockNotAcquired,
    ViolatingRows,
)
from ansible_collections.pgstead.ops.plugins.module_utils._pg.audit_partition import PartitionReport, maintain
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Limits
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import LOCK_CLASS, LOCK_SCHEMA

from .audit_world import ask, client, declare, first_of, make_month, month, note, place, write
from .conftest import Server

DOCS = Path(__file__).resolve().parents[2] / "docs/audit.md"
LIMITS = Limits(lock_timeout_ms=200, lock_attempts=3, run_wait_seconds=0.5)
KEEP_ALL = PartitionRule("audit", None)


def keep(server: Server, rule: PartitionRule = KEEP_ALL, **more: Any) -> PartitionReport:
    return maintain(place(server), rule, "shop_owner", **{"limits": LIMITS, "pause": lambda _seconds: None, **more})


def partitions(server: Server) -> set[str]:
    sql = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit.log'::regclass"
    return {name for (name,) in ask(server, sql)}


def where(server: Server) -> dict[str, str]:
    """Return the partition of each entry, by record."""
    return dict(ask(server, "SELECT record, tableoid::regclass::text FROM audit.log"))


class Writers:
    """Clients that write all the time, and what went wrong for them."""

    def __init__(self, server: Server, count: int = 3) -> None:
        self.server, self.failed, self.done, self.written = server, list[Exception](), threading.Event(), 0
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(count)]

    def work(self, number: int) -> None:
        try:
            with client(self.server) as cursor:
                while not self.done.is_set():
                    cursor.execute("BEGIN; UPDATE orders SET total = total + 1 WHERE id = %s", (number,))
                    cursor.execute("UPDATE orders SET note = total::text WHERE id = %s; COMMIT", (number,))
                    self.written += 2
        except psycopg2.Error as error:
            self.failed.append(error)

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()


def test_without_a_log_there_is_nothing_to_keep(bare: Server) -> None:
    assert keep(bare) == PartitionReport(waiting=True)
    bare.run("CREATE SCHEMA audit; CREATE TABLE audit.log (at timestamptz) PARTITION BY RANGE (at)", database="trail")
    assert keep(bare, PartitionRule("audit", 1)) == PartitionReport(waiting=True)
    with pytest.raises(DatabaseMissing):
        maintain(
            bare.target.__class__(
                bare.target.socket_directory, bare.target.port, "gone", system_user=bare.target.system_user
            ),
            KEEP_ALL,
        )


def test_what_the_module_made_is_enough_for_now(trail: Server) -> None:
    assert keep(trail) == PartitionReport()
    assert partitions(trail) == {"log_default", *(month(trail, offset) for offset in range(4))}


def test_months_ahead_are_made_and_the_module_agrees(trail: Server) -> None:
    trail.run(f"DROP TABLE audit.{month(trail, 1)}, audit.{month(trail, 3)}", database="trail")
    report = keep(trail, PartitionRule("audit", None, 5))
    assert report == PartitionReport(created=tuple(month(trail, offset) for offset in (1, 3, 4, 5)))
    assert not declare(trail).changed
    assert not declare(trail, partitions_ahead=5).changed


def test_a_missing_default_is_made_again(trail: Server) -> None:
    trail.run("DROP TABLE audit.log_default", database="trail")
    assert keep(trail) == PartitionReport(created=("log_default",))
    assert not declare(trail).changed


def test_a_month_begins_at_midnight_in_utc_whatever_the_sessions_zone(trail: Server) -> None:
    trail.run(
        "ALTER DATABASE trail SET timezone = 'Pacific/Kiritimati'", "ALTER DATABASE trail SET datestyle = 'SQL, DMY'"
    )
    first = first_of(trail, 1)
    note(trail, f"{first.isoformat()} 00:00:00+00", "after")
    ((before,),) = ask(
        trail, f"SELECT (timestamptz '{first.isoformat()} 00:00:00+00' - interval '1 microsecond')::text"
    )
    note(trail, before, "before")
    assert where(trail) == {"after": f"audit.{month(trail, 1)}", "before": f"audit.{month(trail)}"}
    assert not declare(trail).changed
    assert keep(trail) == PartitionReport()


def test_the_night_on_which_a_month_begins_without_its_partition(trail: Server) -> None:
    """Writers go on: their entries lie in the DEFAULT, which is said, and the other months are made."""
    trail.run(f"DROP TABLE audit.{month(trail)}, audit.{month(trail, 2)}", database="trail")
    write(trail, "INSERT INTO orders (id) VALUES (1)", "UPDATE orders SET note = 'x'")
    assert where(trail) == {"1": "audit.log_default"}
    report = keep(trail)
    assert (report.created, report.default_rows, report.waiting) == ((month(trail, 2),), 2, False)
    (said,) = report.blocked
    assert said == (
        f"partition {month(trail)} of audit.log cannot be made: rows that belong into it lie in the DEFAULT partition. "
        "Drain it: docs/audit.md, Draining the DEFAULT partition"
    )
    for check in (True, False):
        with pytest.raises(
            ViolatingRows, match="cannot be made: rows that belong into it lie in the DEFAULT"
        ) as caught:
            declare(trail, check=check)
    assert caught.value.data["violations"] == [f"{month(trail)}: 2 rows"]


def procedure(server: Server) -> list[str]:
    """Return the SQL that the documentation gives for draining the DEFAULT, block by block, for the current month."""
    _before, _heading, text = DOCS.read_text(encoding="utf-8").partition("## Draining the DEFAULT partition")
    blocks: list[str] = re.findall(r"```sql\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    ours = {
        "log_2026_11": month(server),
        "2026-11-01": first_of(server).isoformat(),
        "2026-12-01": first_of(server, 1).isoformat(),
    }
    return [re.sub("|".join(ours), lambda match: ours[match[0]], block) for block in blocks]


def test_the_documented_way_to_drain_the_default(trail: Server) -> None:
    trail.run(f"DROP TABLE audit.{month(trail)}", database="trail")
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    assert len(keep(trail).blocked) == 1
    aside, back = procedure(trail)
    with Writers(trail) as writers:
        for _try in range(20):  # as documented: where the lock is not had, again
            with suppress(psycopg2.errors.LockNotAvailable):
                trail.run(aside, database="trail")
                break
        write(trail, "INSERT INTO orders (id) VALUES (2)")
        trail.run(back, database="trail")
    assert writers.failed == []
    assert where(trail) == dict.fromkeys("12", f"audit.{month(trail)}")
    assert keep(trail) == PartitionReport()
    assert ask(trail, "SELECT FROM pg_class WHERE relname = 'log_drain'") == []
    done = declare(trail)
    assert (done.changed, done.data["drift"]) == (False, [])


def test_what_is_older_than_anybody_keeps_is_dropped(trail: Server) -> None:
    names = {offset: make_month(trail, offset) for offset in (-25, -24, -13, -12, -2, -1)}
    note(trail, f"{first_of(trail, -25).isoformat()} 00:00:00+00", "oldest")
    note(trail, f"{first_of(trail, -12).isoformat()} 00:00:00+00", "kept")
    note(trail, f"{first_of(trail, -1).isoformat()} 00:00:00+00", "last")
    assert keep(trail) == PartitionReport()
    report = keep(trail, PartitionRule("audit", 12))
    assert report == PartitionReport(dropped=tuple(sorted(names[offset] for offset in (-25, -24, -13))))
    assert where(trail) == {"kept": f"audit.{names[-12]}", "last": f"audit.{names[-1]}"}
    assert keep(trail, PartitionRule("audit", 1)).dropped == tuple(sorted(names[offset] for offset in (-12, -2)))
    assert names[-1] in partitions(trail)
    assert declare(trail).changed  # rights on what was made by hand here
    assert not declare(trail).changed


def test_a_clock_that_leapt_does_not_drop_every_month(trail: Server) -> None:
    """By a clock that is years ahead, all months look old; what it wrote since lies in the month that it takes for this one."""
    names = {offset: make_month(trail, offset) for offset in (-30, -26, -25)}
    note(trail, f"{first_of(trail, -30).isoformat()} 00:00:00+00", "old")
    note(trail, f"{first_of(trail, -25).isoformat()} 00:00:00+00", "newest of before")
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    report = keep(trail, PartitionRule("audit", 24))
    assert report.dropped == (names[-26],)  # with no entry in it, nothing is lost
    (said,) = report.blocked
    assert f"{names[-30]}, {names[-25]} would be dropped, and no earlier month has an entry that stays" in said
    make_month(trail, -24)
    note(trail, f"{first_of(trail, -24).isoformat()} 00:00:00+00", "one that stays")
    assert keep(trail, PartitionRule("audit", 24)) == PartitionReport(dropped=(names[-30], names[-25]))


def test_what_a_person_made_is_not_dropped_and_named(trail: Server) -> None:
    theirs = make_month(trail, -20, ours=False)
    halves = f"'{first_of(trail, -10).isoformat()} 00:00+00') TO ('{first_of(trail, -9).isoformat()[:8]}15 00:00+00'"
    trail.run(
        f"SET ROLE shop_owner; CREATE TABLE audit.halves PARTITION OF audit.log FOR VALUES FROM ({halves})",
        database="trail",
    )
    hours = f"'{first_of(trail, -8).isoformat()} 03:00+00') TO ('{first_of(trail, -7).isoformat()} 03:00+00'"
    trail.run(
        f"SET ROLE shop_owner; CREATE TABLE audit.hours PARTITION OF audit.log FOR VALUES FROM ({hours})",
        database="trail",
    )
    report = keep(trail, PartitionRule("audit", 1))
    assert (report.created, report.dropped) == ((), ())
    assert sorted(report.blocked) == [
        "partition audit.halves is expired, and not dropped: it is not made of whole months",
        "partition audit.hours is never dropped: it does not begin and end with a day in UTC",
        f"partition audit.{theirs} is expired, and not dropped: it was not made by this collection",
    ]
    assert keep(trail).blocked == ()


def test_a_partition_in_the_way_is_named_by_the_server(trail: Server) -> None:
    trail.run(f"DROP TABLE audit.{month(trail, 3)}", database="trail")
    first = first_of(trail, 3).isoformat()
    bounds = f"FROM ('{first} 00:00+00') TO ('{first[:8]}15 00:00+00')"
    trail.run(
        f"SET ROLE shop_owner; CREATE TABLE audit.half PARTITION OF audit.log FOR VALUES {bounds}", database="trail"
    )
    (said,) = keep(trail).blocked
    assert 'would overlap partition "half"' in said


def test_months_come_and_go_while_everybody_writes(trail: Server) -> None:
    write(trail, "INSERT INTO orders (id, total) VALUES (0, 0), (1, 0), (2, 0)")
    old = [make_month(trail, offset) for offset in range(-12, 0)]
    trail.run(f"DROP TABLE audit.{month(trail, 2)}, audit.{month(trail, 3)}", database="trail")
    with Writers(trail) as writers:
        report = keep(trail, PartitionRule("audit", 1), limits=Limits(lock_timeout_ms=500, lock_attempts=20))
    assert writers.failed == []
    assert report == PartitionReport((month(trail, 2), month(trail, 3)), tuple(sorted(old[:-1])))
    sums = ask(trail, "SELECT sum(total)::int, (SELECT count(*) FROM audit.log WHERE operation = 'UPDATE') FROM orders")
    ((total, recorded),) = sums
    assert recorded == 2 * total


def test_a_month_is_made_beside_a_writer_who_does_not_end(trail: Server) -> None:
    trail.run(f"DROP TABLE audit.{month(trail, 3)}", database="trail")
    with client(trail, autocommit=False) as cursor:
        cursor.execute("INSERT INTO orders (id) VALUES (1)")
        assert keep(trail) == PartitionReport(created=(month(trail, 3),))
        cursor.execute("UPDATE orders SET note = 'x'")
        cursor.connection.commit()


def test_a_month_that_somebody_reads_is_dropped_by_a_later_run(trail: Server) -> None:
    old = make_month(trail, -5)
    trail.run(f"DROP TABLE audit.{month(trail, 3)}", database="trail")
    pauses: list[float] = []
    with client(trail, "postgres", autocommit=False) as cursor:
        cursor.execute(f"SELECT * FROM audit.{old}")
        report = keep(trail, PartitionRule("audit", 1), pause=pauses.append)
    assert (report.created, report.dropped) == ((month(trail, 3),), ())
    (said,) = report.blocked
    assert f"drop_partition {old} on audit.log needs AccessExclusiveLock and did not get it in 3 tries of 200ms" in said
    assert f"SELECT * FROM audit.{old}" in said
    assert [0.2 <= pause <= 0.8 for pause in pauses] == [True, True]
    assert keep(trail, PartitionRule("audit", 1)) == PartitionReport(dropped=(old,))


def test_one_run_at_a_time(trail: Server) -> None:
    with client(trail, "postgres") as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, {LOCK_SCHEMA})")
        with pytest.raises(LockNotAcquired, match="another run changes this database's schema"):
            keep(trail)


def test_what_the_ledger_knows_goes_with_a_month(trail: Server) -> None:
    """A month that was dropped for its age is not missed."""
    old = make_month(trail, -5)
    trail.run(f"INSERT INTO pgstead.made VALUES ('audit', 'audit', 'log', '{old}')", database="trail")
    assert keep(trail, PartitionRule("audit", 1)).dropped == (old,)
    assert ask(trail, f"SELECT FROM pgstead.made WHERE name = '{old}'") == []
