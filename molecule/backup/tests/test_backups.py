"""Backups on hosts: in every repository, looked at, expired, and without a word of a secret anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import (
    SCENARIO,
    VERSIONS,
    Server,
    check_schema,
    play,
    servers,
)

NOTHING = dict.fromkeys(VERSIONS, 0)
REPOSITORIES = {
    "pgstead-backup-bookworm": ["local", "s3", "azure"],
    "pgstead-backup-trixie": ["local", "s3", "azure", "sftp"],
}


def job(server: Server, name: str, *words: str) -> dict[str, Any]:
    """Run a job as cron does, and return its result."""
    done = server.host.run(f"runuser -u postgres -- pgstead run {name} --json {' '.join(words)}")
    assert done.stdout, done.stderr
    entry = json.loads(done.stdout)
    check_schema(entry, "job-result")
    return entry


def secrets() -> list[str]:
    """Return everything that must be nowhere but in its own file."""
    place = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    azure = next(
        line for line in (SCENARIO / "inventory/group_vars/all.yml").read_text().splitlines() if "azure_key" in line
    )
    return [(place / name).read_text().split()[0] for name in ("cipher", "s3")] + [azure.split()[1]]


@pytest.mark.parametrize("playbook", ["provision", "backup_setup", "agent", "schema"])  # site is the idempotence step
def test_every_play_alone_changes_nothing(playbook: str) -> None:
    run = play(playbook=f"pgstead.ops.{playbook}")
    assert (run.code, run.changed) == (0, NOTHING), run.output


def test_the_server_archives(server: Server) -> None:
    assert server.sql("SHOW archive_command") == f"pgbackrest --stanza={server.name} archive-push %p"
    assert server.sql("SHOW archive_timeout") == "4min"
    assert job(server, "check_archiving")["status"] == "ok"


def test_a_backup_is_made_in_every_repository(server: Server) -> None:
    entry = job(server, "backup_incr")
    assert entry["status"] == "ok", entry
    made = entry["facts"]["repositories"]
    assert sorted(made) == sorted(REPOSITORIES[server.name])
    assert {one["kind"] for one in made.values()} == {"incr"}
    assert all(one["stored"] > 0 and one["wal"] for one in made.values())


def test_the_copies_keep_the_rule_of_three(server: Server) -> None:
    entry = job(server, "backup_verify")
    assert entry["status"] == "ok", entry
    rule = entry["facts"]["three_two_one"]
    assert rule["kept"]
    assert rule["offsite"] == len(REPOSITORIES[server.name]) - 1
    assert rule["copies"] >= 3


def test_what_no_tier_keeps_is_expired_in_every_repository(server: Server, spoiled: str) -> None:
    before = job(server, "backup_full")["facts"]["repositories"]
    config = json.loads(server.host.file(spoiled).content_string)
    config["jobs"]["backup_full"]["settings"]["keep"] = {"hourly": 0, "daily": 0, "weekly": 0, "monthly": 0}
    server.grep(f"cat > {spoiled}", json.dumps(config))
    after = job(server, "backup_full", "--config", spoiled)
    assert after["status"] == "ok", after
    for name, one in after["facts"]["repositories"].items():
        assert before[name]["label"] in one["expired"], name
    assert job(server, "backup_verify")["status"] == "ok"


def test_files_are_closed_to_others(server: Server) -> None:
    for path in ("/etc/pgbackrest/pgbackrest.conf", "/etc/pgbackrest/conf.d/secrets.conf"):
        file = server.host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "postgres", 0o640)
    assert server.host.file("/run/pgbackrest").mode == 0o750
    assert server.host.run("runuser -u nobody -- ls /var/lib/pgbackrest").rc != 0


def test_no_secret_is_anywhere_else(server: Server) -> None:
    """Not in logs, results, evidence, the journal, readable files, nor in a process list while a backup runs."""
    patterns = "\n".join(secrets()) + "\n"
    watch = (
        "cat > /run/patterns; chmod 600 /run/patterns; runuser -u postgres -- pgstead run backup_incr >/run/out 2>&1 & "
        "p=$!; while kill -0 $p 2>/dev/null; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' "
        "| grep -oFf /run/patterns; done; cat /run/out; rm -f /run/patterns"
    )
    seen = server.grep(watch, patterns)
    assert "backup_incr: ok" in seen
    assert not any(secret in seen for secret in secrets())
    found = server.grep(
        "cat > /run/patterns; grep -rlFf /run/patterns /etc /var/log /var/lib/pgstead /usr/lib/pgstead /tmp /run/pgbackrest; "
        "journalctl --no-pager -o cat | grep -cFf /run/patterns; rm -f /run/patterns",
        patterns,
    )
    *files, lines = found.split()
    assert (sorted(files), lines) == (["/etc/pgbackrest/conf.d/secrets.conf", "/etc/pgstead/rclone.conf"], "0")


def test_a_repository_that_was_emptied_is_made_anew_by_the_playbook_that_is_named() -> None:
    """It had kept WAL from all others: each segment goes to all or none."""
    server = next(one for one in servers() if one.name == "pgstead-backup-trixie")
    server.host.check_output("rm -rf /var/lib/pgbackrest/archive /var/lib/pgbackrest/backup")
    found = job(server, "backup_verify")
    assert found["status"] == "failed"
    assert "run playbook pgstead.ops.backup_setup" in json.dumps(found)
    told = play("--check", "--limit", server.name, playbook="pgstead.ops.backup_setup")
    assert told.code == 0, told.output
    assert told.changed[server.name] > 0
    # as when the schedule begins a backup meanwhile: it is waited for
    server.host.check_output("setsid -f flock /var/lib/pgstead/jobs/backup.lock sleep 90 > /dev/null 2>&1 < /dev/null")
    run = play("--limit", server.name, playbook="pgstead.ops.backup_setup")
    assert run.code == 0, run.output
    for name in ("check_archiving", "backup_verify"):
        entry = job(server, name)
        assert entry["status"] == "ok", entry
    again = play("--limit", server.name, playbook="pgstead.ops.backup_setup")
    assert (again.code, again.changed[server.name]) == (0, 0), again.output


def test_what_a_rebuild_needs_is_in_the_data_directory(server: Server) -> None:
    place = f"/var/lib/postgresql/{server.version}/main/pgstead"
    kept = server.host.file(f"{place}{server.configuration}/postgresql.conf")
    assert kept.content_string == server.host.file(f"{server.configuration}/postgresql.conf").content_string
    assert server.host.file(f"{place}/etc/pgbouncer/pgbouncer.ini").exists
    assert kept.mode == 0o600
    facts = json.loads(server.host.file(f"{place}/facts.json").content_string)
    assert any(name.startswith("postgresql-") for name in facts["packages"])


def test_a_repository_that_cannot_be_used_is_refused_before_anything_is_touched(both: list[Server]) -> None:
    before = [server.host.check_output("sha256sum /etc/pgbackrest/pgbackrest.conf") for server in both]
    lost = {"name": "lost", "type": "s3", "path": "/x", "cipher_passphrase": "y" * 30}
    lost |= {
        "options": {
            "bucket": "nowhere",
            "endpoint": "store",
            "region": "r",
            "key": "k",
            "key_secret": "wrong",
            "uri_style": "path",
        }
    }
    lost |= {"storage": {"port": 9445, "ca_file": "/etc/ssl/certs/ca-certificates.crt"}}
    run = play(playbook="pgstead.ops.backup_setup", backup_repositories=[lost])
    assert set(run.failed.values()) == {1}, run.output
    assert run.changed == NOTHING or all(count <= 2 for count in run.changed.values())  # the agent's own files
    assert "nothing was changed, for these repositories cannot be used" in " ".join(run.output.split())
    assert [server.host.check_output("sha256sum /etc/pgbackrest/pgbackrest.conf") for server in both] == before
    assert play(playbook="pgstead.ops.backup_setup").code == 0


def test_a_backup_now_by_playbook() -> None:
    run = play(playbook="pgstead.ops.backup", backup_type="diff")
    assert (run.code, run.changed) == (0, dict.fromkeys(VERSIONS, 1)), run.output
    assert "ok after" in run.output
    refused = play(playbook="pgstead.ops.backup", backup_type="half")
    assert refused.code != 0
    assert play(playbook="pgstead.ops.backup_verify").code == 0
