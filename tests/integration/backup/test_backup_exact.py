"""Recovery ends where it was told to: the row before the moment is there, the row after it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import stopping_point, target, why_it_ended

from .conftest import Canary
from .world import FAR, NEAR, World, restored, until


@pytest.mark.parametrize(("key", "kind"), [(NEAR, "time"), (FAR, "name"), (NEAR, "lsn")])
def test_a_restore_is_exact(world: World, canary: Canary, key: int, kind: str) -> None:
    wanted, backup = world.choose(key, kind, getattr(canary, kind))
    with restored(world) as second:
        second.fetch(backup, wanted)
        assert second.start()
        assert second.rows() == {"before"}
        assert stopping_point(second.log()).startswith("recovery stopping")


def test_the_latest_has_every_row(world: World, canary: Canary) -> None:
    wanted, backup = world.choose(FAR, "latest")
    with restored(world) as second:
        second.fetch(backup, wanted)
        assert second.start()
        assert second.rows() == {"before", "after"}


@pytest.mark.parametrize("kind", ["time", "lsn"])
def test_a_target_beyond_the_wal_is_refused(world: World, canary: Canary, kind: str) -> None:
    """The running segment is not archived: its LSNs, and times after the last arrival, cannot be reached."""
    with pytest.raises(SpecError, match="lies beyond the WAL of repository 1"):
        world.choose(NEAR, kind, beyond(world)[kind])


def test_a_server_that_cannot_reach_its_target_says_so(world: World, canary: Canary) -> None:
    """What is forced past the check: recovery goes to the end of the WAL, and the server ends."""
    backup = world.newest(NEAR)
    with restored(world) as second:
        second.fetch(backup, target("time", beyond(world)["time"], datetime.now(UTC)))
        assert not second.start()
        assert why_it_ended(second.log()).startswith("the target lies beyond the WAL: ")


def beyond(world: World) -> dict[str, str]:
    """Return a moment after the last archived segment: as a time, more than a second after it, and as an LSN."""
    world.archive()
    segments = world.engine().arrivals(NEAR, "15-1")
    arrived = segments[max(segments)]
    now = until(
        lambda: (found := world.ask("SELECT clock_timestamp()")) > arrived + timedelta(seconds=1) and found, "no time"
    )
    return {"time": now.isoformat(), "lsn": world.ask("SELECT pg_current_wal_insert_lsn()::text")}
