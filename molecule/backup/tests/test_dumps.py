"""Dumps on hosts: encrypted in two stores, with counts; a database comes back in the old one's place while clients wait."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.pgstead.ops.molecule.shared.hosts import Server, check_schema, play

RESTORE = "pgstead.ops.restore"


def dump(server: Server) -> dict[str, Any]:
    done = server.host.run("runuser -u postgres -- pgstead run backup_dumps --json")
    assert done.stdout, done.stderr
    entry = json.loads(done.stdout)
    check_schema(entry, "job-result")
    assert entry["status"] == "ok", entry
    return entry["facts"]["databases"]["shop"]


def test_a_dump_lies_encrypted_in_both_stores(server: Server, store: Any) -> None:
    server.sql(
        "CREATE TABLE IF NOT EXISTS words AS SELECT 'plain text ' || n AS word FROM generate_series(1, 1000) n", "shop"
    )
    made = dump(server)
    assert set(made["remotes"]) == {"disk", "offsite"}
    assert made["rows"] >= 1000
    place = f"{server.name}/main/shop/{made['file']}"
    for host, path in ((server.host, f"/srv/dumps/{place}"), (store, f"/srv/s3/backups/dumps/{place}")):
        assert host.file(path).size == made["bytes"]
        assert host.run(f"head -c 100 {path}").stdout.startswith("age-encryption.org/v1")
        assert host.run(f"grep -c 'plain text' {path}").stdout.strip() == "0"
    assert server.host.run("ls -A /var/lib/pgstead/dumps").stdout == ""
    assert server.host.file("/etc/pgstead/rclone.conf").mode == 0o640


def test_a_database_comes_back_in_the_old_ones_place(server: Server) -> None:
    server.sql("CREATE TABLE IF NOT EXISTS kept (id int)", "shop")
    server.sql("TRUNCATE kept; INSERT INTO kept VALUES (1)", "shop")
    dump(server)
    server.sql("INSERT INTO kept VALUES (2)", "shop")
    told = {"backup_restore_database": "shop", "backup_restore_remote": "offsite", "backup_restore_state": "swapped"}
    told |= {"backup_restore_identity_file": "/root/age.key"}
    refused = play("--limit", server.name, playbook=RESTORE, **told, backup_restore_confirm="another")
    assert (refused.code != 0, refused.changed[server.name]) == (True, 0)
    run = play("--limit", server.name, playbook=RESTORE, **told, backup_restore_confirm=server.name)
    assert run.code == 0, run.output
    assert server.sql("SELECT string_agg(id::text, ' ') FROM kept", "shop") == "1"
    (before,) = server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop_before_%'").split()
    server.sql(f'ALTER DATABASE "{before}" ALLOW_CONNECTIONS true')  # nobody is to write into it by mistake
    try:
        assert server.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM kept", before) == "1 2"
        server.wait()
        assert server.ask("SELECT current_user") == [("shop_app",)]
    finally:
        server.sql(f'DROP DATABASE "{before}"')


def test_a_dump_that_was_changed_is_named(server: Server) -> None:
    made = dump(server)
    path = f"/srv/dumps/{server.name}/main/shop/{made['file']}"
    flip = f"import sys; p='{path}'; b=bytearray(open(p,'rb').read()); b[len(b)//2]^=1; open(p,'wb').write(b)"
    server.host.check_output(f'python3 -c "{flip}"')
    told = {"backup_restore_database": "shop", "backup_restore_remote": "disk", "backup_restore_state": "verified"}
    run = play("--limit", server.name, playbook=RESTORE, **told, backup_restore_identity_file="/root/age.key")
    assert run.code != 0
    assert "SHA-256" in run.output
    server.host.check_output(f"rm -f {path} {path.removesuffix('.tar.age')}.json")
