# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit trail: tables that lost their triggers, and a log that runs out of partitions."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from .lint_security_values import ROW_TRIGGER, TRUNCATE_TRIGGER, AuditPartition
from .lint_values import Fix, Found, Observed, Rules, path
from .names import QualifiedName

HORIZON = datetime.timedelta(days=31)
_AGAIN = "a person has to apply the database's audit again (playbook schema), and find out"


def audit_trigger_missing(observed: Observed, _rules: Rules) -> Iterator[Found]:
    own: dict[QualifiedName, set[str]] = {table: set() for table in observed.audit.noted if _auditable(table, observed)}
    for trigger in observed.audit.triggers:
        if not trigger.inherited and trigger.name in (ROW_TRIGGER, TRUNCATE_TRIGGER):
            own.setdefault(trigger.table, set()).add(trigger.name)
    for table, names in sorted(own.items()):
        for name, lost in ((ROW_TRIGGER, "changes of rows"), (TRUNCATE_TRIGGER, "a TRUNCATE")):
            if name not in names:
                detail = (
                    f"the table is audited, and {lost} leave no trace: its trigger is gone; {_AGAIN} who dropped it"
                )
                yield Found(path(table, name), detail)


def _auditable(table: QualifiedName, observed: Observed) -> bool:
    """Whether a noted name is a table, and not a log itself."""
    return table in observed.tables and observed.root(table) not in observed.audit.logs


def notes_unread(observed: Observed, _rules: Rules) -> str:
    if not observed.audit.notes_unread:
        return ""
    return (
        "this role may not read which tables were audited, so one that lost both triggers is not seen: GRANT USAGE ON SCHEMA "
        "pgstead and GRANT SELECT ON pgstead.made to it"
    )


def audit_trigger_disabled(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for trigger in sorted(observed.audit.triggers, key=lambda trigger: (trigger.table, trigger.name)):
        if trigger.enabled == "A":
            continue
        off = trigger.enabled == "D"
        detail = (
            "is disabled: what happens to the table leaves no trace"
            if off
            else "is not ENABLE ALWAYS: what happens with another session_replication_role leaves no trace"
        )
        fix = Fix("enable_trigger", trigger.table, trigger.name)
        yield Found(path(trigger.table, trigger.name), detail, (fix,), level="error" if off else "warning")


def audit_partition_horizon(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for log, partitions in sorted(observed.audit.logs.items()):
        until = covered_until(observed.today, partitions)
        if until is None or until - observed.today >= HORIZON:
            continue
        now = until == observed.today
        when = "today" if now else f"from {until} on"
        detail = (
            f"{when} no partition is there for its rows: they go into the DEFAULT partition, or the application's writes fail "
            f"where there is none; {_AGAIN} why the job that makes partitions does not run"
        )
        yield Found(path(log), detail, level="error" if now else "warning")


def covered_until(today: datetime.date, partitions: Sequence[AuditPartition]) -> datetime.date | None:
    """Return the first day without a partition of its own, or None where there is no such day."""
    reached = today
    for part in sorted(partitions, key=lambda part: part.lower or datetime.date.min):
        if part.default or (part.lower or datetime.date.min) > reached:
            continue
        if part.upper is None:
            return None
        reached = max(reached, part.upper)
    return reached


def audit_rows_in_default_partition(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for log, partitions in sorted(observed.audit.logs.items()):
        for part in partitions:
            # nobody may read the rows, but a file that is not empty had some
            if part.default and part.bytes:
                detail = (
                    f"rows are, or were, in the DEFAULT partition of {log}: they stand in the way of the partition that they "
                    "belong into, and do not go with their month. A person has to move them, and vacuum it after"
                )
                yield Found(path(part.name), detail, bytes=part.bytes)
