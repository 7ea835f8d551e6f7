# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes of partitioned tables: one ON ONLY the parent, one built concurrently on each partition, then attached.

The parent's index becomes valid with the last attachment; a run that was interrupted goes on with what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .errors import Problem
from .index import (
    Declared,
    Form,
    Heir,
    Observed,
    ObservedIndex,
    Rules,
    Step,
    analysis,
    build,
    change,
    comment_of,
    described,
    drift_of,
    drop,
    kept,
    of_a_run,
    satisfying,
    temporary_name,
    usable,
)
from .index_spec import Index
from .names import QualifiedName, derive, short_hash
from .plan import Change, Difference, Plan, with_marker
from .relation import partitions, tree

STRONG = "AccessExclusiveLock"


def check_tree(item: Declared, observed: Observed) -> tuple[Problem, ...]:
    """Return why a partitioned table cannot have this index."""
    index = item.index
    where = index.where
    below = tree(index.table, observed.tables)
    problems = []
    foreign = [str(part.name) for part in below if part.kind == "f"]
    if foreign:
        problems.append(
            Problem(where, f"{index.table} has foreign partitions ({', '.join(foreign)}), which have no index")
        )
    columns = {column.name for column in index.columns}
    for table in (observed.tables[index.table], *below):
        missing = [name for name in table.partition_columns if name not in columns]
        if index.unique and missing:
            what = f"a unique index needs the partition key of {table.name} among its columns: {', '.join(missing)}"
            problems.append(Problem(where, what))
    return tuple(problems)


def plan_tree(item: Declared, observed: Observed, rules: Rules) -> Plan:
    """Return the steps for one index of a partitioned table and all that hangs below it."""
    index, form = item.index, item.form
    key = QualifiedName(index.table.schema, index.name)
    mine = observed.indexes.get(key)
    if form is None:
        return _absent(mine)
    same = mine if mine and rules.same(mine.form, form) else None
    if same is None and not index.named:
        same = satisfying(item, observed, rules)
    if same and same.valid:
        return kept(index, same, (), rules)
    grower = _Grower(index, form, observed, rules)
    missing = grower.below(index.table, same.key) if same and not _stuck(same, observed) else ()
    if same and missing:
        # ours or not: an invalid partitioned index is one that still lacks partitions
        noted = kept(index, same, (), rules)
        before = described(same.name, same.table, form, same.comment)
        after = noted.differences[0].after if noted.differences else before
        gap = Difference(f"index {same.key}", "-- lacks partitions\n" + before, after)
        return Plan((*missing, *noted.changes), (gap,))
    comment = comment_of(index, mine, rules)
    after = described(index.name, index.table, form, comment)
    if mine is None:
        steps = (grower.top(index.table, index.name, comment), *grower.below(index.table, key))
        return Plan(steps, (Difference(f"index {key}", "", after),), drift_of(key, mine, observed))
    before = ("" if mine.valid else "-- invalid\n") + described(mine.name, mine.table, mine.form, mine.comment)
    return Plan(_replaced(grower, mine, comment), (Difference(f"index {key}", before, after),))


def _stuck(top: ObservedIndex, observed: Observed) -> bool:
    """Whether an invalid index hangs below: where it hangs it is neither dropped nor built again, so the tree is."""
    below = [
        other
        for part in partitions(top.table, observed.tables)
        for other in observed.of(part.name)
        if other.parent == top.key
    ]
    return any(
        _stuck(other, observed) if observed.tables[other.table].kind == "p" else not other.valid for other in below
    )


def _absent(mine: ObservedIndex | None) -> Plan:
    if mine is None:
        return Plan()
    before = described(mine.name, mine.table, mine.form, mine.comment)
    step = change("drop_tree", Step(mine.table, mine.name, mine.name), lock=STRONG)
    return Plan((step,), (Difference(f"index {mine.key}", before, ""),))


def _replaced(grower: _Grower, mine: ObservedIndex, comment: str) -> tuple[Change, ...]:
    """Grow the new definition beside the old one under a name of its own, then drop one and rename the other."""
    index, form = grower.index, grower.form
    building = QualifiedName(index.table.schema, temporary_name(index.table, index.name))
    ready = grower.observed.indexes.get(building)
    steps = []
    if ready and not grower.rules.same(ready.form, form):
        steps.append(change("drop_tree", Step(index.table, ready.name, ready.name), lock=STRONG))
        grower = replace(grower, observed=_without(ready, grower.observed))
        ready = None
    if ready is None:
        steps.append(grower.top(index.table, building.name, comment))
    steps += grower.below(index.table, building)
    heirs = _heirs(mine, building, steps, grower.observed)
    step = Step(index.table, building.name, index.name, index, form, comment, mine, heirs=heirs)
    return (*steps, change("swap_tree", step, lock=STRONG))


def _heirs(
    old: ObservedIndex, building: QualifiedName, steps: Sequence[Change], observed: Observed
) -> tuple[Heir, ...]:
    """Pair what hangs below the old index, and has more than a definition, with what takes its place."""
    names = {other.table: other.name for other in observed.below(building)}
    names |= {step.subject.table: step.subject.target for step in steps if step.subject.parent}
    return tuple(
        Heir(other.table, names[other.table], other)
        for other in observed.below(old.key)
        if other.replica_identity or other.clustered or other.statistics
    )


def _without(gone: ObservedIndex, observed: Observed) -> Observed:
    """Return what is there when this tree is dropped; what is attached goes with it."""
    left = {key: other for key, other in observed.indexes.items() if gone.key not in (key, other.parent)}
    return replace(observed, indexes=left)


def leaf_name(index: Index, table: QualifiedName) -> str:
    """Return the name under which an index of a partition is built, whatever its name will be."""
    return f"pgstead_new_{short_hash(table.schema, table.name, index.name)}"


@dataclass(frozen=True)
class _Grower:
    """Hangs the partitions' indexes below that of their parent."""

    index: Index
    form: Form
    observed: Observed
    rules: Rules

    def top(self, table: QualifiedName, name: str, comment: str, parent: QualifiedName | None = None) -> Change:
        """The index ON ONLY a partitioned table: nothing is built."""
        recorded = parent is None and not of_a_run(name)
        step = Step(table, name, name, self.index, self.form, comment, parent=parent, recorded=recorded)
        return change("create_only", step, lock="ShareLock")

    def below(self, table: QualifiedName, parent: QualifiedName) -> tuple[Change, ...]:
        """What the partitions of a table still need to hang below the index `parent`."""
        steps: list[Change] = []
        for child in partitions(table, self.observed.tables):
            there = self.observed.of(child.name)
            attached = next((other for other in there if other.parent == parent), None)
            if attached and attached.valid:
                continue
            free = next((other for other in there if self._free(other)), None)
            if child.kind == "p":
                steps += self._branch(child.name, parent, attached or free)
            elif free:
                steps.append(change("attach", Step(child.name, free.name, free.name, parent=parent), lock=STRONG))
            elif not attached:
                steps += self._leaf(child.name, parent)
        return tuple(steps) or self._again(table, parent)

    def _again(self, table: QualifiedName, parent: QualifiedName) -> tuple[Change, ...]:
        """An index stays invalid when the partition that it lacked is dropped, until it is looked at again."""
        mine = self.observed.indexes.get(parent)
        children = [other for part in partitions(table, self.observed.tables) for other in self.observed.of(part.name)]
        attached = [other for other in children if other.parent == parent]
        if mine is None or mine.valid or not attached or not all(other.valid for other in attached):
            return ()
        step = Step(attached[0].table, attached[0].name, attached[0].name, parent=parent)
        return (change("attach", step, lock=STRONG, note="all are there; PostgreSQL has not looked since"),)

    def _free(self, other: ObservedIndex) -> bool:
        """Whether an index that a partition already has can be attached."""
        taken = other.parent is not None or other.constraint or other.builder or of_a_run(other.name)
        whole = other.valid or partitions(other.table, self.observed.tables)
        return bool(not taken and whole and self.rules.same(other.form, self.form))

    def _leaf(self, table: QualifiedName, parent: QualifiedName) -> list[Change]:
        name = self._child_name(table)
        building = leaf_name(self.index, table)
        ready = self.observed.indexes.get(QualifiedName(table.schema, building))
        finished = ready is not None and usable(ready, self.form, self.rules)
        steps = []
        if ready and not finished:
            steps.append(drop(table, building, "left by an interrupted build"))
        made = build(self.index, table, name, self.form, building)
        steps += [*([] if finished else [made]), *analysis(made, ready if finished else None)]
        comment = with_marker(None, self.rules.owner)
        step = Step(table, building, name, self.index, self.form, comment, parent=parent)
        return [*steps, change("attach", step, lock=STRONG)]

    def _branch(self, table: QualifiedName, parent: QualifiedName, mine: ObservedIndex | None) -> list[Change]:
        """A partition that is partitioned itself: its own index on ONLY it, attached at once, then what is below."""
        name = mine.name if mine else self._child_name(table)
        steps = [] if mine else [self.top(table, name, with_marker(None, self.rules.owner), parent)]
        steps += self.below(table, QualifiedName(table.schema, name))
        if mine and mine.parent != parent:
            steps.append(change("attach", Step(table, name, name, parent=parent), lock=STRONG))
        return steps

    def _child_name(self, table: QualifiedName) -> str:
        """Name a partition's index after its parent's, as PostgreSQL would; a taken name gets the definition's hash."""
        stem = self.index.name.removeprefix(self.index.table.name).strip("_").removesuffix("idx").strip("_")
        parts = [table.name, stem] if stem else [table.name]
        name, attempt = derive(parts, "idx"), 0
        while QualifiedName(table.schema, name) in self.observed.relations:
            name = derive([*parts, short_hash(self.form.text, str(attempt))[:6]], "idx")
            attempt += 1
        return name
