"""Clients that wait are served again, however the process ended that had them wait."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host import poolers


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for a pooler: what it was told, in order."""
    told = tmp_path / "told"
    told.touch()

    def tell(what: str) -> None:
        with told.open("a") as stream:
            stream.write(f"{what}\n")

    monkeypatch.setattr(poolers, "WAITING", tmp_path / "paused")
    monkeypatch.setattr(poolers, "consoles", lambda: ["console"])
    monkeypatch.setattr(poolers.pooler_admin, "pause", lambda _console, _seconds, name: tell(f"PAUSE {name}"))

    def resume(_console: str, name: str) -> frozenset[str]:
        tell(f"RESUME {name}")
        return frozenset({"one client"})

    monkeypatch.setattr(poolers.pooler_admin, "resume", resume)
    monkeypatch.setattr(poolers.pooler_admin, "await_served", lambda _console, clients, _deadline: tell(*clients))
    monkeypatch.setattr(poolers.pooler_admin, "reload", lambda _console: tell("RELOAD"))
    return told


def served(database: str) -> str:
    """What a pooler is told at the end: its timeouts are put back when those who waited are served."""
    return f"RESUME {database}\none client\nRELOAD\n"


def started(work: Callable[[], object]) -> int:
    """Do something in a child, which is then asleep."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return child


def await_told(console: Path) -> None:
    deadline = time.monotonic() + 30
    while not console.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(child: int, console: Path, number: int) -> None:
    await_told(console)
    os.kill(child, number)
    os.waitpid(child, 0)


def wait(database: str) -> None:
    with poolers.paused(1, database):
        time.sleep(60)


@pytest.mark.parametrize("database", ["", "the shop/ü", "all"])
def test_they_are_served_after_it(console: Path, database: str) -> None:
    with pytest.raises(ZeroDivisionError), poolers.paused(1, database):
        raise ZeroDivisionError
    assert console.read_text() == f"PAUSE {database}\n{served(database)}"
    assert list(poolers.WAITING.iterdir()) == []
    poolers.resume_left()
    assert console.read_text().count("RESUME") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_lost_connection_does_not_leave_them_waiting(console: Path, number: int) -> None:
    ended(started(lambda: wait("shop")), console, number)
    assert console.read_text() == f"PAUSE shop\n{served('shop')}"
    assert list(poolers.WAITING.iterdir()) == []


@pytest.mark.parametrize("database", ["", "the shop/ü", "all"])
def test_what_was_killed_is_made_good_by_the_next(console: Path, database: str) -> None:
    ended(started(lambda: wait(database)), console, signal.SIGKILL)
    assert console.read_text() == f"PAUSE {database}\n"
    poolers.resume_left()
    assert console.read_text() == f"PAUSE {database}\n{served(database)}"
    assert list(poolers.WAITING.iterdir()) == []


def test_who_waits_for_another_is_left_waiting(console: Path) -> None:
    child = started(lambda: wait("shop"))
    await_told(console)
    poolers.resume_left()
    with pytest.raises(HostError, match=f"process {child} has clients of shop wait"), poolers.paused(1, "shop"):
        pass
    assert console.read_text() == "PAUSE shop\n"
    ended(child, console, signal.SIGTERM)


def test_a_signal_while_they_are_served_leaves_no_timeout_off(console: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(poolers.pooler_admin, "await_served", end)
    with pytest.raises(SystemExit), poolers.paused(1, "shop"):
        pass
    assert console.read_text() == "PAUSE shop\nRESUME shop\nRELOAD\n"


def test_all_poolers_serve_before_any_is_waited_for(console: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poolers, "consoles", lambda: ["one", "two"])
    with poolers.paused(1):
        pass
    assert [line.strip() for line in console.read_text().splitlines()] == [
        *["PAUSE"] * 2,
        *["RESUME"] * 2,
        *["one client"] * 2,
        *["RELOAD"] * 2,
    ]


def test_the_timeouts_stay_off_while_a_restore_has_all_wait(console: Path) -> None:
    child = started(lambda: wait(""))
    await_told(console)
    with poolers.paused(1, "shop"):
        pass
    assert console.read_text() == "PAUSE \nPAUSE shop\nRESUME shop\n"
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    assert console.read_text().endswith(served(""))
