# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables as the catalogue has them, and what is wrong with a declaration that names one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import Problem
from .names import QualifiedName

KINDS = {
    "r": "table",
    "p": "partitioned table",
    "m": "materialised view",
    "v": "view",
    "f": "foreign table",
    "i": "index",
    "I": "partitioned index",
    "S": "sequence",
    "c": "composite type",
}


@dataclass(frozen=True)
class Table:
    """One relation that holds columns; `parent` is the partitioned table that it is a partition of."""

    name: QualifiedName
    kind: str  # pg_class.relkind
    owner: str
    temporary: bool = False
    parent: QualifiedName | None = None
    bytes: int = 0
    partition_columns: tuple[str, ...] = ()


Tables = Mapping[QualifiedName, Table]


def table_problem(where: str, name: QualifiedName, tables: Tables, accepted: str) -> Problem | None:
    """Say why no object of this kind can be on this relation: missing, or of a kind (relkind) not in `accepted`."""
    table = tables.get(name)
    if table is None:
        alike = difflib.get_close_matches(name.name, [known.name for known in tables], n=1)
        meant = [known for known in sorted(tables) if known.name in alike]
        meant.sort(key=lambda known: known.schema != name.schema)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        return Problem(where, f"table {name} does not exist{hint}")
    if table.temporary:
        return Problem(where, f"{name} is a temporary table")
    if table.kind not in accepted:
        return Problem(where, f"{name} is a {KINDS.get(table.kind, table.kind)}, which cannot carry this")
    return None


def user_tables(tables: Tables) -> bool:
    """Say whether an application has put anything here yet."""
    return any(table.kind in "rpf" and not table.temporary for table in tables.values())


def ancestors(name: QualifiedName, tables: Tables) -> tuple[QualifiedName, ...]:
    """Return the partitioned tables above a partition, the nearest first."""
    found: list[QualifiedName] = []
    table = tables.get(name)
    while table is not None and table.parent is not None:
        found.append(table.parent)
        table = tables.get(table.parent)
    return tuple(found)


def partitions(name: QualifiedName, tables: Tables) -> tuple[Table, ...]:
    """Return the direct partitions of a table, by name. Each of thousands of leaves asks, too, and is answered at once."""
    table = tables.get(name)
    if table is not None and table.kind != "p":
        return ()
    return tuple(sorted((t for t in tables.values() if t.parent == name), key=lambda table: table.name))


def tree(name: QualifiedName, tables: Tables) -> tuple[Table, ...]:
    """Return all relations below a partitioned table."""
    found: list[Table] = []
    for child in partitions(name, tables):
        found += [child, *tree(child.name, tables)]
    return tuple(found)


def inherited_twice(
    places: Sequence[tuple[str, QualifiedName]], same: Mapping[str, object], tables: Tables
) -> list[Problem]:
    """Refuse what is declared on a partition as well as on its parent: the partition has it from there.

    `places` pairs each item's position with its table; `same` gives what makes two items one, by position.
    """
    declared = {(table, repr(same[where])): where for where, table in places}
    return [
        Problem(where, f"{above} is the parent of {table} and has the same at {declared[(above, repr(same[where]))]}")
        for where, table in places
        for above in ancestors(table, tables)
        if (above, repr(same[where])) in declared
    ]
