# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Timelines: where and when each was left for the next one, by a restore or a promotion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .wal import lsn, segment

_LINE = re.compile(r"^\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)(?:\s+before (\d{4}-\S+ [\d:.]+[+-][\d:]+))?", re.MULTILINE)
_SECOND = timedelta(seconds=1)  # arrivals are known to the second


@dataclass(frozen=True)
class Left:
    """What a timeline wrote after it was left, by time (UTC, until: not included). Recovery that follows a later one has nothing
    of it, and to a time in it, it ends where the timeline was left.
    """

    timeline: int
    since: datetime
    until: datetime


def timeline_ends(history: str) -> dict[int, int]:
    """Return at which LSN each former timeline was left, from the text of a .history file."""
    return {int(timeline): lsn(text) for timeline, text, _time in _LINE.findall(history)}


def left(history: str, timeline: int, arrivals: Mapping[str, datetime], size: int) -> tuple[Left, ...]:
    """Return what the former timelines of one wrote after they were left, as far as it is archived.

    `history` is the text of its .history file, `arrivals` say when each segment (of `size` bytes) was archived. The history has
    the time of the first commit that was left where recovery ended at a time; else that is known by the segment's arrival.
    """
    lines = _LINE.findall(history)
    followers = [*(int(former) for former, _at, _time in lines[1:]), timeline]
    named = {name: segment(name, size) for name in arrivals}
    found = []
    for (former, at, time), follower in zip(lines, followers, strict=False):  # no lines: none
        fork = lsn(at) // size
        after = [arrivals[name] for name, one in named.items() if one.timeline == int(former) and one.number >= fork]
        begun = [arrivals[name] for name, one in named.items() if one.timeline == follower]
        if after and begun:
            since = datetime.fromisoformat(time).astimezone(UTC) if time else min(after) + _SECOND
            found.append(Left(int(former), since, min(*begun, max(after) + _SECOND)))
    return tuple(one for one in found if one.since < one.until)
