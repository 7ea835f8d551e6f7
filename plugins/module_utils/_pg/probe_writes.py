# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether one tenant can change, take or make rows of another.

By statements that read nothing, for one that reads is held by the policies for reading as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from .._core.names import quote
from .._core.probe import FAILED, NOT_RUN, PASSED, Check, Subject
from .connection import driver, execute, rows
from .probe_rights import Rights, bound, insertion
from .probe_session import REFUSED, Sample, Session, Tenant, rolled_back

# what this transaction has written: it holds a lock on its own number, and on those of its savepoints
_WRITTEN = """
SELECT count(*) FROM {table}
WHERE {owner}::text IS DISTINCT FROM %s AND xmin = ANY (ARRAY(
    SELECT transactionid FROM pg_catalog.pg_locks
    WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND pid = pg_catalog.pg_backend_pid()))
"""


def writing(session: Session, subject: Subject, rights: Rights, mine: Tenant, foreign: Tenant) -> list[Check]:
    """Return the checks of every command that the application may use."""
    table, name, who = subject.table.sql, str(subject.table), f"tenant {mine.name}"
    checks = []
    with session.being(mine.name):
        if rights.gives:
            update = f"UPDATE {bound(table)} SET {bound(quote(subject.owner_column))} = %s"
            lost = partial(_others_lost, session, subject, mine, update, mine.name)
            checks.append(session.ask(name, f"foreign rows that {who} updates", 0, lost))
            question = f"{who} gives its rows to {foreign.name}"
            checks.append(session.ask(name, question, REFUSED, partial(_given, session, update, foreign.name)))
        if rights.delete:
            lost = partial(_others_lost, session, subject, mine, f"DELETE FROM {table}")
            checks.append(session.ask(name, f"foreign rows that {who} deletes", 0, lost))
    if rights.changed and not rights.gives:
        checks.append(_changing(session, subject, rights, mine))
    if rights.chooses:
        checks.append(_inserting(session, subject, rights, mine, foreign))
    return checks


def without_context(session: Session, subject: Subject, rights: Rights, samples: Iterable[Sample]) -> list[Check]:
    """Return the checks that nobody in particular writes nothing."""
    table, name = bound(subject.table.sql), str(subject.table)
    changed = (*rights.changed, *((subject.owner_column,) if rights.gives else ()))
    commands = [("deletes", f"DELETE FROM {table}")] if rights.delete else []
    commands += [("updates", f"UPDATE {table} SET {bound(quote(changed[0]))} = NULL")] if changed else []
    checks = []
    for tenant, words in ((None, "without a context"), ("", "with an empty context")):
        with session.being(tenant):
            for verb, sql in commands:
                checks.append(session.ask(name, f"rows that somebody {verb} {words}", 0, partial(session.touched, sql)))
            if rights.chooses:
                checks.append(_nobody_inserts(session, subject, rights, samples, words))
    return checks


def _nobody_inserts(session: Session, subject: Subject, rights: Rights, samples: Iterable[Sample], words: str) -> Check:
    """Copies of rows that are there: a constraint that refuses one was looked at after row security had let it through."""
    insert = insertion(subject, rights)
    answers = [session.attempt(partial(session.touched, insert, *sample)) for sample in samples]
    through = next((answer for answer in answers if answer != REFUSED), REFUSED)
    name, question = str(subject.table), f"somebody inserts a row {words}"
    if isinstance(through, driver.Error) and not _constraint(through):
        return Check("direct", name, question, NOT_RUN, " ".join(str(through).split()))
    status = PASSED if through == REFUSED else FAILED
    return Check("direct", name, question, status, REFUSED if status == PASSED else "row security lets it through")


def _others_lost(session: Session, subject: Subject, mine: Tenant, sql: str, *parameters: str) -> int:
    """Return how many rows of others a statement took; counted by somebody who sees all of them."""
    session.touched(sql, *parameters)
    execute(session.connection, "SET LOCAL ROLE NONE; SET LOCAL row_security = off")
    column = bound(quote(subject.owner_column))
    count = f"SELECT count(*) FROM {bound(subject.table.sql)} WHERE {column}::text IS DISTINCT FROM %s"
    return mine.others - int(rows(session.connection, count, (mine.name,))[0][0])


def _given(session: Session, update: str, owner: str) -> object:
    """Return how many rows got another owner; none is as good as refused: no policy lets the tenant change any."""
    return session.touched(update, owner) or REFUSED


def _changing(session: Session, subject: Subject, rights: Rights, mine: Tenant) -> Check:
    """Rows that are changed beyond the tenant's own, where whose they are cannot be changed: by any column that lets us."""
    name, question = str(subject.table), f"foreign rows that tenant {mine.name} changes"
    table, owner = bound(subject.table.sql), bound(quote(subject.owner_column))
    check = Check("direct", name, question, NOT_RUN, "no column could be changed")
    for each in rights.changed:
        column = bound(quote(each))
        with rolled_back(session.connection, "SET LOCAL row_security = off"):
            sample = f"SELECT {column}::text FROM {table} WHERE {owner}::text = %s LIMIT 1"
            ((value,),) = rows(session.connection, sample, (mine.name,))

        def beyond(update: str = f"UPDATE {table} SET {column} = %s", value: str | None = value) -> int:
            session.touched(update, value)
            execute(session.connection, "SET LOCAL ROLE NONE; SET LOCAL row_security = off")
            return int(rows(session.connection, _WRITTEN.format(table=table, owner=owner), (mine.name,))[0][0])

        with session.being(mine.name):
            check = session.ask(name, question, 0, beyond)
        if check.status != NOT_RUN:  # a value that may stand only once could not be set everywhere
            break
    return check


def _inserting(session: Session, subject: Subject, rights: Rights, mine: Tenant, foreign: Tenant) -> Check:
    """A copy of an own row, given to somebody else: refused before any constraint is looked at.

    The same copy for the tenant itself must not be refused, or another rule refused both and nothing is proven.
    """
    name, question = str(subject.table), f"tenant {mine.name} inserts a row of {foreign.name}"
    own = rights.written.index(subject.owner_column)
    insert = insertion(subject, rights)

    def copy(sample: tuple[str | None, ...], owner: str) -> object:
        return session.attempt(partial(session.touched, insert, *sample[:own], owner, *sample[own + 1 :]))

    with session.being(mine.name):
        answers = [copy(sample, foreign.name) for sample in mine.samples]
        written = next((answer for answer in answers if answer != REFUSED), None)
        if isinstance(written, driver.Error) and not _constraint(written):
            return Check("direct", name, question, NOT_RUN, " ".join(str(written).split()))
        if written is not None:
            return Check("direct", name, question, FAILED, "row security lets it through, and must refuse it")
        allowed = any(copy(sample, mine.name) != REFUSED for sample in mine.samples)
    if allowed or not rights.inserts:
        return Check("direct", name, question, PASSED, REFUSED)
    if subject.admin_role:
        with session.being(mine.name, subject.admin_role):
            if any(copy(sample, mine.name) != REFUSED for sample in mine.samples):
                return Check("direct", name, question, PASSED, f"{REFUSED}; only {subject.admin_role} inserts")
    detail = "copies of the tenant's own rows are refused as well: another rule refuses both, and nothing is proven"
    return Check("direct", name, question, NOT_RUN, detail)


def _constraint(error: object) -> bool:
    """Say whether row security had let a row through before this error: constraints are looked at after it."""
    return str(getattr(error, "pgcode", "")).startswith("23")
