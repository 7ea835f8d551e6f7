# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words of a drill's page: what each check proves, and how verdicts are called."""

from __future__ import annotations

from collections.abc import Mapping

from .recovery_probe import COULD_NOT_RUN, FAILED, PASSED

# What only drills and game days ask.
OF_DRILLS: Mapping[str, str] = {
    "marker": "the newest state has a recovery marker, which says where the other steps are to end",
    "exact target": "recovery ended after the marker's first row, and before its second one",
    "row_security": "row security keeps tenants apart, asked as the application",
    "versions": "the store still has what was overwritten or deleted since: an emptied bucket can be brought back",
    "versions state": "the copy ends at the time for which the store was asked: the WAL of then has come back, too",
    "dump restored": "the newest dump is whole, can be opened, and has the rows that were counted when it was made",
    "served": "the application is answered through the pooler",
    "access": "roles, secrets, databases and rights are as the inventory declares them",
}
# As docs/recovery-probe.md has them.
OF_PROBES: Mapping[str, str] = {
    "checksums": "every block has the checksum that it was written with",
    "amcheck": "tables and B-tree indexes hold together; every row is in its indexes (heapallindexed)",
    "dump": "pg_dump can read every row",
    "canary": "rows that must be there are, rows that must not are not: the recovery ended where it was to end",
    "counts": "tables have as many rows as recorded",
    "sequences": "the next value is one that the column does not have",
    "roles": "the roles exist",
    "extensions": "the extensions exist, with this version",
    "settings": "the settings exist, with this value as SHOW writes it",
    "invalid_indexes": "no index is invalid",
    "unvalidated_constraints": "no constraint is NOT VALID",
    "statements": "the owner's questions get the expected answers",
}
PROVES: Mapping[str, str] = {**OF_DRILLS, **OF_PROBES}
# A sign beside each word: colour alone tells nothing to many, nor on paper.
VERDICTS: Mapping[str, tuple[str, str]] = {
    PASSED: ("✓", "passed"),
    FAILED: ("✕", "failed"),
    COULD_NOT_RUN: ("?", "could not run"),
}
BANNERS: Mapping[str, tuple[str, str]] = {
    "ok": ("✓", "Recovery proven"),
    "warning": ("!", "Recovery proven, with warnings"),
    "failed": ("✕", "Recovery NOT proven"),
    "skipped": ("–", "Nothing was tried"),
}
# of the charts over several drills
SIGNS = ("● ok", "▲ warning", "✕ failed", "? not measured", "╌╌ objective", "┈┈ trend")
