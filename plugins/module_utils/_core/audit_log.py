# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit log itself: its table, its months, its functions, and who has which right on any of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from .audit_partition import PartitionRule, Range, plan_partitions
from .audit_spec import Audit
from .errors import Problem
from .names import QualifiedName, short_hash
from .plan import Change, Difference, Mode, Plan, joined

KIND = "audit"
OWNER = "audit"
WEAK = "ShareUpdateExclusiveLock"
STRONG = "AccessExclusiveLock"
NO_LOCK = "none on tables"
# insert-only: what is written stays, for its owner too
FORBIDDEN = frozenset({"UPDATE", "DELETE", "TRUNCATE"})
WRITE_ALL = "pg_write_all_data"
OWNERS = {"SCHEMA": {"USAGE", "CREATE"}, "TABLE": {"SELECT", "INSERT"}, "FUNCTION": {"EXECUTE"}}

Made = Mapping[tuple[QualifiedName, str], str]


@dataclass(frozen=True)
class Partition:
    """One partition of the log; without a range where it is the DEFAULT, or does not begin and end with a day in UTC."""

    name: QualifiedName
    span: Range | None = None
    default: bool = False
    ours: bool = True


@dataclass(frozen=True)
class Log:
    """The log as the catalogue has it."""

    owner: str
    ours: bool
    columns: Mapping[str, str]  # type by name
    key: tuple[str, ...]  # what it is partitioned by; nothing where it is not
    partitions: tuple[Partition, ...] = ()

    @property
    def months(self) -> dict[str, Range]:
        """The partitions with a range, by name."""
        return {part.name.name: part.span for part in self.partitions if part.span}

    @property
    def default(self) -> QualifiedName | None:
        """The partition for rows that have no other."""
        return next((part.name for part in self.partitions if part.default), None)


@dataclass(frozen=True)
class Routine:
    """A function, as it is or as it is to be."""

    result: str
    source: str
    settings: tuple[str, ...]
    definer: bool
    volatility: str
    language: str

    def text(self, name: QualifiedName) -> str:
        """Return the function for people."""
        how = f"{self.language} {self.volatility}{' SECURITY DEFINER' * self.definer}"
        settings = "".join(f"SET {setting}\n" for setting in self.settings)
        return f"CREATE FUNCTION {name} RETURNS {self.result}\n{how}\n{settings}AS{self.source}"


@dataclass(frozen=True)
class ObservedRoutine:
    """A function of the log that is there."""

    form: Routine
    owner: str


@dataclass(frozen=True)
class Guarded:
    """An object of the log, and who holds which right on it: (role, privilege), `*` behind what may be passed on."""

    kind: str  # SCHEMA, TABLE or FUNCTION
    name: str
    sql: str
    owner: str
    rights: frozenset[tuple[str, str]]  # a right on one column is `SELECT (column)`
    needed: str = ""  # what a reader needs

    def wanted(self, readers: Sequence[str]) -> frozenset[tuple[str, str]]:
        """Return what others than the owner are to hold."""
        return frozenset((reader, self.needed) for reader in readers if self.needed and reader != self.owner)

    def strangers(self, readers: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return who holds what nobody declared; PUBLIC is the empty name."""
        found: dict[str, tuple[str, ...]] = {}
        for role, privilege in sorted(self.rights - self.wanted(readers)):
            if role != self.owner:
                found[role] = (*found.get(role, ()), privilege)
        return found

    @property
    def owners(self) -> frozenset[str]:
        """What the owner itself may do."""
        return frozenset(privilege.rstrip("*") for role, privilege in self.rights if role == self.owner)

    @property
    def rewritable(self) -> tuple[str, ...]:
        """What the owner may do to entries that are written."""
        return tuple(sorted(one for one in self.owners if self.kind == "TABLE" and one.split(" ")[0] in FORBIDDEN))

    def as_declared(self, readers: Sequence[str]) -> bool:
        """Whether nothing is to be given or taken."""
        lacking = (self.wanted(readers) - self.rights) or (OWNERS[self.kind] - self.owners)
        return not (lacking or self.strangers(readers) or self.rewritable)


@dataclass(frozen=True)
class Meddling:
    """Something by which others could silence, forge or break entries, and the statement that takes it away."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Home:
    """What is there of a log, and for whom a run would make the rest."""

    schema: bool
    marked: bool  # the schema's comment says that it is ours, by which other kinds pass over what is in it
    log: Log | None
    routines: Mapping[QualifiedName, ObservedRoutine]
    guarded: tuple[Guarded, ...]
    today: date
    actor: str
    owner: str  # whom all of it belongs to, or is to belong to
    member: bool = True  # whether the actor may do as the owner
    strangers: tuple[str, ...] = ()  # whom default privileges would let in
    crowded: bool = False  # the schema is not marked, and holds something
    made: Made = field(default_factory=dict)
    meddling: tuple[Meddling, ...] = ()
    masters: tuple[tuple[str, str], ...] = ()  # members of pg_read_all_data and pg_write_all_data: (role, of which)


@dataclass(frozen=True)
class MakeLog:
    """Make the log, and its schema where there is none."""

    audit: Audit
    owner: str
    strangers: tuple[str, ...]
    schema: bool


@dataclass(frozen=True)
class MakePartition:
    """Make one partition and attach it; without a range it is the DEFAULT."""

    log: QualifiedName
    name: str
    span: Range | None
    owner: str
    strangers: tuple[str, ...]


@dataclass(frozen=True)
class DropPartition:
    """Drop one partition with all that is in it."""

    log: QualifiedName
    name: str


@dataclass(frozen=True)
class MakeRoutine:
    """Make a function, or make it what it was; `former` are the ledger's names of earlier versions."""

    name: QualifiedName
    form: Routine
    version: str  # the name by which the ledger knows it
    owner: str
    strangers: tuple[str, ...]
    readers: tuple[str, ...]
    former: tuple[str, ...] = ()
    anew: bool = False  # its result differs, and no function can be given another


@dataclass(frozen=True)
class Guard:
    """Give and take rights until they are as declared."""

    guarded: tuple[Guarded, ...]
    readers: tuple[str, ...]


def check_log(declared: Audit, home: Home, columns: Mapping[str, str]) -> tuple[Problem, ...]:
    """Say why the log cannot be kept here: something else has its name, or it is not what it has to be."""
    log, name = home.log, declared.log
    if log is None:
        what = f"schema {declared.schema} was not made for a log and holds other objects: give the log one of its own"
        return (Problem("audit_schema", what),) if home.crowded else _meddled(home)
    if not log.ours:
        return (Problem("audit_schema", f"{name} is there and was not made by this module: give another schema"),)
    if not home.member:
        what = f"{name} belongs to {log.owner}, and {home.actor} is no member of it: act as {log.owner} (session_role)"
        return (Problem("audit_schema", what),)
    wrong = [f"{column} {kind}" for column, kind in columns.items() if log.columns.get(column) != kind]
    if log.key != ("at",):
        wrong.append("PARTITION BY RANGE (at)")
    if wrong:
        what = f"{name} was altered, and entries could not be written: it needs {', '.join(wrong)}"
        return (Problem("audit_schema", what),)
    return _meddled(home)


def _meddled(home: Home) -> tuple[Problem, ...]:
    """Refuse what an entry may not pass: what it did to earlier ones is for a person to find out."""
    return tuple(
        Problem("audit_schema", f"{one.what} could silence, forge or break entries: {one.remedy}, and run again")
        for one in home.meddling
    )


def plan_log(declared: Audit, home: Home, routines: Mapping[QualifiedName, Routine]) -> Plan:
    """Return what makes the log and its functions, or mends them."""
    plans = [_log(declared, home)] if home.log is None else _marked(declared, home)
    plans.append(_rights(declared, home))
    plans += [_routine(declared, home, name, form) for name, form in routines.items()]
    if home.log and home.log.default is None:
        plans.append(_partition(declared.log, home, f"{declared.log.name}_default", None))
    return joined([*plans, Plan(warnings=tuple(_mighty(declared, home)))])


def _mighty(declared: Audit, home: Home) -> Iterator[str]:
    """Name who may do more than is declared by a membership that no right on the log can take back."""
    for role, right in home.masters:
        may = "insert, change and delete" if right == WRITE_ALL else "read"
        if right == WRITE_ALL or role not in (*declared.readers, home.owner):
            yield (
                f"{role} may {may} entries of {declared.log} as a member of {right}, whatever is revoked on the log: "
                f"take that membership away unless it is meant"
            )


def plan_months(declared: Audit, home: Home) -> Plan:
    """Return what makes the months that are not there yet."""
    rule = PartitionRule(declared.schema, None, declared.ahead, declared.log.name)
    months = home.log.months if home.log else {}
    create, _never = plan_partitions(home.today, months, rule)
    return joined([_partition(declared.log, home, name, (first, end)) for name, first, end in create])


def drift(home: Home, table: QualifiedName, name: str, what: str) -> tuple[str, ...]:
    """Say that somebody dropped what this collection made, if it did."""
    since = home.made.get((table, name))
    return (f"{what} was there since {since} and somebody dropped it",) if since else ()


def _log(declared: Audit, home: Home) -> Plan:
    name = declared.log
    step = MakeLog(declared, home.owner, home.strangers, schema=not home.schema)
    change = Change(KIND, name, name.name, "create", NO_LOCK, Mode.TRANSACTION, step)
    readers = f"-- read by {', '.join(declared.readers)}\n" if declared.readers else ""
    after = f"CREATE TABLE {name} PARTITION BY RANGE (at)\n{readers}"
    return Plan((change,), (Difference(f"audit log {name}", "", after),), drift(home, name, name.name, f"log {name}"))


def _marked(declared: Audit, home: Home) -> list[Plan]:
    if home.marked:
        return []
    schema = QualifiedName(declared.schema, "")
    change = Change(KIND, declared.log, declared.schema, "mark", NO_LOCK, Mode.TRANSACTION, schema)
    return [Plan((change,), (Difference(f"schema {declared.schema}", "", "-- holds the audit log\n"),))]


def _partition(log: QualifiedName, home: Home, name: str, span: Range | None) -> Plan:
    change = partition_change(log, name, span, home)
    place = QualifiedName(log.schema, name)
    after = f"{place} PARTITION OF {log} {_bounds(span)}\n"
    seen = drift(home, log, name, f"partition {place}") if home.log else ()
    return Plan((change,), (Difference(f"partition {place}", "", after),), seen)


def partition_change(log: QualifiedName, name: str, span: Range | None, home: Home) -> Change:
    """Return the step that makes a partition; writers go on, unless they write into the DEFAULT."""
    step = MakePartition(log, name, span, home.owner, home.strangers)
    return Change(KIND, log, name, "partition", f"{WEAK}, and {STRONG} on the DEFAULT", Mode.TRANSACTION, step)


def drop_change(log: QualifiedName, name: str) -> Change:
    """Return the step that drops a partition."""
    return Change(KIND, log, name, "drop_partition", STRONG, Mode.TRANSACTION, DropPartition(log, name))


def _bounds(span: Range | None) -> str:
    return f"FROM {span[0]} TO {span[1]} (UTC)" if span else "DEFAULT"


def _routine(declared: Audit, home: Home, name: QualifiedName, form: Routine) -> Plan:
    mine = home.routines.get(name)
    if mine and (mine.form, mine.owner) == (form, home.owner):
        return Plan()
    known = {version: since for (place, version), since in home.made.items() if place == name}
    version = short_hash(form.text(name))
    step = MakeRoutine(
        name=name,
        form=form,
        version=version,
        owner=home.owner,
        strangers=home.strangers,
        readers=declared.readers if name == declared.trail else (),
        former=tuple(sorted(set(known) - {version})),
        anew=mine is not None and mine.form.result != form.result,
    )
    seen: tuple[str, ...] = ()
    if mine is None and known:
        seen = (f"function {name} was there since {max(known.values())} and somebody dropped it",)
    elif mine and version in known:
        seen = (f"function {name} is no longer what was made on {known[version]}: somebody changed it",)
    before = _owned(mine.form.text(name), mine.owner) if mine else ""
    change = Change(KIND, name, name.name, "function", NO_LOCK, Mode.TRANSACTION, step)
    return Plan((change,), (Difference(f"function {name}", before, _owned(form.text(name), home.owner)),), seen)


def _owned(text: str, owner: str) -> str:
    return f"{text}\n-- belongs to {owner}\n"


def _rights(declared: Audit, home: Home) -> Plan:
    """Return one step for all rights that differ."""
    wrong = tuple(one for one in home.guarded if not one.as_declared(declared.readers))
    if not wrong:
        return Plan()
    change = Change(
        KIND, declared.log, declared.log.name, "rights", NO_LOCK, Mode.TRANSACTION, Guard(wrong, declared.readers)
    )
    differences = tuple(
        Difference(
            f"rights on {one.kind.lower()} {one.name}", _held(one.rights), _held(_allowed(one, declared.readers))
        )
        for one in wrong
    )
    return Plan((change,), differences, tuple(line for one in wrong for line in _widened(one, declared.readers)))


def _allowed(one: Guarded, readers: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Return the rights that an object has afterwards."""
    owners = (one.owners | OWNERS[one.kind]) - set(one.rewritable)
    return one.wanted(readers) | {(one.owner, privilege) for privilege in owners}


def _held(rights: frozenset[tuple[str, str]]) -> str:
    return "".join(f"{role or 'PUBLIC'}: {privilege}\n" for role, privilege in sorted(rights))


def _widened(one: Guarded, readers: Sequence[str]) -> tuple[str, ...]:
    """Name who could do more than is declared."""
    strangers = [
        f"{role or 'PUBLIC'} held {', '.join(privileges)} on {one.kind.lower()} {one.name}, which nobody declared"
        for role, privileges in one.strangers(readers).items()
    ]
    if one.rewritable:
        strangers.append(f"{one.owner} could {', '.join(one.rewritable)} what is written in {one.name}")
    return tuple(strangers)
