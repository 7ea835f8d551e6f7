"""An audit trail made, kept, healed and taken back; and who has which right on the log."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import PgsteadError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import connect
from ansible_collections.pgstead.ops.plugins.module_utils._pg.tables import read_tables

from .audit_world import DECLARED, ORDERS, actions, ask, client, declare, entries, month, place, write
from .conftest import Server
from .schema import interrupted
from .test_modules import call, examples
from .test_schema_interruptions import killed_after_one_step

TABLE_STEPS = [("attach", "orders"), ("attach", "lines"), ("attach", "events")]


def all_steps(server: Server) -> list[tuple[str, str]]:
    months = [("partition", month(server, offset)) for offset in range(4)]
    return [("create", "log"), ("function", "record_change"), ("function", "trail"), *months, *TABLE_STEPS]


CATALOGUE = """
SELECT 'class', c.oid::text, c.relname, c.relacl::text, c.xmin::text FROM pg_class c WHERE c.relnamespace::regnamespace::text
       IN ('public', 'audit', 'pgstead')
UNION ALL SELECT 'trigger', oid::text, tgname, tgenabled::text, xmin::text FROM pg_trigger
UNION ALL SELECT 'function', oid::text, proname, proacl::text, xmin::text FROM pg_proc WHERE oid > 16384
UNION ALL SELECT 'schema', oid::text, nspname, nspacl::text, xmin::text FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
"""


def test_check_mode_predicts_what_applying_does_and_then_nothing_is_left(bare: Server) -> None:
    before = sorted(map(str, ask(bare, CATALOGUE)))
    predicted = declare(bare, check=True)
    assert sorted(map(str, ask(bare, CATALOGUE))) == before
    done = declare(bare)
    assert actions(done) == all_steps(bare)
    assert predicted.diff == done.diff
    assert [step["sql"] for step in predicted.data["plan"]] == [step["sql"] for step in done.data["plan"]]
    assert (done.warnings, done.data["drift"]) == ((), [])
    made = sorted(map(str, ask(bare, CATALOGUE)))
    again = declare(bare)
    assert (again.changed, again.diff, again.warnings, again.data["unmanaged"]) == (False, [], (), [])
    assert sorted(map(str, ask(bare, CATALOGUE))) == made


def test_the_documented_example(bare: Server) -> None:
    bare.run(
        "SET ROLE shop_owner; CREATE TABLE users (id int PRIMARY KEY, email text, manager_id int)", database="trail"
    )
    (arguments,) = examples("audit")
    arguments["login_db"] = "trail"
    predicted = call(bare, "audit", arguments, check=True)
    done = call(bare, "audit", arguments)
    assert (predicted.changed, predicted.diff) == (done.changed, done.diff)
    assert not call(bare, "audit", arguments).changed


def test_without_a_role_to_act_as_all_belongs_to_the_login(bare: Server) -> None:
    assert declare(bare, session_role=None).changed
    assert not declare(bare, session_role=None).changed
    write(bare, "INSERT INTO orders (id) VALUES (1)")
    assert len(entries(bare)) == 1
    rights = "USAGE ON SCHEMA pgstead TO shop_owner; GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA pgstead TO shop_owner"
    bare.run(f"GRANT {rights}", database="trail")
    with pytest.raises(SpecError, match=r"audit.log belongs to postgres, and shop_owner is no member"):
        declare(bare)


DEFAULTS = "ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner GRANT ALL ON {} TO shop_app; "


def test_default_privileges_let_nobody_in(bare: Server) -> None:
    bare.run("".join(DEFAULTS.format(kind) for kind in ("TABLES", "FUNCTIONS", "SCHEMAS")), database="trail")
    done = declare(bare)
    assert actions(done) == all_steps(bare)
    assert not declare(bare).changed
    assert ask(bare, "SELECT has_table_privilege('shop_app', 'audit.log', 'SELECT, INSERT')") == [(False,)]
    bare.run("DROP OWNED BY shop_app", database="trail")


def test_a_schema_that_waits_for_the_log_is_taken(bare: Server) -> None:
    bare.run("CREATE SCHEMA audit AUTHORIZATION shop_owner", database="trail")
    assert actions(declare(bare))[0] == ("create", "log")
    assert not declare(bare).changed


ANOTHER = """CREATE OR REPLACE TRIGGER pgstead_audit_row AFTER {} EXECUTE FUNCTION
    audit.record_change('full', '{{}}', '{{}}', '{{}}', '{{}}', '', '')"""
ANOTHER_TRAIL = """DROP FUNCTION audit.trail; CREATE FUNCTION audit.trail(schema_name text, table_name text, record text)
    RETURNS text LANGUAGE sql AS 'SELECT $1'; ALTER FUNCTION audit.trail OWNER TO shop_owner"""
DRIFT: list[tuple[str, list[str], str]] = [
    (
        "DROP TRIGGER pgstead_audit_row ON orders",
        ["attach"],
        "trigger pgstead_audit_row on public.orders was there since",
    ),
    ("ALTER TABLE orders DISABLE TRIGGER pgstead_audit_row", ["attach"], "fired never: somebody switched it"),
    ("ALTER TABLE orders ENABLE TRIGGER pgstead_audit_row", ["attach"], "fired not for replicated rows"),
    ("ALTER TABLE orders DISABLE TRIGGER ALL", ["attach"], "fired never"),
    ("ALTER TABLE events DISABLE TRIGGER pgstead_audit_row", ["attach"], "fired never"),
    ("ALTER TABLE events_1 DISABLE TRIGGER pgstead_audit_row", ["attach"], "fired not everywhere"),
    (
        ANOTHER.format("INSERT ON orders FOR EACH ROW"),
        ["attach"],
        "does not see every change",
    ),
    (
        ANOTHER.format("INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW WHEN (false)"),
        ["attach"],
        "does not see every change",
    ),
    (
        "DROP FUNCTION audit.record_change CASCADE",
        ["function", *["attach"] * 3],
        "function audit.record_change was there",
    ),
    (
        "CREATE OR REPLACE FUNCTION audit.record_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        ["function"],
        "function audit.record_change is no longer what was made on",
    ),
    ("ALTER FUNCTION audit.record_change() SECURITY INVOKER", ["function"], "somebody changed it"),
    ("ALTER FUNCTION audit.record_change() RESET search_path", ["function"], "somebody changed it"),
    ("ALTER FUNCTION audit.record_change() SET work_mem = '1MB'", ["function"], "somebody changed it"),
    ("DROP FUNCTION audit.trail", ["function"], "function audit.trail was there since"),
    (
        ANOTHER_TRAIL,
        ["rights", "function"],
        "PUBLIC held EXECUTE on function audit.trail(text,text,text)",
    ),
    ("GRANT EXECUTE ON FUNCTION audit.record_change() TO PUBLIC", ["rights"], "PUBLIC held EXECUTE"),
    (
        "GRANT SELECT ON audit.log TO shop_app",
        ["rights"],
        "shop_app held SELECT on table audit.log, which nobody declared",
    ),
    ("GRANT SELECT (old) ON audit.log TO shop_app", ["rights"], "shop_app held SELECT (old)"),
    ("GRANT SELECT ON audit.log_default TO auditor", ["rights"], "auditor held SELECT on table audit.log_default"),
    ("GRANT SELECT ON audit.log TO auditor WITH GRANT OPTION", ["rights"], "auditor held SELECT*"),
    ("GRANT USAGE ON SCHEMA audit TO PUBLIC", ["rights"], "PUBLIC held USAGE on schema audit"),
    ("GRANT DELETE ON audit.log TO shop_owner", ["rights"], "shop_owner could DELETE what is written in audit.log"),
    ("GRANT UPDATE (new) ON audit.log TO shop_owner", ["rights"], "shop_owner could UPDATE (new)"),
    ("REVOKE INSERT ON audit.log FROM shop_owner", ["rights"], ""),
    ("REVOKE SELECT ON audit.log FROM auditor", ["rights"], ""),
    ("DROP TABLE audit.log_default", ["partition"], "partition audit.log_default was there since"),
    (
        "DROP INDEX audit.log_at_idx",
        ["create_only", *["build", "attach"] * 5],
        "index audit.log_at_idx was there since",
    ),
    ("COMMENT ON SCHEMA audit IS 'mine'", ["mark"], ""),
    ("COMMENT ON TABLE audit.log IS 'mine'", [], ""),
    ("ALTER TABLE audit.log ADD COLUMN note text", [], ""),
]


@pytest.mark.parametrize(("drift", "steps", "said"), DRIFT)
def test_drift_is_healed_and_named(trail: Server, drift: str, steps: list[str], said: str) -> None:
    trail.run(drift, database="trail")
    predicted = declare(trail, check=True)
    done = declare(trail)
    assert [step["action"] for step in done.data["plan"]] == steps
    assert predicted.diff == done.diff
    assert any(said in line for line in done.data["drift"]) if said else done.data["drift"] == []
    assert list(done.warnings) == done.data["drift"]
    again = declare(trail)
    assert (again.changed, again.data["drift"]) == (False, [])
    write(trail, "INSERT INTO orders (id) VALUES (1)", "INSERT INTO events VALUES (1, '2026-01-05', 'a')")
    assert (len(entries(trail)), len(entries(trail, "events"))) == (1, 1)


def test_a_dropped_month_and_a_dropped_log_are_made_again(trail: Server) -> None:
    name = month(trail, 2)
    trail.run(f"DROP TABLE audit.{name}", database="trail")
    done = declare(trail)
    assert actions(done) == [("partition", name)]
    assert f"partition audit.{name} was there since" in done.data["drift"][0]
    trail.run("DROP SCHEMA audit CASCADE", database="trail")
    done = declare(trail)
    assert actions(done) == all_steps(trail)
    assert len(done.data["drift"]) == 1 + 2 + 6
    assert not declare(trail).changed


def test_another_declaration_is_a_change_and_no_drift(trail: Server) -> None:
    changed = {"tables": [{**ORDERS, "redacted_columns": []}, {"name": "lines", "mode": "full"}, {"name": "events"}]}
    done = declare(trail, **changed)
    assert (actions(done), done.data["drift"]) == ([("attach", "orders"), ("attach", "lines")], [])
    assert actions(declare(trail, **changed, context={"user": "app.me"})) == TABLE_STEPS
    done = declare(trail, **changed, context={"user": "app.me"}, readers=["auditor", "clerk"], partitions_ahead=4)
    assert (actions(done), done.data["drift"]) == ([("rights", "log"), ("partition", month(trail, 4))], [])


def test_absent_purge_and_what_nobody_declares(trail: Server) -> None:
    one = {"tables": [{"name": "orders", "state": "absent"}, {"name": "lines"}]}
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    done = declare(trail, **one)
    assert (actions(done), done.data["unmanaged"]) == ([("detach", "orders")], ["audit of public.events"])
    assert not declare(trail, **one).changed
    assert actions(declare(trail, **one, purge=True)) == [("detach", "events")]
    assert not declare(trail, **one, purge=True).changed
    write(trail, "DELETE FROM orders")
    assert [operation for operation, *_ in entries(trail)] == ["INSERT"]
    assert ask(trail, "SELECT count(*) FROM pg_trigger WHERE tgname ~ '^pgstead_audit'") == [(2,)]


def test_a_parent_takes_over_from_its_partition(bare: Server) -> None:
    declare(bare, tables=[{"name": "events_1"}])
    with pytest.raises(SpecError, match=r"its partition public.events_1 has audit triggers of its own"):
        declare(bare, tables=[{"name": "events"}])
    both = [{"name": "events"}, {"name": "events_1", "state": "absent"}]
    assert actions(declare(bare, tables=both)) == [("detach", "events_1"), ("attach", "events")]
    with pytest.raises(SpecError, match=r"is recorded with its parent public.events \(the triggers that it has\)"):
        declare(bare, tables=[{"name": "events_1"}])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"tables": [{"name": "ordres"}]},
            r"tables\[0\] \(public.ordres\): table public.ordres does not exist; did you mean",
        ),
        ({"tables": [{"name": "shown"}]}, "is a view, which cannot carry this"),
        ({"tables": [{"name": "orders", "redacted_columns": ["crad"]}]}, "redacted column crad does not exist"),
        ({"tables": [{"name": "orders", "excluded_columns": ["Seen"]}]}, "excluded column Seen does not exist"),
        (
            {"tables": [{"name": "lines", "redacted_columns": ["sku"]}]},
            "redacted column sku is part of the primary key",
        ),
        ({"tables": [{"name": "events"}, {"name": "events_1"}]}, "is recorded with its parent"),
        ({"tables": [{"name": "audit.log"}]}, "schema of the log itself"),
        ({"readers": ["auditor", "nobody_here"]}, "readers: role nobody_here does not exist"),
        ({"readers": ["public"]}, "readers: role public does not exist"),
        ({"retention": "3 weeks"}, "retention: '3 weeks' is no time"),
        ({"partitions_ahead": 1}, "at least 2 months"),
        ({"context": {"user": "me"}}, "write app.user_id"),
        ({"audit_schema": "theirs"}, "schema theirs was not made for a log and holds other objects"),
        ({"audit_schema": "taken"}, "taken.log is there and was not made by this module"),
    ],
)
def test_bad_input_is_refused_before_anything_changes(bare: Server, changes: dict[str, Any], words: str) -> None:
    bare.run("CREATE SCHEMA theirs; CREATE TABLE theirs.things (a int)", database="trail")
    bare.run("CREATE SCHEMA taken; CREATE TABLE taken.log (a int)", database="trail")
    for check in (True, False):
        with pytest.raises(SpecError, match=words):
            declare(bare, check=check, **changes)
    assert ask(bare, "SELECT FROM pg_namespace WHERE nspname IN ('audit', 'pgstead')") == []


def test_all_that_is_wrong_is_reported_together(bare: Server) -> None:
    tables = [{"name": "ordres"}, {"name": "shown"}, {"name": "orders", "excluded_columns": ["x", "id"]}]
    with pytest.raises(SpecError) as caught:
        declare(bare, tables=tables, readers=["nobody_here"])
    assert len(caught.value.problems) == 5


def test_a_log_that_cannot_be_written_to_is_refused(trail: Server) -> None:
    trail.run("ALTER TABLE audit.log RENAME old TO former", database="trail")
    with pytest.raises(SpecError, match=r"audit.log was altered, and entries could not be written: it needs old jsonb"):
        declare(trail)


FORBIDDEN = [
    "SELECT * FROM audit.log",
    "SELECT * FROM audit.log_default",
    "SELECT audit.trail('public', 'orders', '1')",
    "INSERT INTO audit.log (at) VALUES (now())",
    "UPDATE audit.log SET role = 'x'",
    "DELETE FROM audit.log",
    "TRUNCATE audit.log",
    "DROP TABLE audit.log",
    "ALTER TABLE audit.log ADD COLUMN x int",
    "CREATE TABLE audit.mine (a int)",
    "ALTER TABLE orders DISABLE TRIGGER pgstead_audit_row",
    "DROP TRIGGER pgstead_audit_row ON orders",
    "CREATE TEMP TABLE t (a int); CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION audit.record_change()",
]


def test_an_application_can_do_nothing_with_the_log(trail: Server) -> None:
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    for statement in FORBIDDEN:
        with client(trail) as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)
    assert len(entries(trail)) == 1


def test_a_reader_reads_and_no_more(trail: Server) -> None:
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    assert ask(trail, "SELECT count(*) FROM audit.log", user="auditor") == [(1,)]
    assert len(ask(trail, "SELECT * FROM audit.trail('public', 'orders', '1')", user="auditor")) == 1
    for statement in FORBIDDEN[3:10]:
        with client(trail, "auditor") as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)


def test_the_owner_itself_cannot_rewrite_the_log(trail: Server) -> None:
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    tables = [
        name
        for (name,) in ask(
            trail, "SELECT oid::regclass::text FROM pg_class WHERE relname ~ '^log' AND relkind IN ('r', 'p')"
        )
    ]
    assert len(tables) == 6
    for table in tables:
        for statement in (f"UPDATE {table} SET role = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with client(trail, "shop_owner") as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)


def test_a_run_killed_after_any_step_is_continued_with_the_next(bare: Server) -> None:
    left = actions(declare(bare, check=True))
    while left:
        killed_after_one_step(lambda _items: declare(bare), [])
        following = actions(declare(bare, check=True))
        assert following == left[1:]
        left = following
    again = declare(bare)
    assert (again.changed, again.data["drift"]) == (False, [])


def test_a_run_broken_off_before_any_step_is_finished_by_the_next(bare: Server) -> None:
    for after in range(len(all_steps(bare))):
        with interrupted(after=after), pytest.raises(PgsteadError, match="broken off"):
            declare(bare)
        done = declare(bare)
        assert actions(done) == all_steps(bare)[after:]
        assert not declare(bare).changed
        bare.run("DROP SCHEMA audit CASCADE; DROP SCHEMA pgstead CASCADE", database="trail")


def test_other_kinds_pass_over_the_log(trail: Server) -> None:
    """What the collection made for itself is nobody's table: nothing is asked of it, and nothing said about it."""
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    with connect(place(trail)) as connection:
        assert {name.schema for name in read_tables(connection)} == {"public"}
    here = {"login_db": "trail"}
    export = dict(call(trail, "schema_export_info", here).data["export"])
    del export["audit"]
    assert "audit" not in str(export)
    lint = call(trail, "schema_lint_info", here)
    assert [found for found in lint.data["findings"] if "audit" in str(found["object"])] == []
    assert call(trail, "foreign_key_indexes", here).data["missing"] == []
    trail.run("DROP TABLE orders, lines, events, bare CASCADE", database="trail")
    assert call(trail, "indexes", {**here, "indexes": [{"table": "orders", "columns": ["id"]}]}).data["waiting"]


def test_a_second_log_of_another_name(trail: Server) -> None:
    done = declare(trail, audit_schema='Über "log"')
    assert actions(done) == all_steps(trail)
    assert not declare(trail, audit_schema='Über "log"').changed
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    assert ask(trail, 'SELECT count(*) FROM "Über ""log""".log') == [(1,)]
    assert entries(trail) == []
    with connect(place(trail)) as connection:
        assert {name.schema for name in read_tables(connection)} == {"public"}


def test_the_declaration_of_these_tests_is_whole() -> None:
    assert {item["name"] for item in DECLARED["tables"]} == {name for _action, name in TABLE_STEPS}


def test_the_export_of_an_audit_changes_nothing_when_it_is_applied(trail: Server) -> None:
    found = call(trail, "schema_export_info", {"login_db": "trail"})
    audit = found.data["export"]["audit"]
    assert audit == {"tables": [{"name": "events"}, {"name": "lines"}, ORDERS], "readers": ["auditor"]}
    assert found.data["left_out"] == [
        (
            "audit: declare row_security.context as its triggers have it, {user: app.user_id, role: app.user_role}, and its "
            "retention, which is not in the database"
        )
    ]
    again = declare(trail, check=True, **audit)
    assert (again.changed, again.diff) == (False, [])
