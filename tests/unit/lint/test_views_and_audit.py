"""What the lint says of what shows protected tables, and of the audit trail."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import lint_audit as audit
from ansible_collections.pgstead.ops.plugins.module_utils._core import lint_views as views
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_security_values import (
    Audit,
    AuditPartition,
    AuditTrigger,
    Role,
    Security,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import Observed, Rules
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security import ObservedTable, Past
from ansible_collections.pgstead.ops.plugins.module_utils._core.view import ObservedView, ViewForm
from ansible_collections.pgstead.ops.plugins.module_utils._pg.lint_fix import statements

from .made import MB, P1, P21, TABLES, TODAY, P, T, database

V, W, M = (QualifiedName("public", name) for name in "vwm")
LOG, DEFAULT = QualifiedName("audit", "log"), QualifiedName("audit", "log_default")
ROLES = {
    "root": Role("root", superuser=True),
    "backup": Role("backup", bypass=True),
    "o": Role("o", acts_as=frozenset({"o"})),
    "friend": Role("friend", acts_as=frozenset({"o"})),
    "app": Role("app"),
}


def view(name: QualifiedName = V, owner: str = "app", *, materialized: bool = False, **what: Any) -> ObservedView:
    options = tuple(sorted(what.pop("options", {}).items()))
    return ObservedView(name, ViewForm("SELECT a", options=options, materialized=materialized), owner, **what)


def showing(*made: ObservedView, forced: bool = True, enabled: bool = True, **what: Any) -> Observed:
    """Return a database in which T is protected, and each view is made of T unless `reads` says otherwise."""
    security = Security(
        tables={T: ObservedTable(T, enabled, forced)},
        roles=ROLES,
        views={one.name: one for one in made},
        reads=what.pop("reads", {one.name: frozenset({T}) for one in made}),
        **{name: what.pop(name) for name in ("remote", "invoker_views", "past") if name in what},
    )
    return database(security=security, **what)


INVOKER = {"security_invoker": "true"}
BYPASSES, LOST = "view_bypasses_row_security", "view_without_security_invoker"


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (showing(view()), [LOST]),
        (showing(view(options=INVOKER)), []),
        (showing(view(owner="root", options=INVOKER)), []),
        (showing(view(owner="root")), [BYPASSES]),
        (showing(view(owner="backup")), [BYPASSES]),
        (showing(view(owner="o")), [LOST]),
        (showing(view(owner="o"), forced=False), [BYPASSES]),
        (showing(view(owner="friend"), forced=False), [BYPASSES]),
        (showing(view(), forced=False), [LOST]),
        (showing(view(owner="root"), enabled=False), []),
        (showing(view(owner="root"), reads={V: frozenset({P})}), []),
        (showing(view(owner="root", materialized=True)), []),
        (showing(view(), invoker_views=False), []),
        (showing(view(owner="root"), invoker_views=False), [BYPASSES]),
        # the inner one asks as whoever asks it: what lies above it shows no more
        (showing(view(options=INVOKER), view(W, "root"), reads={V: frozenset({T}), W: frozenset({V})}), []),
    ],
)
def test_views(observed: Observed, expected: list[str]) -> None:
    assert [name for name in (BYPASSES, LOST) for _ in getattr(views, name)(observed, Rules())] == expected


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (showing(view(), past=(Past(T, P1, False),), reads={V: frozenset({P1})}), [BYPASSES]),
        (showing(view(options=INVOKER), past=(Past(T, P1, False),), reads={V: frozenset({P1})}), []),
        (showing(view(), past=(Past(T, P1, True),), reads={V: frozenset({P1})}), []),
        (showing(view(), past=(Past(T, P1, False),), enabled=False, reads={V: frozenset({P1})}), []),
    ],
)
def test_a_view_of_what_is_below_a_protected_table_shows_it_to_everybody(
    observed: Observed, expected: list[str]
) -> None:
    assert [name for name in (BYPASSES, LOST) for _ in getattr(views, name)(observed, Rules())] == expected
    for found in views.view_bypasses_row_security(observed, Rules()):
        assert "whom no policy holds there: only public.t above it has row security" in found.detail


def test_a_materialised_view_of_what_is_below_a_protected_table_shows_it_to_everybody() -> None:
    observed = showing(view(M, materialized=True), past=(Past(T, P1, False),), reads={M: frozenset({P1})})
    assert len(list(views.materialized_view_over_row_security(observed, Rules()))) == 1


def test_the_remedy_of_a_view_keeps_what_it_has() -> None:
    made = view(owner="root", options={"security_barrier": "true", "check_option": "local"}, comment="why")
    (found,) = views.view_bypasses_row_security(showing(made), Rules())
    assert statements(found.fixes) == ("ALTER VIEW public.v SET (security_invoker = true)",)
    assert found.declaration == {
        "views": [
            {
                "name": "v",
                "query": "SELECT a",
                "check_option": "local",
                "security_barrier": True,
                "comment": "why",
                "security_invoker": True,
            }
        ]
    }
    (found,) = views.view_bypasses_row_security(showing(made, invoker_views=False), Rules())
    assert (found.fixes, found.declaration) == ((), {})
    assert "a person has to" in found.detail


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (showing(view(M, materialized=True)), [("public.m", "")]),
        (showing(view(M, materialized=True, grants=(("app", "SELECT", False),))), [("public.m", "error")]),
        (showing(view(M, materialized=True, grants=(("app", "UPDATE", False),))), [("public.m", "")]),
        (
            showing(
                view(M, materialized=True),
                view(options=INVOKER),
                reads={M: frozenset({V}), V: frozenset({T, V})},
            ),
            [("public.m", "")],
        ),
        (showing(view(M, materialized=True), reads={M: frozenset({P})}), []),
        (showing(view()), []),
    ],
)
def test_materialised_views(observed: Observed, expected: list[tuple[str, str]]) -> None:
    found = views.materialized_view_over_row_security(observed, Rules())
    assert [(each.object, each.level) for each in found] == expected


FAR = {**TABLES, P21: Table(P21, "f", "o", parent=TABLES[P21].parent), V: Table(V, "f", "o")}


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (showing(tables=FAR, remote={V: T}), ["public.v"]),
        (showing(tables=FAR, remote={V: P}), []),
        (showing(tables=FAR), []),
        (database(tables=FAR, security=Security(tables={P: ObservedTable(P, True, True)})), ["app.p_2_1"]),
    ],
)
def test_foreign_tables(observed: Observed, expected: list[str]) -> None:
    assert [found.object for found in views.foreign_table_over_row_security(observed, Rules())] == expected


def triggers(table: QualifiedName = T, **what: Any) -> tuple[AuditTrigger, ...]:
    return tuple(AuditTrigger(table, f"pgstead_audit_{name}", **what) for name in ("row", "truncate"))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Audit(triggers()), []),
        (Audit(triggers()[:1]), ["public.t.pgstead_audit_truncate"]),
        (Audit(triggers()[1:]), ["public.t.pgstead_audit_row"]),
        (Audit(noted=frozenset({T})), ["public.t.pgstead_audit_row", "public.t.pgstead_audit_truncate"]),
        (Audit(triggers(), noted=frozenset({T})), []),
        (Audit(noted=frozenset({QualifiedName("public", "gone")})), []),
        (Audit(logs={P: ()}, noted=frozenset({P, P1})), []),
        # a partition has the one of its parent, and TRUNCATE of it is nobody's
        (Audit((*triggers(P), AuditTrigger(P1, "pgstead_audit_row", inherited=True))), []),
        (Audit((AuditTrigger(T, "theirs"),)), []),
    ],
)
def test_missing_triggers(seen: Audit, expected: list[str]) -> None:
    assert [found.object for found in audit.audit_trigger_missing(database(audit=seen), Rules())] == expected


def test_notes_that_were_not_read_are_said() -> None:
    assert audit.notes_unread(database(), Rules()) == ""
    assert "GRANT SELECT" in audit.notes_unread(database(audit=Audit(notes_unread=True)), Rules())


@pytest.mark.parametrize(("enabled", "level"), [("A", None), ("D", "error"), ("O", "warning"), ("R", "warning")])
def test_disabled_triggers(enabled: str, level: str | None) -> None:
    seen = Audit(triggers(enabled=enabled)[:1])
    found = list(audit.audit_trigger_disabled(database(audit=seen), Rules()))
    assert [each.level for each in found] == ([level] if level else [])
    for each in found:
        assert statements(each.fixes) == ("ALTER TABLE public.t ENABLE ALWAYS TRIGGER pgstead_audit_row",)


def month(lower: str, upper: str) -> AuditPartition:
    day = datetime.date.fromisoformat
    return AuditPartition(QualifiedName("audit", lower), day(lower), day(upper))


NOVEMBER, DECEMBER = month("2026-11-01", "2026-12-01"), month("2026-12-01", "2027-01-01")
OTHERS = AuditPartition(DEFAULT, default=True)


@pytest.mark.parametrize(
    ("partitions", "level"),
    [
        ((NOVEMBER, DECEMBER, OTHERS), None),  # today is 2026-11-20
        ((NOVEMBER, OTHERS), "warning"),
        ((NOVEMBER, month("2027-01-01", "2027-02-01")), "warning"),  # December is missing
        ((DECEMBER, OTHERS), "error"),
        ((OTHERS,), "error"),
        ((), "error"),
        ((AuditPartition(LOG),), None),  # without bounds
    ],
)
def test_the_horizon_of_partitions(partitions: tuple[AuditPartition, ...], level: str | None) -> None:
    assert datetime.date(2026, 11, 20) == TODAY
    found = list(audit.audit_partition_horizon(database(audit=Audit(logs={LOG: partitions})), Rules()))
    assert [each.level for each in found] == ([level] if level else [])


@pytest.mark.parametrize(("size", "expected"), [(0, []), (8192, ["audit.log_default"])])
def test_rows_in_the_default_partition(size: int, expected: list[str]) -> None:
    observed = database(audit=Audit(logs={LOG: (replace(NOVEMBER, bytes=MB), replace(OTHERS, bytes=size))}))
    assert [found.object for found in audit.audit_rows_in_default_partition(observed, Rules())] == expected
