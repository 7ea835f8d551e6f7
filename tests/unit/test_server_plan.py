"""The postgresql role's plan: every bad input named, all together, before a host is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import Template

from ansible_collections.pgstead.ops.plugins.module_utils._core import server_plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.settings import parse

ROLE = Path(__file__).resolve().parents[2] / "roles/postgresql"
GB = 1024**3
Data = dict[str, Any]


def problems(spec: Data, facts: Data) -> list[str]:
    return server_plan.plan_server(spec, facts).as_data()["problems"]


def test_a_good_server(spec: Data, facts: Data) -> None:
    plan = server_plan.plan_server(spec, facts)
    assert plan.problems == ()
    assert plan.available_connections == 147
    assert plan.packages == ("postgresql-17", "postgresql-client-17", "python3-cryptography", "ssl-cert")
    assert plan.open_files == 65536
    assert 0 < plan.budget["total"] <= plan.budget["allowed"]
    assert plan.certificate is not None
    assert plan.certificate.self_signed
    assert plan.instance.data_directory == "/var/lib/postgresql/17/main"
    assert (plan.instance.tls_certificate, plan.instance.tls_key) == (
        "/etc/pgstead/tls/server.crt",
        "/etc/pgstead/tls/server.key",
    )


def test_plain_data_renders_and_holds_no_secret(spec: Data, facts: Data) -> None:
    data = server_plan.plan_server(spec, facts).as_data()
    assert data["instance"]["unit"] == "postgresql@17-main"
    assert data["instance"]["configuration_directory"] == "/etc/postgresql/17/main"
    text = "".join(f"{setting['name']} = {setting['literal']}\n" for setting in data["settings"])
    assert parse(text) == {setting["name"].lower(): setting["value"] for setting in data["settings"]}
    assert all(setting["reason"] and setting["source"] for setting in data["settings"])
    assert all(line["line"] and line["comment"] for line in data["hba"])
    assert len(data["ident"]) == 4
    assert "correct horse" not in str(data)


def test_variables_arrive(spec: Data, facts: Data) -> None:
    spec |= {
        "port": 5433,
        "data_directory": "/srv/pg",
        "max_connections": 80,
        "settings": {"work_mem": "8MB", "reserved_connections": "5.0"},
        "fragments": [
            {
                "name": "backup",
                "settings": {"archive_command": {"value": "push %p", "reason": "why"}, "summarize_wal": True},
            }
        ],
        "preload_libraries": ["pg_stat_statements", "timescaledb"],
        "client_networks": ["10.0.0.0/8"],
        "hba_lines": [{"type": "hostssl", "user": "bob", "address": "10.1.0.0/16"}],
        "ident_lines": [{"map": "m", "system_user": "a", "database_user": "b"}],
        "tls_names": ["pg.example.org"],
    }
    plan = server_plan.plan_server(spec, facts)
    assert plan.problems == ()
    values = {setting.name: setting for setting in plan.settings}
    assert (values["port"].value, values["data_directory"].value, values["work_mem"].value) == (
        "5433",
        "/srv/pg",
        "8MB",
    )
    assert (values["archive_command"].value, values["archive_command"].reason) == ("push %p", "why")
    assert (values["summarize_wal"].value, values["summarize_wal"].reason) == ("on", "needed by backup")
    assert values["shared_preload_libraries"].value == "pg_stat_statements, auto_explain, timescaledb"
    assert plan.available_connections == 80 - 3 - 5
    assert next(line.user for line in plan.hba if line.method != "peer") == "bob"  # then the inventory's lines
    assert plan.hba[-1].address == "10.0.0.0/8"
    assert plan.ident[-1].map == "m"
    assert plan.certificate is not None
    assert plan.certificate.names[-1] == "DNS:pg.example.org"


def test_cgroup_memory_decides(spec: Data, facts: Data) -> None:
    facts["memory"]["cgroup_bytes"] = 4 * GB
    plan = server_plan.plan_server(spec, facts)
    assert {s.name: s.value for s in plan.settings}["shared_buffers"] == "1GB"
    assert plan.budget["memory"] == 4 * GB


@pytest.mark.parametrize(
    ("changed", "where", "said"),
    [
        ({"profile": "webscale"}, "postgresql_profile", "oltp, analytics, mixed, development"),
        ({"environment": "prod"}, "pgstead_environment", "development, staging, production"),
        ({"storage": "tape"}, "postgresql_storage", "auto, ssd, hdd, network"),
        ({"sample_rate": 1.1}, "postgresql_statement_sample_rate", "between 0 and 1"),
        ({"sample_rate": -0.1}, "postgresql_statement_sample_rate", "between 0 and 1"),
        ({"max_connections": 9}, "postgresql_max_connections", "below 10"),
        ({"max_connections": -1}, "postgresql_max_connections", "below 10"),
        ({"cluster_name": "main-2"}, "postgresql_cluster_name", "letters, digits, _ and ."),
        ({"cluster_name": "../x"}, "postgresql_cluster_name", "letters, digits, _ and ."),
        ({"cluster_name": ""}, "postgresql_cluster_name", "letters, digits, _ and ."),
        ({"tls": {"certificate": "/c"}}, "postgresql_tls", "both, or neither"),
        ({"tls": {"key": "/k"}}, "postgresql_tls", "both, or neither"),
        ({"tls": {"certificate": "/c", "key": "/k"}}, "postgresql_tls", "does not exist"),
        ({"version": 16}, "postgresql_version", "they have: 17"),
        ({"port": 22}, "postgresql_port", "another program"),
        ({"settings": {"wrok_mem": "4MB"}}, "postgresql_settings.wrok_mem", "work_mem"),
        ({"settings": {"work_mem": "4mb"}}, "postgresql_settings.work_mem", "B, kB, MB, GB, TB"),
        ({"settings": {"work_mem": "-4MB"}}, "postgresql_settings.work_mem", "outside 64"),
        ({"settings": {"jit": "maybe"}}, "postgresql_settings.jit", "on or off"),
        ({"settings": {"port": 1}}, "postgresql_settings.port", "postgresql_port"),
        ({"settings": {"io_method": "sync"}}, "postgresql_settings.io_method", "exists in 18"),
        ({"settings": {"work_mem": "4GB"}}, "memory budget", "lower shared_buffers"),
        ({"max_connections": 200_000}, "memory budget", "max_connections"),
        (
            {"fragments": [{"name": "f", "settings": {"Shared_Buffers": "15GB"}}]},
            "memory budget",
            "shared memory 15.0 GB",
        ),
        ({"hba_lines": [{"type": "host", "address": "all"}]}, "postgresql_hba_lines[0]", "local or hostssl"),
        ({"hba_lines": [{"type": "local"}]}, "postgresql_hba_lines[0]", "repeats a line of the collection"),
        ({"client_networks": ["10.0.0.0"]}, "postgresql_client_networks[0]", "10.0.0.0/8"),
        ({"client_networks": ["10.0.0.0/8"] * 2}, "postgresql_client_networks[1]", "twice"),
        ({"monitoring_role": "postgres"}, "postgresql_monitoring_role", "keeps for itself"),
        ({"databases": [{"name": "postgres", "owner": "b"}]}, "pgstead_databases[0].name", "keeps for itself"),
        ({"databases": [{"name": "a", "owner": "b"}] * 2}, "pgstead_databases[1]", "already described"),
        (
            {"databases": [{"name": "a", "owner": "b", "application_role": {"name": "c"}}]},
            "pgstead_databases[0].application_role.password",
            "vault",
        ),
    ],
)
def test_bad_input_names_variable_and_accepted_values(
    changed: Data, where: str, said: str, spec: Data, facts: Data
) -> None:
    (found,) = problems(spec | changed, facts)
    assert found.startswith(f"{where}: ")
    assert said in found


@pytest.mark.parametrize(("version", "good"), [(13, False), (14, True), (18, True), (19, False)])
def test_majors(version: int, good: bool, spec: Data, facts: Data) -> None:
    facts["packages"] |= {name: {"installed": "", "candidate": "1"} for name in server_plan.packages(version)}
    found = problems(spec | {"version": version}, facts)
    assert found == ([] if good else [f"postgresql_version: {version} is not one of 14 … 18"])


@pytest.mark.parametrize("rate", [0, 1, "0.5"])
def test_sample_rates_at_the_edge(rate: Any, spec: Data, facts: Data) -> None:
    assert problems(spec | {"sample_rate": rate}, facts) == []


def test_choices_verdicts_and_databases_come_together(spec: Data, facts: Data) -> None:
    facts["systemd"] = False
    spec |= {"profile": "x", "environment": "x", "storage": "x", "databases": [{"name": "template0", "owner": "b"}]}
    plan = server_plan.plan_server(spec, facts)
    assert [problem.where for problem in plan.problems] == [
        "postgresql_profile",
        "pgstead_environment",
        "postgresql_storage",
        "systemd",
        "pgstead_databases[0].name",
    ]
    assert plan.settings == ()


def test_settings_lines_and_databases_come_together(spec: Data, facts: Data) -> None:
    spec |= {
        "settings": {"fsync": False, "wrok_mem": 1},
        "hba_lines": [{"type": "local", "method": "trust"}],
        "client_networks": ["x"],
        "databases": [{"name": "template0", "owner": "b"}],
        "tls": {"certificate": "/c", "key": "/k"},
    }
    plan = server_plan.plan_server(spec, facts)
    assert [problem.where for problem in plan.problems] == [
        "postgresql_settings.fsync",
        "postgresql_settings.wrok_mem",
        "pgstead_databases[0].name",
        "postgresql_client_networks[0]",
        "postgresql_hba_lines[0]",
        "postgresql_hba_lines[0]",
        "postgresql_tls",
    ]
    assert plan.available_connections is None


def test_a_given_certificate(spec: Data, facts: Data) -> None:
    facts["tls"] = {"error": "", "not_after": 2e9, "names": []}
    plan = server_plan.plan_server(spec | {"tls": {"certificate": "/c", "key": "/k"}}, facts)
    assert plan.problems == ()
    assert (plan.instance.tls_certificate, plan.instance.tls_key) == ("/c", "/k")
    assert plan.certificate is not None
    assert not plan.certificate.self_signed


def test_lists_may_be_texts(spec: Data, facts: Data) -> None:
    """Ansible's validation accepts `a,b` for a list, and hands it over unchanged."""
    spec |= {"listen_addresses": "localhost,192.0.2.7", "client_networks": "10.0.0.0/8", "preload_libraries": "pgaudit"}
    plan = server_plan.plan_server(spec | {"tls_names": "a.example.org"}, facts)
    assert plan.problems == ()
    assert plan.instance.listen_addresses == ("localhost", "192.0.2.7")
    assert plan.hba[-1].address == "10.0.0.0/8"
    assert plan.certificate is not None
    assert plan.certificate.names[-1] == "DNS:a.example.org"
    assert {s.name: s.value for s in plan.settings}["shared_preload_libraries"].endswith(", pgaudit")


def test_rules_are_read_as_the_version_reads_them(spec: Data, facts: Data) -> None:
    rules = [{"type": "local", "user": "/^x", "method": "reject"}]
    facts["packages"] |= {name.replace("17", "15"): seen for name, seen in facts["packages"].items() if "17" in name}
    (found,) = problems(spec | {"version": 15, "hba_lines": rules}, facts)
    assert found.startswith("postgresql_hba_lines[0]: '/^x' is a regular expression from PostgreSQL 16 on")
    assert problems(spec | {"hba_lines": rules}, facts) == []


@pytest.mark.parametrize(("listened", "waits"), [(["localhost"], False), (["localhost", "10.0.0.5"], True)])
def test_it_waits_for_its_disk_and_where_an_address_comes_with_it_for_the_network(
    listened: list[str], waits: bool, spec: Data, facts: Data
) -> None:
    facts["addresses"] = ["10.0.0.5"]
    changed = {"listen_addresses": listened, "data_directory": "/srv/pg"}
    data = server_plan.plan_server(spec | changed, facts).as_data()
    text = (ROLE / "templates/etc/systemd/system/postgresql@.service.d/pgstead.conf.j2").read_text(encoding="utf-8")
    lines = Template(text.partition("\n")[2]).render(postgresql__plan=data).splitlines()
    assert "RequiresMountsFor=/srv/pg" in lines
    assert ("After=network-online.target" in lines, "Wants=network-online.target" in lines) == (waits, waits)
