# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a probe of row security asks: as the application's role, in transactions that are rolled back.

A rollback does not take back sequence numbers, nor what a trigger did outside the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._core.names import quote
from .._core.probe import NOT_RUN, Check, expected
from .._core.row_security_spec import Context
from .connection import driver, execute, rows

REFUSED = "refused by row security"
Sample = tuple[str | None, ...]  # the texts of one row's columns


@dataclass(frozen=True)
class Tenant:
    """One tenant, how many rows are its own, and how many are not; `samples` are some of its own, to be written again."""

    name: str
    rows: int
    others: int
    samples: tuple[Sample, ...] = ()


@contextmanager
def rolled_back(connection: Any, *settings: str) -> Iterator[None]:
    """Do something in a transaction that leaves nothing behind."""
    execute(connection, "BEGIN; SET LOCAL lock_timeout = '2s'")
    try:
        for setting in settings:
            execute(connection, setting)
        yield
    finally:
        if not connection.closed:
            execute(connection, "ROLLBACK")


class Session:
    """Asks as the application's role; `connection` belongs to somebody whom row security does not hold."""

    def __init__(self, connection: Any, role: str, context: Context) -> None:
        self.connection, self.role, self.context = connection, role, context
        # a superuser can keep triggers out of it: what they do elsewhere would not be rolled back
        ((superuser,),) = rows(connection, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
        self.quiet = ("SET LOCAL session_replication_role = replica",) if superuser else ()

    @contextmanager
    def being(self, tenant: str | None, role: str = "") -> Iterator[None]:
        """Be the application with a user's context, or without one (None)."""
        with rolled_back(self.connection, *self.quiet, f"SET LOCAL ROLE {quote(self.role)}"):
            if tenant is not None:
                rows(self.connection, f"SELECT {self.context.function.sql}(%s, %s)", (tenant, role))
            yield

    def ask(self, name: str, question: str, wanted: object, ask: Callable[[], object]) -> Check:
        """Return what came of a question; an error of the server is no answer."""
        answer = self.attempt(ask)
        if isinstance(answer, driver.Error):
            return Check("direct", name, question, NOT_RUN, " ".join(str(answer).split()))
        return expected("direct", name, question, answer, wanted)

    def attempt(self, ask: Callable[[], object]) -> object:
        """Return what a question came to, REFUSED, or another error of the server; nothing of it is left."""
        execute(self.connection, "SAVEPOINT question")
        try:
            answer = ask()
        except driver.Error as error:
            refused = error.pgcode == "42501" and "row-level security" in str(error)
            answer = REFUSED if refused else error
        execute(self.connection, "ROLLBACK TO SAVEPOINT question")
        return answer

    def value(self, sql: str, parameters: tuple[Any, ...] = ()) -> object:
        """Return the one value of a query."""
        return rows(self.connection, sql, parameters)[0][0]

    def touched(self, sql: str, *parameters: str | None) -> int:
        """Run a statement and return how many rows it touched."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return int(cursor.rowcount)
