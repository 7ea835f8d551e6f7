# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Schedules as Debian's cron reads them: five fields. It has no parser to ask, and ignores a whole file for one bad line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# name, least, greatest, names (the first of which stands for the least)
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(?P<low>\d+)(?:-(?P<high>\d+))?)(?:/(?P<step>\d+))?")
_LONGEST = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))


# 29 February on a given weekday comes every 28 years, and 12 later where a century leaves a leap day out
_LONGEST_GAP = timedelta(days=41 * 366)
_MOST_BACK = timedelta(hours=3)  # when clocks go back, a time ahead on the dial may be over


@dataclass(frozen=True)
class _Schedule:
    """The values of each field; weekdays count from Sunday, which is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool  # a day of the month or a day of the week is enough

    def comes_on(self, day: date) -> bool:
        """Say whether it starts anything on a day."""
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (of_month or of_week if self.either_day else of_month and of_week)

    def times(self) -> Iterator[time]:
        """Yield the times of a day, the last one first."""
        return (time(hour, minute) for hour in reversed(self.hours) for minute in reversed(self.minutes))


def schedule_problem(schedule: str) -> str:
    """Say what is wrong with a schedule, or return nothing."""
    try:
        found = _read(schedule)
    except ValueError as error:
        return str(error)
    if not found.either_day and all(min(found.days) > _LONGEST[month] for month in found.months):
        return f"{schedule!r} never comes: no such month has a day {min(found.days)}"
    return ""


def latest(schedule: str, now: datetime) -> datetime:
    """Return the last moment at or before `now` at which a schedule was certain to start something.

    `now` has a zone with its rules (not a bare offset), by which the fields are read; so has the answer. When clocks
    change, cron and systemd differ: a time that is left out counts for nothing, and one that comes twice counts when it
    comes first. Raises ValueError for a schedule that cron would not take, and for a `now` without a zone.
    """
    if now.tzinfo is None:
        raise ValueError("a schedule has no moment without a time zone")
    found, limit = _read(schedule), now.astimezone(UTC)
    ahead = now.replace(tzinfo=None) + _MOST_BACK
    day = ahead.date()
    for _count in range(_LONGEST_GAP.days):
        for each in found.times() if found.comes_on(day) else ():
            wall = datetime.combine(day, each)
            if wall > ahead:
                continue
            moment = wall.replace(tzinfo=now.tzinfo).astimezone(UTC)
            local = moment.astimezone(now.tzinfo)
            if moment <= limit and local.replace(tzinfo=None) == wall:
                return local
        day -= timedelta(days=1)
    raise ValueError(f"{schedule!r} never comes")


def on_calendar(schedule: str) -> tuple[str, ...]:
    """Return a schedule as OnCalendar expressions of a systemd timer: two where cron takes either day. Raises ValueError."""
    found = _read(schedule)
    dates = f"*-{_listed(sorted(found.months), range(1, 13))}"
    times = f"{_listed(found.hours, range(24))}:{_listed(found.minutes, range(60))}:00"
    days = f"{dates}-{_listed(sorted(found.days), range(1, 32))} {times}"
    if len(found.weekdays) == len(_DAYS):
        return (f"{dates}-* {times}" if found.either_day else days,)
    weekdays = ",".join(_DAYS[number].capitalize() for number in sorted(found.weekdays))
    return (days, f"{weekdays} {dates}-* {times}") if found.either_day else (f"{weekdays} {days}",)


def _listed(values: Sequence[int], every: range) -> str:
    """Write the values of a field as systemd reads them."""
    return "*" if len(values) == len(every) else ",".join(f"{value:02}" for value in values)


def _read(schedule: str) -> _Schedule:
    """Take a schedule apart. Raises ValueError with words for a person."""
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        wanted = ", ".join(name for name, _least, _greatest, _names in _FIELDS)
        raise ValueError(f"{schedule!r} has {len(fields)} fields; cron wants {len(_FIELDS)}: {wanted}")
    values = []
    for text, (name, least, greatest, names) in zip(fields, _FIELDS, strict=True):
        try:
            values.append(_values(text, least, greatest, names))
        except ValueError as error:
            raise ValueError(f"{name} {text!r}: {error}") from error
    minutes, hours, days, months, weekdays = values
    # cron goes by the first character: */2 leaves the other field its say
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    week = frozenset(number % 7 for number in weekdays)
    return _Schedule(tuple(sorted(minutes)), tuple(sorted(hours)), days, months, week, either)


def _values(text: str, least: int, greatest: int, names: tuple[str, ...]) -> frozenset[int]:
    """Return what one field stands for. Raises ValueError."""
    if text.lower() in names:
        return frozenset({names.index(text.lower()) + least})
    return frozenset(value for part in text.split(",") for value in _part(part, least, greatest))


def _part(text: str, least: int, greatest: int) -> range:
    match = _PART.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither *, a number, a range nor one of them with a step")
    low = int(match["low"] or least)
    high = int(match["high"] or match["low"] or greatest)
    if not least <= low <= high <= greatest:
        raise ValueError(f"{text!r} is not within {least}-{greatest}")
    if match["step"] is None:
        return range(low, high + 1)
    if match["low"] and not match["high"]:
        raise ValueError(f"{text!r}: a step needs * or a range before it")
    if not 1 <= int(match["step"]) <= greatest:
        raise ValueError(f"{text!r}: a step is at least 1 and at most {greatest}")
    return range(low, high + 1, int(match["step"]))
