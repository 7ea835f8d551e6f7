"""PgBouncer's settings, sizes and version gates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import pooler
from ansible_collections.pgstead.ops.plugins.module_utils._core.databases import Database, databases

SPEC = pooler.PoolerSpec(
    listen_addresses=("127.0.0.1", "::1"),
    port=6432,
    pool_mode="transaction",
    default_pool_size=25,
    reserve_pool_size=10,
    max_db_connections=100,
    max_client_connections=1000,
    query_timeout=30,
    server_idle_timeout=600,
    processes=1,
    server_host="",
    server_port=5433,
    tls_certificate="/tls/server.crt",
    tls_key="/tls/server.key",
    tls_server_ca="/tls/ca.crt",
    tls_server_mode="verify-full",
)
VERSIONS = [(1, minor) for minor in range(18, 27)]


def make(*pools: dict[str, Any], logins: int = 2) -> tuple[Database, ...]:
    entries = []
    for number, pool in enumerate(pools):
        roles = {
            part: {"name": f"{part}{number}", "password": "correct horse"}
            for part in ("application_role", "readonly_role")[:logins]
        }
        entries.append({"name": f"db{number}", "owner": "boss", "pool": pool, **roles})
    return databases(entries, "C.UTF-8")


def values(version: pooler.Version, process: int = 0, **changed: Any) -> dict[str, str]:
    return {row.name: row.value for row in pooler.settings(replace(SPEC, **changed), version, process)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.18.0-1", (1, 18)), ("1.24.1-1+deb13u1", (1, 24)), ("2:1.23.1-2.pgdg12+1", (1, 23)), ("1.9", (1, 9))],
)
def test_parse_version(text: str, expected: tuple[int, int]) -> None:
    assert pooler.parse_version(text) == expected


@pytest.mark.parametrize("text", ["", "(none)", "one.two", "1"])
def test_parse_version_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="not a version of PgBouncer"):
        pooler.parse_version(text)


@pytest.mark.parametrize(
    ("found", "changed", "expected"),
    [
        ((), {}, 1),  # the lookup connection
        (make({}, logins=0), {}, 1),
        (make({}, logins=1), {}, 36),  # 25 + 10
        (make({}), {}, 71),  # two users, two pools
        (make({}, {}), {}, 141),
        (make({}), {"max_db_connections": 70}, 71),
        (make({}), {"max_db_connections": 69}, 70),
        (make({}, {}), {"max_db_connections": 50}, 101),  # each database has its own cap
        (make({"size": 60}), {}, 101),  # 2 × 70, capped
        (make({"size": 60}), {"max_db_connections": 0}, 141),  # 0 is no cap
        (make({"size": 5, "reserve": 0}), {}, 11),
        (make({"size": 5}), {}, 31),
        (make({"reserve": 0}), {}, 51),
        (make({}), {"processes": 4}, 284),  # each process has its own pools and its own lookup
    ],
)
def test_demand(found: tuple[Database, ...], changed: dict[str, Any], expected: int) -> None:
    assert pooler.demand(found, replace(SPEC, **changed), (1, 24)) == expected


@pytest.mark.parametrize(
    ("found", "changed", "expected"),
    [
        ((), {}, 0),
        (make({}), {}, 71),
        (make({}, {}), {}, 142),  # a lookup for each database, in either
        (make({}, {}, logins=0), {}, 2),
        (make({}), {"max_db_connections": 50}, 51),
    ],
)
def test_before_1_19_each_database_is_looked_up_in(
    found: tuple[Database, ...], changed: dict[str, Any], expected: int
) -> None:
    """PgBouncer 1.18 gives the lookups a pool of the full size in each database, which [users] bounds."""
    assert pooler.demand(found, replace(SPEC, **changed), (1, 18)) == expected
    bound = (f"pgbouncer_auth = max_user_connections={len(found)}",) if found else ()
    assert pooler.users(found, (1, 18)) == bound
    assert pooler.users(found, (1, 19)) == ()


@pytest.mark.parametrize(("available", "fits"), [(None, True), (71, True), (72, True), (70, False), (0, False)])
def test_demand_against_what_the_server_has(available: int | None, fits: bool) -> None:
    found = pooler.check(make({}), SPEC, available, (1, 24))
    assert (found == ()) is fits
    if not fits:
        assert found[0].where == "pgbouncer_default_pool_size"
        assert all(word in found[0].what for word in ("71", str(available), "postgresql_max_connections"))


@pytest.mark.parametrize(
    ("field", "variable", "lowest"),
    [
        ("default_pool_size", "pgbouncer_default_pool_size", 1),
        ("reserve_pool_size", "pgbouncer_reserve_pool_size", 0),
        ("max_db_connections", "pgbouncer_max_db_connections", 0),
        ("max_client_connections", "pgbouncer_max_client_conn", 1),
        ("query_timeout", "pgbouncer_query_timeout", 0),
        ("server_idle_timeout", "pgbouncer_server_idle_timeout", 0),
        ("processes", "pgbouncer_processes", 1),
    ],
)
def test_smallest_values(field: str, variable: str, lowest: int) -> None:
    assert pooler.check((), replace(SPEC, **{field: lowest}), None, (1, 24)) == ()
    (problem,) = pooler.check((), replace(SPEC, **{field: lowest - 1}), None, (1, 24))
    assert problem.where == variable
    assert f"below {lowest}" in problem.what


def test_all_problems_come_together() -> None:
    bad = replace(SPEC, default_pool_size=0, query_timeout=-1, server_host="db", processes=2)
    wheres = [problem.where for problem in pooler.check(make({}), bad, 0, (1, 18))]
    assert wheres == [
        "pgbouncer_default_pool_size",
        "pgbouncer_query_timeout",
        "pgbouncer_server_host",
        "pgbouncer_processes",
        "pgbouncer_default_pool_size",
    ]


@pytest.mark.parametrize(
    ("changed", "variable"),
    [({"server_host": "db"}, "pgbouncer_server_host"), ({"processes": 2}, "pgbouncer_processes")],
)
def test_what_1_19_brought(changed: dict[str, Any], variable: str) -> None:
    assert [p.where for p in pooler.check((), replace(SPEC, **changed), None, (1, 18))] == [variable]
    assert pooler.check((), replace(SPEC, **changed), None, (1, 19)) == ()


@pytest.mark.parametrize("name", ["a b", "ü", "a=b", "shop\n", "x;y"])
def test_database_names_pgbouncer_cannot_take(name: str) -> None:
    found = databases([{"name": name, "owner": "boss"}], "C")
    (problem,) = pooler.check(found, SPEC, None, (1, 24))
    assert problem.where == "pgstead_databases"
    assert repr(name) in problem.what


@pytest.mark.parametrize("version", VERSIONS)
def test_version_gates(version: pooler.Version) -> None:
    found = values(version)
    assert ("auth_dbname" in found) is (version >= (1, 19))
    assert ("max_prepared_statements" in found) is (version >= (1, 21))
    assert not {"so_reuseport", "peer_id"} & found.keys()
    names = [entry.name for entry in pooler.entries(make({}), SPEC, version)]
    assert names == (["db0", "pgb_auth"] if version >= (1, 19) else ["db0"])
    expected = ("postgres",) if version >= (1, 19) else ("db0", "db1")
    assert pooler.lookup_databases(make({}, {}), version) == expected


def test_settings_of_the_inventory_arrive() -> None:
    found = values((1, 24))
    expected = {
        "listen_addr": "127.0.0.1,::1",
        "listen_port": "6432",
        "pool_mode": "transaction",
        "max_client_conn": "1000",
        "default_pool_size": "25",
        "reserve_pool_size": "10",
        "max_db_connections": "100",
        "query_timeout": "30",
        "server_idle_timeout": "600",
        "client_tls_key_file": "/tls/server.key",
        "client_tls_cert_file": "/tls/server.crt",
        "server_tls_ca_file": "/tls/ca.crt",
        "unix_socket_dir": "/run/pgbouncer",
        "pidfile": "/run/pgbouncer/pgbouncer.pid",
    }
    assert expected.items() <= found.items()
    assert "server_tls_ca_file" not in values((1, 24), tls_server_ca="")


def test_tls_both_ways_and_no_secret() -> None:
    found = values((1, 24))
    assert found["client_tls_sslmode"] == "require"
    assert found["server_tls_sslmode"] == "verify-full"
    assert found["auth_type"] == "hba"
    assert "pgbouncer.lookup($1)" in found["auth_query"]


def test_several_processes_share_the_port_and_nothing_else() -> None:
    one, two = (values((1, 24), number, processes=2) for number in (1, 2))
    assert {name for name in one if one[name] != two[name]} == {"unix_socket_dir", "pidfile", "peer_id"}
    assert (two["unix_socket_dir"], two["peer_id"], two["so_reuseport"]) == ("/run/pgbouncer-2", "2", "1")


def test_entries() -> None:
    found = databases(
        [
            {"name": "shop", "owner": "b", "pool": {"size": 5, "reserve": 0, "mode": "session"}},
            {"name": "it's", "owner": "b"},
        ],
        "C",
    )
    assert [entry.render() for entry in pooler.entries(found, SPEC, (1, 24))] == [
        "shop = host=/var/run/postgresql port=5433 dbname=shop auth_user=pgbouncer_auth pool_size=5 reserve_pool=0 pool_mode=session",
        "it's = host=/var/run/postgresql port=5433 dbname='it''s' auth_user=pgbouncer_auth",
        "pgb_auth = host=/var/run/postgresql port=5433 dbname=postgres auth_user=pgbouncer_auth pool_size=1 reserve_pool=0",
    ]


def test_a_remote_server_keeps_the_lookup_local() -> None:
    first, lookup = pooler.entries(make({}), replace(SPEC, server_host="db.example.org"), (1, 24))
    assert dict(first.settings)["host"] == "db.example.org"
    assert dict(lookup.settings)["host"] == "/var/run/postgresql"


def test_hba_lines_need_tls_from_the_network() -> None:
    rows = [text.split() for text in pooler.hba_lines()]
    assert all(row[0] in ("local", "hostssl") for row in rows)
    assert {row[-1] for row in rows} == {"peer", "reject", "scram-sha-256"}
    assert all(row[-1] != "peer" for row in rows if row[0] == "hostssl")
    assert [row[1:] for row in rows if row[-1] == "peer"] == [
        ["pgbouncer", "postgres", "peer"],
        ["pgbouncer", "pgstead", "peer"],
    ]


def test_nobody_reaches_the_lookup_database() -> None:
    """The first line that fits decides."""
    rows = [text.split() for text in pooler.hba_lines()]
    for kind, address in (("local", []), ("hostssl", ["0.0.0.0/0"]), ("hostssl", ["::/0"])):
        fitting = [row for row in rows if row[0] == kind and row[1] in ("all", "pgb_auth") and row[3:-1] == address]
        assert fitting[0][-1] == "reject"
        assert fitting[-1] == [kind, "all", "all", *address, "scram-sha-256"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], ()),
        (["query_timeout", "default_pool_size", "max_client_conn", "client_tls_cert_file"], ()),
        (["query_timeout", "listen_port"], ("listen_port",)),
        (
            ["peer_id", "so_reuseport", "unix_socket_dir", "listen_addr"],
            ("peer_id", "so_reuseport", "unix_socket_dir", "listen_addr"),
        ),
    ],
)
def test_needs_restart(changed: list[str], expected: tuple[str, ...]) -> None:
    assert pooler.needs_restart(changed) == expected


def limited(
    role: int | None = None, database: int | None = None, pool: dict[str, Any] | None = None
) -> tuple[Database, ...]:
    login = {"name": "app", "password": "correct horse", "connection_limit": role}
    first = {"name": "a", "owner": "boss"}
    second = {"name": "b", "owner": "boss", "application_role": login, "connection_limit": database, "pool": pool}
    return databases([first, second], "C")


@pytest.mark.parametrize(
    ("found", "changed", "said"),
    [
        (limited(), {}, []),
        (limited(role=35, database=35), {}, []),
        (limited(role=34), {}, ["role app", "34", "35"]),
        (limited(role=0), {}, ["role app", "0 connections"]),
        (limited(database=34), {}, ["database b", "34", "35"]),
        (limited(role=10, pool={"size": 8, "reserve": 2}), {}, []),
        (limited(role=9, pool={"size": 8, "reserve": 2}), {}, ["9", "10"]),
        (limited(role=69), {"processes": 2}, ["69", "70"]),
        (limited(role=20), {"max_db_connections": 20}, []),
        (limited(role=19), {"max_db_connections": 20}, ["19"]),
        (limited(role=39), {"max_db_connections": 20, "processes": 2}, ["39"]),
        (limited(role=34), {"max_db_connections": 0}, ["34", "35"]),
    ],
)
def test_limits_below_the_pool(found: tuple[Database, ...], changed: dict[str, Any], said: list[str]) -> None:
    problems = pooler.check(found, replace(SPEC, **changed), None, (1, 24))
    assert len(problems) == bool(said)
    for problem in problems:
        assert problem.where == "pgstead_databases[1]"
        assert all(word in problem.what for word in (*said, "connection_limit"))


@pytest.mark.parametrize(("limit", "good"), [(71, True), (70, False)])
def test_a_database_has_room_for_its_lookups(limit: int, *, good: bool) -> None:
    login = {"application_role": {"name": "app"}, "readonly_role": {"name": "read"}}
    found = databases([{"name": "db", "owner": "boss", "connection_limit": limit, **login}], "C")
    assert (pooler.check(found, SPEC, None, (1, 18)) == ()) is good
    assert pooler.check(found, SPEC, None, (1, 19)) == ()


@pytest.mark.parametrize(
    ("clients", "processes", "files", "good"),
    [
        (1000, 1, 1135, True),  # 1000 clients, 71 servers, 64 others
        (1000, 1, 1134, False),
        (1000, 2, 1135, True),  # each has its own
        (100000, 1, 65536, False),
    ],
)
def test_open_files_of_a_process(clients: int, processes: int, files: int, *, good: bool) -> None:
    spec = replace(SPEC, max_client_connections=clients, processes=processes)
    found = pooler.file_problems(spec, 71 * processes, files)
    assert (found == []) is good
    for problem in found:
        assert problem.where == "pgbouncer_max_client_conn"
        assert all(word in problem.what for word in (str(clients), str(files), "LimitNOFILE", "pgbouncer_processes"))


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        ("server_host", "pgbouncer_server_host"),
        ("tls_certificate", "postgresql_tls.certificate"),
        ("tls_key", "postgresql_tls.key"),
        ("tls_server_ca", "postgresql_tls.ca"),
    ],
)
def test_a_line_break_is_no_second_setting(field: str, variable: str) -> None:
    (problem,) = pooler.check((), replace(SPEC, **{field: "/a\nadmin_users = shop"}), None, (1, 24))
    assert problem.where == variable
    assert "line break" in problem.what


def test_the_lookup_role_is_nobody_to_log_in_as() -> None:
    """PgBouncer makes it a user with an empty secret (auth_user), and it may read the verifiers of all roles."""
    rows = [text.split() for text in pooler.hba_lines()]
    for kind, address in (("local", []), ("hostssl", ["0.0.0.0/0"]), ("hostssl", ["::/0"])):
        fitting = [
            row[-1]
            for row in rows
            if row[0] == kind
            and row[1] in ("all", "shop")
            and {"all", "pgbouncer_auth"} & set(row[2].split(","))
            and row[3:-1] == address
        ]
        assert fitting[0] == "reject"


@pytest.mark.parametrize("name", pooler.ADMINISTRATORS)
@pytest.mark.parametrize("kind", ["local", "hostssl"])
def test_administrators_come_by_peer_or_not_at_all(name: str, kind: str) -> None:
    """Their entries in userlist.txt have an empty secret, which must open nothing."""
    rows = [text.split() for text in pooler.hba_lines()]
    for database in ("pgbouncer", "shop"):
        fitting = [
            r[-1] for r in rows if r[0] == kind and r[1] in ("all", database) and {name, "all"} & set(r[2].split(","))
        ]
        assert fitting[0] == ("peer" if (kind, database) == ("local", "pgbouncer") else "reject")
