"""Observed views and policies become the items that the modules accept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security import (
    ObservedPolicy,
    ObservedTable,
    PolicyForm,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security_spec import Surroundings, protected_tables
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_export_security import (
    export_row_security,
    export_views,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.view import ObservedView, ViewForm
from ansible_collections.pgstead.ops.plugins.module_utils._core.view_spec import views

T = QualifiedName("public", "orders")
FORM = PolicyForm("all", True, frozenset({"b", "a"}), "(x = 1)", "(x = 1)")


def view(name: str = "v", schema: str = "public", **what: Any) -> ObservedView:
    form = ViewForm("SELECT 1", (), what.pop("options", ()), what.pop("materialized", False))
    return ObservedView(QualifiedName(schema, name), form, **what)


@pytest.mark.parametrize(
    ("one", "more"),
    [
        (view(), {}),
        (view(comment="managed by pgstead.ops.views"), {}),
        (view(comment="why\nmanaged by pgstead.ops.views"), {"comment": "why"}),
        (view(options=(("check_option", "local"), ("security_invoker", "true"))),
         {"check_option": "local", "security_invoker": True}),
        (view(materialized=True), {"materialized": True}),
        (view(schema="app"), {"name": "app.v"}),
        (view("a.b", "app"), {"name": 'app."a.b"'}),
    ],
)  # fmt: skip
def test_views(one: ObservedView, more: dict[str, Any]) -> None:
    items, skipped = export_views([one], "public")
    assert (items, skipped) == ([{"name": "v", "query": "SELECT 1", **more}], [])
    ((made,), problems) = views(items, "public")
    assert (made.name, made.options, problems) == (one.name, one.form.options, ())


def test_views_that_are_left_out() -> None:
    given = [view("v", "app"), view("w", "app"), view("w", "zoo"), view(), view("pgstead_new_1")]
    items, skipped = export_views([*given, view("m", materialized=True, populated=False)], "public")
    assert [item["name"] for item in items] == ["v", "app.w"]
    assert [text.split(": ")[0] for text in skipped] == [
        "materialised view public.m",
        "view public.pgstead_new_1",
        "view app.v",
        "view zoo.w",
    ]
    items, skipped = export_views([view("m", materialized=True, storage=("fillfactor=70",))], "public")
    assert len(items) == 1
    assert skipped == ["fillfactor=70 of materialised view public.m: module views has no storage parameters"]


def protected(*forms: PolicyForm, **what: Any) -> ObservedTable:
    policies = tuple(ObservedPolicy(name, form) for name, form in zip("pqr", forms, strict=False))
    return ObservedTable(T, what.get("enabled", True), what.get("forced", True), policies)


ITEM = {"name": "p", "roles": ["a", "b"], "using": "(x = 1)"}
RESTRICTIVE = replace(FORM, permissive=False, command="update", check="(y = 1)")


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (protected(FORM), {"name": "orders", "policies": [ITEM]}),
        (protected(replace(FORM, check="")), {"name": "orders", "policies": [ITEM]}),
        (protected(FORM, forced=False), {"name": "orders", "force": False, "policies": [ITEM]}),
        (
            protected(FORM, RESTRICTIVE),
            {
                "name": "orders",
                "policies": [
                    ITEM,
                    {**ITEM, "name": "q", "command": "update", "restrictive": True, "with_check": "(y = 1)"},
                ],
            },
        ),
        (
            protected(replace(FORM, command="insert", using="", roles=frozenset({"public"}))),
            {
                "name": "orders",
                "policies": [{"name": "p", "command": "insert", "roles": ["public"], "with_check": "(x = 1)"}],
            },
        ),
    ],
)
def test_row_security(there: ObservedTable, expected: dict[str, Any]) -> None:
    assert export_row_security([there], (), "public") == ([expected], [])
    ((made,), problems) = protected_tables([expected], Surroundings(None, (), None, "public"))
    assert problems == ()
    assert [p.roles for p in made.policies] == [tuple(sorted(policy.form.roles)) for policy in there.policies]
    assert [p.check for p in made.policies] == [policy.form.written for policy in there.policies]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (protected(), "no policy at all"),
        (protected(FORM, enabled=False), "it is disabled"),
        (protected(enabled=False), "it is disabled"),
        (protected(RESTRICTIVE), "only restrictive"),
        (protected(replace(FORM, using="(x = current_setting('a.b'::text))")), "without NULLIF"),
        (protected(replace(FORM, using="", check="")), "give using"),
        (protected(replace(FORM, using="(x = app.f())")), "policy p: app.f() is called for each row"),
    ],
)
def test_row_security_that_is_left_out(there: ObservedTable, words: str) -> None:
    items, (skipped,) = export_row_security([there], frozenset({"app.f"}), "public")
    assert items == []
    assert skipped.startswith("row security of public.orders: ")
    assert words in skipped
