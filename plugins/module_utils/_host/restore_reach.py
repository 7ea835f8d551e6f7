# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a repository can bring back, and what a target means in LSNs and times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .._core.errors import HostError, Problem, SpecError
from .._core.restore import Reach, Target, restore_point, segment_bytes, timeline_ends
from .._core.wal import segment
from .pgbackrest import PgBackRest
from .server_log import ServerLog


def reach(engine: PgBackRest, data: Path, log: ServerLog, wanted: Target, label: str) -> tuple[Target, Reach]:
    """Return the target with what is known of it, and what the engine's one repository reaches."""
    (held,) = engine.info().held
    if held.fault:
        raise HostError(f"repository {held.key} {held.fault}")
    segments = engine.arrivals(held.key, held.archive)
    last = max(segments, default="")
    size = segment_bytes(held.backups)
    timeline = segment(last, size).timeline if last else 1
    history = data / f"pg_wal/{timeline:08X}.history"
    found = Reach(
        repository=held.key,
        backups=held.backups,
        last_segment=last,
        last_arrived=segments.get(last),
        timeline=timeline,
        ends=timeline_ends(history.read_text()) if history.is_file() else ({} if timeline == 1 else None),
        segment_bytes=size,
    )
    return (_named(wanted, log, label) if wanted.kind == "name" else wanted), found


def _named(wanted: Target, log: ServerLog, label: str) -> Target:
    """Look a restore point up in the server's log: pgBackRest would begin with the newest backup, and might miss it."""
    found = restore_point(log.lines(), wanted.value)
    if found is None and not label:
        what = (
            f"restore point {wanted.value!r} is not in the server's log on this host, so it may not exist, and no backup can be "
            "chosen for it: name the newest backup that was made before it in backup_restore_set"
        )
        raise SpecError([Problem("backup_restore_target", what)])
    return replace(wanted, lsn=found)
