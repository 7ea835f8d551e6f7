"""Heartbeat and recovery markers on hosts: a service that beats, a job that lays markers, and nothing left open."""

from __future__ import annotations

import json
import time

from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server, check_schema, play

UNIT = "pgstead-heartbeat.service"
NEWEST = "SELECT coalesce(max(at), '-infinity') FROM pgstead.heartbeat"
PID = f"systemctl show --property MainPID --value {UNIT}"


def await_beat(server: Server, since: str) -> None:
    """Wait for a row that is newer than a time of the server."""
    deadline = time.monotonic() + 60
    while server.sql(f"SELECT ({NEWEST}) > '{since}'::timestamptz") != "t":
        assert time.monotonic() < deadline, "no beat arrives"
        time.sleep(1)


def test_the_service_is_there_and_beats(server: Server) -> None:
    unit = server.host.service(UNIT)
    assert (unit.is_running, unit.is_enabled) == (True, True)
    await_beat(server, server.sql("SELECT clock_timestamp()"))
    assert int(server.sql("SELECT count(*) FROM pgstead.heartbeat")) > 0
    pid = server.host.check_output(PID)
    assert server.host.check_output(f"stat -c %U /proc/{pid}") == "postgres"


def test_it_beats_again_after_a_restart_of_the_server(server: Server) -> None:
    pid = server.host.check_output(PID)
    server.host.check_output(f"systemctl restart {server.unit}")
    await_beat(server, server.sql("SELECT clock_timestamp()"))
    assert server.host.check_output(PID) == pid
    server.wait()


def test_another_version_of_the_command_restarts_it(both: list[Server]) -> None:
    before = [server.host.check_output(PID) for server in both]
    for server in both:
        server.host.check_output("echo '# spoiled' >> /usr/lib/pgstead/pgstead")
    run = play(playbook="pgstead.ops.agent")
    assert (run.code, run.changed) == (0, dict.fromkeys(VERSIONS, 2)), run.output
    assert all(server.host.check_output(PID) != pid for server, pid in zip(both, before, strict=True))
    again = play(playbook="pgstead.ops.agent")
    assert (again.code, again.changed) == (0, dict.fromkeys(VERSIONS, 0)), again.output


def test_asked_to_end_it_ends_with_success(server: Server) -> None:
    try:
        server.host.check_output(f"systemctl stop {UNIT}")
        assert server.host.check_output(f"systemctl show --property Result --value {UNIT}") == "success"
    finally:
        server.host.check_output(f"systemctl start {UNIT}")


def test_a_marker_is_laid_and_archived(server: Server) -> None:
    done = server.host.run("runuser -u postgres -- pgstead run recovery_marker --json")
    assert done.stdout, done.stderr
    entry = json.loads(done.stdout)
    check_schema(entry, "job-result")
    assert entry["status"] == "ok", entry
    name = entry["facts"]["name"]
    parts = server.sql(f"SELECT string_agg(part, ' ' ORDER BY part) FROM pgstead.recovery_marker WHERE name = '{name}'")
    assert parts == "after before"
    manifest = json.loads(
        server.sql(f"SELECT manifest FROM pgstead.recovery_marker WHERE name = '{name}' AND part = 'before'")
    )
    assert "pg_trgm" in manifest["extensions"]["shop"]
    assert "shop_app" in manifest["roles"]


def test_nothing_is_open_to_others(server: Server) -> None:
    file = server.host.file(f"/etc/systemd/system/{UNIT}")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    open_to_all = (
        "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'pgstead'::regnamespace AND grantee = 0"
    )
    assert server.sql(open_to_all) == "0"
    assert server.sql("SELECT has_schema_privilege('shop_app', 'pgstead', 'USAGE')") == "f"
