# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._core import view as core
from .._core.errors import Problem
from .._core.plan import Change, Plan
from .._core.relation import Tables
from .._core.view_spec import View
from . import ledger
from . import view as sql
from .engine import raise_if_any
from .held_views import held_views
from .view_kept import read_kept


@dataclass
class Views:
    """Views declared one by one, in any order."""

    declared: Sequence[View]
    purge: bool = False
    observed: core.Observed = field(init=False)
    forms: tuple[core.Declared, ...] = field(init=False, default=())
    rules: core.Rules = field(init=False)

    @property
    def count(self) -> int:
        return len(self.declared)

    def observe(self, connection: Any, tables: Tables) -> None:
        names: dict[str, View] = {}
        problems = []
        for view in self.declared:
            other = names.setdefault(view.name.name, view)
            if other.name != view.name:
                what = f"{other.position} has the same name in another schema: put it into a task of its own"
                problems.append(Problem(f"{view.position} ({view.name})", what))
        raise_if_any(problems)
        made = {table: since for (table, _name), since in ledger.made(connection, core.KIND).items()}
        views = sql.read_views(connection)
        kept = read_kept(connection)  # after them: whatever is there by then is made again with what hangs on it
        views = {name: replace(view, kept=kept.get(name, view.kept)) for name, view in views.items()}
        self.observed = core.Observed(tables, views, made)

    def settle(self, connection: Any, search_path: Sequence[str]) -> tuple[str, ...]:
        present = [view for view in self.declared if view.present]
        forms, refused = sql.tried(connection, present, search_path, self.observed.views)
        raise_if_any(
            [Problem(f"{v.position} ({v.name})", refused[v.name].refusal) for v in present if v.name in refused]
        )
        by_name = {view.name: view for view in present}
        self.forms = (
            *(core.Declared(by_name[name], form) for name, form in forms.items()),
            *(core.Declared(view, None) for view in self.declared if not view.present),
        )
        pairs = core.unsettled(self.forms, self.observed)
        self.rules = core.Rules(self.purge, sql.settled(connection, sorted({text for _name, text in pairs})))
        raise_if_any(core.check(self.forms, self.observed, self.rules))
        return ()

    def busy(self) -> tuple[str, ...]:
        return ()

    def plan(self) -> Plan:
        return core.plan(self.forms, self.observed, self.rules)

    def verify(self, connection: Any, plan: Plan, search_path: Sequence[str]) -> tuple[str, ...]:
        """No row can contradict a view; warn of those that row security keeps empty."""
        present = {view.name for view in self.declared if view.present}
        return tuple(why for name, why in held_views(connection).items() if name in present)

    def render(self, change: Change) -> tuple[str, ...]:
        return sql.render(change)
