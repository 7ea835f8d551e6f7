# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tiers of retention on full, differential and incremental backups of one repository.

A tier keeps only what can stand for it: a week or a month is kept as a full backup, a day as a full or a differential
one, an hour as any. Whatever a kept backup is made upon is kept with it, and the full backup since which the WAL is kept: any moment
of the window is reached from it, and no earlier one can take its place, for the WAL before it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from .backup import Backup, newest
from .retention import Point, kept, refuse_leap

_STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "hourly": ("full", "diff", "incr"),
    "daily": ("full", "diff"),
    "weekly": ("full",),
    "monthly": ("full",),
}


def reasons(backups: Sequence[Backup], keep: Mapping[str, timedelta], now: datetime) -> dict[str, tuple[str, ...]]:
    """Return the labels to keep in a repository, each with what keeps it. Raises HostError where the clock is behind."""
    found: dict[str, list[str]] = {}
    for tier, kinds in _STANDS_FOR.items():
        points = [Point(one.label, one.stopped, one.good) for one in backups if one.kind in kinds]
        for label, names in kept(points, {tier: keep[tier]} if tier in keep else {}, now).items():
            found.setdefault(label, []).extend(name for name in names if name not in found.get(label, ()))
    if since := _begin(backups, wal_window(keep), now):
        found.setdefault(since.label, []).append("the WAL is kept since it")
    last = newest(backups)
    for one in backups:
        if not one.good and (last is None or one.stopped > last.stopped):
            found.setdefault(one.label, []).append("damaged, and newer than any good one")
    needed_by = {one.label: one.needs for one in backups}
    for label in list(found):
        for needed in _closure(label, needed_by):
            found.setdefault(needed, []).append(f"{label} is made upon it")
    return {label: tuple(names) for label, names in found.items()}


def _closure(label: str, needs: Mapping[str, frozenset[str]]) -> set[str]:
    seen: set[str] = set()
    todo = list(needs.get(label, ()))
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += needs.get(one, ())
    return seen


def expired(backups: Sequence[Backup], keep: Mapping[str, timedelta], now: datetime) -> tuple[str, ...]:
    """Return the labels to expire, oldest first, without those that go with another one.

    Raises HostError where the clock is behind; and where it may be ahead, so that nearly everything looks old at once.
    """
    staying = reasons(backups, keep, now)
    going = [one for one in sorted(backups, key=lambda one: one.stopped) if one.label not in staying]
    refuse_leap([Point(one.label, one.stopped, one.good) for one in backups], len(going), now)
    labels = {one.label for one in going}
    return tuple(one.label for one in going if not one.needs & labels)


def wal_window(keep: Mapping[str, timedelta]) -> timedelta:
    """Return how far back any moment can be reached: the daily tier's time."""
    return max(keep.get(tier, timedelta(0)) for tier in ("hourly", "daily"))


def _begin(backups: Sequence[Backup], window: timedelta, now: datetime) -> Backup | None:
    """Return the newest good full backup that is older than the window: any moment of it is reached from there; on a young
    host, the oldest one.
    """
    fulls = sorted((one for one in backups if one.kind == "full" and one.good), key=lambda one: one.stopped)
    older = [one for one in fulls if one.stopped <= now - window]
    return next(iter([*reversed(older), *fulls]), None)


def wal_fulls(backups: Sequence[Backup], window: timedelta, now: datetime) -> int:
    """Return since how many full backups of a repository the WAL is kept whole, as pgBackRest counts: from the newest good
    one that is older than the window, however many were made since.
    """
    fulls = [one for one in backups if one.kind == "full"]
    begin = _begin(fulls, window, now)
    return max(1, sum(begin is None or one.stopped >= begin.stopped for one in fulls))
