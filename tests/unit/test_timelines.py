"""Timelines: where they were left, and what they wrote after that."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.timelines import Left, left, timeline_ends

from .backup_world import NOW, wal

HISTORY = "1\t0/C000098\tno recovery target specified\n\n2\t0/16000000\tbefore 2026-03-14 10:00:00+00\n"
SECOND = timedelta(seconds=1)
SIZE = 2**24


def test_where_timelines_were_left() -> None:
    assert timeline_ends(HISTORY) == {1: 0xC000098, 2: 0x16000000}
    assert timeline_ends("") == {}


def moment(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


# Segments 10 to 20 of timeline 1, one a minute; it is left in segment 12, and timeline 2 begins there.
FIRST = {wal(number): NOW + timedelta(minutes=number) for number in range(10, 21)}
SECONDS = {wal(number, 2): NOW + timedelta(minutes=18 + number) for number in range(12, 15)}  # from minute 30 on


@pytest.mark.parametrize(
    ("why", "since"),
    [
        ("before 2026-03-15 12:11:30.25+00", moment(11.5) + timedelta(microseconds=250000)),
        ("before 2026-03-15 14:11:30+02", moment(11.5)),
        ("before 2026-03-15 17:41:30+05:30", moment(11.5)),
        # the segment may have what came before
        ('at restore point "before 2026"', moment(12) + SECOND),
        ("after LSN 0/C000098", moment(12) + SECOND),
        ("no recovery target specified", moment(12) + SECOND),
    ],
)
def test_what_a_timeline_wrote_after_it_was_left(why: str, since: datetime) -> None:
    found = left(f"1\t0/C000098\t{why}\n", 2, FIRST | SECONDS, SIZE)
    assert found == (Left(1, since, NOW + timedelta(minutes=20) + SECOND),)


def test_nothing_was_left_where_all_was_recovered() -> None:
    """As after a crash, or a restore of the latest: the end of the archive is where the timeline was left."""
    there = {name: time for name, time in FIRST.items() if name <= wal(12)}
    assert left("1\t0/C000098\tno recovery target specified\n", 2, there | SECONDS, SIZE) == ()
    assert left("1\t0/C000098\tbefore 2026-03-15 12:11:30+00\n", 2, FIRST, SIZE) == ()  # nothing is on it yet
    assert left("", 1, FIRST, SIZE) == ()


def test_each_of_several_is_left_until_its_own_follower_begins() -> None:
    thirds = {wal(number, 3): NOW + timedelta(minutes=60 + number) for number in range(14, 16)}
    history = "1\t0/C000098\tbefore 2026-03-15 12:11:30+00\n2\t0/D000098\tbefore 2026-03-15 12:31:00+00\n"
    assert left(history, 3, FIRST | SECONDS | thirds, SIZE) == (
        Left(1, NOW + timedelta(minutes=11.5), NOW + timedelta(minutes=20) + SECOND),
        Left(2, NOW + timedelta(minutes=31), NOW + timedelta(minutes=32) + SECOND),
    )
