"""Schedules that cron would take, and those for which it would leave a whole file aside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.cron import (
    latest,
    on_calendar,
    schedule_problem,
)

BERLIN = ZoneInfo("Europe/Berlin")


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


# ---------------------------------------------------------------------------------------------- when it came last


@pytest.mark.parametrize(
    ("schedule", "now", "expected"),
    [
        ("17 3 * * *", "2026-06-10 12:00", "2026-06-10 03:17"),
        ("17 3 * * *", "2026-06-10 03:17", "2026-06-10 03:17"),
        ("17 3 * * *", "2026-06-10 03:16", "2026-06-09 03:17"),
        ("*/15 * * * *", "2026-06-10 12:59", "2026-06-10 12:45"),
        ("*/15 8-18 * * *", "2026-06-10 07:59", "2026-06-09 18:45"),
        ("0 4 1 * *", "2026-06-10 12:00", "2026-06-01 04:00"),
        ("0 4 31 * *", "2026-07-01 00:00", "2026-05-31 04:00"),
        ("0 4 * jan *", "2026-06-10 12:00", "2026-01-31 04:00"),
        ("0 0 1 1 *", "2026-06-10 12:00", "2026-01-01 00:00"),
        ("0 4 29 2 *", "2026-06-10 12:00", "2024-02-29 04:00"),
        ("0 4 29 2 */4", "2026-06-10 12:00", "2024-02-29 04:00"),  # a Thursday, and */4 leaves the day its say
        ("0 4 29 2 */6", "2026-06-10 12:00", "2020-02-29 04:00"),  # a Saturday
        ("0 4 * * 0", "2026-06-10 12:00", "2026-06-07 04:00"),
        ("0 4 * * 7", "2026-06-10 12:00", "2026-06-07 04:00"),
        ("0 4 * * sun", "2026-06-10 12:00", "2026-06-07 04:00"),
        # both days given: either is enough
        ("0 4 1 * wed", "2026-06-10 12:00", "2026-06-10 04:00"),
        ("0 4 8 * mon", "2026-06-10 12:00", "2026-06-08 04:00"),
        ("0 4 9 * mon", "2026-06-10 12:00", "2026-06-09 04:00"),
        # a field that begins with * is not given, whatever follows
        ("0 4 */2 * mon", "2026-06-10 12:00", "2026-06-01 04:00"),
        ("0 4 9 * */2", "2026-06-10 12:00", "2026-06-09 04:00"),
    ],
)
def test_latest(schedule: str, now: str, expected: str) -> None:
    assert f"{latest(schedule, datetime.fromisoformat(now).replace(tzinfo=UTC)):%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    ("schedule", "now", "expected"),
    [
        # on 29 March, two o'clock is followed by three: what lies between does not count
        ("30 2 * * *", "2026-03-29T12:00+02:00", "2026-03-28T02:30+01:00"),
        ("0 3 * * *", "2026-03-29T12:00+02:00", "2026-03-29T03:00+02:00"),
        ("*/15 * * * *", "2026-03-29T03:07+02:00", "2026-03-29T03:00+02:00"),
        ("*/15 2 * * *", "2026-03-29T03:07+02:00", "2026-03-28T02:45+01:00"),
        # on 25 October, two o'clock comes twice: the first one counts
        ("30 2 * * *", "2026-10-25T12:00+01:00", "2026-10-25T02:30+02:00"),
        ("30 2 * * *", "2026-10-25T02:10+01:00", "2026-10-25T02:30+02:00"),
        ("30 2 * * *", "2026-10-25T02:10+02:00", "2026-10-24T02:30+02:00"),
        ("*/15 * * * *", "2026-10-25T02:20+01:00", "2026-10-25T02:45+02:00"),
        ("*/15 * * * *", "2026-10-25T03:00+01:00", "2026-10-25T03:00+01:00"),
    ],
)
def test_latest_when_clocks_change(schedule: str, now: str, expected: str) -> None:
    found = latest(schedule, datetime.fromisoformat(now).astimezone(BERLIN))
    assert found.isoformat(timespec="minutes") == expected


def test_latest_needs_a_zone_and_a_schedule_that_comes() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        latest("17 3 * * *", datetime(2026, 6, 10))  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="has 1 fields"):
        latest("@daily", datetime(2026, 6, 10, tzinfo=UTC))
    with pytest.raises(ValueError, match="never comes"):
        latest("0 0 31 2 *", datetime(2026, 6, 10, tzinfo=UTC))


@pytest.mark.parametrize("schedule", ["17 3 * * *", "*/7 2 * * *", "0,30 1-3 29,25 * sun", "59 23 * * *"])
def test_latest_never_goes_back_and_never_ahead(schedule: str) -> None:
    now, before = datetime(2026, 3, 27, tzinfo=UTC), None
    while now < datetime(2026, 3, 31, tzinfo=UTC):
        found = latest(schedule, now.astimezone(BERLIN)).astimezone(UTC)
        assert found <= now
        assert before is None or found >= before
        now, before = now + timedelta(minutes=23), found


# ------------------------------------------------------------------------------------------- as systemd writes it


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("17 3 * * *", ("*-*-* 03:17:00",)),
        ("* * * * *", ("*-*-* *:*:00",)),
        ("*/20 */12 * * *", ("*-*-* 00,12:00,20,40:00",)),
        ("0 4 1,15 * *", ("*-*-01,15 04:00:00",)),
        ("0 4 * 2-4 *", ("*-02,03,04-* 04:00:00",)),
        ("0 4 * * 1-5", ("Mon,Tue,Wed,Thu,Fri *-*-* 04:00:00",)),
        ("0 4 * * 7", ("Sun *-*-* 04:00:00",)),
        ("0 4 * * 0-7", ("*-*-* 04:00:00",)),
        ("0 4 * jan Sun", ("Sun *-01-* 04:00:00",)),
        ("0 4 1 * mon", ("*-*-01 04:00:00", "Mon *-*-* 04:00:00")),
        ("0 4 1 * 0-6", ("*-*-* 04:00:00",)),
        ("0 4 */10 * mon", ("Mon *-*-01,11,21,31 04:00:00",)),
        ("0 4 1 * */3", ("Sun,Wed,Sat *-*-01 04:00:00",)),
    ],
)
def test_on_calendar(schedule: str, expected: tuple[str, ...]) -> None:
    assert on_calendar(schedule) == expected


def test_on_calendar_of_what_is_no_schedule() -> None:
    with pytest.raises(ValueError, match="has 1 fields"):
        on_calendar("@daily")
