# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Schema pgstead in database postgres: what production writes down for recovery drills, which read it from restored data."""

from __future__ import annotations

from typing import Any

from .._core.errors import PermissionDenied
from .connection import rows
from .session import make_own_tables

DATABASE = "postgres"
_TABLES = ("heartbeat", "recovery_marker")
# Whoever owns what we write into can have code of theirs run by us, in a trigger: it must be ours, or another superuser's.
_OWNERS = """
SELECT 'schema pgstead', r.rolname, r.rolsuper OR r.rolname = current_user, ''
FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'pgstead'
UNION ALL
SELECT 'pgstead.' || c.relname, r.rolname, r.rolsuper OR r.rolname = current_user, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE n.nspname = 'pgstead' AND c.relname IN ('heartbeat', 'recovery_marker')
"""
_CREATE = """
CREATE SCHEMA IF NOT EXISTS pgstead;
REVOKE ALL ON SCHEMA pgstead FROM PUBLIC;
GRANT USAGE ON SCHEMA pgstead TO pg_monitor;
CREATE TABLE IF NOT EXISTS pgstead.heartbeat (at timestamptz PRIMARY KEY, lsn pg_lsn NOT NULL);
COMMENT ON TABLE pgstead.heartbeat IS
    'Written by pgstead-heartbeat.service every few seconds: a recovery drill tells from it how much would have been lost';
COMMENT ON COLUMN pgstead.heartbeat.lsn IS 'Where the WAL was right after "at": all that was committed by then lies before it';
REVOKE ALL ON pgstead.heartbeat FROM PUBLIC;
GRANT SELECT ON pgstead.heartbeat TO pg_monitor;
CREATE TABLE IF NOT EXISTS pgstead.recovery_marker (
    name text, part text CHECK (part IN ('before', 'after')), laid_at timestamptz NOT NULL,
    target_time timestamptz, target_lsn pg_lsn, manifest jsonb, PRIMARY KEY (name, part));
COMMENT ON TABLE pgstead.recovery_marker IS
    'Written by job recovery_marker: a restore to a marker''s name, time or LSN has its row "before" and not its row "after"';
REVOKE ALL ON pgstead.recovery_marker FROM PUBLIC;
GRANT SELECT ON pgstead.recovery_marker TO pg_monitor;
"""


def prepare(connection: Any) -> None:
    """Create the tables where they are missing. Raises PermissionDenied where they are somebody else's."""
    if _there(connection) != set(_TABLES):
        make_own_tables(connection, _CREATE)
        _there(connection)  # what somebody else has just made is not ours


def there(connection: Any, table: str) -> bool:
    """Say whether one of the tables exists: a restored server may be of a time before. Raises PermissionDenied where it is not
    ours: what it says is somebody else's word.
    """
    return table in _there(connection)


def _there(connection: Any) -> set[str]:
    """Return which of the tables exist."""
    found = rows(connection, _OWNERS)
    for what, owner, ours, _name in found:
        if not ours:
            raise PermissionDenied(
                f"{what} in database {DATABASE} belongs to {owner}, who is no superuser, and could have code run with the "
                "rights of one: look at what it is, then drop it, or rename it, or give it to role postgres"
            )
    return {name for _what, _owner, _ours, name in found if name}
