"""Indexes of real servers: every option there and back, drift, ownership, and every bad input by its position."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg2 import errors as refusals

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError, StatementFailed, ViolatingRows

from .conftest import Server
from .schema import Database, Item, actions, definition, on, orders, round_trip

LONG = "ü" * 31 + "x"  # 63 bytes


@pytest.fixture
def odd(prepared: Server, db: Database) -> Database:
    """A database with odd names and another tablespace."""
    place = prepared.directory / "elsewhere"
    prepared.command("mkdir", "-p", str(place))
    prepared.run("DROP TABLESPACE IF EXISTS fast", f"CREATE TABLESPACE fast LOCATION '{place}'")
    db.run(
        'CREATE TABLE "Odd USING ""Name""" ("select" int, "ключ" text, "a b" int, "x.y" int)',
        'CREATE SCHEMA "S x"; CREATE TABLE "S x".json_array (id int, "order" int)',
        'CREATE COLLATION "name.utf8" FROM "C"',
    )
    return db


ODD = '"Odd USING ""Name"""'
NAMELESS = ("several", "expression", "keyword-column", "json-table")
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


def test_every_option_comes_back_as_it_was_declared(odd: Database) -> None:
    named = [item if case in NAMELESS else {"name": case, **item} for case, (item, _) in OPTIONS.items()]
    applied = round_trip(odd.indexes, named)
    analysed = sum(any("expression" in key for key in item["columns"]) for item, _ in OPTIONS.values())
    every = len(OPTIONS)
    assert sorted(actions(applied)) == ["adopt"] * every + ["analyze"] * analysed + ["build"] * every
    names = [change.name for change, _, _ in applied.steps if change.action == "adopt"]
    found = dict(zip(OPTIONS, (definition(odd, name) for name in names), strict=True))
    assert {case: text for case, text in found.items() if OPTIONS[case][1] not in text} == {}
    for difference, text in zip(applied.plan.differences, found.values(), strict=True):
        assert (difference.before, text.rpartition(" USING ")[2] in difference.after) == ("", True), difference
    kept = odd.rows(
        "SELECT c.relname, obj_description(c.oid), coalesce(s.spcname, '') FROM pg_class c"
        " LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.relkind = 'i'"
    )
    for name, (item, _) in zip(names, OPTIONS.values(), strict=True):
        comment = (f"{item['comment']}\n" if "comment" in item else "") + "managed by pgstead.ops.indexes"
        assert (name, comment, item.get("tablespace", "")) in kept
    assert odd.left_behind() == []


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


@pytest.mark.parametrize("name", ["", "somebodys"])
def test_the_same_in_other_words_is_no_change(db: Database, name: str) -> None:
    items = []
    for number, (tail, item) in enumerate(SPELT.values()):
        copy = f"again_{number}"
        db.run(f"CREATE TABLE {copy} (LIKE orders); CREATE INDEX somebodys_{number} ON {copy} {tail}")
        items.append({**item, "table": copy, "name": name and f"{name}_{number}"})
    assert db.indexes(items).plan.differences == ()


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
    "nulls": {**FIRST, "columns": [{"column": "user_id", "nulls": "first"}, {"expression": "lower(note)"}]},
    "collation": {**FIRST, "columns": ["user_id", {"expression": "lower(note)", "collation": "C"}]},
    "opclass": {**FIRST, "columns": ["user_id", {"expression": "lower(note)", "opclass": "text_pattern_ops"}]},
}


def test_drift_of_any_attribute_is_replaced_without_a_gap(odd: Database) -> None:
    names = [f"x{number}" for number, _ in enumerate(DRIFTS)]
    odd.run(*(f"CREATE TABLE of_{name} (LIKE orders)" for name in names))
    place = [{"table": f"of_{name}", "name": name} for name in names]
    round_trip(odd.indexes, [{**FIRST, **at} for at in place])
    before = dict(odd.rows("SELECT relname, oid FROM pg_class WHERE relname ~ '^x'"))
    applied = round_trip(odd.indexes, [{**item, **at} for item, at in zip(DRIFTS.values(), place, strict=True)])
    expressions = [any("expression" in key for key in item["columns"]) for item in DRIFTS.values()]
    assert actions(applied) == [step for one in expressions for step in ("build", *["analyze"] * one, "swap", "drop")]
    for name, difference in zip(names, applied.plan.differences, strict=True):
        assert difference.object == f"index public.{name}"
        assert ("kept" in difference.before, "kept" in difference.after) == (True, True)
    after = dict(odd.rows("SELECT relname, oid FROM pg_class WHERE relname ~ '^x'"))
    assert (set(after), set(after.values()) & set(before.values())) == (set(before), set())
    assert odd.left_behind() == []


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
    plain, expression = ["build", "swap", "drop"], ["build", "analyze", "swap", "drop"]
    assert actions(applied) == [*plain, *expression, *plain]
    assert db.rows(
        "SELECT indexrelid::regclass::text, indisreplident, indisclustered FROM pg_index i"
        " WHERE indisreplident OR indisclustered ORDER BY 1"
    ) == [("by_code", True, False), ("marked", False, True)]
    assert db.rows("SELECT relreplident::text FROM pg_class WHERE relname = 'orders'") == [("i",)]
    assert db.rows("SELECT attstattarget FROM pg_attribute WHERE attrelid = 'by_note'::regclass") == [(777,)]


def test_a_cluster_mark_that_the_new_definition_cannot_carry_is_let_go(db: Database) -> None:
    round_trip(db.indexes, [on("users", "email", name="marked")])
    db.run("ALTER TABLE users CLUSTER ON marked")
    round_trip(db.indexes, [on("users", "email", name="marked", where="id > 1")])
    assert db.rows("SELECT count(*) FROM pg_index WHERE indisclustered") == [(0,)]


def test_tables_of_one_name_and_types_of_one_schema_are_told_apart(db: Database) -> None:
    db.run(
        "CREATE SCHEMA other; CREATE TYPE other.mood AS ENUM ('good', 'bad')",
        "CREATE TABLE other.orders (id int, mood other.mood, twice int GENERATED ALWAYS AS (id * 2) STORED)",
    )
    items = [
        on("other.orders", "twice", where="mood = 'good'::mood"),
        orders("id", where="total > 1"),
        on("other.orders", "id", where="orders.mood <> 'bad'"),
    ]
    round_trip(db.indexes, items)


def test_many_tables_take_several_transactions_of_trials(db: Database) -> None:
    names = [f"t{number}" for number in range(45)]
    db.run("".join(f"CREATE TABLE {name} (a int, b text);" for name in names))
    assert len(round_trip(db.indexes, [on(name, "a", where="b IS NOT NULL") for name in names]).steps) == 90


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
        cursor.execute("SET lock_timeout = '150ms'")
        for name in ("x", LONG):
            with pytest.raises(refusals.LockNotAvailable):
                cursor.execute(f"REINDEX INDEX CONCURRENTLY {name}")


@pytest.mark.parametrize("fail", [failed_unique, failed_reindex])
def test_invalid_leftovers_are_taken_away(db: Database, fail: Any) -> None:
    fail(db)
    items = [orders("user_id", name="x")]
    items += [orders("day", name=LONG)] if fail is failed_reindex else []
    applied = round_trip(db.indexes, items)
    assert actions(applied) == (["drop", "drop"] if fail is failed_reindex else ["drop", "build", "adopt"])
    assert db.left_behind() == []


def test_a_build_that_the_server_gives_up_leaves_nothing_and_says_what_was_done(db: Database) -> None:
    db.run("UPDATE orders SET note = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 120) i) WHERE id = 7")
    with pytest.raises(StatementFailed, match=r"build orders_note_idx on public\.orders: index row size") as caught:
        db.indexes([orders("day"), orders("note"), orders("code")])
    assert [step["action"] for step in caught.value.data["applied"]] == ["build", "adopt"]
    assert db.left_behind() == []


def test_rows_that_are_not_unique_leave_nothing(db: Database) -> None:
    with pytest.raises(ViolatingRows, match=r"build orders_user_id_idx on public.orders: rows are not unique: .*dup"):
        db.indexes([orders("user_id", unique=True)])
    assert db.left_behind() == []
