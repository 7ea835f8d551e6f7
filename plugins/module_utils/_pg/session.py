# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A session through which a schema may be changed: not a pooler's, not a standby's, not read-only, one run at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._core.errors import IsStandby, LockNotAcquired, SessionRefused
from .._core.names import quote
from .connection import Target, connect, driver, execute, rows

# "pgstead" in hexadecimal digits, as far as a lock's key goes; the kind of lock comes second
LOCK_CLASS, LOCK_SCHEMA, LOCK_RESTORE, LOCK_OWN_TABLES = 0x70677374, 1, 2, 3

OWN_TABLES_SECONDS = 10  # for others who make them; that takes milliseconds

_WHO = """
SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('transaction_read_only') = 'on', session_user
"""
# Deparsed names are qualified, and quoted only where they have to be. Timeouts that a role or database has set are for
# applications; each change sets its own. A backend whose client has died ends within two seconds. Declared strings mean
# what _core/expression.py reads in them.
_SETTINGS = """
SET search_path = ''; SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
SET idle_session_timeout = 0; SET standard_conforming_strings = on;
SET client_connection_check_interval = '2s'; SET client_min_messages = warning; SET default_tablespace = '';
SET quote_all_identifiers = off
"""
_HOLDER = """
SELECT l.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''),
       coalesce(extract(epoch FROM now() - a.backend_start), 0)::int
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = %s AND l.granted
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""


@contextmanager
def session(target: Target, role: str = "") -> Iterator[Any]:
    """Yield a connection that may change the schema, as `role` where one is given. Raises SessionRefused."""
    with connect(target) as connection:
        ((pid, standby, read_only, user),) = rows(connection, _WHO)
        if connection.get_backend_pid() != pid:
            raise SessionRefused(
                f"{target} is a connection pooler: locks and session settings do not work through one. Connect to "
                "PostgreSQL itself (its own port, or the socket)"
            )
        if standby:
            raise IsStandby(f"{target} is a standby, where nothing can be changed: connect to the primary")
        if read_only:
            raise SessionRefused(
                f"{target}: sessions of role {user} are read-only (default_transaction_read_only): use a role that owns "
                "the tables"
            )
        set_up(connection)
        if role:
            _act_as(connection, role, user)
        yield connection


def _act_as(connection: Any, role: str, user: str) -> None:
    try:
        execute(connection, f"SET ROLE {quote(role)}")
    except driver.Error as error:
        raise SessionRefused(f"session_role: {user} cannot act as {role}: {' '.join(str(error).split())}") from error


@contextmanager
def onlooker(target: Target) -> Iterator[Any]:
    """Yield a second connection, to look at the first; no timeout ends it either."""
    with connect(target) as connection:
        set_up(connection)
        yield connection


def set_up(connection: Any) -> None:
    """Give a session what every change of a schema counts on."""
    execute(connection, _SETTINGS)
    if connection.server_version >= 170000:
        execute(connection, "SET transaction_timeout = 0")


def make_own_tables(connection: Any, sql: str) -> None:
    """Run statements that make tables in schema pgstead where they are missing: one process of ours at a time, in one
    transaction. IF NOT EXISTS does not wait for somebody who makes the same, and two GRANT on one schema fail.
    """
    lock = f"SELECT pg_catalog.pg_advisory_xact_lock({LOCK_CLASS}, {LOCK_OWN_TABLES})"
    execute(connection, f"BEGIN; SET LOCAL lock_timeout = '{OWN_TABLES_SECONDS}s'; {lock}; {sql}; COMMIT")


@contextmanager
def one_run_at_a_time(connection: Any, wait_seconds: float) -> Iterator[None]:
    """Hold the database's lock for schema runs. Raises LockNotAcquired, naming who holds it."""
    deadline = time.monotonic() + wait_seconds
    while not rows(connection, "SELECT pg_catalog.pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, LOCK_SCHEMA))[0][0]:
        if time.monotonic() > deadline:
            holders = [
                f"process {pid} of {user} ({name}), connected for {age} s"
                for pid, user, name, age in rows(connection, _HOLDER, (LOCK_CLASS, LOCK_SCHEMA))
            ]
            raise LockNotAcquired(
                f"another run changes this database's schema: {', '.join(holders) or 'it has just ended'}. Waited "
                f"{wait_seconds:g} s; run again when it is done"
            )
        time.sleep(0.2)
    try:
        yield
    finally:
        if not connection.closed:
            execute(connection, f"SELECT pg_catalog.pg_advisory_unlock({LOCK_CLASS}, {LOCK_SCHEMA})")
