# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs backup_full, backup_diff, backup_incr: a backup in every repository, looked at, then what is due to go goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core.agent_config import Config
from .._core.backup_job import BackupSettings, Made, conclude_backup, new_backup, settings
from .._core.backup_retention import expired, wal_fulls
from .._core.errors import HostError
from .._core.job import Verdict
from .._host import host_copy
from .._host.pgbackrest import PgBackRest
from .._host.programs import run as run_program

HOST_FILES = "host files"
BUSY = "another backup is under way, started by something else"


def run(_config: Config, raw: Mapping[str, Any]) -> Verdict:
    """Make a backup of the kind in the settings. A repository that fails keeps no other from its turn."""
    told = settings(raw, makes=True)
    engine = PgBackRest(run_program, told.stanza, told.keys)
    return make(engine, told, lambda: datetime.now(UTC))


def make(engine: PgBackRest, told: BackupSettings, now: Callable[[], datetime]) -> Verdict:
    """Do the work; `now` is the clock."""
    found = [*_keep_host_files(engine, told)]
    for key in told.keys:
        one = _one(engine, told, key, now)
        if one is None and not found:
            return Verdict("skipped", f"{told.stanza}: {BUSY}")
        found.append(one or Made(told.repository(key).name, error=BUSY))
    return conclude_backup(found, told.kind)


def _keep_host_files(engine: PgBackRest, told: BackupSettings) -> list[Made]:
    data = Path(told.data_directory)
    try:
        host_copy.save(data, [Path(path) for path in told.host_files], host_copy.facts(engine.run, data))
    except HostError as error:
        return [Made(HOST_FILES, error=str(error))]
    return []


def _one(engine: PgBackRest, told: BackupSettings, key: int, now: Callable[[], datetime]) -> Made | None:
    """Make a backup in one repository and look at it; None where another one is under way."""
    made, since = Made(told.repository(key).name), time.monotonic()
    try:
        before = engine.info(key)
        if before.busy:
            return None
        made.error = before.held[0].fault
        if not made.error:
            engine.backup(key, told.kind)
            after = engine.info(key)
            made.backup, made.error = new_backup(before, after, key)
        if not made.error:
            _expire(engine, told, key, made, now())
    except HostError as error:
        made.error = f"{made.backup.label} was made, but: {error}" if made.backup else str(error)
    made.seconds = time.monotonic() - since
    return made


def _expire(engine: PgBackRest, told: BackupSettings, key: int, made: Made, now: datetime) -> None:
    """Remove what no tier keeps, then the WAL that nothing needs."""
    there = engine.info(key).backups
    for label in expired(there, told.keep, now):
        engine.expire(key, label)
        made.expired.append(label)
    engine.expire_wal(key, wal_fulls(there, told.wal, now))
