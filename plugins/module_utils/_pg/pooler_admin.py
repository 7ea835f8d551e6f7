# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer's administration console, reached through its socket by peer."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .._core.errors import StatementFailed
from .._core.names import quote
from .connection import Target, connect, driver, execute, rows

POLL_OK, POLL_READ = 0, 1  # psycopg2.extensions, which a bare host has not
# nothing waits then: the pooler is not paused, or already is, or does not serve the database
_NOT_SERVED = re.compile(r"not paused|already|no such database")
# they end clients that wait, also those of whom PAUSE demands it
_ENDS_OF_WAITING = ("query_timeout", "query_wait_timeout")


def console(socket_directory: str, port: int) -> Target:
    """Return the console of one process; PgBouncer trusts its own operating system user there."""
    return Target(socket_directory, port, "pgbouncer", "pgbouncer", "pgbouncer")


@contextmanager
def _spoken(target: Target) -> Iterator[Any]:
    """Yield a connection to a console. Raises ConnectionFailed, and StatementFailed for what the console refuses."""
    with connect(target) as connection:
        try:
            yield connection
        except driver.Error as error:
            raise StatementFailed(f"{target}: {str(error).strip()}") from error


def show_config(target: Target) -> Mapping[str, str]:
    """Return what is in force, by setting. Raises ConnectionFailed."""
    with _spoken(target) as connection:
        return {str(row[0]): "" if row[1] is None else str(row[1]) for row in rows(connection, "SHOW CONFIG")}


def reload(target: Target) -> None:
    """Have the process read its files again; what SET changed is then as they say."""
    with _spoken(target) as connection:
        execute(connection, "RELOAD")


def drain(target: Target) -> None:
    """Stop taking clients and end when the last one has left (PgBouncer 1.23 and newer)."""
    with _spoken(target) as connection:
        execute(connection, "SHUTDOWN WAIT_FOR_CLIENTS")


def _named(database: str) -> str:
    return quote(database) if database else ""


def pause(target: Target, seconds: float, database: str = "") -> bool:
    """Have clients wait, those of one database or all; say whether all transactions that were running ended in time.

    Those that did not run on. Nobody is sent away for having waited: that is over with the next `reload`.
    """
    with _spoken(target) as connection:
        for name in _ENDS_OF_WAITING:
            execute(connection, f"SET {name} = 0")
        deadline = time.monotonic() + seconds

        def wait(waiting: Any) -> None:
            while (state := waiting.poll()) != POLL_OK:
                rest = max(0.0, deadline - time.monotonic())
                descriptors = ([waiting.fileno()], []) if state == POLL_READ else ([], [waiting.fileno()])
                if not any(select.select(*descriptors, [], rest)):
                    raise TimeoutError

        driver.extensions.set_wait_callback(wait)
        try:
            execute(connection, f"PAUSE {_named(database)}")
        except TimeoutError:
            return False
        except driver.Error as error:
            if not _NOT_SERVED.search(str(error)):
                raise
        finally:
            driver.extensions.set_wait_callback(None)
    return True


def resume(target: Target, database: str = "") -> frozenset[str]:
    """Serve clients that wait, and return which these were; a pooler that is not paused is left alone."""
    with _spoken(target) as connection:
        waiting = frozenset(client for client, state in _held(connection).items() if state == "waiting")
        try:
            execute(connection, f"RESUME {_named(database)}")
        except driver.Error as error:
            if not _NOT_SERVED.search(str(error)):
                raise
    return waiting


def await_served(target: Target, clients: frozenset[str], deadline: float) -> None:
    """Wait until none of these clients waits or has a server connection any more, or until a moment of the clock."""
    with _spoken(target) as connection:
        while clients & _held(connection).keys() and time.monotonic() < deadline:
            time.sleep(0.1)


def _held(connection: Any) -> Mapping[str, str]:
    """Return the state of each client that waits for a server connection or has one."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW CLIENTS")
        names = [column[0] for column in cursor.description]  # other versions have other columns
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {row["ptr"]: row["state"] for row in found if row["link"] or row["state"] == "waiting"}
