"""What a job of drills comes to over all of its clusters."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_report import conclude


def one(name: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    usual = {
        "cluster": name,
        "status": status,
        "summary": f"{name}: {status}",
        "evidence": f"/evidence/{name}.json",
        "recovery_time_seconds": 12.5,
        "recovery_point_seconds": None,
        "passed": 7,
        "failed": 0,
        "could_not_run": 1,
    }
    return usual | more


@pytest.mark.parametrize(
    ("statuses", "status", "reason", "evidence"),
    [
        (["ok", "ok"], "ok", "db0: ok; db1: ok", "/evidence/db0.json"),
        (["ok", "warning"], "warning", "db1: warning", "/evidence/db1.json"),
        (["failed", "warning"], "failed", "db0: failed", "/evidence/db0.json"),
    ],
)
def test_it_is_as_good_as_the_worst_cluster(statuses: list[str], status: str, reason: str, evidence: str) -> None:
    verdict = conclude([one(f"db{place}", each) for place, each in enumerate(statuses)], "quick", "a table")
    assert (verdict.status, verdict.reason, verdict.evidence) == (status, reason, evidence)
    assert list(verdict.facts["clusters"]) == ["db0", "db1"]


def test_figures_become_metrics_as_far_as_they_were_measured() -> None:
    found = {
        (metric.name, metric.labels["cluster"], metric.labels.get("status", "")): metric.value
        for metric in conclude([one("db1")], "quick", "a table").metrics
    }
    assert found == {
        ("recovery_time_seconds", "db1", ""): 12.5,
        ("checks", "db1", "passed"): 7,
        ("checks", "db1", "failed"): 0,
        ("checks", "db1", "could_not_run"): 1,
    }


def test_a_drill_that_left_nothing_but_an_error() -> None:
    bare = {"cluster": "db1", "status": "failed", "summary": "db1: cannot be removed", "evidence": None, "files": []}
    verdict = conclude([bare, one("db2")], "full", "")
    assert (verdict.status, verdict.reason, verdict.evidence) == ("failed", "db1: cannot be removed", None)
