# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind audit: the log, its months and functions, and the triggers of the audited tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .._core import audit as core
from .._core import audit_log, index_plan
from .._core import index as indexes
from .._core.audit_spec import Audit
from .._core.errors import ViolatingRows
from .._core.names import QualifiedName
from .._core.plan import Change, Plan, joined
from .._core.relation import Tables
from . import audit as sql
from . import audit_read, ledger
from . import index as index_sql
from .audit_partition import in_the_way, rows_in_default
from .audit_source import COLUMNS, routines
from .engine import raise_if_any
from .tables import read_names, read_tables, within


@dataclass
class AuditTrail:
    """An audit trail as declared."""

    declared: Audit
    purge: bool = False
    observed: core.Observed = field(init=False)
    indexes: Plan = field(init=False, default_factory=Plan)

    @property
    def count(self) -> int:
        return len(self.declared.tables)

    def observe(self, connection: Any, tables: Tables) -> None:
        declared = self.declared
        self.observed = core.Observed(
            tables=tables,
            home=audit_read.read_home(connection, declared),
            columns=audit_read.read_columns(connection, [item.table for item in declared.tables]),
            triggers=audit_read.read_triggers(connection),
            roles=audit_read.read_roles(connection, declared.readers),
        )
        problems = [
            *audit_log.check_log(declared, self.observed.home, COLUMNS),
            *core.check(declared, self.observed, purge=self.purge),
        ]
        raise_if_any(problems)
        self.indexes = self._indexes(connection) if self.observed.home.log else Plan()

    def _indexes(self, connection: Any) -> Plan:
        """Return what the log's indexes lack: as any index of a table that is written to, without blocking a writer."""
        home = within(self.declared.schema)
        made = {
            QualifiedName(table.schema, name): since
            for (table, name), since in ledger.made(connection, indexes.KIND).items()
        }
        observed = indexes.Observed(
            read_tables(connection, home), index_sql.read_indexes(connection, home), read_names(connection, home), made
        )
        forms = [indexes.Declared(index, indexes.Form(sql.deparsed(index))) for index in sql.log_indexes(self.declared)]
        plan = index_plan.plan(forms, observed, indexes.Rules(audit_log.OWNER))
        return Plan(plan.changes, plan.differences, plan.drift)

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        """Nothing of it has to be tried: functions are kept word for word, and triggers are read in parts."""
        return ()

    def busy(self) -> tuple[str, ...]:
        return ()

    def plan(self) -> Plan:
        plan = core.plan(self.declared, self.observed, routines(self.declared), purge=self.purge)
        return joined([self.indexes, plan])

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        """Refuse months whose rows already lie in the DEFAULT. Raises ViolatingRows."""
        log = self.observed.home.log
        steps = [change for change in plan.changes if change.action == "partition" and change.subject.span]
        if log is None or log.default is None or not steps:
            return ()
        spans = {change.name: change.subject.span for change in steps}
        held = rows_in_default(connection, log.default, spans)
        if held:
            raise ViolatingRows(
                "; ".join(in_the_way(self.declared.log, name, count) for name, count in held.items())
                + ". Nothing was changed",
                {"violations": [f"{name}: {count} rows" for name, count in held.items()]},
            )
        return ()

    def render(self, change: Change) -> tuple[str, ...]:
        if change.kind != indexes.KIND:
            return sql.render(change)
        # before PostgreSQL 17, LOCK TABLE asks for rights that a log's owner does not have; dropping an index locks the same
        return tuple(one for one in index_sql.render(change) if not one.startswith("LOCK TABLE"))
