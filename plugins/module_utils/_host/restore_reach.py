# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a repository can bring back, and what a target means in LSNs and times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .._core.errors import HostError, Problem, SpecError
from .._core.restore import Reach, Target, restore_points, segment_bytes
from .._core.timelines import left, timeline_ends
from .._core.wal import segment
from .pgbackrest import PgBackRest
from .server_log import ServerLog


@dataclass(frozen=True)
class Asked:
    """What a person asks for besides the target: a backup to begin with, and a timeline to follow (0: the newest)."""

    label: str = ""
    timeline: int = 0


def reach(engine: PgBackRest, data: Path, log: ServerLog, wanted: Target, asked: Asked) -> tuple[Target, Reach]:
    """Return the target with what is known of it, and what the engine's one repository reaches."""
    found = reachable(engine, data, asked.timeline)
    return (_named(wanted, log, asked.label) if wanted.kind == "name" else wanted), found


def reachable(engine: PgBackRest, data: Path, asked_timeline: int = 0) -> Reach:
    """Return what the engine's one repository reaches; `data` may have the history of the timeline. Raises HostError."""
    (held,) = engine.info(engine.keys[0]).held
    if held.fault:
        raise HostError(f"repository {held.key} {held.fault}")
    arrivals = engine.arrivals(held.key, held.archive)
    size = segment_bytes(held.backups)
    newest = segment(max(arrivals), size).timeline if arrivals else 1
    timeline = asked_timeline or newest
    known = sorted({segment(name, size).timeline for name in arrivals})
    if timeline not in known and asked_timeline:
        what = (
            f"repository {held.key} has no WAL of timeline {timeline}: there are {', '.join(map(str, known)) or 'none'}"
        )
        raise SpecError([Problem("backup_restore_timeline", what)])
    there = tuple(sorted(name for name in arrivals if segment(name, size).timeline <= timeline))
    path = data / f"pg_wal/{timeline:08X}.history"
    history = path.read_text() if path.is_file() else ""
    return Reach(
        repository=held.key,
        backups=held.backups,
        segments=there,
        last_arrived=arrivals[max(there)] if there else None,
        timeline=timeline,
        ends=timeline_ends(history) if history or timeline == 1 else None,
        segment_bytes=size,
        system_id=held.system_id,
        left=() if asked_timeline else left(history, timeline, arrivals, size),
    )


def _named(wanted: Target, log: ServerLog, label: str) -> Target:
    """Look a restore point up in the server's log: pgBackRest would begin with the newest backup, and might miss it."""
    found = restore_points(log.lines(), wanted.value)
    if label:
        return wanted
    if len(found) == 1:
        return replace(wanted, lsn=found[0])
    if found:
        places = ", ".join(f"{at >> 32:X}/{at & 0xFFFFFFFF:X}" for at in found)
        what = (
            f"there are {len(found)} restore points {wanted.value!r}, and recovery ends at the first one that it meets: give the LSN "
            f"of the one that is meant ({places}), or the newest backup before it in backup_restore_set"
        )
        raise SpecError([Problem("backup_restore_target", what)])
    what = (
        f"restore point {wanted.value!r} is not in the server's log on this host, so it may not exist, and no backup can be "
        "chosen for it: name the newest backup that was made before it in backup_restore_set"
    )
    raise SpecError([Problem("backup_restore_target", what)])
