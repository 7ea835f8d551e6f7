"""What _core decides and _pg asks, against every major that the collection promises."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg2 import errors as refusals

from ansible_collections.pgstead.ops.plugins.module_utils._core import access, baseline, catalogue, tuning
from ansible_collections.pgstead.ops.plugins.module_utils._core import databases as db
from ansible_collections.pgstead.ops.plugins.module_utils._core.settings import check, literal
from ansible_collections.pgstead.ops.plugins.module_utils._core.units import GB
from ansible_collections.pgstead.ops.plugins.module_utils._pg import pooler_auth, serving
from ansible_collections.pgstead.ops.plugins.module_utils._pg.access import observe
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, rows

from .conftest import USER, Server

LIBRARIES = ("pg_stat_statements", "auto_explain")
# what these builds, or a server without its Debian surroundings, cannot have
ELSEWHERE = {
    *("ssl", "ssl_cert_file", "ssl_key_file", "data_directory", "hba_file", "ident_file", "external_pid_file"),
    *("log_directory", "logging_collector", "unix_socket_directories", "port", "listen_addresses", "wal_compression"),
}


def rendered(version: int, profile: str) -> dict[str, str]:
    instance = baseline.Instance(version, "main", 5432, "/d", ("localhost",), "C", "/c", "/k")
    host = tuning.Resources(2 * GB, 2, "ssd", 50 * GB)
    settings = (
        *baseline.baseline(instance, "production", LIBRARIES, 0.001, 50 * GB),
        *tuning.tune(host, profile, version),
    )
    assert check(settings, version, LIBRARIES) == ()
    return {setting.name: setting.value for setting in settings if setting.name not in ELSEWHERE}


@pytest.mark.parametrize("profile", tuning.PROFILES)
def test_the_server_starts_with_every_computed_setting_and_has_it_in_force(server: Server, profile: str) -> None:
    values = rendered(server.version, profile)
    server.configure("\n".join(f"{name} = {literal(value)}" for name, value in values.items()))
    server.control("-m", "fast", "restart")
    state = serving.read(server.target)
    assert (state.errors, state.pending, dict(state.overridden)) == ((), (), {})
    with connect(server.target) as connection:
        shown = dict(rows(connection, "SELECT name, setting FROM pg_settings"))
    known = catalogue.parameters(server.version)
    for name, value in values.items():
        if known[name.lower()].kind in ("integer", "real") and name != "log_file_mode":
            assert float(catalogue.in_base_unit(known[name.lower()], value)) == pytest.approx(float(shown[name])), name


def test_the_catalogue_knows_exactly_this_servers_settings(server: Server) -> None:
    with connect(server.target) as connection:
        found = rows(connection, "SELECT lower(name), vartype, context FROM pg_settings WHERE context <> 'internal'")
    known = catalogue.parameters(server.version)
    # these builds lack compression libraries, which only narrows the words of two enums
    assert {(name, p.kind, p.context) for name, p in known.items()} == set(found)


def test_errors_pending_restarts_and_overrides_are_seen(server: Server) -> None:
    values = rendered(server.version, "oltp")
    body = "\n".join(f"{name} = {literal(value)}" for name, value in values.items())
    server.configure(body)
    server.control("-m", "fast", "restart")
    server.configure(body + "\nwork_mem = '1 parsec'")
    state = serving.reload(server.target)
    assert any("work_mem" in error for error in state.errors), state
    server.configure(body + "\nmax_worker_processes = 9")
    server.run("ALTER SYSTEM SET work_mem = '77MB'")
    state = serving.reload(server.target)
    assert state.errors == ()
    assert state.pending == ("max_worker_processes",)
    assert set(state.overridden) == {"work_mem"}
    server.run("ALTER SYSTEM RESET ALL")
    server.configure(body)
    assert serving.reload(server.target).pending == ()


def test_the_lookup_function_is_installed_once_and_gives_secrets_to_the_pooler_only(server: Server) -> None:
    assert pooler_auth.install(server.target) != []
    assert pooler_auth.steps(server.target) == []
    server.run(
        "CREATE ROLE client LOGIN PASSWORD 'a-password'", "CREATE ROLE late LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'"
    )
    pooler = replace(server.target, user=pooler_auth.ROLE)
    with connect(pooler) as connection:
        ((name, secret),) = rows(connection, "SELECT * FROM pgbouncer.lookup('client')")
        assert (name, secret[:14]) == ("client", "SCRAM-SHA-256$")
        assert rows(connection, "SELECT * FROM pgbouncer.lookup('late')") == [("late", None)]
        assert rows(connection, "SELECT * FROM pgbouncer.lookup('postgres')") == []
    with connect(replace(server.target, user="client")) as connection, pytest.raises(refusals.InsufficientPrivilege):
        rows(connection, "SELECT * FROM pgbouncer.lookup('client')")
    server.run("GRANT EXECUTE ON FUNCTION pgbouncer.lookup(text) TO PUBLIC")
    assert pooler_auth.steps(server.target) != []
    server.run("DROP ROLE client", "DROP ROLE late")


DECLARED = {
    "name": "shop",
    "owner": "boss",
    "schemas": ["public", "app"],
    "application_role": {"name": "clerk", "password": "a-password", "lock_timeout": "5s"},
    "readonly_role": {"name": "reader", "password": "b-password"},
    "extensions": ["pg_trgm"],
}
WANTED = db.databases([DECLARED], "C")
EXPECTED = {"shop": [("clerk", "table", "SELECT"), ("reader", "table", "SELECT"), ("clerk", "sequence", "USAGE")]}


def look(server: Server) -> access.Plan:
    observed = observe(server.target, ["shop"], EXPECTED)
    return {kind: steps for kind, steps in access.plan(WANTED, "watcher", observed).items() if steps}


def carry_out(server: Server, steps: access.Plan) -> None:
    """Do in plain SQL what community.postgresql is asked to do."""
    for role in steps.get("roles", []):
        password = {"clerk": "PASSWORD 'a-password'", "reader": "PASSWORD 'b-password'"}.get(role["name"], "")
        flags = role["role_attr_flags"].replace(",", " ")
        server.run(f'CREATE ROLE "{role["name"]}" {flags} {password} CONNECTION LIMIT {role["connection_limit"]}')
        for name, value in role["parameters"].items():
            server.run(f"ALTER ROLE \"{role['name']}\" SET {name} = '{value}'")
    for item in steps.get("memberships", []):
        server.run(f"GRANT {item['group']} TO {item['member']}")
    for item in steps.get("databases", []):
        server.run(f"CREATE DATABASE {item['name']} OWNER {item['owner']} TEMPLATE template0")
    for item in steps.get("schemas", []):
        server.run(f"CREATE SCHEMA IF NOT EXISTS {item['name']}", database=item["database"])
        server.run(f"ALTER SCHEMA {item['name']} OWNER TO {item['owner']}", database=item["database"])
    for item in steps.get("extensions", []):
        server.run(f"CREATE EXTENSION {item['name']}", database=item["database"])
    for item in steps.get("privileges", []):
        verb, to = ("REVOKE", "FROM") if item["state"] == "absent" else ("GRANT", "TO")
        if item["type"] == "default_privs":
            start = f"ALTER DEFAULT PRIVILEGES FOR ROLE {item['target_roles']} IN SCHEMA {item['schema']} {verb}"
            server.run(f"{start} {item['privileges']} ON {item['objects']} {to} {item['roles']}", database="shop")
        elif item["objects"] == "ALL_IN_SCHEMA":
            scope = f"ALL {item['type']}S IN SCHEMA {item['schema']}"
            server.run(f"{verb} {item['privileges']} ON {scope} {to} {item['roles']}", database="shop")
        else:
            what = f"{item['type']} {item['objects']}"
            server.run(f"{verb} {item['privileges']} ON {what} {to} {item['roles']}", database="shop")


def test_the_access_plan_is_carried_out_once_and_then_empty(server: Server) -> None:
    steps = look(server)
    assert set(steps) == set(access.KINDS)
    carry_out(server, steps)
    assert look(server) == {}


@pytest.mark.parametrize(
    ("drift", "kind"),
    [
        ("ALTER ROLE clerk PASSWORD 'another'", "roles"),
        ("ALTER ROLE clerk RESET lock_timeout", "roles"),
        ("ALTER ROLE clerk SET statement_timeout = '1s'", "roles"),
        ("ALTER ROLE boss LOGIN", "roles"),
        ("REVOKE pg_monitor FROM watcher", "memberships"),
        ("ALTER SCHEMA app OWNER TO postgres", "schemas"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "privileges"),
        ("GRANT CONNECT ON DATABASE shop TO PUBLIC", "privileges"),
        ("CREATE TABLE app.made_by_another_hand (id serial)", "privileges"),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE boss IN SCHEMA app REVOKE SELECT ON TABLES FROM reader", "privileges"),
        ("DROP EXTENSION pg_trgm", "extensions"),
    ],
)
def test_one_drift_is_one_kind_of_step(server: Server, drift: str, kind: str) -> None:
    if found := look(server):
        pytest.fail(f"the database was not converged before this case: {found}")
    target = Target(server.target.socket_directory, server.target.port, "shop", system_user=USER)
    with connect(target) as connection, connection.cursor() as cursor:
        cursor.execute(drift)
    steps = look(server)
    assert set(steps) == {kind}
    if kind == "roles":
        server.run("ALTER ROLE boss NOLOGIN", "ALTER ROLE clerk PASSWORD 'a-password'")
        server.run("ALTER ROLE clerk SET lock_timeout = '5s'", "ALTER ROLE clerk RESET statement_timeout")
    else:
        carry_out(server, steps)


@pytest.mark.parametrize("off", ["", "hashjoin", "nestloop", "mergejoin"])
def test_rights_are_read_whatever_the_plan(server: Server, off: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner that knows the catalogue's size asks for rights before it looks at what kind a relation is."""
    server.run("CREATE TABLE app.numbered (id serial); ANALYZE pg_catalog.pg_class", database="shop")
    if off:
        monkeypatch.setenv("PGOPTIONS", f"-c enable_{off}=off -c enable_material=off")
    try:
        assert {(step["type"], step["objects"]) for step in look(server)["privileges"]} == {
            ("table", "ALL_IN_SCHEMA"),
            ("sequence", "ALL_IN_SCHEMA"),
        }
    finally:
        server.run("DROP TABLE app.numbered", database="shop")


def test_what_a_role_has_in_one_database_is_read(server: Server) -> None:
    def said() -> list[str]:
        found = access.findings(WANTED, observe(server.target, ["shop"], EXPECTED))
        return [line for line in found if not line.startswith("database shop has encoding")]

    server.run(
        "ALTER ROLE clerk IN DATABASE shop SET lock_timeout = '1min'", "ALTER DATABASE shop SET lock_timeout = 0"
    )
    try:
        (found,) = said()
    finally:
        server.run("ALTER ROLE clerk IN DATABASE shop RESET ALL", "ALTER DATABASE shop RESET ALL")
    assert found.startswith("role clerk has lock_timeout = 1min in database shop, where the inventory says 5s: ")
    assert said() == []
