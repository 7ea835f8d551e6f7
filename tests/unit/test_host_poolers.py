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
    monkeypatch.setattr(poolers.pooler_admin, "resume", lambda _console, name: tell(f"RESUME {name}"))
    return told


def started(work: Callable[[], object]) -> int:
    """Do something in a child, which is then asleep."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return child


def ended(child: int, console: Path, number: int) -> None:
    deadline = time.monotonic() + 30
    while not console.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child, number)
    os.waitpid(child, 0)


def wait(database: str) -> None:
    with poolers.paused(1, database):
        time.sleep(60)


@pytest.mark.parametrize("database", ["", "the shop/ü", "all"])
def test_they_are_served_after_it(console: Path, database: str) -> None:
    with pytest.raises(ZeroDivisionError), poolers.paused(1, database):
        raise ZeroDivisionError
    assert console.read_text() == f"PAUSE {database}\nRESUME {database}\n"
    assert list(poolers.WAITING.iterdir()) == []
    poolers.resume_left()
    assert console.read_text().count("RESUME") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_lost_connection_does_not_leave_them_waiting(console: Path, number: int) -> None:
    ended(started(lambda: wait("shop")), console, number)
    assert console.read_text() == "PAUSE shop\nRESUME shop\n"
    assert list(poolers.WAITING.iterdir()) == []


@pytest.mark.parametrize("database", ["", "the shop/ü", "all"])
def test_what_was_killed_is_made_good_by_the_next(console: Path, database: str) -> None:
    ended(started(lambda: wait(database)), console, signal.SIGKILL)
    assert console.read_text() == f"PAUSE {database}\n"
    poolers.resume_left()
    assert console.read_text() == f"PAUSE {database}\nRESUME {database}\n"
    assert list(poolers.WAITING.iterdir()) == []


def test_who_waits_for_another_is_left_waiting(console: Path) -> None:
    child = started(lambda: wait("shop"))
    deadline = time.monotonic() + 30
    while not console.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    poolers.resume_left()
    with pytest.raises(HostError, match=f"process {child} has clients of shop wait"), poolers.paused(1, "shop"):
        pass
    assert console.read_text() == "PAUSE shop\n"
    ended(child, console, signal.SIGTERM)
