# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The case of the emptied bucket: a repository as its store had it before it was overwritten or deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .._core import store_versions
from .._core.backup import Backup, newest
from .._core.errors import HostError
from .._core.recovery_probe import Check
from .._pg import heartbeat
from .._pg.connection import Target
from .drill_preflight import Looked, timed
from .pgbackrest import PgBackRest


@dataclass(frozen=True)
class Past:
    """A repository as it was at a time, and the backups that it had; `engine` reads it so."""

    engine: PgBackRest
    at: datetime
    backups: tuple[Backup, ...]

    def checks(self, looked: Looked, target: Target, objective: timedelta) -> list[Check]:
        """Return what a running copy of that time proves."""
        beats = heartbeat.beats(target)
        last = beats[-1].at if beats else None
        return [
            timed("versions", "", lambda: store_versions.kept(self.backups, looked.held.backups, self.at)),
            timed("versions state", "postgres", lambda: store_versions.state(last, self.at, objective)),
        ]


def past(engine: PgBackRest, looked: Looked, now: datetime) -> Past:
    """Return the repository as it was, as early as there is a backup. Raises HostError."""
    said = ""
    kept = timedelta(seconds=looked.copy.versions_seconds or 0)
    for at in store_versions.moments(looked.held, kept, now):
        reading = engine.at(at)
        (held,) = reading.info(looked.copy.key).held
        if newest(held.backups) is not None:
            return Past(reading, at, held.backups)
        said = f"{at:%Y-%m-%d %H:%M:%S}Z: {held.fault or 'no backup'}"
    raise HostError(
        f"repository {looked.copy.name} has no backup as it was at {said}. If it has had one, its store keeps no versions: have it "
        "keep them (bucket versioning, with a lock), or take versions_kept out"
    )
