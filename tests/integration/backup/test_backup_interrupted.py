"""Backups that are cut off, that meet another one, that find no room or no store, and what retention leaves."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.archiving import archiving_faults
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_config import archive_command
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host import programs
from ansible_collections.pgstead.ops.plugins.module_utils._host.pgbackrest import PROGRAM
from ansible_collections.pgstead.ops.plugins.module_utils._pg import archiving

from .world import AS_USER, FAR, NEAR, STANZA, THIRD, WAIT_SECONDS, World, restored, until

pytestmark = pytest.mark.usefixtures("canary")
ROOM_MIB = 16  # the cluster needs about twice as much


def copying(world: World, known: set[str]) -> bool:
    """Say whether files of a new backup are in the repository; nothing there is written after the last segment."""
    found = world.files("near", f"backup/{STANZA}/2*/pg_data/**/*")
    return any(path.parts[len(world.place.parts) + 3] not in known for path in found)


def holder(world: World) -> int:
    """Return the process that makes a backup; 0 while its lock file is written anew with how far it is."""
    with suppress(ValueError):
        return int(json.loads((world.place / f"lock/{STANZA}-backup.lock").read_text())["pid"])
    return 0


def labels(world: World, key: int) -> set[str]:
    return {one.label for one in world.engine(key).info().backups}


def test_a_backup_that_is_killed_counts_as_nothing(world: World) -> None:
    known = labels(world, NEAR)
    hears, says = multiprocessing.Pipe(duplex=False)
    job = multiprocessing.get_context("fork").Process(target=lambda: says.send(world.job("full")))
    with world.not_archiving():
        job.start()
        until(lambda: copying(world, known), "the backup does not begin")
        os.killpg(os.getpgid(until(lambda: holder(world), "nobody holds the lock")), signal.SIGKILL)
        assert hears.poll(WAIT_SECONDS)
        verdict = hears.recv()
        job.join()
    assert (verdict.status, verdict.reason) == ("failed", "its process was ended from outside by SIGKILL")
    assert labels(world, NEAR) == known, "what was killed half-way counts as a backup"
    verdict = world.job("full")
    assert verdict.status == "ok", verdict.reason
    wanted, backup = world.choose(NEAR, "latest")
    assert backup.label not in known
    assert world.survey(read_everything=True).faults == ()
    with restored(world) as second:
        second.fetch(backup, wanted)
        assert second.start()
        assert second.rows() == {"before", "after"}


def test_of_two_backups_at_once_the_second_is_skipped(world: World) -> None:
    known = labels(world, NEAR)
    words = [PROGRAM, f"--stanza={STANZA}", f"--repo={NEAR}", "--type=full", "backup"]
    with world.not_archiving():
        first = subprocess.Popen([*AS_USER, *world.environment, *words], stdout=subprocess.PIPE, text=True)
        until(lambda: copying(world, known), "the backup does not begin")
        verdict = world.job("full")
        with pytest.raises(HostError, match=r"\[050\].*[Aa]nother backup, expiry or stanza command holds the lock"):
            world.engine().backup(NEAR, "full")
    said, _none = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert (verdict.status, verdict.reason) == (
        "skipped",
        "main: another backup is under way, started by something else",
    )
    (made,) = labels(world, NEAR) - known
    wanted, backup = world.choose(NEAR, "latest")
    assert backup.label == made
    with restored(world) as second:
        second.fetch(backup, wanted)
        assert second.start()
        assert second.rows() == {"before", "after"}


def test_a_repository_that_was_emptied_begins_anew(world: World) -> None:
    """What lies there without its list goes, and nothing of the others."""
    near = labels(world, NEAR)
    with world.third(world.repository("emptied")):
        world.engine(NEAR, THIRD).create()
        segment = world.archive()
        for lost in (world.place / "emptied").rglob("*.info*"):
            lost.unlink()
        with pytest.raises(HostError, match="not empty"):
            world.engine(NEAR, THIRD).create()
        with pytest.raises(HostError, match="not empty"):
            world.engine(NEAR, THIRD).create_anew(NEAR)  # that one has a stanza, and keeps it
        assert labels(world, NEAR) == near
        assert world.files("emptied", f"**/{segment}*") != []
        stopped, locks = [], []

        def run(words: Sequence[str]) -> tuple[int, str, str]:
            if "stanza-delete" in words:  # were it killed here, a stop file of all would keep WAL from being archived
                stopped.extend((world.place / "lock").glob("*.stop"))
                locks.extend(word.partition("=")[2] for word in words if word.startswith("--lock-path="))
            return programs.run(words)

        replace(world.engine(NEAR, THIRD), run=run).create_anew(THIRD)
        assert stopped == []
        assert [Path(own).exists() for own in locks] == [False]
        assert world.files("emptied", f"**/{segment}*") == []
        world.engine(NEAR, THIRD).check()
        assert labels(world, NEAR) == near
    world.archive()


@pytest.fixture
def small(world: World) -> Iterator[dict[str, Any]]:
    """A third repository, on a file system of its own with too little room."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    place = world.place / "small"
    place.mkdir(exist_ok=True)
    owner = world.place.stat()
    options = f"size={ROOM_MIB}m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pgstead-test", str(place)], check=True)
    try:
        raw = world.repository("small")
        with world.third(raw):
            world.engine(NEAR, THIRD).create()
            yield raw
        world.archive()
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_repository_without_room_is_named(world: World, small: dict[str, Any]) -> None:
    """The upload is cut off where the room ends: nothing of it counts, and with room the next one is whole."""
    verdict = world.job("full", small)
    assert verdict.status == "failed"
    assert re.match(r"small: pgbackrest backup, repo3: .*A disk is full", verdict.reason)
    assert "near" not in verdict.reason
    assert verdict.facts["repositories"]["near"]["label"] == world.newest(NEAR).label
    assert labels(world, THIRD) == set(), "an upload that was cut off counts as a backup"
    subprocess.run(["mount", "-o", "remount,size=200m", str(world.place / "small")], check=True)
    verdict = world.job("full", small)
    assert verdict.status == "ok", verdict.reason
    assert world.engine(THIRD).verify(THIRD) == ()


def test_an_archive_without_room_is_named_and_catches_up(world: World, small: dict[str, Any]) -> None:
    filler = world.place / "small/filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(ROOM_MIB * 2**20))
    told, command = world.told(), archive_command(STANZA)
    world.server.run("SELECT pg_create_restore_point('full')", "SELECT pg_switch_wal()")
    faults = until(
        lambda: archiving_faults(archiving.read(world.server.target), command, told.archive_age),
        "archiving does not fail",
    )
    assert re.match(r"archiving of \w{24} fails, last at .*a full disk", faults[0])
    filler.unlink()
    world.serve()  # the archiver waits up to a minute after three failures, unless it is told something
    world.archive()
    assert archiving_faults(archiving.read(world.server.target), command, told.archive_age) == ()
    assert world.survey().faults == (), "a segment went missing while there was no room"


def test_expiry_leaves_the_last_good_backup(world: World) -> None:
    """With a clock ten years on, every tier is over."""
    assert world.job("diff").status == "ok"
    verdict = world.job("full", now=datetime.now(UTC) + timedelta(days=3650))
    assert verdict.status == "ok", verdict.reason
    for name, key in (("near", NEAR), ("far", FAR)):
        facts = verdict.facts["repositories"][name]
        assert facts["expired"]
        assert labels(world, key) == {facts["label"]}, "expiry took the last good backup, or left more than that"
    assert world.survey(read_everything=True).faults == ()
    wanted, backup = world.choose(NEAR, "latest")
    with restored(world) as second:
        second.fetch(backup, wanted)
        assert second.start()
        assert second.rows() == {"before", "after"}
