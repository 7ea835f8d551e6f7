"""Repositories that are damaged, incomplete, of another key or gone: each is found, and named with its repository."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import target, too_small, why_it_ended
from ansible_collections.pgstead.ops.plugins.module_utils._host import programs

from .world import AS_USER, FAR, MAJOR, NEAR, STANZA, World, restored

pytestmark = pytest.mark.usefixtures("canary")


@contextmanager
def holding(path: Path, content: bytes) -> Iterator[None]:
    """Have another content in a file for a moment."""
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


@contextmanager
def flipped(path: Path) -> Iterator[None]:
    """Flip one bit in the middle of a file for a moment."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    with holding(path, whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]):
        yield


@contextmanager
def cut(path: Path) -> Iterator[None]:
    """Have only the first half of a file for a moment."""
    with holding(path, path.read_bytes()[: path.stat().st_size // 2]):
        yield


@contextmanager
def gone(path: Path) -> Iterator[None]:
    """Have a file or directory away for a moment."""
    aside = path.with_name(f".{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        if path.is_dir():  # somebody made it anew
            shutil.rmtree(path)
        aside.rename(path)


def test_what_is_whole_has_no_fault(world: World) -> None:
    found = world.survey(read_everything=True)
    assert found.faults == ()
    assert [len(one.held.backups) > 0 and one.segments > 0 for one in found.surveyed] == [True, True]


def test_a_flipped_bit_is_found_with_its_backup(world: World) -> None:
    backup = world.newest(NEAR)
    largest = max(
        world.files("near", f"backup/{STANZA}/{backup.label}/pg_data/**/*"), key=lambda path: path.stat().st_size
    )
    with flipped(largest):
        (fault,) = world.survey(read_everything=True).faults
        assert fault.startswith(f"near: backup: {backup.label}, status: invalid"), "a flipped bit was not named"
        with restored(world) as second, pytest.raises(HostError, match="A file of the repository is damaged"):
            second.fetch(backup, target("latest", "", datetime.now(UTC)))


def test_a_missing_segment_is_found(world: World) -> None:
    middle = world.archive()
    for _ in range(2):
        world.archive()
    (segment,) = world.files("far", f"archive/{STANZA}/{MAJOR}-1/*/{middle}-*")
    with gone(segment):
        assert world.engine().verify(FAR) == (), "pgBackRest says so itself now: what do we add?"
        (fault,) = world.survey().faults
        assert fault.startswith(f"far: WAL {middle} is missing"), "a missing segment was not named"


def test_wal_that_cannot_be_read_is_not_the_end_of_the_wal(world: World) -> None:
    """PostgreSQL would take the error for the end, and open without what follows."""
    middle = world.archive()
    world.archive()
    wanted, backup = world.choose(NEAR, "latest")
    (segment,) = world.files("near", f"archive/{STANZA}/{MAJOR}-1/*/{middle}-*")
    with cut(segment), restored(world) as second:
        second.fetch(backup, wanted)
        assert not second.start(), "a server opened without WAL that is in its archive"
        assert why_it_ended(second.log()).startswith("the archive could not be read, 3 times: ERROR: [")


def test_wal_comes_from_the_repository_that_is_restored(world: World) -> None:
    """Its archive has lost its end; the other one's has not, and would hide that."""
    world.server.run("INSERT INTO canary VALUES ('last')")
    last = world.archive()
    (segment,) = world.files("near", f"archive/{STANZA}/{MAJOR}-1/*/{last}-*")
    with gone(segment), restored(world) as second:
        wanted, backup = world.choose(NEAR, "latest")
        second.fetch(backup, wanted)
        assert second.start()
        assert "last" not in second.rows()


def test_an_archive_that_lost_its_end_is_found(world: World) -> None:
    last = world.archive()
    (segment,) = world.files("near", f"archive/{STANZA}/{MAJOR}-1/*/{last}-*")
    with gone(segment):
        (fault,) = world.survey().faults
        assert re.match(rf"near: the archive ends at \w{{24}}, but the server has had {last} archived", fault)


def test_a_backup_without_its_wal_is_found(world: World) -> None:
    backup = world.newest(NEAR)
    (segment,) = world.files("near", f"archive/{STANZA}/{MAJOR}-1/*/{backup.wal[1]}-*")
    with gone(segment):
        found = world.survey().faults
        assert found[0] == f"near: backup {backup.label} cannot become consistent: segment {backup.wal[1]} is missing"


def test_another_key_is_named(world: World) -> None:
    raw = [world.repository("near", cipher_passphrase="another one, of the same length"), world.both()[1]]
    other = world.place / "conf/other"
    world.write(raw, directory=other)
    (fault,) = world.survey(options=other_configuration(other)).faults
    assert fault.startswith("near: cannot be decrypted: its cipher_passphrase is not the one"), (
        "a wrong key was not named"
    )
    assert "another one" not in fault
    with pytest.raises(HostError, match="was written with another cipher_passphrase"):
        world.engine(options=other_configuration(other)).backup(NEAR, "full")


def other_configuration(place: Path) -> tuple[str, str]:
    return f"--config={place / 'pgbackrest.conf'}", f"--config-include-path={place / 'conf.d'}"


def test_a_lost_repository_is_named(world: World) -> None:
    with gone(world.place / "near"):
        (fault,) = world.survey().faults
        assert fault.startswith("near: has no stanza main: run playbook"), "a lost repository was not named"
        verdict = world.job("incr")
    assert verdict.status == "failed"
    assert verdict.reason.startswith("near: has no stanza main: "), "the lost repository was not named"
    assert "far" not in verdict.reason
    assert verdict.facts["repositories"]["far"]["label"] == world.newest(FAR).label


def test_a_clock_that_is_behind_expires_nothing(world: World) -> None:
    before = {one.label for one in world.engine().info().backups}
    verdict = world.job("diff", now=datetime.now(UTC) - timedelta(days=3650))
    assert verdict.status == "failed"
    assert "was made, but: the clock is behind" in verdict.reason, "a clock that is behind was not named"
    assert before < {one.label for one in world.engine().info().backups}


def test_a_host_that_is_too_small_is_named(world: World) -> None:
    wanted, backup = world.choose(NEAR, "latest")
    with restored(world) as second:
        second.fetch(backup, wanted)
        program = str(world.server.clients / "pg_controldata")
        code, out, err = programs.run([*AS_USER, program, str(second.server.data)])
        assert code == 0, err
        few = {"max_connections": "20", "max_wal_senders": "3"}
        assert too_small(out, few) == ("max_connections is 20 here, but the server that was backed up had 100",)
        assert too_small(out, few | {"max_connections": "100"}) == ()
        assert not second.start(max_connections="20"), "the server does not mind: what do we check?"


def test_a_damaged_page_makes_no_good_backup(world: World) -> None:
    """An index page: queries and dumps may never see it."""
    world.server.run("CREATE INDEX damaged ON filler (words)", "CHECKPOINT")
    path = world.server.data / world.ask("SELECT pg_relation_filepath('damaged')")
    good = {key: world.newest(key).label for key in (NEAR, FAR)}
    with flipped(path):
        verdict = world.job("full")
    assert verdict.status == "failed"
    for name, key in (("near", NEAR), ("far", FAR)):
        assert re.search(
            rf"{name}: pages with wrong checksums were found in the cluster while [\w-]+F was made", verdict.reason
        )
        assert world.newest(key).label == good[key], "a backup with a damaged page counts as good"
    world.server.run("DROP INDEX damaged", "CHECKPOINT")
    assert world.job("full").status == "ok"
