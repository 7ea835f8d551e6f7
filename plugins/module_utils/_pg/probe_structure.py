# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What behaviour cannot show about row security: ways around it that the application has not gone yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._core.names import quote
from .._core.probe import FAILED, PASSED, Check, Subject
from .connection import rows
from .row_security import bypassing, read_policies

# functions that run with the rights of somebody whom row security does not hold, and name one of the tables
_FUNCTIONS = """
SELECT p.oid::regprocedure::text, o.rolname
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
JOIN pg_catalog.pg_class t ON t.oid = %s::regclass
WHERE p.prosecdef AND pg_catalog.has_function_privilege(%s, p.oid, 'EXECUTE')
  AND pg_catalog.has_schema_privilege(%s, p.pronamespace, 'USAGE')
  AND (o.rolsuper OR o.rolbypassrls OR pg_catalog.pg_has_role(o.oid, t.relowner, 'MEMBER') AND NOT t.relforcerowsecurity)
  AND (p.prosrc ~ ('\\y' || t.relname || '\\y') OR EXISTS (
       SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.refobjid = t.oid))
ORDER BY 1
"""


def structure(connection: Any, role: str, subjects: Sequence[Subject], trusted_functions: Sequence[str]) -> list[Check]:
    """Return what stands in the catalogue: security on and forced, nobody past it, no function around it."""
    there = read_policies(connection)
    checks: list[Check] = []
    for subject in subjects:
        name, found = str(subject.table), there.get(subject.table)
        for question, holds in (
            ("row security is enabled", found is not None and found.enabled),
            ("row security is forced on the owner", found is not None and found.forced),
            ("a permissive policy exists", found is not None and any(p.form.permissive for p in found.policies)),
        ):
            checks.append(Check("structure", name, question, PASSED if holds else FAILED, "" if holds else "no"))
        for function, owner in rows(connection, _FUNCTIONS, (subject.table.sql, role, role)):
            if function not in trusted_functions:
                detail = f"{function} runs as {owner}, whom row security does not hold, and {role} may call it"
                checks.append(Check("structure", name, "no function leads around it", FAILED, detail))
    around = {bypass.table: bypass.why for bypass in bypassing(connection, [role], [s.table for s in subjects])}
    for subject in subjects:
        why = around.get(subject.table, "")
        status = FAILED if why else PASSED
        detail = f"{role} {why}" if why else ""
        checks.append(Check("structure", str(subject.table), f"{quote(role)} cannot go around it", status, detail))
    return checks
