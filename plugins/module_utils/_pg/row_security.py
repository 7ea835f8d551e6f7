# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Row security in SQL: policies read, tried and rendered; who would bypass them; the function that sets the context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.names import QualifiedName, literal, quote
from .._core.plan import MARKER, Change, with_marker
from .._core.row_security import KIND, OWNER, ObservedPolicy, ObservedTable, Past, PolicyForm, Step
from .._core.row_security_spec import Context, Policy
from .._core.schema_export_security import policy_calls
from .canonical import Trial, enclosed
from .connection import rows
from .ledger import forget, remember
from .tables import OUTSIDE

_POLICIES = f"""
SELECT n.nspname, t.relname, t.relrowsecurity, t.relforcerowsecurity, p.polname, p.polcmd::text, p.polpermissive,
       ARRAY(SELECT coalesce(r.rolname::text, 'public') FROM unnest(p.polroles) u(oid)
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = u.oid),
       coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), ''),
       coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), ''), coalesce(d.description, '')
FROM pg_catalog.pg_class t
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
LEFT JOIN pg_catalog.pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_catalog.pg_policy'::regclass
WHERE t.relkind IN ('r', 'p') AND (t.relrowsecurity OR t.relforcerowsecurity OR p.oid IS NOT NULL) AND {OUTSIDE}
"""
_TRIED = """
SELECT p.polname, coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), ''),
       coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class t ON t.oid = p.polrelid
WHERE t.relnamespace = pg_catalog.pg_my_temp_schema() AND p.polname = ANY(%s)
"""
_TYPES = """
SELECT n.nspname, t.relname, a.attname, a.attnum, pg_catalog.format_type(y.oid, -1)
FROM pg_catalog.pg_attribute a
CROSS JOIN LATERAL (
    WITH RECURSIVE below(oid, base) AS (
        SELECT y.oid, y.typbasetype FROM pg_catalog.pg_type y WHERE y.oid = a.atttypid
        UNION ALL SELECT y.oid, y.typbasetype FROM below b JOIN pg_catalog.pg_type y ON y.oid = b.base)
    SELECT oid FROM below WHERE base = 0) y
JOIN pg_catalog.pg_class t ON t.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND (n.nspname, t.relname) IN (SELECT unnest(%s::text[]), unnest(%s::text[]))
"""
# a role that owns a table, or may become its owner, is not held by FORCE's absence alone: it can switch security off
_BYPASSING = """
SELECT r.rolname, n.nspname, t.relname, o.rolname,
       r.rolsuper, r.rolbypassrls, pg_catalog.pg_has_role(r.oid, t.relowner, 'MEMBER'),
       (SELECT min(b.rolname) FROM pg_catalog.pg_roles b
        WHERE (b.rolsuper OR b.rolbypassrls OR b.rolreplication) AND b.oid <> r.oid
          AND pg_catalog.pg_has_role(r.oid, b.oid, 'MEMBER')),
       pg_catalog.current_setting('server_version_num')::int < 160000 AND EXISTS (
        SELECT FROM pg_catalog.pg_roles b WHERE b.rolcreaterole AND pg_catalog.pg_has_role(r.oid, b.oid, 'MEMBER')),
       r.rolreplication,
       (SELECT min(b.rolname) FROM pg_catalog.pg_roles b
        WHERE b.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
          AND pg_catalog.pg_has_role(r.oid, b.oid, 'MEMBER'))
FROM pg_catalog.pg_roles r
CROSS JOIN pg_catalog.pg_class t
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = t.relowner
WHERE r.rolname = ANY(%s) AND (n.nspname, t.relname) IN (SELECT unnest(%s::text[]), unnest(%s::text[]))
"""
_THESE = "(n.nspname, t.relname) IN (SELECT unnest(%s::text[]), unnest(%s::text[]))"
# By its own name, what is below a table is held by its own row security only. Rights on one column are enough to read it.
_PAST = """
WITH RECURSIVE tree(top, oid) AS (
    SELECT t.oid, i.inhrelid FROM pg_catalog.pg_class t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
    WHERE {}
    UNION
    SELECT r.top, i.inhrelid FROM tree r JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid)
SELECT tn.nspname, t.relname, n.nspname, p.relname, p.relrowsecurity, ARRAY(
    SELECT DISTINCT coalesce(g.rolname::text, 'public')
    FROM (SELECT x.grantee, x.privilege_type
          FROM pg_catalog.aclexplode(coalesce(p.relacl, pg_catalog.acldefault('r', p.relowner))) x
          UNION ALL
          SELECT x.grantee, x.privilege_type FROM pg_catalog.pg_attribute a
          CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) x
          WHERE a.attrelid = p.oid AND NOT a.attisdropped) x
    LEFT JOIN pg_catalog.pg_roles g ON g.oid = x.grantee
    WHERE x.grantee <> t.relowner AND x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
      AND NOT coalesce(g.rolsuper OR g.rolbypassrls, false)
      AND pg_catalog.has_schema_privilege(coalesce(g.rolname, 'public'), n.oid, 'USAGE')
    ORDER BY 1)
FROM tree
JOIN pg_catalog.pg_class t ON t.oid = tree.top
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = tree.oid AND p.relkind IN ('r', 'p')
JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
ORDER BY 1, 2, 3, 4
"""
_ROLES = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)"
_STABLE = """
SELECT n.nspname, p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.provolatile <> 'i' AND p.proname = ANY(%s)
"""
_FUNCTION = """
SELECT p.prosrc, coalesce(p.proconfig, ARRAY[]::text[]), p.prosecdef
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND p.proname = %s AND pg_catalog.pg_get_function_identity_arguments(p.oid) = %s
"""
_CONTEXTS = f"""
SELECT n.nspname, p.proname
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_catalog.pg_proc'::regclass
WHERE pg_catalog.right(d.description, {len(MARKER + OWNER)}) = '{MARKER}{OWNER}' AND {OUTSIDE}
ORDER BY 1, 2
"""
_COMMANDS = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}
ARGUMENTS = "user_id text, user_role text"


@dataclass(frozen=True)
class Bypass:
    """Why row security of a table does not hold a role."""

    role: str
    table: QualifiedName
    why: str


def read_policies(connection: Any) -> dict[QualifiedName, ObservedTable]:
    """Return every table that has row security or policies."""
    found: dict[QualifiedName, ObservedTable] = {}
    for schema, table, enabled, forced, name, command, permissive, roles, using, check, comment in rows(
        connection, _POLICIES
    ):
        key = QualifiedName(schema, table)
        there = found.get(key) or ObservedTable(key, enabled, forced)
        if name is not None:
            form = PolicyForm(_COMMANDS[command], permissive, frozenset(roles), using, check)
            there = ObservedTable(key, enabled, forced, (*there.policies, ObservedPolicy(name, form, comment)))
        found[key] = there
    return found


def read_types(connection: Any, tables: Sequence[QualifiedName]) -> dict[tuple[QualifiedName, str], tuple[int, str]]:
    """Return number and type of each column of these tables: without a length, and no domain.

    A cast to the column's own varchar(9) would cut a longer name of a user, silently, to that of another one.
    """
    names = ([table.schema for table in tables], [table.name for table in tables])
    return {
        (QualifiedName(schema, table), column): (number, kind)
        for schema, table, column, number, kind in rows(connection, _TYPES, names)
    }


def read_past(connection: Any, tables: Sequence[QualifiedName] | None = None) -> tuple[Past, ...]:
    """Return the partitions and inheritance children of these tables, or of all whose row security is enabled, and who
    may use them by their own names.
    """
    if tables is None:
        found = rows(connection, _PAST.format(f"t.relrowsecurity AND {OUTSIDE}"))
    else:
        names = ([table.schema for table in tables], [table.name for table in tables])
        found = rows(connection, _PAST.format(_THESE), names)
    return tuple(
        Past(QualifiedName(top_schema, top), QualifiedName(schema, name), enabled, tuple(roles))
        for top_schema, top, schema, name, enabled, roles in found
    )


def missing_roles(connection: Any, roles: Sequence[str]) -> tuple[str, ...]:
    """Return the roles that do not exist."""
    known = {name for (name,) in rows(connection, _ROLES, (list(roles),))} | {"public"}
    return tuple(sorted(set(roles) - known))


def bypassing(connection: Any, roles: Sequence[str], tables: Sequence[QualifiedName]) -> tuple[Bypass, ...]:
    """Return who of these roles is not held by row security of which table."""
    names = ([table.schema for table in tables], [table.name for table in tables])
    found = []
    for role, schema, table, owner, *holding in rows(connection, _BYPASSING, (list(roles), *names)):
        superuser, bypass, member, becomes, makes_members, replicates, serves = holding
        reasons = (
            (superuser, "is a superuser"),
            (bypass, "has BYPASSRLS"),
            (role == owner, "owns the table"),
            (member, f"is a member of {owner}, which owns the table"),
            (becomes, f"may become {becomes}, a superuser or with BYPASSRLS or REPLICATION"),
            (makes_members, f"has CREATEROLE, and before PostgreSQL 16 may make itself a member of {owner}"),
            (replicates, "has REPLICATION, by which it may read what everybody writes"),
            (serves, f"is a member of {serves}, by which it may read the server's files"),
        )
        why = next((reason for holds, reason in reasons if holds), "")
        if why:
            found.append(Bypass(role, QualifiedName(schema, table), why))
    return tuple(found)


def not_immutable(connection: Any, names: Sequence[str]) -> frozenset[str]:
    """Return those of these functions (as deparsed texts name them) that are stable or volatile."""
    bare = {name: name.rsplit(".", 1)[-1].strip('"') for name in names}
    found = {(schema, function) for schema, function in rows(connection, _STABLE, (sorted(set(bare.values())),))}
    return frozenset(
        name
        for name, function in bare.items()
        if ((name.split(".", 1)[0].strip('"') if "." in name else "pg_catalog"), function) in found
    )


def called_per_row(connection: Any, tables: Iterable[ObservedTable]) -> frozenset[str]:
    """Return the functions that policies call for each row, although one call would do for all."""
    calls = {call for there in tables for policy in there.policies for call in policy_calls(policy)}
    return not_immutable(connection, sorted(calls)) if calls else frozenset()


def read_contexts(connection: Any) -> tuple[QualifiedName, ...]:
    """Return the functions that module row_security made to set a context."""
    return tuple(QualifiedName(schema, name) for schema, name in rows(connection, _CONTEXTS))


def read_tried(connection: Any, names: Sequence[str]) -> Mapping[str, str]:
    """Return USING and WITH CHECK of trial policies as one text (a zero byte is in neither)."""
    return {name: f"{using}\0{check}" for name, using, check in rows(connection, _TRIED, (list(names),))}


def trial(table: QualifiedName, policy: Policy) -> Trial:
    """Return the trial of a declared policy; its roles are looked at elsewhere."""
    return Trial(table, lambda copy, name: f"CREATE POLICY {name} ON {copy}{_body(policy, with_roles=False)}")


def text_trial(table: QualifiedName, text: str) -> Trial:
    """Return the trial of an expression that a server has given."""
    return Trial(table, lambda copy, name: f"CREATE POLICY {name} ON {copy} USING ({text})")


def _body(policy: Policy, *, with_roles: bool = True) -> str:
    parts = [" AS RESTRICTIVE" if policy.restrictive else "", f" FOR {policy.command.upper()}"]
    if with_roles:
        parts.append(f" TO {', '.join('PUBLIC' if role == 'public' else quote(role) for role in policy.roles)}")
    parts.append(f" USING {enclosed(policy.using)}" if policy.using else "")
    parts.append(f" WITH CHECK {enclosed(policy.check)}" if policy.check else "")
    return "".join(parts)


def render(change: Change) -> tuple[str, ...]:
    """Return the statements of one change, in order: policies before they are needed, all in one transaction."""
    step: Step = change.subject
    table = step.table.sql
    statements: list[str] = []
    for verb, name, policy in step.policies:
        if verb == "drop":
            statements += [f"DROP POLICY {quote(name)} ON {table}", forget(KIND, step.table, name)]
        elif verb == "create" and policy:
            statements += [f"CREATE POLICY {quote(name)} ON {table}{_body(policy)}", remember(KIND, step.table, name)]
        if name in step.comments and verb != "drop":
            statements.append(f"COMMENT ON POLICY {quote(name)} ON {table} IS {literal(step.comments[name])}")
    if step.enable is not None:
        statements.append(f"ALTER TABLE {table} {'ENABLE' if step.enable else 'DISABLE'} ROW LEVEL SECURITY")
    if step.force is not None:
        statements.append(f"ALTER TABLE {table} {'FORCE' if step.force else 'NO FORCE'} ROW LEVEL SECURITY")
    return tuple(statements)


def function_body(context: Context) -> str:
    """Return the body of the function that sets the context for one transaction, and refuses to outside of one."""
    role = (
        f"\n    PERFORM pg_catalog.set_config({literal(context.role)}, coalesce(user_role, ''), true);"
        if context.role
        else ""
    )
    said = f"{context.function.name} was called outside a transaction: its settings would not last"
    return f"""
BEGIN
    -- both are the same in autocommit, where the settings would be gone before the next statement
    IF pg_catalog.now() = pg_catalog.statement_timestamp() THEN
        RAISE EXCEPTION {literal(said.replace("%", "%%"))}
            USING ERRCODE = 'no_active_sql_transaction', HINT = 'BEGIN, set the context, work, COMMIT';
    END IF;
    PERFORM pg_catalog.set_config({literal(context.user)}, coalesce(user_id, ''), true);{role}
END
"""


def function_differs(connection: Any, context: Context) -> bool:
    """Whether the context function is missing or another one."""
    name = context.function
    found = rows(connection, _FUNCTION, (name.schema, name.name, ARGUMENTS))
    return found != [(function_body(context), ["search_path=pg_catalog"], False)]


def function_statements(context: Context) -> tuple[str, ...]:
    """Return what creates or replaces the context function."""
    name = context.function.sql
    head = f"CREATE OR REPLACE FUNCTION {name}(user_id text, user_role text DEFAULT NULL) RETURNS void LANGUAGE plpgsql"
    comment = literal(with_marker("Sets the application's user for one transaction", OWNER))
    return (
        f"{head} SET search_path = pg_catalog AS {literal(function_body(context))}",
        f"COMMENT ON FUNCTION {name}(text, text) IS {comment}",
    )
