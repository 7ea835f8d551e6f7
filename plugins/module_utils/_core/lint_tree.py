# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An index of a partitioned table as steps by hand: ON ONLY the parent, concurrently on each partition, then attached."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .index import ObservedIndex
from .index_spec import Index
from .lint_values import Fix, Observed
from .names import QualifiedName, derive, short_hash
from .relation import Table, partitions, tree
from .schema_export import IndexParts, KeyParts


@dataclass(frozen=True)
class Wanted:
    """The index that every partition is to have: by parts to recognise it, as the server's text or declared to build it."""

    parts: IndexParts
    unique: bool
    text: str = ""
    index: Index | None = None

    def step(self, action: str, table: QualifiedName, name: str) -> Fix:
        return Fix(action, table, name, self.text, self.index, self.unique)


def with_free_name(index: Index, ending: str, observed: Observed) -> Index:
    """Return an index to be made; a name that an unfit one has already is left to that."""
    if QualifiedName(index.table.schema, index.name) not in observed.indexes:
        return index
    names = [column.name for column in index.columns]
    return replace(index, name=derive([index.table.name, *names, short_hash(index.name)[:6]], ending))


def wanted_by(index: ObservedIndex, parts: IndexParts) -> Wanted:
    """Return what a partitioned table's index asks of the partitions."""
    return Wanted(_comparable(parts), index.form.unique, index.form.text)


def wanted_of(index: Index) -> Wanted:
    """Return what a declared index of plain columns asks of the partitions."""
    keys = tuple(KeyParts(column.name) for column in index.columns)
    return Wanted(IndexParts("btree", keys), index.unique, index=index)


def _comparable(parts: IndexParts) -> IndexParts:
    return replace(parts, storage=())


def planted(index: Index, observed: Observed) -> tuple[Fix, ...]:
    """Return the steps that give a table a new index, with its partitions where it has some."""
    table, wanted = observed.tables[index.table], wanted_of(index)
    if table.kind != "p":
        return (wanted.step("create_index", index.table, index.name),)
    key = QualifiedName(index.table.schema, index.name)
    if not partitions(index.table, observed.tables):
        return (wanted.step("create_index_only", index.table, index.name),)
    below = grown(key, index.table, wanted, observed)
    return (wanted.step("create_index_only", index.table, index.name), *below) if below else ()


def grown(parent: QualifiedName, table: QualifiedName, wanted: Wanted, observed: Observed) -> tuple[Fix, ...]:
    """Return the steps below an index of a partitioned table; none where no steps like these can complete it.

    A foreign partition has no index. One that is attached and invalid keeps its parent invalid even when it is rebuilt.
    """
    if any(part.kind == "f" for part in tree(table, observed.tables)) or _broken_below(parent, table, observed):
        return ()
    steps: list[Fix] = []
    for child in partitions(table, observed.tables):
        attached = _attached(parent, child, observed)
        if attached is None:
            steps += _new(parent, child, wanted, observed)
        elif not attached.valid:
            steps += grown(attached.key, child.name, wanted, observed)
    return tuple(steps)


def _attached(parent: QualifiedName, child: Table, observed: Observed) -> ObservedIndex | None:
    return next((index for index in observed.by_table.get(child.name, ()) if index.parent == parent), None)


def _broken_below(parent: QualifiedName, table: QualifiedName, observed: Observed) -> bool:
    for child in partitions(table, observed.tables):
        attached = _attached(parent, child, observed)
        if attached is None:
            continue
        if (not attached.valid and child.kind != "p") or _broken_below(attached.key, child.name, observed):
            return True
    return False


def _new(parent: QualifiedName, child: Table, wanted: Wanted, observed: Observed) -> list[Fix]:
    """What a partition without an attached index needs: an equal one that it has already is used."""
    there = observed.by_table.get(child.name, ())
    free = next((index for index in there if _attachable(index, wanted, observed)), None)
    name = free.name if free else _name(parent, child, observed)
    key = QualifiedName(child.name.schema, name)
    steps: list[Fix] = []
    if child.kind == "p":
        steps += [] if free else [wanted.step("create_index_only", child.name, name)]
        steps += grown(key, child.name, wanted, observed)
    elif free is None:
        steps.append(wanted.step("create_index", child.name, name))
    return [*steps, Fix("attach_index", parent, other=key)]


def _attachable(index: ObservedIndex, wanted: Wanted, observed: Observed) -> bool:
    taken = index.parent or index.constraint or index.builder or index.name.startswith("pgstead_")
    usable = index.valid or observed.tables[index.table].kind == "p"
    same = _comparable(observed.parts[index.key]) == wanted.parts and index.form.unique == wanted.unique
    return bool(usable and same and not taken)


def _name(parent: QualifiedName, child: Table, observed: Observed) -> str:
    """Name a partition's index after its own table and its parent's index."""
    stem = parent.name.removeprefix(child.parent.name if child.parent else "").strip("_").removesuffix("idx").strip("_")
    name = derive(filter(None, (child.name.name, stem)), "idx")
    key = QualifiedName(child.name.schema, name)
    if key in observed.indexes or key in observed.tables:
        return derive([child.name.name, short_hash(str(parent), str(child.name))[:6]], "idx")
    return name
