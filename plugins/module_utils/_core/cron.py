# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Schedules as Debian's cron reads them: five fields. It has no parser to ask, and ignores a whole file for one bad line."""

from __future__ import annotations

import re

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


def schedule_problem(schedule: str) -> str:
    """Say what is wrong with a schedule, or return nothing."""
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        wanted = ", ".join(name for name, _least, _greatest, _names in _FIELDS)
        return f"{schedule!r} has {len(fields)} fields; cron wants {len(_FIELDS)}: {wanted}"
    values = []
    for text, (name, least, greatest, names) in zip(fields, _FIELDS, strict=True):
        try:
            values.append(_values(text, least, greatest, names))
        except ValueError as error:
            return f"{name} {text!r}: {error}"
    _minutes, _hours, days, months, _weekdays = values
    # cron takes either day where both are given
    if fields[4].startswith("*") and all(min(days) > _LONGEST[month] for month in months):
        return f"{schedule!r} never comes: no such month has a day {min(days)}"
    return ""


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
