# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan as a value: check mode, diff, apply and evidence are four readings of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .names import QualifiedName

MARKER = "managed by pgstead.ops."


class Mode(Enum):
    """How a change has to be executed."""

    TRANSACTION = "transaction"  # short, strong lock: under lock_timeout, tried again
    CONCURRENTLY = "concurrently"  # outside a transaction, without timeouts, watched
    SCAN = "scan"  # long, weak lock: acquired under lock_timeout, then left to read the table


@dataclass(frozen=True)
class Change:
    """One atomic step; `subject` is what the kind's renderer needs, and `lock` the strongest lock it takes."""

    kind: str
    table: QualifiedName
    name: str
    action: str
    lock: str
    mode: Mode
    subject: Any = field(repr=False)
    note: str = ""
    leaves: str = ""  # what a failed build leaves behind, by name
    tree: str = ""  # the object whose other parts stay when this step of it fails

    @property
    def object(self) -> str:
        return f"{self.name} on {self.table}"


@dataclass(frozen=True)
class Difference:
    """One object before and after, as text; empty where there is none."""

    object: str
    before: str
    after: str


@dataclass(frozen=True)
class Plan:
    """Changes in the order of execution, what they come to, and what was seen beside them."""

    changes: tuple[Change, ...] = ()
    differences: tuple[Difference, ...] = ()
    drift: tuple[str, ...] = ()  # objects that this collection once made and somebody else dropped or changed
    unmanaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def joined(plans: Sequence[Plan]) -> Plan:
    """Return one plan of several, in order."""
    return Plan(
        tuple(c for plan in plans for c in plan.changes),
        tuple(d for plan in plans for d in plan.differences),
        tuple(d for plan in plans for d in plan.drift),
        tuple(u for plan in plans for u in plan.unmanaged),
        tuple(w for plan in plans for w in plan.warnings),
    )


def with_marker(comment: str | None, kind: str) -> str:
    """Return a comment whose last line says which module made the object."""
    return f"{comment}\n{MARKER}{kind}" if comment else MARKER + kind


def without_marker(comment: str | None) -> str:
    """Return the part of a comment that a person wrote."""
    lines = (comment or "").split("\n")
    return "\n".join(lines[:-1] if lines[-1].startswith(MARKER) else lines)


def owner_of(comment: str | None) -> str:
    """Return the kind of objects whose module made this one, or an empty text."""
    last = (comment or "").rsplit("\n", 1)[-1]
    return last[len(MARKER) :] if last.startswith(MARKER) else ""


def not_noted(name: str) -> str:
    """Say why a purge spares an object with our comment: a copy of a table or a dump may have brought it."""
    return (
        f"left alone: {name} has this collection's comment, but is not noted in pgstead.made: a copy of something that was "
        "made here, or from before it was noted. Where it is not needed, declare it with state: absent"
    )
