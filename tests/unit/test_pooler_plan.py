"""The pgbouncer role's plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Template
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.pgstead.ops.plugins.module_utils._core import pooler_plan

ROLE = Path(__file__).resolve().parents[2] / "roles/pgbouncer"


def problems(raw: dict[str, Any], facts: dict[str, Any], available: int | None = None) -> list[str]:
    return pooler_plan.plan_pooler(raw, facts, available).as_data()["problems"]


def test_a_good_pooler(pooler_spec: dict[str, Any], facts: dict[str, Any]) -> None:
    plan = pooler_plan.plan_pooler(pooler_spec, facts, 147)
    assert plan.problems == ()
    assert plan.version == "1.24.1-1"
    assert plan.demand == 71
    assert plan.peers == ()
    assert plan.lookup_databases == ("postgres",)
    assert [entry.split()[0] for entry in plan.entries] == ["shop", "pgb_auth"]
    (process,) = plan.processes
    assert (process.unit, process.path, process.socket_directory) == (
        "pgbouncer.service",
        "/etc/pgbouncer/pgbouncer.ini",
        "/run/pgbouncer",
    )


def test_plain_data_without_secrets(pooler_spec: dict[str, Any], facts: dict[str, Any]) -> None:
    data = pooler_plan.plan_pooler(pooler_spec, facts, 147).as_data()
    assert isinstance(data["processes"][0]["settings"][0], dict)
    assert "correct horse" not in str(data)


def test_several_processes(pooler_spec: dict[str, Any], facts: dict[str, Any]) -> None:
    plan = pooler_plan.plan_pooler(pooler_spec | {"processes": 2}, facts, 147)
    assert [p.unit for p in plan.processes] == ["pgbouncer@1.service", "pgbouncer@2.service"]
    assert [p.path for p in plan.processes] == ["/etc/pgbouncer/pgbouncer-1.ini", "/etc/pgbouncer/pgbouncer-2.ini"]
    assert plan.peers == ("1 = host=/run/pgbouncer-1 port=6432", "2 = host=/run/pgbouncer-2 port=6432")
    assert plan.demand == 142
    for process in plan.processes:
        assert {row.name: row.value for row in process.settings}["unix_socket_dir"] == process.socket_directory


def test_the_installed_version_counts_before_the_candidate(pooler_spec: dict[str, Any], facts: dict[str, Any]) -> None:
    facts["packages"]["pgbouncer"] = {"installed": "1.18.0-1", "candidate": "1.24.1-1"}
    plan = pooler_plan.plan_pooler(pooler_spec, facts, None)
    assert plan.version == "1.18.0-1"
    assert plan.lookup_databases == ("shop",)
    assert plan.users == ("pgbouncer_auth = max_user_connections=1",)


@pytest.mark.parametrize("packages", [{}, {"pgbouncer": {"installed": "", "candidate": ""}}])
def test_no_package(packages: dict[str, Any], pooler_spec: dict[str, Any], facts: dict[str, Any]) -> None:
    found = problems(pooler_spec | {"pool_mode": "tx"}, facts | {"packages": packages})
    assert [text.split(":")[0] for text in found] == ["pgbouncer_pool_mode", "pgbouncer"]


@pytest.mark.parametrize(
    ("changed", "where", "said"),
    [
        ({"pool_mode": "tx"}, "pgbouncer_pool_mode", "transaction, session, statement"),
        ({"default_pool_size": 0}, "pgbouncer_default_pool_size", "below 1"),
        ({"monitoring_role": "postgres"}, "postgresql_monitoring_role", "keeps for itself"),
        ({"databases": [{"name": "pgbouncer", "owner": "b"}]}, "pgstead_databases[0].name", "keeps for itself"),
    ],
)
def test_bad_input(
    changed: dict[str, Any], where: str, said: str, pooler_spec: dict[str, Any], facts: dict[str, Any]
) -> None:
    (found,) = problems(pooler_spec | changed, facts)
    assert found.startswith(f"{where}: ")
    assert said in found


@pytest.mark.parametrize(
    ("given", "port", "connections", "fits"),
    [
        (71, 5432, 10, True),  # what the play knows outweighs what the host has
        (70, 5432, 500, False),
        (None, 5432, 74, True),  # 3 are PostgreSQL's own
        (None, 5432, 73, False),
        (None, 5433, 10, True),  # another cluster's
    ],
)
def test_available_connections(
    given: int | None, port: int, connections: int, *, fits: bool, pooler_spec: dict[str, Any], facts: dict[str, Any]
) -> None:
    facts["clusters"] = [{"port": port, "max_connections": connections}]
    assert (problems(pooler_spec, facts, given) == []) is fits


def test_certificates(pooler_spec: dict[str, Any]) -> None:
    own = pooler_plan.spec_of(pooler_spec)
    assert (own.tls_certificate, own.tls_key, own.tls_server_ca) == (
        "/etc/pgstead/tls/server.crt",
        "/etc/pgstead/tls/server.key",
        "/etc/pgstead/tls/server.crt",
    )
    given = pooler_plan.spec_of(pooler_spec | {"tls": {"certificate": "/c", "key": "/k"}})
    assert (given.tls_certificate, given.tls_key, given.tls_server_ca) == ("/c", "/k", "/c")
    assert (
        pooler_plan.spec_of(pooler_spec | {"tls": {"certificate": "/c", "key": "/k", "ca": "/a"}}).tls_server_ca == "/a"
    )


@pytest.mark.parametrize(
    ("may_raise", "limit", "expected"), [(True, 1024, 65536), (False, 1024, 1024), (False, 10**6, 65536)]
)
def test_open_files(
    may_raise: bool, limit: int, expected: int, pooler_spec: dict[str, Any], facts: dict[str, Any]
) -> None:
    facts |= {"capabilities": {"sys_resource": may_raise}, "limits": {"nofile": limit}}
    assert pooler_plan.plan_pooler(pooler_spec, facts, None).open_files == expected


def test_more_clients_than_open_files(pooler_spec: dict[str, Any], facts: dict[str, Any]) -> None:
    assert problems(pooler_spec | {"max_client_conn": 65401}, facts) == []
    (found,) = problems(pooler_spec | {"max_client_conn": 65402}, facts)
    assert found.startswith("pgbouncer_max_client_conn: 65402 clients need about 65537 open files")
    pooler_spec["databases"][0]["readonly_role"]["connection_limit"] = -1
    assert problems(pooler_spec | {"max_client_conn": 65401, "processes": 2}, facts) == []


@pytest.mark.parametrize(
    ("processes", "names"),
    [(1, ["pgbouncer.service.d/pgstead.conf"]), (2, ["pgbouncer.service.d/pgstead.conf", "pgbouncer@.service"])],
)
def test_the_unit_that_the_package_starts_has_its_user(processes: int, names: list[str]) -> None:
    """It is there before the package is, also where another unit will serve."""
    texts = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    known = {name: texts[name] for name in ("pgbouncer__single", "pgbouncer__several")}
    found: Any = NativeEnvironment().from_string(texts["pgbouncer__units"]).render(known, pgbouncer_processes=processes)
    assert found == [f"/etc/systemd/system/{name}" for name in names]
    assert all((ROLE / f"templates{path}.j2").is_file() for path in found)
    tasks = [task["name"] for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text(encoding="utf-8"))]
    assert tasks.index("Write its units") < tasks.index("Install the pooler")


@pytest.mark.parametrize(
    ("state", "good"), [("absent", True), ("managed", True), ("pristine", True), ("foreign", False)]
)
def test_somebody_elses_configuration(
    state: str, good: bool, pooler_spec: dict[str, Any], facts: dict[str, Any]
) -> None:
    found = problems(pooler_spec, facts | {"pooler_configuration": state})
    assert (found == []) is good
    assert all(text.startswith("pgbouncer: /etc/pgbouncer/pgbouncer.ini") for text in found)


@pytest.mark.parametrize(("listened", "waits"), [(["*"], False), (["127.0.0.1", "10.0.0.5"], True)])
@pytest.mark.parametrize("unit", ["pgbouncer.service.d/pgstead.conf", "pgbouncer@.service"])
def test_it_waits_for_the_network_where_an_address_comes_with_it(
    unit: str, listened: list[str], waits: bool, pooler_spec: dict[str, Any], facts: dict[str, Any]
) -> None:
    plan = pooler_plan.plan_pooler(pooler_spec | {"listen_addresses": listened}, facts, 147).as_data()
    text = (ROLE / f"templates/etc/systemd/system/{unit}.j2").read_text(encoding="utf-8")
    lines = Template(text.partition("\n")[2]).render(pgbouncer__plan=plan).splitlines()
    assert ("After=network-online.target" in lines, "Wants=network-online.target" in lines) == (waits, waits)
