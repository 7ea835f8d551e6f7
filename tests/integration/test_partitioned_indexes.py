"""Indexes of partitioned tables: grown partition by partition, finished when interrupted, replaced beside the old."""

from __future__ import annotations

import pytest
from psycopg2 import errors as refusals

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import PgsteadError, SpecError

from .schema import Database, actions, definition, interrupted, on, round_trip

TREE = """
SELECT c.relname, p.relname, i.indisvalid FROM pg_inherits h
JOIN pg_class c ON c.oid = h.inhrelid JOIN pg_class p ON p.oid = h.inhparent
JOIN pg_index i ON i.indexrelid = c.oid ORDER BY 1
"""
GROWN = [
    *("create_only", "build", "attach"),
    *("create_only", "build", "attach", "build", "attach"),
]


def test_a_tree_is_grown_valid_to_the_last_partition(db: Database) -> None:
    item = on("events", "id", {"expression": "lower(kind)"}, where="id > 0", comment="both levels", name="grown")
    applied = round_trip(db.indexes, [item])
    assert actions(applied) == [step for one in GROWN for step in ([one, "analyze"] if one == "build" else [one])]
    assert db.rows(TREE) == [
        ("events_01_grown_idx", "grown", True),
        ("events_02_a_grown_idx", "events_02_grown_idx", True),
        ("events_02_b_grown_idx", "events_02_grown_idx", True),
        ("events_02_grown_idx", "grown", True),
    ]
    assert db.rows("SELECT obj_description('grown'::regclass)") == [("both levels\nmanaged by pgstead.ops.indexes",)]
    assert db.left_behind() == []
    db.run("CREATE TABLE events_03 PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')")
    assert actions(db.indexes([item])) == []  # PostgreSQL itself gives a new partition what its parent has


@pytest.mark.parametrize(
    "item",
    [
        on("events", "at", "kind", "id", unique=True),
        on("events", {"column": "id", "order": "desc", "nulls": "last"}, include=["kind"]),
        on("events", {"column": "kind", "opclass": "gin_trgm_ops"}, method="gin", name="Spröde Größe"),
        on("events", "id", method="brin", storage_parameters={"pages_per_range": 8, "autosummarize": True}),
    ],
)
def test_options_reach_every_level(db: Database, item: dict[str, object]) -> None:
    applied = round_trip(db.indexes, [item])
    tail = definition(db, applied.steps[0][0].name).partition(" USING ")[2]
    below = [definition(db, name).partition(" USING ")[2] for name, _, _ in db.rows(TREE)]
    assert below == [tail] * 4


def test_an_equal_index_that_a_partition_has_is_attached_as_it_is(db: Database) -> None:
    db.run("CREATE INDEX theirs ON events_02_b (id)", "CREATE INDEX whole ON events_02 (kind)")
    applied = round_trip(db.indexes, [on("events", "id"), on("events", "kind")])
    assert actions(applied).count("build") == 3
    assert {("theirs", "events_02_id_idx", True), ("whole", "events_kind_idx", True)} <= set(db.rows(TREE))


def test_partitions_may_have_their_columns_in_another_order(db: Database) -> None:
    db.run(
        "CREATE TABLE events_04 (gone int, kind text, extra int, at date NOT NULL, id int NOT NULL)",
        "ALTER TABLE events_04 DROP COLUMN gone; ALTER TABLE events_04 DROP COLUMN extra",
        "ALTER TABLE events ATTACH PARTITION events_04 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')",
        "CREATE INDEX theirs ON events_04 (lower(kind), id) WHERE kind IN ('a', 'b')",
    )
    item = on("events", {"expression": "lower(kind)"}, "id", where="kind in ('a', 'b')")
    applied = round_trip(db.indexes, [item])
    assert ("theirs", "events_expr_id_idx", True) in db.rows(TREE)
    assert actions(applied).count("build") == 3


def test_a_tree_that_is_there_is_enough_whatever_it_is_called(db: Database) -> None:
    db.run("CREATE INDEX theirs ON events (id)")
    assert actions(round_trip(db.indexes, [on("events", "id")])) == []


def test_a_tree_that_somebody_left_unfinished_is_finished(db: Database) -> None:
    db.run("CREATE INDEX begun ON ONLY events (id)", "CREATE INDEX part ON events_01 (id)")
    db.run("ALTER INDEX begun ATTACH PARTITION part", "CREATE INDEX middle ON ONLY events_02 (id)")
    applied = round_trip(db.indexes, [on("events", "id", name="begun")])
    assert actions(applied) == ["build", "attach", "build", "attach", "attach"]
    assert applied.plan.differences[0].before.startswith("-- lacks partitions\n")
    assert ("middle", "begun", True) in db.rows(TREE)
    assert db.left_behind() == []


@pytest.mark.parametrize("repaired", [False, True])
def test_a_tree_that_can_never_become_valid_is_replaced(db: Database, repaired: bool) -> None:
    """By hand: a failed concurrent build, attached nevertheless."""
    db.run("INSERT INTO events VALUES (1, '2026-01-02', 'a'), (1, '2026-01-02', 'a')")
    db.run("CREATE UNIQUE INDEX x ON ONLY events (id, at, kind)")
    with db.session() as cursor, pytest.raises(refusals.UniqueViolation):
        cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY bad ON events_01 (id, at, kind)")
    db.run("ALTER INDEX x ATTACH PARTITION bad", "DELETE FROM events WHERE id = 1")
    if repaired:
        db.run("REINDEX INDEX bad")  # and still nobody tells the parent
    applied = round_trip(db.indexes, [on("events", "id", "at", "kind", unique=True, name="x")])
    assert actions(applied)[-1] == ("attach" if repaired else "swap_tree")
    assert {valid for _, _, valid in db.rows(TREE)} == {True}
    assert db.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'x'::regclass") == [(True,)]


def test_a_changed_definition_grows_beside_the_old_and_takes_its_name(db: Database) -> None:
    items = [on("events", "id", name="x", comment="kept")]
    round_trip(db.indexes, items)
    for columns in (["id", "at"], ["id"], ["kind"]):
        changed = on("events", *columns, name="x")
        applied = round_trip(db.indexes, [changed])
        assert actions(applied) == [*GROWN, "swap_tree"]
        (difference,) = applied.plan.differences
        assert (difference.object, f"({', '.join(columns)})" in difference.after) == ("index public.x", True)
        assert len(db.rows(TREE)) == 4
        assert db.left_behind() == []
    assert db.rows("SELECT obj_description('x'::regclass)") == [("kept\nmanaged by pgstead.ops.indexes",)]


def test_a_tree_goes_as_a_whole(db: Database) -> None:
    round_trip(db.indexes, [on("events", "id", name="x")])
    assert actions(round_trip(db.indexes, [on("events", name="x", state="absent")])) == ["drop_tree"]
    assert db.rows(TREE) == []


def test_a_declaration_that_is_taken_back_leaves_no_half_grown_tree(db: Database) -> None:
    old, new = on("events", "id", name="x"), on("events", "id", "at", name="x")
    round_trip(db.indexes, [old])
    for wanted in (old, on("events", name="x", state="absent")):
        with interrupted(after=4), pytest.raises(PgsteadError):
            db.indexes([new])
        assert db.left_behind() != []
        round_trip(db.indexes, [wanted])
        assert db.left_behind() == []


def test_a_leaf_whose_build_was_left_behind_is_built_again(db: Database) -> None:
    one, other = on("events", "id", name="x"), on("events", "id", "at", name="x")
    with interrupted(after=2), pytest.raises(PgsteadError):
        db.indexes([one])  # the first partition's index is built, and not attached
    assert actions(round_trip(db.indexes, [other]))[-1] == "swap_tree"
    assert db.left_behind() == []


def test_rows_that_are_not_unique_leave_a_tree_that_the_next_run_finishes(db: Database) -> None:
    db.run("INSERT INTO events VALUES (3, '2026-02-10', 'a'), (3, '2026-02-10', 'a')")
    item = on("events", "at", "id", "kind", unique=True, name="x")
    with pytest.raises(
        PgsteadError, match=r"build events_02_a_x_idx on public\.events_02_a: rows are not unique"
    ) as caught:
        db.indexes([item])
    assert str(caught.value).endswith(
        ". The tree of index x on public.events is left unfinished: put the rows right and run again, or declare it with "
        "state: absent"
    )
    db.run("DELETE FROM events WHERE id = 3 AND at = '2026-02-10'")
    round_trip(db.indexes, [item])
    assert db.left_behind() == []


IDENTITY = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE {mark} ORDER BY 1"


def test_a_replaced_tree_hands_on_what_hangs_on_its_partitions_indexes(db: Database) -> None:
    """A partition that lost its replica identity could no longer be updated while it is published."""
    item = on("events", "id", "at", "kind", unique=True, name="told")
    db.run("ALTER TABLE events ALTER kind SET NOT NULL")
    round_trip(db.indexes, [item])
    for table in ("events", "events_01", "events_02_a"):
        name = "told" if table == "events" else f"{table}_told_idx"
        db.run(f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}")
    db.run("ALTER TABLE events_01 CLUSTER ON events_01_told_idx")
    marked = {mark: db.rows(IDENTITY.format(mark=mark)) for mark in ("indisreplident", "indisclustered")}
    assert len(marked["indisreplident"]) == 3
    for broken in (dict(item, unique=False), dict(item, where="id > 0"), {**item, "state": "absent"}):
        with pytest.raises(SpecError, match=r"the replica identity of public\.events, public\.events_01, public\.ev"):
            db.indexes([broken])
    replaced = on("events", "at", "id", "kind", unique=True, name="told")
    assert actions(round_trip(db.indexes, [replaced]))[-1] == "swap_tree"
    heirs = {mark: db.rows(f"SELECT indrelid::regclass::text FROM pg_index WHERE {mark} ORDER BY 1") for mark in marked}
    assert heirs == {
        "indisreplident": [("events",), ("events_01",), ("events_02_a",)],
        "indisclustered": [("events_01",)],
    }
    db.run(
        "CREATE PUBLICATION told FOR TABLE events",
        *(f"UPDATE {t} SET kind = kind" for t in ("events_01", "events_02_a")),
    )
