# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a drill looks at before it restores anything: a failure here is known in seconds, and not after hours."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from .._core.archiving import continuity_faults
from .._core.backup import Held, newest
from .._core.backup_job import age_fault
from .._core.backup_retention import wal_fulls
from .._core.drill_job import Copy, Source
from .._core.errors import PgsteadError
from .._core.recovery_probe import COULD_NOT_RUN, PASSED, Answer, Check, answered
from .._core.restore import segment_bytes
from .._core.units import GB, human_size
from . import drill_beside
from .evidence_manifest import try_key
from .pgbackrest import PgBackRest

PROGRAMS = ("postgres", "pg_controldata", "pg_checksums", "pg_amcheck", "pg_dump")
# of the cluster's size, and for the WAL of a recovery
ROOM_FACTOR, ROOM_BYTES = 1.1, 2 * GB
# of it once more: a dump's files, unpacked, and the database that they become beside the copy
DUMP_FACTOR = 2.0


@dataclass(frozen=True)
class Looked:
    """A repository as it was found, with the arrivals of its WAL."""

    copy: Copy
    held: Held
    arrivals: dict[str, datetime]


def timed(check: str, place: str, work: Callable[[], Answer]) -> Check:
    """Return a check with its seconds; what cannot be looked at could not run."""
    since = time.monotonic()
    try:
        status, words = work()
    except PgsteadError as error:
        status, words = COULD_NOT_RUN, str(error)
    return Check(check, place, status, words, round(time.monotonic() - since, 3))


@dataclass
class Preflight:
    """The look at everything that one drill needs; `looked` has the repositories, by key."""

    told: Source
    engine: PgBackRest
    directory: Path
    now: datetime
    dumps: bool  # whether the drill restores some, too
    signing_key: str | None = None

    def __post_init__(self) -> None:
        self.looked: dict[int, Looked] = {}

    def checks(self) -> Iterator[Check]:
        """Yield the checks, the quick ones first."""
        yield timed("programs", "", self._programs)
        if self.signing_key:
            yield timed("signing key", "", partial(_signs, Path(self.signing_key)))
        for copy in self.told.repositories:
            yield timed(f"repository {copy.name}", "", partial(self._repository, copy))
        for one in list(self.looked.values()):
            yield timed(f"backup age {one.copy.name}", "", partial(self._age, one.held))
            yield timed(f"wal continuity {one.copy.name}", "", partial(self._continuity, one.copy))
        yield timed("space", "", self._space)
        yield timed("place", "", self._place)

    def _programs(self) -> Answer:
        binaries = Path(self.told.programs, str(self.told.version), "bin")
        missing = [f"{binaries / name} is not there" for name in PROGRAMS if not (binaries / name).is_file()]
        return answered(missing, f"PostgreSQL {self.told.version} and its programs are installed")

    def _repository(self, copy: Copy) -> Answer:
        """Learn what it holds; a wrong key, an empty or a lost one is a fault of pgBackRest's answer."""
        (held,) = self.engine.info(copy.key).held
        if held.fault:
            return answered([f"repository {copy.name} {held.fault}"], "")
        self.looked[copy.key] = Looked(copy, held, self.engine.arrivals(copy.key, held.archive))
        return answered([], f"{len(held.backups)} backups, {len(self.looked[copy.key].arrivals)} segments of WAL")

    def _age(self, held: Held) -> Answer:
        fault = age_fault(held.backups, self.now, self.told.age)
        last = newest(held.backups)
        return answered([fault] if fault else [], f"the newest is {last.label if last else 'none'}")

    def _continuity(self, copy: Copy) -> Answer:
        faults = self._gaps(copy)
        if faults:  # a backup or an expiry went on beside: what was missing may have been gone by right
            self._repository(copy)
            faults = self._gaps(copy)
        return answered(faults, "nothing is missing")

    def _gaps(self, copy: Copy) -> tuple[str, ...]:
        one = self.looked[copy.key]
        fulls = wal_fulls(one.held.backups, self.told.wal, self.now)
        return continuity_faults(one.held, sorted(one.arrivals), fulls, None, segment_bytes(one.held.backups))

    def _space(self) -> Answer:
        sizes = [backup.size for one in self.looked.values() for backup in one.held.backups]
        there = next(path for path in (self.directory, *self.directory.parents) if path.exists())
        factor = ROOM_FACTOR + (DUMP_FACTOR if self.dumps else 0)
        needed, free = int(max(sizes, default=0) * factor) + ROOM_BYTES, shutil.disk_usage(there).free
        told = f"{human_size(free)} are free in {there}, {human_size(needed)} are needed"
        return answered([] if free >= needed else [f"{told}: name another drill_directory"], told)

    def _place(self) -> Answer:
        """Refuse the primary itself, by whatever name, unless that is meant: its disk and memory are production's."""
        identifiers = {one.held.system_id for one in self.looked.values()} - {None}
        found = [(data, runs) for data, identifier, runs in drill_beside.clusters() if identifier in identifiers]
        here = [data for data, _runs in found]
        if found and not self.told.beside_production:
            how = "running" if found[0][1] else "stopped"
            told = f"{here[0]} on this host is the cluster that was backed up, and it is {how}"
            return answered([f"{told}: drill elsewhere, or say drill_beside_production: true if that is meant"], "")
        spread = [str(link.readlink()) for data in here for link in (data / "pg_tblspc").glob("*") if link.is_symlink()]
        if spread:  # recovery makes those that are newer than the backup where they were, and that is here
            told = f"the cluster on this host has tablespaces ({', '.join(spread)}), which recovery could write to"
            return answered([f"{told}: drill its backups on another host"], "")
        told = "beside production, as declared" if here else "no cluster of this host is the one that was backed up"
        return answered([], told)


def _signs(key: Path) -> Answer:
    try_key(key)
    return PASSED, f"{key} signs evidence"
