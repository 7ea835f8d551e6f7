"""What a drill asks of what it restored."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_job import Source, settings
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_spec import plan_drills
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_wish import of_marker, of_newest
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import NotIsolated
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._host import drill_checks
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target

MANIFEST: dict[str, Any] = {
    "counts": {"shop": {"public.orders": 70}, "empty": {}},
    "estimates": {"shop": {"public.events": 9_000_000}},
    "roles": ["shop_owner"],
    "extensions": {"shop": {"pg_trgm": "1.6"}, "empty": {}},
}
SHOP = {
    "name": "shop",
    "owner": "shop_owner",
    "application_role": {"name": "shop_app"},
    "row_security": {"context": {"user": "app.user_id"}, "tables": [{"name": "orders", "owner_column": "user_id"}]},
}


@pytest.fixture
def source() -> Source:
    spec = {
        "host": "db1",
        "clusters": [
            {
                "source": "db1",
                "statements": [{"name": "q", "database": "shop", "role": "postgres", "sql": "SELECT 1", "value": 1}],
            }
        ],
        "directory": "/d",
        "port": 1,
        "rto_objective": "1h",
        "rpo_objective": "1h",
        "tolerance": "1%",
        "signing_key": "",
        "beside_production": True,
    }
    repository = {"name": "near", "type": "posix", "path": "/r", "cipher_passphrase": "a passphrase of tests only"}
    plan = plan_drills(spec, {"db1": {"backup_repositories": [repository], "pgstead_databases": [SHOP]}})
    assert plan.problems == ()
    return settings(plan.job("quick")).clusters[0]


def test_of_the_newest_state_all_that_holds_for_every_cluster_is_asked(source: Source) -> None:
    wish = of_newest(source)
    assert wish.amcheck is not None
    assert (wish.amcheck.heapallindexed, wish.amcheck.install_missing) == (True, True)
    assert set(wish.everywhere) == {"dump", "sequences"}
    assert [each.name for each in wish.statements] == ["q"]


def test_of_the_state_at_a_marker_all_that_it_recorded_is_asked(source: Source) -> None:
    wish, guessed = of_marker(source, MANIFEST)
    assert wish.counts is not None
    assert wish.counts.rows == {"shop": {QualifiedName("public", "orders"): 70}}
    assert wish.counts.allowance(1000) == 10
    assert wish.roles == ("shop_owner",)
    assert [(each.database, each.name, each.version) for each in wish.extensions] == [("shop", "pg_trgm", "1.6")]
    assert guessed.counts is not None
    assert guessed.counts.rows == {"shop": {QualifiedName("public", "events"): 9_000_000}}
    assert guessed.counts.allowance(1000) == 500


def test_without_tables_nothing_is_counted(source: Source) -> None:
    (wish,) = of_marker(source, {**MANIFEST, "counts": {"shop": {}}, "estimates": {}})
    assert wish.counts is None


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        ({"msg": "isolation proven: 1 checks"}, "passed", "isolation proven: 1 checks"),
        (NotIsolated("a tenant sees another's rows\nthe table", {}), "failed", "a tenant sees another's rows"),
    ],
)
def test_row_security_is_asked_where_it_is_declared(
    found: Any, status: str, words: str, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def probe(order: Any) -> Any:
        asked.append(order)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(drill_checks, "probe", probe)
    monkeypatch.setattr(drill_checks, "prove", lambda *_words, **_how: [])
    checks = {check.check: check for check in drill_checks.whole(source, Target("/s", 1), None)}
    assert (checks["row_security"].database, checks["row_security"].status, checks["row_security"].words) == (
        "shop",
        status,
        words,
    )
    (order,) = asked
    assert (order.server.database, order.role, order.subjects[0].owner_column) == ("shop", "shop_app", "user_id")
    assert (checks["marker"].status, "recovery_marker" in checks["marker"].words) == ("failed", True)


def test_a_manifest_that_is_not_understood_proves_nothing(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_checks.recovery_marker, "present", lambda _target, _name: (True, False))
    marker = drill_checks.Marker("m", None, None, "", {"counts": {}})  # type: ignore[arg-type]
    exact, recorded = drill_checks.exact(source, Target("/s", 1), marker)
    assert (exact.status, recorded.status) == ("passed", "could_not_run")
    assert "estimates" in recorded.words
