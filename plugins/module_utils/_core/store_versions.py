# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A repository as it was: what a store that keeps versions can still bring back after its objects were overwritten or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from .backup import Backup, Held
from .recovery_probe import COULD_NOT_RUN, FAILED, PASSED, Answer
from .units import human_duration

# Versions that end while a drill reads them would fail it.
_MARGIN_PART, _MOST_MARGIN = 10, timedelta(days=1)


def option(at: datetime) -> str:
    """Return pgBackRest's word for a repository as it was at a time."""
    return f"--repo-target-time={at:%Y-%m-%d %H:%M:%S}+00"


def words(target: str, at: datetime) -> str:
    """Return how a target of a repository as it was is called."""
    return f"{target}, as the store had it at {at:%Y-%m-%d %H:%M:%S}Z"


def moments(held: Held, kept: timedelta, now: datetime) -> tuple[datetime, ...]:
    """Return the times (UTC) to look at, the one that proves most first: as early as versions are kept, and before the newest
    backup, whose end has overwritten the list of backups.
    """
    earliest = now - kept + min(kept / _MARGIN_PART, _MOST_MARGIN)
    begun = [one.started for one in held.backups]
    before = [max(begun)] if begun and max(begun) > earliest else []
    return (earliest, *before)


def kept(then: Sequence[Backup], held: Sequence[Backup], at: datetime) -> Answer:
    """Say what is proven of versions by a list of backups as it was read for a time, and the one of now."""
    labels, later = {one.label for one in then}, sorted(one.label for one in held if one.started > at)
    wrong = sorted(labels.intersection(later))
    if wrong:
        return (
            FAILED,
            f"the store was asked for {at:%Y-%m-%d %H:%M:%S}Z, and has answered with {wrong[0]}, which is later",
        )
    gone = sorted(labels - {one.label for one in held})
    changed = sorted({one.label for one in held} - labels)
    if not gone and not changed:
        return COULD_NOT_RUN, "no backup was made or has expired since: nothing was overwritten, so nothing is proven"
    told = f"{len(gone)} of {len(labels)} backups have expired since (the newest: {gone[-1]})" if gone else ""
    return PASSED, told or f"none of {len(labels)} backups has expired since, but their list was overwritten"


def state(beat: datetime | None, at: datetime, objective: timedelta) -> Answer:
    """Say whether a copy is of the time that was asked for: its newest heartbeat lies right before it, for WAL may be gone while
    the backups are kept.
    """
    if beat is None:
        return FAILED, "it has no heartbeat: have pgstead-heartbeat run on the primary"
    if beat > at + timedelta(seconds=1):
        return (
            FAILED,
            f"its newest heartbeat is of {beat:%Y-%m-%d %H:%M:%S}Z, and it was asked for {at:%Y-%m-%d %H:%M:%S}Z",
        )
    if at - beat > objective:
        return FAILED, (
            f"the WAL between {beat:%Y-%m-%d %H:%M:%S}Z (its newest heartbeat) and {at:%Y-%m-%d %H:%M:%S}Z did not come back: have the "
            "store keep the versions of its archive as long as those of its backups"
        )
    return PASSED, f"it ends {human_duration(max((at - beat).total_seconds(), 0.0))} before {at:%Y-%m-%d %H:%M:%S}Z"
