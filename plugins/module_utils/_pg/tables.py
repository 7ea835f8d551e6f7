# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One reading of all relations of a database that are not PostgreSQL's own."""

from __future__ import annotations

from typing import Any

from .._core.names import QualifiedName, literal
from .._core.relation import Table
from .connection import rows

# The collection's own book-keeping is nobody's schema, nor is that of an audit log, whatever its name.
OUTSIDE = r"""n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'pgstead')
  AND n.nspname !~ '^pg_(toast_)?temp_'
  AND n.oid NOT IN (SELECT own.objoid FROM pg_catalog.pg_description own
                    WHERE own.classoid = 'pg_catalog.pg_namespace'::regclass
                      AND own.description ~ '(^|\n)managed by pgstead\.ops\.audit$')"""

_TABLES = """
SELECT n.nspname, c.relname, c.relkind::text, r.rolname, pn.nspname, pc.relname,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END,
       CASE WHEN c.relkind = 'p' THEN
            ARRAY(SELECT coalesce(a.attname, '(expression)')
                  FROM pg_catalog.pg_partitioned_table k
                  CROSS JOIN LATERAL unnest(k.partattrs::int2[]) WITH ORDINALITY AS u(attnum, place)
                  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = k.partrelid AND a.attnum = u.attnum
                                                     AND u.attnum > 0
                  WHERE k.partrelid = c.oid ORDER BY u.place) END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
LEFT JOIN pg_catalog.pg_inherits i ON c.relispartition AND i.inhrelid = c.oid
LEFT JOIN pg_catalog.pg_class pc ON pc.oid = i.inhparent
LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.relpersistence <> 't' AND """
_NAMES = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE """


def read_tables(connection: Any, where: str = OUTSIDE) -> dict[QualifiedName, Table]:
    """Return every table, view and materialised view by name; `where` says in which schemas (n)."""
    found = {}
    for schema, name, kind, owner, parent_schema, parent, size, key in rows(connection, _TABLES + where):
        if size is None:
            continue  # dropped while the catalogue was read
        qualified = QualifiedName(schema, name)
        above = QualifiedName(parent_schema, parent) if parent else None
        found[qualified] = Table(qualified, kind, owner, parent=above, bytes=size, partition_columns=tuple(key or ()))
    return found


def within(schema: str) -> str:
    """Return what limits a reading to one schema."""
    return f"n.nspname = {literal(schema)}"


def read_names(connection: Any, where: str = OUTSIDE) -> frozenset[QualifiedName]:
    """Return every name that a relation has, indexes and sequences included."""
    return frozenset(QualifiedName(schema, name) for schema, name in rows(connection, _NAMES + where))
