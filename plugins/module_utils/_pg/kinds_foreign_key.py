# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind foreign_key_indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._core import foreign_key as core
from .._core.plan import Change, Plan, owner_of
from .._core.relation import Tables
from . import foreign_key as sql
from . import index as index_sql
from .engine import raise_if_any
from .kinds_index import Indexes


@dataclass
class ForeignKeyIndexes:
    """The indexes that foreign keys need and do not have; with `create` unset they are only named."""

    chosen: core.Choice
    create: bool
    purge: bool = False
    missing: tuple[dict[str, Any], ...] | None = field(init=False, default=None)  # when first observed
    indexes: Indexes = field(init=False)
    count: int = 0  # nobody knows before the tables are there

    def observe(self, connection: Any, tables: Tables) -> None:
        keys = sql.read_foreign_keys(connection)
        raise_if_any(core.unknown(self.chosen, keys))
        keys = tuple(key for key in keys if self.chosen.wants(key, tables))
        found = index_sql.read_indexes(connection)
        own = frozenset(name for name, index in found.items() if owner_of(index.comment) == core.OWNER)
        serving = sql.read_serving(connection)
        if self.missing is None:
            bare = core.uncovered(keys, serving, frozenset())
            self.missing = tuple(core.described(key, tables) for key in bare)
        wanted = core.uncovered(keys, serving, own) if self.create else ()
        declared = core.with_free_names(core.indexes_for(wanted), found)
        self.indexes = Indexes(declared, core.OWNER, self.purge and self.create)
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
