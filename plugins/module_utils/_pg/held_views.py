# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Materialised views that row security keeps empty: whoever they are filled as sees nothing of a table that they are made of."""

from __future__ import annotations

from typing import Any

from .._core.names import QualifiedName
from .connection import rows

# A view reads as its owner, one with security_invoker as whoever reads it; the server fills as the materialised view's owner.
_HELD = """
WITH RECURSIVE reads(top, relation, as_role) AS (
    SELECT m.oid, m.oid, m.relowner FROM pg_catalog.pg_class m WHERE m.relkind = 'm'
    UNION
    SELECT r.top, d.refobjid, CASE WHEN coalesce((
        SELECT x.option_value::bool FROM pg_catalog.pg_options_to_table(v.reloptions) x
        WHERE x.option_name = 'security_invoker'), false) THEN r.as_role ELSE v.relowner END
    FROM reads r
    JOIN pg_catalog.pg_class v ON v.oid = r.relation AND (v.relkind = 'v' OR v.oid = r.top)
    JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
                               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid)
SELECT DISTINCT n.nspname, m.relname, tn.nspname, t.relname, o.rolname
FROM reads r
JOIN pg_catalog.pg_class m ON m.oid = r.top
JOIN pg_catalog.pg_namespace n ON n.oid = m.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = r.relation AND t.relkind IN ('r', 'p') AND t.relrowsecurity
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = r.as_role AND NOT o.rolsuper AND NOT o.rolbypassrls
WHERE (t.relforcerowsecurity OR NOT pg_catalog.pg_has_role(o.oid, t.relowner, 'USAGE'))
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_policy p
    WHERE p.polrelid = t.oid AND p.polpermissive AND p.polcmd IN ('*', 'r') AND (0 = ANY (p.polroles) OR EXISTS (
        SELECT FROM unnest(p.polroles) u(oid) WHERE pg_catalog.pg_has_role(o.oid, u.oid, 'USAGE'))))
ORDER BY 1, 2, 3, 4, 5
"""


def held_views(connection: Any) -> dict[QualifiedName, str]:
    """Return the materialised views that would be filled without any row of a table, each with why, and what to do."""
    found: dict[QualifiedName, str] = {}
    for schema, name, table_schema, table, role in rows(connection, _HELD):
        view, read = QualifiedName(schema, name), QualifiedName(table_schema, table)
        what = (
            f"no policy of {read} is for role {role}, as which {view} is filled: it would have none of the table's rows"
        )
        found.setdefault(view, f"{what}. Give {role} a policy for SELECT there, or have the view read something else")
    return found
