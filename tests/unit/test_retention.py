"""Which backups tiers keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._core.retention import BY_ENVIRONMENT, Point, kept, tiers

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
PRODUCTION, _NONE = tiers({}, "production", "backup_retention")


def hours(ago: float, *, good: bool = True) -> Point:
    return Point(f"{ago:g} h ago", NOW - timedelta(hours=ago), good)


@pytest.mark.parametrize("environment", BY_ENVIRONMENT)
def test_every_environment_has_tiers(environment: str) -> None:
    found, problems = tiers({}, environment, "backup_retention")
    assert (problems, list(found)) == ([], ["hourly", "daily", "weekly", "monthly"])


def test_an_hourly_backup_for_a_day() -> None:
    found = kept([hours(n) for n in range(48)], {"hourly": timedelta(hours=24)}, NOW)
    assert list(found) == [f"{n} h ago" for n in range(25)]
    assert found["0 h ago"][:2] == ("newest", "hourly")


def test_a_year_of_daily_backups() -> None:
    found = kept([hours(24 * n) for n in range(500)], PRODUCTION, NOW)
    by_tier = {tier: [key for key, names in found.items() if tier in names] for tier in PRODUCTION}
    assert {tier: len(keys) for tier, keys in by_tier.items()} == {
        "hourly": 2,
        "daily": 31,
        "weekly": 13,
        "monthly": 13,
    }
    assert "360 h ago" in by_tier["monthly"]  # the last day of February


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], []),
        ([hours(9999)], ["9999 h ago"]),  # expired long ago, and the only one
        ([hours(1, good=False), hours(9999)], ["9999 h ago"]),  # the newer one cannot be restored
        ([hours(1, good=False), hours(2), hours(9999)], ["2 h ago"]),
        ([hours(-0.05), hours(2)], ["-0.05 h ago", "2 h ago"]),  # three minutes of skew
    ],
    ids=["none", "the last", "the last good", "a bad one", "skew"],
)
def test_the_newest_good_one_stays(points: list[Point], expected: list[str]) -> None:
    assert sorted(kept(points, PRODUCTION, NOW)) == sorted(expected)


def test_a_clock_that_is_behind_decides_nothing() -> None:
    with pytest.raises(HostError, match=r"the clock is behind: .* backup -24 h ago ended at 2026-03-16 12:00:00 UTC"):
        kept([hours(-24), hours(24)], PRODUCTION, NOW)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"yearly": "1y"}, "backup_retention.yearly: is no tier"),
        ({"daily": "a month"}, "backup_retention.daily: 'a month' is no duration"),
        ({"daily": 30}, "backup_retention.daily: 30 is no duration"),
        ({"hourly": 0, "daily": 0, "weekly": "0", "monthly": 0}, "backup_retention: keeps nothing"),
        ("30d", "backup_retention: '30d' is no mapping"),
    ],
)
def test_what_is_no_retention_is_named(raw: object, words: str) -> None:
    _found, problems = tiers(raw, "production", "backup_retention")
    assert next(str(problem) for problem in problems).startswith(words)
