# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit log's months: which partitions it needs ahead of time, and which are older than anybody wants to keep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

LEAST_AHEAD = 2  # a month that begins while the job fails must not begin without its partition
DEFAULT_AHEAD = 3
_RETENTION = re.compile(r"\s*([0-9]{1,3})\s+(year|month)s?\s*")

Range = tuple[date, date]  # first day, and the first day no more in it


@dataclass(frozen=True)
class PartitionRule:
    """How many months of a log are there ahead of time, and how many are kept (None: all of them)."""

    schema: str
    retention_months: int | None
    ahead: int = DEFAULT_AHEAD
    table: str = "log"

    def __post_init__(self) -> None:
        if self.ahead < LEAST_AHEAD:
            raise ValueError(f"{self.ahead}: at least {LEAST_AHEAD} months are made ahead of time")
        if self.retention_months is not None and self.retention_months < 1:
            raise ValueError(f"{self.retention_months} months: a partition holds one, so that is the least to keep")


def retention_months(text: str) -> int:
    """Return `2 years`, `18 months` or `1 month` as months. Raises ValueError."""
    match = _RETENTION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time to keep the log for: write 2 years, 18 months or 1 month")
    months = int(match[1]) * (12 if match[2] == "year" else 1)
    if months < 1:
        raise ValueError(f"{text!r} is shorter than a partition: keep at least 1 month (2 years, 18 months, 1 month)")
    return months


def partition_name(table: str, year: int, month: int) -> str:
    """Return the name of a month's partition."""
    return f"{table}_{year:04}_{month:02}"


def add_months(first: date, months: int) -> date:
    """Return the first day of the month so many months after that of a day."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, 1)


def plan_partitions(
    today: date, existing: Mapping[str, Range], rule: PartitionRule
) -> tuple[tuple[tuple[str, date, date], ...], tuple[str, ...]]:
    """Return the partitions to make, (name, from, to), and the names of those to drop.

    Only whole months are made, and only partitions of whole months are dropped: what else is there was made by a person.
    A month that such a partition holds in part is asked for all the same, so that the server names the one in its way.
    """
    months = [(add_months(today, ahead), add_months(today, ahead + 1)) for ahead in range(rule.ahead + 1)]
    create = tuple(
        (partition_name(rule.table, first.year, first.month), first, end)
        for first, end in months
        if not _covered(first, end, existing)
    )
    return create, tuple(sorted(name for name in expired(today, existing, rule) if whole_months(existing[name])))


def expired(today: date, existing: Mapping[str, Range], rule: PartitionRule) -> tuple[str, ...]:
    """Return the partitions whose youngest row is older than what is kept."""
    if rule.retention_months is None:
        return ()
    # what ends on or before this first day of a month has been kept for all of that time
    oldest = add_months(today, -rule.retention_months)
    return tuple(name for name, (_first, end) in existing.items() if end <= oldest)


def leap(today: date, filled: Sequence[str], table: str) -> str:
    """Say why months that hold entries are not dropped where those that are kept hold none: the clock may be years ahead.

    By such a clock everything looks old at once; entries of the current month prove nothing, for it wrote them.
    """
    return (
        f"{', '.join(filled)} would be dropped, and no earlier month has an entry that stays: is the clock ahead? It says {today} "
        f"(UTC). No entry was dropped. If the clock is right, and nothing was written for so long, drop by hand what nobody keeps "
        f"(DROP TABLE {table}_…)"
    )


def whole_months(span: Range) -> bool:
    """Whether a partition begins and ends with a month."""
    return all(day.day == 1 for day in span)


def _covered(first: date, end: date, existing: Mapping[str, Range]) -> bool:
    """Whether partitions that are there hold every day of a span."""
    for start, stop in sorted(existing.values()):
        if start <= first < stop:
            first = stop
    return first >= end
