# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lint looks at, and what one of its checks says: values only, so that every check is a table of cases."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .check_constraint import ObservedCheck
from .foreign_key import ForeignKey, IndexKeys
from .index import ObservedIndex
from .index_spec import Index
from .lint_security_values import Audit, Security
from .names import QualifiedName
from .relation import Tables, ancestors
from .row_security import PolicyForm
from .schema_export import IndexParts
from .units import GB

LEVELS = ("error", "warning", "info")
REINDEX_LEFTOVER = re.compile(r".+_(ccnew|ccold)\d*")
OWN_LEFTOVERS = ("pgstead_new_", "pgstead_old_")


@dataclass(frozen=True)
class TableFacts:
    """What a table has besides its place: how it was read since the statistics began, and whether it has a key."""

    scans: int = 0  # sequential
    rows_read: int = 0  # by these
    rows: int = 0
    primary_key: bool = True
    extension: bool = False  # an extension's own


@dataclass(frozen=True)
class Mismatch:
    """A foreign key's column whose type is not that of the column it references."""

    table: QualifiedName
    constraint: str
    column: str
    type: str
    other_table: QualifiedName
    other_column: str
    other_type: str


@dataclass(frozen=True)
class Unvalidated:
    """A foreign key or NOT NULL constraint that holds for new rows only."""

    table: QualifiedName
    name: str
    kind: str  # pg_constraint.contype


@dataclass(frozen=True)
class Column:
    """A column of one of the types that the lint objects to; `base` is the type without its length."""

    table: QualifiedName
    name: str
    base: str
    type: str


@dataclass(frozen=True)
class Sequence:
    """A sequence with one column that takes its values; `last` is None where it was not used, or may not be read."""

    name: QualifiedName
    type: str
    minimum: int
    maximum: int
    increment: int = 1
    cycle: bool = False
    ordinary: bool = True  # starts at 1, no cache, all of its type's numbers
    readable: bool = True
    last: int | None = None
    table: QualifiedName | None = None
    column: str = ""
    column_type: str = ""  # of a domain, what it is made of
    plain_column: bool = True  # of no domain, and in no table from which others inherit
    serial: bool = False  # owned by the column whose default it is
    identity: bool = False


@dataclass(frozen=True)
class Routine:
    """A SECURITY DEFINER function or procedure that takes its caller's search_path."""

    name: QualifiedName
    arguments: str = ""
    procedure: bool = False
    public: bool = True  # everybody may call it


@dataclass(frozen=True)
class Extension:
    """An extension whose package on the host could update it."""

    name: QualifiedName
    installed: str
    available: str


@dataclass(frozen=True)
class Observed:
    """Everything that the checks look at, of one moment."""

    today: datetime.date
    tables: Tables = field(default_factory=dict)
    facts: Mapping[QualifiedName, TableFacts] = field(default_factory=dict)
    indexes: Mapping[QualifiedName, ObservedIndex] = field(default_factory=dict)
    parts: Mapping[QualifiedName, IndexParts] = field(default_factory=dict)
    not_null: Mapping[QualifiedName, frozenset[str]] = field(default_factory=dict)  # columns that are never NULL
    index_scans: Mapping[QualifiedName, int] = field(default_factory=dict)
    foreign_keys: tuple[ForeignKey, ...] = ()
    serving: tuple[IndexKeys, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    checks: tuple[ObservedCheck, ...] = ()
    unvalidated: tuple[Unvalidated, ...] = ()
    columns: tuple[Column, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    routines: tuple[Routine, ...] = ()
    extensions: tuple[Extension, ...] = ()
    security: Security = field(default_factory=Security)
    audit: Audit = field(default_factory=Audit)
    statistics_days: float | None = None  # since when reads are counted; None where nobody knows
    standby: bool = False
    hidden_builds: bool = False  # another role builds an index, and which one may not be seen
    running: bool = False  # a run of this collection changes the database right now

    @cached_property
    def by_table(self) -> Mapping[QualifiedName, tuple[ObservedIndex, ...]]:
        """The indexes of each table, by name."""
        found: dict[QualifiedName, list[ObservedIndex]] = {}
        for _, index in sorted(self.indexes.items()):
            found.setdefault(index.table, []).append(index)
        return {table: tuple(indexes) for table, indexes in found.items()}

    @cached_property
    def attached(self) -> Mapping[QualifiedName, tuple[ObservedIndex, ...]]:
        """The indexes of partitions that hang below each index."""
        found: dict[QualifiedName, list[ObservedIndex]] = {}
        for index in self.indexes.values():
            if index.parent:
                found.setdefault(index.parent, []).append(index)
        return {parent: tuple(indexes) for parent, indexes in found.items()}

    @cached_property
    def keys_of(self) -> Mapping[QualifiedName, tuple[ForeignKey, ...]]:
        """The foreign keys of each table."""
        found: dict[QualifiedName, list[ForeignKey]] = {}
        for key in self.foreign_keys:
            found.setdefault(key.table, []).append(key)
        return {table: tuple(keys) for table, keys in found.items()}

    @cached_property
    def _sizes(self) -> Mapping[QualifiedName, int]:
        found: dict[QualifiedName, int] = {}
        for name, table in self.tables.items():
            for place in (name, *ancestors(name, self.tables)):
                found[place] = found.get(place, 0) + table.bytes
        return found

    def size(self, table: QualifiedName) -> int:
        """Bytes of a table with all its partitions."""
        return self._sizes.get(table, 0)

    def facts_of(self, table: QualifiedName) -> TableFacts:
        """What is known of a table; of a materialised view, nothing."""
        return self.facts.get(table, TableFacts())

    def root(self, table: QualifiedName) -> QualifiedName:
        """The partitioned table at the top, or the table itself."""
        return (table, *ancestors(table, self.tables))[-1]


@dataclass(frozen=True)
class Rules:
    """What the caller decides: where names need no schema, how long an index has to be unused, who the application is."""

    default_schema: str = "public"
    unused_index_days: int = 14
    sequential_bytes: int = 10 * GB  # read in sequential scans, from which on an index seems to be missing
    application_roles: tuple[str, ...] = ()  # whom row security is to hold; guessed where none is named


@dataclass(frozen=True)
class Fix:
    """One step of a remedy; _pg/lint_fix.py says it in SQL. `on` is what the statement alters, builds on or drops."""

    action: str
    on: QualifiedName
    name: str = ""
    text: str = ""
    index: Index | None = None
    unique: bool = False
    other: QualifiedName | None = None
    policy: PolicyForm | None = None


@dataclass(frozen=True)
class Found:
    """One objection of one check; `path` is the schema and the names in it that lead to the object.

    Without `fixes` a person has to decide, and `detail` says what.
    """

    path: tuple[str, ...]
    detail: str
    fixes: tuple[Fix, ...] = ()
    declaration: Mapping[str, Any] = field(default_factory=dict)  # keys of an entry of pgstead_databases
    bytes: int | None = None  # of the table, where it matters
    level: str = ""  # where one check has several

    @property
    def object(self) -> str:
        """The object as a person writes it."""
        return ".".join(dotted(part) for part in self.path)


def dotted(name: str) -> str:
    """Return one part of a name, quoted only where the dots would be read wrongly otherwise."""
    plain = "(" in name or not ("." in name or '"' in name)  # a routine's arguments are as the server has them
    return name if plain else '"' + name.replace('"', '""') + '"'


def path(name: QualifiedName, *more: str) -> tuple[str, ...]:
    """Return the path of an object, or of something in it."""
    return (name.schema, name.name, *more)


def never_blind(_observed: Observed, _rules: Rules) -> str:
    """Most checks can always be made."""
    return ""


@dataclass(frozen=True)
class Check:
    """One check: a pure function of what was observed, with its name and how bad it is.

    `blind` says why it cannot be made, or not for all objects; `floor` is the table size below which it says nothing.
    """

    key: str
    level: str
    categories: tuple[str, ...]
    title: str
    find: Callable[[Observed, Rules], Iterable[Found]]
    floor: int = 0
    blind: Callable[[Observed, Rules], str] = never_blind


@dataclass(frozen=True)
class Finding:
    """An objection with the name of its check, as the result shows it."""

    key: str
    check: str
    level: str
    categories: tuple[str, ...]
    object: str
    detail: str
    fixes: tuple[Fix, ...] = ()
    declaration: Mapping[str, Any] = field(default_factory=dict)
    bytes: int | None = None
