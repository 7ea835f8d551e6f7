"""What is sent to the server around a change."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import StatementFailed
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change, Mode
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target
from ansible_collections.pgstead.ops.plugins.module_utils._pg.engine import spoken
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Executor, Limits, words
from ansible_collections.pgstead.ops.plugins.module_utils._pg.watch import Sight


class Recorder:
    """Stands in for a connection, its cursor and a watcher: keeps what is executed."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def cursor(self) -> Any:
        return nullcontext(SimpleNamespace(execute=self.sent.append))

    def watching(self, *_what: object) -> Any:
        return nullcontext(Sight())


@pytest.mark.parametrize(("mode", "most"), [(Mode.TRANSACTION, "250ms"), (Mode.SCAN, "0")])
def test_no_change_waits_for_a_lock_without_end(mode: Mode, most: str) -> None:
    recorder: Any = Recorder()
    change = Change("index", QualifiedName("public", "t"), "i", "drop", "AccessExclusiveLock", mode, None)
    Executor(recorder, recorder, Limits(lock_timeout_ms=250), lambda _seconds: None).carry_out(
        change, ["DROP INDEX i"], "''"
    )
    (sent,) = recorder.sent
    assert sent == (
        f"BEGIN; SET LOCAL lock_timeout = '250ms'; SET LOCAL statement_timeout = '{most}'; "
        "SET LOCAL search_path = ''; DROP INDEX i; COMMIT"
    )


ROW = "DETAIL:  Row: (1,Alice Example)"


def told(kind: type[Exception], primary: str | None, code: str | None, constraint: str | None = None) -> Any:
    """Return an error as the driver raises it, whose text ends with a row."""

    class Told(kind):  # type: ignore[misc, valid-type]
        diag = SimpleNamespace(message_primary=primary, constraint_name=constraint)
        pgcode = code

    Told.__name__ = kind.__name__
    return Told(f"{primary or 'the connection broke'}\n{ROW}")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            told(psycopg2.errors.CardinalityViolation, "new data\ncontains duplicate rows", "21000"),
            "new data contains duplicate rows (SQLSTATE 21000)",
        ),
        (
            told(psycopg2.errors.UniqueViolation, "duplicate key", "23505", "u"),
            "duplicate key (SQLSTATE 23505, constraint u)",
        ),
        (
            told(psycopg2.errors.InvalidTextRepresentation, 'invalid input: "Alice Example"', "22P02"),
            "InvalidTextRepresentation, see PostgreSQL's log (SQLSTATE 22P02)",
        ),
        (
            told(psycopg2.errors.RaiseException, "Alice Example owes", "P0001"),
            "RaiseException, see PostgreSQL's log (SQLSTATE P0001)",
        ),
    ],
)
def test_rows_are_only_in_words_for_who_may_read_them(error: Any, expected: str) -> None:
    assert words(error) == expected
    assert words(error, details=True).endswith(ROW.replace("  ", " "))


def test_an_unexpected_error_quotes_rows_only_where_that_is_asked_for() -> None:
    error = told(psycopg2.errors.UniqueViolation, "duplicate key", "23505")
    with pytest.raises(StatementFailed) as caught, spoken(Target("/s", 5432)):
        raise error
    assert (str(caught.value).endswith("duplicate key (SQLSTATE 23505)"), "Alice" in str(caught.value)) == (True, False)
    with pytest.raises(StatementFailed, match="Alice Example"), spoken(Target("/s", 5432), details=True):
        raise error


def test_without_words_of_the_server_the_driver_speaks() -> None:
    assert words(told(psycopg2.OperationalError, None, None)).startswith("the connection broke")
