"""A restore to a marker ends exactly there, while others write: the restored server itself can tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.marker_job import Laid
from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_point import recovery_point
from ansible_collections.pgstead.ops.plugins.module_utils._pg import recovery
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import connect, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.heartbeat import beat, beats, opened
from ansible_collections.pgstead.ops.plugins.module_utils._pg.recovery_marker import lay, markers, present

from .world import FAR, NEAR, SEGMENT_BYTES, WAIT_SECONDS, World, restored, until

WRITERS = 4


@contextmanager
def writers(world: World) -> Iterator[None]:
    """Commit small transactions, as fast as the server takes them, from several sessions."""
    ended = threading.Event()

    def write() -> None:
        with connect(world.server.target) as connection:
            while not ended.is_set():
                rows(connection, "INSERT INTO busy VALUES (clock_timestamp()) RETURNING 1")

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: world.ask("SELECT count(*) FROM busy") > 100, "nobody writes")
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def laid(world: World) -> Laid:
    """Lay a marker after a new backup, and beat around it."""
    world.server.run("CREATE TABLE IF NOT EXISTS busy (at timestamptz)")
    world.full()
    with opened(world.server.target) as connection, writers(world):
        beat(connection)
        found = lay(world.server.target, "exact")
        beat(connection)
    assert recovery.archived(world.server.target, found.segment, WAIT_SECONDS)
    world.archive()
    return found


@pytest.mark.parametrize(("key", "kind"), [(NEAR, "time"), (FAR, "name"), (NEAR, "lsn")])
def test_before_is_there_and_after_is_not(world: World, laid: Laid, key: int, kind: str) -> None:
    wanted, backup = world.choose(key, kind, {"time": laid.time.isoformat(), "name": laid.name, "lsn": laid.lsn}[kind])
    with restored(world) as second:
        second.fetch(backup, wanted)
        assert second.start()
        place = second.server.target
        assert present(place, laid.name) == (True, False)
        (marker,) = [one for one in markers(place) if one.name == laid.name]
        assert (marker.complete, marker.lsn) == (False, "")
        assert marker.manifest["counts"]["postgres"]["public.filler"] == 6000


def test_whoever_has_the_end_has_the_coordinates_and_the_recovery_point(world: World, laid: Laid) -> None:
    wanted, backup = world.choose(NEAR, "latest")
    with restored(world) as second:
        second.fetch(backup, wanted)
        assert second.start()
        newest, written = markers(second.server.target)[0], beats(second.server.target)
    assert (newest.name, newest.time, newest.lsn) == (laid.name, laid.time, laid.lsn)
    assert len(written) >= 2  # those of other tests of this server are there, too
    arrivals = world.engine().arrivals(NEAR, "15-1")
    disaster = max(arrivals.values()) + timedelta(minutes=1)
    found = recovery_point(written, arrivals, disaster, SEGMENT_BYTES)
    assert found.beat == written[-1]
    assert found.seconds == (disaster - written[-1].at).total_seconds()
    ours = recovery_point(written[-2:], arrivals, disaster, SEGMENT_BYTES)  # others' came late, as they were to
    assert ours.worst is not None
    assert 0 <= ours.worst <= WAIT_SECONDS
    long_before = recovery_point(written, arrivals, written[0].at, SEGMENT_BYTES)
    assert long_before.beat is None
