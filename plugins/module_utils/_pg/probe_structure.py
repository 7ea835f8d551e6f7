# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What behaviour cannot show about row security: ways around it that the application has not gone yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .._core.names import QualifiedName, quote
from .._core.probe import FAILED, PASSED, Check, Subject
from .connection import rows
from .probe_reach import becomes, functions, relatives
from .row_security import bypassing, read_policies

# row security does not hold these at all: a trigger's function sees the rows of everybody who writes
_UNHELD = """
SELECT p FROM unnest(ARRAY['TRUNCATE', 'TRIGGER']) p WHERE pg_catalog.has_table_privilege(%s, %s::regclass, p)
"""


def structure(connection: Any, role: str, subjects: Sequence[Subject], trusted_functions: Sequence[str]) -> list[Check]:
    """Return what stands in the catalogue: security on and forced, nobody past it, no other way to the rows."""
    there = read_policies(connection)
    checks: list[Check] = []
    tables = dict.fromkeys(subject.table for subject in subjects)
    for subject in subjects:
        name, found = str(subject.table), there.get(subject.table)
        for question, holds in (
            ("row security is enabled", found is not None and found.enabled),
            ("row security is forced on the owner", found is not None and found.forced),
            ("a permissive policy exists", found is not None and any(p.form.permissive for p in found.policies)),
        ):
            checks.append(Check("structure", name, question, PASSED if holds else FAILED, "" if holds else "no"))
        checks.append(_unheld(connection, role, subject.table))
        for function, owner, of_trigger in functions(connection, role, subject):
            if function not in trusted_functions:
                how = "and a trigger calls it" if of_trigger else "who may call it"
                detail = f"{function} runs as {owner}, whom row security does not hold as it holds {role}, {how}"
                checks.append(Check("structure", name, "no function leads around it", FAILED, detail))
        checks.append(_becoming(connection, role, subject))
        for one in relatives(connection, role, subject):
            if one.table not in tables:
                checks.append(_relative(one.table, one.why, role, subject))
                checks.append(_unheld(connection, role, one.table))
                tables[one.table] = None
    return [*checks, *_around(connection, role, tables)]


def _becoming(connection: Any, role: str, subject: Subject) -> Check:
    further = [f"{other} on {relation}" for other, relation in becomes(connection, role, subject)]
    detail = (
        f"{role} may become (SET ROLE) another with rights or policies of its own, about which nothing was asked: "
        f"{', '.join(further)}; take the membership away, or probe as that role too"
    )
    question = f"{role} becomes nobody who goes further"
    return Check("structure", str(subject.table), question, FAILED if further else PASSED, detail if further else "")


def _relative(table: QualifiedName, why: str, role: str, subject: Subject) -> Check:
    detail = f"{table} {why}, and {role} has rights on it" if why else ""
    question = f"no way past {subject.table} by its own name"
    return Check("structure", str(table), question, FAILED if why else PASSED, detail)


def _unheld(connection: Any, role: str, table: QualifiedName) -> Check:
    held = [right for (right,) in rows(connection, _UNHELD, (role, table.sql))]
    detail = f"{role} has {' and '.join(held)}, which row security does not hold" if held else ""
    return Check("structure", str(table), "no TRUNCATE, no TRIGGER", FAILED if held else PASSED, detail)


def _around(connection: Any, role: str, tables: Iterable[QualifiedName]) -> list[Check]:
    """One check for each table: the role is nobody whom its row security does not hold, nor can it become one."""
    around = {bypass.table: bypass.why for bypass in bypassing(connection, [role], list(tables))}
    checks = []
    for table in tables:
        why = around.get(table, "")
        detail = f"{role} {why}" if why else ""
        status = FAILED if why else PASSED
        checks.append(Check("structure", str(table), f"{quote(role)} cannot go around it", status, detail))
    return checks
