# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Physical backups as the inventory declares them. Three roles take from here: the server's settings, jobs, backup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from . import backup_retention
from .backup_job import MOST_SECONDS, RepositoryName
from .baseline import ENVIRONMENTS
from .errors import Problem
from .repository import Repository, repositories
from .retention import tiers
from .units import parse_duration_ms

LONGEST = timedelta(seconds=MOST_SECONDS)  # of what a job is told
LEAST_ARCHIVE_SECONDS, MOST_ARCHIVE_SECONDS = 10, 3600
COMPRESSIONS: Mapping[str, tuple[int, int]] = {"zst": (1, 19), "lz4": (1, 12), "gz": (1, 9), "none": (0, 0)}
# By environment: how old the newest good backup may be, and how long a segment may wait. A day and a margin for its run.
OBJECTIVES: Mapping[str, Mapping[str, str]] = {
    "production": {"age": "26h", "archive": "15min"},
    "staging": {"age": "26h", "archive": "1h"},
    "development": {"age": "8d", "archive": "1h"},
}


@dataclass(frozen=True)
class BackupSpec:
    """All of it, without facts of a host. Without repositories there are no backups."""

    stanza: str
    repositories: tuple[Repository, ...]
    version: int
    cluster: str
    port: int
    data_directory: str
    processes: int
    compression: str
    compression_level: int
    queue_max: str
    archive_timeout: int
    keep: Mapping[str, timedelta]
    age: timedelta
    archive_age: timedelta

    @property
    def wal_window(self) -> timedelta:
        return backup_retention.wal_window(self.keep)

    def job(self, host_files: tuple[str, ...]) -> dict[str, Any]:
        """Return what every job of physical backups is told (_core/backup_job.py reads it)."""
        return {
            "stanza": self.stanza,
            "repositories": [
                asdict(RepositoryName(one.key, one.name, one.type, one.offsite, one.path, one.host))
                for one in self.repositories
            ],
            "wal_seconds": int(self.wal_window.total_seconds()),
            "data_directory": self.data_directory,
            "host_files": list(host_files),
            "objectives": {
                "age_seconds": int(self.age.total_seconds()),
                "archive_seconds": int(self.archive_age.total_seconds()),
            },
        }

    def made(self, kind: str, host_files: tuple[str, ...]) -> dict[str, Any]:
        """Return what a job is told that makes backups of a kind."""
        keep = {tier: int(value.total_seconds()) for tier, value in self.keep.items()}
        return {**self.job(host_files), "kind": kind, "keep": keep}


def host_files(spec: BackupSpec) -> tuple[str, ...]:
    """Return what is kept beside a backup. Keys of TLS and of the repositories are not among it."""
    return (
        f"/etc/postgresql/{spec.version}/{spec.cluster}",
        "/etc/pgbouncer",
        "/etc/pgstead/settings.json",
        "/etc/pgstead/agent.json",
    )


def read(raw: Mapping[str, Any]) -> tuple[BackupSpec | None, list[Problem]]:
    """Read the variables, under their short names; None where no repository is declared or something is wrong."""
    found, problems = repositories(raw.get("repositories") or [])
    environment = str(raw["environment"])
    if environment not in ENVIRONMENTS:
        return None, [Problem("pgstead_environment", f"{environment!r} is not one of {', '.join(ENVIRONMENTS)}")]
    keep = _keep(raw, environment, problems)
    stanza = str(raw["stanza"])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}", stanza) or stanza.startswith("global"):
        problems.append(Problem("backup_stanza", f"{stanza!r} is not a name of letters, digits, _, . and -"))
    compression, level = _compression(raw.get("compression") or {}, problems)
    age, archive = _objectives(raw, environment, problems)
    queue = str(raw.get("queue_max") or "").replace(" ", "")
    if not re.fullmatch(r"([0-9]+(B|KB|KiB|MB|MiB|GB|GiB|TB|TiB))?", queue):
        problems.append(Problem("backup_archive_queue_max", f"{queue!r} is not a size as 50GiB"))
    timeout = _whole(
        problems, "backup_archive_timeout", raw["archive_timeout"], LEAST_ARCHIVE_SECONDS, MOST_ARCHIVE_SECONDS
    )
    processes = _whole(problems, "backup_processes", raw["processes"], 1, 999)
    version = _whole(problems, "postgresql_version", raw["version"], 1, 999)
    port = _whole(problems, "postgresql_port", raw["port"], 1, 65535)
    data = str(raw.get("data_directory") or f"/var/lib/postgresql/{version}/{raw['cluster_name']}")
    if not re.fullmatch(r"/[^\r\n]*", data):
        problems.append(Problem("postgresql_data_directory", f"{data!r} is not an absolute path"))
    if problems or not found:
        return None, problems
    return BackupSpec(
        stanza=stanza,
        repositories=found,
        version=version,
        cluster=str(raw["cluster_name"]),
        port=port,
        data_directory=data,
        processes=processes,
        compression=compression,
        compression_level=level,
        queue_max=queue,
        archive_timeout=timeout,
        keep=keep,
        age=age,
        archive_age=archive,
    ), []


def _keep(raw: Mapping[str, Any], environment: str, problems: list[Problem]) -> dict[str, timedelta]:
    keep, wrong = tiers(_mapping(problems, "backup_retention", raw.get("retention")), environment, "backup_retention")
    problems += wrong
    window = LONGEST if wrong else backup_retention.wal_window(keep)
    if not window:
        what = "is 0, and so is hourly: no WAL would be kept, and no moment between backups could be reached. Give it a duration, as 7d"
        problems.append(Problem("backup_retention.daily", what))
    if window > LONGEST:
        longer = "daily" if keep["daily"] == window else "hourly"
        problems.append(
            Problem(f"backup_retention.{longer}", f"is longer than the {LONGEST.days} days that WAL is kept at most")
        )
    return keep


def _objectives(raw: Mapping[str, Any], environment: str, problems: list[Problem]) -> tuple[timedelta, timedelta]:
    given = _mapping(problems, "backup_objectives", raw.get("objectives"))
    told = {**OBJECTIVES[environment], **{name: value for name, value in given.items() if value is not None}}
    age, archive = (_duration(problems, f"backup_objectives.{name}", told[name]) for name in ("age", "archive"))
    return age, archive


def _mapping(problems: list[Problem], where: str, raw: Any) -> Mapping[str, Any]:
    if isinstance(raw or {}, Mapping):
        return raw or {}
    problems.append(Problem(where, f"{raw!r} is a {type(raw).__name__}, not a mapping"))
    return {}


def _compression(raw: Any, problems: list[Problem]) -> tuple[str, int]:
    if not isinstance(raw, Mapping) or set(raw) - {"type", "level"}:
        problems.append(Problem("backup_compression", f"{raw!r} is not a mapping of type and level"))
        return "zst", 3
    kind = str(raw.get("type") or "zst")
    if kind not in COMPRESSIONS:
        problems.append(Problem("backup_compression.type", f"{kind!r} is not one of {', '.join(COMPRESSIONS)}"))
        return "zst", 3
    usual = {"zst": 3, "lz4": 1, "gz": 6, "none": 0}[kind]
    level = raw.get("level")
    return kind, _whole(problems, "backup_compression.level", usual if level is None else level, *COMPRESSIONS[kind])


def _whole(problems: list[Problem], where: str, raw: Any, low: int, high: int) -> int:
    text = str(raw).strip()
    if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        problems.append(Problem(where, f"{raw!r} is not a whole number from {low} to {high}"))
        return low
    return int(text)


def _duration(problems: list[Problem], where: str, raw: Any) -> timedelta:
    try:
        found = timedelta(milliseconds=float(parse_duration_ms(str(raw), "s")))
    except ValueError as error:
        problems.append(Problem(where, str(error)))
        return LONGEST
    except OverflowError:
        found = timedelta.max
    if not timedelta(seconds=1) <= found <= LONGEST:
        problems.append(Problem(where, f"{raw!r} is not a time from 1s to {LONGEST.days}d"))
    return found
