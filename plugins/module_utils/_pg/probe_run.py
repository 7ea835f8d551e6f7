# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One probe of row security from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from .._core.errors import NotIsolated, Problem, SpecError
from .._core.names import quote
from .._core.probe import Check, Subject, bad, summary, table, unproven
from .._core.relation import table_problem
from .._core.row_security_spec import Context
from .connection import Target, connect, execute, rows
from .engine import spoken
from .probe import Prober
from .probe_pool import CLIENTS, at_random, pooled, tenants_of
from .probe_rights import read_rights
from .probe_structure import structure
from .row_security import missing_roles, read_types
from .tables import read_tables


@dataclass(frozen=True)
class Order:
    """What is to be proven, and where."""

    server: Target
    pooler: Target | None
    role: str
    context: Context
    subjects: tuple[Subject, ...]
    probes: int = 0
    seed: int = 1
    trusted_functions: tuple[str, ...] = ()


def probe(order: Order) -> dict[str, Any]:
    """Return the checks and what they come to. Raises NotIsolated with the same data when anything is not proven."""
    with spoken(order.server), connect(order.server) as connection:
        execute(connection, "SET search_path = ''; SET statement_timeout = '5min'")
        _refuse_the_impossible(connection, order)
        checks = structure(connection, order.role, order.subjects, order.trusted_functions)
        prober = Prober(connection, order.role, order.context)
        for subject in order.subjects:
            checks += prober.table(subject)
        rights = {subject: read_rights(connection, order.role, subject) for subject in order.subjects}
        asked = [subject for subject in order.subjects if rights[subject].owner.select]
        tenants = tenants_of(connection, asked)
        if order.pooler:
            checks += pooled(order.pooler, asked, tenants, order.context)
        random_checks, seconds = _random(order, tenants)
        checks += random_checks
    checks += unproven(order.subjects, checks, pooled=False)
    # a table of which nothing can be read has been asked about directly, and only so
    read = [subject for subject in order.subjects if rights[subject].reads]
    checks += unproven(read, checks, pooled=order.pooler is not None)
    message = summary(checks, order.probes)
    data = {
        "checks": [asdict(check) for check in checks],
        "table": table(checks),
        "probes_per_second": round(order.probes / seconds, 1) if seconds and order.probes else 0.0,
        "msg": message,
    }
    if bad(checks):
        raise NotIsolated(f"{message}\n{table(bad(checks))}", {k: v for k, v in data.items() if k != "msg"})
    return data


def _refuse_the_impossible(connection: Any, order: Order) -> None:
    tables = read_tables(connection)
    columns = read_types(connection, [subject.table for subject in order.subjects])
    problems = []
    for subject in order.subjects:
        where = f"{subject.position} ({subject.table})"
        missing = table_problem(where, subject.table, tables, "rp")
        if missing:
            problems.append(missing)
        elif (subject.table, subject.owner_column) not in columns:
            problems.append(Problem(where, f"{subject.table} has no column {subject.owner_column}"))
    problems += [
        Problem("application_role", f"role {name} does not exist") for name in missing_roles(connection, [order.role])
    ]
    if problems:
        raise SpecError(problems)


def _random(order: Order, tenants: dict[Subject, list[str]]) -> tuple[Sequence[Check], float]:
    """Ask at random, half directly as the application's role and half through the pooler where there is one."""
    if not order.probes:
        return (), 0.0
    with ExitStack() as stack:
        direct = [stack.enter_context(connect(order.server)) for _ in range(CLIENTS)]
        for client in direct:
            execute(client, f"SET ROLE {quote(order.role)}")
            rows(client, "SELECT pg_catalog.set_config('search_path', '', false)")
        ways: list[tuple[str, Sequence[Any]]] = [("direct", direct)]
        if order.pooler:
            ways.append(("pooled", [stack.enter_context(connect(order.pooler)) for _ in range(CLIENTS)]))
        return at_random(ways, tenants, order.context, order.probes, order.seed)
