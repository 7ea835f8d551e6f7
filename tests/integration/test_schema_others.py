"""What belongs to others, or is relied on by them, is left to them: copies, replica identities, names, work under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import (
    LockNotAcquired,
    SpecError,
    StatementFailed,
    ViolatingRows,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.foreign_key import choice
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import connect, execute, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.engine import Report, converge
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Executor
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_foreign_key import ForeignKeyIndexes
from ansible_collections.pgstead.ops.plugins.module_utils._pg.tables import read_tables
from ansible_collections.pgstead.ops.plugins.module_utils._pg.watch import Watcher

from .schema import HASTY, LIMITS, Database, Item, actions, definition, instead, on, orders, round_trip
from .test_schema_locks import blocker, meanwhile, named

IDENTITIES = "SELECT indexrelid::regclass::text FROM pg_index WHERE indisreplident ORDER BY 1"
FKEY = "orders_user_id_fkey_idx"


def foreign_keys(db: Database, items: Sequence[Item] = (), *, purge: bool = False, **told: Any) -> Report:
    chosen, problems = choice(items, "0MB", "public")
    assert problems == ()
    return converge(ForeignKeyIndexes(chosen, create=True, purge=purge), db.options(**told))


def lower(name: str, table: str = "orders", column: str = "note", **more: Any) -> Item:
    return on(table, {"expression": f"lower({column})"}, name=name, **more)


@contextmanager
def before_each(action: str, deed: Callable[[], None]) -> Iterator[None]:
    """Do something between the plan and its steps of one kind."""
    whole = Executor.carry_out

    def carry_out(executor: Executor, change: Change, *words: Any) -> None:
        if change.action == action:
            deed()
        whole(executor, change, *words)

    with instead(carry_out):
        yield


def test_a_purge_spares_a_copy_of_a_table(db: Database) -> None:
    check = {"table": "orders", "name": "c", "expression": "total >= 0"}
    db.indexes([orders("day")])
    db.checks([check])
    db.run("CREATE TABLE copied (LIKE orders INCLUDING ALL)")
    for report, name in (
        (db.indexes([], purge=True), "index public.copied_day_idx"),
        (db.checks([], purge=True), "check constraint c on public.copied"),
    ):
        assert actions(report) == ["drop"]
        assert [warning.partition(" has this")[0] for warning in report.warnings] == [f"left alone: {name}"]
    assert db.rows("SELECT conname FROM pg_constraint WHERE conrelid = 'copied'::regclass AND contype = 'c'") == [
        ("c",)
    ]
    assert db.rows("SELECT to_regclass('copied_day_idx') IS NULL, to_regclass('orders_day_idx') IS NULL") == [
        (False, True)
    ]


@pytest.mark.parametrize("server", [18], indirect=True)  # PERIOD came with it
def test_a_temporal_foreign_key_is_served_by_gist(db: Database) -> None:
    db.run(
        "CREATE EXTENSION btree_gist",
        "CREATE TABLE rooms (id int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS))",
        "CREATE TABLE bookings (room int, during daterange,"
        " CONSTRAINT booked FOREIGN KEY (room, PERIOD during) REFERENCES rooms (id, PERIOD during))",
    )
    name = "bookings_room_during_fkey_idx"
    assert name in {change.name for change in foreign_keys(db, check_mode=True).plan.changes}
    db.run("CREATE INDEX ON bookings USING gist (room, during)")
    assert name not in {change.name for change in foreign_keys(db, check_mode=True).plan.changes}
    db.run("DROP INDEX bookings_room_during_idx")
    assert name in {change.name for change in foreign_keys(db).plan.changes}
    assert not foreign_keys(db).plan.changes


def test_a_purge_spares_replica_identities(db: Database) -> None:
    db.indexes([orders("code", unique=True, name="x"), on("events", "at", "kind", "id", unique=True, name="tree")])
    db.run(
        "ALTER TABLE events_01 ALTER kind SET NOT NULL",
        "ALTER TABLE orders REPLICA IDENTITY USING INDEX x",
        "ALTER TABLE events_01 REPLICA IDENTITY USING INDEX events_01_tree_idx",
    )
    before = db.rows(IDENTITIES)
    assert len(before) == 2
    report = db.indexes([], purge=True)
    assert actions(report) == []
    assert {warning.rpartition(" ")[2] for warning in report.warnings} == {"public.orders", "public.events_01"}
    assert db.rows(IDENTITIES) == before


@pytest.mark.parametrize("step", ["swap", "drop"])
def test_a_replica_identity_that_is_set_meanwhile_is_not_lost(db: Database, step: str) -> None:
    old, new = (orders("code", unique=True, name="x", **more) for more in ({}, {"include": ["day"]}))
    round_trip(db.indexes, [old])
    items = [new] if step == "swap" else [orders(name="x", state="absent")]
    with (
        before_each(step, lambda: db.run("ALTER TABLE orders REPLICA IDENTITY USING INDEX x")),
        pytest.raises(
            StatementFailed, match=r"replica identity of public\.orders was changed since this was planned: run"
        ),
    ):
        db.indexes(items)
    assert db.rows(IDENTITIES) == [("x",)]
    if step == "swap":
        assert actions(round_trip(db.indexes, items)) == ["swap", "drop"]
        assert db.rows(IDENTITIES) == [("x",)]
        assert "INCLUDE (day)" in definition(db, "x")
    else:
        with pytest.raises(SpecError, match="is the replica identity"):
            db.indexes(items)


def test_a_replica_identity_that_is_set_while_a_tree_is_replaced_is_not_lost(db: Database) -> None:
    db.run("ALTER TABLE events ALTER kind SET NOT NULL")
    key = ("at", "kind", "id")
    db.indexes([on("events", *key, unique=True, name="tree")])
    changed = [on("events", *key, unique=True, name="tree", storage_parameters={"fillfactor": 70})]
    set_it = "ALTER TABLE events_02_a REPLICA IDENTITY USING INDEX events_02_a_tree_idx"
    with (
        before_each("swap_tree", lambda: db.run(set_it)),
        pytest.raises(StatementFailed, match="was changed since this"),
    ):
        db.indexes(changed)
    assert db.rows(IDENTITIES) == [("events_02_a_tree_idx",)]
    assert actions(round_trip(db.indexes, changed)) == ["swap_tree"]
    assert db.rows("SELECT indrelid::regclass::text FROM pg_index WHERE indisreplident") == [("events_02_a",)]


def test_what_identifies_rows_may_not_become_null(db: Database) -> None:
    db.indexes([orders("code", unique=True, name="x")])
    db.run("ALTER TABLE orders REPLICA IDENTITY USING INDEX x")
    with pytest.raises(SpecError, match="on columns that are never NULL"):
        db.indexes([orders("code", "day", unique=True, name="x")])
    assert db.rows(IDENTITIES) == [("x",)]
    assert actions(round_trip(db.indexes, [orders("code", "id", unique=True, name="x")])) == ["build", "swap", "drop"]
    assert db.rows(IDENTITIES) == [("x",)]


def test_an_index_of_somebody_else_keeps_the_derived_name(db: Database) -> None:
    db.run(f"CREATE UNIQUE INDEX {FKEY} ON orders (user_id) WHERE id < 5")
    theirs = definition(db, FKEY)
    predicted = foreign_keys(db, check_mode=True)
    done = foreign_keys(db)
    assert done.plan == predicted.plan
    assert actions(done) == ["build", "adopt"]
    name = done.steps[-1][0].name
    assert name != FKEY
    assert (definition(db, FKEY), "(user_id)" in definition(db, name)) == (theirs, True)
    for purge in (False, True):
        assert foreign_keys(db, purge=purge).plan.changes == ()
    db.run(f"DROP INDEX {FKEY}")
    assert actions(foreign_keys(db)) == ["rename"]


@pytest.mark.parametrize("using", ["btree", "hash"])
def test_an_index_in_another_collation_serves_no_foreign_key(db: Database, using: str) -> None:
    db.run(
        "CREATE TABLE kinds (code text PRIMARY KEY)",
        "CREATE TABLE things (id int, kind text REFERENCES kinds)",
        f'CREATE INDEX things_c ON things USING {using} (kind COLLATE "C")',
    )
    exclude = [{"table": "orders"}]
    assert actions(foreign_keys(db, exclude, check_mode=True)) == ["build", "adopt"]
    db.run(f"CREATE INDEX things_default ON things USING {using} (kind)")
    assert foreign_keys(db, exclude).plan.changes == ()


def test_a_table_that_goes_while_the_catalogue_is_read_is_not_there(db: Database) -> None:
    with connect(db.target) as reader:
        execute(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert QualifiedName("public", "users") in read_tables(reader)
        db.run("DROP TABLE users CASCADE")
        assert QualifiedName("public", "users") not in read_tables(reader)


def test_a_unique_index_is_not_taken_for_one_that_is_unique_in_the_end(db: Database) -> None:
    db.run("ALTER TABLE users ADD CONSTRAINT late UNIQUE (email) DEFERRABLE")
    assert actions(round_trip(db.indexes, [on("users", "email", unique=True)])) == ["build", "adopt"]
    db.run("ALTER TABLE orders ADD CONSTRAINT at_once UNIQUE (code)")
    assert actions(db.indexes([orders("code", unique=True)])) == []


STATISTICS = "SELECT tablename FROM pg_stats WHERE tablename = ANY(ARRAY{names}) ORDER BY 1"


def test_an_index_on_an_expression_has_its_statistics_before_it_is_relied_on(db: Database) -> None:
    db.run("CREATE MATERIALIZED VIEW notes AS SELECT note FROM orders")
    items = [lower("x"), lower("tree", "events", "kind"), lower("of_view", "notes")]
    names = ["events_01_tree_idx", "events_02_a_tree_idx", "events_02_b_tree_idx", "of_view", "x"]
    before = [(name,) for name in names]
    for changed in (items, [{**item, "storage_parameters": {"fillfactor": 70}} for item in items]):
        applied = round_trip(db.indexes, changed)
        assert actions(applied).count("analyze") == 5
        assert {change.lock for change, _, _ in applied.steps if change.action == "analyze"} == {
            "ShareUpdateExclusiveLock"
        }
        leaves = db.rows("SELECT relname FROM pg_class WHERE relkind = 'i' AND relname ~ '^events_0.*tree' ORDER BY 1")
        wanted = [*leaves, ("of_view",), ("x",)]
        found = STATISTICS.format(names=[name for (name,) in wanted])
        assert (db.rows(found), len(wanted)) == (wanted, len(before))


def building(db: Database, statement: str) -> Callable[[], None]:
    def build() -> None:
        with db.session() as cursor:
            cursor.execute(statement)

    return build


@pytest.mark.parametrize(
    "theirs",
    ["CREATE INDEX CONCURRENTLY theirs ON orders (note)", "REINDEX INDEX CONCURRENTLY theirs"],
    ids=["create", "reindex"],
)
def test_a_build_of_somebody_else_is_let_finish(db: Database, theirs: str) -> None:
    if theirs.startswith("REINDEX"):
        db.run("CREATE INDEX theirs ON orders (note)")
    lines: list[str] = []
    reports: list[Report] = []
    seen = threading.Event()

    def log(line: str) -> None:
        lines.append(line)
        seen.set()

    limits = replace(LIMITS, lock_timeout_ms=20_000)
    items = [orders("day")]
    with db.session() as writer:
        writer.execute("BEGIN; UPDATE orders SET note = note WHERE id = 1")
        with meanwhile(building(db, theirs)):
            while not db.rows("SELECT FROM pg_stat_progress_create_index WHERE lockers_total > 0"):
                time.sleep(0.01)
            with meanwhile(lambda: reports.append(db.indexes(items, limits=limits, log=log, pause=time.sleep))):
                seen.wait(3)
                time.sleep(0.5)  # longer than deadlock_timeout
                writer.execute("COMMIT")
    assert lines
    assert "build orders_day_idx on public.orders waits for process" in lines[0]
    assert "CONCURRENTLY" in lines[0]
    assert [actions(report) for report in reports] == [["build", "adopt"]]
    assert db.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'theirs'::regclass") == [(True,)]
    assert db.left_behind() == []


def test_who_stays_at_work_on_a_table_is_named(db: Database) -> None:
    lock = "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE"
    db.indexes([orders("note", name="gone")])
    with blocker(db, lock) as pid, pytest.raises(LockNotAcquired) as caught:
        db.indexes([orders(name="gone", state="absent")], limits=replace(HASTY, lock_timeout_ms=5000))
    assert "drop gone on public.orders waited more than 0.4 s for" in str(caught.value)
    assert "at work on the same table" in str(caught.value)
    assert named(pid, lock).search(str(caught.value))
    assert db.rows("SELECT to_regclass('gone') IS NULL") == [(False,)]


def test_what_a_reindex_has_under_way_is_no_leftover(db: Database) -> None:
    db.run("CREATE INDEX x ON orders (user_id)")
    item = orders("user_id", name="x")
    with db.session() as writer:
        writer.execute("BEGIN; UPDATE orders SET note = note WHERE id = 1")
        with meanwhile(building(db, "REINDEX INDEX CONCURRENTLY x")):
            while not db.rows("SELECT FROM pg_class WHERE relname = 'x_ccnew'"):
                time.sleep(0.01)
            while not db.rows("SELECT FROM pg_stat_progress_create_index WHERE lockers_total > 0"):
                time.sleep(0.01)
            assert actions(db.indexes([item], check_mode=True)) == []
            assert actions(db.indexes([item])) == []
            writer.execute("COMMIT")
    assert actions(round_trip(db.indexes, [item, orders("day")])) == ["build", "adopt"]
    assert db.left_behind() == []


def test_what_a_failed_build_leaves_is_named(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [orders("user_id", unique=True, name="x")]
    with pytest.raises(ViolatingRows, match="Nothing of it is left behind"):
        db.indexes(items)
    assert db.left_behind() == []
    answers: Iterator[tuple[str, ...]] = iter([(), ("process 1",)])
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "changing", lambda *_words: next(answers))
        with pytest.raises(ViolatingRows) as caught:
            db.indexes(items)
    ((name,),) = db.rows("SELECT relname FROM pg_class WHERE relname ~ '^pgstead_new_'")
    assert f"public.{name} is left behind, and the next run drops it" in str(caught.value)
    assert "Nothing" not in str(caught.value)
    assert actions(round_trip(db.indexes, [orders("user_id", name="x")])) == ["drop", "build", "adopt"]


def test_a_constraint_that_a_child_has_of_its_own_too_is_not_replaced(db: Database) -> None:
    db.run(
        "CREATE TABLE base (a int)", "CREATE TABLE child () INHERITS (base)", "CREATE TABLE grand () INHERITS (child)"
    )
    check = {"table": "base", "name": "c", "expression": "a > 0"}
    changed = {**check, "expression": "a > 1"}
    round_trip(db.checks, [check])
    round_trip(db.checks, [changed])  # all of it is inherited
    db.run("ALTER TABLE grand ADD CONSTRAINT c CHECK (a > 1)")
    for check_mode in (True, False):
        with pytest.raises(SpecError, match=r"cannot be replaced: public\.grand would keep the old definition"):
            db.checks([check], check_mode=check_mode)
    assert db.checks([changed]).plan.changes == ()
    with connect(db.target) as connection:
        assert rows(connection, "SELECT count(*) FROM pg_constraint WHERE conname ~ '^(c|pgstead_.*)$'") == [(3,)]
    round_trip(db.checks, [check | {"name": "d"}])
    round_trip(db.checks, [check | {"state": "absent"}])
