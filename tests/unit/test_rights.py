"""What a plan needs, by PostgreSQL's rules, and what is said to a role that lacks it."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.check_constraint import Step
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change, Mode
from ansible_collections.pgstead.ops.plugins.module_utils._core.rights import (
    DROP,
    MAKE,
    NAME,
    OWN,
    OWN_BELOW,
    Lack,
    needs,
    refusal,
)
from ansible_collections.pgstead.ops.tests.unit.schema_world import q


def change(kind: str, action: str, *, no_inherit: bool = False) -> Change:
    return Change(kind, q("t"), "x", action, "", Mode.TRANSACTION, Step(q("t"), "x", "x", no_inherit=no_inherit))


@pytest.mark.parametrize(
    ("kind", "action", "need"),
    [
        ("index", "build", NAME),
        ("index", "swap", NAME),
        ("index", "drop", DROP),
        ("index", "drop_tree", DROP),
        ("index", "attach", OWN),
        ("index", "comment", OWN),
        ("check_constraint", "add", OWN_BELOW),
        ("check_constraint", "validate", OWN),
        ("check_constraint", "drop", OWN),
        ("view", "create", NAME),
        ("view", "drop", DROP),
        ("view", "options", OWN),
        ("row_security", "protect", OWN),
        ("row_security", "context", MAKE),
        ("audit", "attach", OWN),
    ],
)
def test_what_a_change_needs(kind: str, action: str, need: str) -> None:
    assert needs([change(kind, action)]) == ((q("t"), need),)


@pytest.mark.parametrize(("kind", "action"), [("view", "refresh"), ("index", "analyze"), ("audit", "function")])
def test_what_needs_no_ownership(kind: str, action: str) -> None:
    assert needs([change(kind, action)]) == ()


def test_a_constraint_that_is_not_inherited_is_its_tables_alone() -> None:
    assert needs([change("check_constraint", "add", no_inherit=True)]) == ((q("t"), OWN),)


def test_a_need_is_asked_for_once() -> None:
    found = needs([change("index", "build"), change("index", "adopt"), change("index", "drop")])
    assert found == ((q("t"), NAME), (q("t"), DROP))


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ([], ""),
        (
            [Lack("public", "a", "boss")],
            "role r may not do this: public.a belongs to boss. What to do: act as the owner (session_role)",
        ),
        (
            [Lack("s", "b", "boss"), Lack("s", "a", "boss"), Lack("s", "c", "chief"), Lack("s")],
            (
                "role r may not do this: s.a, s.b belong to boss; s.c belongs to chief; it has no CREATE in s, where things "
                "get a name. What to do: act as the owner (session_role), and grant CREATE on the schema to the role that acts"
            ),
        ),
        (
            [Lack("s", f"t{number}", "boss") for number in range(7)],
            (
                "role r may not do this: s.t0, s.t1, s.t2, s.t3, s.t4 and 2 more belong to boss. What to do: act as the owner "
                "(session_role)"
            ),
        ),
    ],
)
def test_what_is_said(lacks: list[Lack], said: str) -> None:
    assert refusal("r", lacks) == said


def test_names_are_as_sql_writes_them() -> None:
    assert str(QualifiedName("s", "Odd")) in refusal("r", [Lack("s", "Odd", "boss")])
