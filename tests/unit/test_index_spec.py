"""A list of indexes as an inventory has it: read, completed, refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import Index, IndexColumn, indexes
from ansible_collections.pgstead.ops.tests.unit.schema_world import q


def one(**item: Any) -> Index:
    (found,), problems = indexes([{"table": "orders"} | item], "public")
    assert problems == ()
    return found


def said(*items: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in indexes(items, "public")[1]]


def test_everything() -> None:
    found = one(
        table="sales.orders",
        name="recent",
        columns=[
            "user_id",
            {"column": "name", "opclass": "text_pattern_ops", "collation": "C", "order": "desc"},
            {"expression": " lower(mail) ", "order": "ASC", "nulls": "first"},
            {"column": "doc", "opclass": "gin_trgm_ops", "opclass_parameters": {"siglen": 32}},
        ],
        include=["total"],
        where=" total > 0 ",
        unique=True,
        nulls_not_distinct=True,
        method="gist",
        storage_parameters={"fillfactor": 70, "deduplicate_items": False, "buffering": True},
        tablespace="fast",
        comment="for reports",
    )
    assert found == Index(
        position="indexes[0]",
        table=q("sales.orders"),
        name="recent",
        named=True,
        columns=(
            IndexColumn("user_id"),
            IndexColumn("name", opclass="text_pattern_ops", collation="C", descending=True),
            IndexColumn(expression="lower(mail)", nulls="first"),
            IndexColumn("doc", opclass="gin_trgm_ops", opclass_parameters=(("siglen", "32"),)),
        ),
        include=("total",),
        predicate="total > 0",
        unique=True,
        nulls_not_distinct=True,
        method="gist",
        storage=(("buffering", "on"), ("deduplicate_items", "off"), ("fillfactor", "70")),
        tablespace="fast",
        comment="for reports",
    )


def test_defaults() -> None:
    found = one(columns=["a"], comment=None, where=None, include=None, state=None, method=None)
    assert found == Index("indexes[0]", q("orders"), "orders_a_idx", False, (IndexColumn("a"),))
    assert found.comment is None
    assert one(columns=["a"], comment="").comment == ""


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"columns": ["user_id"]}, "orders_user_id_idx"),
        ({"columns": "a, b"}, "orders_a_b_idx"),  # as Ansible reads a list
        ({"columns": ["a"], "include": "c,d"}, "orders_a_c_d_idx"),
        ({"columns": [{"expression": "lower(a)"}, "b"]}, "orders_expr_b_idx"),
        ({"columns": ["a"], "name": ""}, "orders_a_idx"),
        ({"table": "Sales.Order Lines", "columns": ["Nr"]}, "Order Lines_Nr_idx"),
    ],
)
def test_names(item: dict[str, Any], name: str) -> None:
    assert one(**item).name == name


@pytest.mark.parametrize(
    ("order", "nulls", "descending", "kept"),
    [
        ("asc", "last", False, ""),
        ("asc", "first", False, "first"),
        ("desc", "first", True, ""),
        ("desc", "last", True, "last"),
        ("DESC", "LAST", True, "last"),
        (None, None, False, ""),
        ("", "", False, ""),
    ],
)
def test_order(order: str | None, nulls: str | None, kept: str, *, descending: bool) -> None:
    (column,) = one(columns=[{"column": "a", "order": order, "nulls": nulls}]).columns
    assert (column.descending, column.nulls) == (descending, kept)


@pytest.mark.parametrize(
    ("item", "plain"),
    [
        ({"columns": ["a", {"column": "b", "order": "desc", "nulls": "last"}], "include": ["c"]}, True),
        ({"columns": ["a"], "unique": True, "nulls_not_distinct": True, "comment": "x", "name": "y"}, True),
        ({"columns": ["a"], "method": "hash"}, True),
        ({"columns": [{"expression": "a + 1"}]}, False),
        ({"columns": [{"column": "a", "opclass": "text_ops"}]}, False),
        ({"columns": [{"column": "a", "collation": "C"}]}, False),
        ({"columns": ["a"], "where": "a > 0"}, False),
        ({"columns": ["a"], "storage_parameters": {"fillfactor": 70}}, False),
        ({"columns": ["a"], "tablespace": "fast"}, False),
    ],
)
def test_whose_text_can_be_foretold(item: dict[str, Any], *, plain: bool) -> None:
    assert one(**item).plain is plain


@pytest.mark.parametrize("item", [{"name": "x", "state": "absent"}, {"columns": ["a"], "state": "absent"}])
def test_absent(item: dict[str, Any]) -> None:
    assert one(**item).present is False


@pytest.mark.parametrize(
    ("item", "what"),
    [
        ({}, "columns is empty"),
        ({"name": "x", "columns": []}, "columns is empty"),
        ({"state": "absent"}, "columns is empty"),
        ({"columns": ["a"], "table": "a.b.c"}, "is not a name"),
        ({"columns": ["a"], "name": "pgstead_x"}, "begins with pgstead_"),
        ({"columns": ["a"], "name": "x" * 64}, "longer than 63 bytes"),
        ({"columns": ["x" * 64]}, "longer than 63 bytes"),
        ({"columns": ["a"], "include": ["x" * 64]}, "longer than 63 bytes"),
        ({"columns": ["a"], "where": "a > 0); DROP TABLE x; --"}, "a parenthesis at character 6 closes nothing"),
        ({"columns": [{"expression": "lower(a"}]}, "'lower(a': a parenthesis is not closed"),
        ({"columns": [{"column": "a", "expresion": "b"}]}, "columns: unknown key expresion"),
        ({"columns": [{"column": "a", "expression": "b"}]}, "give either column or expression"),
        ({"columns": [{"order": "desc"}]}, "give either column or expression"),
        ({"columns": [{"column": "a", "order": "down"}]}, "'down' is neither asc nor desc"),
        ({"columns": [{"column": "a", "nulls": "middle"}]}, "'middle' is neither first nor last"),
        ({"columns": [{"column": "a", "opclass_parameters": {"n": 1}}]}, "needs the opclass"),
        ({"columns": [{"column": "a", "opclass": 'public."x'}]}, "is not a name"),
        ({"columns": [{"column": "a", "collation": '"x'}]}, "is not a name"),
        ({"columns": ["a"], "nulls_not_distinct": True}, "set unique as well"),
    ],
)
def test_faulty_items(item: dict[str, Any], what: str) -> None:
    found, (problem,) = indexes([{"table": "orders"} | item, {"table": "u", "columns": ["a"]}], "public")
    assert what in problem.what
    assert problem.where == f"indexes[0] ({item.get('name') or item.get('table') or 'orders'})"
    assert [index.table.name for index in found] == ["u"]


def test_every_problem_at_once() -> None:
    assert len(said({"table": ""}, {"table": "t"}, {"table": "t", "columns": ["a"], "where": ")"})) == 3


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"columns": ["a"]}, {"columns": ["b"]}], []),
        ([{"columns": ["a"]}, {"columns": ["a"]}],
         ["indexes[1] (t_a_idx): indexes[0] would get the same name: give one a name"]),
        ([{"columns": [{"expression": "a + 1"}]}, {"columns": [{"expression": "a + 2"}]}],
         ["indexes[1] (t_expr_idx): indexes[0] would get the same name: give one a name"]),
        ([{"columns": ["a"], "name": "i"}, {"columns": ["b"], "name": "i"}],
         ["indexes[1] (i): indexes[0] has the same name"]),
        ([{"columns": ["a"], "name": "t_b_idx"}, {"columns": ["b"]}],
         ["indexes[1] (t_b_idx): indexes[0] would get the same name: give one a name"]),
        ([{"columns": ["a"], "name": "i"}, {"name": "i", "state": "absent"}],
         ["indexes[1] (i): indexes[0] has the same name"]),
        ([{"columns": ["a"], "name": "i"}, {"columns": ["a"], "name": "i", "table": "s.t"}], []),
        ([{"columns": ["a"], "name": "i"}, {"columns": ["a"], "name": "i", "table": "u"}],
         ["indexes[1] (i): indexes[0] has the same name"]),
    ],
)  # fmt: skip
def test_names_that_meet(items: list[dict[str, Any]], expected: list[str]) -> None:
    assert said(*({"table": "t"} | item for item in items)) == expected
