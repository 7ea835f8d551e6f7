"""Tables and partitions: who is above, who is below, and what cannot carry an object."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import relation
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Difference, Plan, joined
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table
from ansible_collections.pgstead.ops.tests.unit.schema_world import TABLES, q, table

KNOWN = {one.name: one for one in [*TABLES, table("v", "v"), table("f", "f"), table("tmp", temporary=True)]}


@pytest.mark.parametrize(
    ("name", "above"), [("t", ""), ("e", ""), ("e1", "e"), ("e2", "e"), ("e2b", "e2 e"), ("gone", "")]
)
def test_ancestors(name: str, above: str) -> None:
    assert relation.ancestors(q(name), KNOWN) == tuple(map(q, above.split()))


@pytest.mark.parametrize(
    ("name", "direct", "whole"), [("t", "", ""), ("e", "e1 e2", "e1 e2 e2a e2b"), ("e2", "e2a e2b", "e2a e2b")]
)
def test_partitions(name: str, direct: str, whole: str) -> None:
    assert [one.name for one in relation.partitions(q(name), KNOWN)] == list(map(q, direct.split()))
    assert [one.name for one in relation.tree(q(name), KNOWN)] == list(map(q, whole.split()))


def test_a_parent_that_nobody_sees() -> None:
    alone = {q("p1"): table("p1", parent="p")}
    assert relation.ancestors(q("p1"), alone) == (q("p"),)
    assert relation.partitions(q("p"), alone) == (alone[q("p1")],)


@pytest.mark.parametrize(
    ("name", "accepted", "said"),
    [
        ("t", "rp", ""),
        ("mv", "rpm", ""),
        ("mv", "rp", "public.mv is a materialised view, which cannot carry this"),
        ("v", "rpm", "public.v is a view, which cannot carry this"),
        ("f", "rpm", "public.f is a foreign table, which cannot carry this"),
        ("tmp", "rp", "public.tmp is a temporary table"),
        ("s.tt", "rp", "table s.tt does not exist; did you mean s.t?"),
        ("s.e2c", "rp", "table s.e2c does not exist; did you mean public.e2?"),
        ("zebra", "rp", "table public.zebra does not exist"),
    ],
)
def test_tables_that_cannot_carry_it(name: str, accepted: str, said: str) -> None:
    found = relation.table_problem("here", q(name), KNOWN, accepted)
    assert (found.what if found else "") == said
    assert found is None or found.where == "here"


def test_a_kind_without_a_name() -> None:
    found = relation.table_problem("here", q("x"), {q("x"): Table(q("x"), "?", "boss")}, "r")
    assert found is not None
    assert found.what == "public.x is a ?, which cannot carry this"


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([], False),
        ([table("v", "v")], False),
        ([table("mv", "m")], False),
        ([table("tmp", temporary=True)], False),
        ([table("t")], True),
        ([table("e", "p")], True),
        ([table("f", "f")], True),
    ],
)
def test_whether_an_application_was_here(tables: list[Table], *, expected: bool) -> None:
    assert relation.user_tables({one.name: one for one in tables}) is expected


def test_inherited_twice() -> None:
    places = [("a", q("e")), ("b", q("e2b")), ("c", q("e2")), ("d", q("t")), ("x", q("e1"))]
    same = {"a": 1, "b": 1, "c": 2, "d": 1, "x": 2}
    (found,) = relation.inherited_twice(places, same, KNOWN)
    assert str(found) == "b: public.e is the parent of public.e2b and has the same at a"


def test_plans_are_joined_in_order() -> None:
    one = Plan((), (Difference("a", "", "x"),), ("d1",), ("u1",), ("w1",))
    other = Plan((), (Difference("b", "x", ""),), ("d2",), (), ("w2",))
    assert joined([one, other]) == Plan((), (*one.differences, *other.differences), ("d1", "d2"), ("u1",), ("w1", "w2"))
    assert joined([]) == Plan()
    assert q("s.t") == QualifiedName("s", "t")
