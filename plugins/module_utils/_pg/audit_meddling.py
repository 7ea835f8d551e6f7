# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What others put on an audit log, by which entries are silenced, forged or broken; and who is above its rights."""

from __future__ import annotations

from typing import Any

from .._core.audit_log import Meddling
from .connection import rows

# Each with what takes it away. What partitions have from their parent, or from a foreign key, is not looked at by itself.
_ON_THE_LOG = """
WITH part AS (
    SELECT c.oid, c.relowner, c.relrowsecurity, format('%%I.%%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = %(log)s OR c.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(%(log)s) p))
SELECT format('trigger %%I on %%s', g.tgname, p.name), format('DROP TRIGGER %%I ON %%s', g.tgname, p.name)
FROM part p JOIN pg_catalog.pg_trigger g ON g.tgrelid = p.oid AND g.tgparentid = 0 AND NOT g.tgisinternal
UNION ALL
SELECT format('rule %%I on %%s', r.rulename, p.name), format('DROP RULE %%I ON %%s', r.rulename, p.name)
FROM part p JOIN pg_catalog.pg_rewrite r ON r.ev_class = p.oid
UNION ALL
SELECT format('row security of %%s', p.name), format('ALTER TABLE %%s DISABLE ROW LEVEL SECURITY', p.name)
FROM part p WHERE p.relrowsecurity
UNION ALL
SELECT format('%%I, whom %%s belongs to,', pg_catalog.pg_get_userbyid(p.relowner), p.name),
       format('ALTER TABLE %%s OWNER TO %%I', p.name, %(owner)s::text)
FROM part p WHERE pg_catalog.pg_get_userbyid(p.relowner) <> %(owner)s
UNION ALL
SELECT format('%%I, whom schema %%I belongs to,', pg_catalog.pg_get_userbyid(n.nspowner), n.nspname),
       format('ALTER SCHEMA %%I OWNER TO %%I', n.nspname, %(owner)s::text)
FROM pg_catalog.pg_namespace n
WHERE n.nspname = %(schema)s AND pg_catalog.pg_get_userbyid(n.nspowner) <> %(owner)s
ORDER BY 1
"""
_MASTERS = """
SELECT r.rolname, p.rolname
FROM pg_catalog.pg_roles p
JOIN pg_catalog.pg_roles r ON pg_catalog.pg_has_role(r.oid, p.oid, 'MEMBER')
WHERE p.rolname IN ('pg_read_all_data', 'pg_write_all_data') AND NOT r.rolsuper AND left(r.rolname, 3) <> 'pg_'
ORDER BY 1, 2
"""


def read_meddling(connection: Any, schema: str, log: int, owner: str) -> tuple[Meddling, ...]:
    """Return what is on a log (its oid, 0 where there is none yet) or its schema and not its owner's."""
    told = {"schema": schema, "log": log, "owner": owner}
    return tuple(Meddling(what, remedy) for what, remedy in rows(connection, _ON_THE_LOG, told))


def read_masters(connection: Any) -> tuple[tuple[str, str], ...]:
    """Return the members of the roles that may read or write every table, no superusers: (role, of which)."""
    return tuple((role, right) for role, right in rows(connection, _MASTERS))
