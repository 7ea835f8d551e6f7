"""Tables and indexes for the tests of plans, and what a plan's steps make of them without a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core import index, index_plan, index_tree
from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Declared, Form, Observed, ObservedIndex
from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import Index, IndexColumn
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change, Mode, Plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table, partitions

OURS = "managed by pgstead.ops.indexes"


def q(name: str) -> QualifiedName:
    schema, _, plain = name.rpartition(".")
    return QualifiedName(schema or "public", plain)


def table(name: str, kind: str = "r", parent: str = "", key: str = "", **more: Any) -> Table:
    above = q(parent) if parent else None
    return Table(q(name), kind, "boss", parent=above, partition_columns=tuple(key.split()), **more)


# t, u and s.t are plain; e is split into e1 and e2, and e2 into e2a and e2b
TABLES = [
    *(table("t"), table("u"), table("s.t"), table("mv", "m")),
    *(table("e", "p", key="day"), table("e1", parent="e"), table("e2", "p", "e", "kind")),
    *(table("e2a", parent="e2"), table("e2b", parent="e2")),
]


def form(text: str = "a", *, unique: bool = False, tablespace: str = "") -> Form:
    return Form(f"USING btree ({text})", unique, tablespace)


def there(name: str, on: str = "t", text: str = "a", parent: str = "", **more: Any) -> ObservedIndex:
    """One index that is there; `name` goes without the schema, which is the table's."""
    words = {key: more.pop(key) for key in ("unique", "tablespace") if key in more}
    above = QualifiedName(q(on).schema, parent) if parent else None
    return ObservedIndex(q(on), name, form(text, **words), parent=above, **more)


def observed(
    *indexes: ObservedIndex, tables: Iterable[Table] = TABLES, taken: str = "", nullable: str = "", **made: str
) -> Observed:
    """What is there; `taken` are names of other things, `nullable` columns of t, and `made` what is noted as made."""
    known = {one.name: one for one in tables}
    found = {one.key: one for one in indexes}
    relations = frozenset(known) | frozenset(found) | frozenset(q(name) for name in taken.split())
    may_be_null = frozenset((q("t"), column) for column in nullable.split())
    return Observed(known, found, relations, {q(name): since for name, since in made.items()}, may_be_null)


def want(name: str = "i", on: str = "t", text: str = "a", *, present: bool = True, **more: Any) -> Declared:
    """One declared index; a name that begins with * is derived, not given."""
    words = {key: more.pop(key) for key in ("unique", "tablespace") if key in more}
    keys = text.split(", ")
    columns = tuple(IndexColumn(expression=key) if "(" in key else IndexColumn(name=key) for key in keys)
    made = Index("indexes[0]", q(on), name.lstrip("*"), not name.startswith("*"), columns, present=present, **more)
    made = replace(made, **words)
    return Declared(made, form(text, **words) if present else None)


def rules(declared: Sequence[Declared], **more: Any) -> index.Rules:
    names = frozenset(QualifiedName(one.index.table.schema, one.index.name) for one in declared)
    return index.Rules(declared=names, **more)


def planned(declared: Sequence[Declared], seen: Observed, **more: Any) -> Plan:
    return index_plan.plan(declared, seen, rules(declared, **more))


def steps(plan: Plan) -> list[str]:
    """Return a plan's steps, short: what is done, and to which names."""
    words = []
    for change in plan.changes:
        step = change.subject
        names = step.target if step.source == step.target else f"{step.source} > {step.target}"
        words.append(f"{change.action} {names}" + (f" to {step.parent.name}" if step.parent else ""))
    return words


def new(name: str, on: str = "t") -> str:
    return index.temporary_name(q(on), name)


def old(name: str, on: str = "t") -> str:
    return index.retired_name(q(on), name)


def leaf(name: str, on: str) -> str:
    """Return the name under which the index of a partition is built for the index `name` of its parent."""
    return index_tree.leaf_name(want(name, "e").index, q(on))


class World:
    """What the server would have after each step; a step that it would refuse fails an assertion."""

    def __init__(self, seen: Observed) -> None:
        self.seen = seen
        self.indexes = dict(seen.indexes)
        self.others = seen.relations - frozenset(seen.indexes)
        self.made = dict(seen.made)

    def after(self, changes: Iterable[Change]) -> Observed:
        for change in changes:
            assert (change.mode is Mode.CONCURRENTLY) == (change.action in ("build", "drop"))
            if change.action == "swap":
                assert change.subject.old.replica_identity is (change.lock == "AccessExclusiveLock")
            getattr(self, f"_{change.action}")(change.subject)
        relations = self.others | frozenset(self.indexes)
        return replace(self.seen, indexes=dict(self.indexes), relations=relations, made=dict(self.made))

    def _noted(self, step: index.Step) -> None:
        if step.recorded:
            self.made[QualifiedName(step.table.schema, step.target)] = "now"

    def _kind(self, step: index.Step) -> str:
        return self.seen.tables[step.table].kind

    def _add(self, made: ObservedIndex) -> None:
        assert made.key not in self.indexes, f"{made.key} is there already"
        assert made.key not in self.others, f"{made.key} is something else"
        self.indexes[made.key] = made

    def _take(self, step: index.Step, name: str) -> ObservedIndex:
        found = self.indexes.pop(QualifiedName(step.table.schema, name))
        assert found.table == step.table, f"{name} is on {found.table}"
        return found

    def _build(self, step: index.Step) -> None:
        assert self._kind(step) != "p"
        assert step.form
        self._add(ObservedIndex(step.table, step.target, step.form))

    def _create_only(self, step: index.Step) -> None:
        assert self._kind(step) == "p"
        assert step.form
        empty = not partitions(step.table, self.seen.tables)
        self._add(ObservedIndex(step.table, step.target, step.form, empty, comment=step.comment))
        self._noted(step)
        if step.parent:
            self._attach(step)

    def _analyze(self, step: index.Step) -> None:
        self._add(replace(self._take(step, step.source), analysed=True))

    def _drop(self, step: index.Step) -> None:
        assert self._kind(step) != "p"
        if QualifiedName(step.table.schema, step.target) in self.indexes:  # IF EXISTS
            gone = self._take(step, step.target)
            assert (gone.parent, gone.bound, gone.replica_identity) == (None, "", False), f"{gone.key} is needed"

    def _drop_tree(self, step: index.Step) -> None:
        assert self._kind(step) == "p"
        gone = self._take(step, step.target)
        assert (gone.parent, gone.bound) == (None, ""), f"{gone.key} is needed"
        self._forget_below(gone)

    def _forget_below(self, gone: ObservedIndex) -> None:
        for other in [one for one in self.indexes.values() if one.parent == gone.key]:
            del self.indexes[other.key]
            self._forget_below(other)

    def _comment(self, step: index.Step) -> None:
        found = self._take(step, step.source)
        self._add(replace(found, comment=step.comment))

    def _rename(self, step: index.Step) -> None:
        found = self._take(step, step.source)
        self._add(replace(found, name=step.target, comment=step.comment))
        self._noted(step)
        self._point_to(found.key, QualifiedName(step.table.schema, step.target))

    def _adopt(self, step: index.Step) -> None:
        assert self.indexes[QualifiedName(step.table.schema, step.source)].valid
        self._rename(step)

    def _point_to(self, before: QualifiedName, after: QualifiedName) -> None:
        for other in [one for one in self.indexes.values() if one.parent == before]:
            self.indexes[other.key] = replace(other, parent=after)

    def _attach(self, step: index.Step) -> None:
        assert step.parent
        found = self._take(step, step.source)
        above = self.indexes[step.parent]
        assert above.table == self.seen.tables[step.table].parent
        assert found.parent in (None, step.parent)
        assert not found.constraint
        assert (found.form.text, found.form.unique) == (above.form.text, above.form.unique)
        assert not [one for one in self.indexes.values() if one.table == step.table and one.parent == step.parent]
        comment = step.comment if step.source != step.target else found.comment
        self._add(replace(found, name=step.target, parent=step.parent, comment=comment))
        self._point_to(found.key, QualifiedName(step.table.schema, step.target))
        self._validate(step.parent)

    def _validate(self, key: QualifiedName) -> None:
        """A partitioned index becomes valid with the last of its partitions."""
        above = self.indexes[key]
        parts = {part.name for part in partitions(above.table, self.seen.tables)}
        whole = parts == {one.table for one in self.indexes.values() if one.parent == key and one.valid}
        if whole and not above.valid:
            self.indexes[key] = replace(above, valid=True)
            if above.parent:
                self._validate(above.parent)

    def _swap(self, step: index.Step) -> None:
        before = self._take(step, step.target)
        self._add(replace(before, name=old(step.target, str(step.table)), replica_identity=False, clustered=False))
        after = self._take(step, step.source)
        assert after.valid
        kept = {"replica_identity": before.replica_identity, "clustered": before.clustered}
        self._add(replace(after, name=step.target, comment=step.comment, **kept))
        self._noted(step)

    def _swap_tree(self, step: index.Step) -> None:
        source = self.indexes[QualifiedName(step.table.schema, step.source)]
        assert source.valid, f"{source.key} lacks partitions"
        gone = self._take(step, step.target)
        assert (gone.parent, gone.bound) == (None, "")
        self._forget_below(gone)
        self._rename(step)
