# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes: what is there, laid beside what is declared, gives the steps between the two.

A plain index is built under a name of its own (`pgstead_new_…`) and takes its final name in a short transaction when
it is valid: whatever kills a run, a finished build is found and used by the next. Those of partitioned tables:
index_tree.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property

from .index_spec import Index
from .names import NAME_BYTES, QualifiedName, short_hash
from .plan import Change, Difference, Mode, Plan, owner_of, with_marker, without_marker
from .relation import Tables

KIND = "index"
UPDATE_LOCK = "ShareUpdateExclusiveLock"
_OF_A_RUN = re.compile(r"pgstead_(new|old)_[0-9a-f]{12}")
_REINDEX_LEFTOVER = re.compile(r"(.+)_(ccnew|ccold)\d*")


@dataclass(frozen=True)
class Form:
    """An index's definition as the server deparses it: everything from `USING` on."""

    text: str
    unique: bool = False
    tablespace: str = ""


@dataclass(frozen=True)
class ObservedIndex:
    """One index as the catalogue has it."""

    table: QualifiedName
    name: str
    form: Form
    valid: bool = True
    builder: int = 0  # process that is building it right now
    constraint: str = ""  # constraint that it stands behind
    referenced_by: tuple[str, ...] = ()  # foreign keys that need it
    replica_identity: bool = False
    clustered: bool = False
    statistics: tuple[tuple[int, int], ...] = ()  # (key, target), where not the default
    analysed: bool = False  # only of builds under their temporary name: whether the planner has statistics of it
    immediate: bool = True  # rows are unique at once, not only at the end of a transaction
    comment: str = ""
    parent: QualifiedName | None = None  # index of the partitioned table that it is attached to

    @property
    def key(self) -> QualifiedName:
        return QualifiedName(self.table.schema, self.name)

    @property
    def bound(self) -> str:
        """What would break without it, or an empty text."""
        if self.constraint:
            return f"constraint {self.constraint}"
        return f"foreign key {', '.join(self.referenced_by)}" if self.referenced_by else ""


@dataclass(frozen=True)
class Declared:
    """A declared index with the form that the server gave it; None where nothing is asked for but its absence."""

    index: Index
    form: Form | None


@dataclass(frozen=True)
class Observed:
    """Everything that a plan of indexes looks at."""

    tables: Tables
    indexes: Mapping[QualifiedName, ObservedIndex]
    relations: frozenset[QualifiedName] = frozenset()  # every name taken
    made: Mapping[QualifiedName, str] = field(default_factory=dict)  # index → since when this collection has it there
    # columns that may be NULL, of tables whose replica identity is an index
    nullable: frozenset[tuple[QualifiedName, str]] = frozenset()

    @cached_property
    def _by_table(self) -> Mapping[QualifiedName, tuple[ObservedIndex, ...]]:
        found: dict[QualifiedName, list[ObservedIndex]] = {}
        for index in self.indexes.values():
            found.setdefault(index.table, []).append(index)
        return {table: tuple(indexes) for table, indexes in found.items()}

    @cached_property
    def _by_parent(self) -> Mapping[QualifiedName, tuple[ObservedIndex, ...]]:
        found: dict[QualifiedName, list[ObservedIndex]] = {}
        for index in self.indexes.values():
            if index.parent:
                found.setdefault(index.parent, []).append(index)
        return {parent: tuple(indexes) for parent, indexes in found.items()}

    def of(self, table: QualifiedName) -> tuple[ObservedIndex, ...]:
        """The indexes of one table."""
        return self._by_table.get(table, ())

    def with_names(self, taken: AbstractSet[QualifiedName]) -> Observed:
        """Return the same with more names taken; the same indexes need not be sorted again."""
        after = replace(self, relations=self.relations | taken)
        after.__dict__.update(
            {name: self.__dict__[name] for name in ("_by_table", "_by_parent") if name in self.__dict__}
        )
        return after

    def below(self, top: QualifiedName) -> tuple[ObservedIndex, ...]:
        """Everything that hangs below a partitioned index."""
        children = self._by_parent.get(top, ())
        return (*children, *(other for child in children for other in self.below(child.key)))


@dataclass(frozen=True)
class Heir:
    """An index of a partition that is to have what hangs on the one in whose place it comes."""

    table: QualifiedName
    name: str
    old: ObservedIndex


@dataclass(frozen=True)
class Step:
    """What the renderer needs for one change of one index."""

    table: QualifiedName
    source: str  # the name it has before
    target: str  # the name it has afterwards
    index: Index | None = None
    form: Form | None = None
    comment: str = ""
    old: ObservedIndex | None = None
    parent: QualifiedName | None = None
    recorded: bool = True  # whether the collection remembers that it made it
    heirs: tuple[Heir, ...] = ()


@dataclass(frozen=True)
class Rules:
    """How a plan is made: whose objects these are, whether what is no longer declared goes, and equal texts."""

    owner: str = "indexes"
    purge: bool = False
    declared: frozenset[QualifiedName] = frozenset()  # every name in the list
    # text of a definition → its text after one more round through the server, where that was asked for
    settled: Mapping[str, str] = field(default_factory=dict)
    leaving: frozenset[QualifiedName] = frozenset()  # indexes that do not stay what they are

    def same(self, one: Form, other: Form) -> bool:
        """Whether two forms are one definition."""
        if (one.unique, one.tablespace) != (other.unique, other.tablespace):
            return False
        return one.text == other.text or self.settled.get(one.text, one.text) == self.settled.get(
            other.text, other.text
        )


def temporary_name(table: QualifiedName, name: str) -> str:
    """Return the name under which an index is built."""
    return f"pgstead_new_{short_hash(table.schema, name)}"


def retired_name(table: QualifiedName, name: str) -> str:
    """Return the name that a replaced index has until it is dropped."""
    return f"pgstead_old_{short_hash(table.schema, name)}"


def of_a_run(name: str) -> bool:
    """Whether an index bears such a name; that of a table may begin with pgstead_ too, and so its indexes'."""
    return _OF_A_RUN.fullmatch(name) is not None


def shown(name: str, table: QualifiedName, form: Form) -> str:
    """Return an index as one statement, for people."""
    place = f" TABLESPACE {form.tablespace}" if form.tablespace else ""
    return f"CREATE {'UNIQUE ' if form.unique else ''}INDEX {name} ON {table} {form.text}{place}\n"


def described(name: str, table: QualifiedName, form: Form, comment: str | None) -> str:
    """Return an index with its comment, as a diff shows it."""
    written = without_marker(comment)
    return shown(name, table, form) + (f"-- {written}\n" if written else "")


def candidates(index: Index, observed: Observed) -> tuple[ObservedIndex, ...]:
    """Return the indexes that may be what is declared: that of the name, or any of the table where none is given."""
    mine = observed.indexes.get(QualifiedName(index.table.schema, index.name))
    found = [mine] if mine and mine.table == index.table else []
    building = observed.indexes.get(QualifiedName(index.table.schema, temporary_name(index.table, index.name)))
    found += [building] if building and building.table == index.table else []
    if not index.named:
        found += [other for other in observed.of(index.table) if other not in found]
    return tuple(found)


def unsettled(declared: Sequence[Declared], observed: Observed) -> frozenset[tuple[QualifiedName, str]]:
    """Return (table, text) of definitions that differ but may be one: deparsing is no fixpoint for expressions."""
    return frozenset(
        (item.index.table, text)
        for item in declared
        if item.form
        for other in candidates(item.index, observed)
        if other.form.text != item.form.text and other.form.text.count("(") > 1 and item.form.text.count("(") > 1
        for text in (item.form.text, other.form.text)
    )


def foreseeing(declared: Sequence[Declared], observed: Observed, rules: Rules) -> Rules:
    """Return rules that know which indexes the items of a list change or drop: none of them satisfies another item."""
    keys = [(item.form, QualifiedName(item.index.table.schema, item.index.name)) for item in declared]
    found = [(form, mine) for form, key in keys if (mine := observed.indexes.get(key))]
    leaving = frozenset(mine.key for form, mine in found if not (form and rules.same(mine.form, form)))
    return replace(rules, leaving=leaving)


def satisfying(item: Declared, observed: Observed, rules: Rules) -> ObservedIndex | None:
    """Return the valid index that already is what a nameless item declares, its own name first."""
    assert item.form
    for other in candidates(item.index, observed):
        finished = other.valid and not of_a_run(other.name) and other.key not in rules.leaving
        finished = finished and (other.immediate or not item.form.unique)
        if finished and other.parent is None and rules.same(other.form, item.form):
            return other
    return None


def plan_plain(item: Declared, observed: Observed, rules: Rules) -> Plan:
    """Return the steps for one index of a table without partitions."""
    index, form = item.index, item.form
    mine = observed.indexes.get(QualifiedName(index.table.schema, index.name))
    leftovers = _leftovers(item, observed, rules)
    if form is None:
        return _absent(index, mine, leftovers)
    found = mine if mine and mine.valid and rules.same(mine.form, form) else None
    if found is None and not index.named:
        found = satisfying(item, observed, rules)
    if found is not None:
        return kept(index, found, leftovers, rules)
    elsewhere = _renamed(item, observed, leftovers, rules) if mine is None else None
    if elsewhere:
        return elsewhere
    return _built(item, mine, observed, leftovers, rules)


def change(
    action: str, subject: Step, *, mode: Mode = Mode.TRANSACTION, lock: str = UPDATE_LOCK, note: str = ""
) -> Change:
    """Return one change of one index."""
    return Change(KIND, subject.table, subject.target, action, lock, mode, subject, note)


def drop(table: QualifiedName, name: str, note: str = "") -> Change:
    """Return the step that drops an index without blocking anyone."""
    step = Step(table, name, name, recorded=not of_a_run(name))
    return change("drop", step, mode=Mode.CONCURRENTLY, note=note)


def build(index: Index, table: QualifiedName, name: str, form: Form, building: str) -> Change:
    """Return the step that builds the index `name` under a name of its own."""
    step = Step(table, building, building, index, form)
    tree = "" if table == index.table else f"{index.name} on {index.table}"
    return Change(KIND, table, name, "build", UPDATE_LOCK, Mode.CONCURRENTLY, step, leaves=building, tree=tree)


def analysis(made: Change, ready: ObservedIndex | None, old: ObservedIndex | None = None) -> list[Change]:
    """Return the step that gives a build its statistics before queries rely on it: only those on expressions have any."""
    if all(key.name for key in made.subject.index.columns) or (ready and ready.analysed):
        return []
    return [replace(made, action="analyze", mode=Mode.SCAN, subject=replace(made.subject, old=old), leaves="")]


def _leftovers(item: Declared, observed: Observed, rules: Rules) -> tuple[Change, ...]:
    """Return drops of what interrupted runs left for this index: a half build, a replaced one, REINDEX's own."""
    index = item.index
    steps = []
    building = observed.indexes.get(QualifiedName(index.table.schema, temporary_name(index.table, index.name)))
    if building and not usable(building, item.form, rules):
        steps.append(drop(index.table, building.name, "left by an interrupted build"))
    retired = observed.indexes.get(QualifiedName(index.table.schema, retired_name(index.table, index.name)))
    if retired:
        steps.append(drop(index.table, retired.name, "replaced by an interrupted run"))
    dead = [other.name for other in observed.of(index.table) if not other.valid and not other.builder]
    reindexed = [name for name in dead if _left_by_reindex(name, index.name)]
    return (*steps, *(drop(index.table, name, "left by a failed REINDEX CONCURRENTLY") for name in reindexed))


def _left_by_reindex(name: str, of: str) -> bool:
    """Whether REINDEX CONCURRENTLY gives this name to the copy of an index; it cuts a long one to make room."""
    match = _REINDEX_LEFTOVER.fullmatch(name)
    cut = len(name.encode()) > NAME_BYTES - 4  # a character that does not fit has up to four bytes
    return match is not None and (match[1] == of or (cut and of.startswith(match[1])))


def usable(building: ObservedIndex, form: Form | None, rules: Rules) -> bool:
    """Whether a build under its temporary name is finished and still what is wanted."""
    return building.valid and form is not None and rules.same(building.form, form)


def comment_of(index: Index, old: ObservedIndex | None, rules: Rules) -> str:
    """Return the comment of an index of ours; where none is declared, what a person wrote stays."""
    written = without_marker(old.comment) if old and index.comment is None else index.comment
    return with_marker(written, rules.owner)


def _absent(index: Index, mine: ObservedIndex | None, leftovers: tuple[Change, ...]) -> Plan:
    if mine is None:
        return Plan(leftovers)
    before = described(mine.name, mine.table, mine.form, mine.comment)
    gone = Difference(f"index {mine.key}", before, "")
    return Plan((*leftovers, drop(index.table, index.name)), (gone,))


def kept(index: Index, found: ObservedIndex, leftovers: tuple[Change, ...], rules: Rules) -> Plan:
    """Return what is left to do for an index that already is as declared: its comment, and the remains of others."""
    owned = owner_of(found.comment) == rules.owner
    if index.comment is None or index.comment == without_marker(found.comment) or found.name != index.name:
        return Plan(leftovers)
    comment = with_marker(index.comment, rules.owner) if owned else index.comment
    step = change("comment", Step(index.table, found.name, found.name, comment=comment))
    before = described(found.name, found.table, found.form, found.comment)
    after = described(found.name, found.table, found.form, comment)
    return Plan((*leftovers, step), (Difference(f"index {found.key}", before, after),))


def _renamed(item: Declared, observed: Observed, leftovers: tuple[Change, ...], rules: Rules) -> Plan | None:
    """An index of ours with this definition and another name is not built again. One that somebody made a constraint of keeps the
    constraint's name.
    """
    index, form = item.index, item.form
    assert form
    for other in observed.of(index.table):
        ours = owner_of(other.comment) == rules.owner and not other.parent
        ours = ours and not of_a_run(other.name)
        if ours and other.valid and other.key not in rules.declared and rules.same(other.form, form):
            if other.constraint:
                what = f"index {index.name} is {other.key} of {other.bound} by now: take it out of the inventory, or give it that name"
                return Plan(leftovers, warnings=(what,))
            comment = comment_of(index, other, rules)
            step = change("rename", Step(index.table, other.name, index.name, comment=comment))
            before = described(other.name, other.table, other.form, other.comment)
            after = described(index.name, index.table, form, comment)
            return Plan((*leftovers, step), (Difference(f"index {other.key}", before, after),))
    return None


def _built(
    item: Declared, mine: ObservedIndex | None, observed: Observed, leftovers: tuple[Change, ...], rules: Rules
) -> Plan:
    """Return build and adoption, or build, swap and drop where another definition has the name."""
    index, form = item.index, item.form
    assert form
    building = temporary_name(index.table, index.name)
    ready = observed.indexes.get(QualifiedName(index.table.schema, building))
    ready = ready if ready and usable(ready, form, rules) else None
    replaced = mine if mine and mine.valid else None
    comment = comment_of(index, replaced, rules)
    steps = list(leftovers)
    if mine and not mine.valid:
        steps.append(drop(index.table, mine.name, "invalid: its build failed or was interrupted"))
    made = build(index, index.table, index.name, form, building)
    steps += [*([] if ready else [made]), *analysis(made, ready, replaced)]
    if replaced:
        strong = "AccessExclusiveLock" if replaced.replica_identity else UPDATE_LOCK
        step = Step(index.table, building, index.name, index, form, comment, replaced)
        steps.append(change("swap", step, lock=strong))
        steps.append(drop(index.table, retired_name(index.table, index.name), "the definition that was replaced"))
    else:
        steps.append(change("adopt", Step(index.table, building, index.name, index, form, comment)))
    key = QualifiedName(index.table.schema, index.name)
    before = described(mine.name, mine.table, mine.form, mine.comment) if mine else ""
    if mine and not mine.valid:
        before = "-- invalid\n" + before
    difference = Difference(f"index {key}", before, described(index.name, index.table, form, comment))
    return Plan(tuple(steps), (difference,), drift_of(key, mine, observed))


def drift_of(key: QualifiedName, mine: ObservedIndex | None, observed: Observed) -> tuple[str, ...]:
    """Say that an index of ours was dropped by somebody else, if it was."""
    since = observed.made.get(key)
    return (f"index {key} was there since {since} and somebody dropped it",) if since and mine is None else ()
