# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at all repositories of a stanza, and at where they really lie."""

from __future__ import annotations

import socket
from datetime import datetime
from pathlib import Path
from typing import Any

from .._core.archiving import Archiving, continuity_faults
from .._core.backup import Held
from .._core.backup_job import BackupSettings, RepositoryName
from .._core.backup_report import Place, Report, Surveyed, report
from .._core.backup_retention import wal_fulls
from .._core.errors import HostError
from .._core.wal import of_archiver
from .pgbackrest import PgBackRest
from .storage import storage

_KINDS = {"s3": "object store", "azure": "object store", "gcs": "object store", "sftp": "other host"}


def survey(
    engine: PgBackRest, told: BackupSettings, archiving: Archiving, now: datetime, *, read_everything: bool
) -> Report:
    """Look at every repository; one that cannot be looked at keeps no other from its turn.

    `archiving` is what the server said before; `read_everything` has every stored file read, which takes its time.
    """

    def look(held: Held) -> Surveyed:
        one = Surveyed(told.repository(held.key), held)
        if held.fault:
            return one
        try:
            names = sorted(engine.arrivals(held.key, held.archive))
            one.segments = len(names)
            last = None if archiving.in_recovery else of_archiver(archiving.last)
            fulls = wal_fulls(held.backups, told.wal, now)
            one.faults += continuity_faults(held, names, fulls, last, archiving.segment_bytes)
            one.faults += engine.verify(held.key) if read_everything else ()
        except HostError as error:
            one.faults.append(str(error))
        return one

    holdings = engine.info()
    found = [look(held) for held in holdings.held]
    if any(one.faults for one in found):
        again = engine.info()
        if again != holdings:  # a backup or an expiry went on beside: what was missing may have been gone by right
            found = [look(held) for held in again.held]
    cluster = storage(Path(told.data_directory)).kind
    return report(told, found, {one.key: place(one) for one in told.repositories}, cluster, now)


def place(one: RepositoryName) -> Place:
    """Return where a repository really lies."""
    if one.type == "posix":
        there = storage(Path(one.path))
        return Place(there.kind, "" if there.remote else "it lies on a disk of this host")
    kind = f"{_KINDS[one.type]} {one.host}".strip()
    return Place(kind, f"{one.host} is this host" if _is_here(one.host) else "")


def _is_here(host: str) -> bool:
    """Say whether a name stands for this host: whether an address of it can be taken here. What is not resolved is elsewhere."""
    name = host.partition("://")[2].split("/")[0] if "://" in host else host
    name = name.rsplit(":", 1)[0] if name.count(":") == 1 else name
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM) if name else []
    except OSError:
        return False
    return any(_is_own(family, address) for family, _type, _protocol, _name, address in found)


def _is_own(family: int, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        try:
            trial.bind((address[0], 0))
        except OSError:
            return False
    return True
