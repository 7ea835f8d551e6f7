# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind row security: policies, the index each owner column needs, and the function that sets the context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._core import row_security as core
from .._core.errors import Problem
from .._core.expression import constant_calls
from .._core.foreign_key import ForeignKey, uncovered, with_free_names
from .._core.index import ObservedIndex
from .._core.index_spec import Index, IndexColumn
from .._core.names import QualifiedName, derive
from .._core.plan import Change, Difference, Mode, Plan, joined, owner_of
from .._core.relation import Tables, table_problem
from .._core.row_security_spec import Context, Protected, Surroundings, protected_tables
from . import index as index_sql
from . import ledger
from . import row_security as sql
from .canonical import answers
from .engine import raise_if_any
from .foreign_key import read_serving
from .kinds_index import Indexes

PROTECTABLE = "rp"


@dataclass
class RowSecurity:
    """Protected tables as declared; what a shorthand means depends on the columns, so it is read with the tables."""

    items: Sequence[Mapping[str, Any]]
    context: Context | None
    application_roles: Sequence[str]
    schema: str
    purge: bool = False
    declared: tuple[Protected, ...] = field(init=False, default=())
    forms: tuple[core.Declared, ...] = field(init=False, default=())
    observed: core.Observed = field(init=False)
    rules: core.Rules = field(init=False)
    indexes: Indexes = field(init=False)
    context_differs: bool = field(init=False, default=False)

    @property
    def count(self) -> int:
        return len(self.items)

    def observe(self, connection: Any, tables: Tables) -> None:
        columns = sql.read_types(connection, list(tables))
        types = {key: kind for key, (_, kind) in columns.items()}
        around = Surroundings(self.context, tuple(self.application_roles), types, self.schema)
        self.declared, problems = protected_tables(self.items, around)
        found = [
            table_problem(f"{one.position} ({one.table})", one.table, tables, PROTECTABLE)
            for one in self.declared
            if one.present or one.table in tables
        ]
        raise_if_any([*problems, *(problem for problem in found if problem), *self._roles(connection)])
        made = ledger.made(connection, core.KIND)
        self.observed = core.Observed(tables, sql.read_policies(connection), made)
        self.context_differs = self.context is not None and sql.function_differs(connection, self.context)
        there = index_sql.read_indexes(connection)
        declared = with_free_names(self._needed(connection, columns, there), there, core.OWNER, core.INDEX_ENDING)
        self.indexes = Indexes(declared, core.OWNER)
        self.indexes.observe_with(connection, tables, there)

    def _roles(self, connection: Any) -> list[Problem]:
        """Refuse roles that do not exist, and those that the policies would not hold."""
        problems = []
        for one in self.declared:
            named = {role for policy in one.policies for role in policy.roles}
            problems += [
                Problem(f"{one.position} ({one.table})", f"role {role} does not exist")
                for role in sql.missing_roles(connection, sorted(named))
            ]
        present = {one.table: one for one in self.declared if one.present}
        for bypass in sql.bypassing(connection, self.application_roles, list(present)):
            one = present[bypass.table]
            what = f"role {bypass.role} {bypass.why}: policies would not hold it"
            problems.append(Problem(f"{one.position} ({one.table})", what))
        return problems

    def _needed(
        self,
        connection: Any,
        columns: Mapping[tuple[QualifiedName, str], tuple[int, str]],
        found: Mapping[QualifiedName, ObservedIndex],
    ) -> tuple[Index, ...]:
        """Return an index for each owner column that begins none: the policy is a condition of every statement."""
        keys = [
            ForeignKey(one.table, one.position, (one.owner_column,), (columns[one.table, one.owner_column][0],))
            for one in self.declared
            if one.present and one.owner_column
        ]
        own = frozenset(name for name, index in found.items() if owner_of(index.comment) == core.OWNER)
        return tuple(
            Index(
                position=f"{key.name} ({key.table})",
                table=key.table,
                name=derive([key.table.name, *key.columns], core.INDEX_ENDING),
                named=True,
                columns=tuple(IndexColumn(name=name) for name in key.columns),
            )
            for key in uncovered(keys, read_serving(connection), own)
        )

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        asked = [(one, policy) for one in self.declared for policy in one.policies]
        found, warnings = answers(
            connection, [sql.trial(one.table, policy) for one, policy in asked], sql.read_tried, search_path
        )
        names = [f"{one.position} ({one.table}): policy {policy.name}" for one, policy in asked]
        raise_if_any([Problem(name, a.refusal) for name, a in zip(names, found, strict=True) if a.refusal])
        texts = [tuple(answer.text.split("\0")) for answer in found]
        raise_if_any(self._slow(connection, names, texts))
        forms = {
            (one.table, policy.name): core.PolicyForm(
                policy.command, not policy.restrictive, frozenset(policy.roles), using, check
            )
            for (one, policy), (using, check) in zip(asked, texts, strict=True)
        }
        self.forms = tuple(
            core.Declared(one, tuple(forms[one.table, policy.name] for policy in one.policies)) for one in self.declared
        )
        pairs = sorted(core.unsettled(self.forms, self.observed))
        trials = [sql.text_trial(table, text) for table, text in pairs]
        again, _more = answers(connection, trials, sql.read_tried, search_path)
        settled = {text: a.text.split("\0")[0] or text for (_table, text), a in zip(pairs, again, strict=True)}
        self.rules = core.Rules(self.purge, settled)
        tables = [one.table for one in self.declared if one.present]
        past = core.open_partitions(sql.read_past(connection, tables), tables)
        return (*warnings, *past, *self.indexes.settle(connection, search_path))

    def _slow(self, connection: Any, names: Sequence[str], texts: Sequence[tuple[str, ...]]) -> list[Problem]:
        """Refuse what would be computed anew for every row although it is the same for all."""
        calls = [{call for text in pair for call in constant_calls(text)} for pair in texts]
        repeated = sql.not_immutable(connection, sorted(set().union(*calls)))
        return [
            Problem(name, f"{call}() is called for each row: write (SELECT {call}(…)), and it is called once")
            for name, found in zip(names, calls, strict=True)
            for call in sorted(found & repeated)
        ]

    def busy(self) -> tuple[str, ...]:
        return self.indexes.busy()

    def plan(self) -> Plan:
        """Return first the function and the indexes that policies need, then the tables."""
        first = [self._context_plan()] if self.context_differs else []
        indexes = self.indexes.plan()
        security = core.plan(self.forms, self.observed, self.rules)
        return joined([*first, Plan(indexes.changes, indexes.differences, indexes.drift), security])

    def _context_plan(self) -> Plan:
        assert self.context
        name = self.context.function
        change = Change(core.KIND, name, name.name, "context", "none on tables", Mode.TRANSACTION, self.context)
        after = "\n".join(sql.function_statements(self.context)) + "\n"
        return Plan((change,), (Difference(f"function {name}(text, text)", "", after),))

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        """Whether the policies isolate is proven by behaviour, not by reading (module row_security_probe)."""
        return ()

    def render(self, change: Change) -> tuple[str, ...]:
        if change.kind != core.KIND:
            return index_sql.render(change)
        return sql.function_statements(change.subject) if change.action == "context" else sql.render(change)
