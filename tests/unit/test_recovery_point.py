"""How much a disaster would have lost: beats against arrivals, across gaps, timelines and clocks that are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_point import Beat, recovery_point

from .backup_world import NOW, wal

MB16 = 16 * 2**20


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def beats(*told: tuple[float, float]) -> list[Beat]:
    """Return beats by their seconds, and where they lie, in segments."""
    return [Beat(at(seconds), int(place * MB16)) for seconds, place in told]


def arrivals(told: Mapping[int, float], timeline: int = 1) -> dict[str, datetime]:
    return {wal(number, timeline): at(seconds) for number, seconds in told.items()}


THREE = beats((0, 1.2), (10, 1.9), (20, 2.5))


@pytest.mark.parametrize(
    ("written", "arrived", "disaster", "expected"),
    [
        # an arrival is known to the second: it was there a second later for certain
        (THREE, {1: 14, 2: 29}, 60, (20, 40, 15)),
        (THREE, {1: 14, 2: 29}, 30, (20, 10, 15)),
        (THREE, {1: 14, 2: 29}, 29.9, (10, 19.9, 15)),
        (THREE, {1: 14, 2: 29}, 15, (10, 5, 15)),
        (THREE, {1: 14, 2: 29}, 14, (None, None, 15)),
        # what has not arrived has waited until the disaster
        (THREE, {1: 14}, 3620, (10, 3610, 3600)),
        (THREE, {1: 14}, 15, (10, 5, 15)),
        (THREE, {}, 60, (None, None, 60)),
        ([], {1: 14}, 60, (None, None, None)),
        ([], {}, 60, (None, None, None)),
        # a later segment is of no use before the one in front of it
        (THREE, {1: 44, 2: 29}, 40, (None, None, 45)),
        (THREE, {1: 44, 2: 29}, 45, (20, 25, 45)),
        (beats((0, 1.2), (10, 3.5)), {1: 4, 3: 14}, 60, (0, 60, 50)),
        # a clock that was ahead, and one that was set back
        ([*THREE, *beats((900, 2.6))], {1: 14, 2: 29}, 60, (20, 40, 15)),
        (beats((30, 1.2), (10, 1.9)), {1: 14}, 60, (30, 30, 5)),
        (beats((30, 1.2)), {1: 14}, 60, (30, 30, 0)),
        # the WAL of before the archive, or of before the oldest backup
        ([*beats((-900, 0.5)), *THREE], {1: 14, 2: 29}, 60, (20, 40, 15)),
    ],
)
def test_what_would_have_been_lost(
    written: list[Beat],
    arrived: Mapping[int, float],
    disaster: float,
    expected: tuple[float | None, float | None, float | None],
) -> None:
    """What is expected: the newest beat that comes back, how long it is before the disaster, the longest wait."""
    newest, *measured = expected
    found = recovery_point(written, arrivals(arrived), at(disaster))
    assert found.beat is None if newest is None else found.beat is not None and found.beat.at == at(newest)
    assert [found.seconds, found.worst] == measured


def test_of_a_number_on_two_timelines_the_first_arrival_counts() -> None:
    both = arrivals({1: 14, 2: 500}) | arrivals({2: 29}, timeline=2)
    assert recovery_point(THREE, both, at(30)).seconds == 10


def test_segments_have_a_size() -> None:
    written = [Beat(at(0), 5 * 2**20)]
    assert recovery_point(written, {"000000010000000000000005": at(3)}, at(10), 2**20).seconds == 10
    assert recovery_point(written, {"000000010000000000000004": at(3)}, at(10), 2**20).seconds is None
    with pytest.raises(ValueError, match="is not the name of a WAL segment"):
        recovery_point(written, {"000000010000000000000FFF": at(3)}, at(10))


@given(
    steps=st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1.5)), min_size=1, max_size=12),
    delays=st.lists(st.integers(0, 120), min_size=20, max_size=20),
    late=st.integers(0, 19),
    disaster=st.integers(0, 400),
)
def test_a_later_arrival_never_makes_it_better(
    steps: list[tuple[int, float]], delays: list[int], late: int, disaster: int
) -> None:
    written, seconds, place = [], 0, 1.0
    for step, further in steps:
        seconds, place = seconds + step, place + further
        written.append(Beat(at(seconds), int(place * MB16)))
    arrived = dict(enumerate(delays, start=1))
    before = recovery_point(written, arrivals(arrived), at(disaster))
    after = recovery_point(written, arrivals(arrived | {late + 1: arrived[late + 1] + 60}), at(disaster))
    assert (after.worst or 0) >= (before.worst or 0)
    if after.seconds is not None:
        assert before.seconds is not None
        assert after.seconds >= before.seconds >= 0
