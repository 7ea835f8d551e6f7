# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer's administration console, reached through its socket by peer."""

from __future__ import annotations

from collections.abc import Mapping

from .connection import Target, connect, execute, rows


def console(socket_directory: str, port: int) -> Target:
    """Return the console of one process; PgBouncer trusts its own operating system user there."""
    return Target(socket_directory, port, "pgbouncer", "pgbouncer", "pgbouncer")


def show_config(target: Target) -> Mapping[str, str]:
    """Return what is in force, by setting. Raises ConnectionFailed."""
    with connect(target) as connection:
        return {str(row[0]): "" if row[1] is None else str(row[1]) for row in rows(connection, "SHOW CONFIG")}


def reload(target: Target) -> None:
    """Have the process read its files again."""
    with connect(target) as connection:
        execute(connection, "RELOAD")


def drain(target: Target) -> None:
    """Stop taking clients and end when the last one has left (PgBouncer 1.23 and newer)."""
    with connect(target) as connection:
        execute(connection, "SHUTDOWN WAIT_FOR_CLIENTS")
