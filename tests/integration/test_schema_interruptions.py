"""Runs that die: whatever step it is in, the next one goes on from there and leaves nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import (
    ConnectionFailed,
    PgsteadError,
    StatementFailed,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Executor

from .conftest import first_and_last
from .schema import CASES, LIMITS, Database, Item, actions, instead, interrupted, on, orders, round_trip
from .test_schema_locks import meanwhile, waiter

Run = Callable[..., Any]


def killed_after_one_step(run: Run, items: list[Item]) -> None:
    """Run in a process of its own, and kill it where it has just finished its first step."""
    whole = Executor.carry_out

    def carry_out(executor: Executor, *words: Any) -> None:
        whole(executor, *words)
        os.kill(os.getpid(), signal.SIGKILL)

    def dies() -> None:
        Executor.carry_out = carry_out  # type: ignore[method-assign]
        run(items)

    process = multiprocessing.get_context("fork").Process(target=dies)
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL


def steps_of(report: Any) -> list[tuple[str, str]]:
    return [(change.action, str(change.table)) for change, _, _ in report.steps]


@pytest.mark.parametrize("kind", CASES)
def test_a_run_killed_after_any_step_is_continued_with_the_next(db: Database, kind: str) -> None:
    before, after, expected = CASES[kind]
    run: Run = getattr(db, kind)
    run(before)
    left = steps_of(run(after, check_mode=True))
    assert expected <= {action for action, _ in left}
    while len(left) > 1:
        killed_after_one_step(run, after)
        following = steps_of(run(after, check_mode=True))
        assert following == left[1:]
        left = following
    round_trip(run, after)
    assert db.left_behind() == []


@contextmanager
def terminated(db: Database, change: Change) -> Iterator[None]:
    """Terminate the backend of a run while it waits in the middle of a step."""
    tables = f"{change.table.sql}, pgstead.made"
    with db.session() as cursor:
        if change.mode.value == "concurrently":
            cursor.execute(f"BEGIN; SELECT count(*) FROM {change.table.sql}; LOCK {tables} IN ROW EXCLUSIVE MODE")
        else:
            cursor.execute(f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
            if (change.kind, change.action) == ("index", "comment"):
                cursor.execute(f"COMMENT ON INDEX {change.name} IS 'held'")
        yield


def dies_in_its_first_step(db: Database, run: Run, items: list[Item]) -> None:
    whole = Executor.carry_out

    def carry_out(executor: Executor, change: Change, *words: Any) -> None:
        with terminated(db, change), meanwhile(lambda: db.rows(f"SELECT pg_terminate_backend({waiter(db)})")):
            whole(executor, change, *words)

    limits = replace(LIMITS, lock_timeout_ms=20_000, build_wait_seconds=20, run_wait_seconds=5)
    with instead(carry_out), pytest.raises(ConnectionFailed, match="the connection broke during"):
        run(items, limits=limits)


@first_and_last
@pytest.mark.parametrize("kind", CASES)
def test_a_backend_terminated_in_any_step_is_no_loss(db: Database, kind: str) -> None:
    before, after, expected = CASES[kind]
    run: Run = getattr(db, kind)
    run(before)
    died: set[tuple[str, str]] = set()
    while left := steps_of(run(after, check_mode=True)):
        if left[0] not in died:
            died.add(left[0])
            dies_in_its_first_step(db, run, after)
        elif len(left) > 1:
            with interrupted(after=1), pytest.raises(PgsteadError):
                run(after)
        else:
            run(after)
    assert expected <= {action for action, _ in died}
    round_trip(run, after)
    assert db.left_behind() == []


@pytest.mark.parametrize("purge", [False, True])
def test_what_was_begun_and_is_declared_no_more_goes_with_the_next_look_at_its_table(db: Database, purge: bool) -> None:
    begun = {"table": "orders", "name": "c", "expression": "total >= 0"}
    for run, old, new, beside in (
        (db.indexes, orders("id", name="c"), orders("day", name="c"), orders("note")),
        (db.checks, {**begun, "expression": "id > 0"}, begun, {**begun, "name": "beside"}),
    ):
        run([old])
        with interrupted(after=1), pytest.raises(PgsteadError):
            run([new])
        report = round_trip(run, [] if purge else [beside], purge=purge)
        assert not any("pgstead_" in name for name in report.plan.unmanaged)
        assert db.left_behind() == []


def test_a_table_dropped_meanwhile_is_an_error_and_earlier_steps_stay(db: Database) -> None:
    whole = Executor.carry_out

    def carry_out(executor: Executor, change: Change, *words: Any) -> None:
        if change.table.name == "users":
            db.run("DROP TABLE users CASCADE")
        whole(executor, change, *words)

    items = [orders("day"), on("users", "email")]
    with instead(carry_out), pytest.raises(StatementFailed, match="the schema meanwhile: run again") as caught:
        db.indexes(items)
    assert [step["action"] for step in caught.value.data["applied"]] == ["build", "adopt"]
    assert actions(db.indexes(items[:1])) == []


def test_a_killed_client_in_the_midst_of_a_build_does_not_stop_the_next_run(db: Database) -> None:
    """The server sees within two seconds that nobody listens, and lets go of the lock for schema runs."""
    items = [orders("day")]
    with db.session() as writer:
        writer.execute("BEGIN; UPDATE orders SET note = note WHERE id = 1")
        limits = replace(LIMITS, lock_timeout_ms=20_000, build_wait_seconds=20)
        process = multiprocessing.get_context("fork").Process(target=lambda: db.indexes(items, limits=limits))
        process.start()
        waiter(db)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(5)
        until = time.monotonic() + 5
        while db.rows("SELECT FROM pg_stat_activity WHERE application_name = 'pgstead'"):
            assert time.monotonic() < until, "the build goes on without its client"
            time.sleep(0.05)
    assert actions(round_trip(db.indexes, items)) == ["drop", "build", "adopt"]
    assert db.left_behind() == []
