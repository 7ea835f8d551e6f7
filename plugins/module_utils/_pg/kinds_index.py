# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._core import index as core
from .._core import index_plan
from .._core.errors import Problem
from .._core.index_spec import Index
from .._core.names import QualifiedName
from .._core.plan import Change, Plan
from .._core.relation import Tables
from . import index as sql
from . import ledger
from .canonical import answers
from .engine import raise_if_any, refusals
from .tables import read_names


@dataclass
class Indexes:
    """Indexes declared one by one; `owner` is the name of the module that they belong to."""

    declared: Sequence[Index]
    owner: str = "indexes"
    purge: bool = False
    problems: tuple[Problem, ...] = field(init=False, default=())
    default_tablespace: str = field(init=False, default="")
    observed: core.Observed = field(init=False)
    forms: tuple[core.Declared, ...] = field(init=False, default=())
    rules: core.Rules = field(init=False)

    @property
    def count(self) -> int:
        return len(self.declared)

    def observe(self, connection: Any, tables: Tables) -> None:
        self.observe_with(connection, tables, sql.read_indexes(connection))

    def observe_with(self, connection: Any, tables: Tables, found: Mapping[QualifiedName, core.ObservedIndex]) -> None:
        """Read the rest, where the indexes were read already."""
        self.problems = index_plan.check_tables(self.declared, tables)
        made = {
            QualifiedName(table.schema, name): since
            for (table, name), since in ledger.made(connection, core.KIND).items()
        }
        self.default_tablespace = sql.default_tablespace(connection)
        self.observed = core.Observed(tables, found, read_names(connection), made, sql.read_nullable(connection))

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        faulty = {problem.where for problem in self.problems}
        fit = [index for index in self.declared if index.where not in faulty]
        asked = [index for index in fit if index.present and not self._foretold(index)]
        found, warnings = answers(connection, [sql.trial(index) for index in asked], sql.read_tried, search_path)
        refused = refusals([index.where for index in asked], found)
        texts = {index.position: answer.text for index, answer in zip(asked, found, strict=True)}
        faulty = {problem.where for problem in refused}
        self.forms = tuple(
            core.Declared(index, self._form(index, texts) if index.present else None)
            for index in fit
            if index.where not in faulty
        )
        pairs = sorted(core.unsettled(self.forms, self.observed))
        trials = [sql.text_trial(table, text) for table, text in pairs]
        again, _ = answers(connection, trials, sql.read_tried, search_path)
        names = frozenset(QualifiedName(index.table.schema, index.name) for index in self.declared)
        settled = {text: answer.text or text for (_, text), answer in zip(pairs, again, strict=True)}
        self.rules = core.Rules(self.owner, self.purge, names, settled)
        raise_if_any([*self.problems, *refused, *index_plan.check_all(self.forms, self.observed, self.rules)])
        return warnings

    def _foretold(self, index: Index) -> bool:
        """Whether the server's own text of an index that is there is word for word what would be declared."""
        text = sql.definition(index)
        return index.plain and any(
            other.form.text == text and other.form.unique == index.unique
            for other in core.candidates(index, self.observed)
        )

    def _form(self, index: Index, texts: dict[str, str]) -> core.Form:
        text = texts.get(index.position) or sql.definition(index)
        elsewhere = index.tablespace != self.default_tablespace
        return core.Form(text, index.unique, index.tablespace if elsewhere else "")

    def busy(self) -> tuple[str, ...]:
        return tuple(
            f"index {mine.key} (process {mine.builder})"
            for index in self.declared
            if (mine := self.observed.indexes.get(QualifiedName(index.table.schema, index.name))) and mine.builder
        )

    def plan(self) -> Plan:
        return index_plan.plan(self.forms, self.observed, self.rules)

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        """Whether rows are unique is found out by the build itself, which leaves nothing behind."""
        return ()

    def render(self, change: Change) -> tuple[str, ...]:
        return sql.render(change)
