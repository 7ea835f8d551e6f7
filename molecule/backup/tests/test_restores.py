"""Restores on hosts: exact from every repository, by playbook, refused where they cannot be, taken back where they fail."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import (
    SCENARIO,
    Server,
    check_schema,
    play,
    servers,
)

RESTORE = "pgstead.ops.restore"


def marks(server: Server, name: str) -> dict[str, str]:
    script = (SCENARIO / "files/marks.sh").read_text()
    said = server.grep(f"cat > /run/marks.sh; sh /run/marks.sh {name}", script)
    return json.loads(said)


def rows(server: Server, name: str) -> list[str]:
    return server.sql(f"SELECT id FROM canary WHERE id LIKE '{name}%' ORDER BY id", "shop").split()


def restore(server: Server, **variables: Any) -> Any:
    told = {"backup_restore_confirm": server.name, "backup_restore_overwrite": True, **variables}
    return play("--limit", server.name, playbook=RESTORE, **told)


def words(run: Any) -> str:
    return " ".join(run.output.split())


def test_every_repository_restores_exactly_to_time_name_and_lsn() -> None:
    run = play(playbook=str(SCENARIO / "exact.yml"))
    assert run.code == 0, run.output
    # four tasks for each of three and four repositories, and three kinds
    assert "ok=45" in words(run)
    assert "ok=60" in words(run)


def test_the_playbook_brings_a_cluster_back_and_backs_it_up(server: Server) -> None:
    name = f"play_{int(time.time())}"
    left = marks(server, name)
    run = restore(server, backup_restore_type="time", backup_restore_target=left["time"])
    assert run.code == 0, run.output
    assert rows(server, name) == [f"{name}-1"]
    entry = json.loads(server.host.file("/var/lib/pgstead/jobs/backup_full.json").content_string)
    assert (entry["status"], {one["wal"][0][:8] for one in entry["facts"]["repositories"].values()}) == (
        "ok",
        {f"{timeline(server):08X}"},
    )
    server.wait()  # clients are served again
    assert server.sql("SELECT count(*) FROM pg_file_settings WHERE name ~ '^(restore_command|recovery_target)'") == "0"
    record = newest(server, "restore")
    assert (record["status"], record["facts"]["timeline"]) == ("ok", timeline(server))
    assert set(record["facts"]["phases"]) == {"prepare", "stop", "fetch", "recover", "settle"}


def timeline(server: Server) -> int:
    return int(server.sql("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)


def newest(server: Server, kind: str) -> dict[str, Any]:
    """Return the newest evidence of a kind, which keeps to its schema and has a page beside it."""
    path = server.host.check_output(f"ls /var/lib/pgstead/evidence/*-{kind}.json | tail -n 1")
    record = json.loads(server.host.file(path).content_string)
    check_schema(record, "evidence")
    assert server.host.file(path.replace(".json", ".html")).size > 0
    return record


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"backup_restore_type": "time", "backup_restore_target": "2100-01-01 00:00:00+00"}, "is in the future"),
        (
            {"backup_restore_type": "time", "backup_restore_target": "2001-01-01 00:00:00+00"},
            "before the end of the oldest backup",
        ),
        ({"backup_restore_type": "time", "backup_restore_target": "2001-01-01 00:00:00"}, "has no zone"),
        ({"backup_restore_type": "lsn", "backup_restore_target": "FF/0"}, "lies beyond the WAL"),
        ({"backup_restore_type": "name", "backup_restore_target": "nobody made it"}, "is not in the server's log"),
        (
            {"backup_restore_type": "latest", "backup_restore_set": "20010101-000000F"},
            "there is no backup 20010101-000000F",
        ),
        ({"backup_restore_type": "latest", "backup_restore_overwrite": False}, "its databases would be replaced"),
        ({"backup_restore_type": "latest", "backup_restore_confirm": "another"}, "must be pgstead-backup-trixie"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_touched(variables: dict[str, Any], said: str) -> None:
    server = next(one for one in servers() if one.name == "pgstead-backup-trixie")
    since = server.started()
    run = restore(server, **variables)
    assert run.code != 0
    assert run.changed.get(server.name) == 0
    assert said in words(run)
    assert server.started() == since


def test_a_restore_that_was_cut_off_is_finished(server: Server) -> None:
    """As it is when a run was killed while files were fetched: the directory is aside, and a part of it is back."""
    name = f"cut_{int(time.time())}"
    left = marks(server, name)
    data = f"/var/lib/postgresql/{server.version}/main"
    aside = f"{data}.before-cut"
    state = f"/var/lib/pgstead/restore/{server.version}-main.json"
    server.host.check_output(
        f"systemctl stop {server.unit} && mv {data} {aside} && install -d -o postgres -g postgres -m 0700 {data} && "
        f'cp -a {aside}/base {data}/ && mkdir -p /var/lib/pgstead/restore && echo \'{{"aside": "{aside}"}}\' > {state}'
    )
    run = restore(server, backup_restore_type="name", backup_restore_target=left["name"])
    assert run.code == 0, run.output
    assert rows(server, name) == [f"{name}-1"]
    assert newest(server, "restore")["facts"]["aside"] == aside
    assert server.host.file(f"{aside}/PG_VERSION").exists
    assert not server.host.file(state).exists


CONSOLE = """
for socket in /run/pgbouncer*/.s.PGSQL.*; do
  runuser -u pgbouncer -- psql -qX --csv -h "$(dirname "$socket")" -p "${socket##*.}" -U pgbouncer pgbouncer -c '%s'
done
"""


def wait_at_the_pooler(server: Server) -> bool:
    """Say whether PgBouncer (1.24 here) has its clients wait."""
    return "paused,yes" in server.host.check_output(CONSOLE.replace("%s", "SHOW STATE")).splitlines()


def test_a_restore_that_was_cut_off_at_its_end_is_finished() -> None:
    """As it is when a run was killed after the server was open: its settings are left, and clients wait."""
    server = next(one for one in servers() if one.name == "pgstead-backup-trixie")
    name = f"end_{int(time.time())}"
    marks(server, name)
    since = timeline(server)
    opened = {"target": f"name {name}", "backup": "B", "repository": 1, "stopped_at": "recovery stopping", "aside": ""}
    state = f"/var/lib/pgstead/restore/{server.version}-main.json"
    server.sql(f"ALTER SYSTEM SET recovery_target_name = '{name}'")
    server.grep(f"mkdir -p /var/lib/pgstead/restore; cat > {state}", json.dumps({"aside": "", "open": opened}))
    server.host.check_output(CONSOLE.replace("%s", "PAUSE"))
    server.host.check_output("mkdir -p -m 700 /run/pgstead-paused && touch /run/pgstead-paused/all")
    paused = wait_at_the_pooler(server)
    run = restore(server, backup_restore_type="name", backup_restore_target=name, backup_restore_overwrite=False)
    assert run.code == 0, run.output
    assert (rows(server, name), timeline(server)) == ([f"{name}-1", f"{name}-2"], since)
    assert server.sql("SELECT count(*) FROM pg_file_settings WHERE name ~ '^(restore_command|recovery_target)'") == "0"
    assert not server.host.file(state).exists
    assert server.host.check_output("ls /run/pgstead-paused") == ""
    assert (paused, wait_at_the_pooler(server)) == (True, False)
    server.wait()


def test_check_mode_says_from_what_and_touches_nothing(server: Server) -> None:
    since = server.started()
    run = play("--check", "--limit", server.name, playbook=RESTORE, backup_restore_type="latest")
    assert run.code == 0, run.output
    assert server.started() == since


def test_a_host_with_smaller_settings_gets_its_cluster_back(server: Server) -> None:
    """The WAL was written with 50 connections; a server with 20 would not follow it."""
    name = f"small_{int(time.time())}"
    marks(server, name)
    path = f"{server.configuration}/postgresql.conf"
    server.host.check_output(f"cp -a {path} /run/kept; sed -i 's/^max_connections = .*/max_connections = 20/' {path}")
    try:
        run = restore(server)
    finally:
        server.host.check_output(f"cp -a /run/kept {path}; systemctl restart {server.unit}")
    assert run.code != 0
    assert "max_connections is 20 here, but the server that was backed up had" in words(run)
    assert "The cluster as it was before is back and serving" in words(run)
    assert rows(server, name) == [f"{name}-1", f"{name}-2"]
    record = newest(server, "restore")
    assert record["status"] == "failed"


def test_a_host_that_is_gone_comes_back_from_the_inventory_and_a_store() -> None:
    """Nothing is left of it but what a store at another place has."""
    server = next(one for one in servers() if one.name == "pgstead-backup-trixie")
    name = f"gone_{int(time.time())}"
    marks(server, name)
    server.sql("SELECT pg_switch_wal()")
    server.host.check_output(
        f"systemctl stop {server.unit} && pg_dropcluster {server.version} main && rm -rf /var/lib/postgresql/*/main* "
        "/var/lib/pgbackrest/* /etc/pgbackrest /var/lib/pgstead/clusters /var/lib/pgstead/backup /var/log/postgresql/*"
    )
    again = play("--limit", server.name, playbook="pgstead.ops.provision")
    assert again.code == 0, again.output
    run = restore(server, backup_restore_repository=2)
    assert run.code == 0, run.output
    assert rows(server, name) == [f"{name}-1", f"{name}-2"]
    assert server.sql("SHOW archive_command").startswith("pgbackrest ")
    # made while the new host did not archive: without it, nobody finds the new timeline
    history = f"{timeline(server):08X}.history"
    for number in (1, 2):
        listed = f"runuser -u postgres -- pgbackrest --repo={number} repo-ls --recurse archive/{server.name}"
        assert history in server.host.check_output(listed)
    assert play("--limit", server.name, playbook="pgstead.ops.site").code == 0
    server.wait()
