# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job that lays recovery markers: what it is told, and what its run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .dump_job import COUNTS
from .errors import SpecError
from .job import Verdict
from .shape import Key, faults

_KEYS: Mapping[str, Key] = {"counts": (lambda value: value in COUNTS, f"one of {', '.join(COUNTS)}")}


@dataclass(frozen=True)
class Laid:
    """A marker as it was laid. All of it lies in WAL up to the end of `segment`; `tables` is how many have counts."""

    name: str
    time: datetime
    lsn: str
    segment: str
    tables: int


def counts(settings: Mapping[str, Any]) -> str:
    """Read by which method rows are counted. Raises SpecError with everything that is wrong."""
    problems = faults(settings, _KEYS, "settings")
    if problems:
        raise SpecError(problems)
    return str(settings["counts"])


def conclude(laid: Laid, archived_seconds: float | None, patience_seconds: float) -> Verdict:
    """Judge a run; `archived_seconds` is how long archiving took, None where it was not done within the patience."""
    facts = {
        "name": laid.name,
        "time": laid.time.isoformat(),
        "lsn": laid.lsn,
        "segment": laid.segment,
        "archived_seconds": None if archived_seconds is None else round(archived_seconds, 3),
        "tables": laid.tables,
    }
    if archived_seconds is None:
        return Verdict(
            "failed",
            f"{laid.name} is laid, but its WAL segment {laid.segment} was not archived within {patience_seconds:g} s, "
            "and no drill can find it before: pgstead run check_archiving says what is wrong",
            facts,
        )
    return Verdict("ok", f"{laid.name} is archived", facts)
