# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CHECK constraints: declared, observed, and the steps between: NOT VALID first, validated apart, replaced without a
window in which nothing holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import Problem
from .expression import complaint as complaint_of
from .names import QualifiedName, parse, short_hash, unusable
from .plan import Change, Difference, Mode, Plan, joined, not_noted, owner_of, with_marker, without_marker
from .relation import Tables, ancestors, table_problem

KIND = "check_constraint"
OWNER = "check_constraints"
ACCEPTED = "rp"
STRONG = "AccessExclusiveLock"
WEAK = "ShareUpdateExclusiveLock"
READ = "AccessShareLock"
TEMPORARY = "pgstead_new_"


@dataclass(frozen=True)
class CheckConstraint:
    """One CHECK constraint as the inventory declares it; `position` says where in the list, for messages."""

    position: str
    table: QualifiedName
    name: str
    expression: str
    validated: bool = True
    no_inherit: bool = False
    comment: str | None = None
    present: bool = True

    @property
    def key(self) -> tuple[QualifiedName, str]:
        return self.table, self.name

    @property
    def where(self) -> str:
        """Where a message sends its reader."""
        return f"{self.position} ({self.name})"


@dataclass(frozen=True)
class ObservedCheck:
    """One CHECK constraint as the catalogue has it; `text` is the server's `CHECK (…)` with NO INHERIT if so."""

    table: QualifiedName
    name: str
    text: str
    validated: bool = True
    enforced: bool = True
    inherited: bool = False
    comment: str = ""

    @property
    def key(self) -> tuple[QualifiedName, str]:
        return self.table, self.name


@dataclass(frozen=True)
class Declared:
    """A declared constraint with the text that the server gave it; None where only its absence is asked for."""

    check: CheckConstraint
    text: str | None


@dataclass(frozen=True)
class Observed:
    """Everything that a plan of constraints looks at."""

    tables: Tables
    checks: Mapping[tuple[QualifiedName, str], ObservedCheck]
    others: frozenset[tuple[QualifiedName, str]] = frozenset()  # names taken by constraints of other kinds
    made: Mapping[tuple[QualifiedName, str], str] = field(default_factory=dict)
    # constraint → tables that inherit it (INHERITS) and have it of their own, too: it stays there whatever happens above
    own_below: Mapping[tuple[QualifiedName, str], tuple[QualifiedName, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What the renderer needs for one change of one constraint."""

    table: QualifiedName
    source: str
    target: str
    expression: str = ""
    no_inherit: bool = False
    comment: str = ""
    old_name: str = ""


@dataclass(frozen=True)
class Rules:
    """Whether what is no longer declared goes, and texts after one more round through the server."""

    purge: bool = False
    settled: Mapping[str, str] = field(default_factory=dict)

    def same(self, one: str, other: str) -> bool:
        """Whether two texts are one definition."""
        return one == other or self.settled.get(one, one) == self.settled.get(other, other)


def check_constraints(
    items: Sequence[Mapping[str, Any]], schema: str
) -> tuple[tuple[CheckConstraint, ...], tuple[Problem, ...]]:
    """Turn the inventory's list into values, with every problem found; a faulty item is left out of the values."""
    found: list[CheckConstraint] = []
    problems: list[Problem] = []
    seen: dict[tuple[QualifiedName, str], str] = {}
    for number, item in enumerate(items):
        position = f"check_constraints[{number}]"
        where = f"{position} ({item.get('name') or item.get('table')})"
        try:
            made = _check(position, item, schema)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        if made.key in seen:
            problems.append(Problem(where, f"{seen[made.key]} declares the same constraint of {made.table}"))
        seen.setdefault(made.key, position)
        found.append(made)
    return tuple(found), tuple(problems)


def _check(position: str, item: Mapping[str, Any], schema: str) -> CheckConstraint:
    present = (item.get("state") or "present") == "present"
    name, expression = str(item["name"]), str(item.get("expression") or "").strip()
    complaint = unusable(name)
    if complaint:
        raise ValueError(complaint)
    if name.startswith("pgstead_"):
        raise ValueError(f"{name!r} begins with pgstead_, which this collection uses while it replaces a constraint")
    if present and not expression:
        raise ValueError("expression is missing: what must hold for every row")
    fault = complaint_of(expression)
    if fault:
        raise ValueError(f"expression: {fault}")
    comment = item.get("comment")
    return CheckConstraint(
        position=position,
        table=parse(str(item["table"]), schema),
        name=name,
        expression=expression,
        validated=item.get("validated") is not False,
        no_inherit=bool(item.get("no_inherit")),
        comment=None if comment is None else str(comment),
        present=present,
    )


def temporary_name(name: str) -> str:
    """Return the name under which a replacement is added."""
    return TEMPORARY + short_hash(name)


def described(name: str, table: QualifiedName, text: str, validated: bool, comment: str | None) -> str:
    """Return a constraint as a diff shows it."""
    written = without_marker(comment)
    end = "" if validated else " NOT VALID"
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}{end}\n" + (f"-- {written}\n" if written else "")


def unsettled(declared: Sequence[Declared], observed: Observed) -> frozenset[tuple[QualifiedName, str]]:
    """Return (table, text) of definitions that differ but may be one: deparsing is no fixpoint."""
    return frozenset(
        (item.check.table, text)
        for item in declared
        for name in (item.check.name, temporary_name(item.check.name))
        if item.text and (other := observed.checks.get((item.check.table, name))) and other.text != item.text
        for text in (item.text, other.text)
    )


def check_tables(declared: Sequence[CheckConstraint], tables: Tables) -> tuple[Problem, ...]:
    """Return what is wrong with the tables of declared constraints."""
    problems = []
    for check in declared:
        if check.present or check.table in tables:
            found = table_problem(check.where, check.table, tables, ACCEPTED)
            problems += [found] if found else []
    return tuple(problems)


def check_all(declared: Sequence[Declared], observed: Observed, rules: Rules) -> tuple[Problem, ...]:
    """Return what is wrong with declared constraints in the light of what is there."""
    problems = []
    for item in declared:
        check = item.check
        where = check.where
        if check.key in observed.others:
            problems.append(Problem(where, f"{check.table} has a constraint of another kind with this name"))
        mine = observed.checks.get(check.key)
        if mine and mine.inherited and not (item.text and rules.same(mine.text, item.text)):
            problems.append(Problem(where, f"{check.table} inherits it from its parent: declare it there"))
        elif mine and item.text and not (mine.enforced and rules.same(mine.text, item.text)):
            problems += _kept_below(where, observed.own_below.get(check.key, ()))
        if check.no_inherit and check.present and observed.tables[check.table].kind == "p":
            problems.append(Problem(where, "a partitioned table cannot have a NO INHERIT constraint"))
    return (*problems, *_also_above(declared, observed.tables))


def _also_above(declared: Sequence[Declared], tables: Tables) -> list[Problem]:
    """Refuse a name on a partition that is declared above it as well: the partition has that one, whatever its text."""
    present = {item.check.key: item for item in declared if item.text}
    problems = []
    for item in present.values():
        check = item.check
        for above in ancestors(check.table, tables):
            other = present.get((above, check.name))
            if other:
                what = "the same" if other.text == item.text else f"another {check.name}"
                end = "" if other.text == item.text else ", which the partition inherits: give this one another name"
                at = f"has {what} at {other.check.position}{end}"
                problems.append(Problem(check.where, f"{above} is the parent of {check.table} and {at}"))
    return problems


def _kept_below(where: str, tables: Sequence[QualifiedName]) -> list[Problem]:
    """Refuse a replacement whose predecessor stays in children: the name is not free there."""
    names = ", ".join(map(str, sorted(tables)))
    what = (
        f"cannot be replaced: {names} would keep the old definition, which is also declared there. Give the new one another "
        "name, or drop the old one by hand, first from the parent and then there"
    )
    return [Problem(where, what)] if tables else []


def plan(declared: Sequence[Declared], observed: Observed, rules: Rules) -> Plan:
    """Return all steps in the order of the list, then the purge; and which constraints nobody declared."""
    plans = [_plan_one(item, observed, rules) for item in declared if item.check.table in observed.tables]
    wanted = {item.check.key for item in declared}
    touched = {(change.table, change.subject.source) for plan in plans for change in plan.changes}
    rest = [c for c in observed.checks.values() if c.key not in wanted | touched and not c.inherited]
    tables = {item.check.table for item in declared}
    left = [c for c in rest if c.name.startswith(TEMPORARY) and (rules.purge or c.table in tables)]
    plans += [_dropped(found, "left by an interrupted run") for found in left]
    rest = [found for found in rest if found not in left]
    if rules.purge:
        marked = [found for found in rest if owner_of(found.comment) == OWNER]
        # the comment alone is no proof: CREATE TABLE … (LIKE … INCLUDING ALL) copies it
        ours = [found for found in marked if found.key in observed.made]
        plans += [_dropped(found, "no longer declared") for found in ours]
        spared = [not_noted(f"check constraint {c.name} on {c.table}") for c in marked if c not in ours]
        plans.append(Plan(warnings=tuple(spared)))
    beside = sorted(f"{c.name} on {c.table}" for c in rest if c.table in tables and not owner_of(c.comment))
    return joined([*plans, Plan(unmanaged=tuple(beside))])


def _change(action: str, step: Step, lock: str = STRONG, mode: Mode = Mode.TRANSACTION, note: str = "") -> Change:
    return Change(KIND, step.table, step.target, action, lock, mode, step, note)


def _named(check: CheckConstraint | ObservedCheck) -> str:
    return f"check constraint {check.name} on {check.table}"


def _dropped(found: ObservedCheck, note: str = "") -> Plan:
    before = described(found.name, found.table, found.text, found.validated, found.comment)
    step = _change("drop", Step(found.table, found.name, found.name), note=note)
    return Plan((step,), (Difference(_named(found), before, ""),))


def _plan_one(item: Declared, observed: Observed, rules: Rules) -> Plan:
    check, text = item.check, item.text
    mine = observed.checks.get(check.key)
    leftover = observed.checks.get((check.table, temporary_name(check.name)))
    if text is None:
        stale = [_dropped(leftover, "left by an interrupted run")] if leftover else []
        gone = _dropped(mine) if mine else Plan()
        return joined([*stale, gone])
    if mine is None and leftover is None:
        return _added(check, text, observed)
    if mine and mine.enforced and rules.same(mine.text, text):
        kept = _kept(check, mine)
        drop = _change("drop", Step(check.table, leftover.name, leftover.name)) if leftover else None
        return Plan((drop, *kept.changes), kept.differences) if drop else kept
    return _replaced(check, text, mine, leftover, rules)


def _added(check: CheckConstraint, text: str, observed: Observed) -> Plan:
    comment = with_marker(check.comment, OWNER)
    steps = [_change("add", _new(check, check.name, comment))]
    if check.validated:
        steps.append(_validation(check, check.name))
    since = observed.made.get(check.key)
    drift = (f"{_named(check)} was there since {since} and somebody dropped it",) if since else ()
    after = described(check.name, check.table, text, check.validated, comment)
    return Plan(tuple(steps), (Difference(_named(check), "", after),), drift)


def _new(check: CheckConstraint, name: str, comment: str = "", old_name: str = "") -> Step:
    return Step(check.table, name, name, check.expression, check.no_inherit, comment, old_name)


def _validation(check: CheckConstraint, name: str) -> Change:
    return _change("validate", _new(check, name), WEAK, Mode.SCAN)


def _kept(check: CheckConstraint, mine: ObservedCheck) -> Plan:
    """Return what is left for a constraint that already says what is declared: validation, comment."""
    steps = []
    comment = mine.comment
    if check.validated and not mine.validated:
        steps.append(_validation(check, check.name))
    if check.comment is not None and check.comment != without_marker(mine.comment):
        comment = with_marker(check.comment, OWNER) if owner_of(mine.comment) == OWNER else check.comment
        steps.append(_change("comment", Step(check.table, check.name, check.name, comment=comment), READ))
    if not steps:
        return Plan()
    before = described(mine.name, mine.table, mine.text, mine.validated, mine.comment)
    after = described(mine.name, mine.table, mine.text, mine.validated or check.validated, comment)
    return Plan(tuple(steps), (Difference(_named(check), before, after),))


def _replaced(
    check: CheckConstraint, text: str, mine: ObservedCheck | None, leftover: ObservedCheck | None, rules: Rules
) -> Plan:
    """Add the new definition beside the old one, validate it, then let it take the old one's place at once."""
    building = temporary_name(check.name)
    written = without_marker(mine.comment) if mine and check.comment is None else check.comment
    comment = with_marker(written, OWNER)
    steps = []
    if leftover and not (leftover.enforced and rules.same(leftover.text, text)):
        steps.append(_change("drop", Step(check.table, building, building), note="left by an interrupted run"))
        leftover = None
    if leftover is None:
        steps.append(_change("add", _new(check, building)))
    if check.validated and not (leftover and leftover.validated):
        steps.append(_validation(check, building))
    old = mine.name if mine else ""
    step = Step(check.table, building, check.name, check.expression, check.no_inherit, comment, old)
    steps.append(_change("swap", step))
    before = described(mine.name, mine.table, mine.text, mine.validated, mine.comment) if mine else ""
    validated = check.validated or bool(leftover and leftover.validated)
    after = described(check.name, check.table, text, validated, comment)
    return Plan(tuple(steps), (Difference(_named(check), before, after),))
