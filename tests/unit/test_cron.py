"""Schedules that cron would take, and those for which it would leave a whole file aside."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.cron import schedule_problem


@pytest.mark.parametrize(
    "schedule",
    [
        "17 3 * * *",
        "* * * * *",
        "*/5 0-23/2 1,15 * *",
        "0 0 1 1 0",
        "59 23 31 12 7",
        "0,30 8-18 * jan mon",
        "0 4 * DEC Sun",
        "0 0 29 2 *",
        "0 0 31 1,2 *",
        "0 0 31 2 1",
        "0 0 30-31 */2 *",
    ],
)
def test_accepted(schedule: str) -> None:
    assert schedule_problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("", "has 0 fields"),
        ("17 3 * *", "has 4 fields; cron wants 5: minute, hour, day of month, month, day of week"),
        ("17 3 * * * postgres", "has 6 fields"),
        ("@daily", "has 1 fields"),
        ("60 3 * * *", "minute '60': '60' is not within 0-59"),
        ("17 24 * * *", "hour '24'"),
        ("17 3 0 * *", "day of month '0'"),
        ("17 3 * 13 *", "month '13'"),
        ("17 3 * * 8", "day of week '8'"),
        ("17 3 * * mon-fri", "day of week 'mon-fri'"),
        ("17 3 * * mon,tue", "day of week 'mon,tue'"),
        ("17 3 * mon *", "month 'mon'"),
        ("30-10 3 * * *", "is not within"),
        ("*/0 3 * * *", "a step is at least 1"),
        ("*/99 3 * * *", "a step is at least 1 and at most 59"),
        ("5/10 3 * * *", "a step needs * or a range"),
        ("1,,2 3 * * *", "'' is neither"),
        ("-1 3 * * *", "'-1' is neither"),
        ("1.5 3 * * *", "is neither"),
        ("% 3 * * *", "is neither"),
        ("H 3 * * *", "is neither"),
        ("0 0 31 2 *", "never comes: no such month has a day 31"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0 0 30-31 feb *", "never comes: no such month has a day 30"),
    ],
)
def test_refused(schedule: str, said: str) -> None:
    assert said in schedule_problem(schedule)
