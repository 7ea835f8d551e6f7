# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what the lint looks at in row security: policies, who has rights, who is above them, and what shows the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .._core.lint_security_values import PolicyColumn, Role, Security
from .._core.names import QualifiedName
from .connection import rows
from .row_security import called_per_row, read_past, read_policies
from .tables import OUTSIDE
from .view import read_views

_COLUMNS = f"""
SELECT n.nspname, t.relname, p.polname, a.attname, a.atttypid = 1043
FROM pg_catalog.pg_depend e
JOIN pg_catalog.pg_policy p ON p.oid = e.objid
JOIN pg_catalog.pg_class t ON t.oid = p.polrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = e.refobjsubid
WHERE e.classid = 'pg_catalog.pg_policy'::regclass AND e.refclassid = 'pg_catalog.pg_class'::regclass
  AND e.refobjid = p.polrelid AND e.refobjsubid > 0 AND {OUTSIDE}
ORDER BY 1, 2, 3, a.attnum
"""
# rights on single columns count as rights on the table
_GRANTEES = f"""
SELECT DISTINCT n.nspname, t.relname, r.rolname
FROM pg_catalog.pg_class t
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
CROSS JOIN LATERAL (SELECT x.grantee FROM pg_catalog.aclexplode(t.relacl) x
                    UNION SELECT x.grantee FROM pg_catalog.aclexplode(a.attacl) x) g
JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
WHERE t.relrowsecurity AND t.relkind IN ('r', 'p') AND g.grantee <> t.relowner AND {OUTSIDE}
"""
_ROLES = """
SELECT r.rolname, r.rolsuper, r.rolbypassrls,
       ARRAY(SELECT o.rolname::text FROM pg_catalog.pg_roles o
             WHERE o.rolname = ANY(%s) AND pg_catalog.pg_has_role(r.oid, o.oid, 'MEMBER')),
       ARRAY(SELECT o.rolname::text FROM pg_catalog.pg_roles o
             WHERE o.rolname = ANY(%s) AND pg_catalog.pg_has_role(r.oid, o.oid, 'USAGE')),
       coalesce((SELECT min(b.rolname::text) FROM pg_catalog.pg_roles b
                 WHERE (b.rolsuper OR b.rolbypassrls) AND b.oid <> r.oid
                   AND pg_catalog.pg_has_role(r.oid, b.oid, 'MEMBER')), '')
FROM pg_catalog.pg_roles r WHERE r.rolname = ANY(%s)
"""
_OWNERS = f"""
SELECT DISTINCT r.rolname
FROM pg_catalog.pg_class t
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = t.relowner
WHERE t.relrowsecurity AND {OUTSIDE}
"""
_READS = f"""
SELECT DISTINCT n.nspname, v.relname, tn.nspname, t.relname
FROM pg_catalog.pg_depend e
JOIN pg_catalog.pg_rewrite w ON w.oid = e.objid
JOIN pg_catalog.pg_class v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = e.refobjid AND t.oid <> v.oid
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
WHERE e.classid = 'pg_catalog.pg_rewrite'::regclass AND e.refclassid = 'pg_catalog.pg_class'::regclass AND {OUTSIDE}
"""
# whether the server is this one, nobody can tell from here; that the database has the same name can be told
_REMOTE = f"""
SELECT n.nspname, t.relname,
       coalesce((SELECT o.option_value FROM pg_catalog.pg_options_to_table(f.ftoptions) o
                 WHERE o.option_name = 'schema_name'), n.nspname::text),
       coalesce((SELECT o.option_value FROM pg_catalog.pg_options_to_table(f.ftoptions) o
                 WHERE o.option_name = 'table_name'), t.relname::text)
FROM pg_catalog.pg_foreign_table f
JOIN pg_catalog.pg_class t ON t.oid = f.ftrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE w.fdwname = 'postgres_fdw' AND 'dbname=' || pg_catalog.current_database() = ANY (s.srvoptions) AND {OUTSIDE}
"""
_KNOWN = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)"


def read_security(connection: Any, application_roles: Sequence[str]) -> Security:
    """Return row security, those whom it is to hold, and the views and foreign tables of the database."""
    tables = read_policies(connection)
    views = read_views(connection)
    grantees = _grouped(rows(connection, _GRANTEES))
    named = {role for there in tables.values() for policy in there.policies for role in policy.form.roles}
    named |= {role for roles in grantees.values() for role in roles} | {view.owner for view in views.values()}
    reads: dict[QualifiedName, set[QualifiedName]] = {}
    for schema, view, table_schema, table in rows(connection, _READS):
        reads.setdefault(QualifiedName(schema, view), set()).add(QualifiedName(table_schema, table))
    return Security(
        tables=tables,
        columns=_columns(connection),
        past=read_past(connection),
        per_row=called_per_row(connection, tables.values()),
        grantees=grantees,
        roles=_roles(connection, named | set(application_roles)),
        views=views,
        reads={view: frozenset(below) for view, below in reads.items()},
        remote={
            QualifiedName(schema, table): QualifiedName(there, other)
            for schema, table, there, other in rows(connection, _REMOTE)
        },
        invoker_views=connection.server_version >= 150000,
    )


def unknown_roles(connection: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of these names that no role has."""
    known = {name for (name,) in rows(connection, _KNOWN, (list(names),))} if names else set()
    return tuple(name for name in names if name not in known)


def _grouped(found: Iterable[tuple[Any, ...]]) -> dict[QualifiedName, frozenset[str]]:
    grouped: dict[QualifiedName, set[str]] = {}
    for schema, table, role in found:
        grouped.setdefault(QualifiedName(schema, table), set()).add(role)
    return {table: frozenset(roles) for table, roles in grouped.items()}


def _columns(connection: Any) -> dict[tuple[QualifiedName, str], tuple[PolicyColumn, ...]]:
    found: dict[tuple[QualifiedName, str], list[PolicyColumn]] = {}
    for schema, table, policy, column, varchar in rows(connection, _COLUMNS):
        found.setdefault((QualifiedName(schema, table), policy), []).append(PolicyColumn(column, varchar))
    return {key: tuple(dict.fromkeys(columns)) for key, columns in found.items()}


def _roles(connection: Any, names: Iterable[str]) -> dict[str, Role]:
    owners = [owner for (owner,) in rows(connection, _OWNERS)]
    found = rows(connection, _ROLES, (owners, owners, sorted(names))) if owners else []
    return {
        name: Role(name, superuser, bypass, frozenset(members), frozenset(acts), becomes)
        for name, superuser, bypass, members, acts, becomes in found
    }
