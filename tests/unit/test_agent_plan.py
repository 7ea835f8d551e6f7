"""pgstead_databases become scheduled jobs; what is wrong is named with its place, before a host is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.filter.plans import FilterModule
from ansible_collections.pgstead.ops.plugins.module_utils._agent.jobs import JOBS as RUNNABLE
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import parse
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_plan import JOBS
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_job import audited
from ansible_collections.pgstead.ops.plugins.module_utils._core.refresh_job import refreshed

ROOT = Path(__file__).resolve().parents[2]
SHOP: dict[str, Any] = {"name": "shop", "owner": "boss", "audit": {"tables": ["orders"], "retention": "2 years"}}


def plan(*databases: dict[str, Any], **changed: Any) -> dict[str, Any]:
    spec = {"databases": list(databases), "jobs": {}, "history_lines": 400, "port": 5432}
    return FilterModule().filters()["agent_plan"](spec | changed)


def test_an_audited_database_is_scheduled() -> None:
    second = {"name": "b", "owner": "o", "audit": {"tables": ["x"], "schema": "trail", "ahead": "6"}}
    data = plan({"name": "plain", "owner": "o"}, SHOP, second)
    assert data["problems"] == []
    assert data["cron"] == [{"job": "audit_partitions", "schedule": "17 3 * * *", "user": "postgres"}]
    assert data["idle"] == ["backup_dumps", "refresh_views"]
    assert data["config"]["jobs"] == {
        "audit_partitions": {
            "schedule": "17 3 * * *",
            "deadline_seconds": 600,
            "settings": {
                "databases": [
                    {"database": "shop", "role": "boss", "schema": "audit", "retention_months": 24, "ahead": 3},
                    {"database": "b", "role": "o", "schema": "trail", "retention_months": None, "ahead": 6},
                ]
            },
        }
    }


@pytest.mark.parametrize(
    "declared",
    [
        {"databases": []},
        {"databases": [{"name": "plain", "owner": "o"}, SHOP | {"state": "absent"}]},
        {"databases": [SHOP], "jobs": {"audit_partitions": {"enabled": False}}},
        {"databases": [SHOP], "jobs": {"audit_partitions": {"enabled": "no"}}},
    ],
)
def test_without_work_there_is_no_schedule(declared: dict[str, Any]) -> None:
    data = plan(**declared)
    assert (data["problems"], data["cron"], data["config"]["jobs"]) == ([], [], {})
    assert data["idle"] == ["audit_partitions", "backup_dumps", "refresh_views"]


def test_materialised_views_are_scheduled_by_their_whole_names() -> None:
    kept = {"query": "SELECT 1", "materialized": True}
    views = [
        {"name": "sums", **kept, "refresh": True},
        {"name": "app.sums", **kept, "refresh": True},
        {"name": "still", **kept},
        {"name": "gone", **kept, "refresh": True, "state": "absent"},
        {"name": "plain", "query": "SELECT 1"},
    ]
    data = plan({"name": "a", "owner": "o", "views": views}, {"name": "b", "schemas": ["x", "y"], "views": views[:2]})
    assert data["problems"] == []
    assert data["cron"] == [{"job": "refresh_views", "schedule": "37 4 * * *", "user": "postgres"}]
    settings = parse(json.dumps(data["config"])).jobs["refresh_views"].settings
    assert [(item.database, [str(name) for name in item.views]) for item in refreshed(settings)] == [
        ("a", ["public.sums", "app.sums"]),
        ("b", ["x.sums", "app.sums"]),
    ]


def test_what_differs_is_laid_over_what_is_usual() -> None:
    data = plan(SHOP, jobs={"audit_partitions": {"schedule": " 5  4 * * sun ", "deadline": "90s"}})
    assert data["cron"][0]["schedule"] == "5 4 * * sun"
    assert data["config"]["jobs"]["audit_partitions"]["deadline_seconds"] == 90
    bare_number = plan(SHOP, jobs={"audit_partitions": {"deadline": 45}})
    assert bare_number["config"]["jobs"]["audit_partitions"]["deadline_seconds"] == 45


def test_the_command_accepts_what_is_planned() -> None:
    config = parse(json.dumps(plan(SHOP)["config"]))
    (item,) = audited(config.jobs["audit_partitions"].settings)
    assert (item.database, item.role, item.rule.retention_months) == ("shop", "boss", 24)
    assert parse(json.dumps(plan()["config"])).jobs == {}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (
            {"jobs": {"vacuum": {}}},
            "agent_jobs.vacuum: there is no such job; there are audit_partitions, backup_dumps, refresh_views",
        ),
        ({"jobs": {"audit_partitions": {"hour": 3}}}, "agent_jobs.audit_partitions: {'hour': 3} is not a mapping of"),
        (
            {"jobs": {"audit_partitions": {"schedule": "@daily"}}},
            "agent_jobs.audit_partitions.schedule: '@daily' has 1",
        ),
        ({"jobs": {"audit_partitions": {"deadline": "soon"}}}, "agent_jobs.audit_partitions.deadline: 'soon'"),
        ({"jobs": {"audit_partitions": {"deadline": "8d"}}}, "agent_jobs.audit_partitions.deadline: 691200 is not"),
        ({"jobs": {"audit_partitions": {"deadline": 0}}}, "agent_jobs.audit_partitions.deadline: 0 is not"),
        ({"jobs": {"audit_partitions": {"enabled": "maybe"}}}, "agent_jobs.audit_partitions.enabled: 'maybe'"),
        ({"history_lines": 0}, "agent_history_lines: 0 is not a whole number from 1 to 100000"),
        ({"history_lines": "many"}, "agent_history_lines: 'many'"),
        ({"port": 70000}, "postgresql_port: 70000"),
        ({"databases": [SHOP | {"audit": ["orders"]}]}, "pgstead_databases[0].audit: ['orders'] is not a mapping"),
        (
            {"databases": [SHOP | {"audit": {"retention": "a while"}}]},
            "pgstead_databases[0].audit.retention: 'a while'",
        ),
        (
            {"databases": [SHOP | {"audit": {"retention": "0 years"}}]},
            "pgstead_databases[0].audit.retention: '0 years'",
        ),
        (
            {"databases": [SHOP | {"views": [{"name": "v", "query": "SELECT 1", "refresh": True}]}]},
            "pgstead_databases[0].views[0] (v): refresh is for materialised views",
        ),
        ({"databases": [SHOP | {"audit": {"ahead": 1}}]}, "pgstead_databases[0].audit.ahead: 1 is not"),
        ({"databases": [SHOP | {"audit": {"ahead": True}}]}, "pgstead_databases[0].audit.ahead: True is not"),
    ],
)
def test_what_cannot_be_is_named(declared: dict[str, Any], said: str) -> None:
    (problem,) = plan(**({"databases": [SHOP]} | declared))["problems"]
    assert problem.startswith(said)


def test_all_problems_come_together() -> None:
    broken = SHOP | {"audit": {"retention": "a while", "ahead": 0}}
    declared = {"audit_partitions": {"schedule": "x", "deadline": "y", "enabled": "z"}}
    assert len(plan(broken, broken, jobs=declared, history_lines=0)["problems"]) == 8


def test_what_the_role_says_of_the_jobs_is_what_they_do() -> None:
    text = (ROOT / "roles/agent/meta/argument_specs.yml").read_text(encoding="utf-8")
    described = yaml.safe_load(text)["argument_specs"]["main"]["options"]["agent_jobs"]["options"]
    stated = {
        name: {key: option["default"] for key, option in job["options"].items()} for name, job in described.items()
    }
    assert stated == JOBS


def test_every_job_that_can_be_scheduled_can_be_run() -> None:
    assert set(JOBS) == set(RUNNABLE)
