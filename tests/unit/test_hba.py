"""pg_hba.conf and pg_ident.conf as data."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import hba

OWN = hba.default_lines([], "pgstead_monitor")


def complaints(*items: dict[str, Any], networks: tuple[str, ...] = ()) -> list[str]:
    return [str(problem) for problem in hba.check(hba.declared_lines(items), networks, OWN)]


def line(**changed: str) -> dict[str, Any]:
    return {"type": "hostssl", "database": "shop", "user": "bob", "address": "10.1.0.0/16"} | changed


def test_defaults_are_scram_and_tls_for_every_remote_line() -> None:
    lines = hba.default_lines(["10.0.0.0/8"], "watcher")
    remote = [entry for entry in lines if entry.type != "local"]
    assert [entry.address for entry in remote] == ["127.0.0.1/32", "::1/128", "10.0.0.0/8"]
    assert {(entry.type, entry.method) for entry in remote} == {("hostssl", "scram-sha-256")}
    assert {entry.method for entry in lines} == {"peer", "scram-sha-256"}
    assert all(entry.comment for entry in lines)


def test_local_peers_come_before_everybody() -> None:
    """The first line that fits decides: the catch-all must be the last local one."""
    lines = [entry for entry in hba.default_lines([], "watcher") if entry.type == "local"]
    assert [(entry.database, entry.user, entry.options) for entry in lines] == [
        ("all", "postgres", "map=superuser"),
        ("replication", "postgres", "map=superuser"),
        ("all", "watcher", "map=pgstead"),
        ("all", "pgbouncer_auth", "map=pgbouncer"),
        ("all", "all", ""),
    ]
    assert lines[-1].method == "scram-sha-256"


def test_no_rule_for_everybody_keeps_our_own_jobs_out() -> None:
    declared = hba.declared_lines([{"type": "local"}, line()])
    lines = hba.ordered(declared, OWN)
    assert [entry.method for entry in lines[:4]] == ["peer"] * 4
    assert lines[4:6] == declared
    assert sorted(map(repr, lines)) == sorted(map(repr, (*declared, *OWN)))


@pytest.mark.parametrize(("user", "reached"), [
    ("postgres", False),
    ("postgres, pgstead_monitor", False),
    ("postgres, bob", True),
    ("all", True),
    ("+dba", True),
    ("bob", True),
])  # fmt: skip
def test_a_line_that_is_never_reached_is_refused(user: str, reached: bool) -> None:
    found = complaints(line(type="local", address="", user=user, method="scram-sha-256"))
    assert (found == []) is reached
    assert reached or "never reached" in found[0]
    assert complaints(line(user=user)) == []


def test_every_map_of_the_default_lines_exists() -> None:
    maps = {entry.map for entry in hba.ident_lines("watcher", [])}
    assert {entry.options.removeprefix("map=") for entry in OWN if entry.options} == maps


def test_ident_lines() -> None:
    lines = hba.ident_lines("watcher", [{"map": "superuser", "system_user": "dba", "database_user": "postgres"}])
    pairs = [(entry.map, entry.system_user, entry.database_user) for entry in lines]
    assert pairs == [
        ("superuser", "postgres", "postgres"),
        ("superuser", "root", "postgres"),
        ("pgbouncer", "pgbouncer", "pgbouncer_auth"),
        ("pgstead", "pgstead", "watcher"),
        ("superuser", "dba", "postgres"),
    ]
    assert lines[-1].render().split() == ["superuser", "dba", "postgres"]


def test_declared_lines_have_defaults() -> None:
    (found,) = hba.declared_lines([{"type": "hostssl", "address": "10.0.0.0/8"}])
    assert found == hba.HbaLine("hostssl", "all", "all", "10.0.0.0/8", "scram-sha-256", "", "")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (line(), ["hostssl", "shop", "bob", "10.1.0.0/16", "scram-sha-256"]),
        (line(options="map=x"), ["hostssl", "shop", "bob", "10.1.0.0/16", "scram-sha-256", "map=x"]),
        (line(user="+staff, bob"), ["hostssl", "shop", "+staff,bob", "10.1.0.0/16", "scram-sha-256"]),
        (line(database="a-b,/^shop_[0-9]+$"), ["hostssl", "a-b,/^shop_[0-9]+$", "bob", "10.1.0.0/16", "scram-sha-256"]),
        (line(user="ann#e"), ["hostssl", "shop", '"ann#e"', "10.1.0.0/16", "scram-sha-256"]),
        (line(user='o"brien'), ["hostssl", "shop", '"o""brien"', "10.1.0.0/16", "scram-sha-256"]),
        (line(user='"all"'), ["hostssl", "shop", '"all"', "10.1.0.0/16", "scram-sha-256"]),
        (line(user='"a""b"'), ["hostssl", "shop", '"a""b"', "10.1.0.0/16", "scram-sha-256"]),
        ({"type": "local", "method": "peer"}, ["local", "all", "all", "peer"]),
    ],
)
def test_render(entry: dict[str, Any], expected: list[str]) -> None:
    (found,) = hba.declared_lines([entry])
    assert found.render().split() == expected


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("bob smith", '"bob smith"'),
        ('"bob" all trust #"', '"""bob"" all trust #"""'),
        ("/^bob all trust #", '"/^bob all trust #"'),  # PostgreSQL takes it for a regular expression in quotes too
    ],
)
def test_a_name_with_a_space_stays_one_column(name: str, column: str) -> None:
    (found,) = hba.declared_lines([line(user=name)])
    assert f" {column} " in found.render()


@pytest.mark.parametrize(
    "entry",
    [
        line(),
        line(method="cert"),
        line(method="reject", address="all"),
        line(address="samenet"),
        line(address="samehost"),
        line(address="2001:db8::/32"),
        line(address="0.0.0.0/0"),
        line(address="app1.example.org"),
        line(address=".example.org"),
        line(address="app1"),
        {"type": "local", "database": "shop", "user": "bob", "method": "peer"},
        {"type": "local", "database": "shop", "user": "bob"},
        {"type": "local", "database": "shop", "user": "bob", "method": "reject"},
    ],
)
def test_good_lines(entry: dict[str, Any]) -> None:
    assert complaints(entry) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (line(method="trust"), ["'trust'", "scram-sha-256, cert, reject"]),
        (line(method="md5"), ["'md5'", "scram-sha-256, cert, reject"]),
        (line(method="password"), ["'password'"]),
        (line(method="peer"), ["'peer'"]),
        ({"type": "local", "user": "bob", "method": "trust"}, ["'trust'", "peer, scram-sha-256, reject"]),
        ({"type": "local", "user": "bob", "method": "cert"}, ["'cert'"]),
        ({"type": "local", "user": "bob", "address": "10.0.0.0/8"}, ["no address"]),
        (line(type="host"), ["'host'", "local or hostssl"]),
        (line(type="hostnossl"), ["'hostnossl'"]),
        (line(type="hostgssenc"), ["'hostgssenc'"]),
        (line(address=""), ["needs an address"]),
        (line(address="10.0.0.1"), ["'10.0.0.1'"]),
        (line(address="10.0.0.1/8"), ["'10.0.0.1/8'"]),
        (line(address="10.0.0.0/33"), ["'10.0.0.0/33'"]),
        (line(address="::1"), ["'::1'"]),
        (line(address="a_b"), ["'a_b'"]),
        (line(user="bob\nhost all all all trust"), ["line break"]),
        (line(options="map=x\r"), ["line break"]),
        (line(comment="office\nhost all all 0.0.0.0/0 trust"), ["line break"]),
    ],
)
def test_bad_lines_name_variable_and_accepted_values(entry: dict[str, Any], said: list[str]) -> None:
    found = complaints(line(user="good"), entry)
    assert len(found) == 1
    assert found[0].startswith("postgresql_hba_lines[1]: ")
    assert all(word in found[0] for word in said)


def test_all_problems_of_all_lines_come_together() -> None:
    found = complaints(line(method="trust", address=""), line(type="host"), networks=("bad",))
    assert [text.split(": ")[0] for text in found] == [
        "postgresql_client_networks[0]",
        "postgresql_hba_lines[0]",
        "postgresql_hba_lines[0]",
        "postgresql_hba_lines[1]",
    ]


def test_the_variable_can_be_named_otherwise() -> None:
    (problem,) = hba.check(hba.declared_lines([line(type="host")]), [], OWN, "pgbouncer_hba_lines")
    assert problem.where == "pgbouncer_hba_lines[0]"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([line(), line()], "repeats postgresql_hba_lines[0] (hostssl shop bob 10.1.0.0/16)"),
        ([line(), line(method="reject")], "repeats postgresql_hba_lines[0]"),  # the second could never be reached
        ([{"type": "local", "database": "all", "user": "all"}], "repeats a line of the collection (local all all)"),
        ([{"type": "hostssl", "address": "::1/128"}], "repeats a line of the collection"),
    ],
)
def test_duplicates(entries: list[dict[str, Any]], said: str) -> None:
    found = complaints(*entries)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    "networks", [("10.0.0.0/8",), ("0.0.0.0/0", "::/0"), ("10.0.0.0/8", "10.1.0.0/16"), ("2001:DB8::/32",)]
)
def test_good_networks(networks: tuple[str, ...]) -> None:
    assert complaints(networks=networks) == []


@pytest.mark.parametrize(
    "network",
    [
        "",
        "all",
        "10.0.0.0",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "::/129",
        "example.org/8",
        "10.0.0.0/255.0.0.0",
        "fe80::%eth0/64",
    ],
)
def test_bad_networks(network: str) -> None:
    found = complaints(networks=("10.0.0.0/8", network))
    assert len(found) == 1
    assert found[0].startswith("postgresql_client_networks[1]: ")
    assert repr(network) in found[0]
    assert "10.0.0.0/8" in found[0]


@pytest.mark.parametrize("network", ["10.0.0.0/8", "127.0.0.1/32", "::1/128"])
def test_duplicate_networks(network: str) -> None:
    found = complaints(networks=("10.0.0.0/8", network))
    assert len(found) == 1
    assert found[0].startswith("postgresql_client_networks[1]: ")
    assert "twice" in found[0]


@pytest.mark.parametrize(
    ("version", "changed", "said"),
    [
        (15, {"user": "/^temp_", "method": "reject"}, "'/^temp_' is a regular expression from PostgreSQL 16 on"),
        (14, {"database": "shop,/^x"}, "'/^x' is a regular expression"),
        (16, {"user": "/^temp_"}, ""),
        (15, {"user": "bob"}, ""),
    ],
)
def test_regular_expressions_that_would_be_names(version: int, changed: dict[str, str], said: str) -> None:
    found = [str(problem) for problem in hba.check_patterns(hba.declared_lines([line(**changed)]), version)]
    assert len(found) == bool(said)
    assert said in "".join(found)
