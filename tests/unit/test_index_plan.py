"""Which steps lead from the indexes that are there to those that are declared: tables without partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import index as i
from ansible_collections.pgstead.ops.plugins.module_utils._core import index_plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Declared, ObservedIndex
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Mode
from ansible_collections.pgstead.ops.tests.unit.schema_world import (
    OURS,
    World,
    form,
    new,
    observed,
    old,
    planned,
    q,
    rules,
    steps,
    there,
    want,
)

NEW, OLD = new("i"), old("i")
BUILT = [f"build {NEW}", f"adopt {NEW} > i"]
SWAPPED = [f"build {NEW}", f"swap {NEW} > i", f"drop {OLD}"]
LONG = "i" * 63

ONE = [
    # equal
    ("equal", want(), [there("i")], []),
    ("equal and ours", want(comment="x"), [there("i", comment=f"x\n{OURS}")], []),
    ("of a materialised view", want(on="mv"), [there("i", "mv")], []),
    ("equal, bound", want(unique=True), [there("i", unique=True, constraint="c")], []),
    # missing
    ("missing", want(), [], BUILT),
    ("of that name in another schema", want(), [there("i", "s.t")], BUILT),
    ("same definition of another table", want(), [there("j", "u", comment=OURS)], BUILT),
    # there, and no use
    ("invalid", want(), [there("i", valid=False)], ["drop i", *BUILT]),
    ("invalid and different", want(), [there("i", text="b", valid=False)], ["drop i", *BUILT]),
    # what interrupted runs left
    ("usable build", want(), [there(NEW)], BUILT[1:]),
    ("usable build for another definition", want(), [there("i", text="b"), there(NEW)], SWAPPED[1:]),
    ("half a build", want(), [there(NEW, valid=False)], [f"drop {NEW}", *BUILT]),
    ("stale build", want(), [there(NEW, text="b")], [f"drop {NEW}", *BUILT]),
    ("stale build of a unique one", want(), [there(NEW, unique=True)], [f"drop {NEW}", *BUILT]),
    ("build that nobody needs", want(), [there("i"), there(NEW)], [f"drop {NEW}"]),
    ("retired", want(), [there("i"), there(OLD, text="b")], [f"drop {OLD}"]),
    ("retired, ours, and what is wanted", want(), [there(OLD, comment=OURS)], [f"drop {OLD}", *BUILT]),
    ("retired before another swap", want(), [there("i", text="b"), there(OLD)], [f"drop {OLD}", *SWAPPED]),
    # REINDEX CONCURRENTLY's own
    ("ccnew", want(), [there("i"), there("i_ccnew", valid=False)], ["drop i_ccnew"]),
    ("ccold1", want(), [there("i"), there("i_ccold1", valid=False)], ["drop i_ccold1"]),
    ("ccnew in use", want(), [there("i"), there("i_ccnew", valid=False, builder=7)], []),
    ("ccnew that is a name", want(), [there("i"), there("i_ccnew")], []),
    ("ccnew of another", want(), [there("i"), there("j_ccnew", valid=False)], []),
    ("ccnew of another table", want(), [there("i"), there("i_ccnew", "u", valid=False)], []),
    (
        "ccnew of a long name",
        want(LONG),
        [there(LONG), there(LONG[:57] + "_ccnew", valid=False)],
        [f"drop {LONG[:57]}_ccnew"],
    ),
    # another definition
    ("other columns", want(), [there("i", text="b")], SWAPPED),
    ("not unique", want(unique=True), [there("i")], SWAPPED),
    ("another tablespace", want(tablespace="fast"), [there("i")], SWAPPED),
    ("replica identity", want(unique=True), [there("i", text="b", unique=True, replica_identity=True)], SWAPPED),
    # ours under another name
    ("renamed", want(), [there("j", comment=OURS)], ["rename j > i"]),
    (
        "renamed beside leftovers",
        want(),
        [there("j", comment=OURS), there(NEW), there("i_ccnew", valid=False)],
        ["drop i_ccnew", "rename j > i", f"drop {NEW}"],
    ),
    ("a constraint by now", want(unique=True), [there("pk", unique=True, comment=OURS, constraint="pk")], []),
    ("somebody else's under another name", want(), [there("j")], BUILT),
    ("of another module under another name", want(), [there("j", comment="managed by pgstead.ops.x")], BUILT),
    ("ours, invalid, under another name", want(), [there("j", comment=OURS, valid=False)], BUILT),
    ("ours, different, under another name", want(), [there("j", text="b", comment=OURS)], BUILT),
    # on an expression: the planner has statistics of it before it relies on it
    ("expression", want(text="(f(a))"), [], [BUILT[0], f"analyze {NEW}", BUILT[1]]),
    (
        "expression, another",
        want(text="a, (f(a))"),
        [there("i", text="(f(a))")],
        [SWAPPED[0], f"analyze {NEW}", *SWAPPED[1:]],
    ),
    ("expression, built", want(text="(f(a))"), [there(NEW, text="(f(a))")], [f"analyze {NEW}", BUILT[1]]),
    ("expression, analysed", want(text="(f(a))"), [there(NEW, text="(f(a))", analysed=True)], BUILT[1:]),
    ("expression, renamed", want(text="(f(a))"), [there("j", text="(f(a))", comment=OURS)], ["rename j > i"]),
    # comments
    ("comment", want(comment="x"), [there("i")], ["comment i"]),
    ("comment taken away", want(comment=""), [there("i", comment=f"x\n{OURS}")], ["comment i"]),
    ("comment that is not declared", want(), [there("i", comment="x")], []),
    # absent
    ("absent", want(present=False), [there("i")], ["drop i"]),
    ("absent and invalid", want(present=False), [there("i", valid=False)], ["drop i"]),
    (
        "absent, with leftovers",
        want(present=False),
        [there("i"), there(NEW), there(OLD)],
        [f"drop {NEW}", f"drop {OLD}", "drop i"],
    ),
    ("absent already", want(present=False), [], []),
    ("absent, its table too", want(present=False, on="gone"), [], []),
    # without a name
    ("nameless", want("*t_a_idx"), [], [f"build {new('t_a_idx')}", f"adopt {new('t_a_idx')} > t_a_idx"]),
    ("nameless, own name", want("*t_a_idx"), [there("t_a_idx"), there("j")], []),
    ("nameless, another name", want("*t_a_idx"), [there("j", comment="x")], []),
    ("nameless, another name, comment", want("*t_a_idx", comment="y"), [there("j", comment="x")], []),
    ("nameless, a constraint's", want("*t_a_idx", unique=True), [there("pk", unique=True, constraint="pk")], []),
    ("nameless, ours under another name", want("*t_a_idx"), [there("j", comment=OURS)], []),
    (
        "nameless, unique in the end only under another name",
        want("*t_a_idx", unique=True),
        [there("j", unique=True, constraint="j", immediate=False)],
        [f"build {new('t_a_idx')}", f"adopt {new('t_a_idx')} > t_a_idx"],
    ),
    (
        "nameless, invalid under another name",
        want("*t_a_idx"),
        [there("j", valid=False)],
        [f"build {new('t_a_idx')}", f"adopt {new('t_a_idx')} > t_a_idx"],
    ),
    (
        "nameless, ours of another definition",
        want("*t_a_idx"),
        [there("t_a_idx", text="b", comment=OURS)],
        [f"build {new('t_a_idx')}", f"swap {new('t_a_idx')} > t_a_idx", f"drop {old('t_a_idx')}"],
    ),
    ("nameless, a build elsewhere", want("*t_a_idx"), [there("j"), there(new("t_a_idx"))], [f"drop {new('t_a_idx')}"]),
    ("a table whose name begins like a build", want("*pgstead_a_idx"), [there("pgstead_a_idx")], []),
]


@pytest.mark.parametrize(("item", "seen", "expected"), [row[1:] for row in ONE], ids=[row[0] for row in ONE])
def test_steps(item: Declared, seen: Sequence[ObservedIndex], expected: list[str]) -> None:
    before = observed(*seen)
    assert index_plan.check_all([item], before, rules([item])) == ()
    plan = planned([item], before)
    assert steps(plan) == expected
    after = World(before).after(plan.changes)
    assert steps(planned([item], after)) == []


@pytest.mark.parametrize(("identity", "lock"), [(False, "ShareUpdateExclusiveLock"), (True, "AccessExclusiveLock")])
def test_locks_and_modes(lock: str, *, identity: bool) -> None:
    plan = planned([want()], observed(there("i", text="b", replica_identity=identity)))
    assert [(one.action, one.lock, one.mode, one.leaves) for one in plan.changes] == [
        ("build", "ShareUpdateExclusiveLock", Mode.CONCURRENTLY, NEW),
        ("swap", lock, Mode.TRANSACTION, ""),
        ("drop", "ShareUpdateExclusiveLock", Mode.CONCURRENTLY, ""),
    ]
    assert [one.object for one in plan.changes] == ["i on public.t", "i on public.t", f"{OLD} on public.t"]
    assert [one.subject.recorded for one in plan.changes] == [True, True, False]


@pytest.mark.parametrize(
    ("item", "seen", "before", "after"),
    [
        (want(comment="x"), [], "", "CREATE INDEX i ON public.t USING btree (a)\n-- x\n"),
        (want(unique=True, tablespace="fast"), [], "",
         "CREATE UNIQUE INDEX i ON public.t USING btree (a) TABLESPACE fast\n"),
        (want(), [there("i", valid=False)], "-- invalid\nCREATE INDEX i ON public.t USING btree (a)\n",
         "CREATE INDEX i ON public.t USING btree (a)\n"),
        (want(), [there("i", text="b", comment="y")], "CREATE INDEX i ON public.t USING btree (b)\n-- y\n",
         "CREATE INDEX i ON public.t USING btree (a)\n-- y\n"),
        (want(comment=""), [there("i", text="b", comment="y")],
         "CREATE INDEX i ON public.t USING btree (b)\n-- y\n", "CREATE INDEX i ON public.t USING btree (a)\n"),
        (want(comment="z"), [there("i", comment=f"y\n{OURS}")],
         "CREATE INDEX i ON public.t USING btree (a)\n-- y\n", "CREATE INDEX i ON public.t USING btree (a)\n-- z\n"),
        (want(present=False), [there("i")], "CREATE INDEX i ON public.t USING btree (a)\n", ""),
    ],
)  # fmt: skip
def test_differences(item: Declared, seen: Sequence[ObservedIndex], before: str, after: str) -> None:
    (found,) = planned([item], observed(*seen)).differences
    assert (found.object, found.before, found.after) == ("index public.i", before, after)


@pytest.mark.parametrize(
    ("item", "seen", "comment"),
    [
        (want(comment="x"), there("i"), "x"),  # somebody else's index stays theirs
        (want(comment="x"), there("i", comment=f"y\n{OURS}"), f"x\n{OURS}"),
        (want(), there("i", text="b", comment="y"), f"y\n{OURS}"),  # a replaced one is ours
        (want(comment=""), there("i", text="b", comment="y"), OURS),
        (want(), there("j", comment=f"y\n{OURS}"), f"y\n{OURS}"),
        (want(comment="x"), there("j", comment=f"y\n{OURS}"), f"x\n{OURS}"),
    ],
)
def test_whose_comment(item: Declared, seen: ObservedIndex, comment: str) -> None:
    after = World(observed(seen)).after(planned([item], observed(seen)).changes)
    assert after.indexes[q("i")].comment == comment


@pytest.mark.parametrize(
    ("item", "seen", "note"),
    [
        (want(), there("i", valid=False), "invalid: its build failed or was interrupted"),
        (want(), there(NEW, valid=False), "left by an interrupted build"),
        (want(present=False), there(OLD), "replaced by an interrupted run"),
        (want(present=False), there("i_ccnew", valid=False), "left by a failed REINDEX CONCURRENTLY"),
        (want(), there("i", text="b"), "the definition that was replaced"),
        (want("j"), there(new("k")), "left by an interrupted run"),
    ],
)
def test_why_something_is_dropped(item: Declared, seen: ObservedIndex, note: str) -> None:
    notes = [one.note for one in planned([item], observed(seen)).changes if one.action == "drop"]
    assert notes == [note]


def test_drift() -> None:
    since = {"i": "2026-01-02 03:04Z", "j": "2026"}
    plan = planned([want(), want("j", present=False)], observed(**since))
    assert plan.drift == ("index public.i was there since 2026-01-02 03:04Z and somebody dropped it",)
    assert planned([want()], observed(there("i", text="b"), **since)).drift == ()


@pytest.mark.parametrize(
    ("purge", "expected", "unmanaged"),
    [
        (False, [], ["public.foreign"]),
        (True, ["drop mine", "drop elsewhere", "drop i", "drop_tree ours"], ["public.foreign"]),
    ],
)
def test_purge(expected: list[str], unmanaged: list[str], *, purge: bool) -> None:
    seen = observed(
        there("i"),
        there("mine", text="b", comment=OURS),
        there("foreign", text="b", comment="x"),
        there("elsewhere", "u", comment=OURS),
        there("beside", "u"),
        there("i", "s.t", comment=OURS),
        there("ours", "e", comment=OURS),
        there("e1_ours", "e1", parent="ours", comment=OURS),
        there("bound", text="c", comment=OURS, constraint="bound"),
        there("needed", text="c", comment=OURS, referenced_by=("f",)),
        there("fkeys", text="c", comment="managed by pgstead.ops.foreign_key_indexes"),
        **dict.fromkeys(
            ("i", "mine", "foreign", "elsewhere", "beside", "ours", "bound", "needed", "fkeys", "s.i"), "2026"
        ),
    )
    plan = planned([want()], seen, purge=purge)
    assert steps(plan) == expected
    assert list(plan.unmanaged) == unmanaged
    assert {one.note for one in plan.changes} <= {"no longer declared"}
    assert len(plan.differences) == len(expected)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (observed(there("copied", "u", comment=OURS)), "index public.copied has this collection's comment, but is not"),
        (observed(there("j", comment=OURS, replica_identity=True), j="2026"), "the replica identity of public.t"),
        (observed(there("eo", "e", comment=OURS), there("e1o", "e1", parent="eo", replica_identity=True), eo="2026"),
         "index public.eo is no longer declared, and is the replica identity of public.e1"),
        (observed(there(new("j"), replica_identity=True)), "left by an interrupted run, is the replica identity"),
        (observed(there(old("j"), comment=OURS, replica_identity=True)), "left by an interrupted run, is the replica"),
    ],
)  # fmt: skip
def test_what_is_not_sure_to_be_ours_or_identifies_rows_is_left_alone_in_words(seen: i.Observed, said: str) -> None:
    plan = planned([], seen, purge=True)
    (warning,) = plan.warnings
    assert plan.changes == plan.differences == ()
    assert warning.startswith("left alone: ")
    assert said in warning


def test_a_purge_spares_what_an_item_relies_on() -> None:
    seen = observed(there("j", comment=OURS), j="2026")
    nameless = planned([want("*t_a_idx")], seen, purge=True)
    renamed = planned([want()], seen, purge=True)
    two = observed(there("i"), there("i", "s.t", comment=OURS))
    two = replace(two, made={q("s.i"): "2026"})
    other = planned([want("i", present=False)], two, purge=True)
    assert (steps(nameless), steps(renamed), steps(other)) == ([], ["rename j > i"], ["drop i", "drop i"])
    assert [str(one.table) for one in other.changes] == ["public.t", "s.t"]


@pytest.mark.parametrize(
    ("item", "seen", "said"),
    [
        (want(), observed(taken="i"), "taken by something that is not an index"),
        (want(), observed(there("i", "u")), "taken by an index of public.u"),
        (want(present=False), observed(there("i", "u")), "taken by an index of public.u"),
        (want(present=False), observed(there("i", constraint="pk")), "behind constraint pk and cannot be dropped"),
        (want(), observed(there("i", text="b", constraint="pk")), "cannot be changed to USING btree (a)"),
        (want(present=False), observed(there("i", referenced_by=("f", "g"))), "behind foreign key f, g and"),
        (want("e1i", "e1"), observed(there("e1i", "e1", parent="ei")), "part of the partitioned index public.ei"),
        (want("*t_a_idx"), observed(there("t_a_idx", text="b")), "somebody made an index of this name"),
        (want(), observed(there("i", text="b", replica_identity=True)), "replica identity of public.t"),
        (want(present=False), observed(there("i", replica_identity=True)), "replica identity of public.t"),
        (want("*t_a_idx"), observed(there("t_a_idx", "u")), "taken by an index of public.u"),
        (want(unique=True), observed(there("i", text="b", replica_identity=True), nullable="b a"), "never NULL"),
        (want(), observed(there(NEW, text="b", replica_identity=True)), "left by an interrupted run, is the replica"),
        (want(), observed(there(OLD, text="b", replica_identity=True)), "left by an interrupted run, is the replica"),
        (want("*t_a_idx", unique=True),
         observed(there("t_a_idx", unique=True, constraint="t_a_idx", immediate=False)), "give yours a name"),
    ],
)  # fmt: skip
def test_what_cannot_be(item: Declared, seen: i.Observed, said: str) -> None:
    (problem,) = index_plan.check_all([item], seen, rules([item]))
    assert said in problem.what
    assert problem.where == f"indexes[0] ({item.index.name})"


@pytest.mark.parametrize(
    ("item", "seen"),
    [
        (want(present=False), observed(taken="i")),
        (want(unique=True), observed(there("i", unique=True, referenced_by=("f",)))),
        (want("*t_a_idx"), observed(there("t_a_idx", text="b"), there("j"))),
        (want("*t_a_idx"), observed(there("t_a_idx", "u"), there("j"))),
        (want("*t_a_idx"), observed(there("j"), taken="t_a_idx")),
        (want("*t_a_idx"), observed(there("t_a_idx", text="b", constraint="c"), there("j"))),
        (want(unique=True), observed(there("i", unique=True, replica_identity=True), nullable="b")),
        (want("*t_a_idx", unique=True), observed(there("j", unique=True, constraint="j"))),
    ],
)
def test_what_can_stay(item: Declared, seen: i.Observed) -> None:
    assert index_plan.check_all([item], seen, rules([item])) == ()
    assert planned([item], seen).changes == ()


def test_tables() -> None:
    items = [want(on=name).index for name in ("tt", "e", "mv")] + [want(on="gone", present=False).index]
    (problem,) = index_plan.check_tables(items, observed().tables)
    assert str(problem) == "indexes[0] (i): table public.tt does not exist; did you mean public.t?"


def test_items_that_meet() -> None:
    """Two items never take the same index, and none relies on what another changes."""
    twice = [want("i"), want("j")]
    assert steps(planned(twice, observed(there("k", comment=OURS)))) == [
        "rename k > i",
        f"build {new('j')}",
        f"adopt {new('j')} > j",
    ]
    leaving = [want("*t_a_idx"), want("j", text="b")]
    assert steps(planned(leaving, observed(there("j"))))[:2] == [
        f"build {new('t_a_idx')}",
        f"adopt {new('t_a_idx')} > t_a_idx",
    ]
    assert steps(planned([want("*t_a_idx"), want("j")], observed(there("j")))) == []
    assert steps(planned([want("*t_a_idx"), want("j")], observed(there("k", comment=OURS)))) == ["rename k > j"]


def test_warnings() -> None:
    second = replace(want("j"), index=replace(want("j").index, position="indexes[1]"))
    plan = planned([want(), second], observed(there("k"), there("l", comment=OURS), there("m", valid=False)))
    assert plan.warnings == (
        "indexes[1] (j): is the same index as indexes[0] (i)",
        "indexes[0] (i): public.k already is this index under another name",
        "indexes[1] (j): public.k already is this index under another name",
    )
    assert planned([want()], observed(there("i"), there("k"))).warnings == ()
    assert planned([want("*t_a_idx")], observed(there("k"))).warnings == ()


def test_another_round_through_the_server() -> None:
    item = replace(want(), form=form("(lower(a))"))
    seen = observed(there("i", text="(lower((a)::text))"), there("j", text="(upper(a))"))
    pairs = {(q("t"), item.form.text), (q("t"), seen.indexes[q("i")].form.text)}
    assert i.unsettled([item, want("j", present=False)], seen) == pairs
    assert i.unsettled([want()], observed(there("i", text="b"))) == frozenset()  # plain columns are what they are
    nameless = replace(want("*t_expr_idx"), form=item.form)
    assert (q("t"), "USING btree ((upper(a)))") in i.unsettled([nameless], seen)
    settled = {text: "same" for _, text in pairs}
    assert steps(planned([item], seen, settled=settled)) == []
    assert not i.Rules(settled=settled).same(item.form, replace(item.form, unique=True))
