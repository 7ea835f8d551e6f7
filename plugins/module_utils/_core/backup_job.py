# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The jobs of physical backups: what they are told, and what their runs came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .backup import KINDS, Backup, Holdings, newest
from .errors import SpecError
from .job import Verdict
from .metrics import Metric
from .shape import MAPPING, PATH, TEXT, Key, faults, whole

_REPOSITORY: Mapping[str, Key] = {
    "key": whole(1, 256),
    "name": TEXT,
    "type": TEXT,
    "path": PATH,
    "host": (lambda value: isinstance(value, str), "a text"),
    "offsite": (lambda value: isinstance(value, bool), "true or false"),
}
_KINDS: Key = (lambda value: value in KINDS, f"one of {', '.join(KINDS)}")
MOST_SECONDS = 100 * 366 * 86400
_TIERS: Key = (
    lambda value: isinstance(value, Mapping) and all(isinstance(item, int) and item >= 0 for item in value.values()),
    "a mapping of tiers to seconds",
)
_COMMON: Mapping[str, Key] = {
    "stanza": TEXT,
    "repositories": (lambda value: isinstance(value, list) and bool(value), "a list with at least one repository"),
    "wal_seconds": whole(1, MOST_SECONDS),
    "data_directory": PATH,
    "host_files": (lambda value: isinstance(value, list), "a list of paths"),
    "objectives": MAPPING,
}
_OBJECTIVES: Mapping[str, Key] = {"age_seconds": whole(1, MOST_SECONDS), "archive_seconds": whole(1, MOST_SECONDS)}


@dataclass(frozen=True)
class RepositoryName:
    """A repository as jobs know it: without options or secrets."""

    key: int
    name: str
    type: str
    offsite: bool
    path: str
    host: str  # of the store; empty for a directory of this host


@dataclass(frozen=True)
class BackupSettings:
    """What a job of physical backups is told. `kind` and `keep` are the backup jobs' own."""

    stanza: str
    repositories: tuple[RepositoryName, ...]
    wal: timedelta  # so far back any moment can be reached
    data_directory: str
    host_files: tuple[str, ...]
    age: timedelta
    archive_age: timedelta
    kind: str = "full"
    keep: Mapping[str, timedelta] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[int, ...]:
        return tuple(one.key for one in self.repositories)

    def repository(self, key: int) -> RepositoryName:
        return next(one for one in self.repositories if one.key == key)


def settings(raw: Mapping[str, Any], *, makes: bool) -> BackupSettings:
    """Read a job's settings; `makes` where the job makes backups. Raises SpecError with everything that is wrong."""
    keys = {**_COMMON, **({"kind": _KINDS, "keep": _TIERS} if makes else {})}
    problems = faults(raw, keys, "settings")
    listed = raw.get("repositories")
    for position, item in enumerate(listed if isinstance(listed, list) else []):
        problems += faults(item, _REPOSITORY, f"settings.repositories[{position}]")
    if isinstance(raw.get("objectives"), Mapping):
        problems += faults(raw["objectives"], _OBJECTIVES, "settings.objectives")
    if problems:
        raise SpecError(problems)
    return BackupSettings(
        stanza=raw["stanza"],
        repositories=tuple(RepositoryName(**item) for item in raw["repositories"]),
        wal=timedelta(seconds=raw["wal_seconds"]),
        data_directory=raw["data_directory"],
        host_files=tuple(raw["host_files"]),
        age=timedelta(seconds=raw["objectives"]["age_seconds"]),
        archive_age=timedelta(seconds=raw["objectives"]["archive_seconds"]),
        kind=raw.get("kind", "full"),
        keep={tier: timedelta(seconds=value) for tier, value in raw.get("keep", {}).items()},
    )


@dataclass
class Made:
    """What a backup job did in one repository."""

    repository: str
    seconds: float = 0.0
    backup: Backup | None = None
    expired: list[str] = field(default_factory=list)
    error: str = ""


def new_backup(before: Holdings, after: Holdings, key: int) -> tuple[Backup | None, str]:
    """Return the backup that a run made in a repository, and why it is not to be trusted, if so."""
    fault = next((held.fault for held in after.held if held.key == key), "is not among the repositories")
    if fault:
        return None, f"pgbackrest said that it made a backup, but its repository {fault}"
    known = {one.label for one in before.backups if one.repository == key}
    made = [one for one in after.backups if one.repository == key and one.label not in known]
    if not made:
        return None, "pgbackrest said that it made a backup, but there is none"
    last = max(made, key=lambda one: one.stopped)
    if not last.good:
        return last, f"pages with wrong checksums were found in the cluster while {last.label} was made: see its log"
    return last, ""


def conclude_backup(found: Sequence[Made], kind: str) -> Verdict:
    """Judge a backup job's run: it is only as good as in the repository where it went worst."""
    bad = [one for one in found if one.error]
    told = [f"{one.repository}: {one.error or _made(one)}" for one in bad or found]
    facts = {
        one.repository: {
            "seconds": round(one.seconds, 3),
            "expired": one.expired,
            **(_facts(one.backup) if one.backup else {}),
            **({"error": one.error} if one.error else {}),
        }
        for one in found
    }
    return Verdict(
        "failed" if bad else "ok", "; ".join(told), {"kind": kind, "repositories": facts}, metrics=_metrics(found)
    )


def _metrics(found: Sequence[Made]) -> tuple[Metric, ...]:
    made = [(one.repository, one.backup) for one in found if one.backup]
    return tuple(Metric("size_bytes", backup.stored, {"repository": name}) for name, backup in made)


def _made(one: Made) -> str:
    return f"{one.backup.label if one.backup else 'nothing'}, {len(one.expired)} expired"


def _facts(one: Backup) -> dict[str, Any]:
    return {
        "label": one.label,
        "kind": one.kind,
        "size": one.size,
        "stored": one.stored,
        "wal": list(one.wal),
        "lsn": list(one.lsn),
        "stopped": f"{one.stopped:%Y-%m-%dT%H:%M:%SZ}",
    }


def age_fault(backups: Sequence[Backup], now: datetime, most: timedelta) -> str:
    """Say that the newest good backup of a repository is too old, or return nothing."""
    last = newest(backups)
    if last is None:
        return "there is no good backup in it"
    age = now - last.stopped
    if age <= most:
        return ""
    return f"its newest good backup, {last.label}, is {age / timedelta(hours=1):.1f} h old; the objective is {most / timedelta(hours=1):g} h"
