# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the application may do with a protected table, column by column: what it may, is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._core.names import quote
from .._core.probe import Subject
from .connection import rows

_COLUMNS = """
SELECT a.attname, y.typcategory = 'S', a.attgenerated <> '', a.attidentity = 'a',
       pg_catalog.has_column_privilege(%(role)s, a.attrelid, a.attnum, 'SELECT'),
       pg_catalog.has_column_privilege(%(role)s, a.attrelid, a.attnum, 'INSERT'),
       pg_catalog.has_column_privilege(%(role)s, a.attrelid, a.attnum, 'UPDATE')
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
# a command without a permissive policy for the role is refused, whatever it would write
_INSERT = """
SELECT pg_catalog.has_table_privilege(%(role)s, %(table)s::regclass, 'DELETE'), EXISTS (
    SELECT FROM pg_catalog.pg_policy p
    WHERE p.polrelid = %(table)s::regclass AND p.polpermissive AND p.polcmd IN ('*', 'a') AND (
        0 = ANY (p.polroles)
        OR EXISTS (SELECT FROM unnest(p.polroles) u(oid) WHERE pg_catalog.pg_has_role(%(role)s, u.oid, 'USAGE'))))
"""


@dataclass(frozen=True)
class Column:
    """One column: what it is, and what the role may do with it."""

    name: str
    text: bool
    generated: bool
    identity: bool
    select: bool
    insert: bool
    update: bool


@dataclass(frozen=True)
class Rights:
    """The columns of a table and the owner's among them; `inserts` says whether any policy lets the role insert."""

    columns: tuple[Column, ...]
    owner: Column
    delete: bool
    inserts: bool

    @property
    def reads(self) -> bool:
        return any(column.select for column in self.columns)

    @property
    def any(self) -> bool:
        return self.delete or any(column.select or column.insert or column.update for column in self.columns)

    @property
    def gives(self) -> bool:
        """Whether the role can set whose an existing row is."""
        return self.owner.update and not (self.owner.generated or self.owner.identity)

    @property
    def changed(self) -> tuple[str, ...]:
        """Columns that the role may change, the owner's aside."""
        return tuple(c.name for c in self.columns if c.update and not (c.generated or c.identity or c is self.owner))

    @property
    def chooses(self) -> bool:
        """Whether the role can say whose a new row is."""
        return self.owner.insert and not self.owner.generated

    @property
    def written(self) -> tuple[str, ...]:
        """Columns to give in a new row."""
        return tuple(
            c.name for c in self.columns if c.insert and not c.generated and (c is self.owner or not c.identity)
        )


def read_rights(connection: Any, role: str, subject: Subject) -> Rights:
    """Return what a role may do with a table."""
    asked = {"role": role, "table": subject.table.sql}
    columns = tuple(Column(*each) for each in rows(connection, _COLUMNS, asked))
    ((delete, inserts),) = rows(connection, _INSERT, asked)
    owner = next(column for column in columns if column.name == subject.owner_column)
    return Rights(columns, owner, delete, inserts)


def insertion(subject: Subject, rights: Rights) -> str:
    """Return the statement that writes one new row, with a parameter for each column of `written`."""
    names = bound(", ".join(quote(name) for name in rights.written))
    override = " OVERRIDING SYSTEM VALUE" if rights.owner.identity else ""
    values = ", ".join(["%s"] * len(rights.written))
    return f"INSERT INTO {bound(subject.table.sql)} ({names}){override} VALUES ({values})"


def bound(name: str) -> str:
    """Return a quoted name for a statement with parameters."""
    return name.replace("%", "%%")
