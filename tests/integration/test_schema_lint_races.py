"""The lint while others drop what it reads: it sees one moment, the server's own functions see the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import StatementFailed
from ansible_collections.pgstead.ops.plugins.module_utils._pg import lint as reading

from .conftest import Server
from .lint_world import found, lint


@pytest.fixture
def busy(server: Server) -> Iterator[Server]:
    server.run("CREATE DATABASE busy")
    server.run(*(f"CREATE TABLE t{n} (id int PRIMARY KEY, j json)" for n in range(5)), database="busy")
    yield server
    server.run("DROP DATABASE busy WITH (FORCE)")


def before(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], None]) -> None:
    """Let something happen in the middle of each reading."""
    original = getattr(reading, name)

    def read(connection: Any) -> Any:
        meanwhile()
        return original(connection)

    monkeypatch.setattr(reading, name, read)


@pytest.mark.parametrize("name", ["read_tables", "read_indexes", "read_checks"])
@pytest.mark.parametrize("times", [1, 2])
def test_what_goes_while_it_is_read_is_read_again(
    busy: Server, monkeypatch: pytest.MonkeyPatch, name: str, times: int
) -> None:
    going = [f"DROP TABLE t{n}" for n in range(times)]
    before(monkeypatch, name, lambda: busy.run(going.pop(), database="busy") if going else None)
    assert sorted(found(lint(busy, "busy"))) == [f"column_json:public.t{n}.j" for n in range(times, 5)]


def test_what_goes_all_the_time_ends_in_words(busy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    going = [f"DROP TABLE t{n}" for n in range(5)]
    before(monkeypatch, "read_indexes", lambda: busy.run(going.pop(), database="busy"))
    with pytest.raises(StatementFailed, match="something was dropped while the catalogue was read"):
        lint(busy, "busy")


def test_an_error_of_our_own_is_not_taken_for_that(busy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "read_checks", lambda _connection: None)
    with pytest.raises(AttributeError):
        lint(busy, "busy")
