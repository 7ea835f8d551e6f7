# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence of a drill: its facts with those of earlier ones, judged, kept, and sealed."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from .._core import evidence
from .._core.drill_facts import with_history
from .._core.drill_verdict import Judged, judge, summary
from .._core.errors import PgsteadError
from .._core.evidence_manifest import PAGE
from .evidence import DIRECTORY, keep, records
from .evidence_manifest import seal, unsealed


@dataclass(frozen=True)
class Recorded:
    """A record; where it was kept, its files are record, page, manifest, and the signature where there is a key."""

    entry: Mapping[str, Any]
    judged: Judged
    summary: str
    files: tuple[str, ...] = ()


def earlier(cluster: str, directory: Path = DIRECTORY) -> list[dict[str, Any]]:
    """Return the records of a cluster's drills on this host, the oldest first."""
    return [entry for entry in records("drill", directory) if entry["facts"]["cluster"] == cluster]


def judgement(
    facts: Mapping[str, Any], past: Sequence[Mapping[str, Any]], *, begun: datetime, seconds: float
) -> Recorded:
    """Judge a drill that began then (UTC) and took so long; nothing is kept."""
    started = f"{begun:%Y-%m-%dT%H:%M:%SZ}"
    whole = with_history(facts, past)
    judged = judge(whole, whole["history"], started)
    entry = evidence.record(
        "drill", socket.gethostname(), started=started, seconds=seconds, status=judged.status, facts=whole
    )
    return Recorded(entry, judged, summary(whole, judged))


def record(found: Recorded, *, directory: Path = DIRECTORY, signing_key: str | None = None) -> Recorded:
    """Keep what was judged, and seal it, as well as what earlier runs could not. Raises HostError, SpecError, OSError."""
    key = Path(signing_key) if signing_key else None
    for left in unsealed("drill", directory):
        with suppress(PgsteadError, OSError):  # what is wrong with all of them, the new one tells
            seal(left, key)
    path = Path(keep(found.entry, directory))
    sealed = seal(path, key)
    files = [str(path), str(path.with_suffix(PAGE)), str(sealed)]
    return replace(found, files=(*files, *([f"{sealed}.minisig"] if key else [])))
