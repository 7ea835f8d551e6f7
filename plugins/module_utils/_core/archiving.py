# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the WAL leaves the host: what the server says of its archiving, and what an archive has gaps in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .backup import Backup, Held
from .wal import DEFAULT_SEGMENT_BYTES, absent, gaps, segment


@dataclass(frozen=True)
class Archiving:
    """The server's own account. Times are UTC; `waiting` segments are written and not archived, since `oldest`."""

    command: str
    in_recovery: bool
    last: str | None
    last_time: datetime | None
    failed: str | None
    failed_time: datetime | None
    waiting: int
    oldest: datetime | None
    now: datetime
    segment_bytes: int = DEFAULT_SEGMENT_BYTES


def archiving_faults(found: Archiving, command: str, most: timedelta) -> tuple[str, ...]:
    """Return what is wrong with archiving, in sentences."""
    if found.in_recovery:
        return ()
    if found.command != command:
        what = f"archive_command is {found.command!r}, so nothing leaves the host"
        return (f"{what}: run playbook pgstead.ops.provision, which sets {command!r}",)
    faults = []
    if found.failed_time and (found.last_time is None or found.failed_time > found.last_time):
        faults.append(
            f"archiving of {found.failed} fails, last at {found.failed_time:%Y-%m-%d %H:%M:%S} UTC: the reason is in "
            "/var/log/pgbackrest and PostgreSQL's log (a full disk, a store that refuses, a lost repository)"
        )
    if found.oldest and found.now - found.oldest > most:
        minutes = (found.now - found.oldest) / timedelta(minutes=1)
        faults.append(
            f"{found.waiting} segments wait to be archived, the oldest for {minutes:.0f} min; the objective is "
            f"{most / timedelta(minutes=1):g} min. They are lost with this host"
        )
    return tuple(faults)


def continuity_faults(
    held: Held, names: Sequence[str], fulls: int, last: str | None, size: int = DEFAULT_SEGMENT_BYTES
) -> tuple[str, ...]:
    """Return what is missing in a repository's archive, in sentences.

    `names` are its segments, `fulls` is since how many full backups the WAL is kept whole, `last` is the segment that the
    server knows to be archived.
    """
    faults = []
    for backup in held.backups:
        missing = absent(backup.wal, names, size)
        if missing:
            faults.append(
                f"backup {backup.label} cannot become consistent: segment {', '.join(missing[:3])} is missing"
            )
    begin = _whole_since(held.backups, fulls)
    if begin is None:
        return tuple(faults)
    since = segment(begin, size)
    whole = [name for name in names if segment(name, size).number >= since.number]
    for first, to in gaps([begin, *whole], size):
        span = first if first == to else f"{first} to {to}"
        faults.append(
            f"WAL {span} is missing: nothing after it can be reached from an older backup. Take a full backup now "
            "(pgstead run backup_full)"
        )
    if last and (not whole or segment(max(whole), size).number < segment(last, size).number):
        faults.append(
            f"the archive ends at {max(whole, default='nothing')}, but the server has had {last} archived: it was lost in "
            "the repository. Take a full backup now (pgstead run backup_full)"
        )
    return tuple(faults)


def _whole_since(backups: Sequence[Backup], fulls: int) -> str | None:
    found = sorted((one for one in backups if one.kind == "full"), key=lambda one: one.stopped)[-fulls:]
    return found[0].wal[0] if found else None
