# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job that dumps databases: what it is told, and what its run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .errors import Problem, SpecError
from .job import Verdict, by_database
from .names import QualifiedName, parse
from .retention import TIERS
from .shape import MAPPING, PATH, TEXT, Key, faults, texts, whole
from .units import human_size

COUNTS = ("exact", "estimate")
METHODS = ("age", "gpg")
MOST_JOBS, MOST_HOURS = 64, 24 * 366 * 100
_BOOL: Key = (lambda value: isinstance(value, bool), "true or false")
_NAMES: Key = (
    lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "a list of texts",
)


def _items(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


_ITEMS: Key = (_items, "a list with at least one mapping")
_METHOD: Key = (lambda value: value in METHODS, " or ".join(METHODS))
_COUNT: Key = (lambda value: value in COUNTS, " or ".join(COUNTS))
_KEYS: Mapping[str, Key] = {
    "host": TEXT,
    "cluster": TEXT,
    "programs": PATH,
    "work_directory": PATH,
    "rclone_config": PATH,
    "encryption": MAPPING,
    "remotes": _ITEMS,
    "retention": MAPPING,
    "databases": _ITEMS,
}
_ENCRYPTION: Mapping[str, Key] = {"method": _METHOD, "recipients": texts("recipient")}
_REMOTE: Mapping[str, Key] = {"name": TEXT, "type": TEXT, "path": TEXT, "offsite": _BOOL}
_DATABASE: Mapping[str, Key] = {
    "database": TEXT,
    "exclude_table_data": _NAMES,
    "jobs": whole(1, MOST_JOBS),
    "count": _COUNT,
}
_TIERS: Mapping[str, Key] = {tier: whole(0, MOST_HOURS) for tier in TIERS}


@dataclass(frozen=True)
class Encryption:
    """To whom dumps are encrypted: public keys of age, or armoured public keys of OpenPGP."""

    method: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Remote:
    """A place of the rclone configuration, and the directory in it."""

    name: str
    type: str
    path: str
    offsite: bool

    def place(self, *parts: str) -> str:
        """Return a path in it as rclone takes it."""
        return f"{self.name}:{'/'.join((self.path.rstrip('/'), *parts)) if self.path else '/'.join(parts)}"


@dataclass(frozen=True)
class Dumped:
    """One database to dump; `jobs` is how many connections read at once."""

    database: str
    exclude_table_data: tuple[QualifiedName, ...]
    jobs: int
    count: str


@dataclass(frozen=True)
class DumpJob:
    """All of the job's settings. `programs` has a directory by major, with `bin` in it."""

    host: str
    cluster: str
    programs: str
    work_directory: str
    rclone_config: str
    encryption: Encryption
    remotes: tuple[Remote, ...]
    keep: Mapping[str, timedelta]
    databases: tuple[Dumped, ...]


def dump_job(settings: Mapping[str, Any]) -> DumpJob:
    """Read the job's settings. Raises SpecError with everything that is wrong with them."""
    problems = faults(settings, _KEYS, "settings")
    if not problems:
        problems = [
            *faults(settings["encryption"], _ENCRYPTION, "settings.encryption"),
            *faults(settings["retention"], _TIERS, "settings.retention"),
            *_each(settings["remotes"], _REMOTE, "settings.remotes"),
            *_each(settings["databases"], _DATABASE, "settings.databases"),
        ]
    if problems:
        raise SpecError(problems)
    encryption = settings["encryption"]
    return DumpJob(
        **{name: settings[name] for name in ("host", "cluster", "programs", "work_directory", "rclone_config")},
        encryption=Encryption(encryption["method"], tuple(encryption["recipients"])),
        remotes=tuple(Remote(**item) for item in settings["remotes"]),
        keep={tier: timedelta(hours=hours) for tier, hours in settings["retention"].items()},
        databases=tuple(
            Dumped(
                item["database"],
                tuple(parse(name, "public") for name in item["exclude_table_data"]),
                item["jobs"],
                item["count"],
            )
            for item in settings["databases"]
        ),
    )


def _each(items: Any, keys: Mapping[str, Key], where: str) -> list[Problem]:
    return [problem for place, item in enumerate(items) for problem in faults(item, keys, f"{where}[{place}]")]


def conclude(found: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Judge what was done, by database: `file`, `bytes`, `remotes`, `warnings`, `blocked`, or `error`."""
    return by_database(found, _judge)


def _judge(facts: Mapping[str, Any]) -> tuple[str, str]:
    if facts["warnings"]:
        return "warning", ", ".join(facts["warnings"])
    return "ok", f"{human_size(facts['bytes'])} to {', '.join(facts['remotes'])}"
