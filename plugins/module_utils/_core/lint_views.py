# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What shows protected tables without being held by their policies: views, materialised views, foreign tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .lint_row_security import bypasses
from .lint_values import Fix, Found, Observed, Rules, path
from .names import QualifiedName
from .relation import ancestors
from .row_security import ObservedTable
from .schema_export_security import view_item
from .view import ObservedView

_INVOKER = "security_invoker"
_RIGHTS = "With security_invoker its readers are held themselves, and need SELECT on the tables"


def _protected(name: QualifiedName, observed: Observed) -> ObservedTable | None:
    there = observed.security.tables.get(name)
    return there if there and there.enabled and not observed.facts_of(name).extension else None


def _shown(name: QualifiedName, observed: Observed) -> ObservedTable | None:
    """Return a protected table, or what is below one without row security of its own."""
    below = observed.security.below.get(name, ())
    if any(not way.enabled and _protected(way.top, observed) for way in below):
        return ObservedTable(name, False, False)
    return _protected(name, observed)


def _definers(observed: Observed) -> Iterator[tuple[ObservedView, list[ObservedTable]]]:
    """Yield the views that read protected tables with their owner's rights.

    Only what a view names itself counts: an inner view reads with its own owner's rights, or the session's.
    """
    for name, view in sorted(observed.security.views.items()):
        if view.form.materialized or dict(view.form.options).get(_INVOKER) == "true":
            continue
        read = [_shown(table, observed) for table in sorted(observed.security.reads.get(name, ()))]
        tables = [there for there in read if there]
        if tables:
            yield view, tables


def _open(view: ObservedView, tables: list[ObservedTable], observed: Observed) -> list[tuple[ObservedTable, str]]:
    """Return the tables whose policies do not hold the view's owner, and why."""
    owner = observed.security.roles.get(view.owner)
    found = []
    for there in tables:
        if there.enabled:
            why = bypasses(owner, there, observed.tables[there.table].owner)
            why = f", who {why}" if why else ""
        else:
            top = observed.security.below[there.table][0].top
            why = (
                f", whom no policy holds there: only {top} above it has row security, and a view of that would be held"
            )
        if why:
            found.append((there, why))
    return found


def view_bypasses_row_security(observed: Observed, rules: Rules) -> Iterator[Found]:
    for view, tables in _definers(observed):
        around = _open(view, tables, observed)
        if not around:
            continue
        (there, why), *_ = around
        detail = f"reads {there.table} as its owner {view.owner}{why}. Whoever may read the view sees every row"
        if observed.security.invoker_views:
            yield _invoker(view, f"{detail}. {_RIGHTS}", rules)
        else:
            decide = "before PostgreSQL 15 a person has to give it an owner whom the policies hold, or drop it"
            yield Found(path(view.name), f"{detail}; {decide}")


def view_without_security_invoker(observed: Observed, rules: Rules) -> Iterator[Found]:
    if not observed.security.invoker_views:
        return
    for view, tables in _definers(observed):
        if not _open(view, tables, observed):
            names = ", ".join(str(there.table) for there in tables)
            detail = (
                f"reads {names} as its owner {view.owner}: that role's policies decide what is shown, not the reader's. "
                f"CREATE OR REPLACE VIEW without the option takes it away. {_RIGHTS}"
            )
            yield _invoker(view, detail, rules)


def _invoker(view: ObservedView, detail: str, rules: Rules) -> Found:
    item: Mapping[str, Any] = {**view_item(view, rules.default_schema), _INVOKER: True}
    return Found(path(view.name), detail, (Fix("security_invoker", view.name),), {"views": [item]})


def materialized_view_over_row_security(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for name, view in sorted(observed.security.views.items()):
        if not view.form.materialized:
            continue
        shown = [str(table) for table in sorted(_reached(name, observed)) if _shown(table, observed)]
        if shown:
            readers = sorted({role or "PUBLIC" for role, privilege, _ in view.grants if privilege == "SELECT"})
            whom = f"{', '.join(readers)} may read them" if readers else "so far only its owner may read them"
            detail = (
                f"keeps rows of {', '.join(shown)} as its owner saw them, and can have no policies: {whom}. A person has to "
                "decide who may, or show them by a view that asks for the tenant"
            )
            yield Found(path(name), detail, level="error" if readers else "")


def _reached(name: QualifiedName, observed: Observed) -> frozenset[QualifiedName]:
    """Return everything that a view is made of, through other views."""
    found: set[QualifiedName] = set()
    left = [name]
    while left:
        new = set(observed.security.reads.get(left.pop(), ())) - found
        found |= new
        left += new
    return frozenset(found)


def foreign_table_over_row_security(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for name, table in sorted(observed.tables.items()):
        if table.kind != "f":
            continue
        above = [parent for parent in ancestors(name, observed.tables) if _protected(parent, observed)]
        remote = observed.security.remote.get(name)
        if above:
            what = f"is a partition of {above[0]}, whose policies hold only those who read it there"
        elif remote and _shown(remote, observed):
            what = f"shows {remote} of a database of this name, as the user that its server's mapping names"
        else:
            continue
        detail = (
            f"{what}; a foreign table can have no policies: who may read it is held by rights alone, and a person has to "
            "decide who that is"
        )
        yield Found(path(name), detail)
