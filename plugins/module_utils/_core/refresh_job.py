# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job that fills materialised views anew: what it is told, in which order it works, and what its run came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import SpecError
from .job import Verdict, by_database
from .names import QualifiedName, parse
from .shape import TEXT, Key, each_of, texts

_KEYS: Mapping[str, Key] = {"database": TEXT, "views": texts("view")}


@dataclass(frozen=True)
class Refreshed:
    """One database with views to fill anew."""

    database: str
    views: tuple[QualifiedName, ...]


@dataclass(frozen=True)
class Kept:
    """A materialised view as the catalogue has it."""

    name: QualifiedName
    populated: bool
    unique: bool  # it has a valid unique index on columns, without a condition


def refreshed(settings: Mapping[str, Any]) -> tuple[Refreshed, ...]:
    """Read the job's settings. Raises SpecError with everything that is wrong with them."""
    items, problems = each_of(settings, "databases", "database", _KEYS, "settings")
    if problems:
        raise SpecError(problems)
    return tuple(Refreshed(item["database"], tuple(parse(name, "public") for name in item["views"])) for item in items)


def ordered(
    names: Sequence[QualifiedName], above: Mapping[QualifiedName, frozenset[QualifiedName]]
) -> list[QualifiedName]:
    """Return the views in an order in which each comes after those that it is made of, by way of others or not.

    `above` says of every view, of any kind, which ones are made of it.
    """
    found: list[QualifiedName] = []
    seen: set[QualifiedName] = set()

    def visit(name: QualifiedName) -> None:
        if name in seen:
            return
        seen.add(name)
        for other in sorted(above.get(name, ()), reverse=True):
            visit(other)
        found.insert(0, name)

    for name in reversed(names):
        visit(name)
    return [name for name in found if name in set(names)]


def obstacle(view: Kept) -> str:
    """Say why a view cannot be filled while it is read, or return nothing."""
    if not view.populated or view.unique:
        return ""
    return (
        f"{view.name} has no unique index on plain columns without a condition, so its readers would have to wait: declare "
        "one in the database's indexes"
    )


def conclude(found: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Judge what was done, by database: `views` with seconds, `missing`, `blocked`, or `error` where there is none."""
    return by_database(found, _judge)


def _judge(facts: Mapping[str, Any]) -> tuple[str, str]:
    if facts["missing"]:
        return "warning", f"{', '.join(facts['missing'])} not there yet: run playbook pgstead.ops.schema"
    return "ok", f"{len(facts['views'])} views filled anew"
