"""What PgBouncer's console is told, and in which order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import StatementFailed
from ansible_collections.pgstead.ops.plugins.module_utils._pg import pooler_admin

CONSOLE = pooler_admin.console("/run/pgbouncer", 6432)
COLUMNS = ("type", "state", "ptr", "link")


class Console:
    """A console that keeps what it was told, and refuses what it is told to; it stands for connection and cursor."""

    def __init__(self) -> None:
        self.told = list[str]()
        self.refused: dict[str, str] = {}
        self.clients: list[Sequence[tuple[str, ...]]] = []  # what SHOW CLIENTS says, each time
        self.description = [(name,) for name in COLUMNS]

    def cursor(self) -> Console:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, statement: str, _parameters: object = None) -> None:
        self.told.append(statement.strip())
        if said := self.refused.get(statement.split(maxsplit=1)[0]):
            raise psycopg2.OperationalError(said)

    def fetchall(self) -> Sequence[tuple[str, ...]]:
        return self.clients.pop(0) if len(self.clients) > 1 else self.clients[0]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Console:
    found = Console()

    @contextmanager
    def connect(_target: Any) -> Iterator[Console]:
        yield found

    monkeypatch.setattr(pooler_admin, "connect", connect)
    return found


@pytest.mark.parametrize(("database", "said"), [("", "PAUSE"), ("the shop", 'PAUSE "the shop"')])
def test_nobody_is_sent_away_for_waiting(database: str, said: str, there: Console) -> None:
    """PgBouncer counts both for clients that it was told to have wait."""
    assert pooler_admin.pause(CONSOLE, 1, database)
    assert there.told == ["SET query_timeout = 0", "SET query_wait_timeout = 0", said]


def test_who_waits_is_served_and_told(there: Console) -> None:
    there.clients = [[("C", "waiting", "0x1", ""), ("C", "active", "0x2", "0x9"), ("C", "active", "0x3", "")]]
    assert pooler_admin.resume(CONSOLE, "shop") == {"0x1"}
    assert there.told == ["SHOW CLIENTS", "RESUME shop"]


@pytest.mark.parametrize("said", ["database shop is not paused", "no such database: shop"])
def test_a_pooler_that_is_not_paused_is_left_alone(said: str, there: Console) -> None:
    there.clients = [[]]
    there.refused["RESUME"] = said
    assert pooler_admin.resume(CONSOLE, "shop") == frozenset()


def test_those_who_waited_are_waited_for(there: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """First they wait, then they have a server connection; others may come and go meanwhile."""
    monkeypatch.setattr(pooler_admin.time, "sleep", lambda _seconds: None)
    other = ("C", "waiting", "0x2", "")
    there.clients = [
        [("C", "waiting", "0x1", "")],
        [("C", "active", "0x1", "0x9"), other],
        [("C", "active", "0x1", ""), other],
    ]
    pooler_admin.await_served(CONSOLE, frozenset({"0x1"}), time.monotonic() + 60)
    assert there.told == ["SHOW CLIENTS"] * 3


def test_they_are_not_waited_for_without_end(there: Console) -> None:
    there.clients = [[("C", "active", "0x1", "0x9")]]  # a session pool's client keeps its server
    pooler_admin.await_served(CONSOLE, frozenset({"0x1"}), time.monotonic())
    assert there.told == ["SHOW CLIENTS"]


@pytest.mark.parametrize("word", ["SET", "PAUSE", "RESUME", "RELOAD", "SHUTDOWN"])
def test_what_the_console_refuses_is_an_error_of_ours(word: str, there: Console) -> None:
    """So that whoever changes something takes it back."""
    there.refused[word], there.clients = "RELOAD failed, see logs for additional details", [[]]
    acts = {"RESUME": pooler_admin.resume, "RELOAD": pooler_admin.reload, "SHUTDOWN": pooler_admin.drain}
    with pytest.raises(StatementFailed, match="see logs"):
        acts.get(word, lambda target: pooler_admin.pause(target, 1))(CONSOLE)
