# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Foreign keys without an index on their own columns: a delete or update of the other table reads this one whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import Problem
from .index import ObservedIndex, of_a_run
from .index_spec import Index, IndexColumn
from .names import QualifiedName, derive, parse, short_hash
from .plan import owner_of
from .relation import Tables, tree
from .units import human_size, parse_size

OWNER = "foreign_key_indexes"
ENDING = "fkey_idx"  # tells these indexes from those that somebody declared or made


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key: its columns by name, and by number as indexes have them. The last one of a temporal key (`PERIOD`,
    PostgreSQL 18) is looked for by overlap, the others by equality.
    """

    table: QualifiedName
    name: str
    columns: tuple[str, ...]
    numbers: tuple[int, ...]
    temporal: bool = False


@dataclass(frozen=True)
class IndexKeys:
    """The key columns of one index that can serve a foreign key: valid, without WHERE; 0 stands for an expression."""

    table: QualifiedName
    name: str
    method: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """Which foreign keys are looked at."""

    excluded: frozenset[tuple[QualifiedName, str]] = frozenset()  # (table, constraint); "" is every one of the table
    minimum_bytes: int = 0

    def wants(self, key: ForeignKey, tables: Tables) -> bool:
        """Whether a foreign key is not left out, and its table (with all partitions) large enough."""
        if {(key.table, key.name), (key.table, "")} & self.excluded:
            return False
        size = tables[key.table].bytes + sum(part.bytes for part in tree(key.table, tables))
        return size >= self.minimum_bytes


def choice(exclude: Sequence[Mapping[str, Any]], minimum_size: str, schema: str) -> tuple[Choice, tuple[Problem, ...]]:
    """Read which foreign keys are to be looked at, with every problem found."""
    problems, excluded, size = [], set(), 0
    for number, item in enumerate(exclude):
        try:
            excluded.add((parse(str(item["table"]), schema), str(item.get("constraint") or "")))
        except ValueError as error:
            problems.append(Problem(f"exclude[{number}]", str(error)))
    try:
        size = parse_size(str(minimum_size), "B")
    except ValueError as error:
        problems.append(Problem("minimum_size", str(error)))
    if size < 0:
        problems.append(Problem("minimum_size", f"{minimum_size} is negative: use 0 for every table"))
    return Choice(frozenset(excluded), size), tuple(problems)


def unknown(chosen: Choice, keys: Sequence[ForeignKey]) -> tuple[Problem, ...]:
    """Return a problem for each exclusion that excludes nothing."""
    known = {(key.table, key.name) for key in keys} | {(key.table, "") for key in keys}
    return tuple(
        Problem("exclude", f"table {table} has no foreign key{f' {name}' if name else ''}")
        for table, name in sorted(chosen.excluded - known)
    )


def uncovered(
    keys: Sequence[ForeignKey], indexes: Iterable[IndexKeys], own: frozenset[QualifiedName]
) -> tuple[ForeignKey, ...]:
    """Return the foreign keys that no index serves; those in `own` do not count, for they are what is decided on.

    An index serves a key when its first columns are the key's columns, in any order (hash: its only column). What a killed
    run built and did not come to name serves nothing yet: the next run has to take it up.
    """
    by_table: dict[QualifiedName, list[IndexKeys]] = {}
    for index in indexes:
        if not of_a_run(index.name) and QualifiedName(index.table.schema, index.name) not in own:
            by_table.setdefault(index.table, []).append(index)
    return tuple(key for key in keys if not any(serves(index, key) for index in by_table.get(key.table, ())))


def serves(index: IndexKeys, key: ForeignKey) -> bool:
    """Whether an index finds the rows of a foreign key's value. What is equal is enough of a temporal one."""
    if index.method not in (("btree", "hash", "gist") if key.temporal else ("btree", "hash")):
        return False
    numbers = key.numbers[:-1] if key.temporal else key.numbers
    return len(index.numbers) >= len(numbers) and set(index.numbers[: len(numbers)]) == set(numbers)


def indexes_for(keys: Sequence[ForeignKey]) -> tuple[Index, ...]:
    """Return the indexes that these keys need; one that begins with another key's columns serves that one too."""
    wanted: list[tuple[ForeignKey, Index]] = []
    for key in sorted(keys, key=lambda key: -len(key.columns)):
        if any(
            key.table == other.table and set(other.columns[: len(key.columns)]) == set(key.columns)
            for other, _ in wanted
        ):
            continue
        index = Index(
            position=f"foreign key {key.name} of {key.table}",
            table=key.table,
            name=derive([key.table.name, *key.columns], ENDING),
            named=True,
            columns=tuple(IndexColumn(name=name) for name in key.columns),
        )
        wanted.append((key, index))
    order = {key: place for place, key in enumerate(keys)}
    return tuple(index for _, index in sorted(wanted, key=lambda pair: order[pair[0]]))


def with_free_names(
    indexes: Iterable[Index], there: Mapping[QualifiedName, ObservedIndex], owner: str = OWNER, ending: str = ENDING
) -> tuple[Index, ...]:
    """Return indexes to be made by `owner`; a derived name that an index of somebody else or of another table has is left to
    it.
    """
    theirs = {key for key, index in there.items() if owner_of(index.comment) != owner}
    found: dict[QualifiedName, Index] = {}
    for index in indexes:
        key = QualifiedName(index.table.schema, index.name)
        while key in theirs or key in found or (key in there and there[key].table != index.table):
            columns = [column.name for column in index.columns]
            key = QualifiedName(key.schema, derive([index.table.name, *columns, short_hash(key.name)[:6]], ending))
        found[key] = replace(index, name=key.name)
    return tuple(found.values())


def described(key: ForeignKey, tables: Tables) -> dict[str, Any]:
    """Return one uncovered key as a result shows it."""
    return {
        "table": str(key.table),
        "constraint": key.name,
        "columns": list(key.columns),
        "table_size": human_size(tables[key.table].bytes),
    }
