"""The audit trail as it is declared, and all that is wrong with it before a server is asked."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_spec import Audit, Audited, audit
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName


def read(*tables: Any, **more: Any) -> tuple[Audit, list[str]]:
    found, problems = audit({"tables": list(tables), **more}, "app")
    return found, [str(problem) for problem in problems]


def test_what_is_declared() -> None:
    found, problems = read(
        "orders",
        {"name": "public.users", "redacted_columns": ["email", "email"], "excluded_columns": ["seen"], "mode": "full"},
        {"name": "old", "state": "absent"},
        audit_schema="trail",
        partitions_ahead=5,
        readers=["auditor", "auditor"],
        context={"user": "app.user_id", "role": "app.role"},
        retention="2 years",
    )
    assert problems == []
    assert found == Audit(
        schema="trail",
        tables=(
            Audited("tables[0]", QualifiedName("app", "orders")),
            Audited("tables[1]", QualifiedName("public", "users"), True, ("seen",), ("email",)),
            Audited("tables[2]", QualifiedName("app", "old"), present=False),
        ),
        ahead=5,
        readers=("auditor",),
        user_setting="app.user_id",
        role_setting="app.role",
    )
    assert str(found.log) == "trail.log"


def test_the_mode_of_all_is_that_of_each_table_without_one() -> None:
    found, problems = read("a", {"name": "b", "mode": "changed"}, {"name": "c", "mode": None}, mode="full")
    assert (problems, [table.full for table in found.tables]) == ([], [True, False, True])


def test_nothing_said_is_the_default() -> None:
    assert read() == (Audit(), [])


@pytest.mark.parametrize(
    ("tables", "more", "said"),
    [
        ([{"mode": "full"}], {}, ["tables[0]: needs name"]),
        ([7], {}, ["tables[0]: needs name"]),
        (["a.b.c"], {}, ["tables[0] (a.b.c): 'a.b.c' is not a name"]),
        (["t", "app.t"], {}, ["tables[1] (app.t): tables[0] declares the same table"]),
        ([{"name": "t", "exclude": ["a"]}], {}, ["tables[0] (t): exclude: an audited table has name, state, mode"]),
        ([{"name": "t", "state": "gone"}], {}, ["tables[0] (t): state 'gone' is not one of present, absent"]),
        ([{"name": "t", "mode": "some"}], {}, ["tables[0] (t): mode 'some' is not one of changed, full"]),
        (
            [{"name": "t", "excluded_columns": ["a", "b"], "redacted_columns": ["b", "a"]}],
            {},
            ["tables[0] (t): column a is both excluded", "tables[0] (t): column b is both excluded"],
        ),
        (["audit.log"], {}, ["tables[0] (audit.log): is in the schema of the log itself"]),
        (["trail.x"], {"audit_schema": "trail"}, ["tables[0] (trail.x): is in the schema of the log itself"]),
        ([], {"audit_schema": "public"}, ["audit_schema: 'public' is not a schema for the log"]),
        ([], {"audit_schema": "pg_audit"}, ["audit_schema: 'pg_audit' is not a schema for the log"]),
        ([], {"audit_schema": "x" * 64}, [f"audit_schema: '{'x' * 64}' is longer than 63 bytes"]),
        ([], {"mode": "none"}, ["mode: 'none' is not one of changed, full"]),
        ([], {"partitions_ahead": 1}, ["partitions_ahead: 1: at least 2 months"]),
        ([], {"partitions_ahead": "many"}, ["partitions_ahead: many: at least 2 months"]),
        ([], {"retention": "3 weeks"}, ["retention: '3 weeks' is no time to keep the log for: write 2 years"]),
        ([], {"retention": "0 months"}, ["retention: '0 months' is shorter than a partition"]),
        ([], {"context": {"user": "me"}}, ["context.user: 'me' is not a setting of your own"]),
        (
            [{"name": "t", "mode": "x"}, "a.b.c", "audit.log"],
            {"retention": "soon", "partitions_ahead": 0},
            [
                "partitions_ahead: 0",
                "retention: 'soon'",
                "tables[0] (t): mode",
                "tables[1] (a.b.c)",
                "tables[2] (audit.log)",
            ],
        ),
    ],
)
def test_all_that_is_wrong_is_named_with_its_place(tables: list[Any], more: dict[str, Any], said: list[str]) -> None:
    _found, problems = read(*tables, **more)
    assert len(problems) == len(said), problems
    for problem, words in zip(problems, said, strict=True):
        assert problem.startswith(words)
