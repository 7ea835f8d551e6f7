# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second pair of eyes: while one connection executes, another sees whom it waits for, and how far a build is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .._core.names import QualifiedName
from .connection import driver, execute, rows

LOOK_SECONDS = 0.2  # while something waits; between looks at a build it is five times as long
LINE_SECONDS = 10  # between two log lines about the same phase
QUERY_CHARACTERS = 120

_BLOCKERS = """
SELECT a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), coalesce(a.state, a.backend_type, '?'),
       coalesce(extract(epoch FROM now() - coalesce(a.xact_start, a.backend_start)), 0)::int, coalesce(a.query, '')
FROM pg_catalog.pg_stat_activity a
WHERE a.pid = ANY(pg_catalog.pg_blocking_pids(%s))
"""
_WAITING = "SELECT coalesce(wait_event_type = 'Lock', false) FROM pg_catalog.pg_stat_activity WHERE pid = %s"
_PROGRESS = """
SELECT p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total, p.lockers_done, p.lockers_total
FROM pg_catalog.pg_stat_progress_create_index p WHERE p.pid = %s
"""
# Transactions of this database that a CONCURRENTLY would wait for in the end. Asked before every build: planned once.
_OLD = r"""
PREPARE pgstead_old_transactions (double precision) AS
SELECT a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), coalesce(a.state, a.backend_type, '?'),
       extract(epoch FROM now() - a.xact_start)::int, coalesce(a.query, '')
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.backend_type = 'client backend' AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
  AND a.xact_start < now() - make_interval(secs => $1)
  AND coalesce(a.query, '') !~* '^\s*(create|reindex|drop)\y.*\yconcurrently\y'
UNION ALL
SELECT 0, p.owner, 'prepared transaction ' || p.gid, 'prepared', extract(epoch FROM now() - p.prepared)::int, ''
FROM pg_catalog.pg_prepared_xacts p
WHERE p.database = pg_catalog.current_database() AND p.prepared < now() - make_interval(secs => $1)
"""
# Who builds, vacuums or alters a table, or waits to: it may be waiting for every older snapshot, also that of a statement
# which waits for it. Autovacuum (which has no user) gives way by itself.
_CHANGING = """
SELECT DISTINCT a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), coalesce(a.state, a.backend_type, '?'),
       coalesce(extract(epoch FROM now() - coalesce(a.xact_start, a.backend_start)), 0)::int, coalesce(a.query, '')
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND n.nspname = %s AND c.relname = %s AND a.usesysid IS NOT NULL
  AND a.pid <> ALL (ARRAY[pg_catalog.pg_backend_pid(), %s])
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND (l.mode = 'ShareUpdateExclusiveLock' OR l.granted AND l.mode IN
       ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
"""
# who keeps everybody, readers too, from a table of this database
_HOLDERS = """
SELECT DISTINCT a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), coalesce(a.state, a.backend_type),
       coalesce(extract(epoch FROM now() - coalesce(a.xact_start, a.backend_start)), 0)::int, coalesce(a.query, '')
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted AND a.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""


@dataclass
class Sight:
    """What was seen while a statement ran: who stood in its way last, and whether it was cancelled for waiting."""

    blockers: tuple[str, ...] = ()
    cancelled: bool = False


@dataclass
class Watcher:
    """Looks at one backend through a connection of its own."""

    connection: Any
    pid: int
    log: Callable[[str], None]
    _phase: str = field(default="", init=False)
    _said: float = field(default=0.0, init=False)
    _prepared: bool = field(default=False, init=False)

    @contextmanager
    def watching(self, what: str, patience_seconds: float | None = None) -> Iterator[Sight]:
        """Watch while the body executes; with `patience_seconds`, cancel what waits longer for a lock at a stretch."""
        sight, done = Sight(), threading.Event()
        thread = threading.Thread(target=self._look, args=(what, patience_seconds, sight, done), daemon=True)
        thread.start()
        try:
            yield sight
        finally:
            done.set()
            thread.join()

    def old_transactions(self, seconds: float) -> tuple[str, ...]:
        """Name the transactions of this database that are older."""
        if not self._prepared:
            execute(self.connection, _OLD)
            self._prepared = True
        return tuple(_named(row) for row in rows(self.connection, "EXECUTE pgstead_old_transactions (%s)", (seconds,)))

    def changing(self, table: QualifiedName) -> tuple[str, ...]:
        """Name the sessions that build, vacuum or alter a table."""
        return tuple(_named(row) for row in rows(self.connection, _CHANGING, (table.schema, table.name, self.pid)))

    def _look(self, what: str, patience: float | None, sight: Sight, done: threading.Event) -> None:
        waiting_since = 0.0
        pause = LOOK_SECONDS / 4  # a lock_timeout may be as short as a look is long
        while not done.wait(pause):
            try:
                waits = bool(rows(self.connection, _WAITING, (self.pid,)) == [(True,)])
                if waits:
                    sight.blockers = tuple(_named(row) for row in rows(self.connection, _BLOCKERS, (self.pid,)))
                    waiting_since = waiting_since or time.monotonic()
                else:
                    waiting_since = 0.0
                if patience is not None:
                    self._report(what, sight.blockers if waits else ())
                    if waits and time.monotonic() - waiting_since > patience:
                        sight.cancelled = True
                        rows(self.connection, "SELECT pg_catalog.pg_cancel_backend(%s)", (self.pid,))
                        return
            except driver.Error:
                return  # the server is gone: the watched statement fails by itself and says so
            pause = LOOK_SECONDS if waits or patience is None else LOOK_SECONDS * 5

    def _report(self, what: str, blockers: tuple[str, ...]) -> None:
        """Write a line when a build enters another phase, and now and then within one."""
        found = rows(self.connection, _PROGRESS, (self.pid,))
        if not found:
            return
        phase, blocks, all_blocks, tuples, all_tuples, lockers, all_lockers = found[0]
        now = time.monotonic()
        if phase == self._phase and now - self._said < LINE_SECONDS:
            return
        self._phase, self._said = phase, now
        numbers = [
            f"{done} of {total} {unit}"
            for done, total, unit in (
                (blocks, all_blocks, "blocks"),
                (tuples, all_tuples, "tuples"),
                (lockers, all_lockers, "transactions waited for"),
            )
            if total
        ]
        self.log(f"pgstead: {what}: {', '.join([phase, *numbers])}" + (f"; {'; '.join(blockers)}" if blockers else ""))


def holders(connection: Any) -> tuple[str, ...]:
    """Name the sessions that hold a table of this database against everybody."""
    return tuple(_named(row) for row in rows(connection, _HOLDERS))


def _named(row: tuple[Any, ...]) -> str:
    """Return one session as a person wants to read it at night."""
    pid, user, application, state, age, query = row
    who = f"process {pid} of {user}" if pid else f"{application} of {user}"
    named = f" ({application})" if pid and application else ""
    text = " ".join(query.split())[:QUERY_CHARACTERS]
    return f"{who}{named}, {state}, for {age} s" + (f": {text}" if text else "")
