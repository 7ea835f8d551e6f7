# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Views: replaced where their columns allow it, rebuilt with everything that hangs on them where not.

A materialised view is filled under a name of its own, with its indexes, and takes the place of the old one in a short
transaction: its readers wait for a rename, not for a query.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .errors import Problem
from .names import QualifiedName, short_hash
from .plan import Change, Difference, Mode, Plan, joined, owner_of, with_marker, without_marker
from .relation import KINDS, Tables
from .view_kept import Grant, Kept, fitting, in_the_way, lost
from .view_spec import View

KIND = "view"
OWNER = "views"
STRONG = "AccessExclusiveLock"
_SWITCHES = ("security_barrier", "security_invoker")
# every spelling that the server takes for false; it keeps what was written
_OFF = frozenset(word[:length] for word in ("false", "no", "off", "0") for length in range(1, 6)) - {"o"}


@dataclass(frozen=True)
class ViewForm:
    """A view as the server deparses it."""

    text: str
    columns: tuple[tuple[str, str], ...] = ()  # (name, type)
    options: tuple[tuple[str, str], ...] = ()
    materialized: bool = False


@dataclass(frozen=True)
class ObservedView:
    """One view as the catalogue has it."""

    name: QualifiedName
    form: ViewForm
    owner: str = ""
    comment: str = ""
    populated: bool = True
    grants: tuple[Grant, ...] = ()  # of others than the owner
    dependants: frozenset[QualifiedName] = frozenset()  # views that are made of it
    storage: tuple[str, ...] = ()  # of a materialised view: name=value
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True)
class Declared:
    """A declared view with the server's form; None where only its absence is asked for."""

    view: View
    form: ViewForm | None


@dataclass(frozen=True)
class Observed:
    """Everything that a plan of views looks at."""

    tables: Tables
    views: Mapping[QualifiedName, ObservedView]
    made: Mapping[QualifiedName, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What the renderer needs: views to drop (in order), and views to make (in order) with what they get back."""

    source: str = ""
    target: str = ""
    gone: tuple[ObservedView, ...] = ()
    made: tuple[tuple[View, ObservedView | None], ...] = ()
    comments: Mapping[QualifiedName, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """Whether what is no longer declared goes, and texts after one more round through the server."""

    purge: bool = False
    settled: Mapping[str, str] = field(default_factory=dict)

    def same_text(self, one: ViewForm, other: ViewForm) -> bool:
        return one.text == other.text or self.settled.get(one.text, one.text) == self.settled.get(
            other.text, other.text
        )

    def same(self, one: ViewForm, other: ViewForm) -> bool:
        """Whether two forms are one view."""
        return (one.materialized, one.options) == (other.materialized, other.options) and self.same_text(one, other)


def options_of(written: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return a view's options (name=value, as somebody wrote them) in the words of a declaration, without what is off."""
    found = []
    for name, _, value in sorted(option.partition("=") for option in written):
        word = value.lower()
        if name not in _SWITCHES:
            found.append((name, word))
        elif word not in _OFF:
            found.append((name, "true"))
    return tuple(found)


def temporary_name(name: QualifiedName) -> QualifiedName:
    """Return the name under which a materialised view is filled."""
    return QualifiedName(name.schema, f"pgstead_new_{short_hash(name.schema, name.name)}")


def described(name: QualifiedName, form: ViewForm, comment: str | None) -> str:
    """Return a view as a diff shows it."""
    kind = "MATERIALIZED VIEW" if form.materialized else "VIEW"
    options = f" WITH ({', '.join(f'{key}={value}' for key, value in form.options)})" if form.options else ""
    written = without_marker(comment)
    return f"CREATE {kind} {name}{options} AS\n{form.text}\n" + (f"-- {written}\n" if written else "")


def unsettled(declared: Sequence[Declared], observed: Observed) -> frozenset[tuple[QualifiedName, str]]:
    """Return (view, text) of definitions that differ but may be one."""
    return frozenset(
        (item.view.name, text)
        for item in declared
        if item.form and (mine := observed.views.get(item.view.name)) and mine.form.text != item.form.text
        for text in (item.form.text, mine.form.text)
    )


def check(declared: Sequence[Declared], observed: Observed, rules: Rules) -> tuple[Problem, ...]:
    """Return what stands in the way: another relation of the name, or somebody else's view made of this one."""
    problems = []
    named = {item.view.name for item in declared}
    forms = {item.view.name: item.form for item in declared if item.form}
    for item in declared:
        view, where = item.view, f"{item.view.position} ({item.view.name})"
        other = observed.tables.get(view.name)
        if other and other.kind not in "vm":
            problems.append(Problem(where, f"{view.name} is a {KINDS.get(other.kind, other.kind)}"))
            continue
        mine = observed.views.get(view.name)
        if mine is None or (item.form and not _needs_rebuild(mine, item.form, rules)):
            continue
        above = _above(view.name, observed.views)
        verb = "be dropped" if item.form is None else "lose or change columns"
        problems += _held(where, verb, [name for name in above if name not in named])
        if item.form:
            for name in (view.name, *(name for name in above if name in forms)):
                gone = in_the_way(observed.views[name].kept, *_can_have(forms[name]))
                what = f"cannot {verb}: {name} is made again, without {', '.join(gone)}: take that off before"
                problems += [Problem(where, what)] if gone else []
    purged = {view.name for view in _purged(named, observed, rules)}
    for name in sorted(purged):
        others = [above for above in _above(name, observed.views) if above not in named | purged]
        problems += _held(f"{name}, which is no longer declared", "be dropped", others)
    return tuple(problems)


def _held(where: str, verb: str, others: Sequence[QualifiedName]) -> list[Problem]:
    names = ", ".join(str(name) for name in others)
    return [Problem(where, f"cannot {verb}: {names} is made of it, and not declared here")] if others else []


def _needs_rebuild(mine: ObservedView, form: ViewForm, rules: Rules) -> bool:
    if mine.form.materialized != form.materialized:
        return True
    if rules.same_text(mine.form, form):
        return False
    return form.materialized or form.columns[: len(mine.form.columns)] != mine.form.columns


def lowest_first(views: Sequence[View], there: Mapping[QualifiedName, ObservedView]) -> list[View]:
    """Return views in an order in which those that are there come before what is made of them, and new ones last."""
    return sorted(views, key=lambda view: (view.name not in there, -len(_above(view.name, there))))


def _above(name: QualifiedName, views: Mapping[QualifiedName, ObservedView]) -> tuple[QualifiedName, ...]:
    """Return all views that are made of a view, those first that others are made of."""
    found: list[QualifiedName] = []

    def visit(one: QualifiedName) -> None:
        there = views.get(one)
        for above in sorted(there.dependants) if there else ():
            if above in found:
                found.remove(above)
            found.append(above)
            visit(above)

    visit(name)
    return tuple(found)


def plan(declared: Sequence[Declared], observed: Observed, rules: Rules) -> Plan:
    """Return the steps; `declared` is in the order in which views are made of each other."""
    plans: list[Plan] = []
    rebuilt: set[QualifiedName] = set()
    forms = {item.view.name: item for item in declared}
    absent = [there for item in declared if item.form is None and (there := observed.views.get(item.view.name))]
    # what is made of others goes before them
    plans += [_dropped(there) for there in sorted(absent, key=lambda view: len(_above(view.name, observed.views)))]
    for item in declared:
        if item.form is None or item.view.name in rebuilt:
            continue
        mine = observed.views.get(item.view.name)
        if mine and _needs_rebuild(mine, item.form, rules):
            above = [
                forms[name] for name in _above(item.view.name, observed.views) if name in forms and forms[name].form
            ]
            plans.append(_rebuilt(item, mine, above, observed))
            rebuilt |= {other.view.name for other in above}
        else:
            plans.append(_one(item, mine, observed, rules))
    gone = sorted(_purged(forms, observed, rules), key=lambda view: (len(_above(view.name, observed.views)), view.name))
    plans += [_dropped(view, "no longer declared") for view in gone]
    return joined(plans)


def _purged(declared: Collection[QualifiedName], observed: Observed, rules: Rules) -> list[ObservedView]:
    """Return the views of ours that nobody declares any more, where they are to go."""
    rest = [view for name, view in observed.views.items() if name not in declared]
    return [view for view in rest if rules.purge and owner_of(view.comment) == OWNER]


def _change(action: str, name: QualifiedName, step: Step, mode: Mode = Mode.TRANSACTION, note: str = "") -> Change:
    lock = "AccessShareLock on what it reads" if mode is Mode.SCAN else STRONG
    return Change(KIND, name, name.name, action, lock, mode, replace(step, source=name.name, target=name.name), note)


def _dropped(mine: ObservedView, note: str = "") -> Plan:
    change = _change("drop", mine.name, Step(gone=(mine,)), note=note)
    return Plan((change,), (Difference(f"view {mine.name}", described(mine.name, mine.form, mine.comment), ""),))


def _comment(view: View, mine: ObservedView | None) -> str:
    if mine and owner_of(mine.comment) != OWNER:
        return view.comment if view.comment is not None else mine.comment
    return with_marker(
        view.comment if view.comment is not None else without_marker(mine.comment if mine else ""), OWNER
    )


def _one(item: Declared, mine: ObservedView | None, observed: Observed, rules: Rules) -> Plan:
    view, form = item.view, item.form
    assert form
    comment = _comment(view, mine)
    step = Step(made=((view, mine),), comments={view.name: comment})
    after = described(view.name, form, comment)
    if mine is None:
        mode = Mode.SCAN if view.materialized else Mode.TRANSACTION
        since = observed.made.get(view.name)
        drift = (f"view {view.name} was there since {since} and somebody dropped it",) if since else ()
        return Plan((_change("create", view.name, step, mode),), (Difference(f"view {view.name}", "", after),), drift)
    before = described(mine.name, mine.form, mine.comment)
    if not rules.same_text(mine.form, form):
        change = _change("replace", view.name, step)
    elif mine.form.options != form.options:
        change = _change("options", view.name, step)
    elif not mine.populated and view.materialized:
        change = _change("refresh", view.name, step, Mode.SCAN)
        before = "-- not filled\n" + before
    elif comment != mine.comment:
        change = _change("comment", view.name, step)
    else:
        return Plan()
    if not rules.same_text(mine.form, form) or comment == mine.comment:
        return Plan((change,), (Difference(f"view {view.name}", before, after),))
    more = () if change.action == "comment" else (_change("comment", view.name, step),)
    return Plan((change, *more), (Difference(f"view {view.name}", before, after),))


def _rebuilt(item: Declared, mine: ObservedView, above: Sequence[Declared], observed: Observed) -> Plan:
    """Drop a view with all that is made of it, and make them again, in one transaction."""
    again = [(item, mine), *((other, observed.views[other.view.name]) for other in above)]
    comments = {other.view.name: _comment(other.view, old) for other, old in again}
    made = tuple((other.view, _getting_back(old, other.form)) for other, old in again if other.form)
    step = Step(gone=tuple(old for _, old in reversed(again)), made=made, comments=comments)
    differences = [
        Difference(
            f"view {other.view.name}",
            described(other.view.name, old.form, old.comment),
            described(other.view.name, other.form, comments[other.view.name]) if other.form else "",
        )
        for other, old in again
    ]
    shown = tuple(d for d in differences if d.before != d.after)
    warnings = tuple(text for other, old in again if other.form and (text := _told(old, other.form)))
    if item.view.materialized and mine.form.materialized and not above:
        fill = _change("fill", item.view.name, step, Mode.SCAN)
        return Plan((fill, _change("swap", item.view.name, step)), shown, warnings=warnings)
    filled = ", ".join(str(view.name) for view, _old in made if view.materialized)
    note = f"whoever reads them waits while {filled} is filled" if filled else ""
    return Plan((_change("rebuild", item.view.name, step, note=note),), shown, warnings=warnings)


def _getting_back(old: ObservedView, form: ViewForm) -> ObservedView:
    types, materialized = _can_have(form)
    return replace(old, kept=fitting(old.kept, types, materialized), storage=old.storage if form.materialized else ())


def _told(old: ObservedView, form: ViewForm) -> str:
    """Say what a view that is made again has no more, or return an empty text."""
    storage = () if form.materialized else old.storage
    gone = (*lost(old.kept, *_can_have(form)), *storage)
    return f"{old.name} is made again without {', '.join(gone)}" if gone else ""


def _can_have(form: ViewForm) -> tuple[dict[str, str], bool]:
    """Return what decides what can hang on a view: its columns with their types, and whether its rows are kept."""
    return dict(form.columns), form.materialized
