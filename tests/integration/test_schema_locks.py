"""Who waits for whom: every lock that is not had is explained, and nothing waits without an end."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import LockNotAcquired
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change, Mode
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import execute, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Executor
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import LOCK_CLASS, LOCK_SCHEMA

from .schema import CASES, HASTY, LIMITS, Database, actions, instead, on, orders, round_trip

CHECK = {"table": "orders", "name": "c", "expression": "total >= 0"}
WAITING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgstead' AND wait_event_type = 'Lock'"


@contextmanager
def blocker(db: Database, *statements: str) -> Iterator[int]:
    """A session that has done something in a transaction, and stays there."""
    with db.session() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((pid,),) = cursor.fetchall()
        cursor.execute("BEGIN")
        for statement in statements:
            cursor.execute(statement)
        yield pid


LEDGER_AWAITED = "SELECT pid FROM pg_locks WHERE relation = 'pgstead.made'::regclass AND NOT granted"


def waiter(db: Database, question: str = WAITING) -> int:
    """Wait until the engine waits for a lock, and return its process."""
    for _ in range(500):
        found = db.rows(question)
        if found:
            return int(found[0][0])
        time.sleep(0.02)
    raise AssertionError("nothing waits")


def named(pid: int, query: str) -> re.Pattern[str]:
    return re.compile(rf"process {pid} of postgres \(app\), idle in transaction, for \d+ s: {re.escape(query)}")


@contextmanager
def meanwhile(deed: Any) -> Iterator[None]:
    thread = threading.Thread(target=deed)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("mode", ["SHARE UPDATE EXCLUSIVE", "ROW EXCLUSIVE"])
def test_a_short_change_gives_way_and_names_who_was_there(db: Database, mode: str) -> None:
    pauses: list[float] = []
    limits = replace(HASTY, lock_timeout_ms=250, lock_attempts=3)
    with blocker(db, f"LOCK TABLE orders IN {mode} MODE") as pid, pytest.raises(LockNotAcquired) as caught:
        db.checks([CHECK], limits=limits, pause=pauses.append)
    said = str(caught.value)
    assert "add c on public.orders needs AccessExclusiveLock and did not get it in 3 tries of 250ms" in said
    assert named(pid, f"LOCK TABLE orders IN {mode} MODE").search(said)
    assert caught.value.data["applied"] == []
    first, second = pauses
    assert 0.25 <= first <= 0.5 <= second <= 1  # it stays away longer than it was in the way
    assert actions(round_trip(db.checks, [CHECK])) == ["add", "validate"]


@pytest.mark.parametrize("run", ["indexes", "checks"])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_table_that_nobody_can_read_is_not_waited_for_without_end(db: Database, run: str, check_mode: bool) -> None:
    item = CHECK if run == "checks" else orders("day")
    with (
        blocker(db, "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE") as pid,
        pytest.raises(LockNotAcquired, match=rf"process {pid} of postgres \(app\), idle in transaction"),
    ):
        getattr(db, run)([item], check_mode=check_mode, limits=HASTY)


def test_a_build_that_waits_too_long_is_cancelled_and_leaves_nothing(db: Database) -> None:
    lock = "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE"
    with blocker(db, lock) as pid, pytest.raises(LockNotAcquired) as caught:
        db.indexes([orders("day")], limits=HASTY)
    assert "build orders_day_idx on public.orders waited more than 0.4 s for" in str(caught.value)
    assert named(pid, lock).search(str(caught.value))
    assert db.left_behind() == []
    round_trip(db.indexes, [orders("day")])


def test_a_failed_build_whose_remains_cannot_be_dropped_yet_is_cleaned_up_by_the_next_run(db: Database) -> None:
    limits = replace(HASTY, lock_timeout_ms=20_000)  # not old yet when the build begins
    with blocker(db, "UPDATE orders SET note = note WHERE id = 1"), pytest.raises(LockNotAcquired):
        db.indexes([orders("day")], limits=limits)
    assert len(db.left_behind()) == 1
    assert actions(round_trip(db.indexes, [orders("day")])) == ["drop", "build", "adopt"]
    assert db.left_behind() == []


@pytest.mark.parametrize(
    "old",
    [
        "UPDATE users SET email = email WHERE id = 1",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users",
    ],
)
def test_an_old_transaction_is_named_before_anything_is_built(db: Database, old: str) -> None:
    lines: list[str] = []
    with blocker(db, old) as pid:
        time.sleep(0.2)
        with pytest.raises(LockNotAcquired) as caught:
            db.indexes([orders("day")], log=lines.append, pause=time.sleep, limits=HASTY)
    said = str(caught.value)
    assert "build orders_day_idx on public.orders cannot finish before these transactions end" in said
    assert named(pid, "").search(said)
    assert "waits for" in lines[0]
    assert db.left_behind() == []


def test_a_prepared_transaction_is_named_too(db: Database) -> None:
    with db.session() as cursor:
        cursor.execute("BEGIN; UPDATE users SET email = email WHERE id = 1; PREPARE TRANSACTION 'forgotten'")
    time.sleep(0.2)
    try:
        with pytest.raises(LockNotAcquired, match=r"prepared transaction forgotten of postgres, prepared, for \d+ s"):
            db.indexes([orders("day")], limits=HASTY)
    finally:
        db.run("ROLLBACK PREPARED 'forgotten'")


KEEPER = ("CREATE ROLE keeper", "GRANT ALL ON SCHEMA public TO keeper", "ALTER TABLE orders OWNER TO keeper")


@pytest.fixture(params=["", "keeper"])
def role(request: pytest.FixtureRequest, db: Database) -> Iterator[str]:
    """Nobody else, or an owner who is shown nothing of what others build."""
    if request.param:
        db.run(*KEEPER, f'GRANT CREATE, TEMPORARY ON DATABASE "{db.name}" TO keeper')
    yield request.param
    if request.param:
        db.run("DROP OWNED BY keeper CASCADE", "DROP ROLE keeper")


def test_an_index_that_somebody_is_building_is_waited_for(db: Database, role: str) -> None:
    def build() -> None:
        with db.session() as cursor:
            cursor.execute("CREATE INDEX CONCURRENTLY mine ON orders (day)")

    item = orders("day", name="mine")
    lines: list[str] = []
    with db.session() as writer:
        writer.execute("BEGIN; UPDATE orders SET note = note WHERE id = 1")
        with meanwhile(build):
            while not db.rows("SELECT FROM pg_stat_progress_create_index WHERE lockers_total > 0"):
                time.sleep(0.01)
            limits = replace(HASTY, lock_timeout_ms=5000)
            with pytest.raises(LockNotAcquired, match=r"still building index public\.mine \(process \d+\)"):
                db.indexes([item], limits=limits, pause=time.sleep, log=lines.append, role=role)
            writer.execute("COMMIT")
    assert lines
    assert lines[0].startswith("pgstead: waits for index public.mine")
    assert actions(db.indexes([item], role=role)) == []


def test_two_runs_follow_one_another(db: Database) -> None:
    reports: list[Any] = []
    items = [orders("day"), orders("note"), on("events", "id")]
    limits = replace(LIMITS, run_wait_seconds=20)
    with meanwhile(lambda: reports.append(db.indexes(items, limits=limits))):
        reports.append(db.indexes(items, limits=limits))
    assert sorted(len(report.steps) for report in reports) in ([0, 12], [0, 12])
    assert db.left_behind() == []


def test_another_run_is_named(db: Database) -> None:
    with db.session() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, {LOCK_SCHEMA}), pg_backend_pid()")
        ((_, pid),) = cursor.fetchall()
        holder = rf"process {pid} of postgres \(app\), connected for \d+ s\. Waited 0\.3 s"
        with pytest.raises(LockNotAcquired, match=holder):
            db.indexes([orders("day")], limits=HASTY)
        assert actions(db.indexes([orders("day")], check_mode=True)) == ["build", "adopt"]  # looking needs no turn


def test_a_deadlock_is_tried_again(db: Database) -> None:
    """The engine holds the new index and wants the ledger; the other holds the ledger and wants the index."""
    db.run(f"ALTER DATABASE {db.name} SET deadlock_timeout = '300ms'")
    db.indexes([orders("note")])  # the ledger exists
    limits = replace(LIMITS, lock_timeout_ms=5000)

    def cross() -> None:
        with db.session() as other:
            other.execute("SET deadlock_timeout = '20s'; BEGIN; LOCK TABLE pgstead.made IN SHARE MODE")
            started.set()
            waiter(db, LEDGER_AWAITED)
            other.execute("SELECT relname FROM pg_class WHERE relname ~ '^pgstead_new_'")
            ((name,),) = other.fetchall()
            other.execute(f"ALTER INDEX {name} SET (fillfactor = 90)")
            other.execute("ROLLBACK")

    started = threading.Event()
    pauses: list[float] = []
    with meanwhile(cross):
        assert started.wait(5)
        report = db.indexes([orders("note"), orders("day")], limits=limits, pause=pauses.append)
    assert actions(report) == ["build", "adopt"]
    assert len(pauses) == 1
    assert db.left_behind() == []


STRENGTH = (
    *("AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock"),
    *("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"),
)
HELD = """
SELECT c.relname, l.mode FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
WHERE l.pid = pg_catalog.pg_backend_pid() AND c.oid >= 16384 AND c.oid = ANY(%s)
  AND c.relnamespace::regnamespace::text <> 'pgstead'
"""


def strongest(connection: Any, statements: Sequence[str], path: str) -> str:
    """Try the statements of a step in a transaction, and return the strongest lock on anything that was there before."""
    before = [oid for (oid,) in rows(connection, "SELECT oid FROM pg_catalog.pg_class")]
    execute(connection, f"BEGIN; SET LOCAL search_path = {path}; {'; '.join(statements)}")
    modes = {mode for _, mode in rows(connection, HELD, (before,))}
    execute(connection, "ROLLBACK")
    return max(modes, key=STRENGTH.index)


@pytest.mark.parametrize("kind", ["indexes", "checks"])
def test_every_step_takes_the_lock_that_the_plan_says(db: Database, kind: str) -> None:
    before, after, _ = CASES[kind]
    run = getattr(db, kind)
    identity = orders("code", unique=True, name="identity")
    if kind == "indexes":
        before, after = [*before, identity], [*after, {**identity, "storage_parameters": {"fillfactor": 80}}]
    run(before)
    if kind == "indexes":
        db.run("ALTER TABLE orders REPLICA IDENTITY USING INDEX identity")
    whole = Executor.carry_out
    wrong: dict[str, tuple[str, str]] = {}

    def carry_out(executor: Executor, change: Change, statements: Sequence[str], path: str) -> None:
        if change.mode is not Mode.CONCURRENTLY:
            found = strongest(executor.connection, statements, path)
            if found != change.lock:
                wrong[f"{change.action} {change.object}"] = (change.lock, found)
        whole(executor, change, statements, path)

    with instead(carry_out):
        run(after)
    assert wrong == {}
