# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the audit log's months: make those ahead, drop those that are older than anybody wants to keep.

A scheduled job calls `maintain`. It gives way to writers: a lock that is not had at once is asked for again later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from .._core.audit_log import Home, Log, drop_change, partition_change
from .._core.audit_partition import PartitionRule, Range, add_months, expired, leap, plan_partitions
from .._core.audit_spec import Audit
from .._core.errors import LockNotAcquired, PermissionDenied, StatementFailed, ViolatingRows
from .._core.names import QualifiedName
from .._core.plan import Change
from . import ledger
from .audit import midnight, render
from .audit_read import read_home
from .canonical import path_of
from .connection import Target, execute, rows
from .engine import spoken
from .execute import USUAL_LIMITS, Executor, Limits
from .session import one_run_at_a_time, onlooker, session
from .watch import Watcher

# Below PostgreSQL's deadlock_timeout (1 s): where a writer and this job wait for each other, this job gives up first.
MOST_LOCK_TIMEOUT_MS = 500
PROCEDURE = "docs/audit.md, Draining the DEFAULT partition"


@dataclass(frozen=True)
class PartitionReport:
    """What a run did: names of partitions, and in sentences what could not be done and why."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    waiting: bool = False  # there is no audit log in this database yet
    default_rows: int = 0  # rows in the DEFAULT partition: any of them is a finding
    blocked: tuple[str, ...] = ()


def maintain(
    target: Target,
    rule: PartitionRule,
    role: str = "",
    limits: Limits = USUAL_LIMITS,
    pause: Callable[[float], None] = time.sleep,
) -> PartitionReport:
    """Make the months ahead and drop the expired ones. Raises PgsteadError where nothing could be done at all."""
    limits = replace(limits, lock_timeout_ms=min(limits.lock_timeout_ms, MOST_LOCK_TIMEOUT_MS))
    with spoken(target), session(target, role) as connection:
        execute(connection, f"SET lock_timeout = '{limits.patience_ms}ms'")
        if not _ours(read_home(connection, _declared(rule))):
            return PartitionReport(waiting=True)
        with one_run_at_a_time(connection, limits.run_wait_seconds), onlooker(target) as eyes:
            watcher = Watcher(eyes, connection.get_backend_pid(), lambda _line: None)
            return _maintained(connection, Executor(connection, watcher, limits, pause), rule)


def _declared(rule: PartitionRule) -> Audit:
    return Audit(schema=rule.schema, ahead=rule.ahead, table=rule.table)


def _ours(home: Home) -> Log | None:
    """Return the log, unless an application has a table of that name."""
    return home.log if home.log and home.log.ours else None


def _maintained(connection: Any, executor: Executor, rule: PartitionRule) -> PartitionReport:
    home = read_home(connection, _declared(rule))
    log = _ours(home)
    if log is None:
        return PartitionReport(waiting=True)
    ledger.prepare(connection)
    create, drop = plan_partitions(home.today, log.months, rule)
    name = QualifiedName(rule.schema, rule.table)
    spans: dict[str, Range] = {month: (first, end) for month, first, end in create}
    held = rows_in_default(connection, log.default, spans) if log.default else {}
    blocked = [in_the_way(name, month, count) for month, count in held.items()]
    blocked += _left_alone(log, home, rule)
    made = {part.name.name for part in log.partitions if part.ours}
    old = [month for month in drop if month in made]
    doubted, why = _doubted(connection, home.today, name, old, rule)
    blocked += [why] if why else []
    steps = [partition_change(name, month, span, home) for month, span in spans.items() if month not in held]
    if log.default is None:
        steps.append(partition_change(name, f"{name.name}_default", None, home))
    steps += [drop_change(name, month) for month in old if month not in doubted]
    blocked += [fault for step in steps if (fault := _refused(executor, step))]
    done = [(one.change.action, one.change.name) for one in executor.done]
    return PartitionReport(
        created=tuple(month for action, month in done if action == "partition"),
        dropped=tuple(month for action, month in done if action == "drop_partition"),
        default_rows=_all_rows(connection, log.default) if log.default else 0,
        blocked=tuple(blocked),
    )


def _doubted(
    connection: Any, today: date, log: QualifiedName, drop: Sequence[str], rule: PartitionRule
) -> tuple[Sequence[str], str]:
    """Return the months that must not go, and why, where only the clock says that they are old."""
    filled = [month for month in drop if _any(connection, f"SELECT FROM {QualifiedName(log.schema, month).sql}")]
    first, end = (midnight(add_months(today, -offset)) for offset in (rule.retention_months or 0, 0))
    if not filled or _any(connection, f"SELECT FROM {log.sql} WHERE at >= {first} AND at < {end}"):
        return (), ""
    return filled, leap(today, filled, str(log))


def _any(connection: Any, query: str) -> bool:
    ((found,),) = rows(connection, f"SELECT EXISTS ({query})")
    return bool(found)


def _left_alone(log: Log, home: Home, rule: PartitionRule) -> Iterator[str]:
    """Name what is not dropped although it may be old: what a person made is for a person to drop."""
    if rule.retention_months is None:
        return
    old = expired(home.today, log.months, rule)
    _create, drop = plan_partitions(home.today, log.months, rule)
    for part in log.partitions:
        name = part.name.name
        if name in old and name not in drop:
            yield f"partition {part.name} is expired, and not dropped: it is not made of whole months"
        elif name in drop and not part.ours:
            yield f"partition {part.name} is expired, and not dropped: it was not made by this collection"
        elif part.span is None and not part.default:
            yield f"partition {part.name} is never dropped: it does not begin and end with a day in UTC"


def _refused(executor: Executor, change: Change) -> str:
    """Carry one step out, or say why it could not be; the others are tried all the same."""
    try:
        executor.carry_out(change, render(change), path_of(change.table.schema, ()))
    except ViolatingRows:
        return in_the_way(change.table, change.name, 1)
    except (LockNotAcquired, PermissionDenied, StatementFailed) as error:
        return f"{change.name}: {error}"
    return ""


def in_the_way(log: QualifiedName, month: str, count: int) -> str:
    """Say that rows in the DEFAULT partition keep a month from being made."""
    rows_lie = "rows that belong into it lie" if count > 1 else "a row that belongs into it lies"
    return f"partition {month} of {log} cannot be made: {rows_lie} in the DEFAULT partition. Drain it: {PROCEDURE}"


def rows_in_default(connection: Any, default: QualifiedName, spans: Mapping[str, Range]) -> dict[str, int]:
    """Return how many rows of the DEFAULT partition belong into each of these months, where there are any."""
    found = {}
    for name, span in spans.items():
        first, end = (midnight(day) for day in span)
        ((count,),) = rows(connection, f"SELECT count(*) FROM {default.sql} WHERE at >= {first} AND at < {end}")
        found[name] = count
    return {name: count for name, count in found.items() if count}


def _all_rows(connection: Any, table: QualifiedName) -> int:
    ((count,),) = rows(connection, f"SELECT count(*) FROM {table.sql}")
    return int(count)
