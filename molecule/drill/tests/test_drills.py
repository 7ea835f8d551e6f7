"""Drills on hosts: by playbook and by schedule, what they prove, what they refuse, and what they leave."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import check_schema, play

from .conftest import Pair

DRILL = "pgstead.ops.drill"
EVIDENCE = "/var/lib/pgstead/evidence"


@contextmanager
def writers(pair: Pair) -> Iterator[list[float]]:
    """Have the application write through the pooler, and collect how long each transaction took."""
    ended, seconds = threading.Event(), []

    def write() -> None:
        while not ended.is_set():
            ((took,),) = pair.primary.ask(
                "WITH begun AS (SELECT clock_timestamp() AS at), "
                "written AS (INSERT INTO customers (name, orders) SELECT 'new', 0 FROM begun RETURNING 1) "
                "SELECT extract(epoch FROM clock_timestamp() - at)::float FROM begun, written"
            )
            seconds.append(took)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield seconds
    finally:
        ended.set()
        thread.join()


def run(pair: Pair, job: str) -> dict[str, Any]:
    return json.loads(pair.driller.run(f"pgstead run {job} --json").stdout)


def newest(pair: Pair) -> dict[str, Any]:
    """Return the newest evidence on the drill host."""
    path = pair.driller.check_output(f"ls {EVIDENCE}/*-drill-*.json | tail -n 1")
    return json.loads(pair.driller.check_output(f"cat {path}"))


def clean(pair: Pair) -> bool:
    """Say whether nothing of a drill is left."""
    return (
        pair.driller.check_output("ls /var/lib/pgstead/drill") == ""
        and pair.driller.run("pgrep --exact postgres").rc == 1
    )


def test_a_quick_drill_by_playbook_while_the_application_writes(pair: Pair) -> None:
    with writers(pair) as seconds:
        done = play("--limit", f"{pair.name},{pair.primary.name}", playbook=DRILL)
    assert done.code == 0, done.output
    assert f"{pair.primary.name}: recovered in" in done.output
    entry = newest(pair)
    check_schema(entry, "evidence")
    facts = entry["facts"]
    assert facts["steps"][0]["name"] == "newest"
    found = {check["check"] for step in facts["steps"] for check in step["checks"]}
    assert {"amcheck", "dump", "row_security", "checksums", "exact target", "statement orders have customers"} <= found
    assert clean(pair)
    assert len(seconds) > 0
    # the primary has a copy, and its archiving went on meanwhile
    kept = pair.primary.host.check_output(f"ls {EVIDENCE}/{pair.name}")
    assert {name.rpartition(".")[2] for name in kept.split()} == {"html", "json", "sha256"}
    pair.primary.host.check_output("pgstead run check_archiving")


def test_a_full_drill_by_schedule(pair: Pair) -> None:
    assert "pgstead run drill_full" in pair.driller.file("/etc/cron.d/pgstead").content_string
    pair.primary.host.check_output("pgstead run backup_dumps")
    pair.primary.host.check_output("pgstead run backup_incr")
    entry = run(pair, "drill_full")
    check_schema(entry, "job-result")
    assert entry["status"] == "ok", entry["reason"]
    steps = newest(pair)["facts"]["steps"]
    versions = ["versions"] if pair.versioned else []
    assert [step["name"] for step in steps] == ["newest", "time", "name", "lsn", *versions, "dump shop from offsite"]
    assert "its rows are as many as its manifest counted" in steps[-1]["checks"][0]["words"]
    metrics = pair.driller.file("/var/lib/pgstead/metrics/pgstead_drill_full.prom").content_string
    assert f'pgstead_job_recovery_time_seconds{{cluster="{pair.primary.name}",job="drill_full"}}' in metrics
    assert clean(pair)


def test_secrets_are_nobody_elses(pair: Pair) -> None:
    path = f"/etc/pgstead/drill/{pair.primary.name}.conf"
    file = pair.driller.file(path)
    assert (file.user, file.group, file.mode) == ("root", "postgres", 0o640)
    secret = next(line for line in file.content_string.splitlines() if "cipher-pass" in line).partition("=")[2]
    told = pair.driller.check_output(
        f"cat /etc/pgstead/agent.json {EVIDENCE}/* /var/lib/pgstead/jobs/*; journalctl --no-pager"
    )
    assert secret not in told


def test_a_store_that_is_down_is_named(pair: Pair, store: Any) -> None:
    path = f"/etc/pgstead/drill/{pair.primary.name}.conf"
    pair.driller.check_output(f"sed -i 's/^io-timeout=20/io-timeout=3/' {path}")  # a test need not be as patient
    store.check_output("systemctl stop s3")
    try:
        entry = run(pair, "drill_quick")
    finally:
        store.check_output("systemctl start s3")
        pair.driller.check_output(f"sed -i 's/^io-timeout=3/io-timeout=20/' {path}")
    assert entry["status"] == "failed"
    assert "repository s3" in entry["reason"]
    assert clean(pair)


def test_a_drill_that_is_ended_at_its_deadline_leaves_nothing(pair: Pair) -> None:
    pair.driller.check_output(
        "sed -E 's/(\"deadline_seconds\": *)[0-9]+/\\11/' /etc/pgstead/agent.json > /etc/pgstead/short.json"
    )
    done = pair.driller.run("pgstead run drill_quick --json --config /etc/pgstead/short.json")
    assert "ended at its deadline of 1 s" in json.loads(done.stdout)["reason"]
    assert clean(pair)


@pytest.mark.parametrize("there", ["drill", "data/base", "data/postmaster.pid", "data/global/pg_control"])
def test_a_drill_whose_host_went_down_leaves_nothing_to_the_next(pair: Pair, there: str) -> None:
    """As it begins, while files come, while it recovers, and before it is looked at: everything is killed at once."""
    path = f"/var/lib/pgstead/drill/{pair.primary.name}/{there}"
    pair.driller.check_output("systemd-run --quiet --collect --unit=down pgstead run drill_quick")
    pair.driller.check_output(f"timeout 60 sh -c 'until [ -e {path} ]; do sleep 0.02; done'")
    pair.driller.check_output("systemctl kill --signal=KILL down")
    assert not clean(pair)
    entry = run(pair, "drill_quick")
    assert entry["status"] == "ok", entry["reason"]
    assert clean(pair)


def test_keys_of_a_cluster_that_is_drilled_no_more_go(pair: Pair) -> None:
    pair.driller.check_output("touch /etc/pgstead/drill/gone.conf")
    assert play("--limit", pair.name, playbook="pgstead.ops.drill_setup").changed == {pair.name: 1}
    kept = pair.driller.check_output("ls /etc/pgstead/drill").split()
    name = pair.primary.name
    assert sorted(kept) == ["age.key", f"{name}-rclone.conf", f"{name}.conf"]


def test_nobody_can_reach_the_restored_server(pair: Pair) -> None:
    """Nor can it reach anybody: what it is started with, its process tells."""
    script = (
        "until pid=$(pgrep --exact --oldest postgres); do sleep 0.1; done; "
        "tr '\\0' '\\n' < /proc/$pid/cmdline; cat /proc/$pid/net/tcp /proc/$pid/net/tcp6"
    )
    watching = threading.Thread(target=lambda: run(pair, "drill_quick"))
    watching.start()
    found = pair.driller.check_output(f'timeout 60 sh -c "{script}"'.replace("$", "\\$"))
    watching.join()
    for setting in ("listen_addresses=", "archive_mode=off", "max_logical_replication_workers=0"):
        assert setting in found.splitlines()
    assert "port=5999" in found.splitlines()
    assert "local_address" in found  # the tables of sockets were read, and in none is its port
    assert f":{5999:04X} " not in found
