"""An audit log that others put something on, or stand above; tables under another name; an index as it once was."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

from .audit_world import DECLARED, actions, ask, declare, entries, month, write
from .conftest import Server

FUNCTION = "CREATE FUNCTION public.silence() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
SILENT = FUNCTION + "CREATE TRIGGER silent BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION public.silence()"
MEDDLING = [
    (SILENT.format("audit.log"), "trigger silent on audit.log could silence", "DROP TRIGGER silent ON audit.log"),
    (SILENT.format("audit.{month}"), "trigger silent on audit.log_20", "DROP TRIGGER silent ON audit.{month}"),
    (
        "CREATE RULE quiet AS ON INSERT TO audit.log DO INSTEAD NOTHING",
        "rule quiet on audit.log could",
        "DROP RULE quiet ON audit.log",
    ),
    (
        "ALTER TABLE audit.log ENABLE ROW LEVEL SECURITY",
        "row security of audit.log could",
        "ALTER TABLE audit.log DISABLE ROW LEVEL SECURITY",
    ),
    (
        "ALTER TABLE audit.log_default ENABLE ROW LEVEL SECURITY",
        "row security of audit.log_default could",
        "ALTER TABLE audit.log_default DISABLE ROW LEVEL SECURITY",
    ),
    (
        "ALTER TABLE audit.log_default OWNER TO clerk",
        "clerk, whom audit.log_default belongs to, could",
        "ALTER TABLE audit.log_default OWNER TO shop_owner",
    ),
    (
        "ALTER SCHEMA audit OWNER TO clerk",
        "clerk, whom schema audit belongs to, could",
        "ALTER SCHEMA audit OWNER TO shop_owner",
    ),
]


IDS = (
    "trigger",
    "trigger of a month",
    "rule",
    "row security",
    "row security of a month",
    "month's owner",
    "schema's owner",
)


@pytest.mark.parametrize(("done", "words", "remedy"), MEDDLING, ids=IDS)
def test_what_could_silence_the_log_is_refused(trail: Server, done: str, words: str, remedy: str) -> None:
    trail.run(done.format(month=month(trail)), database="trail")
    for check in (True, False):
        with pytest.raises(SpecError, match=words) as caught:
            declare(trail, check=check)
    (problem,) = caught.value.problems
    statement = remedy.format(month=month(trail))
    assert f": {statement}, and run again" in problem.what
    trail.run(statement, database="trail")
    declare(trail)
    assert not declare(trail).changed
    write(trail, "INSERT INTO orders (id) VALUES (1)")
    assert len(entries(trail)) == 1


def test_a_log_is_not_made_in_a_schema_of_somebody_else(bare: Server) -> None:
    bare.run("CREATE SCHEMA audit AUTHORIZATION clerk", database="trail")
    with pytest.raises(
        SpecError, match=r"clerk, whom schema audit belongs to, .*ALTER SCHEMA audit OWNER TO shop_owner"
    ):
        declare(bare)


def test_who_stands_above_the_rights_on_the_log_is_named(trail: Server) -> None:
    roles = "loader", "reporter", "admin"
    trail.run(
        *(f"CREATE ROLE {role}" for role in roles),
        "GRANT pg_write_all_data TO loader, admin",
        "GRANT pg_read_all_data TO reporter, admin, auditor, shop_owner",
    )
    try:
        done = declare(trail)
        assert (done.changed, done.data["drift"]) == (False, [])
        assert [warning.split(" entries of audit.log as a member of ")[0] for warning in done.warnings] == [
            "admin may read",
            "admin may insert, change and delete",
            "loader may insert, change and delete",
            "reporter may read",
        ]
    finally:
        trail.run("REVOKE pg_read_all_data FROM auditor, shop_owner", *(f"DROP ROLE {role}" for role in roles))
    assert declare(trail).warnings == ()


def test_a_renamed_table_no_longer_writes_into_another_trail(trail: Server) -> None:
    columns = "(id int, day date, kind text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)"
    trail.run(
        f"""ALTER TABLE events RENAME TO events_old; ALTER INDEX events_pkey RENAME TO former; CREATE TABLE events {columns};
        CREATE TABLE events_new PARTITION OF events DEFAULT; ALTER TABLE events OWNER TO shop_owner; ALTER TABLE events_new OWNER TO shop_owner;
        GRANT ALL ON events, events_old TO shop_app""",
        database="trail",
    )
    predicted = declare(trail, check=True)
    done = declare(trail)
    assert predicted.diff == done.diff
    assert sorted(actions(done)) == [("attach", "events"), ("attach", "events_old")]
    renamed = (
        "trigger pgstead_audit_row on public.events_old wrote under the name public.events: somebody renamed the table"
    )
    assert renamed in done.data["drift"]
    again = declare(trail)
    assert (again.changed, again.data["drift"], again.data["unmanaged"]) == (False, [], ["audit of public.events_old"])
    write(trail, "INSERT INTO events_old VALUES (1, '2026-01-05', 'a')")
    assert (len(entries(trail, "events")), len(entries(trail, "events_old"))) == (0, 1)


def test_a_declared_table_in_another_schema_writes_under_its_name(trail: Server) -> None:
    trail.run("CREATE SCHEMA shop AUTHORIZATION shop_owner; ALTER TABLE events SET SCHEMA shop", database="trail")
    tables = [*DECLARED["tables"][:2], {"name": "shop.events"}]
    done = declare(trail, tables=tables)
    assert actions(done) == [("attach", "events")]
    assert "wrote under the name public.events" in done.data["drift"][0]
    assert not declare(trail, tables=tables).changed


def test_the_index_of_an_earlier_version_is_replaced(trail: Server) -> None:
    """It held whole keys, so that rows with long ones could not be changed."""
    trail.run(
        "SET ROLE shop_owner; DROP INDEX audit.log_record_idx;"
        " CREATE INDEX log_record_idx ON audit.log (schema_name, table_name, record, at)",
        database="trail",
    )
    trail.run("COMMENT ON INDEX audit.log_record_idx IS 'managed by pgstead.ops.audit'", database="trail")
    assert declare(trail).changed
    assert not declare(trail).changed
    ((definition,),) = ask(trail, "SELECT pg_get_indexdef('audit.log_record_idx'::regclass)")
    assert definition.endswith('USING btree ("left"(record, 500), table_name, schema_name, at)')
