# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection's memory inside a database (schema pgstead): what it made, so that what others dropped can be told
from what was never there; and which content was loaded.
"""

from __future__ import annotations

from typing import Any

from .._core.errors import PermissionDenied
from .._core.names import QualifiedName, literal
from .connection import driver, execute, rows

_EXISTS = "SELECT pg_catalog.to_regclass('pgstead.{}') IS NOT NULL"
_CREATE = """
CREATE SCHEMA IF NOT EXISTS pgstead;
CREATE TABLE IF NOT EXISTS pgstead.made (
    kind text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, name text NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (kind, schema_name, table_name, name));
COMMENT ON TABLE pgstead.made IS 'Objects that pgstead.ops made: one that is gone was dropped by somebody else';
CREATE TABLE IF NOT EXISTS pgstead.loaded (
    what text NOT NULL, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (what, sha256));
COMMENT ON TABLE pgstead.loaded IS 'Content that pgstead.ops ran once: load_sql and migrate_command';
"""
_MADE = """
SELECT schema_name, table_name, name, pg_catalog.to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI"Z"')
FROM pgstead.made WHERE kind = %s
"""


def prepare(connection: Any) -> None:
    """Create the schema where it is missing. Raises PermissionDenied."""
    if _exists(connection, "made") and _exists(connection, "loaded"):
        return
    try:
        execute(connection, f"BEGIN; {_CREATE}; COMMIT")
    except driver.errors.InsufficientPrivilege as error:
        execute(connection, "ROLLBACK")
        raise PermissionDenied(
            f"{' '.join(str(error).split())}: the schema pgstead remembers what was made. Connect once as a role that may "
            "create schemas in this database, for example its owner"
        ) from error


def _exists(connection: Any, table: str) -> bool:
    return bool(rows(connection, _EXISTS.format(table))[0][0])


def made(connection: Any, kind: str) -> dict[tuple[QualifiedName, str], str]:
    """Return (table, name) → since when, of all objects of a kind."""
    if not _exists(connection, "made"):
        return {}
    return {
        (QualifiedName(schema, table), name): since for schema, table, name, since in rows(connection, _MADE, (kind,))
    }


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
    if not _exists(connection, "loaded"):
        return False
    sql = "SELECT count(*) FROM pgstead.loaded WHERE what = %s AND sha256 = %s"
    return bool(rows(connection, sql, (what, sha256))[0][0])


def note_loaded(what: str, sha256: str) -> str:
    """Return the statement that notes content as run."""
    return f"INSERT INTO pgstead.loaded (what, sha256) VALUES ({literal(what)}, {literal(sha256)})"
