"""What the lint says of keys and constraints, as tables of cases."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import lint_keys
from ansible_collections.pgstead.ops.plugins.module_utils._core.check_constraint import ObservedCheck
from ansible_collections.pgstead.ops.plugins.module_utils._core.foreign_key import ForeignKey, IndexKeys
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import (
    Mismatch,
    Rules,
    TableFacts,
    Unvalidated,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table

from .made import EXT, FACTS, MB, P1, P2, P21, TABLES, P, T, database, index

KEY = ForeignKey(T, "t_a_fkey", ("a",), (2,))
BOTH = ForeignKey(T, "t_b_a_fkey", ("b", "a"), (3, 2))
GB = 1024**3


@pytest.mark.parametrize(
    ("keys", "serving", "expected"),
    [
        ([KEY], [], ["public.t.t_a_fkey"]),
        ([KEY], [IndexKeys(T, "i", "btree", (3, 2))], ["public.t.t_a_fkey"]),
        ([KEY], [IndexKeys(T, "i", "btree", (2, 3))], []),
        ([BOTH], [IndexKeys(T, "i", "btree", (2, 3))], []),
        ([ForeignKey(EXT, "k", ("a",), (2,))], [], []),
    ],
)
def test_foreign_keys_without_an_index(keys: list[Any], serving: list[Any], expected: list[str]) -> None:
    observed = database(foreign_keys=tuple(keys), serving=tuple(serving))
    assert [found.object for found in lint_keys.foreign_key_without_index(observed, Rules())] == expected


@pytest.mark.parametrize(
    ("keys", "made", "expected"),
    [
        ([KEY], [], ["t_a_fkey_idx"]),
        # a partial index has the name; it is not what serves the key
        ([KEY], [index("t_a_fkey_idx", "a", parts={"predicate": "b > 0"})], ["t_a_264794_fkey_idx"]),
        ([KEY, BOTH], [], ["t_a_fkey_idx", "t_b_a_fkey_idx"]),
        # one index for both
        ([KEY, ForeignKey(T, "w", ("a", "b"), (2, 3))], [], ["t_a_b_fkey_idx", "t_a_b_fkey_idx"]),
    ],
)
def test_the_index_that_a_key_is_given(keys: list[Any], made: list[Any], expected: list[str]) -> None:
    found = list(lint_keys.foreign_key_without_index(database(*made, foreign_keys=tuple(keys)), Rules()))
    assert [[fix.name for fix in each.fixes] for each in found] == [[name] for name in expected]
    assert all(each.declaration == {"foreign_key_indexes": "create"} for each in found)


def test_the_index_of_a_partitioned_key_is_made_part_by_part() -> None:
    (found,) = lint_keys.foreign_key_without_index(database(foreign_keys=(ForeignKey(P, "k", ("a",), (2,)),)), Rules())
    assert [(fix.action, str(fix.on), fix.name) for fix in found.fixes] == [
        ("create_index_only", "app.p", "p_a_fkey_idx"),
        ("create_index", "app.p_1", "p_1_a_fkey_idx"),
        ("attach_index", "app.p_a_fkey_idx", ""),
        ("create_index_only", "app.p_2", "p_2_a_fkey_idx"),
        ("create_index", "app.p_2_1", "p_2_1_a_fkey_idx"),
        ("attach_index", "app.p_2_a_fkey_idx", ""),
        ("attach_index", "app.p_a_fkey_idx", ""),
    ]
    assert found.bytes == 3 * MB


def test_a_foreign_partition_can_have_no_index() -> None:
    tables = {**TABLES, P21: Table(P21, "f", "o", parent=P2)}
    observed = database(tables=tables, foreign_keys=(ForeignKey(P, "k", ("a",), (2,)),))
    (found,) = lint_keys.foreign_key_without_index(observed, Rules())
    assert (found.fixes, found.declaration) == ((), {})
    assert "a person has to decide" in found.detail


def test_a_partitioned_table_without_partitions_needs_its_own_index_only() -> None:
    tables = {P: TABLES[P]}
    (found,) = lint_keys.foreign_key_without_index(
        database(tables=tables, foreign_keys=(ForeignKey(P, "k", ("a",), (2,)),)), Rules()
    )
    assert [fix.action for fix in found.fixes] == ["create_index_only"]


def test_mismatches_are_told_key_by_key() -> None:
    pairs = (
        Mismatch(T, "k", "a", "integer", P, "id", "bigint"),
        Mismatch(T, "k", "b", "text", P, "name", "uuid"),
        Mismatch(T, "m", "c", "integer", P, "id", "bigint"),
    )
    found = list(lint_keys.foreign_key_type_mismatch(database(mismatches=pairs), Rules()))
    assert [each.object for each in found] == ["public.t.k", "public.t.m"]
    assert "a is integer, app.p.id is bigint, b is text, app.p.name is uuid" in found[0].detail
    assert "a person has to decide" in found[0].detail
    assert list(lint_keys.foreign_key_type_mismatch(database(), Rules())) == []


def keyless(**more: Any) -> dict[str, Any]:
    return {"facts": {**FACTS, T: TableFacts(primary_key=False)}, **more}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({T: TableFacts(primary_key=False)}, ["public.t"]),
        ({T: TableFacts()}, []),
        ({EXT: TableFacts(primary_key=False, extension=True)}, []),
        # a partition has what its parent has
        ({P: TableFacts(primary_key=False), P1: TableFacts(primary_key=False)}, ["app.p"]),
    ],
)
def test_tables_without_a_key(facts: dict[Any, Any], expected: list[str]) -> None:
    found = lint_keys.table_without_primary_key(database(facts=facts), Rules())
    assert [each.object for each in found] == expected


@pytest.mark.parametrize(
    ("made", "taken"),
    [
        (index("u", "a", unique=True), True),
        (index("u", "a", "b", unique=True), True),
        (index("u", "a", unique=True, parts={"include": ("c",)}), True),
        (index("u", "a"), False),
        (index("u", "c", unique=True), False),  # may be NULL
        (index("u", "a", unique=True, constraint="u"), False),
        (index("u", "a", unique=True, valid=False), False),
        (index("u", "a", unique=True, parts={"predicate": "b > 0"}), False),
        (index("u", "a", unique=True, parts={"nulls_not_distinct": True}), False),
        (index("u", keys=(lint_keys.KeyParts("a", descending=True),), unique=True), False),
        (index("u", keys=(lint_keys.KeyParts("", "lower(a)"),), unique=True), False),
    ],
)
def test_a_unique_index_that_can_become_the_key(made: Any, taken: bool) -> None:
    observed = database(made, **keyless(not_null={T: frozenset("ab")}))
    (found,) = lint_keys.table_without_primary_key(observed, Rules())
    assert [(fix.action, fix.name, str(fix.other)) for fix in found.fixes] == (
        [("primary_key", "t_pkey", "public.u")] if taken else []
    )
    assert taken != ("a person has to decide" in found.detail)


def test_the_name_of_a_new_key_is_free() -> None:
    made = (index("t_pkey", "c"), index("u", "a", unique=True))
    (found,) = lint_keys.table_without_primary_key(database(*made, **keyless(not_null={T: frozenset("a")})), Rules())
    assert found.fixes[0].name == "t_primary_pkey"


@pytest.mark.parametrize(
    ("facts", "days", "expected"),
    [
        # 10 MB, read whole 2000 times
        ({T: TableFacts(scans=2000, rows_read=2_000_000, rows=1000)}, 2, ["public.t"]),
        # not often enough to be more than a nightly dump
        ({T: TableFacts(scans=2000, rows_read=2_000_000, rows=1000)}, 300, []),
        # with LIMIT 1 nothing is read whole
        ({T: TableFacts(scans=2000, rows_read=2000, rows=1000)}, 2, []),
        # 0.5 GB in all
        ({T: TableFacts(scans=50, rows_read=50_000, rows=1000)}, 2, []),
        ({T: TableFacts(scans=2000)}, None, ["public.t"]),
        ({T: TableFacts(scans=2000, rows=1000, rows_read=2_000_000, extension=True)}, 2, []),
        # partitions count together: 4000 × 1 MB + 4000 × 2 MB
        ({P1: TableFacts(4000, 4000, 1), P21: TableFacts(4000, 4000, 1)}, 2, ["app.p"]),
    ],
)
def test_tables_that_are_read_whole(facts: dict[Any, Any], days: float | None, expected: list[str]) -> None:
    observed = database(facts={**FACTS, **facts}, statistics_days=days)
    found = list(lint_keys.missing_index_candidate(observed, Rules(sequential_bytes=10 * GB)))
    assert [each.object for each in found] == expected


@pytest.mark.parametrize(
    ("checks", "others", "expected"),
    [
        ([ObservedCheck(T, "c", "CHECK ((a > 0))", validated=False)], [], ["public.t.c"]),
        ([ObservedCheck(T, "c", "CHECK ((a > 0))")], [], []),
        ([ObservedCheck(P1, "c", "CHECK ((a > 0))", validated=False, inherited=True)], [], []),
        ([ObservedCheck(T, "c", "CHECK ((a > 0))", validated=False, enforced=False)], [], []),
        ([], [Unvalidated(T, "f", "f"), Unvalidated(T, "n", "n")], ["public.t.f", "public.t.n"]),
    ],
)
def test_constraints_that_nobody_validated(checks: list[Any], others: list[Any], expected: list[str]) -> None:
    observed = database(checks=tuple(checks), unvalidated=tuple(others))
    found = list(lint_keys.constraint_not_validated(observed, Rules()))
    assert [each.object for each in found] == expected
    assert all([fix.action for fix in each.fixes] == ["validate"] for each in found)


def test_a_check_is_declared_as_validated_unless_a_run_left_it() -> None:
    checks = (
        ObservedCheck(QualifiedName("app", "x"), "c", "CHECK ((a > 0)) NO INHERIT", validated=False),
        ObservedCheck(T, "pgstead_new_1", "CHECK ((a > 0))", validated=False),
    )
    found = list(lint_keys.constraint_not_validated(database(checks=checks), Rules()))
    item = {"table": "app.x", "name": "c", "expression": "(a > 0)", "no_inherit": True}
    assert [each.declaration for each in found] == [{"check_constraints": [item]}, {}]
