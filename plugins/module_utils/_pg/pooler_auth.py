# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer's way to SCRAM secrets: a role that can do nothing but call one function, in the lookup databases.

The function runs with its owner's rights and a fixed search path, answers only for roles that may log in and are
neither superusers nor replicas, gives no secret for an expired one, and is PUBLIC's to call nowhere.
"""

from __future__ import annotations

from typing import Any

from .connection import Target, connect, execute, rows

ROLE = "pgbouncer_auth"
_BODY = """
  SELECT a.rolname::text,
         CASE WHEN a.rolvaliduntil < pg_catalog.now() THEN NULL ELSE a.rolpassword END
  FROM pg_catalog.pg_authid a
  WHERE a.rolname = i_user AND a.rolcanlogin AND NOT a.rolsuper AND NOT a.rolreplication
"""
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION pgbouncer.lookup(i_user text, OUT usename text, OUT passwd text)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $lookup${_BODY}$lookup$
"""
_ROLE_STATE = """
SELECT a.rolcanlogin AND NOT (a.rolsuper OR a.rolcreatedb OR a.rolcreaterole OR a.rolreplication OR a.rolbypassrls)
       AND a.rolpassword IS NULL
FROM pg_catalog.pg_authid a WHERE a.rolname = %s
"""
_FUNCTION_STATE = """
SELECT p.prosrc, p.prosecdef, p.provolatile::text, p.proconfig, o.rolsuper,
       has_function_privilege(%s, p.oid, 'EXECUTE'),
       EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x WHERE x.grantee = 0),
       has_schema_privilege(%s, n.oid, 'USAGE'), has_database_privilege(%s, current_database(), 'CONNECT')
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_authid o ON o.oid = p.proowner
WHERE n.nspname = 'pgbouncer' AND p.proname = 'lookup' AND p.proargtypes[0] = 'text'::regtype
"""
_EXPECTED = (_BODY, True, "s", ["search_path=pg_catalog, pg_temp"], True, True, False, True, True)
_CREATE_ROLE = f"CREATE ROLE {ROLE} LOGIN"
_ROLE_SHAPE = f"ALTER ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL"
_INSTALL = (
    "CREATE SCHEMA IF NOT EXISTS pgbouncer",
    "REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC",
    f"GRANT USAGE ON SCHEMA pgbouncer TO {ROLE}",
    _FUNCTION,
    "ALTER FUNCTION pgbouncer.lookup(text) OWNER TO postgres",
    "REVOKE ALL ON FUNCTION pgbouncer.lookup(text) FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION pgbouncer.lookup(text) TO {ROLE}",
)


def steps(target: Target) -> list[str]:
    """Return the statements that one database still needs, in order; empty where it is as it should be."""
    with connect(target) as connection:
        return _steps(connection, target.database)


def install(target: Target) -> list[str]:
    """Run what `steps` returns, in one transaction; return the statements that ran."""
    with connect(target) as connection:
        wanted = _steps(connection, target.database)
        if wanted:
            execute(connection, "SET lock_timeout = '3s'")
            execute(connection, "BEGIN")
            for statement in wanted:
                execute(connection, statement)
            execute(connection, "COMMIT")
        return wanted


def function(database: str) -> list[str]:
    """Return the statements that make the function and the way to it, in a database that has neither."""
    quoted = '"' + database.replace('"', '""') + '"'
    return [*_INSTALL, f"GRANT CONNECT ON DATABASE {quoted} TO {ROLE}"]


def _steps(connection: Any, database: str) -> list[str]:
    role = rows(connection, _ROLE_STATE, (ROLE,))
    wanted = [_CREATE_ROLE] if not role else [] if role[0][0] else [_ROLE_SHAPE]
    state = rows(connection, _FUNCTION_STATE, (ROLE, ROLE, ROLE)) if role else []
    if not state or tuple(state[0]) != _EXPECTED:
        wanted += function(database)
    return wanted
