# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Row-level security: which rows a role sees is part of the table, and one table changes in one transaction.

What is declared becomes policies (row_security_spec.py); here they are laid beside what is observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .names import QualifiedName
from .plan import Change, Difference, Mode, Plan, joined, owner_of, with_marker, without_marker
from .relation import Tables
from .row_security_spec import Policy, Protected

KIND = "row_security"
OWNER = "row_security"
INDEX_ENDING = "rls_idx"  # tells the indexes that policies need from those that somebody declared or made
STRONG = "AccessExclusiveLock"


@dataclass(frozen=True)
class PolicyForm:
    """A policy as the server deparses it; an empty text where there is no such clause."""

    command: str
    permissive: bool
    roles: frozenset[str]
    using: str
    check: str

    @property
    def written(self) -> str:
        """Which rows may be written: what PostgreSQL takes where there is no WITH CHECK is USING."""
        return self.check or (self.using if self.command in ("all", "update") else "")

    def text(self, name: str, table: QualifiedName) -> str:
        """Return the policy as one statement, for people."""
        how = "" if self.permissive else " AS RESTRICTIVE"
        clauses = (f" USING ({self.using})" if self.using else "") + (
            f" WITH CHECK ({self.check})" if self.check else ""
        )
        return f"CREATE POLICY {name} ON {table}{how} FOR {self.command.upper()} TO {', '.join(sorted(self.roles))}{clauses}"


@dataclass(frozen=True)
class ObservedPolicy:
    """One policy as the catalogue has it."""

    name: str
    form: PolicyForm
    comment: str = ""


@dataclass(frozen=True)
class ObservedTable:
    """Row security of one table."""

    table: QualifiedName
    enabled: bool
    forced: bool
    policies: tuple[ObservedPolicy, ...] = ()


@dataclass(frozen=True)
class Past:
    """What is below a table with row security, at any depth, and whom that table's policies do not hold there.

    `roles` have rights on it by its own name; neither the owner of `top` nor those whom no policy holds are among them.
    """

    top: QualifiedName
    table: QualifiedName
    enabled: bool
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """A protected table with the server's forms of its policies, in order; none where it is not to be protected."""

    protected: Protected
    forms: tuple[PolicyForm, ...] = ()


@dataclass(frozen=True)
class Observed:
    """Everything that a plan of row security looks at."""

    tables: Tables
    protected: Mapping[QualifiedName, ObservedTable]
    made: Mapping[tuple[QualifiedName, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One table's statements in order: (verb, policy's name, policy); `enable` and `force` are None where they stay."""

    table: QualifiedName
    source: str
    target: str
    policies: tuple[tuple[str, str, Policy | None], ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict)
    enable: bool | None = None
    force: bool | None = None


@dataclass(frozen=True)
class Rules:
    """Whether policies that are no longer declared go, and texts after one more round through the server."""

    purge: bool = False
    settled: Mapping[str, str] = field(default_factory=dict)

    def same(self, one: PolicyForm, other: PolicyForm) -> bool:
        """Whether two forms are one policy."""

        def settle(text: str) -> str:
            return self.settled.get(text, text)

        return (one.command, one.permissive, one.roles) == (other.command, other.permissive, other.roles) and (
            (settle(one.using), settle(one.written)) == (settle(other.using), settle(other.written))
        )


def open_partitions(past: Sequence[Past], tables: Sequence[QualifiedName]) -> tuple[str, ...]:
    """Say what can be had past the row security of these tables by its own name, by whom, and what lasts against it."""
    found: dict[QualifiedName, list[Past]] = {}
    for below in past:
        if below.roles and not below.enabled and below.table not in tables:
            found.setdefault(below.top, []).append(below)
    return tuple(_open(top, below) for top, below in found.items())


def _open(top: QualifiedName, below: Sequence[Past]) -> str:
    roles = sorted({role for one in below for role in one.roles})
    names = f"{', '.join(str(one.table) for one in below[:3])}{', …' if len(below) > 3 else ''}"
    return (
        f"row security of {top} does not hold {', '.join(roles)} by the names of what is below it, to which they have rights "
        f"({names}): ALTER TABLE {below[0].table.sql} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, without a policy; "
        f"access through {top.name} goes on. A REVOKE lasts until default privileges grant it again"
    )


def unsettled(declared: Sequence[Declared], observed: Observed) -> frozenset[tuple[QualifiedName, str]]:
    """Return (table, text) of expressions that differ but may be one."""
    found = set()
    for item in declared:
        there = {policy.name: policy.form for policy in _policies(item, observed)}
        for policy, form in zip(item.protected.policies, item.forms, strict=True):
            other = there.get(policy.name)
            for mine, theirs in ((form.using, other.using), (form.written, other.written)) if other else ():
                if mine != theirs:
                    found |= {(item.protected.table, text) for text in (mine, theirs) if text}
    return frozenset(found)


def _policies(item: Declared, observed: Observed) -> tuple[ObservedPolicy, ...]:
    there = observed.protected.get(item.protected.table)
    return there.policies if there else ()


def plan(declared: Sequence[Declared], observed: Observed, rules: Rules) -> Plan:
    """Return one change for each table that differs."""
    plans = [_plan_one(item, observed, rules) for item in declared if item.protected.table in observed.tables]
    if rules.purge:
        named = {item.protected.table for item in declared}
        plans += [
            _purged(there)
            for there in observed.protected.values()
            if there.table not in named and any(owner_of(policy.comment) == OWNER for policy in there.policies)
        ]
    return joined(plans)


def _purged(there: ObservedTable) -> Plan:
    """Drop our policies of a table that is no longer declared. Row security stays as it is: a line that somebody deleted
    must not open everybody's rows. So restrictive ones stay where somebody else's permissive ones do.
    """
    table = there.table
    ours = [policy for policy in there.policies if owner_of(policy.comment) == OWNER]
    opened = any(policy.form.permissive for policy in there.policies if policy not in ours)
    gone = [policy.name for policy in ours if policy.form.permissive or not opened]
    stay = tuple(
        f"policy {policy.name} on {table} is no longer declared, and stays: it narrows what policies that are not ours let "
        "in. Declare the table with state: absent to drop it"
        for policy in ours
        if policy.name not in gone
    )
    if not gone:
        return Plan(warnings=stay)
    after = replace(there, policies=tuple(policy for policy in there.policies if policy.name not in gone))
    step = Step(table, table.name, table.name, tuple(("drop", name, None) for name in gone))
    change = Change(KIND, table, table.name, "drop_policies", STRONG, Mode.TRANSACTION, step, note="no longer declared")
    difference = Difference(f"row security of {table}", _text(there), _text(after))
    return Plan((change,), (difference,), warnings=(*stay, *((_closed(after),) if after.enabled else ())))


def _closed(after: ObservedTable) -> str:
    """Say who sees the rows of a table that lost our policies, and how it is opened."""
    others = ", ".join(policy.name for policy in after.policies)
    seeing = ["superusers", "roles with BYPASSRLS"]
    seeing += [] if after.forced else ["its owner"]
    seeing += [f"those whom its other policies let ({others})"] if others else []
    return (
        f"{after.table} is no longer declared: the policies made here go, and row security stays on. Nobody but "
        f"{', '.join(seeing[:-1])} and {seeing[-1]} sees or writes its rows now. Declare it again, or with state: absent to "
        "open it"
    )


def _plan_one(item: Declared, observed: Observed, rules: Rules) -> Plan:
    protected = item.protected
    table = protected.table
    there = observed.protected.get(table) or ObservedTable(table, enabled=False, forced=False)
    steps, comments = _policy_steps(item, there, rules)
    remaining = _remaining(there, steps)
    enable = protected.present or bool(remaining - {policy.name for policy in protected.policies})
    force = protected.present and protected.force
    step = Step(
        table,
        table.name,
        table.name,
        tuple(steps),
        comments,
        enable if enable != there.enabled else None,
        force if force != there.forced and (protected.present or not enable) else None,
    )
    beside = _unmanaged(item, there, remaining)
    if not steps and step.enable is None and step.force is None:
        return Plan(unmanaged=beside, warnings=_holes(item, there, remaining))
    change = Change(
        KIND, table, table.name, "protect" if protected.present else "unprotect", STRONG, Mode.TRANSACTION, step
    )
    before = _text(there)
    after = _text(_after(item, there, step, remaining))
    drift = tuple(
        f"policy {name} on {table} was there since {observed.made[table, name]} and somebody dropped it"
        for verb, name, _ in steps
        if verb == "create" and (table, name) in observed.made and name not in {p.name for p in there.policies}
    )
    difference = Difference(f"row security of {table}", before, after)
    return Plan((change,), (difference,), drift, beside, _holes(item, there, remaining))


def _policy_steps(
    item: Declared, there: ObservedTable, rules: Rules
) -> tuple[list[tuple[str, str, Policy | None]], dict[str, str]]:
    """Return what happens to each policy. One that cannot be altered is dropped and made again in the same transaction."""
    found = {policy.name: policy for policy in there.policies}
    steps: list[tuple[str, str, Policy | None]] = []
    comments: dict[str, str] = {}
    for policy, form in zip(item.protected.policies, item.forms, strict=True):
        mine = found.get(policy.name)
        if mine and rules.same(mine.form, form):
            if policy.comment is not None and policy.comment != without_marker(mine.comment):
                ours = owner_of(mine.comment) == OWNER
                comments[policy.name] = with_marker(policy.comment, OWNER) if ours else policy.comment
                steps.append(("comment", policy.name, policy))
            continue
        if mine:
            steps.append(("drop", policy.name, None))
        steps.append(("create", policy.name, policy))
        written = policy.comment or (without_marker(mine.comment) if mine else "")
        comments[policy.name] = with_marker(written, OWNER)
    declared = {policy.name for policy in item.protected.policies}
    for other in there.policies:
        ours = owner_of(other.comment) == OWNER and (rules.purge or not item.protected.present)
        if other.name not in declared and (ours or other.name in item.protected.absent):
            steps.append(("drop", other.name, None))
    return steps, comments


def _remaining(there: ObservedTable, steps: Sequence[tuple[str, str, Policy | None]]) -> set[str]:
    """Return the names of the policies that the table has afterwards."""
    dropped = {name for verb, name, _ in steps if verb == "drop"}
    created = {name for verb, name, _ in steps if verb == "create"}
    return ({policy.name for policy in there.policies} - dropped) | created


def _unmanaged(item: Declared, there: ObservedTable, remaining: set[str]) -> tuple[str, ...]:
    declared = {policy.name for policy in item.protected.policies}
    return tuple(f"policy {p.name} on {there.table}" for p in there.policies if p.name in remaining - declared)


def _holes(item: Declared, there: ObservedTable, remaining: set[str]) -> tuple[str, ...]:
    """Name permissive policies that nobody declared: what they allow is added to what the others allow."""
    declared = {policy.name for policy in item.protected.policies}
    return tuple(
        f"policy {policy.name} on {there.table} is permissive and not declared: it opens rows beside the declared ones"
        for policy in there.policies
        if item.protected.present and policy.form.permissive and policy.name in remaining - declared
    )


def _after(item: Declared, there: ObservedTable, step: Step, remaining: set[str]) -> ObservedTable:
    forms = {
        p.name: (form, step.comments.get(p.name)) for p, form in zip(item.protected.policies, item.forms, strict=True)
    }
    before = {policy.name: policy for policy in there.policies}
    policies = []
    for name in sorted(remaining):
        old = before.get(name)
        form, comment = forms.get(name, (old.form if old else None, None))
        kept = old is not None and (
            comment is None or "create" not in {verb for verb, n, _ in step.policies if n == name}
        )
        shown = old.form if old and kept else form
        if shown:
            policies.append(
                ObservedPolicy(name, shown, comment if comment is not None else (old.comment if old else ""))
            )
    return ObservedTable(
        there.table,
        there.enabled if step.enable is None else step.enable,
        there.forced if step.force is None else step.force,
        tuple(policies),
    )


def _text(there: ObservedTable) -> str:
    """Return a table's row security as a diff shows it."""
    lines = [
        f"ALTER TABLE {there.table} {word} ROW LEVEL SECURITY"
        for word, on in (("ENABLE", there.enabled), ("FORCE", there.forced))
        if on
    ]
    for policy in sorted(there.policies, key=lambda policy: policy.name):
        lines.append(policy.form.text(policy.name, there.table))
        if without_marker(policy.comment):
            lines.append(f"-- {without_marker(policy.comment)}")
    return "".join(f"{line}\n" for line in lines)
