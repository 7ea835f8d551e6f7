"""A dump's database takes the place of the old one whole or not at all, whatever cuts that off or keeps it from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_restore import Side
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import LockNotAcquired, StatementFailed
from ansible_collections.pgstead.ops.plugins.module_utils._host import dump_restore
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_work import give
from ansible_collections.pgstead.ops.plugins.module_utils._pg import dump_restore as sql
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import session

from .conftest import USER
from .dump_world import DATABASE, World, described, restored

one_major = pytest.mark.parametrize("server", [17], indirect=True)


class Cut(BaseException):
    """Stands for the end of the process."""


@contextmanager
def cut_off_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let so many statements through, and no more."""
    executed, left = sql.execute, [steps]

    def execute(connection: Any, statement: str) -> None:
        if left[0] == 0:
            raise Cut
        left[0] -= 1
        executed(connection, statement)

    with monkeypatch.context() as patched:
        patched.setattr(sql, "execute", execute)
        yield


def swapped_until(world: World, made: Side, steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Begin a swap that is cut off; return whether it was."""
    try:
        with session(world.server.target) as connection, cut_off_after(steps, monkeypatch):
            sql.swap(connection, made, 10, datetime.now(UTC))
    except Cut:
        return True
    return False


@one_major
@pytest.mark.parametrize("finish", [True, False], ids=["finished", "put back"])
def test_a_swap_that_is_cut_off_anywhere(world: World, finish: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server.run(f"COMMENT ON DATABASE \"{DATABASE}\" IS 'old'")
    made = Side("side", DATABASE, "ready", "x.tar.age")
    stages, steps, cut = [], 0, True
    world.server.run('CREATE DATABASE "side"')
    while cut:
        with session(world.server.target) as connection:
            sql.mark(connection, made)
        cut = swapped_until(world, made, steps, monkeypatch)
        with session(world.server.target) as connection:
            for left in sql.sides(connection, DATABASE) if cut else ():
                stages.append(left.stage)
                if left.stage == "swapping" and finish:
                    sql.swap(connection, left, 10, datetime.now(UTC))
                elif left.stage == "swapping":
                    sql.put_back(connection, left)
        assert world.ask(DATABASE, "SELECT 1") == [(1,)]
        names = world.databases()
        (comment,) = (row[7] for row in described(world, DATABASE))
        assert (comment is None) is ((finish and stages[-1:] == ["swapping"]) or not cut)
        assert len(names) == 2
        for name in names:  # the next round begins as this one did
            if name.startswith(f"{DATABASE}_before_"):
                world.server.run(f'ALTER DATABASE "{DATABASE}" RENAME TO "side"')
                world.server.run(f'ALTER DATABASE "{name}" RENAME TO "{DATABASE}"')
                world.server.run(f'ALTER DATABASE "{DATABASE}" ALLOW_CONNECTIONS true')
        steps += 1
    assert stages.count("ready") >= 3
    assert stages.count("swapping") >= 5


@one_major
def test_a_cut_off_swap_is_finished_without_the_dump(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.facts()
    made = restored(world).data["restored_as"]
    with session(world.server.target) as connection:
        (side,) = sql.sides(connection, DATABASE)
    assert (side.name, side.stage) == (made, "ready")
    assert swapped_until(world, side, 5, monkeypatch)
    with pytest.raises(psycopg2.OperationalError, match="not currently accepting connections"):
        described_by_anybody(world)
    shutil.rmtree(world.store)
    done = restored(world, state="swapped")
    assert (done.data["restored_as"], done.data["integrity"]) == (DATABASE, "verified before")
    assert world.databases() == [DATABASE, done.data["safety_copy"]]
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(1000,)]


@one_major
def test_a_cut_off_swap_of_another_dump_is_undone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was the wrong one: what is asked for now comes in, and nothing else."""
    wrong = world.facts()["file"]
    kept = {path.name: path.read_bytes() for path in world.store.iterdir()}
    world.server.run("DELETE FROM log", database=DATABASE)
    while (right := world.facts()["file"]) == wrong:  # names are by second
        pass
    for name, content in kept.items():  # one of an hour is all that retention keeps
        (world.store / name).write_bytes(content)
        give(world.store / name, USER)
    made = restored(world, name=wrong).data["restored_as"]
    with session(world.server.target) as connection:
        (side,) = sql.sides(connection, DATABASE)
    assert swapped_until(world, side, 5, monkeypatch)
    done = restored(world, state="swapped", name=right)
    assert (done.data["dump"], done.data["integrity"]) == (right, "sha256")
    assert world.ask(DATABASE, "SELECT count(*) FROM log") == [(0,)]
    assert world.ask(made, "SELECT count(*) FROM log") == [(300,)]


@one_major
def test_restores_of_one_second_are_two_databases(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.facts()
    now = datetime.now(UTC)
    monkeypatch.setattr(dump_restore, "datetime", SimpleNamespace(now=lambda _zone: now))
    first = restored(world).data["restored_as"]
    second = restored(world).data["restored_as"]
    assert world.databases() == sorted([DATABASE, first, second])
    with monkeypatch.context() as patched:  # somebody takes the name after we looked
        patched.setattr(sql, "databases", lambda _connection: frozenset[str]())
        with pytest.raises(StatementFailed, match=f'database "{first}" already exists'):
            restored(world)
    assert world.databases() == sorted([DATABASE, first, second])


@one_major
def test_a_cut_off_swap_that_somebody_opened_is_not_finished(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Production went on in the old database: what was dumped before is not to take its place weeks later."""
    world.facts()
    restored(world)
    with session(world.server.target) as connection:
        (side,) = sql.sides(connection, DATABASE)
    assert swapped_until(world, side, 5, monkeypatch)
    world.server.run(f'ALTER DATABASE "{DATABASE}" ALLOW_CONNECTIONS true')
    world.server.run("INSERT INTO customers VALUES (51, 'new')", database=DATABASE)
    world.facts()
    assert restored(world, state="swapped").data["integrity"] == "sha256"
    assert world.ask(DATABASE, "SELECT count(*) FROM customers") == [(51,)]


@one_major
def test_a_swap_that_failed_is_made_by_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of restoring are not lost for a session that did not end."""
    name = world.facts()["file"]
    with monkeypatch.context() as patched:
        patched.setattr(sql, "_SESSIONS", "SELECT 1, 'shop_app', 'worker' WHERE %s <> ''")
        with pytest.raises(LockNotAcquired, match=rf"_restored_\w+ is whole, and waits: the next run for {name} swaps"):
            restored(world, state="swapped", swap_wait="1s")
    (made,) = [each for each in world.databases() if each != DATABASE]
    assert world.ask("postgres", f"SELECT datallowconn FROM pg_database WHERE datname = '{made}'") == [(False,)]
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(1000,)]
    assert restored(world, check=True, state="swapped").data["integrity"] == "verified before"
    done = restored(world, state="swapped")
    assert (done.data["dump"], done.data["integrity"]) == (name, "verified before")
    assert world.databases() == [DATABASE, done.data["safety_copy"]]
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(1000,)]


@one_major
def test_a_subscription_stays_with_the_old_database(world: World) -> None:
    """It would hold on to every side database, and take the place of the old one's at its publisher."""
    options = "connect = false, slot_name = NONE, enabled = false"
    make = f"CREATE SUBSCRIPTION far CONNECTION 'host=192.0.2.1' PUBLICATION all_of_it WITH ({options})"
    world.server.run(make, database=DATABASE)
    try:
        world.facts()
        stays = "subscription far belong to the old database and stay with it"
        assert [note[: len(stays)] for note in restored(world, check=True, state="swapped").data["notes"]] == [stays]
        done = restored(world)
        assert done.data["notes"][0].startswith("subscriptions were left out: far. ")
        assert world.ask("postgres", "SELECT count(*) FROM pg_subscription") == [(1,)]
    finally:
        for name in world.databases():
            world.server.run("DROP SUBSCRIPTION IF EXISTS far", database=name)


@one_major
def test_prepared_transactions_are_refused_before_anything_is_restored(world: World) -> None:
    world.facts()
    world.server.run("BEGIN; INSERT INTO log VALUES ('2025-01-02', 'x'); PREPARE TRANSACTION 'half'", database=DATABASE)
    try:
        for check in (True, False):
            with pytest.raises(LockNotAcquired, match="prepared transactions half hold it"):
                restored(world, check=check, state="swapped")
        assert world.databases() == [DATABASE]
    finally:
        world.server.run("ROLLBACK PREPARED 'half'", database=DATABASE)


def described_by_anybody(world: World) -> None:
    target = world.server.target
    psycopg2.connect(host=target.socket_directory, port=target.port, dbname=DATABASE, user="postgres").close()


@one_major
def test_a_cut_off_swap_that_prepared_transactions_hold_is_undone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who ends them must be let into the database."""
    world.facts()
    restored(world)
    with session(world.server.target) as connection:
        (side,) = sql.sides(connection, DATABASE)
    world.server.run("BEGIN; INSERT INTO log VALUES ('2025-01-02', 'x'); PREPARE TRANSACTION 'half'", database=DATABASE)
    assert swapped_until(world, side, 5, monkeypatch)
    with pytest.raises(LockNotAcquired, match="prepared transactions half hold it"):
        restored(world, state="swapped")
    world.server.run("ROLLBACK PREPARED 'half'", database=DATABASE)
    assert restored(world, state="swapped").data["integrity"] == "verified before"


@one_major
def test_half_a_side_database_is_dropped_by_the_next_run(world: World) -> None:
    world.facts()
    with session(world.server.target) as connection:
        world.server.run('CREATE DATABASE "half"')
        sql.mark(connection, Side("half", DATABASE, "restoring", "x"))
    cut = f"{DATABASE}_restored_20260315T012700Z"
    mine = f"{DATABASE}_restored_20260315T012800Z"
    world.server.run(f'CREATE DATABASE "{cut}" CONNECTION LIMIT 0', f'CREATE DATABASE "{mine}"')
    restored(world, state="verified")
    assert world.databases() == [DATABASE, mine]


@one_major
def test_sessions_are_ended_and_those_that_stay_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server.run('CREATE DATABASE "side"')
    made = Side("side", DATABASE, "ready", "x")
    target = world.server.target
    reader = psycopg2.connect(host=target.socket_directory, port=target.port, dbname=DATABASE, user="postgres")
    with session(target) as connection, monkeypatch.context() as patched:
        patched.setattr(sql, "_SESSIONS", "SELECT 1, 'shop_app', 'worker' WHERE %s <> ''")
        with pytest.raises(LockNotAcquired, match=r"process 1 of shop_app \(worker\) did not end within 0\.01 s"):
            sql.swap(connection, made, 0.01, datetime.now(UTC))
    assert world.databases() == ["side", DATABASE]
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(1000,)]
    with (
        session(target) as connection,
        sql.one_restore_at_a_time(connection),
        pytest.raises(LockNotAcquired, match="another restore is under way"),
    ):
        restored(world)
    with session(target) as connection:
        sql.swap(connection, made, 10, datetime.now(UTC))
    with pytest.raises(psycopg2.OperationalError):
        reader.cursor().execute("SELECT 1")
