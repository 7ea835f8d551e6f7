# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the application's own schema once: scripts in one transaction with the note of them, or a command and its note."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .._core.errors import ConnectionFailed, LockNotAcquired, PermissionDenied, PgsteadError, StatementFailed
from .._core.migration import COMMAND, SCRIPT, Script
from .._core.names import quote
from .._core.script import Statement, may_set
from . import ledger
from .canonical import path_of
from .connection import connect, driver, execute, rows
from .engine import Options, spoken
from .session import one_run_at_a_time, session, set_up
from .watch import Watcher

SHOWN_CHARACTERS = 100  # of a statement that failed
BACKOFF_DOUBLINGS = 3

_TRANSACTION = "SELECT pg_catalog.pg_current_xact_id()::text"


def load(scripts: Sequence[Script], schema: str, told: Options) -> tuple[str, ...]:
    """Run the scripts that have not run, all or none of them; return their names. In check mode, only return them."""
    with spoken(told.target), session(told.target, told.role) as connection:
        if told.check_mode or not _new(connection, scripts):
            return _names(_new(connection, scripts))
        with one_run_at_a_time(connection, told.limits.run_wait_seconds), connect(told.target) as eyes:
            left = _new(connection, scripts)  # another run may have been first
            ledger.prepare(connection)
            watcher = Watcher(eyes, connection.get_backend_pid(), told.log)
            if left:
                _load(connection, watcher, _Load(left, schema, told))
            return _names(left)


def run_once(sha256: str, run: Callable[[], None], told: Options) -> bool:
    """Run what `run` does once, and note it afterwards; return whether it was, or in check mode would be, run."""
    with spoken(told.target), session(told.target, told.role) as connection:
        if told.check_mode or ledger.loaded(connection, COMMAND, sha256):
            return not ledger.loaded(connection, COMMAND, sha256)
        with one_run_at_a_time(connection, told.limits.run_wait_seconds):
            if ledger.loaded(connection, COMMAND, sha256):
                return False
            ledger.prepare(connection)
            run()
            execute(connection, ledger.note_loaded(COMMAND, sha256))
            return True


def _new(connection: Any, scripts: Sequence[Script]) -> tuple[Script, ...]:
    return tuple(script for script in scripts if not ledger.loaded(connection, SCRIPT, script.sha256))


def _names(scripts: Sequence[Script]) -> tuple[str, ...]:
    return tuple(script.name for script in scripts)


class _Load:
    """One way through the scripts; `at` is where it is, for the words of an error."""

    def __init__(self, scripts: Sequence[Script], schema: str, told: Options) -> None:
        self.scripts, self.told = scripts, told
        self.path = path_of(schema, told.search_path)
        self.at: tuple[Script, Statement | None] = (scripts[0], None)

    def carry_out(self, connection: Any) -> None:
        """Execute everything, notes included, in one transaction; whoever calls it rolls back what fails."""
        execute(connection, "BEGIN")
        own = rows(connection, _TRANSACTION)
        for script in self.scripts:
            self._surroundings(connection)
            for statement in script.statements:
                self.at = (script, statement)
                execute(connection, statement.text)
                if may_set(statement):
                    self._limit_locks(connection)
            self.at = (script, None)
            if rows(connection, _TRANSACTION) != own:
                raise StatementFailed(
                    f"{script.name} ended the transaction that it runs in: what came before may be there, what came "
                    "after was noted nowhere. Take the transaction control out of the script, and look at the database"
                )
        self._surroundings(connection)
        for script in self.scripts:
            execute(connection, ledger.note_loaded(SCRIPT, script.sha256))
        execute(connection, "COMMIT")

    def _surroundings(self, connection: Any) -> None:
        """What one script sets is not the next one's; pg_dump's, for one, leave an empty search_path."""
        execute(connection, "RESET SESSION AUTHORIZATION; RESET ALL")
        set_up(connection)
        role = f"SET ROLE {quote(self.told.role)}; " if self.told.role else ""
        execute(connection, f"{role}SET LOCAL search_path = {self.path}")
        self._limit_locks(connection)

    def _limit_locks(self, connection: Any) -> None:
        execute(connection, f"SET LOCAL lock_timeout = '{self.told.limits.lock_timeout_ms}ms'")

    def explained(self, error: driver.Error, *, closed: bool) -> PgsteadError:
        """Turn the driver's error into one that names script and line."""
        script, statement = self.at
        where, data = f"{script.name}, at the end", dict[str, Any](script=script.name)
        if statement is not None:
            position = int(error.diag.statement_position or 1)
            line = statement.line + statement.text.count("\n", 0, position - 1)
            where, data["line"] = f"{script.name}, line {line}", line
        text = " ".join(str(part) for part in _words(error))
        shown = f" Statement: {_short(statement.text)}" if statement else ""
        if closed:
            return ConnectionFailed(f"{where}: the connection broke: {text}. Nothing was changed: run again", data)
        kind = PermissionDenied if isinstance(error, driver.errors.InsufficientPrivilege) else StatementFailed
        return kind(f"{where}: {text}. All scripts were rolled back.{shown}", data)


def _words(error: driver.Error) -> Iterator[str]:
    """Yield the server's words: message, detail, hint, and where in a function it happened."""
    diag = error.diag
    yield " ".join((diag.message_primary or str(error)).split())
    for name, text in (("detail", diag.message_detail), ("hint", diag.message_hint), ("context", diag.context)):
        if text:
            yield f"({name}: {' '.join(text.split())})"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= SHOWN_CHARACTERS else words[:SHOWN_CHARACTERS] + " …"


def _load(connection: Any, watcher: Watcher, way: _Load) -> None:
    """Try until the locks are had: a script that waits for one makes others wait behind it."""
    limits = way.told.limits
    seen: tuple[str, ...] = ()
    for attempt in range(limits.lock_attempts):
        if attempt:
            base = limits.lock_timeout_ms / 1000 * 2 ** min(attempt - 1, BACKOFF_DOUBLINGS)
            way.told.pause(base * (1 + random.random()))  # noqa: S311 - jitter, not a secret
        try:
            with watcher.watching("load_sql") as sight, _rolled_back(connection):
                way.carry_out(connection)
        except (driver.errors.LockNotAvailable, driver.errors.DeadlockDetected):
            seen = sight.blockers or seen
        except driver.Error as error:
            raise way.explained(error, closed=bool(connection.closed)) from error
        else:
            return
    raise LockNotAcquired(
        f"{way.at[0].name} needs a lock and did not get it in {limits.lock_attempts} tries of {limits.lock_timeout_ms}ms. "
        f"In its way: {'; '.join(seen) or 'sessions that changed from try to try'}. All scripts were rolled back; run "
        "again at a quieter time"
    )


@contextmanager
def _rolled_back(connection: Any) -> Iterator[None]:
    """Leave no open transaction behind, whatever happens."""
    try:
        yield
    except (driver.Error, PgsteadError):
        if not connection.closed:
            execute(connection, "ROLLBACK")
        raise
