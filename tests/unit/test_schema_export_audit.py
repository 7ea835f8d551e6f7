"""An audit trail read back from its triggers, whatever its columns are called."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import audit, audit_told
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_spec import Audit, Audited
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_export_audit import Triggers, export_audit

DEFAULT = Audit()
LOG = QualifiedName("audit", "log")


def triggers(*items: Audited, declared: Audit = DEFAULT, key: Sequence[str] = ("id",)) -> Triggers:
    found = {}
    for item in items:
        told = audit_told.arguments(
            item, declared, audit_told.Columns({}, tuple(key), virtual=("v",)), partitioned=False
        )
        form = audit.TriggerForm(audit.ROW_TYPE, declared.recorder, told)
        found[item.table, audit.ROW_TRIGGER] = audit.ObservedTrigger(form)
        form = audit.TriggerForm(audit.TRUNCATE_TYPE, declared.recorder, told)
        found[item.table, audit.TRUNCATE_TRIGGER] = audit.ObservedTrigger(form)
    return found


def audited(name: str, schema: str = "public", **words: object) -> Audited:
    return Audited("", QualifiedName(schema, name), **words)  # type: ignore[arg-type]


def test_nothing_audited_is_no_key() -> None:
    assert export_audit({}, {}, ["public"], "public") == ({}, [])
    assert export_audit(triggers(audited("t", "other")), {}, ["public"], "public") == ({}, [])


def test_tables_readers_and_what_only_the_inventory_knows() -> None:
    declared = Audit(schema="trail", user_setting="app.user", role_setting="app.role")
    seen = triggers(audited("b", full=True), audited("a", "shop", excluded=("seen",)), declared=declared)
    seen = {**seen, **triggers(audited("c"))}
    readers = {QualifiedName("trail", "log"): ["auditor"], LOG: ["somebody"]}
    item, left_out = export_audit(seen, readers, ["public", "shop"], "public")
    assert item == {
        "tables": [{"name": "b", "mode": "full"}, {"name": "shop.a", "excluded_columns": ["seen"]}],
        "schema": "trail",
        "readers": ["auditor"],
    }
    assert left_out == [
        "audit of public.c: it writes into another log than trail",
        (
            "audit: declare row_security.context as its triggers have it, {user: app.user, role: app.role}, and its "
            "retention, which is not in the database"
        ),
    ]


@given(st.lists(st.text(min_size=1), unique=True), st.lists(st.text(min_size=1), unique=True))
def test_every_name_of_a_column_comes_back(excluded: list[str], redacted: list[str]) -> None:
    item, _ = export_audit(
        triggers(audited("t", excluded=tuple(excluded), redacted=tuple(redacted))), {}, ["public"], "public"
    )
    (table,) = item["tables"]
    assert table.get("excluded_columns", []) == excluded
    assert table.get("redacted_columns", []) == redacted
