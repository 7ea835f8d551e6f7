# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes in SQL: how they are read, tried, and what each step of a plan says to the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._core.index import KIND, Form, Heir, ObservedIndex, Step, of_a_run, retired_name
from .._core.index_spec import Index, IndexColumn
from .._core.names import QualifiedName, literal, quote, reference
from .._core.plan import Change
from .canonical import Trial, enclosed
from .connection import rows
from .ledger import forget, remember
from .tables import OUTSIDE

_INDEXES = """
SELECT n.nspname, t.relname, c.relname, pg_catalog.pg_get_indexdef(c.oid), i.indisunique, coalesce(s.spcname, ''),
       i.indisvalid, coalesce(p.pid, h.pid, 0), coalesce(k.conname, ''), f.names,
       i.indisreplident AND i.indisvalid, i.indisclustered,
       x.targets, coalesce(d.description, ''), un.nspname, uc.relname, c.reloptions, i.indimmediate
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
LEFT JOIN (SELECT conindid, array_agg(conname::text ORDER BY conname) AS names FROM pg_catalog.pg_constraint
           WHERE contype = 'f' GROUP BY conindid) f ON f.conindid = i.indexrelid
LEFT JOIN LATERAL (SELECT array_agg(a.attnum::int ORDER BY a.attnum) || array_agg(a.attstattarget::int ORDER BY a.attnum)
                          AS targets FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = i.indexrelid AND a.attnum > 0 AND a.attstattarget >= 0) x ON true
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass
                                     AND d.objsubid = 0
LEFT JOIN pg_catalog.pg_inherits u ON u.inhrelid = i.indexrelid
LEFT JOIN pg_catalog.pg_class uc ON uc.oid = u.inhparent
LEFT JOIN pg_catalog.pg_namespace un ON un.oid = uc.relnamespace
LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.index_relid = i.indexrelid
-- a build, or REINDEX CONCURRENTLY, holds its table to the end, and anybody may see that (autovacuum has no user)
LEFT JOIN (SELECT l.relation, min(l.pid) AS pid
           FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
           WHERE l.locktype = 'relation' AND l.granted AND a.usesysid IS NOT NULL AND l.pid <> pg_catalog.pg_backend_pid()
             AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
             AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                            'AccessExclusiveLock')
           GROUP BY 1) h ON h.relation = i.indrelid AND NOT i.indisvalid
WHERE t.relpersistence <> 't' AND t.relkind IN ('r', 'p', 'm') AND """
_ANALYSED = "SELECT schemaname, tablename FROM pg_catalog.pg_stats WHERE left(tablename, 8) = 'pgstead_'"
_NULLABLE = """
SELECT n.nspname, t.relname, a.attname
FROM pg_catalog.pg_class t
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.attnotnull
WHERE t.relreplident = 'i' AND t.relpersistence <> 't' AND """
_TRIED = """
SELECT c.relname, n.nspname, t.relname, pg_catalog.pg_get_indexdef(c.oid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relname = ANY(%s)
"""

_DEFAULT_TABLESPACE = """
SELECT s.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace s ON s.oid = d.dattablespace
WHERE d.datname = pg_catalog.current_database()
"""


def default_tablespace(connection: Any) -> str:
    """Return the database's own tablespace, which the catalogue does not name at what lies there."""
    ((name,),) = rows(connection, _DEFAULT_TABLESPACE)
    return str(name)


def read_indexes(connection: Any, where: str = OUTSIDE) -> dict[QualifiedName, ObservedIndex]:
    """Return every index of the database that is not PostgreSQL's own; `where` says in which schemas (n)."""
    found = {}
    for row in rows(connection, _INDEXES + where):
        schema, table, name, definition, unique, tablespace, valid, builder, constraint, foreign = row[:10]
        identity, clustered, targets, comment, parent_schema, parent, storage, immediate = row[10:]
        text = _in_order(_definition(definition, name, [schema], table), storage or ())
        half = len(targets or ()) // 2
        made = ObservedIndex(
            table=QualifiedName(schema, table),
            name=name,
            form=Form(text, unique, tablespace),
            valid=valid,
            builder=builder,
            constraint=constraint,
            referenced_by=tuple(foreign or ()),
            replica_identity=identity,
            clustered=clustered,
            statistics=tuple(zip(targets[:half], targets[half:], strict=True)) if targets else (),
            comment=comment,
            parent=QualifiedName(parent_schema, parent) if parent else None,
            immediate=immediate,
        )
        found[made.key] = made
    if any(of_a_run(key.name) for key in found):
        analysed = {QualifiedName(*row) for row in rows(connection, _ANALYSED)}
        found |= {key: replace(found[key], analysed=True) for key in analysed & found.keys()}
    return found


def read_nullable(connection: Any) -> frozenset[tuple[QualifiedName, str]]:
    """Return the columns that may be NULL, of tables whose replica identity is an index."""
    found = rows(connection, _NULLABLE + OUTSIDE)
    return frozenset((QualifiedName(schema, table), column) for schema, table, column in found)


def _definition(text: str, name: str, schemas: Iterable[str], table: str) -> str:
    """Return what pg_get_indexdef() says from USING on; the names before it are known, so nothing is searched for."""
    for unique in ("", "UNIQUE "):
        for only in ("", "ONLY "):
            for place in (*(f"{quote(schema)}.{quote(table)}" for schema in schemas), quote(table)):
                head = f"CREATE {unique}INDEX {quote(name)} ON {only}{place} "
                if text.startswith(head + "USING "):
                    return text[len(head) :]
    # an older server leaves keywords bare that quote() does not, and one told so (quote_all_identifiers) nothing
    places = [f"(?:{_spelt(schema)}\\.)?{_spelt(table)}" for schema in schemas]
    found = re.match(rf"CREATE (?:UNIQUE )?INDEX {_spelt(name)} ON (?:ONLY )?(?:{'|'.join(places)}) (?=USING )", text)
    return text[found.end() :] if found else text


def _spelt(name: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return f"(?:{re.escape(quoted)}|{re.escape(name)})"


def _in_order(text: str, storage: Sequence[str]) -> str:
    """Return a definition with its storage parameters by name: their order means nothing."""
    written = [
        f"{quote(name)}={value if quote(value) == value else literal(value)}"
        for name, _, value in (pair.partition("=") for pair in storage)
    ]
    return text.replace(f" WITH ({', '.join(written)})", f" WITH ({', '.join(sorted(written))})", 1)


def read_tried(connection: Any, names: Sequence[str]) -> Mapping[str, str]:
    """Return the definitions of trial indexes."""
    return {
        name: _definition(text, name, [schema, "pg_temp"], table)
        for name, schema, table, text in rows(connection, _TRIED, (list(names),))
    }


def trial(index: Index) -> Trial:
    """Return the trial of a declared index."""
    text, unique = definition(index, index.tablespace), "UNIQUE " if index.unique else ""
    return Trial(index.table, lambda copy, name: f"CREATE {unique}INDEX {name} ON {copy} {text}")


def text_trial(table: QualifiedName, text: str) -> Trial:
    """Return the trial of a definition that a server has given."""
    return Trial(table, lambda copy, name: f"CREATE INDEX {name} ON {copy} {text}")


def definition(index: Index, tablespace: str = "") -> str:
    """Return a declared index as SQL from USING on; that of a plain one is word for word what the server deparses.

    The server never says the tablespace.
    """
    parts = [f"USING {quote(index.method)} ({', '.join(_column(column) for column in index.columns)})"]
    if index.include:
        parts.append(f"INCLUDE ({', '.join(quote(name) for name in index.include)})")
    if index.nulls_not_distinct:
        parts.append("NULLS NOT DISTINCT")
    if index.storage:
        parts.append(f"WITH ({parameters(index.storage)})")
    if tablespace:
        parts.append(f"TABLESPACE {quote(tablespace)}")
    if index.predicate:
        parts.append(f"WHERE {enclosed(index.predicate)}")
    return " ".join(parts)


def parameters(pairs: Sequence[tuple[str, str]]) -> str:
    """Return storage parameters, or options of the like, as SQL between parentheses has them."""
    return ", ".join(f"{'.'.join(map(quote, name.split('.')))}={literal(value)}" for name, value in pairs)


def _column(column: IndexColumn) -> str:
    text = quote(column.name) if column.name else enclosed(column.expression)
    if column.collation:
        text += f" COLLATE {reference(column.collation, dotted=False)}"
    if column.opclass:
        text += f" {reference(column.opclass, dotted=True)}"
    if column.opclass_parameters:
        text += f" ({parameters(column.opclass_parameters)})"
    if column.descending:
        text += " DESC"
    return text + (f" NULLS {column.nulls.upper()}" if column.nulls else "")


def render(change: Change) -> tuple[str, ...]:
    """Return the statements of one change, in order."""
    return _RENDERERS[change.action](change.subject)


def _build(step: Step) -> tuple[str, ...]:
    return (f"{_create(step)} CONCURRENTLY {quote(step.target)} ON {step.table.sql} {_rest(step)}",)


def _create_only(step: Step) -> tuple[str, ...]:
    made = (f"{_create(step)} {quote(step.target)} ON ONLY {step.table.sql} {_rest(step)}", *_noted(step))
    return (*made, _attachment(step, step.parent)) if step.parent else made


def _drop(step: Step) -> tuple[str, ...]:
    gone = f"DROP INDEX CONCURRENTLY IF EXISTS {_at(step.table, step.target)}"
    as_planned = _same_identity(step.table, step.target)
    # forgotten first: a run that dies between the two must not find later that somebody else dropped it
    return (as_planned, forget(KIND, step.table, step.target), gone) if step.recorded else (as_planned, gone)


def _drop_tree(step: Step) -> tuple[str, ...]:
    gone = f"DROP INDEX {_at(step.table, step.target)}"
    return (_held(step.table), _same_identity(step.table, step.target), gone, forget(KIND, step.table, step.target))


def _adopt(step: Step) -> tuple[str, ...]:
    return (_renaming(step), *_noted(step))


def _rename(step: Step) -> tuple[str, ...]:
    return (*_adopt(step), forget(KIND, step.table, step.source))


def _attach(step: Step) -> tuple[str, ...]:
    assert step.parent
    named = (_renaming(step), _comment(step)) if step.source != step.target else ()
    return (*named, _attachment(step, step.parent))


def _attachment(step: Step, parent: QualifiedName) -> str:
    return f"ALTER INDEX {parent.sql} ATTACH PARTITION {_at(step.table, step.target)}"


def _swap(step: Step) -> tuple[str, ...]:
    """The old index is put aside under the name that the next step drops."""
    assert step.old
    heir, retired = Heir(step.table, step.target, step.old), retired_name(step.table, step.target)
    aside = f"ALTER INDEX {_at(step.table, step.target)} RENAME TO {quote(retired)}"
    # asked under the lock of the renaming, which whoever sets a replica identity has to wait for
    as_planned = _same_identity(step.table, retired, [heir])
    return (aside, as_planned, _renaming(step), *_noted(step), *_inherited(step.index, heir))


def _swap_tree(step: Step) -> tuple[str, ...]:
    assert step.old
    heirs = (Heir(step.table, step.target, step.old), *step.heirs)
    handed_on = [statement for heir in heirs for statement in _inherited(step.index, heir)]
    before = (_held(step.table), _same_identity(step.table, step.target, heirs))
    return (*before, f"DROP INDEX {_at(step.table, step.target)}", _renaming(step), *_noted(step), *handed_on)


def _analyze(step: Step) -> tuple[str, ...]:
    """Statistics of a build, as fine as those of the index that it replaces."""
    assert step.index
    targets = _targets(step.index, Heir(step.table, step.target, step.old)) if step.old else ()
    return (*targets, f"ANALYZE {step.table.sql}")


def _held(table: QualifiedName) -> str:
    """Lock a table and its partitions as the drop of an index of theirs does, to look at them first."""
    return f"LOCK TABLE {table.sql} IN ACCESS EXCLUSIVE MODE"


def _same_identity(table: QualifiedName, name: str, planned: Sequence[Heir] = ()) -> str:
    """Refuse to go on where another index of a tree (or the one) is a replica identity than when this was planned: without
    it, logical replication refuses every UPDATE and DELETE.
    """
    top = f"pg_catalog.to_regclass({literal(_at(table, name))})"
    tree = f"SELECT {top}::oid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree({top}) t"
    found = (
        "(SELECT array_agg(i.indrelid ORDER BY i.indrelid) FROM pg_catalog.pg_index i "
        f"WHERE i.indisreplident AND i.indisvalid AND i.indexrelid IN ({tree}))"
    )
    names = ", ".join(literal(heir.table.sql) for heir in planned if heir.old.replica_identity)
    tables = f"pg_catalog.unnest(ARRAY[{names}]::pg_catalog.regclass[])"
    wanted = f"(SELECT array_agg(t::oid ORDER BY t::oid) FROM {tables} t)" if names else "NULL"
    said = literal(f"the replica identity of {table} was changed since this was planned: run again")
    raised = f"RAISE EXCEPTION USING MESSAGE = {said}"
    body = f"BEGIN IF {found} IS DISTINCT FROM {wanted} THEN {raised}; END IF; END"
    return f"DO {literal(body)}" if "$pgstead$" in body else f"DO $pgstead$ {body} $pgstead$"


def _at(table: QualifiedName, name: str) -> str:
    return QualifiedName(table.schema, name).sql


def _create(step: Step) -> str:
    assert step.index
    return "CREATE UNIQUE INDEX" if step.index.unique else "CREATE INDEX"


def _renaming(step: Step) -> str:
    return f"ALTER INDEX {_at(step.table, step.source)} RENAME TO {quote(step.target)}"


def _rest(step: Step) -> str:
    """Return everything from USING on."""
    assert step.index
    return definition(step.index, step.index.tablespace)


def _comment(step: Step) -> str:
    return f"COMMENT ON INDEX {_at(step.table, step.target)} IS {literal(step.comment)}"


def _noted(step: Step) -> tuple[str, ...]:
    return (_comment(step), remember(KIND, step.table, step.target)) if step.recorded else (_comment(step),)


def _inherited(index: Index | None, heir: Heir) -> tuple[str, ...]:
    """Hand on what hangs on an index besides its definition: replica identity, CLUSTER mark, statistics targets."""
    assert index
    name, old = quote(heir.name), heir.old
    statements = []
    if old.replica_identity:
        statements.append(f"ALTER TABLE {heir.table.sql} REPLICA IDENTITY USING INDEX {name}")
    if old.clustered and index.method in ("btree", "gist") and not index.predicate:
        statements.append(f"ALTER TABLE {heir.table.sql} CLUSTER ON {name}")
    return (*statements, *_targets(index, heir))


def _targets(index: Index, heir: Heir) -> tuple[str, ...]:
    expressions = {number for number, column in enumerate(index.columns, 1) if column.expression}
    return tuple(
        f"ALTER INDEX {_at(heir.table, heir.name)} ALTER COLUMN {number} SET STATISTICS {target}"
        for number, target in heir.old.statistics
        if number in expressions
    )


_RENDERERS: Mapping[str, Callable[[Step], tuple[str, ...]]] = {
    "build": _build,
    "analyze": _analyze,
    "create_only": _create_only,
    "drop": _drop,
    "drop_tree": _drop_tree,
    "comment": lambda step: (_comment(step),),
    "adopt": _adopt,
    "rename": _rename,
    "attach": _attach,
    "swap": _swap,
    "swap_tree": _swap_tree,
}
