# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of a recovery drill, read from its evidence (docs/evidence.md has the keys)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from .recovery_point import RecoveryPoint
from .recovery_probe import FAILED, PASSED, Check

KEPT_HISTORY = 24  # earlier drills that a record carries
PHASES = ("fetch", "recover", "promote", "verify", "provision", "serve")  # the last two of a game day
_DUMP = "dump "


@dataclass(frozen=True)
class Step:
    """One restore of the drill: what was brought back, from where, how long each phase took, what was found of it."""

    name: str
    target: str
    repository: str
    offsite: bool
    backup: str
    stopped_at: str
    begun: float
    phases: Mapping[str, float]
    checks: tuple[Check, ...]
    error: str

    @property
    def whole_cluster(self) -> bool:
        return not self.name.startswith(_DUMP)

    @property
    def seconds(self) -> float:
        return sum(self.phases.values())


@dataclass(frozen=True)
class Past:
    """An earlier drill of the same cluster, in short; a figure that was not measured is None."""

    started: str
    profile: str
    status: str
    recovery_time_seconds: float | None
    recovery_point_seconds: float | None
    size_bytes: int | None

    @property
    def at(self) -> datetime:
        return moment(self.started)


@dataclass(frozen=True)
class Drill:
    """What one drill found."""

    cluster: str
    stanza: str
    version: int
    profile: str
    recovery_time_objective: float
    recovery_point_objective: float
    recovery_time_seconds: float | None
    recovery_point_seconds: float | None
    recovery_point_worst_seconds: float | None
    size_bytes: int | None
    bytes_per_second: float | None
    preflight: tuple[Check, ...]
    steps: tuple[Step, ...]
    repeat: str

    @property
    def checks(self) -> tuple[Check, ...]:
        return (*self.preflight, *(check for step in self.steps for check in step.checks))


def drill(facts: Mapping[str, Any]) -> Drill:
    """Read the facts of a record of kind `drill`."""
    told = {name: facts[name] for name in _names(Drill) if name in facts}
    objectives = facts["objectives"]
    return Drill(
        **told
        | {
            "recovery_time_objective": objectives["recovery_time_seconds"],
            "recovery_point_objective": objectives["recovery_point_seconds"],
            "preflight": _checks(facts["preflight"]),
            "steps": tuple(_step(raw) for raw in facts["steps"]),
        }
    )


def history(raw: Sequence[Mapping[str, Any]], before: str) -> tuple[Past, ...]:
    """Read earlier drills, the oldest first; what is not earlier than `before` (UTC, ISO 8601) is left out."""
    read = [Past(**{name: each[name] for name in _names(Past)}) for each in raw]
    return tuple(sorted((each for each in read if each.at < moment(before)), key=lambda each: each.at))


def short(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the short form of a record of kind `drill`, as the history of later ones has it."""
    known = {**entry["facts"], "started": entry["started"], "status": entry["status"]}
    return {name: known[name] for name in _names(Past)}


def with_history(facts: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return facts that carry the last earlier drills (records of kind `drill` of the same cluster), the oldest first."""
    past = sorted(map(short, earlier), key=lambda each: moment(each["started"]))
    return {**facts, "history": past[-KEPT_HISTORY:]}


def moment(text: str) -> datetime:
    """Read a time of evidence: UTC, ISO 8601."""
    return datetime.fromisoformat(text).astimezone(UTC)


def by_verdict(checks: Sequence[Check]) -> list[Check]:
    """Return checks with those first that failed, then those that could not run, else in their order."""
    return sorted(checks, key=lambda each: (each.status == PASSED, each.status != FAILED))


def _step(raw: Mapping[str, Any]) -> Step:
    told = {name: raw[name] for name in _names(Step)}
    return Step(**told | {"checks": _checks(raw["checks"])})


def _checks(raw: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
    return tuple(Check(**{name: each[name] for name in _names(Check)}) for each in raw)


def _names(shape: type) -> list[str]:
    return [field.name for field in fields(shape)]


def blank(**known: Any) -> dict[str, Any]:
    """Return the facts of a drill of which nothing is found yet; `known` are cluster, stanza, version, profile, objectives and
    repeat.
    """
    measured = ("recovery_time_seconds", "recovery_point_seconds", "recovery_point_worst_seconds")
    return {**known, **dict.fromkeys((*measured, "size_bytes", "bytes_per_second")), "preflight": [], "steps": []}


def begun(name: str, repository: str, *, offsite: bool, at: float) -> dict[str, Any]:
    """Return a step that begins; `at` is in seconds since the drill began."""
    return {
        "name": name,
        "target": "",
        "repository": repository,
        "offsite": offsite,
        "backup": "",
        "stopped_at": "",
        "begun": round(at, 3),
        "phases": {},
        "checks": [],
        "error": "",
    }


def restored(facts: dict[str, Any], size: int | None, fetch: float, seconds: float, point: RecoveryPoint) -> None:
    """Put what was measured of the newest state into the facts: bytes, seconds of the fetch and of the whole recovery."""
    facts["size_bytes"] = size
    facts["bytes_per_second"] = None if size is None else round(size / max(fetch, 0.001))
    facts["recovery_time_seconds"] = round(seconds, 3)
    facts["recovery_point_seconds"], facts["recovery_point_worst_seconds"] = point.seconds, point.worst
