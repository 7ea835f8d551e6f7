"""What must be refused, with the server still serving and not a byte of its files changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import Server, play

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    # refused by the plan, before anything is touched
    "unknown setting": ({"postgresql_settings": {"work_memm": "4MB"}}, "did you mean work_mem"),
    "wrong unit": ({"postgresql_settings": {"work_mem": "64Mb"}}, "no size unit PostgreSQL knows"),
    "negative size": ({"postgresql_settings": {"shared_buffers": "-1GB"}}, "postgresql_settings.shared_buffers"),
    "unknown profile": ({"postgresql_profile": "webscale"}, "oltp, analytics, mixed, development"),
    "memory over budget": ({"postgresql_settings": {"work_mem": "512MB"}}, "memory budget"),
    "more memory than there is": ({"postgresql_settings": {"shared_buffers": "900GB"}}, "memory budget"),
    "pools beyond max_connections": (
        {"pgbouncer_default_pool_size": 90, "pgbouncer_max_db_connections": 0},
        "raise postgresql_max_connections",
    ),
    "trust": (
        {"postgresql_hba_lines": [{"type": "local", "method": "trust"}]},
        "use peer, scram-sha-256, reject",
    ),
    "a remote line without TLS": (
        {"postgresql_hba_lines": [{"type": "host", "address": "10.0.0.0/8"}]},
        "remote clients come over TLS",
    ),
    "an address of another host": ({"postgresql_listen_addresses": ["203.0.113.9"]}, "is no address of this host"),
    "a line that is never reached": (
        {
            "postgresql_hba_lines": [
                {"type": "local", "database": "shop", "user": "postgres", "method": "scram-sha-256"}
            ]
        },
        "is never reached",
    ),
    "an unreadable certificate": (
        {"postgresql_tls": {"certificate": "/nowhere.crt", "key": "/nowhere.key"}},
        "/nowhere.crt does not exist",
    ),
    "a reserved setting": ({"postgresql_settings": {"archive_mode": "off"}}, "archive_mode"),
    "a reserved database": ({"pgstead_databases": [{"name": "postgres", "owner": "me"}]}, "keeps for itself"),
    "a missing secret": (
        {"pgstead_databases": [{"name": "x", "owner": "o", "application_role": {"name": "a"}}]},
        "application_role.password",
    ),
    "a major version nobody has": ({"postgresql_version": 14}, "is not in this host's package sources"),
    # refused by the proof, with the server's own words
    "a library that is not there": ({"postgresql_preload_libraries": ["no_such_library"]}, "could not access file"),
    "an hba line only the server can judge": (
        {"postgresql_hba_lines": [{"type": "hostssl", "address": "10.0.0.0/8", "options": "clientcert=perhaps"}]},
        "clientcert",
    ),
    "settings that exclude each other": (
        {"postgresql_settings": {"superuser_reserved_connections": 150}},
        "more connections are reserved",
    ),
    # refused on the real start, and taken back
    "a line break in an address": ({"pgbouncer_listen_addresses": ["no such\nport = 1"]}, "nor a host name"),
    "a pooler that cannot listen": ({"pgbouncer_listen_addresses": ["203.0.113.9"]}, "the previous files are back"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_and_the_server_serves_on(case: str, both: list[Server]) -> None:
    variables, words = REFUSED[case]
    files, started = [server.files() for server in both], [server.started() for server in both]
    run = play(**variables)
    assert run.code != 0, run.output
    assert run.failed == {server.name: 1 for server in both}, run.output
    assert words in run.output
    assert [server.files() for server in both] == files
    assert [server.started() for server in both] == started
    for server in both:
        assert server.ask("SELECT 1") == [(1,)]


def test_a_refused_proof_leaves_evidence(both: list[Server]) -> None:
    assert play(postgresql_preload_libraries=["no_such_library"]).code != 0
    for server in both:
        newest = server.host.check_output("ls -1 /var/lib/pgstead/evidence/*-configuration.json | tail -1")
        record = json.loads(server.host.file(newest).content_string)
        assert record["status"] == "failed"
        assert "no_such_library" in record["facts"]["refused"]


def test_what_somebody_altered_would_keep_the_server_down(both: list[Server]) -> None:
    """It waits in postgresql.auto.conf for the next restart: whoever causes that must know before."""
    started = [server.started() for server in both]
    for server in both:
        server.sql("ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'")
    try:
        run = play(postgresql_settings={"max_locks_per_transaction": 96})
        assert run.failed == {server.name: 1 for server in both}, run.output
        assert "could not access file" in run.output
        assert "somebody set shared_preload_libraries by ALTER SYSTEM" in run.output
        assert [server.started() for server in both] == started
    finally:
        for server in both:
            server.sql("ALTER SYSTEM RESET shared_preload_libraries")


def test_check_mode_refuses_what_the_server_would(both: list[Server]) -> None:
    files = [server.files() for server in both]
    run = play("--check", postgresql_preload_libraries=["no_such_library"])
    assert run.code != 0
    assert "could not access file" in run.output
    assert [server.files() for server in both] == files


def test_somebody_elses_cluster_is_left_alone(server: Server) -> None:
    server.host.check_output("pg_createcluster -p 5444 %s handmade", str(server.version))
    try:
        before = server.host.check_output("sha256sum /etc/postgresql/%s/handmade/*.conf", str(server.version))
        named = play("--limit", server.name, postgresql_cluster_name="handmade", postgresql_port=5444)
        assert named.code != 0
        assert "was not made by this collection" in named.output
        beside = play("--limit", server.name, postgresql_cluster_name="second", postgresql_port=5444)
        assert beside.code != 0
        assert "5444 belongs to cluster" in beside.output
        assert server.host.check_output("sha256sum /etc/postgresql/%s/handmade/*.conf", str(server.version)) == before
    finally:
        server.host.check_output("pg_dropcluster %s handmade", str(server.version))
