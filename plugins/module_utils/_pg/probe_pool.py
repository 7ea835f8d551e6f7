# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same questions through PgBouncer, from clients that take turns on few server connections; and at random."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from .._core.errors import ConnectionFailed
from .._core.names import quote
from .._core.probe import NOT_RUN, Check, Subject, expected
from .._core.row_security_spec import Context
from .connection import Target, connect, driver, execute, rows
from .probe_rights import bound

CLIENTS = 4
RANDOM_TENANTS = 20

_SOME = "SELECT DISTINCT {column}::text FROM {table} WHERE {column} IS NOT NULL LIMIT {limit}"


def tenants_of(connection: Any, subjects: Sequence[Subject]) -> dict[Subject, list[str]]:
    """Return some tenants of each table, seen by somebody whom row security does not hold."""
    found = {}
    for subject in subjects:
        execute(connection, "BEGIN; SET LOCAL row_security = off")
        try:
            sql = _SOME.format(column=quote(subject.owner_column), table=subject.table.sql, limit=RANDOM_TENANTS)
            found[subject] = [name for (name,) in rows(connection, sql)]
        except driver.Error:
            found[subject] = []  # the direct probe says why
        finally:
            execute(connection, "ROLLBACK")
    return found


def pooled(
    target: Target, subjects: Sequence[Subject], tenants: dict[Subject, list[str]], context: Context
) -> list[Check]:
    """Ask through the pooler, each client between two statements of another."""
    checks: list[Check] = []
    try:
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(target)) for _ in range(CLIENTS)]
            for subject in subjects:
                checks += _interleaved(clients, subject, tenants[subject], context)
    except (ConnectionFailed, driver.Error) as error:
        text = " ".join(str(error).split())
        checks += [
            Check("pooled", str(subject.table), "asked through the pooler", NOT_RUN, text) for subject in subjects
        ]
    return checks


def _interleaved(clients: Sequence[Any], subject: Subject, tenants: Sequence[str], context: Context) -> list[Check]:
    """Two tenants in open transactions, and two clients without any, in turns."""
    name, table = str(subject.table), subject.table.sql
    if len(tenants) < 2:
        return [Check("pooled", name, "two tenants", NOT_RUN, "there are no two tenants with rows")]
    column = bound(quote(subject.owner_column))
    foreign = f"SELECT count(*) FROM {bound(table)} WHERE {column}::text IS DISTINCT FROM %s"
    everything = f"SELECT count(*) FROM {table}"
    one, other, idle, late = clients
    seen = {"foreign rows in one transaction": 0, "foreign rows in the other": 0, "rows without a context": 0}
    for _turn in range(5):
        execute(one, "BEGIN")
        _be(one, context, tenants[0])
        execute(other, "BEGIN")
        _be(other, context, tenants[1])
        seen["rows without a context"] += _count(idle, everything)
        seen["foreign rows in one transaction"] += _count(one, foreign, tenants[0])
        seen["foreign rows in the other"] += _count(other, foreign, tenants[1])
        execute(one, "COMMIT")
        # the server connection that just served a tenant is free for this client
        seen["rows without a context"] += _count(late, everything)
        execute(other, "ROLLBACK")
        seen["rows without a context"] += _count(idle, everything)
    return [expected("pooled", name, question, value, 0) for question, value in seen.items()]


def _be(client: Any, context: Context, tenant: str) -> None:
    rows(client, f"SELECT {context.function.sql}(%s, NULL)", (tenant,))


def _count(client: Any, sql: str, *parameters: str) -> int:
    return int(rows(client, sql, parameters)[0][0])


def at_random(
    ways: Sequence[tuple[str, Sequence[Any]]],
    tenants: dict[Subject, list[str]],
    context: Context,
    probes: int,
    seed: int,
) -> tuple[list[Check], float]:
    """Ask `probes` random questions over the clients of each way; return one check per way and table, and seconds.

    A client of way `direct` must already be the application's role.
    """
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated, not a secret
    choices = [(subject, names) for subject, names in tenants.items() if names]
    leaked: dict[tuple[str, str], list[str]] = {}
    failed: dict[tuple[str, str], str] = {}
    asked: dict[tuple[str, str], int] = {}
    started = time.monotonic()
    for number in range(probes if choices else 0):
        way, clients = ways[number % len(ways)]
        subject, names = chance.choice(choices)
        client, tenant = chance.choice(list(clients)), chance.choice([*names, None])
        key = (way, str(subject.table))
        asked[key] = asked.get(key, 0) + 1
        try:
            if _leaks(client, subject, tenant, context):
                leaked.setdefault(key, []).append(f"probe {number} of seed {seed}, tenant {tenant}")
        except driver.Error as error:
            failed[key] = " ".join(str(error).split())
            execute(client, "ROLLBACK")
    seconds = time.monotonic() - started
    checks = []
    for (way, table), count in sorted(asked.items()):
        question = f"leaks in {count} random probes"
        if (way, table) in failed:
            checks.append(Check(way, table, question, NOT_RUN, failed[way, table]))
        else:
            checks.append(expected(way, table, question, len(leaked.get((way, table), [])), 0))
    return checks, seconds


def _leaks(client: Any, subject: Subject, tenant: str | None, context: Context) -> bool:
    column, table = bound(quote(subject.owner_column)), subject.table.sql
    if tenant is None:
        return bool(rows(client, f"SELECT EXISTS (SELECT FROM {table})")[0][0])
    execute(client, "BEGIN")
    _be(client, context, tenant)
    sql = f"SELECT EXISTS (SELECT FROM {bound(table)} WHERE {column}::text IS DISTINCT FROM %s)"
    found = bool(rows(client, sql, (tenant,))[0][0])
    # committed, so that a context which outlasts its transaction is met by the next probe without one
    execute(client, "COMMIT")
    return found
