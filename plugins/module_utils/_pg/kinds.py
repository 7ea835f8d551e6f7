# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of objects that the engine knows: each ties its pure plan (_core) to its SQL (here)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._core import check_constraint as checks
from .._core import foreign_key, index_plan
from .._core import index as indexes
from .._core.errors import Problem, ViolatingRows
from .._core.index_spec import Index
from .._core.names import QualifiedName
from .._core.plan import Change, Plan, owner_of
from .._core.relation import Tables
from . import check_constraint as check_sql
from . import foreign_key as foreign_key_sql
from . import index as index_sql
from . import ledger
from .canonical import Answer, answers, path_of
from .engine import raise_if_any, refusals
from .tables import read_names


def _where(declared: Index | checks.CheckConstraint) -> str:
    return f"{declared.position} ({declared.name})"


@dataclass
class Indexes:
    """Indexes declared one by one; `owner` is the name of the module that they belong to."""

    declared: Sequence[Index]
    owner: str = "indexes"
    purge: bool = False
    problems: tuple[Problem, ...] = field(init=False, default=())
    default_tablespace: str = field(init=False, default="")
    observed: indexes.Observed = field(init=False)
    forms: tuple[indexes.Declared, ...] = field(init=False, default=())
    rules: indexes.Rules = field(init=False)

    @property
    def count(self) -> int:
        return len(self.declared)

    def observe(self, connection: Any, tables: Tables) -> None:
        self.observe_with(connection, tables, index_sql.read_indexes(connection))

    def observe_with(
        self, connection: Any, tables: Tables, found: Mapping[QualifiedName, indexes.ObservedIndex]
    ) -> None:
        """Read the rest, where the indexes were read already."""
        self.problems = index_plan.check_tables(self.declared, tables)
        made = {
            QualifiedName(table.schema, name): since
            for (table, name), since in ledger.made(connection, indexes.KIND).items()
        }
        self.default_tablespace = index_sql.default_tablespace(connection)
        self.observed = indexes.Observed(tables, found, read_names(connection), made)

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        faulty = {problem.where for problem in self.problems}
        fit = [index for index in self.declared if _where(index) not in faulty]
        asked = [index for index in fit if index.present and not self._foretold(index)]
        found, warnings = answers(
            connection, [index_sql.trial(index) for index in asked], index_sql.read_tried, search_path
        )
        refused = refusals([_where(index) for index in asked], found)
        texts = {index.position: answer.text for index, answer in zip(asked, found, strict=True)}
        faulty = {problem.where for problem in refused}
        self.forms = tuple(
            indexes.Declared(index, self._form(index, texts) if index.present else None)
            for index in fit
            if _where(index) not in faulty
        )
        pairs = sorted(indexes.unsettled(self.forms, self.observed))
        trials = [index_sql.text_trial(table, text) for table, text in pairs]
        again, _ = answers(connection, trials, index_sql.read_tried, search_path)
        names = frozenset(QualifiedName(index.table.schema, index.name) for index in self.declared)
        settled = {text: answer.text or text for (_, text), answer in zip(pairs, again, strict=True)}
        self.rules = indexes.Rules(self.owner, self.purge, names, settled)
        raise_if_any([*self.problems, *refused, *index_plan.check_all(self.forms, self.observed, self.rules)])
        return warnings

    def _foretold(self, index: Index) -> bool:
        """Whether the server's own text of an index that is there is word for word what would be declared."""
        text = index_sql.definition(index)
        return index.plain and any(
            other.form.text == text and other.form.unique == index.unique
            for other in indexes.candidates(index, self.observed)
        )

    def _form(self, index: Index, texts: dict[str, str]) -> indexes.Form:
        text = texts.get(index.position) or index_sql.definition(index)
        elsewhere = index.tablespace != self.default_tablespace
        return indexes.Form(text, index.unique, index.tablespace if elsewhere else "")

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
        return index_sql.render(change)


@dataclass
class ForeignKeyIndexes:
    """The indexes that foreign keys need and do not have; with `create` unset they are only named."""

    chosen: foreign_key.Choice
    create: bool
    purge: bool = False
    missing: tuple[dict[str, Any], ...] | None = field(init=False, default=None)  # when first observed
    indexes: Indexes = field(init=False)
    count: int = 0  # nobody knows before the tables are there

    def observe(self, connection: Any, tables: Tables) -> None:
        keys = foreign_key_sql.read_foreign_keys(connection)
        raise_if_any(foreign_key.unknown(self.chosen, keys))
        keys = tuple(key for key in keys if self.chosen.wants(key, tables))
        found = index_sql.read_indexes(connection)
        own = frozenset(name for name, index in found.items() if owner_of(index.comment) == foreign_key.OWNER)
        serving = foreign_key_sql.read_serving(connection)
        if self.missing is None:
            bare = foreign_key.uncovered(keys, serving, frozenset())
            self.missing = tuple(foreign_key.described(key, tables) for key in bare)
        wanted = foreign_key.uncovered(keys, serving, own) if self.create else ()
        self.indexes = Indexes(foreign_key.indexes_for(wanted), foreign_key.OWNER, self.purge and self.create)
        self.indexes.observe_with(connection, tables, found)

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        return self.indexes.settle(connection, search_path)

    def busy(self) -> tuple[str, ...]:
        return self.indexes.busy()

    def plan(self) -> Plan:
        # other indexes of these tables are nobody's fault here
        return replace(self.indexes.plan(), unmanaged=())

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        return self.indexes.verify(connection, plan, search_path)

    def render(self, change: Change) -> tuple[str, ...]:
        return index_sql.render(change)


@dataclass
class CheckConstraints:
    """CHECK constraints declared one by one."""

    declared: Sequence[checks.CheckConstraint]
    purge: bool = False
    problems: tuple[Problem, ...] = field(init=False, default=())
    observed: checks.Observed = field(init=False)
    forms: tuple[checks.Declared, ...] = field(init=False, default=())
    rules: checks.Rules = field(init=False)

    @property
    def count(self) -> int:
        return len(self.declared)

    def observe(self, connection: Any, tables: Tables) -> None:
        self.problems = checks.check_tables(self.declared, tables)
        self.observed = checks.Observed(
            tables,
            check_sql.read_checks(connection),
            check_sql.read_others(connection),
            ledger.made(connection, checks.KIND),
        )

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        faulty = {problem.where for problem in self.problems}
        fit = [check for check in self.declared if _where(check) not in faulty]
        asked = [check for check in fit if check.present]
        found, warnings = answers(
            connection, [check_sql.trial(check) for check in asked], check_sql.read_tried, search_path
        )
        texts = {check.position: answer.text for check, answer in zip(asked, found, strict=True)}
        refused = [(check, answer) for check, answer in zip(asked, found, strict=True) if answer.refusal]
        settled: dict[str, str] = {}
        for check, answer in refused:
            understood = self._by_meaning(connection, check, answer, search_path)
            if understood:
                texts[check.position] = check_sql.definition(check.expression, check.no_inherit)
                settled |= understood
        left = [(check, answer) for check, answer in refused if not texts[check.position]]
        problems = refusals([_where(check) for check, _ in left], [answer for _, answer in left])
        faulty = {problem.where for problem in problems}
        self.forms = tuple(
            checks.Declared(check, texts.get(check.position)) for check in fit if _where(check) not in faulty
        )
        pairs = sorted(pair for pair in checks.unsettled(self.forms, self.observed) if pair[1] not in settled)
        trials = [check_sql.text_trial(table, text) for table, text in pairs]
        again, _ = answers(connection, trials, check_sql.read_tried, search_path)
        settled |= {text: answer.text or text for (_, text), answer in zip(pairs, again, strict=True)}
        self.rules = checks.Rules(self.purge, settled)
        raise_if_any([*self.problems, *problems, *checks.check_all(self.forms, self.observed, self.rules)])
        return warnings

    def _by_meaning(
        self, connection: Any, check: checks.CheckConstraint, answer: Answer, search_path: Sequence[str]
    ) -> dict[str, str]:
        """Where only the real table will do, let the planner say what the declared and the observed text mean."""
        if not check_sql.needs_the_real_table(answer):
            return {}
        path = path_of(check.table.schema, search_path)
        meant = check_sql.meaning(connection, check.table, check.expression, path)
        found: dict[str, str | None] = {}
        if meant:
            found[check_sql.definition(check.expression, check.no_inherit)] = meant
        for name in (check.name, checks.temporary_name(check.name)):
            there = self.observed.checks.get((check.table, name))
            if found and there:
                expression = there.text.removeprefix("CHECK ").removesuffix(" NO INHERIT")
                found[there.text] = check_sql.meaning(connection, check.table, expression, path)
        return {
            text: meaning + " NO INHERIT" * text.endswith(" NO INHERIT") for text, meaning in found.items() if meaning
        }

    def busy(self) -> tuple[str, ...]:
        return ()

    def plan(self) -> Plan:
        return checks.plan(self.forms, self.observed, self.rules)

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        """Count the rows that contradict what is to be validated, before anything is changed."""
        by_table: dict[QualifiedName, list[checks.Declared]] = {}
        for change in plan.changes:
            if change.action == "validate":
                item = next(i for i in self.forms if i.check.table == change.table and self._validates(i, change))
                by_table.setdefault(change.table, []).append(item)
        found, unseen = [], []
        for table, items in by_table.items():
            path = path_of(table.schema, search_path)
            counted = check_sql.violations(connection, table, [item.text or "" for item in items], path)
            if counted is None:
                unseen.append(f"row security hides rows of {table} from its owner: they are not counted beforehand")
                continue
            found += [
                f"{item.check.position} ({item.check.name}): {count} rows of {table} contradict it, among them "
                + ", ".join(sample)
                for item, (count, sample) in zip(items, counted, strict=True)
                if count
            ]
        if found:
            advice = "Nothing was changed. Put the rows right, or declare validated: false to hold new rows only"
            raise ViolatingRows(f"{'; '.join(found)}. {advice}", {"violations": found})
        return tuple(unseen)

    def _validates(self, item: checks.Declared, change: Change) -> bool:
        return change.name in (item.check.name, checks.temporary_name(item.check.name))

    def render(self, change: Change) -> tuple[str, ...]:
        return check_sql.render(change)
