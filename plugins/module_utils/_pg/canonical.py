# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the server makes of a definition: created on an empty temporary copy of the table, read back, rolled back.

Nothing but an AccessShareLock touches the real table. The copies bear the tables' own names, so that definitions which
name the table parse, and stand last in the search path, so that deparsing is the same as for the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._core.errors import PermissionDenied
from .._core.names import QualifiedName, literal, quote
from .connection import driver, execute, rows

TAG = "pgstead: trial in pg_temp, rolled back"
BATCH_TABLES = 20  # a transaction holds the locks of all its copies

_EVENT_TRIGGERS = "SELECT evtname FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1"


@dataclass(frozen=True)
class Trial:
    """One object to try: `make` gives its statement for a copy of the table (SQL) and a trial name."""

    table: QualifiedName
    make: Callable[[str, str], str]


@dataclass(frozen=True)
class Answer:
    """The server's text for one trial, or its words and SQLSTATE when it refused."""

    text: str = ""
    refusal: str = ""
    code: str = ""


# names of trials → their texts, asked inside the transaction
Reader = Callable[[Any, Sequence[str]], Mapping[str, str]]


def answers(
    connection: Any, trials: Sequence[Trial], read: Reader, search_path: Sequence[str]
) -> tuple[tuple[Answer, ...], tuple[str, ...]]:
    """Return one answer for each trial, and warnings (event triggers that fired on the trials).

    `search_path` stands behind the table's own schema. Raises PermissionDenied where there is no right to make
    temporary tables.
    """
    found: dict[int, Answer] = {}
    if not trials:
        return (), ()
    with _tagged(connection):
        for schema, batch in _batches(trials):
            found |= _batch(connection, batch, read, path_of(schema, search_path))
        fired = [name for (name,) in rows(connection, _EVENT_TRIGGERS)]
    warnings = (f"event triggers fire on temporary trial objects too: {', '.join(fired)}",) if fired else ()
    return tuple(found[number] for number in range(len(trials))), warnings


@contextmanager
def _tagged(connection: Any) -> Iterator[None]:
    ((before,),) = rows(connection, "SELECT pg_catalog.current_setting('application_name')")
    execute(connection, f"SET application_name = {literal(TAG)}")
    try:
        yield
    finally:
        if not connection.closed:
            execute(connection, f"SET application_name = {literal(before)}")


def _batches(trials: Sequence[Trial]) -> Iterator[tuple[str, dict[int, Trial]]]:
    """Group trials by schema (two tables of one name cannot both have a copy), at most BATCH_TABLES tables each."""
    by_schema: dict[str, dict[str, dict[int, Trial]]] = {}
    for number, trial in enumerate(trials):
        by_schema.setdefault(trial.table.schema, {}).setdefault(trial.table.name, {})[number] = trial
    for schema, tables in by_schema.items():
        names = list(tables)
        for start in range(0, len(names), BATCH_TABLES):
            yield (
                schema,
                {n: trial for name in names[start : start + BATCH_TABLES] for n, trial in tables[name].items()},
            )


def _batch(connection: Any, batch: Mapping[int, Trial], read: Reader, path: str) -> dict[int, Answer]:
    """Try a batch in one round trip; where something is refused, again with a savepoint for each trial."""
    begin = [f"BEGIN; SET LOCAL search_path = {path}"]
    begin += [
        f"CREATE TEMP TABLE {copy_of(table)} (LIKE {table.sql})" for table in {t.table: None for t in batch.values()}
    ]
    statements = {number: trial.make(copy_of(trial.table), trial_name(number)) for number, trial in batch.items()}
    refused: dict[int, Answer] = {}
    try:
        try:
            execute(connection, "; ".join([*begin, *statements.values()]))
        except driver.errors.InsufficientPrivilege as error:
            if "temporary" in str(error):
                raise PermissionDenied(
                    f"{str(error).strip()}: definitions are compared by trying them on temporary copies; "
                    "grant TEMPORARY on the database to the role that connects"
                ) from error
            refused = _one_by_one(connection, begin, statements)
        except driver.OperationalError:
            raise
        except driver.Error:
            refused = _one_by_one(connection, begin, statements)
        execute(connection, "SET LOCAL search_path = ''")
        texts = read(connection, [trial_name(number) for number in batch if number not in refused])
    finally:
        if not connection.closed:
            execute(connection, "ROLLBACK")
    return refused | {n: Answer(text=texts[trial_name(n)]) for n in batch if n not in refused}


def _one_by_one(connection: Any, begin: Sequence[str], statements: Mapping[int, str]) -> dict[int, Answer]:
    execute(connection, "ROLLBACK")
    execute(connection, "; ".join(begin))
    refused = {}
    for number, statement in statements.items():
        try:
            execute(connection, f"SAVEPOINT trial; {statement}; RELEASE SAVEPOINT trial")
        except driver.OperationalError:
            raise
        except driver.Error as error:
            execute(connection, "ROLLBACK TO SAVEPOINT trial")
            primary = error.diag.message_primary or str(error)
            hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
            refused[number] = Answer(refusal=f"{primary}{hint}", code=error.pgcode or "")
    return refused


def enclosed(expression: str) -> str:
    """Return an expression between parentheses; a line break ends a comment that it may carry."""
    return f"({expression}\n)" if "--" in expression else f"({expression})"


def path_of(schema: str, search_path: Sequence[str]) -> str:
    """Return the search path in which a declaration is read, here and when it is carried out: pg_temp comes last."""
    return ", ".join([*(quote(name) for name in dict.fromkeys([schema, *search_path])), "pg_temp"])


def trial_name(number: int) -> str:
    """Return the name that a trial's object has."""
    return f"pgstead_{number}"


def copy_of(table: QualifiedName) -> str:
    """Return the copy's name as SQL."""
    return f"pg_temp.{quote(table.name)}"
