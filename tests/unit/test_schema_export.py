"""Observed objects become the items that the modules accept."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.check_constraint import (
    ObservedCheck,
    check_constraints,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Form, ObservedIndex
from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import indexes
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_export import (
    Found,
    IndexParts,
    KeyParts,
    export,
    qualified,
)

T = QualifiedName("public", "orders")
P = QualifiedName("public", "orders_2025")
ODD = QualifiedName("app", "a.b")
TABLES = {T: Table(T, "p", "o"), P: Table(P, "r", "o", parent=T), ODD: Table(ODD, "r", "o")}


def observed(name: str, table: QualifiedName = T, **what: Any) -> ObservedIndex:
    return ObservedIndex(table, name, what.pop("form", Form(f"USING btree ({name})")), **what)


def exported(*found: tuple[ObservedIndex, IndexParts], checks: tuple[ObservedCheck, ...] = ()) -> Any:
    there = Found(
        TABLES,
        {index.key: index for index, _ in found},
        {index.key: parts for index, parts in found},
        {check.key: check for check in checks},
        bare_foreign_keys=0,
    )
    return export(there, ["public", "app"], "public")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (KeyParts("a"), "a"),
        (KeyParts("a", descending=True, nulls_first=True), {"column": "a", "order": "desc"}),
        (KeyParts("a", descending=True), {"column": "a", "order": "desc", "nulls": "last"}),
        (KeyParts("a", nulls_first=True), {"column": "a", "nulls": "first"}),
        (KeyParts("", "lower(a)"), {"expression": "lower(a)"}),
        (KeyParts("a", opclass="x", opclass_parameters=("s=1",)), {
            "column": "a", "opclass": "x", "opclass_parameters": {"s": "1"},
        }),
        (KeyParts("a", collation="C"), {"column": "a", "collation": "C"}),
    ],
)  # fmt: skip
def test_a_key_is_written_as_short_as_it_can_be(key: KeyParts, expected: Any) -> None:
    (item,) = exported((observed("i"), IndexParts("btree", (key,)))).items["indexes"]
    assert item == {"table": "orders", "name": "i", "columns": [expected]}
    _, problems = indexes([item], "public")
    assert problems == ()


def test_every_option_of_an_index_is_kept() -> None:
    index = observed(
        "i", ODD, form=Form("…", unique=True, tablespace="fast"), comment="why\nmanaged by pgstead.ops.indexes"
    )
    parts = IndexParts("gin", (KeyParts("a"),), ("b",), "a > 1", True, ("fillfactor=70",))
    assert exported((index, parts)).items["indexes"] == [
        {
            "table": 'app."a.b"',
            "name": "i",
            "columns": ["a"],
            "method": "gin",
            "unique": True,
            "nulls_not_distinct": True,
            "include": ["b"],
            "where": "a > 1",
            "storage_parameters": {"fillfactor": "70"},
            "tablespace": "fast",
            "comment": "why",
        }
    ]


PLAIN = IndexParts("btree", (KeyParts("a"),))


@pytest.mark.parametrize(
    ("index", "skipped"),
    [
        (observed("i", constraint="i"), None),
        (observed("i", P, parent=QualifiedName("public", "x")), None),
        (observed("i", comment="managed by pgstead.ops.foreign_key_indexes"), None),
        (observed("i", valid=False), "index public.i: it is invalid"),
        (observed("pgstead_new_1"), "index public.pgstead_new_1: it is left over from an interrupted run"),
    ],
)
def test_what_is_left_out(index: ObservedIndex, skipped: str | None) -> None:
    found = exported((index, PLAIN))
    assert found.items["indexes"] == []
    assert found.skipped == ((skipped,) if skipped else ())


def test_a_partitions_twin_of_its_parents_index_is_left_out() -> None:
    same = Form("USING btree (a)")
    found = exported((observed("i", T, form=same), PLAIN), (observed("j", P, form=same), PLAIN))
    assert [item["name"] for item in found.items["indexes"]] == ["i"]
    assert found.skipped == ("index public.j: the parent's public.i is the same for every partition",)


def test_checks() -> None:
    found = exported(
        checks=(
            ObservedCheck(T, "a", "CHECK ((x > 0))"),
            ObservedCheck(T, "b", "CHECK ((x > (0))) NO INHERIT", validated=False, comment="why"),
            ObservedCheck(P, "a", "CHECK ((x > 0))", inherited=True),
            ObservedCheck(T, "c", "CHECK ((x > 0))", enforced=False),
        )
    )
    items = found.items["check_constraints"]
    assert items == [
        {"table": "orders", "name": "a", "expression": "(x > 0)"},
        {
            "table": "orders",
            "name": "b",
            "expression": "(x > (0))",
            "validated": False,
            "no_inherit": True,
            "comment": "why",
        },
    ]
    assert check_constraints(items, "public")[1] == ()
    assert found.skipped == ("check constraint c on public.orders: it is not enforced",)


@pytest.mark.parametrize(
    ("schema", "name", "expected"),
    [
        ("pg_catalog", "text_pattern_ops", "text_pattern_ops"),
        ("pg_catalog", "en_US.utf8", "en_US.utf8"),
        ("public", "gin_trgm_ops", 'public."gin_trgm_ops"'),
        ("my ext", 'a"b', '"my ext"."a""b"'),
    ],
)
def test_names_of_operator_classes_and_collations(schema: str, name: str, expected: str) -> None:
    assert qualified(schema, name) == expected


def test_what_hangs_on_the_log_of_an_audit_is_not_the_users() -> None:
    tables = {**TABLES, P: Table(P, "r", "o", parent=T)}
    found = Found(
        tables,
        {index.key: index for index in (observed("i"), observed("j", P), observed("k", ODD))},
        {observed("k", ODD).key: PLAIN},
        {(T, "c"): ObservedCheck(T, "c", "CHECK ((x > 0))")},
        bare_foreign_keys=0,
        contexts=(QualifiedName("public", "f"), QualifiedName("other", "f")),
        logs=frozenset({T}),
    )
    made = export(found, ["public", "app"], "public")
    assert [item["name"] for item in made.items["indexes"]] == ["k"]
    assert made.items["check_constraints"] == []
    assert (made.items["views"], made.items["row_security"]) == ([], {"tables": []})
    assert made.skipped == ("function public.f: declare row_security.context",)
