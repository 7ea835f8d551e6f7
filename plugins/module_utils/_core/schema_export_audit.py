# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit trail as the key `audit` of a database: read back from what its triggers are told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .audit import ROW_TRIGGER, ObservedTrigger
from .audit_spec import DEFAULT_SCHEMA, TABLE
from .audit_told import names_in
from .names import QualifiedName, table_text

Triggers = Mapping[tuple[QualifiedName, str], ObservedTrigger]
Readers = Mapping[QualifiedName, Sequence[str]]  # log → roles that may read it, its owner left out


def export_audit(
    triggers: Triggers, readers: Readers, schemas: Sequence[str], default_schema: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the audit of these schemas' tables, empty where there is none, and what it leaves out.

    A database has one log: tables that write into another are left out. What only the inventory knows is named.
    """
    rows = {table: one for (table, name), one in sorted(triggers.items()) if name == ROW_TRIGGER}
    chosen = {table: one for table, one in rows.items() if table.schema in schemas}
    if not chosen:
        return {}, []
    home = next(iter(chosen.values())).form.function.schema
    mine = {table: one for table, one in chosen.items() if one.form.function.schema == home}
    skipped = [f"audit of {table}: it writes into another log than {home}" for table in chosen.keys() - mine.keys()]
    settings = sorted({one.form.arguments[5:7] for one in mine.values()})
    carried = "; ".join(f"{{user: {user}, role: {role}}}" for user, role in settings if user)
    context = f"row_security.context as its triggers have it, {carried}, and " if carried else ""
    skipped.append(f"audit: declare {context}its retention, which is not in the database")
    item: dict[str, Any] = {
        "tables": [_table(table, one.form.arguments, default_schema) for table, one in mine.items()],
        "schema": home if home != DEFAULT_SCHEMA else "",
        "readers": list(readers.get(QualifiedName(home, TABLE), ())),
    }
    return {key: value for key, value in item.items() if value}, sorted(skipped)


def _table(table: QualifiedName, told: Sequence[str], default_schema: str) -> dict[str, Any]:
    """Return one table from the arguments of its trigger (see audit_told.py)."""
    mode, _key, left_out, hidden, mask = told[:5]
    item: dict[str, Any] = {
        "name": table_text(table, default_schema),
        "mode": mode if mode == "full" else "",
        # what is left out and not hidden is generated, and nobody declared it
        "excluded_columns": [name for name in names_in(left_out) if name in names_in(hidden)],
        "redacted_columns": list(json.loads(mask)),
    }
    return {key: value for key, value in item.items() if value}
