# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Row security as the inventory declares it: shorthands become policies, and what would not protect is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Problem
from .expression import complaint
from .inventory import strings
from .names import QualifiedName, derive, literal, parse, quote, unusable

COMMANDS = ("all", "select", "insert", "update", "delete")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+")
# an unset setting is NULL before, but an empty text after it was set locally once: a cast of '' raises
_BARE_SETTING = re.compile(r"(?i)\bcurrent_setting\s*\(")
_GUARDED_SETTING = re.compile(r"(?i)\bnullif\s*\(\s*(?:pg_catalog\s*\.\s*)?current_setting\s*\(")


@dataclass(frozen=True)
class Context:
    """The settings that carry the application's user into a transaction, and the function that sets them."""

    user: str
    role: str
    function: QualifiedName


@dataclass(frozen=True)
class Surroundings:
    """What the shorthands refer to: the context, whom policies are for, and the columns' types as SQL (None: not known
    before a server is asked).
    """

    context: Context | None
    application_roles: tuple[str, ...]
    types: Mapping[tuple[QualifiedName, str], str] | None
    schema: str

    def type_of(self, table: QualifiedName, column: str) -> str:
        """Return a column's type. Raises ValueError."""
        if self.types is None:
            return "text"
        if (table, column) not in self.types:
            known = any(other == table for other, _column in self.types)
            what = f"has no column {column}" if known else "does not exist"
            raise ValueError(f"owner_column: {table} {what}")
        return self.types[table, column]


@dataclass(frozen=True)
class Policy:
    """One policy; an empty text where there is no such clause."""

    name: str
    command: str = "all"
    restrictive: bool = False
    roles: tuple[str, ...] = ()
    using: str = ""
    check: str = ""
    comment: str | None = None


@dataclass(frozen=True)
class Protected:
    """One table whose rows are protected; `owner_column` is the one that says whose a row is, where a shorthand was used."""

    position: str
    table: QualifiedName
    policies: tuple[Policy, ...]
    force: bool = True
    present: bool = True
    owner_column: str = ""
    absent: frozenset[str] = frozenset()  # names of policies that are to go


def context(raw: Mapping[str, Any] | None, schema: str) -> tuple[Context | None, tuple[Problem, ...]]:
    """Read the context, with every problem found."""
    if not raw:
        return None, ()
    problems = []
    user, role = str(raw.get("user") or ""), str(raw.get("role") or "")
    for key, name in (("user", user), ("role", role)):
        if (name or key == "user") and not _SETTING.fullmatch(name):
            problems.append(Problem(f"context.{key}", f"{name!r} is not a setting of your own: write app.user_id"))
    try:
        function = parse(str(raw.get("function") or "set_user_context"), schema)
    except ValueError as error:
        problems.append(Problem("context.function", str(error)))
        function = QualifiedName(schema, "set_user_context")
    return Context(user, role, function), tuple(problems)


def protected_tables(
    items: Sequence[Mapping[str, Any]], around: Surroundings
) -> tuple[tuple[Protected, ...], tuple[Problem, ...]]:
    """Turn the inventory's list into values, with every problem found."""
    found: list[Protected] = []
    problems: list[Problem] = []
    seen: dict[QualifiedName, str] = {}
    for number, item in enumerate(items):
        position = f"tables[{number}]"
        where = f"{position} ({item.get('name')})"
        try:
            table = parse(str(item["name"]), around.schema)
            made = _protected(position, table, item, around)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        if table in seen:
            problems.append(Problem(where, f"{seen[table]} protects the same table"))
        seen.setdefault(table, position)
        problems += [Problem(where, text) for text in _faults(made)]
        found.append(made)
    return tuple(found), tuple(problems)


def _protected(position: str, table: QualifiedName, item: Mapping[str, Any], around: Surroundings) -> Protected:
    present = (item.get("state") or "present") == "present"
    owner, admin = str(item.get("owner_column") or ""), str(item.get("admin_role") or "")
    raw = item.get("policies") or []
    policies = [
        *_shorthands(table, owner, admin, around),
        *(_policy(one, around.application_roles) for one in raw if one.get("state") != "absent"),
    ]
    return Protected(
        position=position,
        table=table,
        policies=tuple(policies) if present else (),
        force=item.get("force") is not False,
        present=present,
        owner_column=owner,
        absent=frozenset(str(one["name"]) for one in raw if one.get("state") == "absent"),
    )


def _shorthands(table: QualifiedName, owner: str, admin: str, around: Surroundings) -> list[Policy]:
    """Return the policies that owner_column and admin_role stand for."""
    if not (owner or admin):
        return []
    if not around.context:
        raise ValueError("owner_column and admin_role need the context: which settings carry user and role")
    if not around.application_roles:
        raise ValueError("owner_column and admin_role need application_roles: whom the policies are for")
    policies = []
    if owner:
        kind = around.type_of(table, owner)
        mine = f"{quote(owner)} = (SELECT NULLIF({_setting(around.context.user)}, '')::{kind})"
        policies.append(Policy(derive([table.name], "owner"), roles=around.application_roles, using=mine, check=mine))
    if admin:
        if not around.context.role:
            raise ValueError("admin_role needs context.role: the setting that carries the user's role")
        is_admin = f"(SELECT NULLIF({_setting(around.context.role)}, '')) = {literal(admin)}"
        policies.append(
            Policy(derive([table.name], "admin"), roles=around.application_roles, using=is_admin, check=is_admin)
        )
    return policies


def _setting(name: str) -> str:
    return f"pg_catalog.current_setting({literal(name)}, true)"


def _policy(raw: Mapping[str, Any], application_roles: tuple[str, ...]) -> Policy:
    name = str(raw["name"])
    command = str(raw.get("command") or "all").lower()
    using, check = str(raw.get("using") or "").strip(), str(raw.get("with_check") or "").strip()
    fault = unusable(name)
    if fault:
        raise ValueError(fault)
    if command not in COMMANDS:
        raise ValueError(f"policy {name}: command {command!r} is not one of {', '.join(COMMANDS)}")
    for key, text in (("using", using), ("with_check", check)):
        fault = complaint(text)
        if fault:
            raise ValueError(f"policy {name}: {key}: {fault}")
    if using and command == "insert":
        raise ValueError(f"policy {name}: a policy for INSERT has with_check and no using: there is no row yet")
    if check and command in ("select", "delete"):
        raise ValueError(
            f"policy {name}: a policy for {command.upper()} has using and no with_check: nothing is written"
        )
    if not (using or check):
        raise ValueError(f"policy {name}: give using, with_check or both")
    if command in ("all", "update") and not check:
        check = using  # what PostgreSQL does; said explicitly, so that a reader sees it
    roles = strings(raw.get("roles")) or application_roles
    if not roles:
        raise ValueError(f"policy {name}: give roles, or application_roles for all policies")
    comment = raw.get("comment")
    restrictive = bool(raw.get("restrictive"))
    return Policy(name, command, restrictive, roles, using, check, None if comment is None else str(comment))


def bare_setting(text: str) -> bool:
    """Whether an expression calls current_setting() without NULLIF around it."""
    return len(_BARE_SETTING.findall(text)) > len(_GUARDED_SETTING.findall(text))


def _faults(protected: Protected) -> list[str]:
    """Say what would make these policies useless or dangerous, whatever the server thinks of them."""
    if not protected.present:
        return []
    found = []
    names = [policy.name for policy in protected.policies]
    found += [f"policy {name} is declared twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if not names:
        found.append("no policy at all: nobody but the owner would see a row")
    elif all(policy.restrictive for policy in protected.policies):
        found.append(
            "only restrictive policies: nobody would see a row. At least one permissive policy has to allow it"
        )
    for policy in protected.policies:
        for text in {policy.using, policy.check}:
            if bare_setting(text):
                found.append(
                    f"policy {policy.name}: current_setting() without NULLIF(current_setting('…', true), ''): once set in "
                    "a session, an unset setting is an empty text, and not NULL"
                )
    return found
