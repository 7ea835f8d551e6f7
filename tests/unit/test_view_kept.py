"""What a view that is made again gets back, and what is said where it cannot have it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.view_kept import (
    Column,
    Kept,
    fitting,
    in_the_way,
    lost,
)
from ansible_collections.pgstead.ops.tests.unit.schema_world import there

READ = (("app", "SELECT", False),)
TOLD = Column("a", "text", "why", READ)
PACKED = replace(TOLD, statistics=9, options=("n_distinct=5",), storage="external", compression="lz4")
ALL = Kept(("", "app"), ("SELECT",), (PACKED,), (), "stack", "fast", (there("i", "mv"),), (("i", "a"), ("i", "b")))
TYPES = {"a": "text", "b": "integer"}


@pytest.mark.parametrize(
    ("types", "materialized", "expected"),
    [
        (TYPES, True, ALL),
        (TYPES, False, Kept(ALL.given, ALL.own, (TOLD,))),
        ({"a": "name"}, True, replace(ALL, columns=(replace(PACKED, storage="", compression=""),))),
        ({"b": "integer"}, True, replace(ALL, columns=())),
        ({"b": "integer"}, False, Kept(ALL.given, ALL.own)),
    ],
)
def test_what_it_gets_back(types: dict[str, str], materialized: bool, expected: Kept) -> None:
    assert fitting(ALL, types, materialized) == expected


@pytest.mark.parametrize(
    ("kept", "types", "materialized", "expected"),
    [
        (ALL, TYPES, True, ()),
        (ALL, {"a": "name", "b": "text"}, True, ()),
        (ALL, {"b": "integer"}, True, ("rights on column a", "index i on a")),
        (ALL, {"b": "integer"}, False, ("rights on column a",)),
        (ALL, {}, True, ("rights on column a", "index i on a, b")),
        (Kept(extras=("trigger t",)), TYPES, False, ("trigger t",)),
        (Kept(columns=(Column("c", "text", "why"),)), TYPES, True, ()),
    ],
)
def test_what_is_in_the_way(kept: Kept, types: dict[str, str], materialized: bool, expected: tuple[str, ...]) -> None:
    assert in_the_way(kept, types, materialized) == expected


@pytest.mark.parametrize(
    ("types", "materialized", "expected"),
    [
        (TYPES, True, ()),
        ({"b": "integer"}, True, ()),
        ({"a": "name"}, True, ("storage of column a", "compression of column a")),
        (TYPES, False, ("index i", "tablespace fast", "access method stack", "settings of column a")),
        ({}, False, ("index i", "tablespace fast", "access method stack")),
    ],
)
def test_what_it_cannot_have(types: dict[str, str], materialized: bool, expected: tuple[str, ...]) -> None:
    assert lost(ALL, types, materialized) == expected


def test_a_plain_view_loses_nothing() -> None:
    assert lost(Kept(columns=(TOLD,)), TYPES, materialized=False) == ()
