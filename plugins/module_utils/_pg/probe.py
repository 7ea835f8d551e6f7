# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Probe row security by behaviour, as the application's role and in transactions that are rolled back.

A rollback does not take back sequence numbers, nor what a trigger did outside the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from .._core.names import quote
from .._core.probe import FAILED, NOT_RUN, Check, Subject, expected
from .._core.row_security_spec import Context
from .connection import driver, execute, rows

_TENANTS = "SELECT {column}::text FROM {table} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2"
_INSERTABLE = """
SELECT a.attname FROM pg_catalog.pg_attribute a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
ORDER BY a.attnum
"""
_RIGHTS = """
SELECT pg_catalog.has_table_privilege(%s, %s::regclass, p) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
"""
# views (of any depth) that show a table, and whether they show its owner column
_VIEWS = """
WITH RECURSIVE shown(oid) AS (
    SELECT %s::regclass::oid
    UNION
    SELECT r.ev_class FROM shown s
    JOIN pg_catalog.pg_depend d ON d.refobjid = s.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
                               AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid)
SELECT n.nspname, c.relname, c.relkind::text,
       EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = %s AND NOT a.attisdropped)
FROM shown JOIN pg_catalog.pg_class c ON c.oid = shown.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND pg_catalog.has_table_privilege(%s, c.oid, 'SELECT')
  AND pg_catalog.has_schema_privilege(%s, n.oid, 'USAGE')
ORDER BY 1, 2
"""

REFUSED = "refused by row security"


@dataclass(frozen=True)
class Tenant:
    """One tenant, how many rows are its own, and how many are not."""

    name: str
    rows: int
    others: int


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


class Prober:
    """Asks as the application's role; `connection` belongs to somebody whom row security does not hold."""

    def __init__(self, connection: Any, role: str, context: Context) -> None:
        self.connection, self.role, self.context = connection, role, context
        # a superuser can keep triggers out of it: what they do elsewhere would not be rolled back
        ((superuser,),) = rows(connection, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
        self.quiet = ("SET LOCAL session_replication_role = replica",) if superuser else ()

    def table(self, subject: Subject) -> list[Check]:
        """Return the checks of one table and the views that show it."""
        name = str(subject.table)
        try:
            one, other, total = self._truth(subject)
        except (driver.Error, LookupError) as error:
            return [Check("direct", name, "two tenants", NOT_RUN, " ".join(str(error).split()))]
        rights = [held for (held,) in rows(self.connection, _RIGHTS, (self.role, subject.table.sql))]
        may = dict(zip(("SELECT", "INSERT", "UPDATE", "DELETE"), rights, strict=True))
        if not any(may.values()):
            return [Check("direct", name, "any right", NOT_RUN, f"role {self.role} has no right on the table")]
        checks: list[Check] = []
        for mine, foreign in ((one, other), (other, one)):
            if may["SELECT"]:
                checks += self._reading(subject, mine)
            checks += self._writing(subject, mine, foreign, may)
        if may["SELECT"]:
            checks += self._nobody(name, f"SELECT count(*) FROM {subject.table.sql}")
            checks.append(self._afterwards(subject, one))
            if subject.admin_role:
                checks.append(self._administrator(subject, one, total))
        return checks + self._views(subject, one, other)

    def _truth(self, subject: Subject) -> tuple[Tenant, Tenant, int]:
        """Count the rows of two tenants, seeing everything; LookupError where there are not two."""
        column, table = quote(subject.owner_column), subject.table.sql
        with rolled_back(self.connection, "SET LOCAL row_security = off"):
            names = subject.tenants or tuple(
                name for (name,) in rows(self.connection, _TENANTS.format(column=column, table=table))
            )
            if len(names) < 2:
                raise LookupError(f"{len(names)} tenants have rows: it takes two to see that they are apart")
            ((total,),) = rows(self.connection, f"SELECT count(*) FROM {table}")
            count = f"SELECT count(*) FROM {table} WHERE {column}::text = %s"
            own = [(name, rows(self.connection, count, (name,))[0][0]) for name in names]
            found = [Tenant(name, number, total - number) for name, number in own]
            empty = [tenant.name for tenant in found if not tenant.rows]
            if empty:
                raise LookupError(f"tenant {empty[0]} has no rows: nothing would be seen either way")
        return found[0], found[1], total

    @contextmanager
    def _as(self, tenant: str | None, role: str = "") -> Iterator[None]:
        """Be the application with a user's context, or without one (None)."""
        with rolled_back(self.connection, *self.quiet, f"SET LOCAL ROLE {quote(self.role)}"):
            if tenant is not None:
                rows(self.connection, f"SELECT {self.context.function.sql}(%s, %s)", (tenant, role))
            yield

    def _ask(self, name: str, question: str, wanted: object, ask: Callable[[], object]) -> Check:
        """Return what came of a question; an error of the server is no answer."""
        execute(self.connection, "SAVEPOINT question")
        try:
            answer = ask()
        except driver.Error as error:
            execute(self.connection, "ROLLBACK TO SAVEPOINT question")
            if error.pgcode != "42501" or "row-level security" not in str(error):
                return Check("direct", name, question, NOT_RUN, " ".join(str(error).split()))
            answer = REFUSED
        execute(self.connection, "ROLLBACK TO SAVEPOINT question")
        return expected("direct", name, question, answer, wanted)

    def _value(self, sql: str, parameters: tuple[Any, ...] = ()) -> object:
        return rows(self.connection, sql, parameters)[0][0]

    def _touched(self, sql: str, *parameters: str) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return int(cursor.rowcount)

    def _reading(self, subject: Subject, mine: Tenant) -> list[Check]:
        table, column, name = subject.table.sql, quote(subject.owner_column), str(subject.table)
        with self._as(mine.name):
            own = f"SELECT count(*) FROM {table} WHERE {column}::text = %s"
            foreign = f"SELECT count(*) FROM {table} WHERE {column}::text IS DISTINCT FROM %s"
            return [
                self._ask(name, f"tenant {mine.name} sees its rows", mine.rows, lambda: self._value(own, (mine.name,))),
                self._ask(name, f"tenant {mine.name} sees foreign rows", 0, lambda: self._value(foreign, (mine.name,))),
            ]

    def _writing(self, subject: Subject, mine: Tenant, foreign: Tenant, may: dict[str, bool]) -> list[Check]:
        """Statements that read nothing, for one that reads is held by the policies for reading as well."""
        table, column, name = subject.table.sql, quote(subject.owner_column), str(subject.table)
        who, checks = f"tenant {mine.name}", []
        with self._as(mine.name):
            if may["UPDATE"]:
                update = f"UPDATE {table} SET {column} = %s"
                ask = partial(self._others_lost, subject, mine, update, mine.name)
                checks.append(self._ask(name, f"foreign rows that {who} updates", 0, ask))
                question = f"{who} gives its rows to {foreign.name}"
                checks.append(self._ask(name, question, REFUSED, partial(self._touched, update, foreign.name)))
            if may["INSERT"]:
                checks.append(self._inserting(subject, mine, foreign))
            if may["DELETE"]:
                ask = partial(self._others_lost, subject, mine, f"DELETE FROM {table}")
                checks.append(self._ask(name, f"foreign rows that {who} deletes", 0, ask))
        return checks

    def _others_lost(self, subject: Subject, mine: Tenant, sql: str, *parameters: str) -> int:
        """Return how many rows of others a statement took; counted by somebody who sees all of them."""
        self._touched(sql, *parameters)
        execute(self.connection, "SET LOCAL ROLE NONE; SET LOCAL row_security = off")
        count = (
            f"SELECT count(*) FROM {subject.table.sql} WHERE {quote(subject.owner_column)}::text IS DISTINCT FROM %s"
        )
        return mine.others - int(rows(self.connection, count, (mine.name,))[0][0])

    def _inserting(self, subject: Subject, mine: Tenant, foreign: Tenant) -> Check:
        """A copy of an own row, given to somebody else: refused before any constraint is looked at."""
        table, column = subject.table.sql, quote(subject.owner_column)
        names = [quote(name) for (name,) in rows(self.connection, _INSERTABLE, (table,))]
        values = ["%s" if name == column else name for name in names]
        copy = (
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {table} "
            f"WHERE {column}::text = %s LIMIT 1"
        )
        return self._ask(
            str(subject.table),
            f"tenant {mine.name} inserts a row of {foreign.name}",
            REFUSED,
            partial(self._touched, copy, foreign.name, mine.name),
        )

    def _nobody(self, name: str, count: str) -> list[Check]:
        """Nothing is seen without a context, with an empty one (what an unset setting is after its first use), nor after
        a transaction that had one.
        """
        checks = []
        for tenant, words in ((None, "without a context"), ("", "with an empty context")):
            with self._as(tenant):
                checks.append(self._ask(name, f"rows seen {words}", 0, partial(self._value, count)))
        return checks

    def _afterwards(self, subject: Subject, tenant: Tenant) -> Check:
        settings = [setting for setting in (self.context.user, self.context.role) if setting]
        try:
            execute(self.connection, "BEGIN")
            rows(self.connection, f"SELECT {self.context.function.sql}(%s, NULL)", (tenant.name,))
            execute(self.connection, "COMMIT")
            with self._as(None):
                count = partial(self._value, f"SELECT count(*) FROM {subject.table.sql}")
                return self._ask(str(subject.table), "rows seen after a transaction with a context", 0, count)
        finally:
            for setting in settings:
                rows(self.connection, "SELECT pg_catalog.set_config(%s, '', false)", (setting,))

    def _administrator(self, subject: Subject, tenant: Tenant, total: int) -> Check:
        with self._as(tenant.name, subject.admin_role):
            count = f"SELECT count(*) FROM {subject.table.sql}"
            question = f"rows seen as {subject.admin_role}"
            return self._ask(str(subject.table), question, total, lambda: self._value(count))

    def _views(self, subject: Subject, one: Tenant, other: Tenant) -> list[Check]:
        """A view shows what its owner may see, unless it is a security_invoker one."""
        checks: list[Check] = []
        found = rows(self.connection, _VIEWS, (subject.table.sql, subject.owner_column, self.role, self.role))
        for schema, view, kind, shows_owner in found:
            name, sql = f"{schema}.{view}", f"{quote(schema)}.{quote(view)}"
            if kind == "m":
                detail = "a materialised view has no row security: take the application's right to it away"
                checks.append(Check("direct", name, "rows of a materialised view", FAILED, detail))
                continue
            checks += self._nobody(name, f"SELECT count(*) FROM {sql}")
            for tenant in (one, other) if shows_owner else ():
                foreign = f"SELECT count(*) FROM {sql} WHERE {quote(subject.owner_column)}::text IS DISTINCT FROM %s"
                ask = partial(self._value, foreign, (tenant.name,))
                with self._as(tenant.name):
                    checks.append(self._ask(name, f"tenant {tenant.name} sees foreign rows", 0, ask))
        return checks
