# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job that keeps the partitions of audit logs: what it is told, and what its run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .audit_partition import LEAST_AHEAD, PartitionRule
from .errors import SpecError
from .job import Verdict, by_database
from .shape import TEXT, Key, each_of, or_nothing, whole

MOST_MONTHS, MOST_AHEAD = 12_000, 1200
_KEYS: Mapping[str, Key] = {
    "database": TEXT,
    "role": TEXT,
    "schema": TEXT,
    "retention_months": or_nothing(whole(1, MOST_MONTHS)),
    "ahead": whole(LEAST_AHEAD, MOST_AHEAD),
}


@dataclass(frozen=True)
class Audited:
    """One database with an audit log; `role` owns the log."""

    database: str
    role: str
    rule: PartitionRule


def audited(settings: Mapping[str, Any]) -> tuple[Audited, ...]:
    """Read the job's settings. Raises SpecError with everything that is wrong with them."""
    items, problems = each_of(settings, "databases", "database", _KEYS, "settings")
    if problems:
        raise SpecError(problems)
    return tuple(
        Audited(
            item["database"],
            item["role"],
            PartitionRule(schema=item["schema"], retention_months=item["retention_months"], ahead=item["ahead"]),
        )
        for item in items
    )


def conclude(found: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Judge what was done, by database: a report's fields, or `error` where there is none."""
    return by_database(found, _judge)


def _judge(facts: Mapping[str, Any]) -> tuple[str, str]:
    warnings = []
    if facts["default_rows"]:
        warnings.append(f"{facts['default_rows']} rows in the DEFAULT partition, which stand in the way of others")
    if facts["waiting"]:
        warnings.append("there is no audit log yet: run playbook pgstead.ops.schema, after the migrations")
    if warnings:
        return "warning", ", ".join(warnings)
    return "ok", f"{len(facts['created'])} partitions created, {len(facts['dropped'])} dropped"
