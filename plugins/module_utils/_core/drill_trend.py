# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a figure of recovery drills is heading: a line through the last ones that one odd drill does not bend (Theil-Sen)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median

LEAST, MOST = 4, 12  # drills that make a line
AHEAD = timedelta(days=90)
SHORTEST = timedelta(days=7)  # of a line: what differs within hours says nothing of weeks

Point = tuple[datetime, float]  # when, and how many seconds


@dataclass(frozen=True)
class Line:
    """Seconds at a moment, and how many are added each day."""

    origin: datetime
    at_origin: float
    per_day: float
    drills: int

    def at(self, when: datetime) -> float:
        return self.at_origin + self.per_day * _days(when - self.origin)


def line(points: Sequence[Point]) -> Line | None:
    """Return the line through the last points, the oldest first; None where there are too few, or all within days."""
    last = points[-MOST:]
    if len(last) < LEAST or last[-1][0] - last[0][0] < SHORTEST:
        return None
    origin = last[-1][0]
    placed = [(_days(when - origin), seconds) for when, seconds in last]
    slopes = [
        (there - here) / (after - before)
        for (before, here), (after, there) in combinations(placed, 2)
        if after > before
    ]
    slope = median(slopes)
    return Line(origin, median(seconds - slope * day for day, seconds in placed), slope, len(last))


def reaches(found: Line, objective: float, now: datetime) -> datetime | None:
    """Return when a rising line comes to the objective, at the earliest now; None unless within AHEAD."""
    if found.per_day <= 0:
        return None
    short = objective - found.at(now)
    if short <= 0:
        return now
    days = short / found.per_day
    return now + timedelta(days=days) if days <= _days(AHEAD) else None


def _days(span: timedelta) -> float:
    return span / timedelta(days=1)
