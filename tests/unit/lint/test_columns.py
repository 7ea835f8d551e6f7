"""What the lint says of columns, sequences, functions and extensions, as tables of cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import lint_columns, lint_routines
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import (
    Column,
    Extension,
    Fix,
    Routine,
    Rules,
    Sequence,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName

from .made import P, T, database

S = QualifiedName("public", "t_id_seq")
INT, BIG = 2**31 - 1, 2**63 - 1
SERIAL = Sequence(S, "integer", 1, INT, table=T, column="id", column_type="integer", serial=True)


@pytest.mark.parametrize(
    ("check", "base", "kind"),
    [
        (lint_columns.column_json, "json", "json"),
        (lint_columns.column_money, "money", "money"),
        (lint_columns.column_char, "bpchar", "character(3)"),
        (lint_columns.column_timestamp, "timestamp", "timestamp(3) without time zone"),
    ],
)
def test_types(check: Any, base: str, kind: str) -> None:
    columns = tuple(
        Column(T, name, name, kind if name == base else name) for name in ("json", "money", "bpchar", "timestamp")
    )
    (found,) = check(database(columns=columns), Rules())
    assert (found.object, found.fixes) == (f"public.t.{base}", ())
    assert found.detail.startswith(f"{kind} ")
    assert "a person has to decide" in found.detail


@pytest.mark.parametrize(
    ("sequence", "mended"),
    [
        (SERIAL, True),
        (replace(SERIAL, ordinary=False), False),
        (replace(SERIAL, table=P), False),
        (replace(SERIAL, column="n"), False),  # may be NULL
        (replace(SERIAL, column_type="numeric"), False),
        (replace(SERIAL, plain_column=False), False),
        (replace(SERIAL, serial=False), None),
        (replace(SERIAL, serial=False, identity=True), None),
        (replace(SERIAL, table=None, serial=False), None),
    ],
)
def test_serials(sequence: Sequence, mended: bool | None) -> None:
    found = list(lint_columns.column_serial(database(sequences=(sequence,), not_null={T: frozenset({"id"})}), Rules()))
    assert len(found) == (mended is not None)
    for each in found:
        assert [fix.action for fix in each.fixes] == (["identity"] if mended else [])
        assert mended != ("a person has to" in each.detail)


def test_a_serial_whose_sequence_feeds_another_column_too_is_left_to_a_person() -> None:
    twice = (SERIAL, replace(SERIAL, table=P, serial=False))
    (found,) = lint_columns.column_serial(database(sequences=twice, not_null={T: frozenset({"id"})}), Rules())
    assert found.fixes == ()


BIG_IN_INT = replace(SERIAL, type="bigint", maximum=BIG)
INT_IN_BIG = replace(SERIAL, column_type="bigint")
DOWN = Sequence(S, "integer", -(2**31), -1, increment=-1, ordinary=False)


@pytest.mark.parametrize(
    ("sequence", "last", "level"),
    [
        (SERIAL, None, None),
        (SERIAL, int(INT * 0.749), None),
        (SERIAL, int(INT * 0.751), "warning"),
        (SERIAL, int(INT * 0.899), "warning"),
        (SERIAL, int(INT * 0.901), "error"),
        (BIG_IN_INT, int(INT * 0.91), "error"),
        (BIG_IN_INT, INT * 2, "error"),
        (INT_IN_BIG, int(INT * 0.8), "warning"),
        (replace(SERIAL, type="bigint", maximum=BIG, column_type="bigint"), INT * 2, None),
        (replace(SERIAL, type="smallint", maximum=2**15 - 1, column_type="smallint"), 30_000, "error"),
        (replace(SERIAL, maximum=1000, ordinary=False), 800, "warning"),
        (replace(SERIAL, maximum=1000, cycle=True, ordinary=False), 999, None),
        (replace(BIG_IN_INT, cycle=True, ordinary=False), INT, "error"),
        (Sequence(S, "bigint", 1, BIG), int(BIG * 0.8), "warning"),
        (DOWN, -(2**31) + 5, "error"),
        (DOWN, -100, None),
        (replace(SERIAL, column_type="numeric"), int(INT * 0.8), "warning"),
    ],
)
def test_sequences_that_run_out(sequence: Sequence, last: int | None, level: str | None) -> None:
    found = list(lint_columns.sequence_near_limit(database(sequences=(replace(sequence, last=last),)), Rules()))
    assert [each.level for each in found] == ([level] if level else [])


@pytest.mark.parametrize(
    ("sequence", "fixes"),
    [
        (INT_IN_BIG, (Fix("sequence_type", S, text="bigint"),)),
        (replace(INT_IN_BIG, ordinary=False), ()),
        (SERIAL, ()),
        (BIG_IN_INT, ()),
        (replace(SERIAL, column_type="numeric"), (Fix("sequence_type", S, text="bigint"),)),
    ],
)
def test_only_a_sequence_that_is_smaller_than_its_column_is_mended_in_passing(sequence: Sequence, fixes: Any) -> None:
    (found,) = lint_columns.sequence_near_limit(database(sequences=(replace(sequence, last=2_000_000_000),)), Rules())
    assert found.fixes == fixes
    assert bool(fixes) != ("a person has to decide" in found.detail)


def test_a_shared_sequence_is_named_once_at_its_narrowest_column() -> None:
    shared = (
        replace(BIG_IN_INT, last=2_000_000_000, table=P, column_type="bigint"),
        replace(BIG_IN_INT, last=2_000_000_000),
    )
    (found,) = lint_columns.sequence_near_limit(database(sequences=shared), Rules())
    assert "public.t.id (integer)" in found.detail


def test_sequences_that_may_not_be_read_are_counted() -> None:
    hidden = tuple(replace(SERIAL, name=QualifiedName("public", f"s{n}"), readable=False) for n in range(5))
    said = lint_columns.sequences_unreadable(database(sequences=(*hidden, SERIAL)), Rules())
    assert "public.s0, public.s1, public.s2 and 2 others" in said
    assert lint_columns.sequences_unreadable(database(sequences=(SERIAL,)), Rules()) == ""


def test_routines() -> None:
    routines = (
        Routine(QualifiedName("app", "f"), "a integer, b app.kind"),
        Routine(QualifiedName("app", "p"), "", procedure=True),
    )
    found = list(lint_routines.security_definer_without_search_path(database(routines=routines), Rules()))
    assert [each.object for each in found] == ["app.f(a integer, b app.kind)", "app.p()"]
    assert [each.fixes[0].action for each in found] == ["function_search_path", "procedure_search_path"]
    assert list(lint_routines.security_definer_without_search_path(database(), Rules())) == []


def test_extensions() -> None:
    old = (Extension(QualifiedName("public", "citext"), "1.4", "1.6"),)
    (found,) = lint_routines.extension_older_than_available(database(extensions=old), Rules())
    assert found.object == "public.citext"
    assert found.fixes == (Fix("update_extension", QualifiedName("public", "citext"), text="1.6"),)
    assert list(lint_routines.extension_older_than_available(database(), Rules())) == []
