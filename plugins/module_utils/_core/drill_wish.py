# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a drill asks of what it restored: of the newest state what holds for every cluster, and the owner's questions; of the
state at a marker what the marker recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .drill_job import Source
from .names import QualifiedName, parse
from .recovery_spec import Amcheck, Counts, Extension, Wish

ESTIMATE_PER_CENT = Decimal(50)  # what the server last estimated may be old; it tells a table from an empty one


def of_newest(told: Source) -> Wish:
    """Return what is asked of the newest state while it runs."""
    return Wish(
        amcheck=Amcheck(heapallindexed=True, install_missing=True, jobs=2),
        everywhere=("dump", "sequences"),
        statements=told.statements,
    )


def of_marker(told: Source, manifest: Mapping[str, Any]) -> list[Wish]:
    """Return what is asked of the state at a marker. Raises KeyError, ValueError for what is no marker's manifest."""
    rows, estimates = _rows(manifest["counts"]), _rows(manifest["estimates"])
    found = [
        Wish(
            counts=Counts(rows, *told.tolerance) if rows else None,
            roles=tuple(manifest["roles"]),
            extensions=tuple(
                Extension(str(database), str(name), str(version))
                for database, there in manifest["extensions"].items()
                for name, version in there.items()
            ),
        )
    ]
    return found + ([Wish(counts=Counts(estimates, ESTIMATE_PER_CENT, relative=True))] if estimates else [])


def _rows(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[QualifiedName, int]]:
    return {
        database: {parse(name, "public"): int(count) for name, count in tables.items()}
        for database, tables in raw.items()
        if tables
    }
