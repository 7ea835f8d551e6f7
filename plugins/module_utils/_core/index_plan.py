# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan for a whole list of indexes: each item's steps, what nobody declared, and what a purge takes away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import Problem
from .index import (
    Declared,
    Observed,
    ObservedIndex,
    Rules,
    change,
    described,
    drop,
    foreseeing,
    of_a_run,
    plan_plain,
    satisfying,
)
from .index import Step as IndexStep
from .index_check import check, identified
from .index_spec import Index
from .index_tree import STRONG, check_tree, plan_tree
from .names import QualifiedName
from .plan import Change, Difference, Plan, joined, not_noted, owner_of
from .relation import Tables, inherited_twice, table_problem, tree

INDEXABLE = "rpm"


def check_tables(declared: Sequence[Index], tables: Tables) -> tuple[Problem, ...]:
    """Return what is wrong with the tables of declared indexes; where one is only to be absent, a missing table is no
    fault.
    """
    problems = []
    for index in declared:
        if index.present or index.table in tables:
            found = table_problem(index.where, index.table, tables, INDEXABLE)
            problems += [found] if found else []
    return tuple(problems)


def check_all(declared: Sequence[Declared], observed: Observed, rules: Rules) -> tuple[Problem, ...]:
    """Return what is wrong with declared indexes, once the server has given their forms."""
    rules = foreseeing(declared, observed, rules)
    problems = list(check(declared, observed, rules))
    present = [item for item in declared if item.form]
    for item in present:
        if observed.tables[item.index.table].kind == "p":
            problems += check_tree(item, observed)
    places = [(item.index.position, item.index.table) for item in present]
    forms = {item.index.position: item.form for item in present}
    problems += inherited_twice(places, forms, observed.tables)
    return tuple(problems)


def plan(declared: Sequence[Declared], observed: Observed, rules: Rules) -> Plan:
    """Return all steps in the order of the list, then the purge; and which indexes nobody declared."""
    rules = foreseeing(declared, observed, rules)
    plans: list[Plan] = []
    seen = observed
    for item in declared:
        plans.append(_plan_one(item, seen, rules))
        seen = _after(plans[-1], seen)
    wanted = {QualifiedName(item.index.table.schema, item.index.name) for item in declared}
    wanted |= {
        found.key
        for item in declared
        if item.form and not item.index.named and (found := satisfying(item, observed, rules))
    }
    plans.append(_orphans(declared, observed, plans, rules))
    touched = {QualifiedName(step.table.schema, step.subject.source) for plan in plans for step in plan.changes}
    rest = [
        index
        for index in observed.indexes.values()
        if index.key not in wanted | touched and not index.bound and index.parent is None
    ]
    if rules.purge:
        plans.append(_purge(rest, observed, rules))
    tables = {item.index.table for item in declared}
    beside = sorted(str(index.key) for index in rest if index.table in tables and not owner_of(index.comment))
    return joined([*plans, Plan(unmanaged=tuple(beside), warnings=_warnings(declared, observed, rules))])


def _after(plan: Plan, observed: Observed) -> Observed:
    """Return what the next item finds: names that are taken, and indexes that this plan renames or attaches."""
    if not plan.changes:
        return observed
    taken = {QualifiedName(made.table.schema, made.subject.target) for made in plan.changes}
    sources = {
        source: made.subject
        for made in plan.changes
        if made.action in ("rename", "attach")
        and (source := QualifiedName(made.table.schema, made.subject.source)) in observed.indexes
    }
    if not sources:
        return observed.with_names(taken)
    moved = [replace(observed.indexes[key], name=to.target, parent=to.parent) for key, to in sources.items()]
    indexes = {key: index for key, index in observed.indexes.items() if key not in sources}
    indexes |= {index.key: index for index in moved}
    return replace(observed, indexes=indexes, relations=observed.relations | taken)


def _orphans(declared: Sequence[Declared], observed: Observed, plans: Sequence[Plan], rules: Rules) -> Plan:
    """Return drops of what interrupted runs left on these tables and their partitions, and no step takes up; a purge
    looks at all tables.
    """
    used = {
        QualifiedName(step.table.schema, name)
        for plan in plans
        for step in plan.changes
        for name in (step.subject.source, step.subject.target)
    }
    tables = set(observed.tables) if rules.purge else {item.index.table for item in declared}
    tables |= {part.name for table in tables for part in tree(table, observed.tables)}
    left = [
        index
        for table in sorted(tables)
        for index in observed.of(table)
        if of_a_run(index.name) and index.key not in used and not index.builder and not index.parent
    ]
    needed = {index.key: told for index in left if (told := identified(index, observed))}
    gone = [_dropped(index, observed, "left by an interrupted run") for index in left if index.key not in needed]
    said = [
        f"left alone: index {key}, left by an interrupted run, is the replica identity of {needed[key]}"
        for key in needed
    ]
    return Plan(tuple(gone), warnings=tuple(said))


def _plan_one(item: Declared, observed: Observed, rules: Rules) -> Plan:
    table = observed.tables.get(item.index.table)
    if table is None:
        return Plan()
    return (plan_tree if table.kind == "p" else plan_plain)(item, observed, rules)


def _purge(rest: Sequence[ObservedIndex], observed: Observed, rules: Rules) -> Plan:
    """Drop what is ours: what has our comment, and we noted that we made it. CREATE TABLE … (LIKE …) copies comments."""
    plans = []
    for index in rest:
        if owner_of(index.comment) != rules.owner or of_a_run(index.name):
            continue
        if index.key not in observed.made:
            plans.append(Plan(warnings=(not_noted(f"index {index.key}"),)))
        elif told := identified(index, observed):
            what = f"left alone: index {index.key} is no longer declared, and is the replica identity of {told}"
            plans.append(Plan(warnings=(what,)))
        else:
            plans.append(_purged(index, observed))
    return joined(plans)


def _purged(index: ObservedIndex, observed: Observed) -> Plan:
    before = described(index.name, index.table, index.form, index.comment)
    step = _dropped(index, observed, "no longer declared")
    return Plan((step,), (Difference(f"index {index.key}", before, ""),))


def _dropped(index: ObservedIndex, observed: Observed, note: str) -> Change:
    if observed.tables[index.table].kind == "p":
        return change("drop_tree", IndexStep(index.table, index.name, index.name), lock=STRONG, note=note)
    return drop(index.table, index.name, note)


def _warnings(declared: Sequence[Declared], observed: Observed, rules: Rules) -> tuple[str, ...]:
    """Name indexes that are there twice, or would be: each costs every write."""
    found = []
    seen: dict[tuple[object, ...], str] = {}
    for item in declared:
        if item.form:
            key = (item.index.table, item.form)
            if key in seen:
                found.append(f"{item.index.where}: is the same index as {seen[key]}")
            seen.setdefault(key, item.index.where)
    names = {QualifiedName(item.index.table.schema, item.index.name) for item in declared}
    for item in declared:
        index = item.index
        if not item.form or not index.named or QualifiedName(index.table.schema, index.name) in observed.indexes:
            continue
        for other in observed.of(index.table):
            foreign = other.key not in names and not owner_of(other.comment) and other.parent is None
            if foreign and other.valid and rules.same(other.form, item.form):
                found.append(f"{index.where}: {other.key} already is this index under another name")
    return tuple(found)
