"""Which index serves which foreign key, and what is made for the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.foreign_key import (
    ForeignKey,
    IndexKeys,
    choice,
    described,
    indexes_for,
    serves,
    uncovered,
    unknown,
    with_free_names,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.index import Form, ObservedIndex, temporary_name
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName, short_hash
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table

ORDERS = QualifiedName("public", "orders")
LINES = QualifiedName("public", "order_lines")
PART = QualifiedName("public", "order_lines_2025")
TABLES = {
    ORDERS: Table(ORDERS, "r", "boss", bytes=8192),
    LINES: Table(LINES, "p", "boss"),
    PART: Table(PART, "r", "boss", parent=LINES, bytes=40_000_000),
}
CUSTOMER = ForeignKey(ORDERS, "orders_customer_fkey", ("customer_id",), (2,))
PAIR = ForeignKey(LINES, "lines_order_fkey", ("tenant", "order_id"), (3, 1))


@pytest.mark.parametrize(
    ("method", "numbers", "key", "expected"),
    [
        ("btree", (2,), (2,), True),
        ("btree", (2, 5), (2,), True),
        ("btree", (5, 2), (2,), False),
        ("btree", (1, 3), (3, 1), True),
        ("btree", (3, 1, 7), (3, 1), True),
        ("btree", (3, 7, 1), (3, 1), False),
        ("btree", (3,), (3, 1), False),
        ("btree", (0, 2), (2,), False),
        ("hash", (2,), (2,), True),
        ("gin", (2,), (2,), False),
        ("brin", (2,), (2,), False),
        ("gist", (2,), (2,), False),
    ],
)
def test_an_index_serves_a_key_by_its_first_columns(
    method: str, numbers: tuple[int, ...], key: tuple[int, ...], expected: bool
) -> None:
    found = ForeignKey(ORDERS, "k", tuple("abc"[: len(key)]), key)
    assert serves(IndexKeys(ORDERS, "i", method, numbers), found) is expected


@pytest.mark.parametrize(
    ("method", "numbers", "expected"),
    [
        ("gist", (2, 4), True),
        ("gist", (2,), True),
        ("btree", (2,), True),
        ("btree", (4, 2), False),
        ("spgist", (2,), False),
    ],
)
def test_a_temporal_key_is_served_where_what_is_equal_is_found(
    method: str, numbers: tuple[int, ...], expected: bool
) -> None:
    key = ForeignKey(ORDERS, "k", ("room", "during"), (2, 4), temporal=True)
    assert serves(IndexKeys(ORDERS, "i", method, numbers), key) is expected


def test_indexes_of_other_tables_and_those_under_decision_do_not_count() -> None:
    elsewhere = IndexKeys(LINES, "i", "btree", (2,))
    here = IndexKeys(ORDERS, "orders_customer_id_fkey_idx", "btree", (2,))
    own = frozenset({QualifiedName("public", "orders_customer_id_fkey_idx")})
    assert uncovered([CUSTOMER], [elsewhere], frozenset()) == (CUSTOMER,)
    assert uncovered([CUSTOMER], [here], frozenset()) == ()
    assert uncovered([CUSTOMER], [here], own) == (CUSTOMER,)
    built = IndexKeys(ORDERS, temporary_name(ORDERS, here.name), "btree", (2,))
    assert uncovered([CUSTOMER], [built], frozenset()) == (CUSTOMER,)


def test_two_keys_on_the_same_columns_get_one_index() -> None:
    again = ForeignKey(LINES, "another_fkey", ("order_id", "tenant"), (1, 3))
    found = indexes_for([CUSTOMER, PAIR, again])
    assert [(index.name, [column.name for column in index.columns]) for index in found] == [
        ("orders_customer_id_fkey_idx", ["customer_id"]),
        ("order_lines_tenant_order_id_fkey_idx", ["tenant", "order_id"]),
    ]


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ([("a",), ("a", "b")], ["orders_a_b_fkey_idx"]),
        ([("b",), ("a", "b")], ["orders_b_fkey_idx", "orders_a_b_fkey_idx"]),
        ([("b", "a"), ("a", "b", "c")], ["orders_a_b_c_fkey_idx"]),
    ],
)
def test_an_index_that_begins_with_another_keys_columns_serves_both(
    columns: list[tuple[str, ...]], names: list[str]
) -> None:
    keys = [ForeignKey(ORDERS, "_".join(one), one, tuple(map(ord, one))) for one in columns]
    found = indexes_for(keys)
    assert [index.name for index in found] == names
    made = [IndexKeys(ORDERS, i.name, "btree", tuple(ord(c.name) for c in i.columns)) for i in found]
    assert uncovered(keys, made, frozenset()) == ()


NAME, HASHED = "orders_customer_id_fkey_idx", "orders_customer_id_HASH_fkey_idx"


@pytest.mark.parametrize(
    ("table", "comment", "expected"),
    [
        (ORDERS, "managed by pgstead.ops.foreign_key_indexes", NAME),
        (ORDERS, "", HASHED),  # somebody made it: it may be partial, or unique
        (ORDERS, "managed by pgstead.ops.indexes", HASHED),
        (LINES, "managed by pgstead.ops.foreign_key_indexes", HASHED),
    ],
)
def test_a_derived_name_that_is_not_ours_is_left_to_whom_it_belongs(
    table: QualifiedName, comment: str, expected: str
) -> None:
    there = ObservedIndex(table, NAME, Form("USING btree (customer_id) WHERE (a > 0)", unique=True), comment=comment)
    (found,) = with_free_names(indexes_for([CUSTOMER]), {there.key: there})
    assert found.name == expected.replace("HASH", short_hash(NAME)[:6])
    both = {there.key: there, QualifiedName("public", found.name): replace(there, name=found.name, comment="")}
    (again,) = with_free_names(indexes_for([CUSTOMER]), both)
    assert QualifiedName("public", again.name) not in both
    assert with_free_names(indexes_for([CUSTOMER]), {}) == indexes_for([CUSTOMER])


def test_two_tables_whose_derived_names_meet_get_one_each() -> None:
    keys = [
        ForeignKey(QualifiedName("public", name), "f", (column,), (1,)) for name, column in (("t", "a_b"), ("t_a", "b"))
    ]
    first, second = with_free_names(indexes_for(keys), {})
    assert (first.name, second.name) == ("t_a_b_fkey_idx", f"t_a_b_{short_hash(first.name)[:6]}_fkey_idx")
    comment = "managed by pgstead.ops.foreign_key_indexes"
    made = [ObservedIndex(one.table, one.name, Form("USING btree (b)"), comment=comment) for one in (first, second)]
    assert with_free_names(indexes_for(keys), {one.key: one for one in made}) == (first, second)


@pytest.mark.parametrize(
    ("exclude", "minimum", "wanted"),
    [
        ([], "0MB", {"orders_customer_fkey", "lines_order_fkey"}),
        ([], "8MB", {"lines_order_fkey"}),  # the partitions count
        ([{"table": "orders"}], "0MB", {"lines_order_fkey"}),
        ([{"table": "order_lines", "constraint": "lines_order_fkey"}], "0MB", {"orders_customer_fkey"}),
        ([{"table": "order_lines", "constraint": "another"}], "0MB", {"orders_customer_fkey", "lines_order_fkey"}),
    ],
)
def test_choice(exclude: list[dict[str, str]], minimum: str, wanted: set[str]) -> None:
    chosen, problems = choice(exclude, minimum, "public")
    assert problems == ()
    assert {key.name for key in (CUSTOMER, PAIR) if chosen.wants(key, TABLES)} == wanted


@pytest.mark.parametrize(
    ("exclude", "minimum", "where"),
    [([{"table": "a.b.c"}], "0MB", "exclude[0]"), ([], "much", "minimum_size"), ([], "-1MB", "minimum_size")],
)
def test_bad_choices_are_named(exclude: list[dict[str, str]], minimum: str, where: str) -> None:
    _, problems = choice(exclude, minimum, "public")
    assert [problem.where for problem in problems] == [where]


def test_an_exclusion_that_excludes_nothing_is_named() -> None:
    chosen, _ = choice([{"table": "orders", "constraint": "gone"}, {"table": "orders"}], "0MB", "public")
    (problem,) = unknown(chosen, [CUSTOMER])
    assert "public.orders has no foreign key gone" in problem.what


def test_description() -> None:
    assert described(CUSTOMER, TABLES) == {
        "table": "public.orders",
        "constraint": "orders_customer_fkey",
        "columns": ["customer_id"],
        "table_size": "8 kB",
    }
