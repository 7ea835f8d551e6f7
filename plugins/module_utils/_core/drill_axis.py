# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Axes of durations: ticks that a person would choose, and where a value lies, in percent of the axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .units import human_duration

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 5, 10, 20, 50, 100)),
)
_MARKS = (
    1,
    5,
    10,
    30,
    *(n * _MINUTE for n in (1, 5, 10, 30)),
    *(n * _HOUR for n in (1, 5, 10)),
    *(n * _DAY for n in (1, 5, 20, 100)),
)
_WIDE = 10  # so many times the least value is too much for one linear axis
_LEAST = 1.0  # on a logarithmic axis


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` seconds."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def percent(self, seconds: float) -> float:
        """Return how far along the axis a value lies; what is outside lies at its end."""
        low, high, here = self.low, self.high, min(max(seconds, self.low), self.high)
        if self.logarithmic:
            low, high, here = math.log(low), math.log(high), math.log(here)
        return 100 * (here - low) / (high - low)

    def labels(self) -> list[tuple[float, str]]:
        """Return (percent, words) of the ticks."""
        return [(self.percent(tick), human_duration(tick)) for tick in self.ticks]


def from_zero(high: float, most: int = 5) -> Axis:
    """Return a linear axis from 0 to a value above it, with at most so many ticks beside the one of 0."""
    high = max(high, 0.1)
    step = next((step for step in _STEPS if high / step <= most), high / most)
    return Axis(0, high, tuple(step * n for n in range(int(high / step + 1e-9) + 1)))


def over(values: Sequence[float]) -> Axis:
    """Return an axis on which all values can be told apart, with some room above the highest."""
    high, low = max(values), max(min(values), _LEAST)
    if high <= _WIDE * low:
        return from_zero(high * 1.15, 4)
    low, high = low / 1.5, high * 1.5
    return Axis(low, high, tuple(tick for tick in _MARKS if low <= tick <= high), logarithmic=True)
