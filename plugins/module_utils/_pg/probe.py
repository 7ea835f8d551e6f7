# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Probe row security by behaviour: what each of two tenants sees and writes, in tables and through views."""

from __future__ import annotations

from functools import partial
from typing import Any

from .._core.names import quote
from .._core.probe import FAILED, NOT_RUN, PASSED, Check, Subject
from .._core.row_security_spec import Context
from .connection import driver, execute, rows
from .probe_reach import Shown, views
from .probe_rights import Rights, bound, read_rights
from .probe_session import Session, Tenant, rolled_back
from .probe_writes import without_context, writing

SAMPLES = 20
_TENANTS = "SELECT {column}::text FROM {table} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2"


class Prober:
    """Asks as the application's role; `connection` belongs to somebody whom row security does not hold."""

    def __init__(self, connection: Any, role: str, context: Context) -> None:
        self.connection, self.role, self.context = connection, role, context
        self.session = Session(connection, role, context)

    def table(self, subject: Subject) -> list[Check]:
        """Return the checks of one table and the views that show it."""
        name = str(subject.table)
        rights = read_rights(self.connection, self.role, subject)
        try:
            one, other, total = self._truth(subject, rights)
        except (driver.Error, LookupError) as error:
            return [Check("direct", name, "two tenants", NOT_RUN, " ".join(str(error).split()))]
        shown = views(self.connection, self.role, subject)
        if not (rights.any or shown):
            return [Check("direct", name, "any right", NOT_RUN, f"role {self.role} has no right on the table")]
        checks: list[Check] = []
        for mine, foreign in ((one, other), (other, one)):
            if rights.reads:
                checks += self._reading(subject, rights, mine)
            checks += writing(self.session, subject, rights, mine, foreign)
        checks += without_context(self.session, subject, rights, one.samples)
        if rights.reads:
            checks += self._nobody(name, f"SELECT count(*) FROM {subject.table.sql}")
            checks.append(self._afterwards(subject, one))
            if subject.admin_role:
                checks.append(self._administrator(subject, one, total))
        for view in shown:
            checks += self._view(subject, view, (one, other))
        return checks

    def _truth(self, subject: Subject, rights: Rights) -> tuple[Tenant, Tenant, int]:
        """Count the rows of two tenants, seeing everything; LookupError where there are not two."""
        column, table = quote(subject.owner_column), subject.table.sql
        whose = f"FROM {bound(table)} WHERE {bound(column)}::text = %s"
        written = ", ".join(f"{bound(quote(each))}::text" for each in rights.written)
        with rolled_back(self.connection, "SET LOCAL row_security = off"):
            names = subject.tenants or tuple(
                name for (name,) in rows(self.connection, _TENANTS.format(column=column, table=table))
            )
            if len(names) < 2:
                raise LookupError(f"{len(names)} tenants have rows: it takes two to see that they are apart")
            ((total,),) = rows(self.connection, f"SELECT count(*) FROM {table}")
            found = []
            for name in names:
                ((number,),) = rows(self.connection, f"SELECT count(*) {whose}", (name,))
                if not number:
                    raise LookupError(f"tenant {name} has no rows: nothing would be seen either way")
                copies = rows(self.connection, f"SELECT {written} {whose} LIMIT {SAMPLES}", (name,)) if written else []
                found.append(Tenant(name, number, total - number, tuple(copies)))
        return found[0], found[1], total

    def _reading(self, subject: Subject, rights: Rights, mine: Tenant) -> list[Check]:
        name, who = str(subject.table), f"tenant {mine.name}"
        count, column = f"SELECT count(*) FROM {bound(subject.table.sql)}", bound(quote(subject.owner_column))
        value, ask = self.session.value, self.session.ask
        with self.session.being(mine.name):
            if not rights.owner.select:
                everything = partial(value, f"SELECT count(*) FROM {subject.table.sql}")
                checks = [ask(name, f"rows that {who} sees", mine.rows, everything)]
            else:
                own = partial(value, f"{count} WHERE {column}::text = %s", (mine.name,))
                foreign = partial(value, f"{count} WHERE {column}::text IS DISTINCT FROM %s", (mine.name,))
                checks = [
                    ask(name, f"{who} sees its rows", mine.rows, own),
                    ask(name, f"{who} sees foreign rows", 0, foreign),
                ]
        if rights.owner.text:  # a cast to the column's length would make it the shorter name
            longer = f"{mine.name}-{'x' * 64}"
            with self.session.being(longer):
                everything = partial(value, f"SELECT count(*) FROM {subject.table.sql}")
                checks.append(
                    ask(name, f"rows that a tenant sees whose name only begins with {mine.name}", 0, everything)
                )
        return checks

    def _nobody(self, name: str, count: str) -> list[Check]:
        """Nothing is seen without a context, with an empty one (what an unset setting is after its first use), nor after
        a transaction that had one.
        """
        checks = []
        for tenant, words in ((None, "without a context"), ("", "with an empty context")):
            with self.session.being(tenant):
                checks.append(self.session.ask(name, f"rows seen {words}", 0, partial(self.session.value, count)))
        return checks

    def _afterwards(self, subject: Subject, tenant: Tenant) -> Check:
        settings = [setting for setting in (self.context.user, self.context.role) if setting]
        try:
            execute(self.connection, "BEGIN")
            rows(self.connection, f"SELECT {self.context.function.sql}(%s, NULL)", (tenant.name,))
            execute(self.connection, "COMMIT")
            with self.session.being(None):
                count = partial(self.session.value, f"SELECT count(*) FROM {subject.table.sql}")
                return self.session.ask(str(subject.table), "rows seen after a transaction with a context", 0, count)
        finally:
            for setting in settings:
                rows(self.connection, "SELECT pg_catalog.set_config(%s, '', false)", (setting,))

    def _administrator(self, subject: Subject, tenant: Tenant, total: int) -> Check:
        with self.session.being(tenant.name, subject.admin_role):
            count = f"SELECT count(*) FROM {subject.table.sql}"
            question = f"rows seen as {subject.admin_role}"
            return self.session.ask(str(subject.table), question, total, lambda: self.session.value(count))

    def _view(self, subject: Subject, shown: Shown, tenants: tuple[Tenant, Tenant]) -> list[Check]:
        """A view shows what its owner may see, unless it is a security_invoker one."""
        name, sql = str(shown.view), shown.view.sql
        if shown.kind == "m":
            detail = f"a materialised view has no row security: {self.role} must have no right to it, or not even to its schema"
            return [Check("direct", name, "rows of a materialised view", FAILED, detail)]
        checks: list[Check] = []
        if shown.writable:
            detail = (
                f"its owner {shown.owner} is not held as {self.role} is, who may write through it: security_invoker"
            )
            status = FAILED if shown.past else PASSED
            checks.append(Check("direct", name, "writes as the application", status, detail if shown.past else ""))
        if not shown.readable:
            return checks
        checks += self._nobody(name, f"SELECT count(*) FROM {sql}")
        if shown.past and not shown.shows_owner:
            detail = (
                f"it does not show {subject.owner_column}, and its owner {shown.owner} is not held: security_invoker"
            )
            checks.append(Check("direct", name, "whose rows it shows", FAILED, detail))
        for tenant in tenants if shown.shows_owner else ():
            column = bound(quote(subject.owner_column))
            foreign = f"SELECT count(*) FROM {bound(sql)} WHERE {column}::text IS DISTINCT FROM %s"
            ask = partial(self.session.value, foreign, (tenant.name,))
            with self.session.being(tenant.name):
                checks.append(self.session.ask(name, f"tenant {tenant.name} sees foreign rows", 0, ask))
        return checks
