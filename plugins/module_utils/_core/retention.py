# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which backups a tiered retention keeps: the newest good one of every hour, day, week and month, each for its time.

Whatever the tiers say, the newest good backup stays, and with a clock that is behind the backups nothing is decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .errors import HostError, Problem

# A little skew between a host and its store is no reason to stop.
CLOCK_TOLERANCE = timedelta(minutes=5)
# So long without a backup, and expiry waits for a second one.
LEAP = timedelta(days=30)
_PERIODS: Mapping[str, Callable[[datetime], tuple[int, ...]]] = {
    "hourly": lambda when: (when.year, when.month, when.day, when.hour),
    "daily": lambda when: (when.year, when.month, when.day),
    "weekly": lambda when: tuple(when.isocalendar()[:2]),
    "monthly": lambda when: (when.year, when.month),
}
TIERS = tuple(_PERIODS)
# In order of `TIERS`; what pgstead_environment says when the inventory does not.
BY_ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    "production": {"hourly": "24h", "daily": "30d", "weekly": "90d", "monthly": "1y"},
    "staging": {"hourly": "24h", "daily": "14d", "weekly": "14d", "monthly": "0"},
    "development": {"hourly": "24h", "daily": "7d", "weekly": "7d", "monthly": "0"},
}
_UNITS: Mapping[str, timedelta] = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=366),
}


@dataclass(frozen=True)
class Point:
    """A backup as retention sees it: its name, when it ended (UTC), and whether it can be restored as far as is known."""

    key: str
    taken: datetime
    good: bool = True


def tiers(raw: Any, environment: str, where: str) -> tuple[dict[str, timedelta], list[Problem]]:
    """Return how long each tier keeps its backups, and everything wrong with the inventory's words for it."""
    if not isinstance(raw, Mapping):
        return {}, [Problem(where, f"{raw!r} is no mapping: give each tier its time, as daily: 30d")]
    problems = [
        Problem(f"{where}.{name}", f"is no tier; there are {', '.join(TIERS)}") for name in raw if name not in TIERS
    ]
    told = {**BY_ENVIRONMENT[environment], **{name: value for name, value in raw.items() if value is not None}}
    kept: dict[str, timedelta] = {}
    for name in TIERS:
        match = re.fullmatch(r"([0-9]{1,4})\s*([hdwy])", str(told[name]).strip())
        if match:
            kept[name] = int(match[1]) * _UNITS[match[2]]
        elif str(told[name]).strip() == "0":
            kept[name] = timedelta(0)
        else:
            what = f"{told[name]!r} is no duration: a whole number with h, d, w or y, as 24h or 30d, or 0 for none"
            problems.append(Problem(f"{where}.{name}", what))
    if not problems and not any(kept.values()):
        problems.append(Problem(where, "keeps nothing: give at least one tier a duration"))
    return kept, problems


def kept(points: Sequence[Point], keep: Mapping[str, timedelta], now: datetime) -> dict[str, tuple[str, ...]]:
    """Return the backups to keep, each with what keeps it: names of tiers, or `newest`.

    Raises HostError where a backup is from the future: by such a clock, everything might look expired or nothing.
    """
    ahead = [point for point in points if point.taken > now + CLOCK_TOLERANCE]
    if ahead:
        last = max(ahead, key=lambda point: point.taken)
        raise HostError(
            f"the clock is behind: it says {now:%Y-%m-%d %H:%M:%S} UTC, but backup {last.key} ended at "
            f"{last.taken:%Y-%m-%d %H:%M:%S} UTC. Nothing was expired: set the host's clock (timedatectl), then run this again"
        )
    good = sorted((point for point in points if point.good), key=lambda point: point.taken, reverse=True)
    found: dict[str, list[str]] = {point.key: ["newest"] for point in good[:1]}
    for tier, period in _PERIODS.items():
        seen: set[tuple[int, ...]] = set()
        for point in good:
            if tier in keep and now - point.taken <= keep[tier] and period(point.taken) not in seen:
                seen.add(period(point.taken))
                found.setdefault(point.key, []).append(tier)
    return {key: tuple(names) for key, names in found.items()}


def refuse_leap(points: Sequence[Point], going: int, now: datetime) -> None:
    """Raise HostError where most of `points` would go and the clock may be ahead, so that everything looks old at once."""
    good = sorted((each.taken for each in points if each.good), reverse=True)
    if len(good) > 1 and good[0] - good[1] > LEAP and 2 * going > len(points):
        raise HostError(
            f"{going} of {len(points)} backups look expired, for there was none between {good[1]:%Y-%m-%d} and "
            f"{good[0]:%Y-%m-%d}: is the clock ahead? It says {now:%Y-%m-%d %H:%M} UTC. Nothing was expired; the run after the "
            "next backup will, if that is right"
        )
