"""A database with little in it, as the lint's checks are given one: each test adds what it is about."""

from __future__ import annotations

import datetime
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Form, ObservedIndex
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import Observed, TableFacts
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_export import IndexParts, KeyParts

TODAY = datetime.date(2026, 11, 20)
MB = 1024**2
T = QualifiedName("public", "t")
P = QualifiedName("app", "p")  # partitioned
P1 = QualifiedName("app", "p_1")
P2 = QualifiedName("app", "p_2")  # partitioned in turn
P21 = QualifiedName("app", "p_2_1")
EXT = QualifiedName("public", "spatial_ref_sys")  # an extension's

TABLES = {
    T: Table(T, "r", "o", bytes=10 * MB),
    P: Table(P, "p", "o"),
    P1: Table(P1, "r", "o", parent=P, bytes=MB),
    P2: Table(P2, "p", "o", parent=P),
    P21: Table(P21, "r", "o", parent=P2, bytes=2 * MB),
    EXT: Table(EXT, "r", "o", bytes=MB),
}
FACTS = {name: TableFacts(extension=name == EXT) for name in TABLES}

Made = tuple[ObservedIndex, IndexParts, int]


def index(name: str, *columns: str, table: QualifiedName = T, scans: int = 0, **what: Any) -> Made:
    """Return an index as it is and in parts; keys are columns, `parts` what else it is made of."""
    keys = what.pop("keys", tuple(KeyParts(column) for column in columns))
    parts = IndexParts(what.pop("method", "btree"), keys, **what.pop("parts", {}))
    form = Form(f"USING {parts.method} ({', '.join(columns)})", what.pop("unique", False))
    return ObservedIndex(table, name, form, **what), parts, scans


def database(*indexes: Made, **more: Any) -> Observed:
    """Return what was observed of a database with these indexes."""
    found = {
        "tables": TABLES,
        "facts": FACTS,
        "indexes": {one.key: one for one, _, _ in indexes},
        "parts": {one.key: parts for one, parts, _ in indexes},
        "index_scans": {one.key: scans for one, _, scans in indexes},
        "statistics_days": 30.0,
    }
    return Observed(TODAY, **{**found, **more})
