"""What an audit trigger is told, and what that remembers: names of tables, and which columns were hidden."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit import ObservedTrigger
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_spec import Audited
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_told import Columns, arguments
from ansible_collections.pgstead.ops.tests.unit.schema_world import q
from ansible_collections.pgstead.ops.tests.unit.test_audit import (
    COLUMNS,
    DECLARED,
    OURS,
    T,
    forms,
    home,
    observed,
    plan,
    said,
    steps,
    there,
)


def renamed(told: str, name: str, comment: str = OURS, function: Any = DECLARED.recorder) -> dict[Any, ObservedTrigger]:
    """Triggers of a partitioned table, as they are after it was given another name."""
    forms_then = forms(Audited("tables[0]", q(told)), partitioned=True, function=function)
    return {(q(name), each): ObservedTrigger(form, "A", comment) for each, form in forms_then.items()}


def test_a_renamed_table_that_nobody_declares_writes_under_its_own_name_again() -> None:
    found = plan(observed(home(), {**there(), **renamed("e", "t2")}))
    assert steps(found) == [("attach", "t2")]
    assert {form.arguments[7:] for _name, form in found.changes[0].subject.triggers} == {("public", "t2")}
    assert [line.partition(" on ")[2] for line in found.drift] == [
        "public.t2 wrote under the name public.e: somebody renamed the table"
    ] * 2
    assert found.unmanaged == ("audit of public.t2",)
    for theirs in (renamed("e", "t2", comment="mine"), renamed("e", "t2", function=q("other.record_change"))):
        assert steps(plan(observed(home(), {**there(), **theirs}))) == []


def test_a_renamed_table_that_is_declared_is_drift() -> None:
    found = plan(observed(home(), renamed("t", "e")), replace(DECLARED, tables=(Audited("tables[0]", q("e")),)))
    assert steps(found) == [("attach", "e")]
    assert ["wrote under the name public.t: somebody renamed" in line for line in found.drift] == [True, True]


NOW = {"id": 1, "a": 2, "b": 4}


@pytest.mark.parametrize(
    ("numbers", "oid", "item", "words"),
    [
        (NOW, 77, T, []),
        ({"id": 1, "a": 2, "c": 4}, 77, T, ["column b was hidden, and is now c: hide c too"]),
        ({"id": 1, "a": 2, "c": 4}, 77, replace(T, excluded=("c",)), []),
        (
            {"id": 1, "a": 2, "c": 4, "b": 5},
            77,
            T,
            ["column b is another one than the hidden one, which is now c: hide"],
        ),
        ({"id": 1, "a": 2, "c": 4, "b": 5}, 77, replace(T, redacted=("b", "c")), []),
        (
            {"id": 1, "b": 2, "a": 4},
            77,
            replace(T, redacted=("b",)),
            ["column b is another one than the hidden one, which is"],
        ),
        ({"id": 1, "a": 2, "b": 5}, 77, T, []),  # dropped, and made anew
        ({"id": 1, "a": 2, "c": 4}, 78, T, []),  # a restored dump counts anew
    ],
)
def test_a_column_that_was_hidden_is_known_by_its_number(
    numbers: dict[str, int], oid: int, item: Audited, words: list[str]
) -> None:
    at = observed(home(), there(replace(T, redacted=("b",))))
    at = replace(at, columns={T.table: Columns(numbers, ("id",), oid)})
    found = said(item, at=at)
    assert len(found) == len(words), found
    assert all(one in line for one, line in zip(words, found, strict=True))


@pytest.mark.parametrize("told", [("full",), (*["{}"] * 10, "no numbers"), (*["{}"] * 10, ""), (*["{}"] * 10, "77 ²")])
def test_arguments_that_are_none_of_ours_remember_nothing(told: tuple[str, ...]) -> None:
    assert said(T, at=observed(home(), there(arguments=told))) == []


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (T, []),
        (replace(T, redacted=("a",)), ["column b is computed from the hidden column a: hide b too"]),
        (replace(T, excluded=("a",)), ["column b is computed from the hidden column a: hide b too"]),
        (replace(T, redacted=("a",), excluded=("b",)), []),
        (replace(T, redacted=("b",)), []),
    ],
)
def test_what_is_computed_from_a_hidden_column_is_not_shown(item: Audited, words: list[str]) -> None:
    at = replace(observed(home()), columns={T.table: Columns(NOW, ("id",), 77, computed=(("b", "a"),))})
    assert [line.partition(": ")[2] for line in said(item, at=at)] == words


def test_virtual_columns_are_left_out_and_not_exported_as_declared() -> None:
    columns = Columns(NOW, ("id",), 77, virtual=("b",))
    assert arguments(T, DECLARED, columns, partitioned=False)[2:5] == ('{"b"}', "{}", "{}")
    hiding = replace(T, excluded=("a",), redacted=("b",))
    assert arguments(hiding, DECLARED, columns, partitioned=False)[2:5] == ('{"a"}', '{"a","b"}', '{"b": "***"}')


def test_a_partitioned_table_is_recorded_under_its_own_name() -> None:
    item = Audited("tables[0]", q("e"), True, ("a",), ("b",))
    name = ("public", "e")
    told = arguments(item, DECLARED, COLUMNS[item.table], partitioned=True)
    assert told == (
        "full",
        '{"id"}',
        '{"a"}',
        '{"a","b"}',
        '{"b": "***"}',
        "app.user",
        "",
        *name,
        '{"a","b","id"}',
        "77 2 4",
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), max_size=4))
def test_any_name_can_be_told_to_the_function(names: list[str]) -> None:
    item = Audited("tables[0]", q("t"), redacted=tuple(names))
    _mode, key, _left_out, hidden, mask, *_rest = arguments(
        item, DECLARED, Columns(dict.fromkeys(names, 1), tuple(names)), partitioned=False
    )
    assert json.loads(mask) == dict.fromkeys(names, "***")
    assert key == hidden == "{" + ",".join(json_like(name) for name in names) + "}"


def json_like(name: str) -> str:
    """Quote as SQL arrays do."""
    return '"' + "".join("\\" + letter if letter in '"\\' else letter for letter in name) + '"'
