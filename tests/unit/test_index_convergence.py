"""Whatever is there and whatever is declared: the steps can be carried out, and leave nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import index_plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Declared, Form, Observed, ObservedIndex
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change
from ansible_collections.pgstead.ops.tests.unit.schema_world import (
    OURS,
    World,
    leaf,
    new,
    observed,
    old,
    planned,
    rules,
    steps,
    there,
    want,
)

Draw = Callable[..., object]
TEXTS = st.sampled_from(["a", "b", "a, b", "(f(a))"])
COMMENTS = st.sampled_from(["", "note", OURS, f"note\n{OURS}", "managed by pgstead.ops.foreign_key_indexes"])
PLAIN = [
    *("i", "j", "t_a_idx", "theirs", "i_ccnew", "i_ccold1", "j_ccnew"),
    *(name for made in ("i", "j", "t_a_idx") for name in (new(made), old(made))),
]
# what unfinished runs leave on partitions of e for the index ei
HALF = [(on, leaf("ei", on)) for on in ("e1", "e2a", "e2b")]


@st.composite
def plain(draw: Draw) -> list[ObservedIndex]:
    found = []
    for name in draw(st.sets(st.sampled_from(PLAIN), max_size=6)):
        bound = draw(st.sampled_from(["", "", "", "c"])) if name in ("i", "j", "theirs") else ""
        identity = name in ("i", "theirs", new("j")) and draw(st.booleans())
        made = there(
            name,
            "t",
            draw(TEXTS),
            valid=bool(bound) or identity or draw(st.booleans()) or name.startswith("pgstead_old"),
            constraint=bound,
            replica_identity=identity,
            unique=identity,
            comment="" if name.startswith("pgstead_new") else draw(COMMENTS),
        )
        found.append(made)
    if draw(st.booleans()):
        found.append(there("i", "s.t", draw(TEXTS), comment=draw(COMMENTS)))
    return found


@st.composite
def tree(draw: Draw, name: str) -> list[ObservedIndex]:
    """An index of e with some of its partitions' indexes below it."""
    text, number = draw(TEXTS), draw(st.sampled_from(["i", "x", name]))
    names = {part: f"{part}_{number}_idx" for part in ("e1", "e2", "e2a", "e2b")}
    attached = draw(st.sets(st.sampled_from(["e1", "e2"])))
    below = draw(st.sets(st.sampled_from(["e2a", "e2b"])))
    whole = {"e1": True, "e2": below == {"e2a", "e2b"}}
    looked = draw(st.sampled_from([True, True, False]))  # a partition that it lacked may have been dropped since
    top = there(name, "e", text, valid=attached == set(whole) and whole["e2"] and looked, comment=draw(COMMENTS))
    found = [top]
    if "e1" in attached:
        found.append(there(names["e1"], "e1", text, parent=name))
    if "e2" in attached or below:
        found.append(there(names["e2"], "e2", text, name if "e2" in attached else "", valid=whole["e2"]))
    found += [there(names[part], part, text, names["e2"], comment=draw(COMMENTS)) for part in sorted(below)]
    return found


@st.composite
def worlds(draw: Draw) -> Observed:
    found = [*draw(plain())]
    for name in draw(st.sets(st.sampled_from(["ei", "ex", new("ei", "e"), new("ex", "e"), "theirs_e"]), max_size=3)):
        grown = draw(tree(name))
        found += grown if not {one.key for one in grown} & {one.key for one in found} else []
    for on, name in draw(st.sets(st.sampled_from(HALF))):
        found.append(there(name, on, draw(TEXTS), valid=draw(st.booleans())))
    for on in draw(st.sets(st.sampled_from(["e1", "e2a", "e2b"]))):
        found.append(there(f"{on}_free", on, draw(TEXTS), valid=draw(st.booleans())))
    unique = {one.key: one for one in reversed(found)}
    kept = [one for one in unique.values() if one.parent is None or one.parent in unique]
    noted = draw(st.sets(st.sampled_from(sorted({one.name for one in kept})))) if kept else set()
    return observed(*kept, **dict.fromkeys(sorted(noted), "2026"))


@st.composite
def lists(draw: Draw) -> list[Declared]:
    names = st.sampled_from([("i", "t"), ("j", "t"), ("*t_a_idx", "t"), ("i", "s.t"), ("ei", "e"), ("ex", "e")])
    found = []
    for number, (name, on) in enumerate(draw(st.lists(names, unique=True, max_size=4))):
        made = want(
            name,
            on,
            "a" if name.startswith("*") else draw(TEXTS),
            comment=draw(st.sampled_from([None, None, "", "note"])),
            present=name.startswith("*") or draw(st.sampled_from([True, True, False])),
            unique=(name, on) == ("i", "t") and draw(st.booleans()),
        )
        found.append(replace(made, index=replace(made.index, position=f"indexes[{number}]")))
    return found


def short(seen: Observed) -> list[object]:
    return [
        (str(one.table), one.name, one.form.text, one.valid, one.parent, one.comment) for one in seen.indexes.values()
    ]


def wanted(declared: list[Declared]) -> dict[QualifiedName, Form | None]:
    return {QualifiedName(one.index.table.schema, one.index.name): one.form for one in declared}


def builds(changes: Sequence[Change]) -> int:
    return sum(change.action == "build" for change in changes)


def remains(declared: list[Declared], seen: Observed) -> list[str]:
    """Return what only unfinished runs leave behind for what is declared."""
    names = {make(one.index.name, str(one.index.table)) for one in declared for make in (new, old)}
    names |= {
        leaf(one.index.name, on) for one in declared for on in ("e1", "e2a", "e2b") if one.index.table.name == "e"
    }
    return [str(name) for name in seen.indexes if name.name in names]


@settings(deadline=None, derandomize=True, max_examples=200, suppress_health_check=list(HealthCheck))
@given(lists(), worlds(), st.booleans())
def test_every_plan_leads_to_an_empty_one(declared: list[Declared], seen: Observed, purge: bool) -> None:
    if index_plan.check_all(declared, seen, rules(declared, purge=purge)):
        return
    plan = planned(declared, seen, purge=purge)
    note(f"declared {[(i.index.name, str(i.index.table), i.form and i.form.text, i.index.comment) for i in declared]}")
    note(f"there {short(seen)}")
    note(f"plan {steps(plan)}")
    assert bool(plan.changes) >= bool(plan.differences)
    world, after = World(seen), seen
    held = [key for key, form in wanted(declared).items() if form and key in seen.indexes and seen.indexes[key].valid]
    for change in plan.changes:
        after = world.after([change])
        assert all(after.indexes[key].valid for key in held)  # no moment without an index that was there
    assert steps(planned(declared, after, purge=purge)) == []
    assert remains(declared, after) == []
    assert {key for key, form in wanted(declared).items() if not form} & set(after.indexes) == set()


@settings(deadline=None, derandomize=True, max_examples=100, suppress_health_check=list(HealthCheck))
@given(lists(), worlds(), st.booleans(), st.integers(0, 20))
def test_a_run_that_is_cut_off_is_taken_up(declared: list[Declared], seen: Observed, purge: bool, done: int) -> None:
    if index_plan.check_all(declared, seen, rules(declared, purge=purge)):
        return
    plan = planned(declared, seen, purge=purge)
    half = World(seen).after(plan.changes[:done])
    note(f"declared {[(i.index.name, str(i.index.table), i.form and i.form.text, i.index.comment) for i in declared]}")
    note(f"there {short(seen)}")
    note(f"plan {steps(plan)}, {done} done")
    assert index_plan.check_all(declared, half, rules(declared, purge=purge)) == ()
    again = planned(declared, half, purge=purge)
    note(f"again {steps(again)}")
    assert builds(again.changes) <= builds(plan.changes[done:])
    after = World(half).after(again.changes)
    assert steps(planned(declared, after, purge=purge)) == []
    assert remains(declared, after) == []
