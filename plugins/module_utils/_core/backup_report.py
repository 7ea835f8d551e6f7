# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host's backups amount to: per repository what there is and what is wrong, and the 3-2-1 rule over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .backup import KINDS, Backup, Held, newest
from .backup_job import BackupSettings, RepositoryName, age_fault
from .job import Verdict
from .three_two_one import Copy, Rule, rule


@dataclass(frozen=True)
class Place:
    """Where a repository really lies, as the host sees it: a kind of storage, and why it is not off-site, if so."""

    kind: str
    near: str = ""


@dataclass
class Surveyed:
    """What was found in one repository."""

    repository: RepositoryName
    held: Held
    segments: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """The whole survey; `faults` are sentences that name their repository."""

    surveyed: tuple[Surveyed, ...]
    rule: Rule
    now: datetime

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(f"{one.repository.name}: {fault}" for one in self.surveyed for fault in one.faults)

    def as_data(self) -> dict[str, Any]:
        """Return plain data: times in ISO 8601, sizes in bytes, ages in seconds."""
        return {
            "repositories": [self._repository(one) for one in self.surveyed],
            "three_two_one": {
                "kept": self.rule.kept,
                "copies": self.rule.copies,
                "kinds": self.rule.kinds,
                "offsite": self.rule.offsite,
                "missing": list(self.rule.missing),
            },
            "faults": list(self.faults),
        }

    def _repository(self, one: Surveyed) -> dict[str, Any]:
        return {
            "name": one.repository.name,
            "key": one.repository.key,
            "type": one.repository.type,
            "offsite": one.repository.offsite,
            "faults": list(one.faults),
            "unusable": one.held.fault,
            "wal": list(one.held.wal or ()),
            "segments": one.segments,
            "newest": {kind: self._newest(one.held.backups, kind) for kind in KINDS},
            "backups": [_backup(backup) for backup in one.held.backups],
            "stored": sum(backup.stored for backup in one.held.backups),
        }

    def _newest(self, backups: Sequence[Backup], kind: str) -> dict[str, Any] | None:
        found = newest(backups, kind=kind)
        if found is None:
            return None
        return {"label": found.label, "age_seconds": int((self.now - found.stopped) / timedelta(seconds=1))}


def _backup(one: Backup) -> dict[str, Any]:
    return {
        "label": one.label,
        "kind": one.kind,
        "good": one.good,
        "started": f"{one.started:%Y-%m-%dT%H:%M:%SZ}",
        "stopped": f"{one.stopped:%Y-%m-%dT%H:%M:%SZ}",
        "size": one.size,
        "stored": one.stored,
        "wal": list(one.wal),
        "lsn": list(one.lsn),
    }


def report(
    told: BackupSettings, surveyed: Sequence[Surveyed], places: Mapping[int, Place], cluster: str, now: datetime
) -> Report:
    """Judge the survey; `cluster` is the kind of storage that the running cluster lies on. Ages are judged here."""
    for one in surveyed:
        old = "" if one.held.fault else age_fault(one.held.backups, now, told.age)
        one.faults[:0] = [one.held.fault or old] if one.held.fault or old else []
    copies = [Copy("the cluster", cluster), *(_copy(one, places[one.repository.key], cluster) for one in surveyed)]
    return Report(tuple(surveyed), rule(copies), now)


def _copy(one: Surveyed, place: Place, cluster: str) -> Copy:
    fault = next(iter(one.faults), "")
    if not fault and place.kind == cluster:
        fault = "it lies on the same disk as the cluster"
    return Copy(one.repository.name, place.kind, one.repository.offsite and not place.near, fault)


def conclude_verify(found: Report) -> Verdict:
    """Judge a verification: a fault in any repository has failed; a broken 3-2-1 rule is a warning."""
    facts = found.as_data()
    for one in facts["repositories"]:
        one["backups"] = len(one["backups"])
    if found.faults:
        return Verdict("failed", "; ".join(found.faults), facts)
    told = "; ".join(
        f"{one.repository.name}: {len(one.held.backups)} backups and {one.segments} segments are whole"
        for one in found.surveyed
    )
    if not found.rule.kept:
        return Verdict("warning", f"3-2-1 is not kept ({', '.join(found.rule.missing)}); {told}", facts)
    return Verdict("ok", told, facts)
