"""Which steps lead to an index of a partitioned table, two levels deep: e over e1 and e2, e2 over e2a and e2b."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import index_plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Declared, Observed, ObservedIndex
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Mode
from ansible_collections.pgstead.ops.tests.unit.schema_world import (
    OURS,
    TABLES,
    World,
    form,
    leaf,
    new,
    observed,
    planned,
    q,
    rules,
    steps,
    table,
    there,
    want,
)

STRONG = "AccessExclusiveLock"
NEW = new("e_a", "e")
ITEM = want("e_a", "e")


def grown(on: str, name: str, parent: str) -> list[str]:
    """Return the steps that give a partition without partitions its index."""
    built = leaf("e_a", on)
    return [f"build {built}", f"attach {built} > {name} to {parent}"]


def whole(text: str = "a", top: str = "e_a", stem: str = "a", comment: str = OURS, **more: bool) -> list[ObservedIndex]:
    """A finished index; a name of a partition in `more` says that nothing is below it yet."""
    left = {part for part, is_there in more.items() if not is_there}
    e2_whole = not left & {"e2a", "e2b"}
    found = [
        there(top, "e", text, comment=comment, valid=not left),
        there(f"e1_{stem}_idx", "e1", text, parent=top, comment=OURS),
        there(f"e2_{stem}_idx", "e2", text, parent=top, comment=OURS, valid=e2_whole),
        there(f"e2a_{stem}_idx", "e2a", text, parent=f"e2_{stem}_idx", comment=OURS),
        there(f"e2b_{stem}_idx", "e2b", text, parent=f"e2_{stem}_idx", comment=OURS),
    ]
    return [one for one in found if one.table.name not in left]


BELOW_E2 = [*grown("e2a", "e2a_a_idx", "e2_a_idx"), *grown("e2b", "e2b_a_idx", "e2_a_idx")]
BELOW = [*grown("e1", "e1_a_idx", "e_a"), "create_only e2_a_idx to e_a", *BELOW_E2]
# the new tree beside an old one: the old one's partitions have the plain names
BESIDE = [
    *(f"create_only {NEW}", f"build {leaf('e_a', 'e1')}", f"attach {leaf('e_a', 'e1')} > e1_a_H_idx to {NEW}"),
    *(f"create_only e2_a_H_idx to {NEW}",),
    *(f"build {leaf('e_a', 'e2a')}", f"attach {leaf('e_a', 'e2a')} > e2a_a_H_idx to e2_a_H_idx"),
    *(f"build {leaf('e_a', 'e2b')}", f"attach {leaf('e_a', 'e2b')} > e2b_a_H_idx to e2_a_H_idx"),
    f"swap_tree {NEW} > e_a",
]

ROWS = [
    ("equal", ITEM, whole(), []),
    ("equal and somebody else's", ITEM, whole(comment=""), []),
    ("missing", ITEM, [], ["create_only e_a", *BELOW]),
    ("comment", want("e_a", "e", comment="x"), whole(), ["comment e_a"]),
    # half there
    ("only the parent's", ITEM, [there("e_a", "e", valid=False)], BELOW),
    ("lacks a partition", ITEM, whole(e1=False), grown("e1", "e1_a_idx", "e_a")),
    ("lacks one below", ITEM, whole(e2b=False), grown("e2b", "e2b_a_idx", "e2_a_idx")),
    ("and a comment", want("e_a", "e", comment="x"), whole(e2b=False),
     [*grown("e2b", "e2b_a_idx", "e2_a_idx"), "comment e_a"]),
    ("a branch that does not hang", ITEM,
     [*whole(e1=False, e2=False, e2a=False, e2b=False), there("e2_a_idx", "e2", valid=False)],
     [*grown("e1", "e1_a_idx", "e_a"), *BELOW_E2, "attach e2_a_idx to e_a"]),
    # builds that interrupted runs left
    ("a finished build", ITEM, [*whole(e1=False), there(leaf("e_a", "e1"), "e1")], grown("e1", "e1_a_idx", "e_a")[1:]),
    ("half a build", ITEM, [*whole(e1=False), there(leaf("e_a", "e1"), "e1", valid=False)],
     [f"drop {leaf('e_a', 'e1')}", *grown("e1", "e1_a_idx", "e_a")]),
    ("a stale build", ITEM, [*whole(e1=False), there(leaf("e_a", "e1"), "e1", "b")],
     [f"drop {leaf('e_a', 'e1')}", *grown("e1", "e1_a_idx", "e_a")]),
    ("a build that nobody needs", ITEM, [*whole(), there(leaf("e_a", "e2a"), "e2a")], [f"drop {leaf('e_a', 'e2a')}"]),
    # indexes that partitions have already
    ("one to attach", ITEM, [*whole(e1=False), there("mine", "e1")], ["attach mine to e_a"]),
    ("the second one to attach", ITEM, [*whole(e1=False), there("half", "e1", valid=False), there("mine", "e1")],
     ["attach mine to e_a"]),
    ("below a branch", ITEM, [*whole(e2b=False), there("mine", "e2b")], ["attach mine to e2_a_idx"]),
    ("a constraint's", ITEM, [*whole(e1=False), there("mine", "e1", constraint="c")], grown("e1", "e1_a_idx", "e_a")),
    ("being built", ITEM, [*whole(e1=False), there("mine", "e1", builder=7)], grown("e1", "e1_a_idx", "e_a")),
    ("another's", ITEM, [*whole(e1=False), there("mine", "e1", parent="x"), there("x", "e", "b")],
     grown("e1", "e1_a_idx", "e_a")),
    ("another definition", ITEM, [*whole(e1=False), there("mine", "e1", "b")], grown("e1", "e1_a_idx", "e_a")),
    ("a name that is taken", ITEM, [*whole(e1=False), there("e1_a_idx", "e1", "b")],
     grown("e1", "e1_a_H_idx", "e_a")),
    # another definition: the new tree grows beside the old one
    ("replaced", ITEM, whole("b"), BESIDE),
    ("replaced, half there", ITEM, [one for one in whole("b") if one.table.name == "e"], [
        *(f"create_only {NEW}", *grown("e1", "e1_a_idx", NEW), f"create_only e2_a_idx to {NEW}"),
        *(*BELOW_E2, f"swap_tree {NEW} > e_a"),
    ]),
    ("replaced, grown already", ITEM, [*whole("b"), *whole(top=NEW, stem="x")], [f"swap_tree {NEW} > e_a"]),
    ("replaced, half grown", ITEM, [*whole("b"), *whole(top=NEW, stem="x", e2b=False)],
     [f"build {leaf('e_a', 'e2b')}", f"attach {leaf('e_a', 'e2b')} > e2b_a_H_idx to e2_x_idx", BESIDE[-1]]),
    ("replaced, a third one grown", ITEM, [*whole("b"), *whole("c", top=NEW, stem="x")],
     [f"drop_tree {NEW}", *BESIDE]),
    ("a tree that nobody needs", ITEM, [*whole(), *whole("c", top=NEW, stem="x")], [f"drop_tree {NEW}"]),
    # what PostgreSQL leaves invalid
    ("its last partition dropped", ITEM, [replace(one, valid=one.name != "e_a") for one in whole()],
     ["attach e1_a_idx to e_a"]),
    ("the same below", ITEM, [replace(one, valid=one.name not in ("e_a", "e2_a_idx")) for one in whole()],
     ["attach e2a_a_idx to e2_a_idx"]),
    ("an invalid one that hangs", ITEM, [replace(one, valid=one.name not in ("e_a", "e1_a_idx")) for one in whole()],
     BESIDE),
    # absent
    ("absent", want("e_a", "e", present=False), whole(), ["drop_tree e_a"]),
    ("absent, half grown", want("e_a", "e", present=False), [*whole(e1=False), there(leaf("e_a", "e1"), "e1")],
     ["drop_tree e_a", f"drop {leaf('e_a', 'e1')}"]),
    ("absent already", want("e_a", "e", present=False), [], []),
    # without a name
    ("nameless", want("*e_a", "e"), whole(top="theirs", comment=""), []),
    ("nameless and half there", want("*e_a", "e"), whole(e2b=False), grown("e2b", "e2b_a_idx", "e2_a_idx")),
]  # fmt: skip


def told(found: Sequence[str]) -> list[str]:
    """Return steps with H for the hash that a taken name gets."""
    parts = [step.split("_") for step in found]
    return ["_".join("H" if len(one) == 6 and set(one) <= set("0123456789abcdef") else one for one in p) for p in parts]


@pytest.mark.parametrize(("item", "seen", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_steps(item: Declared, seen: Sequence[ObservedIndex], expected: list[str]) -> None:
    before = observed(*seen)
    assert index_plan.check_all([item], before, rules([item])) == ()
    plan = planned([item], before)
    assert told(steps(plan)) == expected
    after = World(before).after(plan.changes)
    assert steps(planned([item], after)) == []
    assert not any(name.name.startswith("pgstead_") for name in after.indexes)


def test_locks_and_modes() -> None:
    found = [(one.action, one.lock, one.mode) for one in planned([ITEM], observed()).changes]
    built = ("build", "ShareUpdateExclusiveLock", Mode.CONCURRENTLY)
    attached = ("attach", STRONG, Mode.TRANSACTION)
    assert found == [
        ("create_only", "ShareLock", Mode.TRANSACTION),
        *(built, attached),
        ("create_only", "ShareLock", Mode.TRANSACTION),  # attached in the same transaction
        *(built, attached, built, attached),
    ]
    (swap,) = planned([ITEM], observed(*whole("b"), *whole(top=NEW, stem="x"))).changes
    (gone,) = planned([want("e_a", "e", present=False)], observed(*whole())).changes
    assert [(one.lock, one.mode) for one in (swap, gone)] == [(STRONG, Mode.TRANSACTION)] * 2


def test_what_is_remembered() -> None:
    """Only the declared index is: its partitions' indexes come and go with it."""
    made = {
        one.name: one.subject.recorded for one in planned([ITEM], observed()).changes if one.action == "create_only"
    }
    assert made == {"e_a": True, "e2_a_idx": False}
    beside = planned([ITEM], observed(*whole("b"))).changes
    assert [one.subject.recorded for one in beside if one.action in ("create_only", "swap_tree")] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("item", "seen", "before", "after"),
    [
        (ITEM, [], "", "CREATE INDEX e_a ON public.e USING btree (a)\n"),
        (ITEM, whole(e1=False), "-- lacks partitions\nCREATE INDEX e_a ON public.e USING btree (a)\n",
         "CREATE INDEX e_a ON public.e USING btree (a)\n"),
        (ITEM, whole("b", comment="x"), "CREATE INDEX e_a ON public.e USING btree (b)\n-- x\n",
         "CREATE INDEX e_a ON public.e USING btree (a)\n-- x\n"),
        (want("e_a", "e", comment=""), whole("b", comment="x"), "CREATE INDEX e_a ON public.e USING btree (b)\n-- x\n",
         "CREATE INDEX e_a ON public.e USING btree (a)\n"),
        (want("e_a", "e", comment="y"), whole(e1=False, comment="x"),
         "-- lacks partitions\nCREATE INDEX e_a ON public.e USING btree (a)\n-- x\n",
         "CREATE INDEX e_a ON public.e USING btree (a)\n-- y\n"),
        (want("e_a", "e", present=False), whole(), "CREATE INDEX e_a ON public.e USING btree (a)\n", ""),
    ],
)  # fmt: skip
def test_differences(item: Declared, seen: Sequence[ObservedIndex], before: str, after: str) -> None:
    (found,) = planned([item], observed(*seen)).differences
    assert (found.object, found.before, found.after) == ("index public.e_a", before, after)


def test_drift() -> None:
    plan = planned([ITEM], observed(e_a="2026"))
    assert plan.drift == ("index public.e_a was there since 2026 and somebody dropped it",)


@pytest.mark.parametrize(
    ("item", "tables", "said"),
    [
        (want("e_a", "e", "a", unique=True), TABLES, ["partition key of public.e among its columns: day",
                                                      "partition key of public.e2 among its columns: kind"]),
        (want("e_a", "e", "day", unique=True), TABLES, ["partition key of public.e2 among its columns: kind"]),
        (want("e_a", "e", "kind, a, day", unique=True), TABLES, []),
        (want("e_a", "e", "a"), TABLES, []),
        (want("e_a", "e"), [*TABLES, table("e2c", "f", "e2")], ["foreign partitions (public.e2c)"]),
    ],
)  # fmt: skip
def test_what_cannot_be(item: Declared, tables: list[object], said: list[str]) -> None:
    seen = observed(tables=tables)
    found = [problem.what for problem in index_plan.check_all([item], seen, rules([item]))]
    assert len(found) == len(said)
    assert all(one in what for one, what in zip(said, found, strict=True))


def test_declared_on_a_partition_too() -> None:
    below = want("e2a_a", "e2a")
    below = replace(below, index=replace(below.index, position="indexes[1]"))
    (problem,) = index_plan.check_all([ITEM, below], observed(), rules([ITEM, below]))
    assert problem.what == "public.e is the parent of public.e2a and has the same at indexes[0]"
    other = replace(below, form=form("b"))
    assert index_plan.check_all([ITEM, other], observed(), rules([ITEM, other])) == ()


def test_a_table_without_partitions_yet() -> None:
    seen = observed(tables=[table("e", "p")])
    assert steps(planned([ITEM], seen)) == ["create_only e_a"]
    stuck = observed(there("e_a", "e", valid=False), tables=[table("e", "p")])
    assert steps(planned([ITEM], stuck)) == [f"create_only {NEW}", f"swap_tree {NEW} > e_a"]
    assert steps(planned([ITEM], World(stuck).after(planned([ITEM], stuck).changes))) == []


@pytest.mark.parametrize(
    ("name", "child"),
    [("e_a", "e1_a_idx"), ("e_a_idx", "e1_a_idx"), ("a", "e1_a_idx"), ("e", "e1_idx"), ("idx", "e1_idx"),
     ("by_day", "e1_by_day_idx"), ("x" * 63, None)],
)  # fmt: skip
def test_names_of_partitions_indexes(name: str, child: str | None) -> None:
    plan = planned([want(name, "e")], observed(tables=[table("e", "p"), table("e1", parent="e")]))
    found = plan.changes[-1].name
    assert len(found.encode()) <= 63
    assert found == child or (child is None and found.startswith("e1_xxx"))


def test_two_indexes_whose_partitions_would_have_one_name() -> None:
    items = [want("e_a", "e"), want("a", "e", "b")]
    after: Observed = World(observed()).after(planned(items, observed()).changes)
    assert steps(planned(items, after)) == []
    twice = [want("e_a", "e"), want("e_b", "e")]
    one = observed(there("mine", "e1"))
    assert steps(planned(twice, World(one).after(planned(twice, one).changes))) == []
    assert q("e1_b_idx") in World(one).after(planned(twice, one).changes).indexes
