"""Drills of real backups: what they prove, what they notice, and what they leave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import drill as job
from ansible_collections.pgstead.ops.plugins.module_utils._core.marker_job import Laid
from ansible_collections.pgstead.ops.plugins.module_utils._host import drill as host_drill
from ansible_collections.pgstead.ops.plugins.module_utils._host import drill_checks, drill_preflight
from ansible_collections.pgstead.ops.plugins.module_utils._host.evidence_manifest import verify
from ansible_collections.pgstead.ops.plugins.module_utils._host.scratch_server import ScratchServer
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import connect, execute

from ..conftest import USER  # noqa: TID252 - the tests are no package that is installed
from .drill_world import DrillWorld, drill_world, mark, running
from .world import FAR, NEAR, PASSPHRASE, World, until


@pytest.fixture(scope="module")
def laid(world: World) -> Laid:
    return mark(world)


@pytest.fixture
def host(world: World, laid: Laid) -> Iterator[DrillWorld]:
    with drill_world(world) as made:
        yield made
        assert running(made.place) == []


def checks(step: dict[str, Any]) -> dict[str, str]:
    return {check["check"]: check["status"] for check in step["checks"]}


def test_a_quick_drill_proves_the_newest_state_and_one_target(host: DrillWorld, laid: Laid) -> None:
    spool = sorted((host.world.place / "spool").rglob("*"))
    verdict = host.drill()
    assert verdict.status == "ok", verdict.reason
    facts = host.newest()
    newest, target = facts["steps"]
    assert (newest["name"], newest["repository"], target["name"], target["repository"]) == (
        "newest",
        "near",
        "time",
        "far",
    )
    proven = {"marker", "amcheck", "dump", "sequences", "statement rows are there", "checksums"}
    assert checks(newest) == dict.fromkeys(proven, "passed")
    assert checks(target) == dict.fromkeys(("exact target", "counts", "roles", "extensions"), "passed")
    assert set(newest["phases"]) == {"fetch", "recover", "promote", "verify"}
    assert 0 < facts["recovery_time_seconds"] < sum(newest["phases"].values())
    assert facts["recovery_point_seconds"] is not None
    assert not host.copy.exists()
    # the cluster beside it is as it was
    assert sorted((host.world.place / "spool").rglob("*")) == spool
    assert host.world.ask("SELECT pg_is_in_recovery()") is False
    assert verify(host.evidence) == []


def test_a_full_drill_ends_at_every_kind_of_target(host: DrillWorld, laid: Laid) -> None:
    verdict = host.drill("full")
    assert verdict.status == "ok", verdict.reason
    facts = host.newest()
    assert [step["name"] for step in facts["steps"]] == ["newest", "time", "name", "lsn"]
    assert {step["repository"] for step in facts["steps"]} == {"near", "far"}
    assert facts["steps"][2]["target"] == f"name {laid.name}"
    assert all(checks(step)["exact target"] == "passed" for step in facts["steps"][1:])


LOAD = """
DO $$ BEGIN LOOP
    PERFORM pg_create_restore_point('load');
    PERFORM pg_switch_wal();
    COMMIT;
    PERFORM pg_sleep(1);
END LOOP; END $$
"""


def test_production_beside_it_goes_on_archiving(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segment after segment: the restore's locks and spool are not production's."""
    start = ScratchServer.start
    server, ask = host.world.server, host.world.ask
    archived, failed = (f"SELECT {name}_count FROM pg_stat_archiver" for name in ("archived", "failed"))
    before = ask(failed)

    def while_it_archives(copy: ScratchServer) -> None:
        since = ask(archived)
        start(copy)
        until(lambda: ask(archived) > since + 1, "nothing is archived beside a drill")

    monkeypatch.setattr(ScratchServer, "start", while_it_archives)
    words = [
        server.clients / "psql",
        "-Xqh",
        server.target.socket_directory,
        "-p",
        str(server.target.port),
        "-U",
        "postgres",
        "postgres",
    ]
    with subprocess.Popen(["runuser", "-u", USER, "--", *words, "-c", LOAD], stderr=subprocess.DEVNULL) as load:
        until(lambda: ask(archived) > 0, "nothing is archived")
        verdict = host.drill()
        ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%''load''%' AND pid <> pg_backend_pid()"
        )
        load.wait(60)
    assert verdict.status == "ok", verdict.reason
    host.world.archive()  # and nothing is left behind
    assert ask(failed) == before


def test_the_newest_state_is_that_of_the_beginning(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that grows quicker than it is replayed would be followed until the deadline."""
    start = ScratchServer.start
    newer: list[str] = []

    def while_it_grows(copy: ScratchServer) -> None:
        if not newer:
            newer.extend(host.world.archive() for _segment in range(3))
            (host.place / "newer").write_text(newer[0])
        start(copy)

    last = host.world.archive()
    monkeypatch.setattr(ScratchServer, "start", while_it_grows)
    assert host.drill().status == "ok"
    said = host.newest()["steps"][0]["stopped_at"]
    reached = f"SELECT pg_walfile_name(pg_lsn '{said.split()[-1]}' - 1)"
    assert last <= host.world.ask(reached) < (host.place / "newer").read_text()


def test_evidence_is_signed_where_there_is_a_key(host: DrillWorld) -> None:
    subprocess.run([str(Path(__file__).parents[1] / "tools.sh")], check=True)
    secret, public = host.place / "evidence.key", host.place / "evidence.pub"
    subprocess.run(["minisign", "-G", "-W", "-p", str(public), "-s", str(secret)], check=True, capture_output=True)
    shutil.chown(secret, USER)
    secret.chmod(0o400)
    assert host.drill(signing_key=str(secret)).status == "ok"
    assert verify(host.evidence, public.read_text().splitlines()[1]) == []
    assert len(list(host.evidence.glob("*.minisig"))) == 1


def test_a_key_that_signs_nothing_is_named_before_anything_is_restored(host: DrillWorld) -> None:
    """The evidence is there, unsealed; the next run seals it."""
    facts = host.failing("nowhere.key cannot be read on the host", signing_key=str(host.place / "nowhere.key"))
    assert facts["steps"] == []
    time.sleep(1)  # names of records are of a second
    assert host.drill().status == "ok"
    assert verify(host.evidence) == []


def test_repositories_take_turns(host: DrillWorld) -> None:
    for _drill in range(2):
        assert host.drill().status == "ok"
    newest = host.newest()["steps"][0]
    assert (newest["repository"], newest["backup"]) == ("far", host.world.newest(FAR).label)
    assert len(host.newest()["history"]) == 1


def test_a_target_that_was_passed_is_noticed(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery goes to the end where it was to end at the marker."""
    monkeypatch.setattr(host_drill, "options", lambda _wanted: [])
    facts = host.failing("row after of marker")
    assert checks(facts["steps"][1])["exact target"] == "failed"


def test_without_a_marker_nothing_is_proven(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_checks.recovery_marker, "markers", lambda _target: ())
    facts = host.failing("there is no recovery marker in it")
    assert checks(facts["steps"][0])["marker"] == "failed"
    assert "there is no recovery marker" in facts["steps"][1]["error"]


def test_a_wrong_key_is_named(host: DrillWorld) -> None:
    wrong = [{**one, "cipher_passphrase": PASSPHRASE[::-1]} for one in host.world.both()]
    assert host.failing("repository near", repositories=wrong)["steps"] == []


def test_a_lost_repository_is_named(host: DrillWorld) -> None:
    far, aside = host.world.place / "far", host.world.place / "far.aside"
    far.rename(aside)
    try:
        facts = host.failing("repository far")
    finally:
        shutil.rmtree(far, ignore_errors=True)
        aside.rename(far)
    assert facts["steps"] == []


def test_a_segment_that_is_missing_is_named(host: DrillWorld, laid: Laid) -> None:
    host.world.archive()  # it is no longer the last one
    (segment,) = host.world.files("near", f"archive/*/*/*/{laid.segment}-*")
    aside = host.place / "segment"
    shutil.move(segment, aside)
    try:
        host.failing(laid.segment)
    finally:
        shutil.move(aside, segment)


def test_wal_comes_from_the_repository_that_is_tried(host: DrillWorld, laid: Laid) -> None:
    """Its archive has lost its end; the other repository's has not, and must not help."""
    aside = host.place / "end"
    aside.mkdir()
    found = [path for path in host.world.files("near", "archive/*/*/*/*-*") if path.name >= laid.segment]
    for path in found:
        shutil.move(path, aside / path.name)
    try:
        facts = host.failing("there is no recovery marker in it")
    finally:
        for path in found:
            shutil.move(aside / path.name, path)
    assert facts["steps"][0]["repository"] == "near"


def test_a_flipped_bit_is_named(host: DrillWorld) -> None:
    taken = host.world.newest(NEAR).label  # an older one may be larger, and is not what is restored
    largest = max(host.world.files("near", f"backup/*/{taken}/**/*"), key=lambda path: path.stat().st_size)
    before = largest.read_bytes()
    largest.write_bytes(
        before[: len(before) // 2] + bytes([before[len(before) // 2] ^ 1]) + before[len(before) // 2 + 1 :]
    )
    try:
        assert host.failing("pgbackrest restore")["steps"][0]["error"]
    finally:
        largest.write_bytes(before)


def test_backups_that_are_too_old_are_named(host: DrillWorld) -> None:
    objectives = host.settings("quick")["clusters"][0]["objectives"]
    host.changes["objectives"] = {**objectives, "age_seconds": 1}
    assert host.failing("the objective is")["steps"] == []


def test_an_objective_that_is_missed_is_a_failure(host: DrillWorld) -> None:
    objectives = host.settings("quick")["clusters"][0]["objectives"]
    host.changes["objectives"] = {**objectives, "recovery_point_seconds": 1}
    host.failing("the recovery point")


def test_too_little_room_is_named(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_preflight, "ROOM_BYTES", 10**18)
    assert host.failing("are needed")["steps"] == []


def test_dumps_of_a_full_drill_need_room_too(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = {"database": "postgres", "remote": "far", "place": "far:dumps", "offsite": True}
    host.changes["dumps"] = {"rclone_config": "/nowhere", "identity_file": "/nowhere", "stored": [stored]}
    monkeypatch.setattr(drill_preflight, "DUMP_FACTOR", 10**12)
    verdict = host.drill()
    assert verdict.status == "ok", verdict.reason  # a quick one restores none
    assert host.failing("are needed", profile="full")["steps"] == []


def test_programs_that_are_missing_are_named(host: DrillWorld) -> None:
    next((host.place / "programs").glob("*/bin/pg_amcheck")).unlink()
    assert host.failing("pg_amcheck is not there")["steps"] == []


def test_a_wrong_answer_to_the_owner_is_a_failure(host: DrillWorld) -> None:
    (statement,) = host.settings("quick")["clusters"][0]["statements"]
    host.changes["statements"] = [{**statement, "condition": "< 0"}]
    facts = host.failing("and must be < 0")
    assert checks(facts["steps"][0])["statement rows are there"] == "failed"


def test_a_damaged_index_is_noticed(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks have the right checksums: only a comparison with the table tells."""
    whole = drill_checks.whole

    def damaged(told: Any, target: Any, marker: Any) -> Any:
        with connect(target) as connection:
            execute(connection, "SET allow_system_table_mods = on")
            execute(connection, "CREATE TABLE torn AS SELECT generate_series(1, 100) AS id")
            execute(connection, "CREATE INDEX torn_id ON torn (id) WHERE id <> 50")
            execute(connection, "UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'torn_id'::regclass")
        return whole(told, target, marker)

    monkeypatch.setattr(drill_checks, "whole", damaged)
    facts = host.failing("amcheck")
    assert checks(facts["steps"][0])["amcheck"] == "failed"


def test_a_block_with_a_wrong_checksum_is_noticed(host: DrillWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = drill_checks.blocks

    def torn(told: Any, target: Any, data: str) -> Any:
        largest = max(Path(data, "base").glob("*/*"), key=lambda path: path.stat().st_size)
        with largest.open("r+b") as stream:
            stream.seek(100)
            stream.write(b"torn")
        return blocks(told, target, data)

    monkeypatch.setattr(drill_checks, "blocks", torn)
    facts = host.failing("wrong checksum")
    assert checks(facts["steps"][0])["checksums"] == "failed"


@pytest.mark.parametrize("there", ["data/base", "data/postmaster.pid", "data/global/pg_control"])
def test_a_drill_that_was_killed_leaves_nothing_to_the_next(host: DrillWorld, there: str) -> None:
    note = host.place / "work" / "process"

    def kill() -> None:
        until((host.copy / there).exists, "it does not come so far")
        os.kill(int(note.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    verdict = host.drill(before=lambda: note.write_text(str(os.getpid())))
    killer.join()
    assert verdict.reason == "its process was ended from outside by SIGKILL"
    assert host.copy.exists()
    job.clean(None, host.settings("quick"))  # type: ignore[arg-type]
    assert not host.copy.exists()
    assert host.drill().status == "ok"
