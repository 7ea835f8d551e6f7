# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes in SQL: how they are read, tried, and what each step of a plan says to the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .._core.index import KIND, Form, Heir, ObservedIndex, Step, retired_name
from .._core.index_spec import Index, IndexColumn
from .._core.names import QualifiedName, literal, quote, reference
from .._core.plan import Change
from .canonical import Trial, enclosed
from .connection import rows
from .ledger import forget, remember
from .tables import OUTSIDE

_INDEXES = """
SELECT n.nspname, t.relname, c.relname, pg_catalog.pg_get_indexdef(c.oid), i.indisunique, coalesce(s.spcname, ''),
       i.indisvalid, coalesce(p.pid, CASE WHEN NOT i.indisvalid THEN b.pid END, 0), coalesce(k.conname, ''), f.names, i.indisreplident, i.indisclustered,
       x.targets, coalesce(d.description, ''), un.nspname, uc.relname, c.reloptions
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
LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = i.indexrelid
LEFT JOIN pg_catalog.pg_class uc ON uc.oid = h.inhparent
LEFT JOIN pg_catalog.pg_namespace un ON un.oid = uc.relnamespace
LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.index_relid = i.indexrelid
-- another role's build, of which is seen no more than that it is under way: any invalid index may be its
CROSS JOIN (SELECT min(pid) AS pid FROM pg_catalog.pg_stat_progress_create_index
            WHERE datname = pg_catalog.current_database() AND relid IS NULL) b
WHERE t.relpersistence <> 't' AND t.relkind IN ('r', 'p', 'm') AND """
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
        identity, clustered, targets, comment, parent_schema, parent, storage = row[10:]
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
        )
        found[made.key] = made
    return found


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
    # forgotten first: a run that dies between the two must not find later that somebody else dropped it
    return (forget(KIND, step.table, step.target), gone) if step.recorded else (gone,)


def _drop_tree(step: Step) -> tuple[str, ...]:
    return (f"DROP INDEX {_at(step.table, step.target)}", forget(KIND, step.table, step.target))


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
    aside = f"ALTER INDEX {_at(step.table, step.target)} RENAME TO {quote(retired_name(step.table, step.target))}"
    assert step.old
    return (aside, _renaming(step), *_noted(step), *_inherited(step.index, Heir(step.table, step.target, step.old)))


def _swap_tree(step: Step) -> tuple[str, ...]:
    assert step.old
    heirs = (Heir(step.table, step.target, step.old), *step.heirs)
    handed_on = [statement for heir in heirs for statement in _inherited(step.index, heir)]
    return (f"DROP INDEX {_at(step.table, step.target)}", _renaming(step), *_noted(step), *handed_on)


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
    expressions = {number for number, column in enumerate(index.columns, 1) if column.expression}
    statements += [
        f"ALTER INDEX {_at(heir.table, heir.name)} ALTER COLUMN {number} SET STATISTICS {target}"
        for number, target in old.statistics
        if number in expressions
    ]
    return tuple(statements)


_RENDERERS: Mapping[str, Callable[[Step], tuple[str, ...]]] = {
    "build": _build,
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
