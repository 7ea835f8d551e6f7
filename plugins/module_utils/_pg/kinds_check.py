# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind check_constraints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .._core import check_constraint as core
from .._core.errors import Problem, ViolatingRows
from .._core.names import QualifiedName
from .._core.plan import Change, Plan
from .._core.relation import Tables
from . import check_constraint as sql
from . import ledger
from .canonical import Answer, answers, path_of
from .connection import driver
from .engine import raise_if_any, refusals
from .execute import of_a_row


@dataclass
class CheckConstraints:
    """CHECK constraints declared one by one."""

    declared: Sequence[core.CheckConstraint]
    purge: bool = False
    problems: tuple[Problem, ...] = field(init=False, default=())
    observed: core.Observed = field(init=False)
    forms: tuple[core.Declared, ...] = field(init=False, default=())
    rules: core.Rules = field(init=False)

    @property
    def count(self) -> int:
        return len(self.declared)

    def observe(self, connection: Any, tables: Tables) -> None:
        self.problems = core.check_tables(self.declared, tables)
        self.observed = core.Observed(
            tables,
            sql.read_checks(connection),
            sql.read_others(connection),
            ledger.made(connection, core.KIND),
            sql.read_own_below(connection),
        )

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        faulty = {problem.where for problem in self.problems}
        fit = [check for check in self.declared if check.where not in faulty]
        asked = [check for check in fit if check.present]
        found, warnings = answers(connection, [sql.trial(check) for check in asked], sql.read_tried, search_path)
        texts = {check.position: answer.text for check, answer in zip(asked, found, strict=True)}
        refused = [(check, answer) for check, answer in zip(asked, found, strict=True) if answer.refusal]
        settled: dict[str, str] = {}
        for check, answer in refused:
            understood = self._by_meaning(connection, check, answer, search_path)
            if understood:
                texts[check.position] = sql.definition(check.expression, check.no_inherit)
                settled |= understood
        left = [(check, answer) for check, answer in refused if not texts[check.position]]
        problems = refusals([check.where for check, _ in left], [answer for _, answer in left])
        faulty = {problem.where for problem in problems}
        self.forms = tuple(
            core.Declared(check, texts.get(check.position)) for check in fit if check.where not in faulty
        )
        pairs = sorted(pair for pair in core.unsettled(self.forms, self.observed) if pair[1] not in settled)
        trials = [sql.text_trial(table, text) for table, text in pairs]
        again, _ = answers(connection, trials, sql.read_tried, search_path)
        settled |= {text: answer.text or text for (_, text), answer in zip(pairs, again, strict=True)}
        self.rules = core.Rules(self.purge, settled)
        raise_if_any([*self.problems, *problems, *core.check_all(self.forms, self.observed, self.rules)])
        return warnings

    def _by_meaning(
        self, connection: Any, check: core.CheckConstraint, answer: Answer, search_path: Sequence[str]
    ) -> dict[str, str]:
        """Where only the real table will do, let the planner say what the declared and the observed text mean."""
        if not sql.needs_the_real_table(answer):
            return {}
        path = path_of(check.table.schema, search_path)
        meant = sql.meaning(connection, check.table, check.expression, path)
        found: dict[str, str | None] = {}
        if meant:
            found[sql.definition(check.expression, check.no_inherit)] = meant
        for name in (check.name, core.temporary_name(check.name)):
            there = self.observed.checks.get((check.table, name))
            if found and there:
                expression = there.text.removeprefix("CHECK ").removesuffix(" NO INHERIT")
                found[there.text] = sql.meaning(connection, check.table, expression, path)
        return {
            text: meaning + " NO INHERIT" * text.endswith(" NO INHERIT") for text, meaning in found.items() if meaning
        }

    def busy(self) -> tuple[str, ...]:
        return ()

    def plan(self) -> Plan:
        return core.plan(self.forms, self.observed, self.rules)

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        """Count the rows that contradict what is to be validated, before anything is changed."""
        by_table: dict[QualifiedName, list[core.Declared]] = {}
        for change in plan.changes:
            if change.action == "validate":
                item = next(i for i in self.forms if i.check.table == change.table and self._validates(i, change))
                by_table.setdefault(change.table, []).append(item)
        found, unseen = [], []
        for table, items in by_table.items():
            path = path_of(table.schema, search_path)
            counted = self._counted(connection, table, items, path)
            if counted is None:
                unseen.append(f"row security hides rows of {table} from its owner: they are not counted beforehand")
                continue
            found += [
                f"{item.check.where}: {count} rows of {table} contradict it, among them " + ", ".join(sample)
                for item, (count, sample) in zip(items, counted, strict=True)
                if count
            ]
        if found:
            advice = "Nothing was changed. Put the rows right, or declare validated: false to hold new rows only"
            raise ViolatingRows(f"{'; '.join(found)}. {advice}", {"violations": found})
        return tuple(unseen)

    def _counted(
        self, connection: Any, table: QualifiedName, items: Sequence[core.Declared], path: str
    ) -> tuple[tuple[int, tuple[str, ...]], ...] | None:
        """Count as `sql.violations` does; where an expression fails on a row, say which."""
        texts = [item.text or "" for item in items]
        try:
            return sql.violations(connection, table, texts, path)
        except driver.Error as error:
            if not of_a_row(error):
                raise
            said = zip(items, sql.failures(connection, table, texts, path), strict=True)
            found = "; ".join(
                f"{item.check.where}: its expression fails on a row of {table}: {why}" for item, why in said if why
            )
            if not found:  # the row has gone meanwhile
                raise
            advice = "Nothing was changed. Put the rows right, or write it so that it is true or false for every row"
            raise ViolatingRows(f"{found}. {advice}") from error

    def _validates(self, item: core.Declared, change: Change) -> bool:
        return change.name in (item.check.name, core.temporary_name(item.check.name))

    def render(self, change: Change) -> tuple[str, ...]:
        return sql.render(change)
