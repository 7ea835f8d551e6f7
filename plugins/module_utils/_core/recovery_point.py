# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much a disaster would have lost: what the heartbeat wrote, held against when its WAL arrived in a repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .wal import DEFAULT_SEGMENT_BYTES, segment

# A repository tells an arrival in whole seconds: the file may have been there up to one second later.
_PRECISION = timedelta(seconds=1)


@dataclass(frozen=True)
class Beat:
    """What was committed by `at` lies before `lsn`; the beat's own commit lies after it."""

    at: datetime
    lsn: int


@dataclass(frozen=True)
class RecoveryPoint:
    """What would have been lost, in seconds: `beat` is the newest that could be recovered at the disaster; `worst` is the
    longest that a beat has waited for its WAL to arrive. None is unknown.
    """

    beat: Beat | None = None
    seconds: float | None = None
    worst: float | None = None


def recovery_point(
    beats: Iterable[Beat],
    arrivals: Mapping[str, datetime],
    disaster: datetime,
    size: int = DEFAULT_SEGMENT_BYTES,
) -> RecoveryPoint:
    """Judge it from segments' names and when each arrived. Raises ValueError for a name that is none.

    Beats after the disaster are of a clock that was ahead, or of later than what is asked for. One whose WAL has not
    arrived at all has waited until the disaster. Those before the first segment of the archive tell nothing: their WAL
    was expired, or written before there was an archive.
    """
    earliest = _earliest(arrivals, size)
    known = sorted((beat for beat in beats if _number(beat, size) >= min(earliest, default=0)), key=lambda one: one.at)
    reached = _reached(earliest, [_number(beat, size) for beat in known])
    arrived = [(beat, reached.get(_number(beat, size))) for beat in known]
    usable = [beat for beat, when in arrived if when is not None and beat.at <= disaster and when <= disaster]
    waits = [
        ((when or disaster) - beat.at).total_seconds()
        for beat, when in arrived
        if when is not None or beat.at <= disaster
    ]
    newest = usable[-1] if usable else None
    return RecoveryPoint(
        newest,
        (disaster - newest.at).total_seconds() if newest else None,
        max(0.0, *waits) if waits else None,
    )


def _number(beat: Beat, size: int) -> int:
    return beat.lsn // size


def _earliest(arrivals: Mapping[str, datetime], size: int) -> dict[int, datetime]:
    """Return when each segment's number had arrived for certain: a number on two timelines counts once, at its first time."""
    found: dict[int, datetime] = {}
    for name, when in arrivals.items():
        number = segment(name, size).number
        found[number] = min(found.get(number, when + _PRECISION), when + _PRECISION)
    return found


def _reached(earliest: Mapping[int, datetime], numbers: Sequence[int]) -> dict[int, datetime]:
    """Return since when recovery could have gone to the end of a segment: all before it are needed, and come in any order."""
    found: dict[int, datetime] = {}
    number = min(numbers, default=0)
    while number in earliest:
        found[number] = max(earliest[number], found.get(number - 1, earliest[number]))
        number += 1
    return found
