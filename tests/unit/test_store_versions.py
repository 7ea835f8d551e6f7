"""What a store that keeps versions proves of an emptied bucket."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Backup, Held
from ansible_collections.pgstead.ops.plugins.module_utils._core.store_versions import kept, moments, option, state

from .backup_world import NOW, backup

MONTH, MINUTE = timedelta(days=30), timedelta(minutes=1)
OLD, GONE, NEW = backup("old", hours=100), backup("gone", hours=200), backup("new", hours=2)


def test_a_time_as_the_engine_takes_it() -> None:
    assert option(NOW) == "--repo-target-time=2026-03-15 12:00:00+00"


@pytest.mark.parametrize(
    ("backups", "period", "expected"),
    [
        ((OLD, NEW), MONTH, (NOW - timedelta(days=29), NEW.started)),
        ((OLD, NEW), timedelta(hours=10), (NOW - timedelta(hours=9), NEW.started)),
        ((OLD, NEW), timedelta(hours=2), (NOW - timedelta(hours=1.8),)),
        ((), MONTH, (NOW - timedelta(days=29),)),
    ],
    ids=["a day before the end", "a tenth before the end", "the newest is older than what is kept", "no backup"],
)
def test_times_to_look_at(backups: tuple[Backup, ...], period: timedelta, expected: tuple[datetime, ...]) -> None:
    assert moments(Held(1, backups=backups), period, NOW) == expected


@pytest.mark.parametrize(
    ("then", "now", "status", "said"),
    [
        ([GONE, OLD], [OLD, NEW], "passed", "1 of 2 backups have expired since (the newest: gone)"),
        ([GONE], [], "passed", "1 of 1 backups have expired since"),
        ([OLD], [OLD, NEW], "passed", "but their list was overwritten"),
        ([OLD], [OLD], "could_not_run", "nothing is proven"),
        ([OLD, NEW], [OLD, NEW], "failed", "has answered with new, which is later"),
    ],
)
def test_only_what_was_overwritten_or_deleted_proves_anything(
    then: list[Backup], now: list[Backup], status: str, said: str
) -> None:
    found, words = kept(then, now, NEW.started - MINUTE)
    assert found == status
    assert said in words


@pytest.mark.parametrize(
    ("beat", "status", "said"),
    [
        (NOW - timedelta(seconds=12), "passed", "it ends 12 s before 2026-03-15 12:00:00Z"),
        (NOW - timedelta(minutes=5), "passed", "it ends 5 min before"),
        (NOW + MINUTE, "failed", "2026-03-15 12:01:00Z, and it was asked for 2026-03-15 12:00:00Z"),
        (NOW - timedelta(minutes=5, seconds=1), "failed", "the WAL between 2026-03-15 11:54:59Z"),
        (NEW.started, "failed", "and 2026-03-15 12:00:00Z did not come back"),
        (None, "failed", "no heartbeat"),
    ],
    ids=["near", "at the objective", "later", "beyond the objective", "the backup alone came back", "none"],
)
def test_a_copy_must_be_of_the_time(beat: datetime | None, status: str, said: str) -> None:
    found, words = state(beat, NOW, timedelta(minutes=5))
    assert found == status
    assert said in words
