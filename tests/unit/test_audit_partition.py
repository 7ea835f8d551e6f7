"""The months of an audit log: what is made ahead, what is older than anybody keeps."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_partition import (
    PartitionRule,
    add_months,
    expired,
    leap,
    partition_name,
    plan_partitions,
    retention_months,
)


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("1 month", 1),
        ("18 months", 18),
        ("2 years", 24),
        ("1 year", 12),
        (" 3  months ", 3),
        ("999 years", 11_988),
    ],
)
def test_times_to_keep_the_log(text: str, months: int) -> None:
    assert retention_months(text) == months


@pytest.mark.parametrize(
    "text", ["", "2", "2 weeks", "30 days", "1.5 years", "-1 month", "two years", "1 year 6 months", "1000 years"]
)
def test_what_is_no_such_time_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match="write 2 years, 18 months or 1 month"):
        retention_months(text)


@pytest.mark.parametrize("text", ["0 months", "0 years"])
def test_less_than_a_partition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="keep at least 1 month"):
        retention_months(text)


def test_rules_that_would_not_do_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 months"):
        PartitionRule("audit", None, 1)
    with pytest.raises(ValueError, match="the least to keep"):
        PartitionRule("audit", 0)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-11-25", 0, "2026-11-01"),
        ("2026-11-30", 1, "2026-12-01"),
        ("2026-12-31", 1, "2027-01-01"),
        ("2026-01-31", 1, "2026-02-01"),
        ("2024-02-29", 12, "2025-02-01"),
        ("2026-01-01", -1, "2025-12-01"),
        ("2026-12-01", -12, "2025-12-01"),
        ("2026-03-31", -27, "2023-12-01"),
    ],
)
def test_months_are_counted_from_their_first_day(day: str, months: int, expected: str) -> None:
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(expected)


def month(year: int, number: int) -> tuple[date, date]:
    first = date(year, number, 1)
    return first, add_months(first, 1)


def months(*pairs: tuple[int, int]) -> dict[str, tuple[date, date]]:
    return {partition_name("log", *pair): month(*pair) for pair in pairs}


QUARTER = {"q4": (date(2026, 10, 1), date(2027, 1, 1))}
HALVES = {"a": (date(2026, 11, 1), date(2026, 11, 15)), "b": (date(2026, 11, 15), date(2026, 12, 1))}


@pytest.mark.parametrize(
    ("today", "existing", "ahead", "expected"),
    [
        ("2026-11-25", {}, 2, ["log_2026_11", "log_2026_12", "log_2027_01"]),
        ("2026-11-01", {}, 2, ["log_2026_11", "log_2026_12", "log_2027_01"]),
        ("2026-12-31", {}, 3, ["log_2026_12", "log_2027_01", "log_2027_02", "log_2027_03"]),
        ("2024-02-29", {}, 2, ["log_2024_02", "log_2024_03", "log_2024_04"]),
        ("2026-11-25", months((2026, 11), (2026, 12)), 2, ["log_2027_01"]),
        ("2026-11-25", months((2026, 11), (2026, 12), (2027, 1)), 2, []),
        # a gap in the middle is closed
        ("2026-11-25", months((2026, 11), (2027, 1)), 2, ["log_2026_12"]),
        # what a person made counts, where it holds the whole month
        ("2026-11-25", QUARTER, 2, ["log_2027_01"]),
        ("2026-11-25", HALVES, 2, ["log_2026_12", "log_2027_01"]),
        # and where it holds a part, the server will say which one is in the way
        ("2026-11-25", {"a": HALVES["a"]}, 2, ["log_2026_11", "log_2026_12", "log_2027_01"]),
        ("2026-11-25", {"b": HALVES["b"]}, 2, ["log_2026_11", "log_2026_12", "log_2027_01"]),
    ],
)
def test_months_ahead(today: str, existing: Any, ahead: int, expected: list[str]) -> None:
    create, drop = plan_partitions(date.fromisoformat(today), existing, PartitionRule("audit", None, ahead))
    assert ([name for name, _, _ in create], drop) == (expected, ())
    assert all(first.day == end.day == 1 and add_months(first, 1) == end for _, first, end in create)


@pytest.mark.parametrize(
    ("today", "keep", "existing", "expected"),
    [
        # October's last row is of the 31st; it is a month old on the last of November, and dropped with December
        ("2026-11-30", 1, months((2026, 10)), []),
        ("2026-12-01", 1, months((2026, 10)), ["log_2026_10"]),
        ("2026-12-01", 1, months((2026, 11)), []),
        ("2028-02-29", 12, months((2027, 1), (2027, 2)), ["log_2027_01"]),
        ("2027-01-01", 24, months((2024, 11), (2024, 12), (2025, 1)), ["log_2024_11", "log_2024_12"]),
        ("2026-11-25", None, months((1999, 1)), []),
        ("2026-11-25", 1, QUARTER, []),
        ("2027-11-25", 1, QUARTER, ["q4"]),
        # not of whole months: a person made it, and is told
        ("2027-11-25", 1, HALVES, []),
    ],
)
def test_months_that_nobody_keeps(today: str, keep: int | None, existing: Any, expected: list[str]) -> None:
    _create, drop = plan_partitions(date.fromisoformat(today), existing, PartitionRule("audit", keep))
    assert list(drop) == expected


def test_what_is_expired_and_not_dropped_can_be_named() -> None:
    assert set(expired(date(2027, 11, 25), HALVES, PartitionRule("audit", 1))) == {"a", "b"}


@given(
    today=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    ahead=st.integers(2, 24),
    keep=st.integers(1, 60),
    there=st.sets(st.integers(-70, 30)),
)
def test_whatever_is_there_the_next_plan_is_empty_and_no_kept_day_is_dropped(
    today: date, ahead: int, keep: int, there: set[int]
) -> None:
    rule = PartitionRule("audit", keep, ahead)
    firsts = [add_months(today, offset) for offset in there]
    existing = months(*((first.year, first.month) for first in firsts))
    create, drop = plan_partitions(today, existing, rule)
    for name in drop:
        # its youngest day, as many months later, is not after today
        assert add_months(existing.pop(name)[1], keep) <= today
    existing |= {name: (first, end) for name, first, end in create}
    assert plan_partitions(today, existing, rule) == ((), ())
    days = [today, add_months(today, ahead + 1) - timedelta(days=1)]
    assert all(any(first <= day < end for first, end in existing.values()) for day in days)


def test_a_clock_that_may_be_ahead_is_told_with_what_to_do() -> None:
    said = leap(date(2031, 1, 9), ("log_2026_10", "log_2026_11"), "audit.log")
    assert said.startswith(
        "log_2026_10, log_2026_11 would be dropped, and no earlier month has an entry that stays: is the clock ahead? It says 2031-01-09 (UTC)"
    )
    assert "DROP TABLE audit.log_…" in said
