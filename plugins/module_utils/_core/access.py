# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles, databases, schemas, extensions and privileges: what community.postgresql must be called for, and no more.

The plan is a mapping from kind to a list of argument dictionaries of community.postgresql's modules. It never holds a
password: a role whose password differs is marked, and the role's task takes the secret from the inventory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .databases import MANAGED_PARAMETERS, Database, LoginRole
from .names import quote
from .scram import matches

Acl = frozenset[tuple[str, str]]  # (grantee, privilege); the grantee of PUBLIC is ""
_FLAGS = "NOSUPERUSER,NOCREATEDB,NOCREATEROLE,NOREPLICATION,NOBYPASSRLS,INHERIT"
TABLE_PRIVILEGES = {"application": ("SELECT", "INSERT", "UPDATE", "DELETE"), "readonly": ("SELECT",)}
SEQUENCE_PRIVILEGES = {"application": ("USAGE", "SELECT"), "readonly": ("SELECT",)}
KINDS = ("roles", "memberships", "databases", "schemas", "extensions", "privileges")


@dataclass(frozen=True)
class ObservedRole:
    """One row of pg_authid with its settings in all databases; `secret` is rolpassword and stays out of reprs."""

    login: bool
    privileged: bool
    inherit: bool
    connection_limit: int
    parameters: Mapping[str, str]
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ObservedSchema:
    """Owner and rights of one schema, and per grantee which rights some of its objects or defaults lack."""

    owner: str
    acl: Acl
    defaults: Mapping[tuple[str, str], frozenset[str]]  # (grantee, "table" | "sequence") → privileges by default
    lacking: Mapping[tuple[str, str], frozenset[str]]  # the same key → privileges that an existing object lacks


@dataclass(frozen=True)
class ObservedDatabase:
    """One row of pg_database and what is inside; `schemas` is None where the database could not be looked into."""

    owner: str
    encoding: str
    locale: str
    connection_limit: int
    acl: Acl
    schemas: Mapping[str, ObservedSchema] = field(default_factory=dict)
    extensions: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name → (schema, version)


@dataclass(frozen=True)
class Observed:
    """What one reading of the catalogues saw."""

    roles: Mapping[str, ObservedRole] = field(default_factory=dict)
    memberships: frozenset[tuple[str, str]] = frozenset()  # (group, member)
    databases: Mapping[str, ObservedDatabase] = field(default_factory=dict)
    # (role, database) → what was set for the role there
    inside: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)


Plan = dict[str, list[dict[str, Any]]]


def plan(wanted: Sequence[Database], monitoring_role: str, observed: Observed) -> Plan:
    """Return per kind the calls that are needed, in the order of KINDS; all lists empty means nothing to do."""
    steps: Plan = {kind: [] for kind in KINDS}
    steps["roles"] += _roles(wanted, monitoring_role, observed)
    if ("pg_monitor", monitoring_role) not in observed.memberships:
        steps["memberships"].append({"group": "pg_monitor", "member": monitoring_role})
    for database in wanted:
        seen = observed.databases.get(database.name)
        if seen is None or (seen.owner, seen.connection_limit) != (database.owner, database.connection_limit):
            form = seen or database  # what cannot be changed is said below, and asked of nobody
            steps["databases"].append(
                {
                    "name": database.name,
                    "owner": database.owner,
                    "encoding": form.encoding,
                    "locale": form.locale,
                    "connection_limit": database.connection_limit,
                }
            )
        steps["privileges"] += _database_privileges(database, monitoring_role, seen)
        for schema in database.schemas:
            inside = seen.schemas.get(schema) if seen else None
            if inside is None or inside.owner != database.owner:
                steps["schemas"].append({"database": database.name, "name": schema, "owner": database.owner})
            if seen and inside and seen.owner != database.owner:
                inside = replace(inside, defaults={})  # they are of what the owner that was creates
            steps["privileges"] += _schema_privileges(database, schema, inside)
        # a new database has it; of one that is there, somebody may have dropped it
        if "public" not in database.schemas and (seen is None or "public" in seen.schemas):
            public = seen.schemas["public"] if seen else None
            steps["privileges"] += _close_public(database.name, public)
        steps["extensions"] += _extensions(database, seen)
    return steps


def findings(wanted: Sequence[Database], observed: Observed) -> tuple[str, ...]:
    """Return what stands against the declaration and is not ours to change: said, never silently kept."""
    found = []
    for database in wanted:
        seen = observed.databases.get(database.name)
        if seen and (seen.encoding, seen.locale) != (database.encoding, database.locale):
            found.append(
                f"database {database.name} has encoding {seen.encoding} and locale {seen.locale}, the inventory says "
                f"{database.encoding} and {database.locale}: only a dump into a new database changes that"
            )
        for role in database.logins:
            if (database.owner, role.name) in observed.memberships:
                found.append(f"role {role.name} is a member of the owner {database.owner}: it can do all the owner can")
            for name, other in observed.databases.items():
                if other.owner == role.name:
                    found.append(f"role {role.name} owns database {name}: an application login must own nothing")
            found += _overridden(role, observed)
    return tuple(found)


def _overridden(role: LoginRole, observed: Observed) -> Iterable[str]:
    """Name what somebody set for a role in one database: it wins over what the role has everywhere."""
    for (name, database), settings in observed.inside.items():
        for setting, declared in role.parameters:
            if name == role.name and settings.get(setting, declared) != declared:
                yield (
                    f"role {name} has {setting} = {settings[setting]} in database {database}, where the inventory says "
                    f"{declared}: ALTER ROLE {quote(name)} IN DATABASE {quote(database)} RESET {setting}"
                )


def _roles(wanted: Sequence[Database], monitoring_role: str, observed: Observed) -> Iterable[dict[str, Any]]:
    desired: dict[str, LoginRole | None] = {database.owner: None for database in wanted}
    desired |= {role.name: role for database in wanted for role in database.logins}
    desired[monitoring_role] = LoginRole(monitoring_role, None, -1, (("statement_timeout", "30s"),))
    for name, role in desired.items():
        seen = observed.roles.get(name)
        if seen is None or not _role_equal(role, seen):
            yield {
                "name": name,
                "role_attr_flags": f"{'LOGIN' if role else 'NOLOGIN'},{_FLAGS}",
                "connection_limit": role.connection_limit if role else -1,
                "parameters": _parameters(role, seen),
                "set_password": bool(
                    role and role.password and not matches(role.password, seen.secret if seen else None)
                ),
            }


def _role_equal(role: LoginRole | None, seen: ObservedRole) -> bool:
    if seen.privileged or not seen.inherit or seen.login != (role is not None):
        return False
    if role is None:
        return seen.connection_limit == -1
    if role.password and not matches(role.password, seen.secret):
        return False
    managed = {name: value for name, value in seen.parameters.items() if name in MANAGED_PARAMETERS}
    return seen.connection_limit == role.connection_limit and managed == dict(role.parameters)


def _parameters(role: LoginRole | None, seen: ObservedRole | None) -> dict[str, str]:
    """Return every parameter the role shall have: the declared ones, and what others set that is not ours to declare."""
    others = {} if seen is None else {k: v for k, v in seen.parameters.items() if k not in MANAGED_PARAMETERS}
    return others | (dict(role.parameters) if role else {})


def _privilege(database: str, roles: str, privileges: Iterable[str], **more: Any) -> dict[str, Any]:
    step = {"database": database, "roles": roles, "privileges": ",".join(privileges), "state": "present"}
    return step | more


def _database_privileges(
    database: Database, monitoring_role: str, seen: ObservedDatabase | None
) -> list[dict[str, Any]]:
    acl = seen.acl if seen else frozenset({("", "CONNECT"), ("", "TEMPORARY")})
    steps = []
    public = sorted(privilege for grantee, privilege in acl if grantee == "")
    if public:
        steps.append(
            _privilege(database.name, "PUBLIC", public, type="database", objects=database.name, state="absent")
        )
    grants = {monitoring_role: ["CONNECT"]}
    if database.application:
        grants[database.application.name] = ["CONNECT", "TEMPORARY"]
    if database.readonly:
        grants[database.readonly.name] = ["CONNECT"]
    for grantee, privileges in grants.items():
        missing = [privilege for privilege in privileges if (grantee, privilege) not in acl]
        if missing:
            steps.append(_privilege(database.name, grantee, missing, type="database", objects=database.name))
    return steps


def _close_public(database: str, seen: ObservedSchema | None) -> list[dict[str, Any]]:
    # before PostgreSQL 15 everybody may also create there
    acl = seen.acl if seen else frozenset({("", "CREATE"), ("", "USAGE")})
    open_rights = sorted(privilege for grantee, privilege in acl if grantee == "")
    if not open_rights:
        return []
    return [_privilege(database, "PUBLIC", open_rights, type="schema", objects="public", state="absent")]


def _schema_privileges(database: Database, schema: str, seen: ObservedSchema | None) -> list[dict[str, Any]]:
    steps = _close_public(database.name, seen) if schema == "public" else []
    for part, role in (("application", database.application), ("readonly", database.readonly)):
        if role is None:
            continue
        if seen is None or (role.name, "USAGE") not in seen.acl:
            steps.append(_privilege(database.name, role.name, ["USAGE"], type="schema", objects=schema))
        for kind, rights in (("table", TABLE_PRIVILEGES[part]), ("sequence", SEQUENCE_PRIVILEGES[part])):
            by_default = seen.defaults.get((role.name, kind), frozenset()) if seen else frozenset()
            missing = [right for right in rights if right not in by_default]
            if missing:
                steps.append(
                    _privilege(
                        database.name,
                        role.name,
                        missing,
                        type="default_privs",
                        objects=f"{kind.upper()}S",
                        schema=schema,
                        target_roles=database.owner,
                    )
                )
            lacking = seen.lacking.get((role.name, kind), frozenset()) if seen else frozenset()
            if lacking & set(rights):
                steps.append(
                    _privilege(database.name, role.name, rights, type=kind, objects="ALL_IN_SCHEMA", schema=schema)
                )
    return steps


def _extensions(database: Database, seen: ObservedDatabase | None) -> Iterable[dict[str, Any]]:
    for extension in database.extensions:
        there = seen.extensions.get(extension.name) if seen else None
        schema, version = there or ("", "")
        if there is None or (extension.schema or schema, extension.version or version) != there:
            yield {
                "database": database.name,
                "name": extension.name,
                "schema": extension.schema,
                "version": extension.version,
            }
