"""What each step of a plan says to the server, and what of the server's words is kept."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import check_constraint as cc
from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Heir, Step, change
from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import Index, indexes
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change, Mode
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security_spec import Context
from ansible_collections.pgstead.ops.plugins.module_utils._pg import canonical, ledger
from ansible_collections.pgstead.ops.plugins.module_utils._pg import check_constraint as check_sql
from ansible_collections.pgstead.ops.plugins.module_utils._pg import index as index_sql
from ansible_collections.pgstead.ops.plugins.module_utils._pg import row_security as security_sql
from ansible_collections.pgstead.ops.tests.unit.schema_world import form, old, q, there

ODD = QualifiedName("My Shop", 'a"b')
OURS = "it's\nmanaged by pgstead.ops.indexes"
NOTED = "COMMENT ON INDEX public.i IS 'it''s\nmanaged by pgstead.ops.indexes'"


def index(**item: Any) -> Index:
    (made,), problems = indexes([{"table": "t", "name": "i"} | item], "public")
    assert problems == ()
    return made


def kept(kind: str, table: str = "t", name: str = "i") -> str:
    values = f"('{kind}', 'public', '{table}', '{name}')"
    return f"INSERT INTO pgstead.made (kind, schema_name, table_name, name) VALUES {values} ON CONFLICT DO NOTHING"


def struck(kind: str, table: str = "t", name: str = "i") -> str:
    place = f"schema_name = 'public' AND table_name = '{table}'"
    return f"DELETE FROM pgstead.made WHERE kind = '{kind}' AND {place} AND name = '{name}'"


@pytest.mark.parametrize(
    ("item", "sql"),
    [
        ({"columns": ["a", "User Id"]}, 'USING btree (a, "User Id")'),
        ({"columns": [{"column": "a", "order": "desc", "nulls": "last"}]}, "USING btree (a DESC NULLS LAST)"),
        ({"columns": [{"column": "a", "nulls": "first"}]}, "USING btree (a NULLS FIRST)"),
        ({"columns": [{"expression": "lower(a)"}, "b"]}, "USING btree ((lower(a)), b)"),
        ({"columns": [{"expression": "a -- b"}]}, "USING btree ((a -- b\n))"),
        ({"columns": [{"column": "a", "collation": "en_US.utf8", "opclass": "public.ops"}]},
         'USING btree (a COLLATE "en_US.utf8" public.ops)'),
        ({"method": "gist", "columns": [{"column": "a", "opclass": "ops", "opclass_parameters": {"siglen": 32, "x": "a'b"}}]},
         "USING gist (a ops (siglen='32', x='a''b'))"),
        ({"columns": ["a"], "include": ["b", "C"]}, 'USING btree (a) INCLUDE (b, "C")'),
        ({"columns": ["a"], "unique": True, "nulls_not_distinct": True}, "USING btree (a) NULLS NOT DISTINCT"),
        ({"columns": ["a"], "where": "a > 0"}, "USING btree (a) WHERE (a > 0)"),
        ({"columns": ["a"], "storage_parameters": {"toast.x": 1, "fillfactor": 70}},
         "USING btree (a) WITH (fillfactor='70', toast.x='1')"),
        ({"columns": ["a"], "include": ["b"], "unique": True, "nulls_not_distinct": True, "where": "a > 0",
          "storage_parameters": {"fillfactor": 70}},
         "USING btree (a) INCLUDE (b) NULLS NOT DISTINCT WITH (fillfactor='70') WHERE (a > 0)"),
    ],
)  # fmt: skip
def test_definitions(item: dict[str, Any], sql: str) -> None:
    assert index_sql.definition(index(**item)) == sql


def test_a_tablespace_stands_before_the_predicate() -> None:
    made = index(columns=[{"expression": "strpos(a, ' WHERE (')"}], where="a > ' WHERE ('", tablespace="Fast")
    assert index_sql.definition(made, made.tablespace) == (
        "USING btree ((strpos(a, ' WHERE ('))) TABLESPACE \"Fast\" WHERE (a > ' WHERE (')"
    )
    assert "TABLESPACE" not in index_sql.definition(made)


PARTIAL = index(columns=["a"], where="a > 0", tablespace="fast", unique=True)
PLAIN = index(columns=["a"])
FACTS = there("i", text="b", replica_identity=True, clustered=True, statistics=((1, 100), (2, 200), (3, 300)))
SWAPPED = index(columns=["a", {"expression": "b + 1"}])


def step(source: str = "i", target: str = "i", **more: Any) -> Step:
    return Step(q("t"), source, target, **more)


AT = q("e")


def same(name: str = "i", planned: str = "NULL", table: str = "t") -> str:
    """Return what refuses to go on where the replica identity is another than when this was planned."""
    top = f"pg_catalog.to_regclass('public.{name}')"
    found = (
        "(SELECT array_agg(i.indrelid ORDER BY i.indrelid) FROM pg_catalog.pg_index i WHERE i.indisreplident AND "
        f"i.indisvalid AND i.indexrelid IN (SELECT {top}::oid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree({top}) t))"
    )
    said = f"'the replica identity of public.{table} was changed since this was planned: run again'"
    raised = f"RAISE EXCEPTION USING MESSAGE = {said}"
    return f"DO $pgstead$ BEGIN IF {found} IS DISTINCT FROM {planned} THEN {raised}; END IF; END $pgstead$"


def oids(*tables: str) -> str:
    names = ", ".join(f"'public.{table}'" for table in tables)
    return f"(SELECT array_agg(t::oid ORDER BY t::oid) FROM pg_catalog.unnest(ARRAY[{names}]::pg_catalog.regclass[]) t)"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        # as ever: another text would change the function in every database
        ("set_user_context", "'set_user_context was called outside a transaction: its settings would not last'"),
        ('100% "it\'s"', "'100%% \"it''s\" was called outside a transaction: its settings would not last'"),
    ],
)
def test_a_context_function_says_its_name(name: str, said: str) -> None:
    body = security_sql.function_body(Context("app.u", "", QualifiedName("public", name)))
    assert f"        RAISE EXCEPTION {said}\n            USING ERRCODE" in body


HELD = "LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE"


@pytest.mark.parametrize(
    ("action", "subject", "sql"),
    [
        ("build", step("n", "n", index=PARTIAL), [
            "CREATE UNIQUE INDEX CONCURRENTLY n ON public.t USING btree (a) TABLESPACE fast WHERE (a > 0)"]),
        ("build", Step(ODD, "N", "N", index=PLAIN), [
            'CREATE INDEX CONCURRENTLY "N" ON "My Shop"."a""b" USING btree (a)']),
        ("create_only", step(index=PLAIN, comment=OURS), [
            "CREATE INDEX i ON ONLY public.t USING btree (a)", NOTED, kept("index")]),
        ("create_only", step(index=PLAIN, comment="x", recorded=False, parent=QualifiedName("s", "P")), [
            "CREATE INDEX i ON ONLY public.t USING btree (a)", "COMMENT ON INDEX public.i IS 'x'",
            'ALTER INDEX s."P" ATTACH PARTITION public.i']),
        ("drop", step(recorded=False), [same(), "DROP INDEX CONCURRENTLY IF EXISTS public.i"]),
        ("drop", step(), [same(), struck("index"), "DROP INDEX CONCURRENTLY IF EXISTS public.i"]),
        ("analyze", step("n", "n", index=SWAPPED), ["ANALYZE public.t"]),
        ("analyze", step("n", "n", index=SWAPPED, old=FACTS), [
            "ALTER INDEX public.n ALTER COLUMN 2 SET STATISTICS 200", "ANALYZE public.t"]),
        ("drop_tree", step(), [HELD, same(), "DROP INDEX public.i", struck("index")]),
        ("comment", step(comment=""), ["COMMENT ON INDEX public.i IS ''"]),
        ("comment", step(comment="a\\b"), ["COMMENT ON INDEX public.i IS E'a\\\\b'"]),
        ("adopt", step("n", comment=OURS), ["ALTER INDEX public.n RENAME TO i", NOTED, kept("index")]),
        ("rename", step("n", comment=OURS), [
            "ALTER INDEX public.n RENAME TO i", NOTED, kept("index"), struck("index", name="n")]),
        ("attach", step(parent=AT), ["ALTER INDEX public.e ATTACH PARTITION public.i"]),
        ("attach", step("n", parent=AT, comment="x"), [
            "ALTER INDEX public.n RENAME TO i", "COMMENT ON INDEX public.i IS 'x'",
            "ALTER INDEX public.e ATTACH PARTITION public.i"]),
        ("swap", step("n", index=PLAIN, comment=OURS, old=there("i")), [
            f"ALTER INDEX public.i RENAME TO {old('i')}", same(old("i")), "ALTER INDEX public.n RENAME TO i", NOTED, kept("index")]),
        ("swap", step("n", index=SWAPPED, comment=OURS, old=FACTS), [
            f"ALTER INDEX public.i RENAME TO {old('i')}", same(old("i"), oids("t")),
            "ALTER INDEX public.n RENAME TO i", NOTED, kept("index"),
            "ALTER TABLE public.t REPLICA IDENTITY USING INDEX i", "ALTER TABLE public.t CLUSTER ON i",
            "ALTER INDEX public.i ALTER COLUMN 2 SET STATISTICS 200"]),
        ("swap", step("n", index=PARTIAL, comment=OURS, old=there("i", clustered=True)), [
            f"ALTER INDEX public.i RENAME TO {old('i')}", same(old("i")), "ALTER INDEX public.n RENAME TO i", NOTED, kept("index")]),
        ("swap_tree", step("n", index=PARTIAL, comment=OURS, old=there("i")), [
            HELD, same(), "DROP INDEX public.i", "ALTER INDEX public.n RENAME TO i", NOTED, kept("index")]),
        ("swap_tree", step("n", index=PLAIN, comment=OURS, old=there("i", replica_identity=True),
                           heirs=(Heir(q("t_1"), "n_1", there("i_1", replica_identity=True, clustered=True)),)), [
            HELD, same(planned=oids("t", "t_1")),
            "DROP INDEX public.i", "ALTER INDEX public.n RENAME TO i", NOTED, kept("index"),
            "ALTER TABLE public.t REPLICA IDENTITY USING INDEX i",
            "ALTER TABLE public.t_1 REPLICA IDENTITY USING INDEX n_1", "ALTER TABLE public.t_1 CLUSTER ON n_1"]),
    ],
)  # fmt: skip
def test_indexes(action: str, subject: Step, sql: list[str]) -> None:
    assert list(index_sql.render(change(action, subject))) == sql


CHECKED = cc.Step(q("t"), "c", "c", "a > 0", no_inherit=True, comment="x")
CHECK_NOTED = ["COMMENT ON CONSTRAINT c ON public.t IS 'x'", kept("check_constraint", name="c")]


@pytest.mark.parametrize(
    ("action", "subject", "sql"),
    [
        ("add", CHECKED, [
            "ALTER TABLE public.t ADD CONSTRAINT c CHECK (a > 0) NO INHERIT NOT VALID", *CHECK_NOTED]),
        ("add", cc.Step(ODD, "N", "N", "a > 0 -- b"), [
            'ALTER TABLE "My Shop"."a""b" ADD CONSTRAINT "N" CHECK (a > 0 -- b\n) NOT VALID']),
        ("validate", CHECKED, ["ALTER TABLE public.t VALIDATE CONSTRAINT c"]),
        ("drop", CHECKED, ["ALTER TABLE public.t DROP CONSTRAINT c", struck("check_constraint", name="c")]),
        ("comment", CHECKED, CHECK_NOTED[:1]),
        ("swap", cc.Step(q("t"), "n", "c", comment="x", old_name="c"), [
            "ALTER TABLE public.t DROP CONSTRAINT c", "ALTER TABLE public.t RENAME CONSTRAINT n TO c", *CHECK_NOTED]),
        ("swap", cc.Step(q("t"), "n", "c", comment="x"), [
            "ALTER TABLE public.t RENAME CONSTRAINT n TO c", *CHECK_NOTED]),
    ],
)  # fmt: skip
def test_checks(action: str, subject: cc.Step, sql: list[str]) -> None:
    made = Change(cc.KIND, subject.table, subject.target, action, cc.STRONG, Mode.TRANSACTION, subject)
    assert list(check_sql.render(made)) == sql


@pytest.mark.parametrize(
    ("text", "name", "schema", "table"),
    [
        ("CREATE INDEX i ON public.t USING btree (a)", "i", "public", "t"),
        ("CREATE UNIQUE INDEX i ON ONLY public.t USING btree (a)", "i", "public", "t"),
        ("CREATE INDEX i ON t USING btree (a)", "i", "public", "t"),
        ('CREATE INDEX "I ON x USING y" ON "My Shop"."a USING b" USING btree (a)', "I ON x USING y", "My Shop", "a USING b"),
        # what an older server leaves bare
        ("CREATE INDEX system_user ON public.json_table USING btree (a)", "system_user", "public", "json_table"),
        ('CREATE UNIQUE INDEX system_user ON ONLY public."a USING b" USING btree (a)', "system_user", "public", "a USING b"),
        ('CREATE INDEX json ON "x.y".t USING btree (a)', "json", "x.y", "t"),
        # quote_all_identifiers
        ('CREATE UNIQUE INDEX "i" ON ONLY "public"."t" USING btree (a)', "i", "public", "t"),
        ('CREATE INDEX "i" ON "public"."a USING b" USING btree (a)', "i", "public", "a USING b"),
    ],
)  # fmt: skip
def test_what_is_kept_of_a_definition(text: str, name: str, schema: str, table: str) -> None:
    assert index_sql._definition(text, name, [schema, "pg_temp"], table) == "USING btree (a)"


@pytest.mark.parametrize(
    ("text", "storage", "expected"),
    [
        ("USING btree (a)", [], "USING btree (a)"),
        ("USING btree (a) WITH (fillfactor='70')", ["fillfactor=70"], "USING btree (a) WITH (fillfactor='70')"),
        ("USING gist (a) WITH (fillfactor='70', buffering=auto) WHERE (a > 0)", ["fillfactor=70", "buffering=auto"],
         "USING gist (a) WITH (buffering=auto, fillfactor='70') WHERE (a > 0)"),
    ],
)  # fmt: skip
def test_storage_parameters_in_order(text: str, storage: list[str], expected: str) -> None:
    assert index_sql._in_order(text, storage) == expected


@pytest.mark.parametrize(
    ("expression", "sql"),
    [("a > 0", "(a > 0)"), ("a -- b", "(a -- b\n)"), ("'--'", "('--'\n)"), ("a - -1", "(a - -1)")],
)
def test_enclosed(expression: str, sql: str) -> None:
    assert canonical.enclosed(expression) == sql


@pytest.mark.parametrize(
    ("schema", "search_path", "sql"),
    [
        ("public", ["public"], "public, pg_temp"),
        ("sales", ["public", "Ext"], 'sales, public, "Ext", pg_temp'),
        ("My Shop", [], '"My Shop", pg_temp'),
        ("a", ["b", "a", "b"], "a, b, pg_temp"),
    ],
)
def test_search_paths(schema: str, search_path: list[str], sql: str) -> None:
    assert canonical.path_of(schema, search_path) == sql


def test_trials() -> None:
    made = index_sql.trial(PARTIAL)
    assert made.make(canonical.copy_of(ODD), canonical.trial_name(7)) == (
        'CREATE UNIQUE INDEX pgstead_7 ON pg_temp."a""b" USING btree (a) TABLESPACE fast WHERE (a > 0)'
    )
    assert (
        index_sql.text_trial(q("t"), form("(a + 1)").text).make("c", "n") == "CREATE INDEX n ON c USING btree ((a + 1))"
    )
    check = cc.CheckConstraint("", q("t"), "c", "a > 0", no_inherit=True)
    assert check_sql.trial(check).make("c", "n") == "ALTER TABLE c ADD CONSTRAINT n CHECK (a > 0) NO INHERIT"
    assert (made.table, check_sql.trial(check).table) == (q("t"), q("t"))


def test_batches() -> None:
    """No batch has two tables of one name, or more tables than a transaction should lock; none is left out."""
    tables = [q(f"t{number}") for number in range(canonical.BATCH_TABLES + 1)]
    places = [tables[0], q("s.t0"), *tables, tables[0]]
    trials = [canonical.Trial(place, lambda copy, name: copy + name) for place in places]
    found = list(canonical._batches(trials))
    assert [schema for schema, _ in found] == ["public", "public", "s"]
    assert sorted(number for _, batch in found for number in batch) == list(range(len(trials)))
    for schema, batch in found:
        assert {trial.table.schema for trial in batch.values()} == {schema}
        assert len({trial.table for trial in batch.values()}) <= canonical.BATCH_TABLES
        assert all(trials[number] is trial for number, trial in batch.items())
    assert sorted(found[0][1])[:2] == [0, 2]
    assert list(canonical._batches([])) == []


def test_the_ledger() -> None:
    odd = QualifiedName("It's", "a\\b")
    assert ledger.remember("index", odd, "x").endswith(
        "VALUES ('index', 'It''s', E'a\\\\b', 'x') ON CONFLICT DO NOTHING"
    )
    assert ledger.forget("index", odd, "x").endswith("schema_name = 'It''s' AND table_name = E'a\\\\b' AND name = 'x'")
    assert ledger.note_loaded("load_sql", "ab") == "INSERT INTO pgstead.loaded (what, sha256) VALUES ('load_sql', 'ab')"
