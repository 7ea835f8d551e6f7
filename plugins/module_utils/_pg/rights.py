# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the role of a session may do what a plan says, asked for all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._core.plan import Change
from .._core.rights import DROP, MAKE, NAME, OWN_BELOW, Lack, needs, refusal
from .connection import rows

# what is not there yet is about to be made
_LACKING = """
WITH RECURSIVE wanted AS (
    SELECT n.oid AS schema, n.nspname, n.nspowner, c.oid AS relation, u.need
    FROM unnest(%(schemas)s::text[], %(names)s::text[], %(needs)s::text[]) AS u(schema_name, relation_name, need)
    JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema_name
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.relation_name AND u.need <> %(make)s
), below AS (
    SELECT relation FROM wanted WHERE need = %(below)s
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below b ON b.relation = i.inhparent
), owned AS (
    SELECT relation FROM below
    UNION SELECT relation FROM wanted WHERE need <> %(drop)s OR NOT pg_catalog.pg_has_role(nspowner, 'USAGE')
)
SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT relation FROM owned) AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
UNION
SELECT nspname, '', ''
FROM wanted
WHERE (need = %(name)s OR relation IS NULL) AND NOT pg_catalog.has_schema_privilege(schema, 'CREATE')
ORDER BY 1, 2
"""


def lacking(connection: Any, changes: Sequence[Change]) -> str:
    """Return what this session's role may not do of the changes, as a sentence; empty where it may do all."""
    wanted = needs(changes)
    told = {
        "schemas": [name.schema for name, _ in wanted],
        "names": [name.name for name, _ in wanted],
        "needs": [need for _, need in wanted],
        "make": MAKE,
        "below": OWN_BELOW,
        "drop": DROP,
        "name": NAME,
    }
    found = rows(connection, _LACKING, told)
    ((role,),) = rows(connection, "SELECT current_user")
    return refusal(role, [Lack(*row) for row in found])
