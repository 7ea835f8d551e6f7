# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What declared indexes cannot be in the light of what is there: names that are taken, and what others rely on."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import Problem
from .index import Declared, Observed, ObservedIndex, Rules, retired_name, satisfying, temporary_name, usable
from .names import QualifiedName
from .plan import owner_of


def check(declared: Sequence[Declared], observed: Observed, rules: Rules) -> tuple[Problem, ...]:
    """Return what is wrong with declared indexes in the light of what is there."""
    problems = []
    for item in declared:
        index, key = item.index, QualifiedName(item.index.table.schema, item.index.name)
        where = index.where
        problems += _remains(item, observed, rules)
        mine = observed.indexes.get(key)
        if item.form and not index.named and satisfying(item, observed, rules):
            continue
        if mine is None and key in observed.relations and index.present:
            problems.append(Problem(where, f"the name {key} is taken by something that is not an index"))
        if mine is None:
            continue
        if mine.table != index.table:
            problems.append(Problem(where, f"the name {key} is taken by an index of {mine.table}: give another name"))
        elif mine.parent is not None:
            problems.append(Problem(where, f"is part of the partitioned index {mine.parent}: declare that one"))
        elif mine.bound and not (item.form and rules.same(mine.form, item.form)):
            what = "be dropped" if item.form is None else f"be changed to {item.form.text}"
            problems.append(Problem(where, f"stands behind {mine.bound} and cannot {what}: change that first"))
        elif (told := identified(mine, observed)) and not _identifies(item, mine, observed):
            what = f"is the replica identity of {told}, and has to stay unique, on columns that are never NULL, without WHERE"
            problems.append(Problem(where, what))
        elif item.form and not index.named and mine.valid and not owner_of(mine.comment):
            # a derived name met a definition that nobody declared: that one is not replaced unasked
            what = (
                f"somebody made an index of this name, {mine.form.text}: give yours a name, or this one to replace it"
            )
            problems.append(Problem(where, what))
    return tuple(problems)


def identified(mine: ObservedIndex, observed: Observed) -> str:
    """Return the tables whose rows logical replication tells apart by an index or what hangs below it."""
    return ", ".join(map(str, _told_apart(mine, observed)))


def _told_apart(mine: ObservedIndex, observed: Observed) -> list[QualifiedName]:
    return [one.table for one in (mine, *observed.below(mine.key)) if one.replica_identity]


def _identifies(item: Declared, mine: ObservedIndex, observed: Observed) -> bool:
    """Whether rows can be told apart by what takes the place of an index, as logical replication does."""
    index = item.index
    if item.form is None or not index.unique or index.predicate or not all(key.name for key in index.columns):
        return False
    tables = _told_apart(mine, observed)
    return not observed.nullable & {(table, key.name) for table in tables for key in index.columns}


def _remains(item: Declared, observed: Observed, rules: Rules) -> list[Problem]:
    """Refuse to drop what interrupted runs left for an item, where somebody made it a replica identity meanwhile."""
    index = item.index
    names = (temporary_name(index.table, index.name), retired_name(index.table, index.name))
    found = [observed.indexes.get(QualifiedName(index.table.schema, name)) for name in names]
    building, retired = found
    left = [] if building is None or usable(building, item.form, rules) else [building]
    left += [retired] if retired else []
    return [
        Problem(
            index.where, f"{one.key}, left by an interrupted run, is the replica identity of {told}: change that first"
        )
        for one in left
        if (told := identified(one, observed))
    ]
