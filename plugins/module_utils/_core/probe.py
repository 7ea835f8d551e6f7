# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a probe of row security found: a check that could not run proves nothing, and never counts as passed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .columns import aligned
from .errors import Problem
from .names import QualifiedName, parse

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass(frozen=True)
class Check:
    """One question and its answer; `way` is direct, pooled or structure."""

    way: str
    object: str
    question: str
    status: str
    detail: str = ""


@dataclass(frozen=True)
class Subject:
    """One protected table: whose a row is, and which two tenants stand for all (chosen by their rows where not given)."""

    position: str
    table: QualifiedName
    owner_column: str
    admin_role: str = ""
    tenants: tuple[str, ...] = ()


def subjects(items: Sequence[Mapping[str, Any]], schema: str) -> tuple[tuple[Subject, ...], tuple[Problem, ...]]:
    """Turn the module's list into values, with every problem found."""
    found, problems = [], []
    for number, item in enumerate(items):
        position = f"tables[{number}]"
        where = f"{position} ({item.get('name')})"
        tenants = tuple(str(value) for value in item.get("tenants") or ())
        try:
            table = parse(str(item["name"]), schema)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        if tenants and (len(tenants) != 2 or tenants[0] == tenants[1]):
            problems.append(Problem(where, "tenants: give two that differ, or none"))
        found.append(Subject(position, table, str(item["owner_column"]), str(item.get("admin_role") or ""), tenants))
    return tuple(found), tuple(problems)


def expected(way: str, name: str, question: str, value: object, wanted: object) -> Check:
    """Return a check that passes when a value is what it must be."""
    if value == wanted:
        return Check(way, name, question, PASSED, f"{value}")
    return Check(way, name, question, FAILED, f"{value}, and must be {wanted}")


def names_it(source: str, relation: str) -> bool:
    """Say whether the text of a function names a relation, however it is spelt."""
    return re.search(rf"(?<![\w$]){re.escape(relation.lower())}(?![\w$])", source.lower()) is not None


def bad(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Return the checks that failed or did not run."""
    return tuple(check for check in checks if check.status != PASSED)


def unproven(subjects_: Sequence[Subject], checks: Sequence[Check], *, pooled: bool) -> tuple[Check, ...]:
    """Return a check that did not run for each table that nothing was asked about: silence is no proof."""
    ways = ("direct", "pooled") if pooled else ("direct",)
    asked = {(check.way, check.object) for check in checks}
    return tuple(
        Check(way, str(subject.table), "anything", NOT_RUN, "no check ran for this table")
        for subject in subjects_
        for way in ways
        if (way, str(subject.table)) not in asked
    )


def table(checks: Sequence[Check]) -> str:
    """Return the checks as a text table, the bad ones first."""
    rows = [(check.status, check.way, check.object, check.question, check.detail) for check in checks]
    rows.sort(key=lambda row: (row[0] == PASSED, row[2], row[1]))
    header = ("status", "way", "object", "question", "answer")
    return "\n".join(aligned([header, *rows]))


def summary(checks: Sequence[Check], probes: int) -> str:
    """Return what came of it in one line."""
    wrong = bad(checks)
    tables = len({check.object for check in checks})
    random = f", {probes} random probes" if probes else ""
    if not wrong:
        return f"isolation proven: {len(checks)} checks on {tables} objects{random}, none failed"
    failed = sum(check.status == FAILED for check in wrong)
    return f"isolation NOT proven: {failed} checks failed and {len(wrong) - failed} could not run, of {len(checks)}{random}"
