# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job of recovery drills: what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from .drill_plan import PROFILES
from .errors import Problem, SpecError
from .recovery_spec import Statement, questions, tolerance
from .shape import MAPPING, PATH, TEXT, Key, each_of, faults, or_nothing, whole

_MOST_SECONDS = 100 * 366 * 86400
_BOOL: Key = (lambda value: isinstance(value, bool), "true or false")
_LIST: Key = (lambda value: isinstance(value, list), "a list")
_SOME: Key = (lambda value: isinstance(value, list) and bool(value), "a list with at least one mapping")
_PROFILE: Key = (lambda value: value in PROFILES, " or ".join(PROFILES))
_KEYS: Mapping[str, Key] = {
    "profile": _PROFILE,
    "evidence": PATH,
    "signing_key": or_nothing(PATH),
    "directory": PATH,
    "port": whole(1, 65535),
    "clusters": _SOME,
}
_CLUSTER: Mapping[str, Key] = {
    "cluster": TEXT,
    "stanza": TEXT,
    "version": whole(1, 999),
    "configuration": PATH,
    "programs": PATH,
    "repositories": _SOME,
    "objectives": MAPPING,
    "wal_seconds": whole(1, _MOST_SECONDS),
    "beside_production": _BOOL,
    "settings": MAPPING,
    "tolerance": (lambda value: isinstance(value, str) and tolerance(value) is not None, "rows, or a part like 0.5%"),
    "statements": _LIST,
    "row_security": _LIST,
    "dumps": or_nothing(MAPPING),
}
_DUMPS: Mapping[str, Key] = {"rclone_config": PATH, "identity_file": PATH, "stored": _SOME}
_STORED: Mapping[str, Key] = {"database": TEXT, "remote": TEXT, "place": TEXT, "offsite": _BOOL}
_REPOSITORY: Mapping[str, Key] = {
    "key": whole(1, 256),
    "name": TEXT,
    "offsite": _BOOL,
    "versions_seconds": or_nothing(whole(1, _MOST_SECONDS)),
}
_ANYTHING: Key = (lambda _value: True, "anything")
_STATEMENT: Mapping[str, Key] = {
    **dict.fromkeys(("name", "database", "sql", "role"), TEXT),
    "value": _ANYTHING,
    "rows": (
        lambda value: value is None or (isinstance(value, list) and all(isinstance(row, list) for row in value)),
        "a list of rows",
    ),
    "condition": or_nothing(TEXT),
}
_OBJECTIVES: Mapping[str, Key] = {
    name: whole(1, _MOST_SECONDS) for name in ("recovery_time_seconds", "recovery_point_seconds", "age_seconds")
}


@dataclass(frozen=True)
class Copy:
    """A repository to restore from, by pgBackRest's number; for how long its store keeps versions, where it does."""

    key: int
    name: str
    offsite: bool
    versions_seconds: int | None = None


@dataclass(frozen=True)
class Stored:
    """Where the dumps of a database are, as rclone names it."""

    database: str
    remote: str
    place: str
    offsite: bool


@dataclass(frozen=True)
class Dumps:
    """The logical tier: rclone's configuration, the key that opens dumps, and where they are."""

    rclone_config: str
    identity_file: str
    stored: tuple[Stored, ...]


@dataclass(frozen=True)
class Source:
    """One cluster whose backups are restored. `programs` has a directory by major, with `bin` in it."""

    cluster: str
    stanza: str
    version: int
    configuration: str
    programs: str
    repositories: tuple[Copy, ...]
    recovery_time: timedelta
    recovery_point: timedelta
    age: timedelta
    wal: timedelta
    beside_production: bool
    settings: Mapping[str, str]
    tolerance: tuple[Decimal, bool]  # of counts: rows, or per cent
    statements: tuple[Statement, ...]
    row_security: tuple[Mapping[str, Any], ...]
    dumps: Dumps | None

    @property
    def keys(self) -> tuple[int, ...]:
        return tuple(one.key for one in self.repositories)

    @property
    def versioned(self) -> tuple[int, ...]:
        return tuple(one.key for one in self.repositories if one.versions_seconds)

    def repository(self, key: int) -> Copy:
        return next(one for one in self.repositories if one.key == key)

    @property
    def objectives(self) -> dict[str, float]:
        """Return them as evidence has them."""
        return {
            "recovery_time_seconds": self.recovery_time.total_seconds(),
            "recovery_point_seconds": self.recovery_point.total_seconds(),
        }


@dataclass(frozen=True)
class DrillSettings:
    """All of a job's settings; each cluster has a directory of its own in `directory`."""

    profile: str
    evidence: str
    signing_key: str | None  # minisign's; without a password, for nobody is there to type it
    directory: str
    port: int
    clusters: tuple[Source, ...]


def settings(raw: Mapping[str, Any]) -> DrillSettings:
    """Read them. Raises SpecError with everything that is wrong."""
    problems = faults(raw, _KEYS, "settings")
    items, more = each_of({"clusters": raw.get("clusters")}, "clusters", "cluster", _CLUSTER, "settings")
    problems += more if not problems else []
    found = []
    for position, item in enumerate([] if problems else items):
        source, wrong = _source(item, f"settings.clusters[{position}]")
        problems += wrong
        found.append(source)
    if problems:
        raise SpecError(problems)
    return DrillSettings(
        **{name: raw[name] for name in ("profile", "evidence", "signing_key", "directory", "port")},
        clusters=tuple(one for one in found if one),
    )


def _source(item: Mapping[str, Any], where: str) -> tuple[Source | None, list[Problem]]:
    problems = faults(item["objectives"], _OBJECTIVES, f"{where}.objectives")
    for position, one in enumerate(item["repositories"]):
        problems += faults(one, _REPOSITORY, f"{where}.repositories[{position}]")
    if item["dumps"] is not None:
        problems += faults(item["dumps"], _DUMPS, f"{where}.dumps")
        stored = item["dumps"].get("stored")
        for position, one in enumerate(stored if isinstance(stored, list) else []):
            problems += faults(one, _STORED, f"{where}.dumps.stored[{position}]")
    for position, one in enumerate(item["statements"]):
        problems += faults(one, _STATEMENT, f"{where}.statements[{position}]")
    if problems:
        return None, problems
    statements, more = questions(item["statements"], f"{where}.statements")
    problems += more
    allowed = tolerance(item["tolerance"])
    if problems or allowed is None:
        return None, problems
    told = {name: item[name] for name in ("cluster", "stanza", "version", "configuration", "programs")}
    return Source(
        **told,
        repositories=tuple(Copy(**one) for one in item["repositories"]),
        recovery_time=timedelta(seconds=item["objectives"]["recovery_time_seconds"]),
        recovery_point=timedelta(seconds=item["objectives"]["recovery_point_seconds"]),
        age=timedelta(seconds=item["objectives"]["age_seconds"]),
        wal=timedelta(seconds=item["wal_seconds"]),
        beside_production=item["beside_production"],
        settings={str(name): str(value) for name, value in item["settings"].items()},
        tolerance=allowed,
        statements=statements,
        row_security=tuple(item["row_security"]),
        dumps=_dumps(item["dumps"]),
    ), []


def _dumps(raw: Mapping[str, Any] | None) -> Dumps | None:
    if raw is None:
        return None
    return Dumps(raw["rclone_config"], raw["identity_file"], tuple(Stored(**one) for one in raw["stored"]))
