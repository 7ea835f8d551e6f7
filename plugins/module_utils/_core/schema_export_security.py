# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Views and row security as the items that modules views and row_security accept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from .expression import constant_calls
from .names import QualifiedName, table_text
from .plan import without_marker
from .row_security import ObservedPolicy, ObservedTable
from .row_security_spec import Surroundings, protected_tables
from .view import ObservedView
from .view_spec import views

Exported = tuple[list[dict[str, Any]], list[str]]  # items, and what is left out with the reason


def export_views(observed: Iterable[ObservedView], default_schema: str) -> Exported:
    """Return views as items; of two with one name, only that in the default schema, or else the first."""
    items: list[dict[str, Any]] = []
    skipped: list[str] = []
    taken: dict[str, QualifiedName] = {}
    for view in sorted(observed, key=lambda view: (view.name.schema != default_schema, view.name)):
        kind = "materialised view" if view.form.materialized else "view"
        item = view_item(view, default_schema)
        reason = _why_no_view(view, item, taken, default_schema)
        if reason:
            skipped.append(f"{kind} {view.name}: {reason}")
            continue
        taken[view.name.name] = view.name
        items.append(item)
        if view.storage:
            skipped.append(f"{', '.join(view.storage)} of {kind} {view.name}: module views has no storage parameters")
    return items, skipped


def _why_no_view(view: ObservedView, item: dict[str, Any], taken: dict[str, QualifiedName], default_schema: str) -> str:
    """Say why a view is not exported, or return an empty text."""
    if not view.populated:
        return "it is not filled, and module views would fill it"
    _, problems = views([item], default_schema)
    if problems:
        return problems[0].what
    twin = taken.get(view.name.name)
    return f"it has the name of {twin}, which needs a task of its own: export its schema by itself" if twin else ""


def view_item(view: ObservedView, default_schema: str) -> dict[str, Any]:
    """Return one view as an item of module views; what is PostgreSQL's default is left out."""
    item: dict[str, Any] = {
        "name": table_text(view.name, default_schema),
        "query": view.form.text,
        "materialized": view.form.materialized,
        **{name: value == "true" or value for name, value in view.form.options},
        "comment": without_marker(view.comment),
    }
    return {name: value for name, value in item.items() if value}


def export_row_security(observed: Iterable[ObservedTable], per_row: Collection[str], default_schema: str) -> Exported:
    """Return protected tables as items of module row_security."""
    items, skipped = [], []
    for there in sorted(observed, key=lambda there: there.table):
        reason = "" if there.enabled else "it is disabled, and module row_security would enable it"
        reason = reason or refusal(there, per_row, default_schema)
        if reason:
            skipped.append(f"row security of {there.table}: {reason}")
        else:
            items.append(protected_item(there, default_schema))
    return items, skipped


def refusal(there: ObservedTable, per_row: Collection[str], default_schema: str) -> str:
    """Say why module row_security would not accept a table's policies, or return an empty text.

    `per_row` names the functions that are called anew for each row.
    """
    item = protected_item(there, default_schema)
    _, problems = protected_tables([item], Surroundings(None, (), None, default_schema))
    if problems:
        return problems[0].what
    for policy in there.policies:
        for call in sorted(policy_calls(policy) & set(per_row)):
            return f"policy {policy.name}: {call}() is called for each row"
    return ""


def policy_calls(policy: ObservedPolicy) -> frozenset[str]:
    """Return the functions that a policy calls although no column is in their arguments."""
    return frozenset(call for text in (policy.form.using, policy.form.check) for call in constant_calls(text))


def protected_item(there: ObservedTable, default_schema: str) -> dict[str, Any]:
    """Return one table's row security as an item of module row_security, policy by policy."""
    item: dict[str, Any] = {"name": table_text(there.table, default_schema)}
    if not there.forced:
        item["force"] = False
    policies = sorted(there.policies, key=lambda policy: policy.name)
    return {**item, "policies": [_policy_item(policy) for policy in policies]}


def _policy_item(policy: ObservedPolicy) -> dict[str, Any]:
    form = policy.form
    item: dict[str, Any] = {
        "name": policy.name,
        "command": form.command if form.command != "all" else "",
        "restrictive": not form.permissive,
        "roles": sorted(form.roles),
        "using": form.using,
        "with_check": form.check if form.check != form.using else "",
        "comment": without_marker(policy.comment),
    }
    return {name: value for name, value in item.items() if value}
