# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry changes out without blocking the application: short strong locks, tried again; builds without timeouts, watched.

A waiting writer waits for whoever holds the lock that a change waits for, and then for the change: so a change gives up
after lock_timeout, and stays away for at least as long before it tries again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.errors import (
    ConnectionFailed,
    LockNotAcquired,
    PermissionDenied,
    PgsteadError,
    StatementFailed,
    ViolatingRows,
)
from .._core.names import QualifiedName
from .._core.plan import Change, Mode
from .connection import driver, execute, rows
from .watch import Sight, Watcher

BACKOFF_DOUBLINGS = 3
BUILD_ATTEMPTS = 3
_OF_A_ROW = ("22", "P0")  # classes of errors: of data, and of PL/pgSQL, which has RAISE


@dataclass(frozen=True)
class Limits:
    """How long a run may wait, and for what."""

    lock_timeout_ms: int = 2000
    lock_attempts: int = 10
    build_wait_seconds: float = 600  # for transactions that a CONCURRENTLY has to outlive
    run_wait_seconds: float = 60  # for another run on the same database

    @property
    def patience_ms(self) -> int:
        """How long a run waits for a table that it only wants to read."""
        return self.lock_timeout_ms * self.lock_attempts


USUAL_LIMITS = Limits()


@dataclass(frozen=True)
class Done:
    """One change that was carried out."""

    change: Change
    sql: tuple[str, ...]
    seconds: float


def words(error: driver.Error, *, details: bool = False) -> str:
    """Return in one line what the server said. Only with `details` can rows be in it: those are for a person who may read
    the tables, and not for results, journal and mail.
    """
    primary = error.diag.message_primary
    if details or not primary:  # without it, it is the driver that speaks, and it has seen no row
        return " ".join(str(error).split())
    code = error.pgcode or ""
    said = f"{type(error).__name__}, see PostgreSQL's log" if of_a_row(error) else " ".join(primary.split())
    constraint = f", constraint {error.diag.constraint_name}" if error.diag.constraint_name else ""
    return f"{said} (SQLSTATE {code}{constraint})"


def of_a_row(error: driver.Error) -> bool:
    """Whether an expression raised this on what it was given: the first sentence already quotes a value then, the one that
    cannot be converted, or what RAISE says.
    """
    return (error.pgcode or "").startswith(_OF_A_ROW)


class Executor:
    """Carries out changes one after the other; `done` has what is finished, whatever happens. `details` as in `words`."""

    def __init__(
        self,
        connection: Any,
        watcher: Watcher,
        limits: Limits,
        pause: Callable[[float], None],
        *,
        details: bool = False,
    ) -> None:
        self.connection, self.watcher, self.limits, self.pause = connection, watcher, limits, pause
        self._details = details
        self.done: list[Done] = []
        self._left = ""  # what a failed build left and could not be dropped

    def carry_out(self, change: Change, statements: Sequence[str], search_path: str) -> None:
        """Execute one change. Raises a PgsteadError that says what, where, and what to do next."""
        started = time.monotonic()
        how = self._concurrently if change.mode is Mode.CONCURRENTLY else self._transaction
        try:
            how(change, statements, search_path)
        except driver.Error as error:
            raise self._explained(error, change, statements) from error
        self.done.append(Done(change, tuple(statements), round(time.monotonic() - started, 3)))

    def _transaction(self, change: Change, statements: Sequence[str], search_path: str) -> None:
        """One round trip, so that the lock is held no longer than the statements take."""
        wait = f"{self.limits.lock_timeout_ms}ms"
        # a change of the catalogue takes milliseconds: more is waiting, lock after lock, in partitions or toast tables
        most = wait if change.mode is Mode.TRANSACTION else "0"
        begin = f"BEGIN; SET LOCAL lock_timeout = '{wait}'; SET LOCAL statement_timeout = '{most}'"
        text = "; ".join([begin, f"SET LOCAL search_path = {search_path}", *statements, "COMMIT"])
        seen: tuple[str, ...] = ()
        sight = Sight()
        for attempt in range(self.limits.lock_attempts):
            if attempt:
                self._back_off(attempt)
            try:
                with self.watcher.watching(f"{change.action} {change.object}") as sight:
                    execute(self.connection, text)
            except (
                driver.errors.LockNotAvailable,
                driver.errors.DeadlockDetected,
                driver.errors.QueryCanceled,
            ) as error:
                execute(self.connection, "ROLLBACK")
                if change.mode is Mode.SCAN and isinstance(error, driver.errors.QueryCanceled):
                    raise
                seen = sight.blockers or seen
            except driver.Error:
                self._roll_back()
                raise
            else:
                return
        raise LockNotAcquired(
            f"{change.action} {change.object} needs {change.lock} and did not get it in {self.limits.lock_attempts} tries "
            f"of {wait}. In its way: {'; '.join(seen) or 'sessions that changed from try to try'}. End them or run again "
            "at a quieter time",
        )

    def _back_off(self, attempt: int) -> None:
        base = self.limits.lock_timeout_ms / 1000 * 2 ** min(attempt - 1, BACKOFF_DOUBLINGS)
        self.pause(base * (1 + random.random()))  # noqa: S311 - jitter, not a secret

    def _roll_back(self) -> None:
        if not self.connection.closed:
            execute(self.connection, "ROLLBACK")

    def _concurrently(self, change: Change, statements: Sequence[str], search_path: str) -> None:
        """A build or drop outside a transaction. What a failed build leaves is dropped before anything is raised."""
        execute(self.connection, f"SET search_path = {search_path}; SET lock_timeout = 0")
        sight = Sight()
        try:
            for attempt in range(1, BUILD_ATTEMPTS + 1):
                what = f"{change.action} {change.object}"
                self._wait_for_others(change)
                try:
                    with self.watcher.watching(what, self.limits.build_wait_seconds) as sight:
                        for statement in statements:
                            execute(self.connection, statement)
                except driver.errors.DeadlockDetected:
                    self._clean_up(change)
                    if attempt == BUILD_ATTEMPTS:
                        raise
                    self._back_off(attempt)
                except driver.errors.QueryCanceled as error:
                    self._clean_up(change)
                    if not sight.cancelled:
                        raise
                    raise self._patience_lost(change, sight) from error
                except driver.Error:
                    self._clean_up(change)
                    raise
                else:
                    return
        finally:
            if not self.connection.closed:
                execute(self.connection, f"SET search_path = ''; SET lock_timeout = '{self.limits.patience_ms}ms'")

    def _wait_for_others(self, change: Change) -> None:
        """Wait before the work, not in it: a CONCURRENTLY ends only when every older transaction has ended; and two of them
        on one table wait for each other until the server ends one, which may be somebody else's.
        """
        deadline = time.monotonic() + self.limits.build_wait_seconds
        while True:
            old = self.watcher.old_transactions(self.limits.lock_timeout_ms / 1000)
            found = old or self.watcher.changing(change.table)
            if not found:
                return
            if time.monotonic() >= deadline:
                raise self._in_the_way(change, old, found)
            self.watcher.log(f"pgstead: {change.action} {change.object} waits for {'; '.join(found)}")
            self.pause(min(5.0, self.limits.build_wait_seconds / 10))

    def _in_the_way(self, change: Change, old: Sequence[str], found: Sequence[str]) -> LockNotAcquired:
        what, patience, names = f"{change.action} {change.object}", self.limits.build_wait_seconds, "; ".join(found)
        if old:
            return LockNotAcquired(
                f"{what} cannot finish before these transactions end, and they did not within {patience:g} s: {names}. "
                "End them or run again"
            )
        return LockNotAcquired(
            f"{what} waited more than {patience:g} s for {names}, at work on the same table. End them or run again"
        )

    def _patience_lost(self, change: Change, sight: Sight) -> LockNotAcquired:
        return LockNotAcquired(
            f"{change.action} {change.object} waited more than {self.limits.build_wait_seconds:g} s for "
            f"{'; '.join(sight.blockers) or 'a lock'} and was cancelled. End them or run again{self._what_is_left('')}"
        )

    def _what_is_left(self, nothing: str) -> str:
        return f". {self._left} is left behind, and the next run drops it" if self._left else nothing

    def _what_stays(self, change: Change) -> str:
        """Say what is left of a build that the rows refused."""
        if not change.tree:
            return self._what_is_left(". Nothing of it is left behind")
        return (
            f"{self._what_is_left('')}. The tree of index {change.tree} is left unfinished: put the rows right and run again, "
            "or declare it with state: absent"
        )

    def _clean_up(self, change: Change) -> None:
        """Drop what a failed build left; what cannot be dropped now is dropped by the next run."""
        self._left = ""
        if self.connection.closed or not change.leaves:
            return
        left = QualifiedName(change.table.schema, change.leaves)
        try:
            why = "; ".join(self.watcher.changing(change.table))
            if not why:
                patience = min(self.limits.lock_timeout_ms / 1000, self.limits.build_wait_seconds)
                with self.watcher.watching(f"clean up {change.object}", patience):
                    execute(self.connection, f"DROP INDEX CONCURRENTLY IF EXISTS {left.sql}")
                return
        except driver.Error as error:
            why = str(error).strip()
        self._left = str(left)
        self.watcher.log(f"pgstead: {change.object} is left for the next run to drop: {why}")

    def _explained(self, error: driver.Error, change: Change, statements: Sequence[str]) -> PgsteadError:
        """Turn the driver's error into one that a person can act on."""
        text = words(error, details=self._details)
        what = f"{change.action} {change.object}"
        data = {"sql": list(statements)}
        if self.connection.closed:
            again = "run again: what was finished stays, and what was not is taken up"
            return ConnectionFailed(f"the connection broke during {what}: {text}; {again}", data)
        if isinstance(error, driver.errors.UniqueViolation):
            return ViolatingRows(f"{what}: rows are not unique: {text}{self._what_stays(change)}", data)
        if isinstance(error, driver.errors.CheckViolation):
            return ViolatingRows(f"{what}: rows contradict it: {text}. It holds for new rows; run again", data)
        if isinstance(error, driver.errors.InsufficientPrivilege):
            ((role,),) = rows(self.connection, "SELECT current_user")
            return PermissionDenied(
                f"{what}: {text}. Role {role} must own the table, or be a member of its owner", data
            )
        if isinstance(error, driver.errors.UndefinedTable | driver.errors.UndefinedObject):
            return StatementFailed(f"{what}: {text}. Somebody changed the schema meanwhile: run again", data)
        return StatementFailed(f"{what}: {text}", data)
