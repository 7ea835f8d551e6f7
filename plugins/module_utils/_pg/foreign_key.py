# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Foreign keys and the indexes that could serve them, read at once."""

from __future__ import annotations

from typing import Any

from .._core.foreign_key import ForeignKey, IndexKeys
from .._core.names import QualifiedName
from .connection import rows
from .tables import OUTSIDE

# those that partitions have from their parent are the parent's; one that is not enforced (18) looks for nothing
_KEYS = f"""
SELECT n.nspname, t.relname, k.conname, k.conkey::int[],
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place),
       coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::bool, false)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::bool, true)
  AND t.relkind IN ('r', 'p') AND t.relpersistence <> 't' AND {OUTSIDE}
ORDER BY 1, 2, 3
"""
_SERVING = f"""
SELECT n.nspname, t.relname, c.relname, m.amname,
       -- a column in another order than the table's finds no value for it, and counts as little as an expression
       ARRAY(SELECT CASE WHEN a.attcollation <> u.collated THEN 0 ELSE u.attnum END
             FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]::int[], i.indcollation::oid[]) WITH ORDINALITY
                  AS u(attnum, collated, place)
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum <> 0
             WHERE u.attnum IS NOT NULL ORDER BY u.place)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = c.relam
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE i.indisvalid AND i.indpred IS NULL AND m.amname IN ('btree', 'hash', 'gist') AND t.relkind IN ('r', 'p') AND {OUTSIDE}
"""


def read_foreign_keys(connection: Any) -> tuple[ForeignKey, ...]:
    """Return every foreign key of the database's tables."""
    return tuple(
        ForeignKey(QualifiedName(schema, table), name, tuple(columns), tuple(numbers), temporal)
        for schema, table, name, numbers, columns, temporal in rows(connection, _KEYS)
    )


def read_serving(connection: Any) -> tuple[IndexKeys, ...]:
    """Return the indexes that could serve a foreign key."""
    return tuple(
        IndexKeys(QualifiedName(schema, table), name, method, tuple(numbers))
        for schema, table, name, method, numbers in rows(connection, _SERVING)
    )
