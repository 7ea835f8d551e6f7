# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a database, as the items that the modules of this collection accept: applying them changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .check_constraint import ObservedCheck
from .foreign_key import OWNER as FOREIGN_KEY_OWNER
from .index import ObservedIndex
from .names import QualifiedName, quote, table_text
from .plan import owner_of, without_marker
from .relation import KINDS, Tables, ancestors
from .row_security import ObservedTable
from .schema_export_audit import Readers, Triggers, export_audit
from .schema_export_security import Exported, export_row_security, export_views
from .view import ObservedView


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
    views: Mapping[QualifiedName, ObservedView] = field(default_factory=dict)
    protected: Mapping[QualifiedName, ObservedTable] = field(default_factory=dict)
    per_row: frozenset[str] = frozenset()  # functions that policies call for each row
    contexts: tuple[QualifiedName, ...] = ()  # functions that module row_security made
    logs: frozenset[QualifiedName] = frozenset()  # of module audit
    audit_triggers: Triggers = field(default_factory=dict)
    audit_readers: Readers = field(default_factory=dict)

    @cached_property
    def by_table(self) -> dict[QualifiedName, list[ObservedIndex]]:
        """The indexes of each table."""
        by_table: dict[QualifiedName, list[ObservedIndex]] = {}
        for index in self.indexes.values():
            by_table.setdefault(index.table, []).append(index)
        return by_table

    def exported(self, name: QualifiedName, schemas: Sequence[str]) -> bool:
        """Whether what hangs on a relation is the user's, and asked for."""
        return name.schema in schemas and not self.logs & {name, *ancestors(name, self.tables)}


def export(found: Found, schemas: Sequence[str], default_schema: str) -> Export:
    """Return the items of these schemas, in the order of tables and names.

    Names in `default_schema` are written without it. Foreign keys are answered by `create` where every one has an index.
    """
    chosen_views = [view for name, view in found.views.items() if found.exported(name, schemas)]
    chosen_tables = [there for name, there in found.protected.items() if found.exported(name, schemas)]
    indexes, no_indexes = _indexes(found, schemas, default_schema)
    checks, no_checks = _checks(found, schemas, default_schema)
    views, no_views = export_views(chosen_views, default_schema)
    protected, not_protected = export_row_security(chosen_tables, found.per_row, default_schema)
    audit, not_audited = export_audit(found.audit_triggers, found.audit_readers, schemas, default_schema)
    items = {
        "indexes": indexes,
        "foreign_key_indexes": "report" if found.bare_foreign_keys else "create",
        "check_constraints": checks,
        "views": views,
        "row_security": {"tables": protected},
        **({"audit": audit} if audit else {}),
    }
    functions = [f"function {name}: declare row_security.context" for name in found.contexts if name.schema in schemas]
    return Export(items, (*no_indexes, *no_checks, *no_views, *not_protected, *functions, *not_audited))


def _indexes(found: Found, schemas: Sequence[str], default_schema: str) -> Exported:
    items: list[dict[str, Any]] = []
    skipped: list[str] = []
    for key, index in sorted(found.indexes.items()):
        if index.constraint or index.parent or not found.exported(index.table, schemas):
            continue
        reason = _why_not(index, found)
        if reason:
            skipped.append(f"index {key}: {reason}")
        elif owner_of(index.comment) != FOREIGN_KEY_OWNER:
            items.append(index_item(index, found.parts[key], default_schema))
    return items, skipped


def _checks(found: Found, schemas: Sequence[str], default_schema: str) -> Exported:
    items: list[dict[str, Any]] = []
    skipped: list[str] = []
    for (table, name), check in sorted(found.checks.items()):
        if check.inherited or not found.exported(table, schemas):
            continue
        reason = _why_not_check(check, found)
        if reason:
            skipped.append(f"check constraint {name} on {table}: {reason}")
        else:
            items.append(check_item(check, default_schema))
    return items, skipped


def _why_not_check(check: ObservedCheck, found: Found) -> str:
    """Say why a check constraint is not exported, or return an empty text."""
    if not check.enforced:
        return "it is not enforced"
    if check.name.startswith("pgstead_"):
        return "it is left over from an interrupted run"
    table = found.tables.get(check.table)
    kind = table.kind if table else "r"
    return "" if kind in "rp" else f"it is on a {KINDS.get(kind, kind)}, which module check_constraints leaves alone"


def _why_not(index: ObservedIndex, found: Found) -> str:
    """Say why an index is not exported, or return an empty text."""
    if not index.valid:
        return "it is invalid"
    if index.name.startswith("pgstead_"):
        return "it is left over from an interrupted run"
    above = ancestors(index.table, found.tables)
    twin = next((o for table in above for o in found.by_table.get(table, ()) if o.form == index.form), None)
    return f"the parent's {twin.key} is the same for every partition" if twin else ""


def _pairs(options: Sequence[str]) -> dict[str, str]:
    return dict(option.split("=", 1) for option in options)


def index_item(index: ObservedIndex, parts: IndexParts, default_schema: str) -> dict[str, Any]:
    """Return one index as an item of module indexes; what is PostgreSQL's default is left out."""
    written = without_marker(index.comment)
    item: dict[str, Any] = {
        "table": table_text(index.table, default_schema),
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
        "table": table_text(check.table, default_schema),
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
