# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection's memory inside a database (schema pgstead): what it made, so that what others dropped can be told
from what was never there; and which content was loaded.
"""

from __future__ import annotations

from typing import Any

from .._core.errors import PermissionDenied
from .._core.names import QualifiedName, literal
from .connection import rows
from .session import make_own_tables

_TABLES = """
SELECT c.relname, r.rolname, pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
       AND pg_catalog.has_table_privilege(c.oid, 'DELETE')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE n.nspname = 'pgstead' AND c.relname IN ('made', 'loaded')
"""
_CREATE = """
CREATE SCHEMA IF NOT EXISTS pgstead;
GRANT USAGE ON SCHEMA pgstead TO pg_monitor;
CREATE TABLE IF NOT EXISTS pgstead.made (
    kind text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, name text NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (kind, schema_name, table_name, name));
COMMENT ON TABLE pgstead.made IS 'Objects that pgstead.ops made: one that is gone was dropped by somebody else';
GRANT SELECT ON pgstead.made TO pg_monitor;
CREATE TABLE IF NOT EXISTS pgstead.loaded (
    what text NOT NULL, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (what, sha256));
COMMENT ON TABLE pgstead.loaded IS 'Content that pgstead.ops ran once: load_sql and migrate_command';
"""
_MAY = """
SELECT current_user, pg_catalog.current_database(),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
       (SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace WHERE nspname = 'pgstead')
"""
_MADE = """
SELECT schema_name, table_name, name, pg_catalog.to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI"Z"')
FROM pgstead.made WHERE kind = %s
"""
_READABLE = """
SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pgstead' AND c.relname = 'made'
"""
_NOTED = "SELECT DISTINCT schema_name, table_name FROM pgstead.made WHERE kind = %s"


def prepare(connection: Any) -> None:
    """Create the schema where it is missing. Raises PermissionDenied where this role cannot write into it."""
    if _complete(connection):
        return
    if why := lacking(connection):
        raise PermissionDenied(why)
    make_own_tables(connection, _CREATE)


def lacking(connection: Any) -> str:
    """Say why this role cannot make the schema; an empty text where it can, or need not. Raises PermissionDenied as
    prepare does.
    """
    if _complete(connection):
        return ""
    ((role, database, makes, fills),) = rows(connection, _MAY)
    missing = ([] if makes else [f"the database {database}"]) + (["the schema pgstead"] if fills is False else [])
    if not missing:
        return ""
    return (
        f"role {role} cannot make the schema pgstead, in which the collection notes what it made. Grant it CREATE on "
        f"{' and on '.join(missing)}, or act as the owner of the database (session_role)"
    )


def _complete(connection: Any) -> bool:
    return _there(connection) == {"made", "loaded"}


def _there(connection: Any) -> set[str]:
    """Return which of the tables exist. Raises PermissionDenied where they are somebody else's."""
    found = rows(connection, _TABLES)
    closed = sorted({owner for _, owner, allowed in found if not allowed})
    if closed:
        ((role,),) = rows(connection, "SELECT current_user")
        raise PermissionDenied(
            f"role {role} has no rights in the schema pgstead, in which the collection notes what it made; it belongs "
            f"to {closed[0]}: act as that role (session_role)"
        )
    return {name for name, _, _ in found}


def made(connection: Any, kind: str) -> dict[tuple[QualifiedName, str], str]:
    """Return (table, name) → since when, of all objects of a kind."""
    if "made" not in _there(connection):
        return {}
    return {
        (QualifiedName(schema, table), name): since for schema, table, name, since in rows(connection, _MADE, (kind,))
    }


def noted(connection: Any, kind: str) -> frozenset[QualifiedName] | None:
    """Return the tables on which the collection made objects of a kind; None where this role may not read that."""
    readable = rows(connection, _READABLE)
    if readable == [(False,)]:
        return None
    found = rows(connection, _NOTED, (kind,)) if readable else []
    return frozenset(QualifiedName(schema, table) for schema, table in found)


def remember(kind: str, table: QualifiedName, name: str) -> str:
    """Return the statement that notes an object; it belongs into the transaction that makes it."""
    values = ", ".join(literal(text) for text in (kind, table.schema, table.name, name))
    return f"INSERT INTO pgstead.made (kind, schema_name, table_name, name) VALUES ({values}) ON CONFLICT DO NOTHING"


def forget(kind: str, table: QualifiedName, name: str) -> str:
    """Return the statement that strikes an object out."""
    words = zip(("kind", "schema_name", "table_name", "name"), (kind, table.schema, table.name, name), strict=True)
    return f"DELETE FROM pgstead.made WHERE {' AND '.join(f'{column} = {literal(text)}' for column, text in words)}"


def loaded(connection: Any, what: str, sha256: str) -> bool:
    """Say whether this content was run already."""
    if "loaded" not in _there(connection):
        return False
    sql = "SELECT count(*) FROM pgstead.loaded WHERE what = %s AND sha256 = %s"
    return bool(rows(connection, sql, (what, sha256))[0][0])


def note_loaded(what: str, sha256: str) -> str:
    """Return the statement that notes content as run."""
    return f"INSERT INTO pgstead.loaded (what, sha256) VALUES ({literal(what)}, {literal(sha256)})"
