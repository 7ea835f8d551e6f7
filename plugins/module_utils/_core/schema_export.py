# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a database, as the items that the modules of this collection accept: applying them changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .check_constraint import ObservedCheck
from .foreign_key import OWNER as FOREIGN_KEY_OWNER
from .index import ObservedIndex
from .names import QualifiedName, quote
from .plan import owner_of, without_marker
from .relation import Tables, ancestors


@dataclass(frozen=True)
class KeyParts:
    """One key column of an index in parts; empty where it is PostgreSQL's default for the column."""

    name: str
    expression: str = ""
    opclass: str = ""
    opclass_parameters: tuple[str, ...] = ()  # name=value
    collation: str = ""
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True)
class IndexParts:
    """One index in parts."""

    method: str
    keys: tuple[KeyParts, ...]
    include: tuple[str, ...] = ()
    predicate: str = ""
    nulls_not_distinct: bool = False
    storage: tuple[str, ...] = ()  # name=value


@dataclass(frozen=True)
class Export:
    """Items by kind, and what is left out with the reason."""

    items: Mapping[str, Any]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What was read of a database."""

    tables: Tables
    indexes: Mapping[QualifiedName, ObservedIndex]
    parts: Mapping[QualifiedName, IndexParts]
    checks: Mapping[tuple[QualifiedName, str], ObservedCheck]
    bare_foreign_keys: int  # without an index


def export(found: Found, schemas: Sequence[str], default_schema: str) -> Export:
    """Return the items of these schemas, in the order of tables and names.

    Names in `default_schema` are written without it. Foreign keys are answered by `create` where every one has an index.
    """
    skipped: list[str] = []
    found_indexes = []
    for key, index in sorted(found.indexes.items()):
        if index.table.schema not in schemas or index.constraint or index.parent:
            continue
        reason = _why_not(index, found)
        if reason:
            skipped.append(f"index {key}: {reason}")
        elif owner_of(index.comment) != FOREIGN_KEY_OWNER:
            found_indexes.append(index_item(index, found.parts[key], default_schema))
    found_checks = []
    for (table, name), check in sorted(found.checks.items()):
        if table.schema not in schemas or check.inherited:
            continue
        if check.enforced:
            found_checks.append(check_item(check, default_schema))
        else:
            skipped.append(f"check constraint {name} on {table}: it is not enforced")
    items = {
        "indexes": found_indexes,
        "foreign_key_indexes": "report" if found.bare_foreign_keys else "create",
        "check_constraints": found_checks,
    }
    return Export(items, tuple(skipped))


def _why_not(index: ObservedIndex, found: Found) -> str:
    """Say why an index is not exported, or return an empty text."""
    if not index.valid:
        return "it is invalid"
    if index.name.startswith("pgstead_"):
        return "it is left over from an interrupted run"
    above = ancestors(index.table, found.tables)
    twin = next((o for o in found.indexes.values() if o.table in above and o.form == index.form), None)
    return f"the parent's {twin.key} is the same for every partition" if twin else ""


def _table(name: QualifiedName, default_schema: str) -> str:
    """Return a table's name as the inventory would have it."""
    text = str(name)
    return text.removeprefix(f"{default_schema}.") if name.schema == default_schema else text


def _pairs(options: Sequence[str]) -> dict[str, str]:
    return dict(option.split("=", 1) for option in options)


def index_item(index: ObservedIndex, parts: IndexParts, default_schema: str) -> dict[str, Any]:
    """Return one index as an item of module indexes; what is PostgreSQL's default is left out."""
    written = without_marker(index.comment)
    item: dict[str, Any] = {
        "table": _table(index.table, default_schema),
        "name": index.name,
        "columns": [_column(key) for key in parts.keys],
        "method": parts.method if parts.method != "btree" else "",
        "unique": index.form.unique,
        "nulls_not_distinct": parts.nulls_not_distinct,
        "include": list(parts.include),
        "where": parts.predicate,
        "storage_parameters": _pairs(parts.storage),
        "tablespace": index.form.tablespace,
        "comment": written,
    }
    return {name: value for name, value in item.items() if value}


def _column(key: KeyParts) -> str | dict[str, Any]:
    nulls = ("" if key.nulls_first else "last") if key.descending else ("first" if key.nulls_first else "")
    item: dict[str, Any] = {
        "column": key.name,
        "expression": key.expression,
        "opclass": key.opclass,
        "opclass_parameters": _pairs(key.opclass_parameters),
        "collation": key.collation,
        "order": "desc" if key.descending else "",
        "nulls": nulls,
    }
    found = {name: value for name, value in item.items() if value}
    return key.name if set(found) == {"column"} else found


def check_item(check: ObservedCheck, default_schema: str) -> dict[str, Any]:
    """Return one CHECK constraint as an item of module check_constraints."""
    no_inherit = check.text.endswith(" NO INHERIT")
    item: dict[str, Any] = {
        "table": _table(check.table, default_schema),
        "name": check.name,
        "expression": check.text.removesuffix(" NO INHERIT").removeprefix("CHECK (").removesuffix(")"),
    }
    if not check.validated:
        item["validated"] = False
    if no_inherit:
        item["no_inherit"] = True
    if without_marker(check.comment):
        item["comment"] = without_marker(check.comment)
    return item


def qualified(schema: str, name: str) -> str:
    """Return the name of an operator class or collation as an item has it; PostgreSQL's own go without a schema."""
    quoted = '"' + name.replace('"', '""') + '"'
    return (quoted if '"' in name else name) if schema == "pg_catalog" else f"{quote(schema)}.{quoted}"
