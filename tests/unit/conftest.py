"""What a role hands to the planners: facts of one good host, variables of one good inventory. Tests spoil copies.

And what jobs of a host's agent have around them: configuration, journal, and receivers of notices.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from ansible_collections.pgstead.ops.molecule.shared.receivers import Mailbox, Requests, smtp, web
from ansible_collections.pgstead.ops.plugins.module_utils._agent import command, memory, publish
from ansible_collections.pgstead.ops.plugins.module_utils._agent import run as running
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config, JobConfig

GB = 1024**3

# no test depends on how quick the machine is
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def facts() -> dict[str, Any]:
    """Describe a Debian 13 host with PostgreSQL 17 on offer, 16 GB and 8 processors, nothing installed."""
    installed = {"installed": "", "candidate": "1"}
    return {
        "distribution": {"id": "debian", "version": "13", "name": "Debian GNU/Linux 13 (trixie)"},
        "systemd": True,
        "epoch": 1_800_000_000.0,
        "controller_epoch": 1_800_000_001.0,
        "hostname": "db1",
        "hostname_resolves": True,
        "fqdn": "db1.example.org",
        "addresses": ["192.0.2.7", "2001:db8::7"],
        "foreign_addresses": False,
        "tls": {"error": "/etc/pgstead/tls/server.crt does not exist on the host", "not_after": 0.0, "names": []},
        "missing_directories": [],
        "memory": {"host_bytes": 16 * GB, "cgroup_bytes": None, "planned_bytes": None, "huge_page_bytes": 2 * 1024**2},
        "cpus": 8,
        "disks": {"data": {"mount": "/var", "size": 200 * GB, "free": 150 * GB, "storage": "ssd"}},
        "packages": {
            "postgresql-17": dict(installed),
            "postgresql-client-17": dict(installed),
            "python3-psycopg2": {"installed": "2.9.10-1", "candidate": "2.9.10-1"},
            "python3-cryptography": dict(installed),
            "ssl-cert": dict(installed),
            "postgresql-17-pgaudit": dict(installed),
            "pgbouncer": {"installed": "", "candidate": "1.24.1-1"},
        },
        "majors_available": [17],
        "dpkg_interrupted": False,
        "pooler_configuration": "absent",
        "clusters": [],
        "archiving": {},
        "data_directory_state": "absent",
        "listening_ports": [22],
        "capabilities": {"sys_resource": True},
        "limits": {"nofile": 1024},
    }


@pytest.fixture
def database() -> dict[str, Any]:
    """Give one entry of pgstead_databases."""
    return {
        "name": "shop",
        "owner": "shop_owner",
        "application_role": {"name": "shop_app", "password": "correct horse", "statement_timeout": "30s"},
        "readonly_role": {"name": "shop_read", "password": "battery staple", "connection_limit": 50},
        "extensions": ["pg_trgm"],
    }


@pytest.fixture
def spec(database: dict[str, Any]) -> dict[str, Any]:
    """Give postgresql__spec as the role's defaults make it, with one database."""
    return {
        "version": 17,
        "cluster_name": "main",
        "port": 5432,
        "data_directory": "",
        "listen_addresses": ["localhost"],
        "locale": "C.UTF-8",
        "encoding": "UTF8",
        "repository": {},
        "profile": "oltp",
        "storage": "auto",
        "max_connections": None,
        "settings": {},
        "fragments": [],
        "preload_libraries": ["pg_stat_statements", "auto_explain"],
        "audit_statements": [],
        "sample_rate": 0.001,
        "client_networks": [],
        "hba_lines": [],
        "ident_lines": [],
        "tls": {},
        "tls_names": [],
        "tls_renew_days": 30,
        "monitoring_role": "pgstead_monitor",
        "environment": "production",
        "databases": [database],
    }


@pytest.fixture
def pooler_spec(database: dict[str, Any]) -> dict[str, Any]:
    """Give pgbouncer__spec as the role's defaults make it, with one database."""
    return {
        "listen_addresses": ["*"],
        "port": 6432,
        "pool_mode": "transaction",
        "default_pool_size": 25,
        "reserve_pool_size": 10,
        "max_db_connections": 100,
        "max_client_conn": 1000,
        "query_timeout": 30,
        "server_idle_timeout": 600,
        "processes": 1,
        "server_host": "",
        "server_port": 5432,
        "tls": {},
        "databases": [database],
        "monitoring_role": "pgstead_monitor",
        "locale": "C.UTF-8",
    }


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Collect what goes to the journal, and stay who and where we are."""
    lines: list[tuple[str, str]] = []
    for module in (running, command, publish, memory):
        monkeypatch.setattr(module, "note", lambda status, text: lines.append((status, text)))
    monkeypatch.setattr(running, "become", lambda _name: None)
    return lines


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Describe a host with two jobs, whose files are this test's."""
    shop = {"database": "shop", "role": "shop_owner", "schema": "audit", "retention_months": 24, "ahead": 3}
    job = JobConfig("17 3 * * *", 60, {"databases": [shop, shop | {"database": "other"}]})
    jobs, user = {"trial": job, "audit_partitions": job}, pwd.getpwuid(os.geteuid()).pw_name
    return Config(user, str(tmp_path), str(tmp_path), 5432, 3, jobs, str(tmp_path / "metrics"))


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Requests]:
    with web() as requests:
        yield requests
