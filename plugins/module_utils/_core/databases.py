# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`pgstead_databases` as frozen values, and everything that can be wrong with it before a server is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from .errors import Problem
from .inventory import number, strings
from .scram import is_verifier
from .units import parse_duration_ms

RESERVED_ROLES = frozenset(
    {"postgres", "public", "none", "current_user", "session_user", "current_role", "pgbouncer_auth"}
)
RESERVED_DATABASES = frozenset({"template0", "template1", "postgres", "pgbouncer", "pgb_auth"})
POOL_MODES = ("transaction", "session", "statement")
NAME_BYTES = 63
PASSWORD_CHARACTERS = 8
# community.postgresql does not double quotation marks, and splits lists of roles at commas
_PORTABLE = re.compile(r'[^\x00-\x1f\x7f",]+')


@dataclass(frozen=True)
class LoginRole:
    """A role that logs in; `password` is plain text or a SCRAM verifier and never leaves this value in a repr."""

    name: str
    password: str | None = field(repr=False)
    connection_limit: int
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Extension:
    """An extension of a database; an empty schema or version leaves the choice to PostgreSQL."""

    name: str
    schema: str = ""
    version: str = ""


@dataclass(frozen=True)
class Pool:
    """Sizes of the pools of one database in PgBouncer; None leaves PgBouncer's own default."""

    size: int | None = None
    reserve: int | None = None
    mode: str | None = None


@dataclass(frozen=True)
class Database:
    """One entry of `pgstead_databases`, as far as provisioning needs it."""

    name: str
    owner: str
    application: LoginRole | None
    readonly: LoginRole | None
    schemas: tuple[str, ...]
    extensions: tuple[Extension, ...]
    encoding: str
    locale: str
    connection_limit: int
    pool: Pool
    position: int = 0  # in the inventory's list, for messages

    @property
    def logins(self) -> tuple[LoginRole, ...]:
        return tuple(role for role in (self.application, self.readonly) if role)


_TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
MANAGED_PARAMETERS = frozenset({*_TIMEOUTS, "default_transaction_read_only"})


def _login(raw: Mapping[str, Any] | None, *, readonly: bool) -> LoginRole | None:
    if not raw:
        return None
    parameters = [(name, str(raw[name])) for name in _TIMEOUTS if raw.get(name) not in (None, "")]
    if readonly:
        parameters.append(("default_transaction_read_only", "on"))
    limit = raw.get("connection_limit")
    return LoginRole(
        name=str(raw.get("name") or ""),
        password=raw.get("password") or None,
        connection_limit=-1 if limit is None else int(limit),
        parameters=tuple(sorted(parameters)),
    )


def _extension(raw: Any) -> Extension:
    if isinstance(raw, Mapping):
        return Extension(str(raw["name"]), str(raw.get("schema") or ""), str(raw.get("version") or ""))
    return Extension(str(raw))


def databases(items: Sequence[Mapping[str, Any]], locale: str, encoding: str = "UTF8") -> tuple[Database, ...]:
    """Turn the inventory's list into values; entries with `state: absent` are left out (they are never dropped)."""
    found = []
    for position, item in enumerate(items):
        if (item.get("state") or "present") != "present":
            continue
        pool = item.get("pool") or {}
        limit = number(item.get("connection_limit"))
        extensions = item.get("extensions") or []
        found.append(
            Database(
                name=str(item["name"]),
                owner=str(item["owner"]),
                application=_login(item.get("application_role"), readonly=False),
                readonly=_login(item.get("readonly_role"), readonly=True),
                schemas=strings(item.get("schemas")) or ("public",),
                extensions=tuple(
                    _extension(raw) for raw in (strings(extensions) if isinstance(extensions, str) else extensions)
                ),
                encoding=str(item.get("encoding") or encoding),
                locale=str(item.get("locale") or locale),
                connection_limit=-1 if limit is None else limit,
                pool=Pool(number(pool.get("size")), number(pool.get("reserve")), pool.get("mode")),
                position=position,
            )
        )
    return tuple(found)


def with_passwords(found: Sequence[Database], passwords: Mapping[str, str]) -> tuple[Database, ...]:
    """Give the login roles their passwords, which travel apart from the rest of the declaration."""

    def known(role: LoginRole | None) -> LoginRole | None:
        return replace(role, password=passwords.get(role.name, role.password)) if role else None

    return tuple(replace(d, application=known(d.application), readonly=known(d.readonly)) for d in found)


def check(found: Sequence[Database], monitoring_role: str) -> tuple[Problem, ...]:
    """Return what is wrong: names, duplicates, roles in two parts, missing secrets, impossible values."""
    problems = _name_problem("postgresql_monitoring_role", monitoring_role, RESERVED_ROLES)
    uses: dict[str, str] = {monitoring_role: "postgresql_monitoring_role"}
    owners: set[str] = set()
    seen: dict[str, str] = {}
    for database in found:
        where = f"pgstead_databases[{database.position}]"
        problems += _name_problem(f"{where}.name", database.name, RESERVED_DATABASES)
        if database.name in seen:
            problems.append(Problem(where, f"database {database.name!r} is already described at {seen[database.name]}"))
        seen.setdefault(database.name, where)
        problems += _name_problem(f"{where}.owner", database.owner, RESERVED_ROLES)
        if uses.get(database.owner) and database.owner not in owners:
            problems.append(Problem(f"{where}.owner", f"{database.owner!r} is also {uses[database.owner]}"))
        owners.add(database.owner)
        uses.setdefault(database.owner, f"{where}.owner")
        problems += _database_problems(where, database)
        for part, role in (("application_role", database.application), ("readonly_role", database.readonly)):
            if role:
                problems += _login_problems(f"{where}.{part}", role, uses)
    return tuple(problems)


def _database_problems(where: str, database: Database) -> list[Problem]:
    problems = [p for name in database.schemas for p in _name_problem(f"{where}.schemas", name, frozenset())]
    problems += [
        Problem(f"{where}.schemas", f"{name!r} is a name PostgreSQL keeps for itself")
        for name in database.schemas
        if name.startswith("pg_") or name == "information_schema"
    ]
    pool = database.pool
    if pool.mode is not None and pool.mode not in POOL_MODES:
        problems.append(Problem(f"{where}.pool.mode", f"{pool.mode!r} is not one of {', '.join(POOL_MODES)}"))
    if pool.size is not None and pool.size < 1:
        problems.append(Problem(f"{where}.pool.size", f"{pool.size}: a pool has at least 1 connection"))
    if pool.reserve is not None and pool.reserve < 0:
        problems.append(Problem(f"{where}.pool.reserve", f"{pool.reserve} is negative"))
    if database.connection_limit < -1:
        problems.append(Problem(f"{where}.connection_limit", "use -1 for no limit, or 0 and more"))
    return problems


def _login_problems(where: str, role: LoginRole, uses: dict[str, str]) -> list[Problem]:
    problems = _name_problem(f"{where}.name", role.name, RESERVED_ROLES)
    if role.name in uses:
        problems.append(Problem(f"{where}.name", f"role {role.name!r} is already {uses[role.name]}"))
    uses.setdefault(role.name, where)
    if role.password is None:
        problems.append(
            Problem(f"{where}.password", "is missing: give a password (from your vault) or a SCRAM verifier")
        )
    elif _unquoted(role.password):
        problems.append(Problem(f"{where}.password", "is not a text as YAML reads it: put it in quotation marks"))
    elif role.password.lower().startswith("md5") and len(role.password) == 35:
        problems.append(Problem(f"{where}.password", "is an MD5 hash: give the password or a SCRAM-SHA-256 verifier"))
    elif len(role.password) < PASSWORD_CHARACTERS or role.password == role.name:
        problems.append(Problem(f"{where}.password", f"is shorter than {PASSWORD_CHARACTERS} characters, or the name"))
    elif role.password.startswith("SCRAM-SHA-256$") and not is_verifier(role.password):
        problems.append(Problem(f"{where}.password", "looks like a SCRAM verifier but is not a valid one"))
    if role.connection_limit < -1:
        problems.append(Problem(f"{where}.connection_limit", "use -1 for no limit, or 0 and more"))
    for name, value in role.parameters:
        if name in _TIMEOUTS:
            problems += _timeout_problem(f"{where}.{name}", value)
    return problems


def _unquoted(password: object) -> bool:
    """Say whether YAML made something else of a password; one that is vaulted may be a text of a type of its own."""
    return isinstance(password, (int, float, date, Mapping, list))


def _timeout_problem(where: str, value: str) -> list[Problem]:
    try:
        milliseconds = parse_duration_ms(value)
    except ValueError as error:
        return [Problem(where, str(error))]
    return [Problem(where, f"{value} is negative: use 0 to switch it off")] if milliseconds < 0 else []


def _name_problem(where: str, name: str, reserved: frozenset[str]) -> list[Problem]:
    if not name or not _PORTABLE.fullmatch(name):
        return [Problem(where, "needs a name without control characters, quotation marks and commas")]
    if len(name.encode()) > NAME_BYTES:
        return [Problem(where, f"{name!r} is longer than {NAME_BYTES} bytes, which PostgreSQL would cut off")]
    if name.lower() in reserved or (reserved is RESERVED_ROLES and name.lower().startswith("pg_")):
        return [Problem(where, f"{name!r} is a name PostgreSQL or the collection keeps for itself")]
    return []
