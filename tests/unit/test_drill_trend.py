"""Where a figure is heading: which line there is, and when it comes to an objective."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_trend import AHEAD, LEAST, MOST, line, reaches

NOW = datetime(2026, 11, 26, 3, 30, tzinfo=UTC)


def weekly(*seconds: float) -> list[tuple[datetime, float]]:
    """Return points a week apart, the last one now."""
    return [(NOW - timedelta(weeks=len(seconds) - 1 - number), value) for number, value in enumerate(seconds)]


@pytest.mark.parametrize(
    ("seconds", "objective", "weeks"),
    [
        ((10, 20, 30, 40), 60, 2),
        ((10, 20, 30, 40), 40, 0),
        ((10, 20, 30, 40), 35, 0),
        ((10, 20, 30, 40), 170, None),  # in 13 weeks: too far to tell
        ((40, 30, 20, 10), 60, None),
        ((10, 10, 10, 10), 60, None),
        ((20, 30, 40), 60, None),
        ((10, 500, 30, 40, 50, 60), 80, 2),  # one odd drill bends nothing
        ((10, 20, 30, 40, 50, 0), 80, 2),
        ((*[1000.0] * 9, *(10.0 * week for week in range(MOST))), 130, 2),  # what is long ago is forgotten
    ],
)
def test_reaches(seconds: tuple[float, ...], objective: float, weeks: int | None) -> None:
    found = line(weekly(*seconds))
    when = reaches(found, objective, NOW) if found else None
    expected = None if weeks is None else NOW + timedelta(weeks=weeks)
    assert when == expected or abs(when - expected) < timedelta(minutes=1)


@pytest.mark.parametrize("apart", [timedelta(0), timedelta(minutes=5), timedelta(days=1)])
def test_drills_within_some_days_make_no_line(apart: timedelta) -> None:
    points = [(NOW + number * apart, float(number)) for number in range(7)]
    assert line(points) is None
    assert line([*points, (NOW + timedelta(days=7), 7.0)]) is not None


@given(
    st.floats(0, 1e5), st.floats(-1e3, 1e3), st.lists(st.integers(0, 2000), min_size=LEAST, max_size=MOST, unique=True)
)
def test_points_of_a_line_are_found_as_it(base: float, slope: float, days: list[int]) -> None:
    assume(max(days) - min(days) >= 7)
    measured = [(NOW + timedelta(days=day), base + slope * day) for day in sorted(days)]
    found = line(measured)
    assert found is not None
    assert found.per_day == pytest.approx(slope, abs=1e-6)
    assert all(found.at(when) == pytest.approx(seconds, abs=1e-3) for when, seconds in measured)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0, 1e6))
def test_what_is_reached_lies_ahead_and_on_the_line(seconds: list[float], objective: float) -> None:
    found = line(weekly(*seconds))
    assume(found is not None)
    when = reaches(found, objective, NOW)
    if when is not None:
        assert NOW <= when <= NOW + AHEAD
        assert found.per_day > 0
        assert found.at(when) >= objective - found.per_day * 1e-6 - 1e-3


@given(st.lists(st.floats(0, 1e6), min_size=LEAST, max_size=MOST), st.floats(0, 1e9))
def test_one_odd_drill_never_leads_the_line_beyond_what_the_others_say(seconds: list[float], odd: float) -> None:
    assume(len(seconds) >= 6)
    calm = [100.0 + number for number in range(len(seconds))]
    calm[2] = odd
    found = line(weekly(*calm))
    assert found is not None
    assert found.per_day == pytest.approx(1 / 7, rel=0.5)
