# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the triggers and logs of module audit: known by the mark in a comment, whatever the schema is called."""

from __future__ import annotations

from typing import Any

from .._core.lint_security_values import Audit, AuditPartition, AuditTrigger
from .._core.names import QualifiedName
from .._core.plan import MARKER
from .connection import rows
from .ledger import noted
from .tables import OUTSIDE

KIND = "audit"
_MARKED = f"""
marked AS (
    SELECT d.classoid, d.objoid FROM pg_catalog.pg_description d
    WHERE d.objsubid = 0 AND pg_catalog.right(d.description, {len(MARKER + KIND)}) = '{MARKER}{KIND}'),
functions AS (
    SELECT p.oid, p.pronamespace FROM pg_catalog.pg_proc p
    JOIN marked m ON m.objoid = p.oid AND m.classoid = 'pg_catalog.pg_proc'::regclass
    WHERE p.prorettype = 'pg_catalog.trigger'::regtype)
"""
# what a partition has from its parent counts as internal before PostgreSQL 15
_TRIGGERS = f"""
WITH {_MARKED}
SELECT n.nspname, t.relname, g.tgname, g.tgenabled::text, g.tgparentid <> 0
FROM pg_catalog.pg_trigger g
JOIN functions f ON f.oid = g.tgfoid
JOIN pg_catalog.pg_class t ON t.oid = g.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE t.relpersistence <> 't' AND {OUTSIDE}
"""
# A log bears the mark itself, or is called log and lies beside the function; its key is a point in time. Its schema may be
# the collection's own, so OUTSIDE does not hold here.
_LOGS = f"""
WITH {_MARKED}
SELECT n.nspname, t.relname, cn.nspname, c.relname, pg_catalog.pg_relation_size(c.oid), b.bound = 'DEFAULT',
       greatest(substring(b.bound FROM 'FROM [(]''([^'']+)''[)]')::timestamptz::date, date '0001-01-01'),
       least(substring(b.bound FROM 'TO [(]''([^'']+)''[)]')::timestamptz::date, date '9999-12-31')
FROM pg_catalog.pg_partitioned_table k
JOIN pg_catalog.pg_class t ON t.oid = k.partrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.partattrs[0] AND a.atttypid IN (1082, 1114, 1184)
LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
LEFT JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition
LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
LEFT JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid)) AS b(bound) ON true
WHERE k.partstrat = 'r' AND k.partnatts = 1 AND t.relpersistence <> 't'
  AND (EXISTS (SELECT FROM marked m WHERE m.objoid = t.oid AND m.classoid = 'pg_catalog.pg_class'::regclass)
       OR t.relname = 'log' AND t.relnamespace IN (SELECT f.pronamespace FROM functions f))
ORDER BY 1, 2, 3, 4
"""


def read_audit(connection: Any) -> Audit:
    """Return what the catalogue and the collection's notes say of audits."""
    tables = noted(connection, KIND)
    return Audit(
        triggers=tuple(
            AuditTrigger(QualifiedName(schema, table), name, enabled, inherited)
            for schema, table, name, enabled, inherited in rows(connection, _TRIGGERS)
        ),
        logs=read_logs(connection),
        noted=tables or frozenset(),
        notes_unread=tables is None,
    )


def read_logs(connection: Any) -> dict[QualifiedName, tuple[AuditPartition, ...]]:
    """Return the logs of audits with their partitions."""
    found: dict[QualifiedName, list[AuditPartition]] = {}
    for schema, log, part_schema, part, size, default, lower, upper in rows(connection, _LOGS):
        partitions = found.setdefault(QualifiedName(schema, log), [])
        if part:
            partitions.append(AuditPartition(QualifiedName(part_schema, part), lower, upper, default, size))
    return {log: tuple(partitions) for log, partitions in found.items()}
