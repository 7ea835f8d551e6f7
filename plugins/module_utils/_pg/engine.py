# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one engine: observe, let the server give forms, plan, and either say so or carry it out and observe again.

A kind of object is what `Kind` asks for, and nothing else (docs/schema.md says how to add one).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from .._core.errors import (
    ConnectionFailed,
    LockNotAcquired,
    NotConverged,
    PermissionDenied,
    PgsteadError,
    Problem,
    SpecError,
    StatementFailed,
)
from .._core.plan import Change, Plan
from .._core.relation import Tables, user_tables
from . import ledger, rights
from .canonical import Answer, path_of
from .connection import Target, connect, driver, execute
from .execute import Done, Executor, Limits, words
from .session import one_run_at_a_time, onlooker, session
from .tables import read_tables
from .watch import Watcher, holders


class Kind(Protocol):
    """A kind of object, holding what is declared of it in one run."""

    count: int  # objects declared

    def observe(self, connection: Any, tables: Tables) -> None:
        """Read what is there: one bulk read. Raises SpecError for what cannot be, tables considered."""

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        """Have the server give the declared forms, and return warnings. Raises SpecError."""

    def busy(self) -> tuple[str, ...]:
        """Name what somebody else is building right now."""

    def plan(self) -> Plan:
        """Return the steps from what was observed to what is declared."""

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        """Look at the rows, where rows could contradict the plan; return warnings. Raises ViolatingRows."""

    def render(self, change: Change) -> tuple[str, ...]:
        """Return the statements of a change."""


@dataclass(frozen=True)
class Options:
    """What a run is told besides what is declared."""

    target: Target
    role: str = ""
    search_path: tuple[str, ...] = ("public",)
    check_mode: bool = False
    limits: Limits = field(default_factory=Limits)
    log: Callable[[str], None] = lambda _line: None
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Report:
    """What a run found and did; `steps` pairs each change with its statements and seconds (None when only planned)."""

    plan: Plan = field(default_factory=Plan)
    steps: tuple[tuple[Change, tuple[str, ...], float | None], ...] = ()
    waiting: bool = False
    warnings: tuple[str, ...] = ()


def converge(kind: Kind, options: Options) -> Report:
    """Bring a database to what is declared, or say in check mode what that would take. Raises PgsteadError."""
    with spoken(options.target, details=True), session(options.target, options.role) as connection:
        execute(connection, f"SET lock_timeout = '{options.limits.patience_ms}ms'")
        tables = read_tables(connection)
        if not user_tables(tables):
            return Report(waiting=True)
        plan, warnings = _planned(kind, connection, options, tables)
        if options.check_mode or not plan.changes:
            refused = (f"a run would be refused: {why}" for why in _forbidden(connection, plan))
            warnings = (*warnings, *refused, *kind.verify(connection, plan, options.search_path))
            steps = tuple((change, kind.render(change), None) for change in plan.changes)
            return Report(plan, steps, warnings=(*warnings, *plan.warnings))
        with one_run_at_a_time(connection, options.limits.run_wait_seconds), onlooker(options.target) as eyes:
            watcher = Watcher(eyes, connection.get_backend_pid(), options.log)
            return _applied(kind, connection, watcher, options)


@contextmanager
def spoken(target: Target, *, details: bool = False) -> Iterator[None]:
    """Turn what the driver raises, wherever nobody expected it, into an error for a person; `details` as in `words`."""
    try:
        yield
    except driver.Error as error:
        text = words(error, details=details)
        if isinstance(error, driver.errors.InsufficientPrivilege):
            advice = "act as the owner of the tables (session_role)"
            raise PermissionDenied(f"{target}: {text}: {advice}") from error
        if isinstance(error, driver.errors.LockNotAvailable):
            with connect(target) as eyes:
                seen = "; ".join(holders(eyes)) or "a session that has ended meanwhile"
            raise LockNotAcquired(f"{target}: a table cannot be read: {text}. In the way: {seen}") from error
        if error.pgcode is None or error.pgcode.startswith("57P"):
            raise ConnectionFailed(f"{target}: the connection broke: {text}; run again") from error
        raise StatementFailed(f"{target}: {text}") from error


def _planned(kind: Kind, connection: Any, options: Options, tables: Tables) -> tuple[Plan, tuple[str, ...]]:
    kind.observe(connection, tables)
    warnings = kind.settle(connection, options.search_path)
    return kind.plan(), warnings


def _applied(kind: Kind, connection: Any, watcher: Watcher, options: Options) -> Report:
    """Plan again now that nobody else changes this schema, carry it out, and see that nothing is left."""
    plan, warnings = _undisturbed(kind, connection, options)
    if refused := _forbidden(connection, plan):
        raise PermissionDenied(f"{options.target}: {'; '.join(refused)}. Nothing was changed")
    warnings = (*warnings, *kind.verify(connection, plan, options.search_path))
    ledger.prepare(connection)
    executor = Executor(connection, watcher, options.limits, options.pause, details=True)
    try:
        with spoken(options.target, details=True):
            for change in plan.changes:
                executor.carry_out(change, kind.render(change), path_of(change.table.schema, options.search_path))
            left, _ = _planned(kind, connection, options, read_tables(connection))
    except PgsteadError as error:
        error.data["applied"] = [step(one.change, one.sql, one.seconds) for one in executor.done]
        raise
    if left.changes:
        names = ", ".join(dict.fromkeys(f"{change.action} {change.object}" for change in left.changes))
        raise NotConverged(
            f"every step was carried out, and still {names} would follow: somebody else changes the same objects, or "
            "the server understands a definition in another way. Look at them before you run again",
            {"applied": [step(one.change, one.sql, one.seconds) for one in executor.done]},
        )
    return Report(plan, _timed(executor.done), warnings=(*warnings, *plan.warnings))


def _forbidden(connection: Any, plan: Plan) -> tuple[str, ...]:
    """Say what this role may not do of a plan: half of it would be done before the server says so."""
    if not plan.changes:
        return ()
    return tuple(why for why in (rights.lacking(connection, plan.changes), ledger.lacking(connection)) if why)


def _undisturbed(kind: Kind, connection: Any, options: Options) -> tuple[Plan, tuple[str, ...]]:
    """Plan, once nobody is building one of the declared objects any more."""
    deadline = time.monotonic() + options.limits.build_wait_seconds
    while True:
        planned = _planned(kind, connection, options, read_tables(connection))
        busy = kind.busy()
        if not busy:
            return planned
        if time.monotonic() > deadline:
            raise LockNotAcquired(f"somebody else is still building {', '.join(busy)}: run again when that is done")
        options.log(f"pgstead: waits for {', '.join(busy)}")
        options.pause(1.0)


def _timed(done: Sequence[Done]) -> tuple[tuple[Change, tuple[str, ...], float | None], ...]:
    return tuple((one.change, one.sql, one.seconds) for one in done)


def step(change: Change, sql: Sequence[str], seconds: float | None) -> dict[str, Any]:
    """Return one change as a result shows it."""
    return {
        "kind": change.kind,
        "object": change.name,
        "table": str(change.table),
        "action": change.action,
        "sql": list(sql),
        "lock": change.lock,
        "seconds": seconds,
        "note": change.note,
    }


def refusals(positions: Sequence[str], found: Sequence[Answer]) -> list[Problem]:
    """Return a problem for each declared object that the server refused."""
    return [
        Problem(position, answer.refusal) for position, answer in zip(positions, found, strict=True) if answer.refusal
    ]


def raise_if_any(problems: Sequence[Problem]) -> None:
    """Raise all problems together."""
    if problems:
        raise SpecError(problems)
