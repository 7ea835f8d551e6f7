# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The 3-2-1 rule, of what really exists: three copies of the data, on two kinds of storage, one of them off-site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COPIES, KINDS, OFFSITE = 3, 2, 1


@dataclass(frozen=True)
class Copy:
    """One copy of the data. `fault` says why it does not count; `kind` is a disk of the host, or a kind of store."""

    name: str
    kind: str
    offsite: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Rule:
    """The verdict: what counts, and in sentences what is missing."""

    copies: int
    kinds: int
    offsite: int
    missing: tuple[str, ...]

    @property
    def kept(self) -> bool:
        return not self.missing


def rule(copies: Sequence[Copy]) -> Rule:
    """Judge the copies; the running cluster is one of them, and belongs in the list."""
    sound = [copy for copy in copies if not copy.fault]
    kinds = {copy.kind for copy in sound}
    away = [copy for copy in sound if copy.offsite]
    excused = "; ".join(f"{copy.name} does not count: {copy.fault}" for copy in copies if copy.fault)
    missing = []
    if len(sound) < COPIES:
        missing.append(f"{len(sound)} of {COPIES} copies")
    if len(kinds) < KINDS:
        missing.append(f"all on one kind of storage ({', '.join(sorted(kinds)) or 'none'})")
    if len(away) < OFFSITE:
        missing.append("none off-site")
    if missing and excused:
        missing.append(excused)
    return Rule(len(sound), len(kinds), len(away), tuple(missing))
