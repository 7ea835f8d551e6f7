# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Places in the WAL and names of its segments: their order, and what is missing between them.

A segment that is missing in the middle of an archive is what no tool complains of: recovery ends there, promotes, and
all that came after is lost in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

DEFAULT_SEGMENT_BYTES = 16 * 2**20
SEGMENT_SIZES = tuple(2**power for power in range(20, 31))  # what initdb --wal-segsize takes
_NAME = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_DONE = re.compile(r"([0-9A-F]{24})(\.[0-9A-F]{8}\.backup)?")
_ARCHIVED = re.compile(r"(?:.*/)?([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?")


@dataclass(frozen=True, order=True)
class Segment:
    """A segment by timeline and number (from 0, over the whole history)."""

    timeline: int
    number: int

    def name(self, size: int = DEFAULT_SEGMENT_BYTES) -> str:
        high, low = divmod(self.number, 2**32 // size)
        return f"{self.timeline:08X}{high:08X}{low:08X}"


def segment(name: str, size: int = DEFAULT_SEGMENT_BYTES) -> Segment:
    """Read a segment's name. Raises ValueError."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is not the name of a WAL segment")
    timeline, high, low = (int(text, 16) for text in match.groups())
    if low >= 2**32 // size:
        raise ValueError(f"{name!r} is not the name of a WAL segment of {size} bytes")
    return Segment(timeline, high * (2**32 // size) + low)


def lsn(text: str) -> int:
    """Read 16/B374D848. Raises ValueError."""
    match = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an LSN as 16/B374D848")
    return int(match[1], 16) << 32 | int(match[2], 16)


def archived(names: Iterable[str]) -> tuple[str, ...]:
    """Return the segments' names among the files of an archive, in order: histories and partial segments are none."""
    return tuple(sorted({match[1] for name in names if (match := _ARCHIVED.fullmatch(name))}))


def of_archiver(name: str | None) -> str | None:
    """Return the segment that is archived when the server's archiver names this file as its last one.

    It also archives backup labels, named after the segment in which a backup began, and histories, which tell nothing.
    """
    match = _DONE.fullmatch(name or "")
    return match[1] if match else None


def gaps(names: Sequence[str], size: int = DEFAULT_SEGMENT_BYTES) -> tuple[tuple[str, str], ...]:
    """Return the first and last missing segment of every gap, timeline by timeline.

    A new timeline begins in the segment where the old one was left, so that nothing is missing between two timelines as
    long as the new one's first segment is no later than one after the old one's last.
    """
    found = sorted({segment(name, size) for name in names})
    missing = []
    for before, after in pairwise(found):
        if after.number > before.number + 1:
            first, last = Segment(after.timeline, before.number + 1), Segment(after.timeline, after.number - 1)
            missing.append((first.name(size), last.name(size)))
    return tuple(missing)


def absent(needed: tuple[str, str], names: Iterable[str], size: int = DEFAULT_SEGMENT_BYTES) -> tuple[str, ...]:
    """Return the segments that a backup needs to be consistent (first, last) and that are not among `names`."""
    first, last = segment(needed[0], size), segment(needed[1], size)
    there = {segment(name, size) for name in names}
    wanted = (Segment(first.timeline, number) for number in range(first.number, last.number + 1))
    return tuple(one.name(size) for one in wanted if one not in there)
