# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit trail: the triggers by which tables write into the log, laid beside what is there.

What is declared: audit_spec.py. The log itself: audit_log.py. What the triggers are told: audit_told.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .audit_log import KIND, OWNER, Home, Routine, plan_log, plan_months
from .audit_spec import Audit, Audited
from .audit_told import SCHEMA, TABLE, Columns, arguments, moved, uncovered, under_its_name
from .errors import Problem
from .names import QualifiedName, literal
from .plan import Change, Difference, Mode, Plan, joined, owner_of
from .relation import Tables, ancestors, table_problem, tree

ROW_TRIGGER = "pgstead_audit_row"
TRUNCATE_TRIGGER = "pgstead_audit_truncate"
TRIGGERS = (ROW_TRIGGER, TRUNCATE_TRIGGER)
AUDITABLE = "rp"
LOCK = "ShareRowExclusiveLock"
DETACH_LOCK = "AccessExclusiveLock"
# pg_trigger.tgtype: each row after INSERT, DELETE and UPDATE; once after TRUNCATE
ROW_TYPE, TRUNCATE_TYPE = 29, 32
TYPES = {ROW_TRIGGER: ROW_TYPE, TRUNCATE_TRIGGER: TRUNCATE_TYPE}
ALWAYS = "A"
_ENABLED = {
    "A": "always",
    "O": "not for replicated rows",
    "R": "for replicated rows only",
    "D": "never",
    "": "not everywhere",
}


@dataclass(frozen=True)
class TriggerForm:
    """What a trigger does; `plain` where it has neither a condition nor columns of its own."""

    kind: int
    function: QualifiedName
    arguments: tuple[str, ...]
    plain: bool = True


@dataclass(frozen=True)
class ObservedTrigger:
    """A trigger of ours as the catalogue has it; `enabled` is empty where partitions differ."""

    form: TriggerForm
    enabled: str = ALWAYS
    comment: str = ""


@dataclass(frozen=True)
class Observed:
    """Everything that a plan looks at."""

    tables: Tables
    home: Home
    columns: Mapping[QualifiedName, Columns]
    triggers: Mapping[tuple[QualifiedName, str], ObservedTrigger] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()

    def audited(self, table: QualifiedName) -> bool:
        """Whether a table has triggers of its own, and not its parent's."""
        return any((table, name) in self.triggers for name in TRIGGERS)


@dataclass(frozen=True)
class Attach:
    """Give a table these triggers, in the place of those of the same names."""

    table: QualifiedName
    triggers: tuple[tuple[str, TriggerForm], ...]


@dataclass(frozen=True)
class Detach:
    """Take triggers away."""

    table: QualifiedName
    triggers: tuple[str, ...]


def check(declared: Audit, observed: Observed, *, purge: bool) -> tuple[Problem, ...]:
    """Return what is wrong with the declared tables and readers in the light of what is there."""
    problems = [
        Problem("readers", f"role {reader} does not exist")
        for reader in declared.readers
        if reader not in observed.roles
    ]
    leaving = _leaving(declared, observed, purge=purge)
    staying = {table: "the triggers that it has" for table, _name in observed.triggers if table not in leaving}
    staying |= {item.table: item.where for item in declared.tables if item.present}
    for item in declared.tables:
        if not item.present:
            continue
        fault = table_problem(item.where, item.table, observed.tables, AUDITABLE)
        found = [] if fault else [*_columns(item, observed), *_kin(item, observed, staying)]
        problems += [fault] if fault else [Problem(item.where, what) for what in found]
    return tuple(problems)


def _columns(item: Audited, observed: Observed) -> Iterator[str]:
    columns = observed.columns[item.table]
    for noun, names in (("excluded", item.excluded), ("redacted", item.redacted)):
        for name in names:
            if name not in columns.numbers:
                yield f"{noun} column {name} does not exist"
            elif name in columns.key:
                yield f"{noun} column {name} is part of the primary key, by which a record is known in the log"
    yield from uncovered(item, columns)
    told = (trigger.form.arguments for name in TRIGGERS if (trigger := observed.triggers.get((item.table, name))))
    yield from dict.fromkeys(fault for one in told for fault in moved(item, columns, one))


def _kin(item: Audited, observed: Observed, staying: Mapping[QualifiedName, str]) -> Iterator[str]:
    """Refuse triggers above and below each other: each row would be recorded twice, or the server refuses the second."""
    for parent in ancestors(item.table, observed.tables):
        if parent in staying:
            yield f"is recorded with its parent {parent} ({staying[parent]})"
    for part in tree(item.table, observed.tables):
        if part.name in staying and observed.audited(part.name):
            yield f"its partition {part.name} has audit triggers of its own: declare that one with state: absent"


def _leaving(declared: Audit, observed: Observed, *, purge: bool) -> set[QualifiedName]:
    """Return the tables that lose their triggers in this run."""
    named = {item.table for item in declared.tables}
    found = {item.table for item in declared.tables if not item.present and observed.audited(item.table)}
    if purge:
        found |= {
            table
            for (table, _name), trigger in observed.triggers.items()
            if table not in named and owner_of(trigger.comment) == OWNER
        }
    return found


def plan(
    declared: Audit, observed: Observed, routines: Mapping[QualifiedName, Routine], *, purge: bool = False
) -> Plan:
    """Return the steps: triggers that go, the log and its functions, then triggers that come."""
    leaving = _leaving(declared, observed, purge=purge)
    named = {item.table for item in declared.tables}
    plans = [_detached(table, observed, "" if table in named else "no longer declared") for table in sorted(leaving)]
    present = [item for item in declared.tables if item.present]
    if present or observed.home.log:
        plans += [plan_log(declared, observed.home, routines), plan_months(declared, observed.home)]
    plans += [_attached(item, declared, observed) for item in present]
    rest = sorted({table for table, _name in observed.triggers if table not in named | leaving})
    plans += [_renamed(table, declared, observed) for table in rest]
    return joined([*plans, Plan(unmanaged=tuple(f"audit of {table}" for table in rest))])


def _detached(table: QualifiedName, observed: Observed, note: str) -> Plan:
    there = {name: trigger for name in TRIGGERS if (trigger := observed.triggers.get((table, name)))}
    change = Change(KIND, table, table.name, "detach", DETACH_LOCK, Mode.TRANSACTION, Detach(table, tuple(there)), note)
    before = "".join(_shown(name, table, one.form, one.enabled) for name, one in there.items())
    return Plan((change,), (Difference(f"audit of {table}", before, ""),))


def _attached(item: Audited, declared: Audit, observed: Observed) -> Plan:
    table, columns = item.table, observed.columns[item.table]
    told = arguments(item, declared, columns, partitioned=observed.tables[table].kind == "p")
    wanted = {name: TriggerForm(kind, declared.recorder, told) for name, kind in TYPES.items()}
    keyless = f"{item.where}: has no primary key: its rows are recorded without a key to find them by"
    warnings = () if columns.key else (keyless,)
    there = {name: trigger for name in TRIGGERS if (trigger := observed.triggers.get((table, name)))}
    differing = tuple(
        (name, form)
        for name, form in wanted.items()
        if name not in there or (there[name].form, there[name].enabled) != (form, ALWAYS)
    )
    if not differing:
        return Plan(warnings=warnings)
    change = Change(KIND, table, table.name, "attach", LOCK, Mode.TRANSACTION, Attach(table, differing))
    before = "".join(_shown(name, table, one.form, one.enabled) for name, one in there.items())
    after = "".join(_shown(name, table, form, ALWAYS) for name, form in wanted.items())
    difference = Difference(f"audit of {table}", before, after)
    return Plan((change,), (difference,), tuple(_drift(table, differing, observed)), warnings=warnings)


def _renamed(table: QualifiedName, declared: Audit, observed: Observed) -> Plan:
    """Have a table that nobody declares any more write under the name that it has, and not into another's trail."""
    there = {name: trigger for name in TRIGGERS if (trigger := observed.triggers.get((table, name)))}
    wanted = {
        name: replace(one.form, arguments=under_its_name(one.form.arguments, table)) for name, one in there.items()
    }
    differing = tuple(
        (name, wanted[name])
        for name, one in there.items()
        if wanted[name] != one.form and one.form.function == declared.recorder and owner_of(one.comment) == OWNER
    )
    if not differing:
        return Plan()
    change = Change(KIND, table, table.name, "attach", LOCK, Mode.TRANSACTION, Attach(table, differing), "was renamed")
    before = "".join(_shown(name, table, there[name].form, there[name].enabled) for name, _form in differing)
    after = "".join(_shown(name, table, form, ALWAYS) for name, form in differing)
    difference = Difference(f"audit of {table}", before, after)
    return Plan((change,), (difference,), tuple(_drift(table, differing, observed)))


def _drift(table: QualifiedName, differing: Sequence[tuple[str, TriggerForm]], observed: Observed) -> Iterator[str]:
    """Say what somebody else did to triggers of ours; other arguments are another declaration."""
    for name, form in differing:
        mine, what = observed.triggers.get((table, name)), f"trigger {name} on {table}"
        since = observed.home.made.get((table, name))
        if mine is None and since:
            yield f"{what} was there since {since} and somebody dropped it"
        elif mine and (mine.form.kind, mine.form.plain) != (form.kind, form.plain):
            yield f"{what} does not see every change: somebody made it another one"
        elif mine and mine.enabled != ALWAYS:
            yield f"{what} fired {_ENABLED[mine.enabled]}: somebody switched it"
        elif mine and under_its_name(mine.form.arguments, table) != mine.form.arguments:
            former = QualifiedName(mine.form.arguments[SCHEMA], mine.form.arguments[TABLE])
            yield f"{what} wrote under the name {former}: somebody renamed the table"


def _shown(name: str, table: QualifiedName, form: TriggerForm, enabled: str) -> str:
    """Return a trigger for people."""
    when = {ROW_TYPE: "each INSERT, DELETE or UPDATE of a row", TRUNCATE_TYPE: "each TRUNCATE"}.get(form.kind, "else")
    some = "" if form.plain else ", under a condition or for some columns"
    told = ", ".join(literal(argument) for argument in form.arguments)
    return f"{name} on {table}: after {when}{some}, {form.function}({told}), fires {_ENABLED[enabled]}\n"
