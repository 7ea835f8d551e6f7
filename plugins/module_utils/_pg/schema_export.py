# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read a database for its export: everything that the kinds observe, and indexes in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._core.foreign_key import uncovered
from .._core.names import QualifiedName
from .._core.schema_export import Export, Found, IndexParts, KeyParts, export, qualified
from .audit_read import read_readers, read_triggers
from .check_constraint import read_checks
from .connection import Target, connect, execute, rows
from .foreign_key import read_foreign_keys, read_serving
from .index import read_indexes
from .lint_audit import read_logs
from .row_security import called_per_row, read_contexts, read_policies
from .tables import OUTSIDE, read_tables
from .view import read_views

# An operator class is the default one unless another is that for the column's very type (citext among texts).
_KEYS = f"""
SELECT n.nspname, c.relname, k.place <= i.indnkeyatts, coalesce(a.attname, ''),
       CASE WHEN a.attname IS NULL THEN pg_catalog.pg_get_indexdef(c.oid, k.place::int, false) ELSE '' END,
       CASE WHEN o.oid IS NULL OR x.attoptions IS NULL AND o.opcdefault AND (o.opcintype = x.atttypid OR NOT EXISTS (
            SELECT FROM pg_catalog.pg_opclass d
            WHERE d.opcmethod = o.opcmethod AND d.opcdefault AND d.opcintype = coalesce(a.atttypid, x.atttypid)))
            THEN NULL ELSE ARRAY[os.nspname, o.opcname] END,
       coalesce(x.attoptions, ARRAY[]::text[]),
       CASE WHEN l.oid IS NULL OR l.oid = coalesce(a.attcollation, 100) THEN NULL ELSE ARRAY[ls.nspname, l.collname] END,
       coalesce(k.opt, 0) & 1 = 1, coalesce(k.opt, 0) & 2 = 2
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[], i.indoption::int2[])
     WITH ORDINALITY AS k(attnum, class, coll, opt, place)
JOIN pg_catalog.pg_attribute x ON x.attrelid = c.oid AND x.attnum = k.place
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
LEFT JOIN pg_catalog.pg_opclass o ON o.oid = k.class
LEFT JOIN pg_catalog.pg_namespace os ON os.oid = o.opcnamespace
LEFT JOIN pg_catalog.pg_collation l ON l.oid = k.coll
LEFT JOIN pg_catalog.pg_namespace ls ON ls.oid = l.collnamespace
WHERE {OUTSIDE}
ORDER BY c.oid, k.place
"""
_PARTS = f"""
SELECT n.nspname, c.relname, m.amname, coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''),
       coalesce(c.reloptions, ARRAY[]::text[]), {{nulls_not_distinct}}
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = c.relam
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE {OUTSIDE}
"""


def read_export(target: Target, schemas: Sequence[str], default_schema: str) -> Export:
    """Return the export of these schemas, or of all where none is named."""
    with connect(target) as connection:
        execute(connection, "SET search_path = ''; SET default_transaction_read_only = on")
        tables = read_tables(connection)
        indexes = read_indexes(connection)
        protected = read_policies(connection)
        found = Found(
            tables=tables,
            indexes=indexes,
            parts=read_parts(connection),
            checks=read_checks(connection),
            bare_foreign_keys=len(uncovered(read_foreign_keys(connection), read_serving(connection), frozenset())),
            views=read_views(connection),
            protected=protected,
            per_row=called_per_row(connection, protected.values()),
            contexts=read_contexts(connection),
            logs=frozenset(read_logs(connection)),
            audit_triggers=read_triggers(connection),
            audit_readers=read_readers(connection),
        )
    return export(found, schemas or sorted({name.schema for name in tables}), default_schema)


def read_parts(connection: Any) -> dict[QualifiedName, IndexParts]:
    """Return every index in parts."""
    keys: dict[QualifiedName, list[KeyParts]] = {}
    included: dict[QualifiedName, list[str]] = {}
    for schema, index, is_key, name, expression, opclass, options, collation, descending, nulls_first in rows(
        connection, _KEYS
    ):
        at = QualifiedName(schema, index)
        if not is_key:
            included.setdefault(at, []).append(name)
            continue
        part = KeyParts(
            name=name,
            expression=expression,
            opclass=qualified(*opclass) if opclass else "",
            opclass_parameters=tuple(options),
            collation=qualified(*collation) if collation else "",
            descending=descending,
            nulls_first=nulls_first,
        )
        keys.setdefault(at, []).append(part)
    distinct = "i.indnullsnotdistinct" if connection.server_version >= 150000 else "false"
    return {
        QualifiedName(schema, index): IndexParts(
            method=method,
            keys=tuple(keys[QualifiedName(schema, index)]),
            include=tuple(included.get(QualifiedName(schema, index), ())),
            predicate=predicate,
            nulls_not_distinct=not_distinct,
            storage=tuple(storage),
        )
        for schema, index, method, predicate, storage, not_distinct in rows(
            connection, _PARTS.format(nulls_not_distinct=distinct)
        )
    }
