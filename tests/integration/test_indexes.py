"""Indexes of real servers: every option there and back, drift, ownership, and every bad input by its position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg2 import errors as refusals

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError, ViolatingRows

from .conftest import Server
from .schema import Database, Item, actions, database, definition, on, orders, round_trip

LONG = "ü" * 31 + "x"  # 63 bytes
FORGET = """DO $$
DECLARE name regclass;
BEGIN
  FOR name IN SELECT oid FROM pg_class WHERE obj_description(oid, 'pg_class') ~ 'managed by pgstead' LOOP
    EXECUTE 'DROP INDEX ' || name;
  END LOOP;
  IF to_regclass('pgstead.made') IS NOT NULL THEN DELETE FROM pgstead.made; END IF;
END $$"""


@pytest.fixture(scope="module")
def shared(prepared: Server) -> Iterator[Database]:
    """One database for cases that do not meet each other."""
    place = prepared.directory / "elsewhere"
    prepared.command("mkdir", "-p", str(place))
    prepared.run("DROP TABLESPACE IF EXISTS fast", f"CREATE TABLESPACE fast LOCATION '{place}'")
    with database(prepared, "schema_shared") as made:
        made.run(
            'CREATE TABLE "Odd USING ""Name""" ("select" int, "ключ" text, "a b" int, "x.y" int)',
            'CREATE SCHEMA "S x"; CREATE TABLE "S x".json_array (id int, "order" int)',
            'CREATE COLLATION "name.utf8" FROM "C"',
        )
        yield made
    prepared.run("DROP TABLESPACE fast")


ODD = '"Odd USING ""Name"""'
OPTIONS: dict[str, tuple[Item, str]] = {
    "btree": (orders("user_id"), "USING btree (user_id)"),
    "several": (orders("user_id", "total"), "USING btree (user_id, total)"),
    "desc": (orders({"column": "created_at", "order": "desc"}), "USING btree (created_at DESC)"),
    "last": (
        orders({"column": "total", "order": "desc", "nulls": "last"}, "id"),
        "USING btree (total DESC NULLS LAST, id)",
    ),
    "first": (orders({"column": "total", "nulls": "first"}), "USING btree (total NULLS FIRST)"),
    "default-nulls": (orders({"column": "day", "order": "desc", "nulls": "first"}), "USING btree (day DESC)"),
    "hash": (orders("code", method="hash"), "USING hash (code)"),
    "gin": (orders("tags", method="gin"), "USING gin (tags)"),
    "gist": (orders("span", method="gist"), "USING gist (span)"),
    "spgist": (orders("place", method="spgist"), "USING spgist (place)"),
    "brin": (
        orders("created_at", method="brin", storage_parameters={"pages_per_range": 16}),
        "USING brin (created_at) WITH (pages_per_range='16')",
    ),
    "bloom": (orders("user_id", method="bloom"), "USING bloom (user_id)"),
    "opclass": (orders({"column": "doc", "opclass": "jsonb_path_ops"}, method="gin"), "USING gin (doc jsonb_path_ops)"),
    "opclass-parameters": (
        orders(
            {"column": "note", "opclass": "public.gist_trgm_ops", "opclass_parameters": {"siglen": 32}}, method="gist"
        ),
        "USING gist (note public.gist_trgm_ops (siglen='32'))",
    ),
    "opclass-expression": (
        orders({"expression": "lower(note)", "opclass": "text_pattern_ops"}),
        "USING btree (lower(note) text_pattern_ops)",
    ),
    "collation": (orders({"column": "note", "collation": "C"}), 'USING btree (note COLLATE "C")'),
    "collation-with-dot": (
        orders({"column": "code", "collation": "name.utf8"}),
        'USING btree (code COLLATE public."name.utf8")',
    ),
    "expression": (orders({"expression": "lower( status )"}), "USING btree (lower((status)::text))"),
    "expression-desc": (
        orders({"expression": "total * 2 -- twice", "order": "desc"}),
        "USING btree (((total * (2)::numeric)) DESC)",
    ),
    "include": (orders("user_id", include=["total", "note"]), "USING btree (user_id) INCLUDE (total, note)"),
    "where": (
        orders("user_id", where="status in ('a','b')"),
        "USING btree (user_id) WHERE ((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])",
    ),
    "unique": (orders("code", unique=True), "UNIQUE INDEX"),
    "unique-where": (orders("code", "day", unique=True, where="day is not null"), "WHERE (day IS NOT NULL)"),
    "storage": (
        orders("user_id", "day", storage_parameters={"fillfactor": 70, "deduplicate_items": False}),
        "WITH (deduplicate_items=off, fillfactor='70')",
    ),
    "tablespace": (orders("day", tablespace="fast", where="note <> ' WHERE ('"), "WHERE (note <> ' WHERE ('::text)"),
    "comment": (orders("note", "id", comment="It's\nfor the \\ report"), "(note, id)"),
    "matview": (on("totals", "user_id", unique=True), "ON public.totals USING btree (user_id)"),
    "keyword-column": (on(ODD, "select", {"column": "a b", "order": "desc"}), '("select", "a b" DESC)'),
    "dotted-column": (on(ODD, "x.y", name="has.dot"), '("x.y")'),
    "unicode": (on(ODD, "ключ", name="Указатель по ключу"), '"Указатель по ключу"'),
    "63-bytes": (on(ODD, "ключ", "x.y", name=LONG), LONG),
    "keyword-table": (on('"S x".json_array', "order", name="select"), '("order")'),
    "json-table": (on('"S x".json_array', "id"), "(id)"),
}


@pytest.mark.parametrize(("item", "expected"), OPTIONS.values(), ids=OPTIONS)
def test_every_option_comes_back_as_it_was_declared(shared: Database, item: Item, expected: str) -> None:
    shared.run(FORGET)
    applied = round_trip(shared.indexes, [item])
    assert actions(applied) == ["build", "adopt"]
    (difference,) = applied.plan.differences
    name = applied.steps[-1][0].name
    text = definition(shared, name)
    assert expected in text
    assert difference.before == ""
    assert text.rpartition(" USING ")[2] in difference.after
    ((comment, tablespace),) = shared.rows(
        "SELECT coalesce(obj_description(c.oid), ''), coalesce(s.spcname, '') FROM pg_class c"
        f" LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE relname = '{name}'"
    )
    assert comment == (f"{item['comment']}\n" if "comment" in item else "") + "managed by pgstead.ops.indexes"
    assert tablespace == item.get("tablespace", "")
    assert shared.left_behind() == []


def test_null_is_one_value_where_the_server_knows_that(db: Database) -> None:
    item = orders("day", "id", unique=True, nulls_not_distinct=True)
    if db.server.version >= 15:
        round_trip(db.indexes, [item])
        assert "NULLS NOT DISTINCT" in definition(db, "orders_day_id_idx")
    else:
        with pytest.raises(SpecError, match=r"indexes\[0\] \(orders_day_id_idx\): .*NULLS"):
            db.indexes([item])


SPELT = {
    "case and space": ("(LOWER(note)) WHERE total>0", orders({"expression": "lower(  note )"}, where="(total > 0)")),
    "in": ("(id) WHERE status IN ('a', 'b')", orders("id", where="status in ('a','b')")),
    "any": ("(id) WHERE note = ANY (ARRAY['a','b'])", orders("id", where="note in ('a', 'b')")),
    "defaults": ("(id ASC NULLS LAST)", orders({"column": "id", "order": "ASC", "nulls": "LAST"})),
    "opclass": ('(note COLLATE "default" text_ops)', orders("note")),
    "storage": ("(id) WITH (FILLFACTOR = 80)", orders("id", storage_parameters={"fillfactor": "80"})),
    "two storage parameters": (
        "(id) WITH (fillfactor = 80, deduplicate_items = off)",
        orders("id", storage_parameters={"fillfactor": 80, "deduplicate_items": False}),
    ),
    "cast": ("(id) WHERE day > '2026-01-01'", orders("id", where="day > DATE '2026-01-01'")),
    "default tablespace": ("(id) TABLESPACE pg_default", orders("id", tablespace="pg_default")),
}


@pytest.mark.parametrize(("tail", "item"), SPELT.values(), ids=SPELT)
@pytest.mark.parametrize("name", ["", "somebodys"])
def test_the_same_in_other_words_is_no_change(shared: Database, tail: str, item: Item, name: str) -> None:
    shared.run(f"CREATE TABLE again (LIKE orders); CREATE INDEX somebodys ON again {tail}")
    try:
        report = shared.indexes([{**item, "table": "again", "name": name}])
        assert (actions(report), report.plan.differences) == ([], ())
    finally:
        shared.run("DROP TABLE again")


def test_a_definition_that_a_dump_writes_in_another_way_is_the_same(db: Database) -> None:
    item = orders("id", where="status in ('a','b')", name="w")
    round_trip(db.indexes, [item])
    text = definition(db, "w")
    db.run("DROP INDEX w", text, "COMMENT ON INDEX w IS 'managed by pgstead.ops.indexes'")
    assert definition(db, "w") != text
    assert actions(db.indexes([item])) == []


FIRST = orders("user_id", {"expression": "lower(note)"}, name="x", comment="kept")
DRIFTS: dict[str, Item] = {
    "column": {**FIRST, "columns": ["total", {"expression": "lower(note)"}]},
    "order": {**FIRST, "columns": [{"column": "user_id", "order": "desc"}, {"expression": "lower(note)"}]},
    "expression": {**FIRST, "columns": ["user_id", {"expression": "upper(note)"}]},
    "include": {**FIRST, "include": ["total"]},
    "where": {**FIRST, "where": "total > 5"},
    "unique": {**FIRST, "columns": ["id", {"expression": "lower(note)"}], "unique": True},
    "storage": {**FIRST, "storage_parameters": {"fillfactor": 60}},
    "method": {**FIRST, "columns": ["tags"], "method": "gin"},
    "tablespace": {**FIRST, "tablespace": "fast"},
}


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("item", DRIFTS.values(), ids=DRIFTS)
def test_drift_of_any_attribute_is_replaced_without_a_gap(db: Database, item: Item) -> None:
    round_trip(db.indexes, [FIRST])
    ((old,),) = db.rows("SELECT 'x'::regclass::oid")
    applied = round_trip(db.indexes, [item])
    assert actions(applied) == ["build", "swap", "drop"]
    (difference,) = applied.plan.differences
    assert (difference.object, "kept" in difference.before, "kept" in difference.after) == (
        "index public.x",
        True,
        True,
    )
    assert db.rows("SELECT 'x'::regclass::oid") != [(old,)]
    assert db.left_behind() == []


def test_what_hangs_on_an_index_is_handed_to_its_successor(db: Database) -> None:
    declared = [
        orders("code", unique=True, name="by_code", comment="identity"),
        orders({"expression": "lower(note)"}, name="by_note"),
        on("users", "email", name="marked"),
    ]
    round_trip(db.indexes, declared)
    db.run(
        "ALTER TABLE orders REPLICA IDENTITY USING INDEX by_code",
        "ALTER INDEX by_note ALTER COLUMN 1 SET STATISTICS 777",
        "ALTER TABLE users CLUSTER ON marked",
    )
    changed = [{**item, "storage_parameters": {"fillfactor": 77}} for item in declared]
    applied = round_trip(db.indexes, changed)
    assert actions(applied) == ["build", "swap", "drop"] * 3
    assert db.rows(
        "SELECT indexrelid::regclass::text, indisreplident, indisclustered FROM pg_index i"
        " WHERE indisreplident OR indisclustered ORDER BY 1"
    ) == [("by_code", True, False), ("marked", False, True)]
    assert db.rows("SELECT relreplident::text FROM pg_class WHERE relname = 'orders'") == [("i",)]
    assert db.rows("SELECT attstattarget FROM pg_attribute WHERE attrelid = 'by_note'::regclass") == [(777,)]


def test_comments_are_changed_alone(db: Database) -> None:
    round_trip(db.indexes, [orders("day", comment="one")])
    assert actions(round_trip(db.indexes, [orders("day", comment="two")])) == ["comment"]
    assert actions(db.indexes([orders("day")])) == []  # nothing is said about the comment: it stays
    assert actions(round_trip(db.indexes, [orders("day", comment="")])) == ["comment"]
    db.run("CREATE INDEX theirs ON orders (note)")
    round_trip(db.indexes, [orders("note", name="theirs", comment="three")])
    assert db.rows("SELECT obj_description('theirs'::regclass)") == [("three",)]  # whose it is does not change


def test_an_index_of_ours_gets_its_new_name_without_a_build(db: Database) -> None:
    round_trip(db.indexes, [orders("day", name="one")])
    ((before,),) = db.rows("SELECT 'one'::regclass::oid")
    assert actions(round_trip(db.indexes, [orders("day", name="two")])) == ["rename"]
    assert db.rows("SELECT 'two'::regclass::oid") == [(before,)]
    report = db.indexes([orders("day", name="two"), orders("note", name="one")])
    assert report.plan.drift == ()  # nobody dropped "one": it was renamed


def test_a_purge_takes_what_was_ours_only_and_the_rest_is_named(db: Database) -> None:
    round_trip(db.indexes, [orders("day"), orders("note"), on("events", "id")])
    db.run("CREATE INDEX theirs ON orders (total)", "CREATE INDEX beside ON users (email)")
    kept = db.indexes([orders("day")])
    assert (actions(kept), kept.plan.unmanaged) == ([], ("public.theirs",))
    applied = round_trip(db.indexes, [orders("day")], purge=True)
    assert sorted(actions(applied)) == ["drop", "drop_tree"]
    assert applied.plan.unmanaged == ("public.theirs",)
    assert actions(round_trip(db.indexes, [], purge=True)) == ["drop"]
    left = db.rows("SELECT relname FROM pg_class WHERE relkind IN ('i', 'I') AND relname !~ '^pg_|pkey' ORDER BY 1")
    assert left == [("beside",), ("theirs",)]


def test_a_purge_looks_at_every_schema_for_itself(db: Database) -> None:
    db.run("CREATE SCHEMA other; CREATE TABLE other.t (a int)")
    there = on("other.t", "a", name="one")
    round_trip(db.indexes, [orders("day", name="one"), there])
    applied = round_trip(db.indexes, [orders("day", name="two")], purge=True)
    assert actions(applied) == ["rename", "drop"]


def test_absent_takes_an_index_away_whoever_made_it(db: Database) -> None:
    db.run("CREATE INDEX theirs ON orders (total)")
    items = [orders(name="theirs", state="absent"), on("gone", name="never", state="absent")]
    assert actions(round_trip(db.indexes, items)) == ["drop"]


def test_what_a_migration_dropped_is_healed_and_reported(db: Database) -> None:
    items = [orders("day", name="healed"), on("events", "id", name="tree")]
    round_trip(db.indexes, items)
    db.run("DROP INDEX healed", "DROP INDEX tree")
    for check_mode in (True, False):
        report = db.indexes(items, check_mode=check_mode)
        assert [line.partition(" was there since ")[0] for line in report.plan.drift] == [
            "index public.healed",
            "index public.tree",
        ]
    assert db.indexes(items).plan.drift == ()
    round_trip(db.indexes, [orders(name="healed", state="absent")])
    assert db.indexes(items).plan.drift == ()  # this time it was us


def test_an_equal_index_under_another_name_is_warned_of(db: Database) -> None:
    db.run("CREATE INDEX theirs ON orders (total)")
    assert "public.theirs already is this index" in db.indexes([orders("total", name="mine")]).warnings[0]


def failed_unique(db: Database) -> None:
    with db.session() as cursor, pytest.raises(refusals.UniqueViolation):
        cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY x ON orders (user_id)")


def failed_reindex(db: Database) -> None:
    """Cancel REINDEX CONCURRENTLY while it waits for an older transaction."""
    with db.session() as writer, db.session() as cursor:
        cursor.execute("CREATE INDEX x ON orders (user_id); CREATE INDEX " + LONG + " ON orders (day)")
        writer.execute("BEGIN; UPDATE orders SET note = note WHERE id = 1")
        cursor.execute("SET statement_timeout = '150ms'")
        for name in ("x", LONG):
            with pytest.raises(refusals.QueryCanceled):
                cursor.execute(f"REINDEX INDEX CONCURRENTLY {name}")


@pytest.mark.parametrize("fail", [failed_unique, failed_reindex])
def test_invalid_leftovers_are_taken_away(db: Database, fail: Any) -> None:
    fail(db)
    items = [orders("user_id", name="x")]
    items += [orders("day", name=LONG)] if fail is failed_reindex else []
    applied = round_trip(db.indexes, items)
    assert actions(applied) == (["drop", "drop"] if fail is failed_reindex else ["drop", "build", "adopt"])
    assert db.left_behind() == []


def test_rows_that_are_not_unique_leave_nothing(db: Database) -> None:
    with pytest.raises(ViolatingRows, match=r"build orders_user_id_idx on public.orders: rows are not unique: .*dup"):
        db.indexes([orders("user_id", unique=True)])
    assert db.left_behind() == []
