# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Row security: policies that hold nobody, let everybody in or cost too much, and roles that go around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .expression import blanked
from .index import ObservedIndex
from .index_spec import Index, IndexColumn
from .lint_security_values import PolicyColumn, Role
from .lint_tree import planted, with_free_name
from .lint_values import Fix, Found, Observed, Rules, path
from .names import derive, quote, table_text
from .relation import ancestors
from .row_security import INDEX_ENDING, ObservedPolicy, ObservedTable, PolicyForm
from .row_security_spec import bare_setting
from .schema_export_security import protected_item, refusal

# what one session asks and another asks otherwise: a call, a sub-select, the role itself
_COMPUTED = re.compile(r"\bSELECT\b|[\w\"$]\(|\b(?:CURRENT|SESSION)_(?:USER|ROLE)\b")
_LENGTH = re.compile(r"::[\w .\"]+\([0-9, ]+\)")  # of a type, which looks like a call
# as the server deparses it; a setting of the application has a dot in its name
_SETTING = re.compile(
    r"(?P<guard>NULLIF\()?(?<![\w$.\"])current_setting\((?P<name>'[^']*\.[^']*')::text(?P<missing>, true)?\)"
)
_ANY_SETTING = re.compile(r"(?<![\w$.\"])current_setting\((?!'[^'.]*'::text)")
# what gives a value although its operand is NULL, as the server puts it between parentheses of its own; CASE has none
_TAKES_NULL = re.compile(r"\bIS (?:NOT )?(?:NULL|TRUE|FALSE|UNKNOWN|DISTINCT FROM)\b|\bCASE\b")
_ALWAYS = re.compile(r"true|\(true\)|\(1 = 1\)|\((?:true OR .*|.* OR true)\)", re.DOTALL)


def _tables(observed: Observed) -> Iterator[ObservedTable]:
    """Yield the tables with row security or policies, but those of extensions."""
    for name, there in sorted(observed.security.tables.items()):
        if not observed.facts_of(name).extension:
            yield there


def _enabled(observed: Observed) -> Iterator[ObservedTable]:
    return (there for there in _tables(observed) if there.enabled)


def _policies(observed: Observed) -> Iterator[tuple[ObservedTable, ObservedPolicy]]:
    for there in _tables(observed):
        for policy in sorted(there.policies, key=lambda policy: policy.name):
            yield there, policy


def _permissive(there: ObservedTable) -> bool:
    return any(policy.form.permissive for policy in there.policies)


def _declared(there: ObservedTable, observed: Observed, rules: Rules) -> Mapping[str, Any]:
    """Return a table's row security as a declaration; nothing where module row_security would not accept it."""
    if refusal(there, observed.security.per_row, rules.default_schema):
        return {}
    return {"row_security": {"tables": [protected_item(there, rules.default_schema)]}}


def row_security_disabled(observed: Observed, rules: Rules) -> Iterator[Found]:
    for there in _tables(observed):
        if there.enabled or not there.policies:
            continue
        why = "it has policies, and row security is disabled: they hold nobody"
        at, size = path(there.table), observed.size(there.table)
        if not _permissive(there):
            detail = f"{why}. All are restrictive, so that enabling it would hide every row: a person has to decide"
            yield Found(at, detail, bytes=size)
            continue
        fixes = [Fix("enable_row_security", there.table)]
        fixes += [] if there.forced else [Fix("force_row_security", there.table)]
        declared = _declared(replace(there, forced=True), observed, rules)
        yield Found(at, f"{why}. Once enabled, who has no policy sees nothing", tuple(fixes), declared, size)


def partition_bypasses_row_security(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for table, ways in observed.security.below.items():
        held = [way for way in ways if way.roles and not way.enabled and not observed.facts_of(way.top).extension]
        if not held:
            continue
        tops = ", ".join(str(way.top) for way in held)
        roles = ", ".join(sorted({role for way in held for role in way.roles}))
        detail = (
            f"policies of {tops} do not hold {roles} here, by its own name. With row security of its own and no policy it is "
            f"had through {held[0].top} only; a report or a subscription that reads or fills it by its own name then sees or "
            "may write nothing. A REVOKE would be undone by default privileges"
        )
        fixes = (Fix("enable_row_security", table), Fix("force_row_security", table))
        yield Found(path(table), detail, fixes, bytes=observed.size(table))


def row_security_without_policy(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for there in _enabled(observed):
        # what is below a protected table may be had through that only: it lets nobody in on purpose
        if not there.policies and there.table not in observed.security.below:
            whom = "nobody" if there.forced else "nobody but its owner"
            detail = (
                f"row security is enabled without any policy: {whom} sees a row. A person has to say who may, or a person "
                "has to disable it"
            )
            yield Found(path(there.table), detail, bytes=observed.size(there.table))


def row_security_not_forced(observed: Observed, rules: Rules) -> Iterator[Found]:
    for there in _enabled(observed):
        if there.policies and not there.forced:
            detail = (
                "its policies do not hold its owner: a migration, a function or a view with the owner's rights sees and "
                "writes all rows"
            )
            fix = Fix("force_row_security", there.table)
            declared = _declared(replace(there, forced=True), observed, rules)
            yield Found(path(there.table), detail, (fix,), declared, observed.size(there.table))


def row_security_only_restrictive(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for there in _tables(observed):
        if there.policies and not _permissive(there):
            detail = (
                "all its policies are restrictive: they narrow what permissive ones allow, and none allows anything, so that "
                "nobody sees a row. A person has to write the permissive one"
            )
            yield Found(path(there.table), detail, bytes=observed.size(there.table))


def policy_column_without_index(observed: Observed, rules: Rules) -> Iterator[Found]:
    for there in _enabled(observed):
        table = observed.tables.get(there.table)
        wanted = {column: None for policy in there.policies for column in _unserved(there, policy, observed)}
        for column in wanted if table else ():
            yield _without_index(there, column, observed, rules)


def _unserved(there: ObservedTable, policy: ObservedPolicy, observed: Observed) -> tuple[str, ...]:
    """Return the columns that a policy compares and no index begins with."""
    compared = _compared(there, policy, observed)
    bare = tuple(name for name in compared if not _leading(there, name, observed))
    # of conditions that all must hold, one with an index is enough
    return bare if " OR " in blanked(policy.form.using) or len(bare) == len(compared) else ()


def _compared(there: ObservedTable, policy: ObservedPolicy, observed: Observed) -> tuple[str, ...]:
    return session_columns(policy.form.using, observed.security.columns.get((there.table, policy.name), ()))


def serves_a_policy(index: ObservedIndex, observed: Observed) -> bool:
    """Whether an index begins with a column that a policy compares, or will, of its table or of one above."""
    first = observed.parts[index.key].keys[0].name
    for place in (index.table, *ancestors(index.table, observed.tables)):
        there = observed.security.tables.get(place)
        if there and any(first in _compared(there, policy, observed) for policy in there.policies):
            return True
    return False


def session_columns(text: str, columns: Iterable[PolicyColumn]) -> tuple[str, ...]:
    """Return the columns that an expression, as the server deparses it, holds equal to what belongs to the session."""
    spelt = {side: column.name for column in columns for side in _spelt(column)}
    own = [re.compile(rf'(?<![\w.$"]){re.escape(quote(column.name))}(?![\w.$"(])') for column in columns]
    found: dict[str, None] = {}
    for pair in _comparisons(text):
        for mine, other in (pair, pair[::-1]):
            name = spelt.get(mine)
            if name and _COMPUTED.search(_LENGTH.sub("", other)) and not any(column.search(other) for column in own):
                found[name] = None
    return tuple(found)


def _spelt(column: PolicyColumn) -> tuple[str, ...]:
    return (quote(column.name), f"({quote(column.name)})::text") if column.varchar else (quote(column.name),)


def _comparisons(text: str) -> Iterator[tuple[str, str]]:
    """Yield both sides of each equation; the server puts each between parentheses of its own."""
    plain = blanked(text)
    opened: list[int] = []
    equals: dict[int, int] = {}  # where a parenthesis opens → the equation directly in it
    for place, character in enumerate(plain):
        if character == "(":
            opened.append(place)
        elif opened and plain.startswith(" = ", place):
            equals.setdefault(opened[-1], place)
        elif opened and character == ")":
            start = opened.pop()
            if start in equals:
                yield plain[start + 1 : equals[start]], plain[equals[start] + 3 : place]


def _leading(there: ObservedTable, column: str, observed: Observed) -> bool:
    """Whether a valid index on all rows begins with a column."""
    for index in observed.by_table.get(there.table, ()):
        parts = observed.parts[index.key]
        if index.valid and not parts.predicate and parts.method in ("btree", "hash") and parts.keys[0].name == column:
            return True
    return False


def _without_index(there: ObservedTable, column: str, observed: Observed, rules: Rules) -> Found:
    named = Index(
        position=f"policy column {column} of {there.table}",
        table=there.table,
        name=derive([there.table.name, column], INDEX_ENDING),
        named=True,
        columns=(IndexColumn(name=column),),
    )
    index = with_free_name(named, INDEX_ENDING, observed)
    fixes = planted(index, observed)
    detail = f"a policy compares {column} in every statement, and no index of {there.table} on all rows begins with it"
    item = {"table": table_text(there.table, rules.default_schema), "name": index.name, "columns": [column]}
    declared: Mapping[str, Any] = {"indexes": [item]} if fixes else {}
    if not fixes:
        detail += "; it has foreign partitions, which have no index: a person has to decide"
    return Found(path(there.table, column), detail, fixes, declared, observed.size(there.table))


def policy_setting_without_nullif(observed: Observed, rules: Rules) -> Iterator[Found]:
    for there, policy in _policies(observed):
        form = policy.form
        texts = [text for text in (form.using, form.check) if text]
        if not any(_raising(text) for text in texts):
            continue
        why = (
            "calls current_setting() without NULLIF(current_setting('…', true), ''): in a session that never set it that "
            "raises, and after a transaction that did, it is an empty text, which a cast refuses and a comparison may find"
        )
        at, mended = path(there.table, policy.name), _mended(form)
        if any(_raising(text) for text in (mended.using, mended.check)):
            yield Found(at, f"{why}. {_undecided(texts)}: a person has to rewrite it")
            continue
        others = tuple(replace(other, form=_mended(other.form)) for other in there.policies)
        declared = _declared(replace(there, policies=others), observed, rules) if there.enabled else {}
        yield Found(at, why, (Fix("alter_policy", there.table, policy.name, policy=mended),), declared)


def _undecided(texts: Sequence[str]) -> str:
    """Say why NULLIF alone is no remedy."""
    if any(_null_opens(text) for text in texts):
        return (
            "It asks whether there is a value, or puts one in its place (IS NULL, COALESCE, …), so that it may be open "
            "without a context, and NULLIF may open it for an empty one, too"
        )
    return "The setting's name is computed"


def _null_opens(text: str) -> bool:
    """Whether a setting that is NULL where it is not set may be what lets a row through."""
    return any(_null_is_taken(text, call.start()) for call in _SETTING.finditer(text) if not _guards(call))


def _null_is_taken(text: str, place: int) -> bool:
    """Whether something around this place of an expression, as the server deparses it, has a value although this has none."""
    plain = f"({blanked(text)})"
    opened: list[int] = []
    for position, character in enumerate(plain):
        if character == "(":
            opened.append(position)
        elif opened and character == ")":
            start = opened.pop()
            if start <= place < position and (
                plain[:start].endswith("COALESCE") or _TAKES_NULL.search(_own(plain[start + 1 : position]))
            ):
                return True
    return False


def _own(text: str) -> str:
    """Return what of an expression stands in no parentheses."""
    while (shorter := re.sub(r"\([^()]*\)", "", text)) != text:
        text = shorter
    return text


def _mended(form: PolicyForm) -> PolicyForm:
    if _null_opens(form.using) or _null_opens(form.check):
        return form
    return replace(form, using=_guarded(form.using), check=_guarded(form.check))


def _raising(text: str) -> bool:
    """Whether an expression can raise, or take an empty text for a value, because of a setting that is not set."""
    calls = list(_SETTING.finditer(text))
    computed = len(calls) < len(_ANY_SETTING.findall(text)) and bare_setting(text)
    return computed or any(not _guards(call) for call in calls)


def _guards(call: re.Match[str]) -> bool:
    """Whether a call of current_setting() gives NULL where there is no value."""
    return bool(call["guard"] and call["missing"])


def _guarded(text: str) -> str:
    """Return an expression whose settings are NULL where they are not set."""

    def guard(call: re.Match[str]) -> str:
        asked = f"NULLIF(current_setting({call['name']}::text, true)"
        return asked if call["guard"] else f"{asked}, ''::text)"

    return _SETTING.sub(guard, text)


def policy_always_true(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for there, policy in _policies(observed):
        form = policy.form
        ways = {"seen": _ALWAYS.fullmatch(form.using), "written": _ALWAYS.fullmatch(form.written)}
        open_ways = [way for way, always in ways.items() if always]
        if form.permissive and open_ways:
            roles = ", ".join(sorted(form.roles))
            detail = (
                f"is true for every row: all rows may be {' and '.join(open_ways)} by {roles}, whatever the other policies "
                f"say ({form.command}). If that is not meant, a person has to say which rows are"
            )
            yield Found(path(there.table, policy.name), detail)


def bypasses(role: Role | None, there: ObservedTable, owner: str) -> str:
    """Say why row security does not hold somebody who reads a table, or return an empty text."""
    if role is None:
        return ""
    if role.superuser:
        return "is a superuser"
    if role.bypass:
        return "has BYPASSRLS"
    if not there.forced and (role.name == owner or owner in role.acts_as):
        return f"has the rights of {owner}, its owner, whom its policies do not hold (no FORCE)"
    return ""


def application_role_bypasses_row_security(observed: Observed, rules: Rules) -> Iterator[Found]:
    around: dict[tuple[str, str], list[tuple[ObservedTable, str]]] = {}
    for there in _enabled(observed):
        for name in sorted(_applications(there, observed, rules)):
            why = _way_around(observed.security.roles.get(name), there, observed)
            if why:
                around.setdefault((there.table.schema, name), []).append((there, why))
    for (schema, name), ways in sorted(around.items()):
        why = "; ".join(dict.fromkeys(why for _, why in ways))
        tables = ", ".join(str(there.table) for there, _ in ways[:3])
        more = f" and {len(ways) - 3} other tables" if len(ways) > 3 else ""
        detail = (
            f"{why}: policies of {tables}{more} do not hold this role, or it can switch them off. A person has to give the "
            "application a role that owns nothing, is neither superuser nor BYPASSRLS, and is in no role that is or does"
        )
        yield Found((schema, name), detail)


def _applications(there: ObservedTable, observed: Observed, rules: Rules) -> frozenset[str]:
    """Return the roles that policies are to hold: those that the caller names, or that policies and grants name.

    A policy for the owner lets migrations work where it is forced. A superuser needs no grant: one that has some has them
    from a dump.
    """
    if rules.application_roles:
        return frozenset(rules.application_roles)
    owner = observed.tables[there.table].owner
    named = {role for policy in there.policies for role in policy.form.roles} - {"public", owner}
    roles = observed.security.roles
    granted = {name for name in observed.security.grantees.get(there.table, ()) if not _superuser(roles.get(name))}
    return frozenset(named | granted)


def _superuser(role: Role | None) -> bool:
    return role is not None and role.superuser


def _way_around(role: Role | None, there: ObservedTable, observed: Observed) -> str:
    """Say how a role gets around a table's policies, now or once it has become the owner."""
    if role is None:
        return ""
    owner = observed.tables[there.table].owner
    reasons = {
        "it is a superuser": role.superuser,
        "it has BYPASSRLS": role.bypass,
        "it is the owner": role.name == owner,
        f"it is a member of {owner}, the owner": owner in role.member_of,
        f"it is a member of {role.becomes}, which is a superuser or has BYPASSRLS": bool(role.becomes),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
