# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One reading of roles, databases, schemas, extensions and rights: cluster-wide once, and once inside each database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .._core.access import Acl, Observed, ObservedDatabase, ObservedRole, ObservedSchema
from .connection import Target, connect, rows

_ROLES = """
SELECT a.rolname, a.rolcanlogin, a.rolinherit, a.rolconnlimit, a.rolpassword,
       a.rolsuper OR a.rolcreatedb OR a.rolcreaterole OR a.rolreplication OR a.rolbypassrls,
       coalesce(s.setconfig, '{}'::text[])
FROM pg_catalog.pg_authid a
LEFT JOIN pg_catalog.pg_db_role_setting s ON s.setrole = a.oid AND s.setdatabase = 0
"""
_INSIDE = """
SELECT a.rolname, d.datname, s.setconfig
FROM pg_catalog.pg_db_role_setting s
JOIN pg_catalog.pg_authid a ON a.oid = s.setrole
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
"""
_MEMBERS = """
SELECT g.rolname, m.rolname
FROM pg_catalog.pg_auth_members x
JOIN pg_catalog.pg_authid g ON g.oid = x.roleid
JOIN pg_catalog.pg_authid m ON m.oid = x.member
"""
_DATABASES = """
SELECT d.datname, r.rolname, pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datconnlimit, d.datallowconn,
       ARRAY(SELECT coalesce(g.rolname, '') || '=' || x.privilege_type
             FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) x
             LEFT JOIN pg_catalog.pg_authid g ON g.oid = x.grantee)
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_authid r ON r.oid = d.datdba
"""
_SCHEMAS = """
SELECT n.nspname, r.rolname,
       ARRAY(SELECT coalesce(g.rolname, '') || '=' || x.privilege_type
             FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) x
             LEFT JOIN pg_catalog.pg_authid g ON g.oid = x.grantee)
FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_authid r ON r.oid = n.nspowner
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
# what the database's owner grants by default on what it creates in a schema
_DEFAULTS = """
SELECT n.nspname, g.rolname, CASE a.defaclobjtype WHEN 'r' THEN 'table' ELSE 'sequence' END, x.privilege_type
FROM pg_catalog.pg_default_acl a
JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database() AND d.datdba = a.defaclrole
CROSS JOIN LATERAL pg_catalog.aclexplode(a.defaclacl) x
JOIN pg_catalog.pg_authid g ON g.oid = x.grantee
WHERE a.defaclobjtype IN ('r', 'S')
"""
# Rights that at least one existing table or sequence of the owner does not give to a role that should have them. The CASE
# asks only what each kind can answer: the planner is free to evaluate it before the join's own condition.
_LACKING = """
SELECT n.nspname, w.role, w.kind, w.privilege
FROM unnest(%s::text[], %s::text[], %s::text[]) AS w(role, kind, privilege)
JOIN pg_catalog.pg_authid g ON g.rolname = w.role
JOIN pg_catalog.pg_class c ON (w.kind = 'table' AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
                           OR (w.kind = 'sequence' AND c.relkind = 'S')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                  WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
  AND NOT CASE WHEN w.kind = 'table' AND c.relkind <> 'S' THEN pg_catalog.has_table_privilege(g.oid, c.oid, w.privilege)
               WHEN w.kind = 'sequence' AND c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(g.oid, c.oid, w.privilege)
               ELSE true END
GROUP BY 1, 2, 3, 4
"""
_EXTENSIONS = """
SELECT e.extname, n.nspname, e.extversion
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
"""


def _acl(items: Sequence[str]) -> Acl:
    # role names may hold '=', privileges never do
    return frozenset((item.rsplit("=", 1)[0], item.rsplit("=", 1)[1]) for item in items)


def observe(target: Target, names: Sequence[str], expected: dict[str, list[tuple[str, str, str]]]) -> Observed:
    """Read the cluster and the named databases; `expected` maps a database to (role, kind, privilege) to look for."""
    with connect(target) as connection:
        roles = {
            name: ObservedRole(login, privileged, inherit, limit, dict(s.split("=", 1) for s in config), secret)
            for name, login, inherit, limit, secret, privileged, config in rows(connection, _ROLES)
        }
        members = frozenset((group, member) for group, member in rows(connection, _MEMBERS))
        set_there = {
            (role, name): dict(s.split("=", 1) for s in config) for role, name, config in rows(connection, _INSIDE)
        }
        found = {row[0]: row for row in rows(connection, _DATABASES)}
    databases = {}
    for name, (_name, owner, encoding, locale, limit, open_, acl) in found.items():
        inside: dict[str, Any] = {}
        if name in names and open_:
            inside = _inside(replace(target, database=name), expected.get(name, []))
        databases[name] = ObservedDatabase(owner, encoding, locale, limit, _acl(acl), **inside)
    return Observed(roles, members, databases, set_there)


def _inside(target: Target, expected: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    with connect(target) as connection:
        defaults: dict[str, dict[tuple[str, str], frozenset[str]]] = {}
        lacking: dict[str, dict[tuple[str, str], frozenset[str]]] = {}
        for schema, role, kind, privilege in rows(connection, _DEFAULTS):
            _add(defaults, schema, (role, kind), privilege)
        columns = tuple([list(column) for column in zip(*expected, strict=True)]) or ([], [], [])
        for schema, role, kind, privilege in rows(connection, _LACKING, columns):
            _add(lacking, schema, (role, kind), privilege)
        return {
            "schemas": {
                name: ObservedSchema(owner, _acl(acl), defaults.get(name, {}), lacking.get(name, {}))
                for name, owner, acl in rows(connection, _SCHEMAS)
            },
            "extensions": {name: (schema, version) for name, schema, version in rows(connection, _EXTENSIONS)},
        }


def _add(
    into: dict[str, dict[tuple[str, str], frozenset[str]]], schema: str, key: tuple[str, str], privilege: str
) -> None:
    rights = into.setdefault(schema, {})
    rights[key] = rights.get(key, frozenset()) | {privilege}
