"""CHECK constraints: what a list may say, and which steps lead from what is there to what is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import check_constraint as cc
from ansible_collections.pgstead.ops.plugins.module_utils._core.check_constraint import (
    STRONG,
    WEAK,
    CheckConstraint,
    Declared,
    Observed,
    ObservedCheck,
    Rules,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change, Mode, Plan
from ansible_collections.pgstead.ops.tests.unit.schema_world import TABLES, q

OURS = "managed by pgstead.ops.check_constraints"
NEW = cc.temporary_name("c")
BUILDS = {name: cc.temporary_name(name) for name in ("c", "d")}


def there(name: str = "c", on: str = "t", text: str = "(a > 0)", **more: Any) -> ObservedCheck:
    return ObservedCheck(q(on), name, f"CHECK ({text})", **more)


def observed(*checks: ObservedCheck, others: str = "", **made: str) -> Observed:
    taken = frozenset((q("t"), name) for name in others.split())
    known = {(q("t"), name): since for name, since in made.items()}
    return Observed({one.name: one for one in TABLES}, {one.key: one for one in checks}, taken, known)


def want(name: str = "c", on: str = "t", text: str = "(a > 0)", *, present: bool = True, **more: Any) -> Declared:
    check = CheckConstraint("check_constraints[0]", q(on), name, text[1:-1], present=present, **more)
    return Declared(check, f"CHECK ({text})" if present else None)


def steps(plan: Plan) -> list[str]:
    return [
        f"{one.action} {one.name}"
        if one.subject.source == one.name
        else f"{one.action} {one.subject.source} > {one.name}"
        for one in plan.changes
    ]


class World:
    """What the server would have after each step; a step that it would refuse fails an assertion."""

    def __init__(self, seen: Observed, texts: dict[str, str]) -> None:
        self.seen, self.texts, self.checks, self.made = seen, texts, dict(seen.checks), dict(seen.made)

    def after(self, changes: Iterable[Change]) -> Observed:
        for change in changes:
            assert (change.mode is Mode.SCAN) == (change.action == "validate")
            getattr(self, f"_{change.action}")(change.subject)
            if change.action in ("add", "swap") and change.subject.comment:
                self.made[change.table, change.name] = "now"
        return replace(self.seen, checks=self.checks, made=self.made)

    def _put(self, made: ObservedCheck) -> None:
        assert made.key not in self.checks
        assert made.key not in self.seen.others
        self.checks[made.key] = made

    def _add(self, step: cc.Step) -> None:
        text = self.texts[step.expression] + (" NO INHERIT" if step.no_inherit else "")
        self._put(ObservedCheck(step.table, step.target, text, validated=False, comment=step.comment))

    def _validate(self, step: cc.Step) -> None:
        found = self.checks.pop((step.table, step.target))
        assert found.enforced
        assert not found.validated
        self._put(replace(found, validated=True))

    def _drop(self, step: cc.Step) -> None:
        assert not self.checks.pop((step.table, step.target)).inherited

    def _comment(self, step: cc.Step) -> None:
        self._put(replace(self.checks.pop((step.table, step.target)), comment=step.comment))

    def _swap(self, step: cc.Step) -> None:
        if step.old_name:
            assert not self.checks.pop((step.table, step.old_name)).inherited
        found = self.checks.pop((step.table, step.source))
        self._put(replace(found, name=step.target, comment=step.comment))


REPLACED = [f"add {NEW}", f"validate {NEW}", f"swap {NEW} > c"]


@pytest.mark.parametrize(
    ("item", "seen", "expected"),
    [
        # equal
        (want(), [there()], []),
        (want(), [there(comment=OURS)], []),
        (want(comment="x"), [there(comment=f"x\n{OURS}")], []),
        (want(validated=False), [there()], []),
        (want(validated=False), [there(validated=False)], []),
        # missing
        (want(), [], ["add c", "validate c"]),
        (want(), [there(on="u")], ["add c", "validate c"]),
        (want(validated=False), [], ["add c"]),
        # not validated, another comment
        (want(), [there(validated=False)], ["validate c"]),
        (want(comment="x"), [there()], ["comment c"]),
        (want(comment="x"), [there(validated=False)], ["validate c", "comment c"]),
        (want(comment=""), [there(comment="x")], ["comment c"]),
        # another definition, not enforced
        (want(), [there(text="(a > 1)")], REPLACED),
        (want(), [there(enforced=False, validated=False)], REPLACED),
        (want(validated=False), [there(text="(a > 1)")], [f"add {NEW}", f"swap {NEW} > c"]),
        # what an interrupted run left: to be used, to be validated first, of another definition, not needed
        (want(), [there(text="(a > 1)"), there(NEW)], [f"swap {NEW} > c"]),
        (want(), [there(NEW)], [f"swap {NEW} > c"]),
        (want(), [there(text="(a > 1)"), there(NEW, validated=False)], REPLACED[1:]),
        (want(), [there(text="(a > 1)"), there(NEW, text="(a > 2)")], [f"drop {NEW}", *REPLACED]),
        (want(), [there(NEW, enforced=False)], [f"drop {NEW}", *REPLACED]),
        (want(), [there(), there(NEW)], [f"drop {NEW}"]),
        (want(comment="x"), [there(), there(NEW)], [f"drop {NEW}", "comment c"]),
        # absent
        (want(present=False), [there()], ["drop c"]),
        (want(present=False), [there(NEW), there()], [f"drop {NEW}", "drop c"]),
        (want(present=False), [], []),
        (want(present=False, on="gone"), [], []),
        # inherited and the same
        (want(on="e1"), [there(on="e1", inherited=True)], []),
    ],
)
def test_steps(item: Declared, seen: Sequence[ObservedCheck], expected: list[str]) -> None:
    before = observed(*seen)
    plan = cc.plan([item], before, Rules())
    assert steps(plan) == expected
    after = World(before, {"a > 0": "CHECK ((a > 0))"}).after(plan.changes)
    assert steps(cc.plan([item], after, Rules())) == []


def test_locks_and_modes() -> None:
    plan = cc.plan([want(), want("d", comment="x")], observed(there(text="(a > 1)"), there("d")), Rules())
    assert [(one.action, one.lock, one.mode) for one in plan.changes] == [
        ("add", STRONG, Mode.TRANSACTION),
        ("validate", WEAK, Mode.SCAN),
        ("swap", STRONG, Mode.TRANSACTION),
        ("comment", "AccessShareLock", Mode.TRANSACTION),
    ]
    (gone,) = cc.plan([want(present=False)], observed(there()), Rules()).changes
    assert (gone.lock, gone.object) == (STRONG, "c on public.t")


@pytest.mark.parametrize(
    ("item", "seen", "before", "after"),
    [
        (want(comment="x"), [], "", "ADD CONSTRAINT c CHECK ((a > 0))\n-- x\n"),
        (want(validated=False), [], "", "ADD CONSTRAINT c CHECK ((a > 0)) NOT VALID\n"),
        (want(), [there(validated=False)], "CHECK ((a > 0)) NOT VALID\n", "ADD CONSTRAINT c CHECK ((a > 0))\n"),
        (want(), [there(text="(a > 1)", comment="y")], "CHECK ((a > 1))\n-- y\n", "CHECK ((a > 0))\n-- y\n"),
        (want(comment=""), [there(text="(a > 1)", comment="y")], "CHECK ((a > 1))\n-- y\n", "CHECK ((a > 0))\n"),
        (want(comment="z"), [there(comment=f"y\n{OURS}")], "-- y\n", "-- z\n"),
        (want(present=False), [there()], "ADD CONSTRAINT c CHECK ((a > 0))\n", ""),
    ],
)
def test_differences(item: Declared, seen: Sequence[ObservedCheck], before: str, after: str) -> None:
    (found,) = cc.plan([item], observed(*seen), Rules()).differences
    assert found.object == "check constraint c on public.t"
    assert found.before.endswith(before)
    assert found.after.endswith(after)
    assert bool(found.before) == bool(before)
    assert bool(found.after) == bool(after)


@pytest.mark.parametrize(
    ("mine", "declared", "comment"),
    [
        ("", "x", "x"),  # somebody else's constraint stays theirs
        (OURS, "x", f"x\n{OURS}"),
        (f"y\n{OURS}", "", OURS),
    ],
)
def test_whose_comment(mine: str, declared: str, comment: str) -> None:
    (change,) = cc.plan([want(comment=declared)], observed(there(comment=mine)), Rules()).changes
    assert change.subject.comment == comment


def test_drift() -> None:
    seen = observed(c="2026-01-02 03:04Z", d="2026-01-02 03:04Z")
    plan = cc.plan([want(), want("d", present=False)], seen, Rules())
    said = "check constraint c on public.t was there since 2026-01-02 03:04Z and somebody dropped it"
    assert plan.drift == (said,)
    assert cc.plan([want()], observed(there(), c="2026"), Rules()).drift == ()


@pytest.mark.parametrize(
    ("purge", "expected", "unmanaged"),
    [(False, [], ["theirs on public.t"]), (True, ["drop mine", "drop elsewhere"], ["theirs on public.t"])],
)
def test_purge(expected: list[str], unmanaged: list[str], *, purge: bool) -> None:
    seen = observed(
        there(),
        there("mine", comment=OURS),
        there("theirs"),
        there("elsewhere", on="u", comment=OURS),
        there("beside", on="u"),
        there("from_parent", on="t", inherited=True, comment=OURS),
        there("other", comment="managed by pgstead.ops.indexes"),
        **dict.fromkeys(("mine", "theirs", "from_parent", "other"), "2026"),
    )
    seen = replace(seen, made={**seen.made, (q("u"), "elsewhere"): "2026", (q("u"), "beside"): "2026"})
    plan = cc.plan([want()], seen, Rules(purge=purge))
    assert steps(plan) == expected
    assert list(plan.unmanaged) == unmanaged
    assert {one.note for one in plan.changes} <= {"no longer declared"}


def test_a_copy_of_a_table_is_not_ours() -> None:
    seen = observed(there(comment=OURS), there(on="u", comment=OURS), c="2026")
    plan = cc.plan([], seen, Rules(purge=True))
    assert [str(one.table) for one in plan.changes] == ["public.t"]
    (warning,) = plan.warnings
    assert warning.startswith(
        "left alone: check constraint c on public.u has this collection's comment, but is not noted"
    )


@pytest.mark.parametrize(
    ("item", "mine", "refused"),
    [
        (want(text="(b > 0)"), there(), True),
        (want(), there(enforced=False, validated=False), True),
        (want(), there(), False),
        (want(validated=True), there(validated=False), False),
        (want(present=False), there(), False),
    ],
)
def test_a_predecessor_that_would_stay_in_children_is_not_replaced(
    item: Declared, mine: ObservedCheck, *, refused: bool
) -> None:
    seen = replace(observed(mine), own_below={(q("t"), "c"): (q("v"), q("u")), (q("u"), "c"): (q("v"),)})
    found = [problem.what for problem in cc.check_all([item], seen, Rules())]
    assert [what.partition(" would keep")[0] for what in found] == ["cannot be replaced: public.u, public.v"] * refused
    assert cc.check_all([item], observed(mine), Rules()) == ()


def test_another_round_through_the_server() -> None:
    item, seen = want(text="(b > 0)"), observed(there())
    assert cc.unsettled([item, want("new"), want("d", present=False)], seen) == {
        (q("t"), "CHECK ((b > 0))"),
        (q("t"), "CHECK ((a > 0))"),
    }
    assert cc.unsettled([want()], seen) == frozenset()
    settled = {"CHECK ((b > 0))": "CHECK (x)", "CHECK ((a > 0))": "CHECK (x)"}
    assert steps(cc.plan([item], seen, Rules(settled=settled))) == []
    assert steps(cc.plan([item], seen, Rules(settled={"CHECK ((b > 0))": "CHECK ((a > 0))"}))) == []


@pytest.mark.parametrize(
    ("item", "seen", "said"),
    [
        (want("fk"), observed(others="fk"), "constraint of another kind"),
        (want(present=False, on="e1"), observed(there(on="e1", inherited=True)), "inherits it from its parent"),
        (want(on="e1", text="(b)"), observed(there(on="e1", inherited=True)), "inherits it from its parent"),
        (want(on="e", no_inherit=True), observed(), "cannot have a NO INHERIT"),
    ],
)
def test_what_cannot_be(item: Declared, seen: Observed, said: str) -> None:
    (problem,) = cc.check_all([item], seen, Rules())
    assert said in problem.what
    assert problem.where == f"check_constraints[0] ({item.check.name})"


@pytest.mark.parametrize(
    ("below", "said"),
    [
        (want(on="e2a"), "public.e is the parent of public.e2a and has the same at check_constraints[0]"),
        # the partition has the parent's by this name, whatever it says itself
        (
            want(on="e2a", text="(b)"),
            (
                "public.e is the parent of public.e2a and has another c at check_constraints[0], which the partition "
                "inherits: give this one another name"
            ),
        ),
        (want(on="e1", text="(b)", no_inherit=True), "and has another c at check_constraints[0], which the partition"),
        (want("d", on="e2a"), ""),
        (want(on="u", text="(b)"), ""),
        (want(on="e2a", present=False), ""),
    ],
)
def test_declared_on_the_parent_too(below: Declared, said: str) -> None:
    below = replace(below, check=replace(below.check, position="check_constraints[1]"))
    for items in ([want(on="e"), below], [below, want(on="e")]):
        found = [str(problem) for problem in cc.check_all(items, observed(), Rules())]
        assert len(found) == bool(said)
        assert all(one.startswith("check_constraints[1] (c): ") and said in one for one in found)


def test_tables() -> None:
    items = [want(on="tt").check, want(on="gone", present=False).check, want(on="mv").check, want(on="e").check]
    found = [problem.what for problem in cc.check_tables(items, observed().tables)]
    assert found == [
        "table public.tt does not exist; did you mean public.t?",
        "public.mv is a materialised view, which cannot carry this",
    ]


def item(**more: Any) -> dict[str, Any]:
    return {"table": "t", "name": "c", "expression": "a > 0"} | more


def test_a_list() -> None:
    found, problems = cc.check_constraints(
        [item(), item(table="s.t", expression=" a > 1 ", validated=False, no_inherit=True, comment="")], "public"
    )
    assert problems == ()
    assert found == (
        CheckConstraint("check_constraints[0]", q("t"), "c", "a > 0"),
        CheckConstraint("check_constraints[1]", q("s.t"), "c", "a > 1", False, True, ""),
    )
    ((gone,), _) = cc.check_constraints([{"table": "t", "name": "c", "state": "absent"}], "public")
    assert gone == CheckConstraint("check_constraints[0]", q("t"), "c", "", present=False)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (item(name=""), "empty"),
        (item(name="x" * 64), "longer than 63 bytes"),
        (item(name="pgstead_c"), "begins with pgstead_"),
        (item(expression=" "), "expression is missing"),
        (item(expression="a > 0); DROP TABLE t; --"), "expression: a parenthesis at character 6 closes nothing"),
        (item(table="a.b.c"), "is not a name"),
    ],
)
def test_faulty_items(raw: dict[str, Any], said: str) -> None:
    found, (problem,) = cc.check_constraints([raw, item(table="u")], "public")
    assert said in str(problem)
    assert [one.table.name for one in found] == ["u"]


def test_the_same_twice() -> None:
    _, problems = cc.check_constraints([item(), item(table="public.t", state="absent"), item(table="s.t")], "public")
    assert [str(problem) for problem in problems] == [
        "check_constraints[1] (c): check_constraints[0] declares the same constraint of public.t"
    ]


Draw = Callable[..., Any]
TEXTS = {"(a)": "CHECK ((a))", "(b)": "CHECK ((b))"}


@st.composite
def worlds(draw: Draw) -> Observed:
    found = [
        there(
            name,
            text=draw(st.sampled_from(list(TEXTS))),
            validated=draw(st.booleans()),
            comment="" if name in BUILDS.values() else draw(st.sampled_from(["", "x", OURS, f"x\n{OURS}"])),
        )
        for name in draw(st.sets(st.sampled_from(["c", "d", "e", *BUILDS.values()])))
    ]
    noted = draw(st.sets(st.sampled_from(["c", "d", "e"])))
    there_now = [replace(one, enforced=one.validated or draw(st.booleans())) for one in found]
    return observed(*there_now, **dict.fromkeys(sorted(noted), "2026"))


@st.composite
def lists(draw: Draw) -> list[Declared]:
    return [
        want(
            name,
            text=draw(st.sampled_from(list(TEXTS))),
            present=draw(st.sampled_from([True, True, False])),
            validated=draw(st.booleans()),
            comment=draw(st.sampled_from([None, "", "y"])),
        )
        for name in draw(st.lists(st.sampled_from(["c", "d"]), unique=True))
    ]


@settings(deadline=None, derandomize=True, max_examples=300, suppress_health_check=list(HealthCheck))
@given(lists(), worlds(), st.booleans(), st.integers(0, 9))
def test_every_plan_leads_to_an_empty_one(declared: list[Declared], seen: Observed, purge: bool, done: int) -> None:
    rules, texts = Rules(purge), {"a": "CHECK ((a))", "b": "CHECK ((b))"}
    plan = cc.plan(declared, seen, rules)
    note(
        f"{[(one.name, one.text, one.validated, one.enforced) for one in seen.checks.values()]}: {steps(plan)}, {done}"
    )
    half = World(seen, texts).after(plan.changes[:done])
    again = cc.plan(declared, half, rules)
    after = World(half, texts).after(again.changes)
    assert steps(cc.plan(declared, after, rules)) == []
    for one in declared:
        assert (one.check.key in after.checks) is one.check.present
        assert (one.check.table, BUILDS[one.check.name]) not in after.checks
        if (one.check.key in seen.checks) and one.check.present:
            assert all(one.check.key in World(seen, texts).after(plan.changes[:n]).checks for n in range(done))
