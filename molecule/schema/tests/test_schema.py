"""The role schema on hosts: what it made, that it makes it once, and what it refuses with nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import SCENARIO, VERSIONS, Run, Server, password, play

SCHEMA = "pgstead.ops.schema"
NOTHING = dict.fromkeys(VERSIONS, 0)
RUNS = {
    "site in check mode": ("pgstead.ops.site", "--check", "--diff"),
    "schema alone": (SCHEMA,),
    "site, schema by tag": ("pgstead.ops.site", "--tags", "schema"),
}
OBJECTS = """
SELECT string_agg(what, ' ' ORDER BY what) FROM (
  SELECT c.relname || CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE ' (invalid)' END
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE c.relnamespace = 'app'::regnamespace AND NOT i.indisprimary
  UNION ALL
  SELECT conname || CASE WHEN convalidated THEN '' ELSE ' (not valid)' END
  FROM pg_constraint WHERE connamespace = 'app'::regnamespace AND contype = 'c'
) AS x(what)
"""
EXPECTED = sorted(
    [
        *("orders_user_id_created_at_idx", "orders_note_trgm_idx", "users_email_lower_key"),
        *("events_at_kind_idx", "events_2026_at_kind_idx", "events_2027_at_kind_idx", "orders_replaces_fkey_idx"),
        *("documents_tenant_rls_idx", "users_by_domain_key"),
        *("orders_total_not_negative", "orders_note_short", "events_kind_known"),
        *("events_kind_known", "events_kind_known"),  # of the partitions
    ]
)


def script(name: str) -> list[str]:
    return [str(SCENARIO / "files" / name)]


def objects(server: Server) -> list[str]:
    return sorted(server.sql(OBJECTS, "shop").split())


def test_what_is_declared_is_there_and_valid(server: Server) -> None:
    assert objects(server) == EXPECTED
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('app', 'pgstead')"
    assert server.sql(owners, "shop") == "shop_owner"
    assert server.ask("SELECT count(*) FROM app.orders") == [(5000,)]
    assert server.sql("SELECT what, count(*) FROM pgstead.loaded GROUP BY 1", "shop") == "load_sql|2"


def test_a_command_ran_as_the_owner(server: Server) -> None:
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert server.sql(owners, "vending-2") == "vending owner"
    assert server.sql("SELECT what FROM pgstead.loaded", "vending-2") == "migrate_command"


@pytest.mark.parametrize("name", RUNS)
def test_another_run_changes_nothing_and_says_how_things_are(name: str) -> None:
    playbook, *arguments = RUNS[name]
    run = play(*arguments, playbook=playbook)
    assert run.code == 0, run.output
    assert run.changed == NOTHING, run.output
    assert "shop: load_sql: everything has run already" in run.output
    assert "shop: check constraints: all check constraints are as declared" in run.output
    assert "empty: indexes: waiting for migrations: the database has no tables yet" in run.output
    assert "vending-2: foreign key indexes: without one are sales_machine_id_fkey of public.sales" in run.output


def test_a_release_is_predicted_and_what_it_drops_is_healed_and_reported(both: list[Server]) -> None:
    check = play("--check", playbook=SCHEMA, more_scripts=script("drops_an_index.sql"))
    assert check.code == 0, check.output
    assert check.changed == dict.fromkeys(VERSIONS, 1), check.output
    assert "indexes: to be compared when that has run" in check.output
    run = play("--diff", playbook=SCHEMA, more_scripts=script("drops_an_index.sql"))
    assert run.code == 0, run.output
    assert run.changed == dict.fromkeys(VERSIONS, 2), run.output
    assert "index app.users_email_lower_key was there since" in run.output
    for server in both:
        assert objects(server) == EXPECTED
        assert server.sql("SELECT count(*) FROM information_schema.columns WHERE column_name = 'phone'", "shop") == "1"
    assert play(playbook=SCHEMA).changed == NOTHING


REFUSED = {
    "rows that contradict a constraint": (
        {
            "more_checks": [{"table": "orders", "name": "orders_total_small", "expression": "total < 4990"}],
            "more_indexes": [{"table": "orders", "columns": ["total"]}],
        },
        "check_constraints[3] (orders_total_small): 11 rows of app.orders contradict it, among them",
    ),
    "rows that are not unique": (
        {"more_indexes": [{"table": "orders", "columns": ["user_id"], "unique": True}]},
        "rows are not unique",
    ),
    "an expression that the server refuses": (
        {"more_checks": [{"table": "orders", "name": "wrong", "expression": "totl > 0"}]},
        "check_constraints[3] (wrong): column",
    ),
    "an index without columns, and all else that is wrong": (
        {"more_indexes": [{"table": "orders"}], "more_checks": [{"table": "a.b.c", "name": "x", "expression": "true"}]},
        "pgstead_databases[0].indexes[5] (orders): columns is empty",
    ),
    "a key that there is not": (
        {"more_indexes": [{"table": "orders", "colums": ["total"]}]},
        "pgstead_databases.indexes.colums",
    ),
    "a script with transaction control": (
        {"more_scripts": script("commits.sql")},
        "line 2: COMMIT is for transactions",
    ),
    "a script that fails": (
        {"more_scripts": script("drops_an_index.sql") + script("fails.sql")},
        "fails.sql, line 3: division by zero",
    ),
    "a script that is not there": ({"more_scripts": script("nowhere.sql")}, "nowhere.sql"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name_with_nothing_changed(case: str, both: list[Server]) -> None:
    variables, words = REFUSED[case]
    run = play(playbook=SCHEMA, **variables)
    assert run.code != 0, run.output
    assert words in run.output
    assert run.failed == dict.fromkeys(VERSIONS, 1), run.output
    assert run.changed == NOTHING, run.output
    for server in both:
        assert objects(server) == EXPECTED
        assert server.sql("SELECT to_regclass('app.half_way') IS NULL", "shop") == "t"


def from_controller(server: Server, directory: Path, *arguments: str, **told: object) -> Run:
    place = {
        "address": server.address,
        "port": 5432,
        "user": "deployer",
        "password": password(),
        "certificate": server.certificate(directory),
    }
    return play(*arguments, playbook=str(SCENARIO / "from_controller.yml"), place=place | told)


def test_the_controller_does_it_over_verified_tls(server: Server, tmp_path: Path) -> None:
    server.sql(f"CREATE ROLE deployer LOGIN PASSWORD '{password()}' IN ROLE shop_owner")
    try:
        assert from_controller(server, tmp_path, "--check").code != 0  # what is not migrated cannot be compared
        run = from_controller(server, tmp_path)
        assert run.code == 0, run.output
        assert run.changed == {"localhost": 3}, run.output
        assert "parcels_code_idx" in run.output
        for arguments in ((), ("--check",)):
            again = from_controller(server, tmp_path, *arguments)
            assert (again.code, again.changed) == (0, {"localhost": 0}), again.output
        assert server.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'parcels'", "shop") == "shop_owner"
    finally:
        server.sql(
            "DROP TABLE IF EXISTS app.parcels; DELETE FROM pgstead.loaded WHERE what = 'migrate_command'", "shop"
        )
        server.sql("DELETE FROM pgstead.made WHERE table_name = 'parcels'", "shop")
        server.sql("DROP ROLE deployer")


CONNECTIONS = {
    "through the pooler": ({"port": 6432, "user": "shop_app"}, "is a connection pooler: locks and session settings"),
    "with a wrong password": ({"user": "shop_app", "password": "wrong-password"}, "password authentication failed"),
    "without the owner's rights": ({"user": "shop_app"}, "shop_app cannot act as shop_owner"),
    "with another authority": ({"certificate": "/etc/ssl/certs/ca-certificates.crt"}, "certificate verify failed"),
}


@pytest.mark.parametrize("case", CONNECTIONS)
def test_connections_that_are_refused_by_name(case: str, both: list[Server], tmp_path: Path) -> None:
    told, words = CONNECTIONS[case]
    run = from_controller(both[-1], tmp_path, **told)
    assert run.code != 0, run.output
    assert words in run.output
    assert password() not in run.output
