# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes as the inventory declares them, and what can be wrong with them before a server is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import expression
from .errors import Problem
from .inventory import strings
from .names import QualifiedName, derive, parse, reference, unusable

RESERVED_PREFIX = "pgstead_"
_COLUMN_KEYS = ("column", "expression", "opclass", "opclass_parameters", "collation", "order", "nulls")


@dataclass(frozen=True)
class IndexColumn:
    """One key: a column's name or an expression, with what differs from PostgreSQL's defaults ("" otherwise)."""

    name: str = ""
    expression: str = ""
    opclass: str = ""
    opclass_parameters: tuple[tuple[str, str], ...] = ()
    collation: str = ""
    descending: bool = False
    nulls: str = ""


@dataclass(frozen=True)
class Index:
    """One declared index; `position` says where in the list, for messages."""

    position: str
    table: QualifiedName
    name: str
    named: bool
    columns: tuple[IndexColumn, ...]
    include: tuple[str, ...] = ()
    predicate: str = ""
    unique: bool = False
    nulls_not_distinct: bool = False
    method: str = "btree"
    storage: tuple[tuple[str, str], ...] = ()
    tablespace: str = ""
    comment: str | None = None
    present: bool = True

    @property
    def where(self) -> str:
        """Where a message sends its reader."""
        return f"{self.position} ({self.name})"

    @property
    def plain(self) -> bool:
        """Whether it consists of columns only, so that its text can be foretold without the server."""
        return not (self.predicate or self.storage or self.tablespace) and all(
            _plain(column) for column in self.columns
        )


def _plain(column: IndexColumn) -> bool:
    return not (column.expression or column.opclass or column.collation)


def indexes(items: Sequence[Mapping[str, Any]], schema: str) -> tuple[tuple[Index, ...], tuple[Problem, ...]]:
    """Turn the inventory's list into values, with every problem found; a faulty item is left out of the values."""
    found: list[Index] = []
    problems: list[Problem] = []
    for number, item in enumerate(items):
        try:
            found.append(_index(f"indexes[{number}]", item, schema))
        except ValueError as error:
            problems.append(Problem(f"indexes[{number}] ({item.get('name') or item.get('table')})", str(error)))
    return tuple(found), (*problems, *_contradictions(found))


def _index(position: str, item: Mapping[str, Any], schema: str) -> Index:
    table = parse(str(item["table"]), schema)
    columns = tuple(_column(raw) for raw in _listed(item.get("columns")))
    include = strings(item.get("include"))
    present = (item.get("state") or "present") == "present"
    name = str(item.get("name") or "")
    if not columns and (present or not name):
        raise ValueError("columns is empty: an index needs at least one column or expression")
    if name.startswith(RESERVED_PREFIX):
        raise ValueError(f"{name!r} begins with {RESERVED_PREFIX}, which this collection uses while it builds")
    for part in filter(None, (name, *include, *(column.name for column in columns))):
        complaint = unusable(part)
        if complaint:
            raise ValueError(complaint)
    predicate = str(item.get("where") or "").strip()
    for text in filter(None, (predicate, *(column.expression for column in columns))):
        fault = expression.complaint(text)
        if fault:
            raise ValueError(f"{text!r}: {fault}")
    made = Index(
        position=position,
        table=table,
        name=name or derive([table.name, *(column.name or "expr" for column in columns), *include], "idx"),
        named=bool(name),
        columns=columns,
        include=include,
        predicate=predicate,
        unique=bool(item.get("unique")),
        nulls_not_distinct=bool(item.get("nulls_not_distinct")),
        method=str(item.get("method") or "btree"),
        storage=_pairs(item.get("storage_parameters")),
        tablespace=str(item.get("tablespace") or ""),
        comment=None if item.get("comment") is None else str(item["comment"]),
        present=present,
    )
    if made.nulls_not_distinct and not made.unique:
        raise ValueError("nulls_not_distinct says how a unique index treats NULL: set unique as well, or leave it out")
    return made


def _listed(raw: Any) -> Sequence[Any]:
    if raw is None:
        return ()
    return strings(raw) if isinstance(raw, str) else tuple(raw)


def _pairs(raw: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """Return parameters by name as texts; a truth value is written as PostgreSQL writes it."""
    return tuple(
        (str(name), ("on" if value else "off") if isinstance(value, bool) else str(value))
        for name, value in sorted((raw or {}).items())
    )


def _column(raw: Any) -> IndexColumn:
    if not isinstance(raw, Mapping):
        return IndexColumn(name=str(raw))
    unknown = sorted(set(raw) - set(_COLUMN_KEYS))
    if unknown:
        raise ValueError(f"columns: unknown key {', '.join(unknown)}: use {', '.join(_COLUMN_KEYS)}")
    name, text = str(raw.get("column") or ""), str(raw.get("expression") or "").strip()
    if bool(name) == bool(text):
        raise ValueError("columns: give either column or expression")
    order, nulls = str(raw.get("order") or "asc").lower(), str(raw.get("nulls") or "").lower()
    if order not in ("asc", "desc"):
        raise ValueError(f"columns: order {order!r} is neither asc nor desc")
    if nulls not in ("", "first", "last"):
        raise ValueError(f"columns: nulls {nulls!r} is neither first nor last")
    parameters = _pairs(raw.get("opclass_parameters"))
    if parameters and not raw.get("opclass"):
        raise ValueError("columns: opclass_parameters needs the opclass that they belong to")
    for key in ("opclass", "collation"):
        reference(str(raw.get(key) or ""), dotted=True)  # raises where quotation marks do not fit
    return IndexColumn(
        name=name,
        expression=text,
        opclass=str(raw.get("opclass") or ""),
        opclass_parameters=parameters,
        collation=str(raw.get("collation") or ""),
        descending=order == "desc",
        # what is the default for the order is not said twice
        nulls="" if nulls == ("first" if order == "desc" else "last") else nulls,
    )


def _contradictions(found: Sequence[Index]) -> list[Problem]:
    problems = []
    seen: dict[tuple[str, str], Index] = {}
    for index in found:
        key = (index.table.schema, index.name)
        if key in seen:
            other = seen[key]
            how = "has the same name" if index.named and other.named else "would get the same name: give one a name"
            problems.append(Problem(index.where, f"{other.position} {how}"))
        seen.setdefault(key, index)
    return problems
