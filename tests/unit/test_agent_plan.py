"""pgstead_databases become scheduled jobs; what is wrong is named with its place, before a host is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Template

from ansible_collections.pgstead.ops.plugins.filter.plans import FilterModule
from ansible_collections.pgstead.ops.plugins.module_utils._agent.jobs import JOBS as RUNNABLE
from ansible_collections.pgstead.ops.plugins.module_utils._core import agent_plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import parse
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_plan import HEARTBEAT, JOBS
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_job import audited
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import KINDS
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_job import settings
from ansible_collections.pgstead.ops.plugins.module_utils._core.marker_job import counts
from ansible_collections.pgstead.ops.plugins.module_utils._core.refresh_job import refreshed

ROOT = Path(__file__).resolve().parents[2]
BACKUPS = ["backup_full", "backup_diff", "backup_incr", "backup_verify", "check_archiving", "recovery_marker"]
DRILLS = ["drill_quick", "drill_full"]
ALL = ("audit_partitions", "backup_full", "check_jobs")
JOB = {"schedule": "17 3 * * *", "deadline_seconds": 600, "settings": {"any": 1}}
SHOP: dict[str, Any] = {"name": "shop", "owner": "boss", "audit": {"tables": ["orders"], "retention": "2 years"}}


def plan(*databases: dict[str, Any], **changed: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"databases": list(databases), "jobs": {}, "history_lines": 400, "port": 5432}
    spec |= {"scheduler": "cron", "backup_scheduler": "cron", "notifications": {}}
    spec |= {"metrics_directory": "/var/lib/pgstead/metrics", "marker_counts": "estimate"}
    return FilterModule().filters()["agent_plan"](spec | changed)


def test_an_audited_database_is_scheduled() -> None:
    second = {"name": "b", "owner": "o", "audit": {"tables": ["x"], "schema": "trail", "ahead": "6"}}
    data = plan({"name": "plain", "owner": "o"}, SHOP, second)
    assert data["problems"] == []
    assert data["cron"] == [
        {"job": "audit_partitions", "schedule": "17 3 * * *", "user": "postgres"},
        {"job": "check_jobs", "schedule": "*/15 * * * *", "user": "postgres"},
    ]
    assert data["timers"] == []
    assert data["idle"] == ["backup_dumps", "refresh_views", *BACKUPS, *DRILLS]
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
        },
        "check_jobs": {
            "schedule": "*/15 * * * *",
            "deadline_seconds": 60,
            "settings": {"jobs": ["audit_partitions"]},
        },
    }


@pytest.mark.parametrize(
    "declared",
    [
        {"databases": []},
        {"databases": [{"name": "plain", "owner": "o"}, SHOP | {"state": "absent"}]},
        {"databases": [SHOP], "jobs": {"audit_partitions": {"enabled": False}}},
        {"databases": [SHOP], "jobs": {"audit_partitions": {"enabled": "no"}}},
        {"databases": [SHOP], "jobs": {"audit_partitions": {"enabled": False}, "check_jobs": {"enabled": True}}},
    ],
)
def test_without_work_there_is_no_schedule(declared: dict[str, Any]) -> None:
    data = plan(**declared)
    assert (data["problems"], data["cron"], data["config"]["jobs"]) == ([], [], {})
    assert data["idle"] == ["audit_partitions", "backup_dumps", "refresh_views", *BACKUPS, *DRILLS, "check_jobs"]


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
    assert data["cron"][0] == {"job": "refresh_views", "schedule": "37 4 * * *", "user": "postgres"}
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
        ({"marker_counts": "guess"}, "agent_marker_counts: 'guess' is neither exact nor estimate"),
        ({"port": 70000}, "postgresql_port: 70000"),
        ({"scheduler": "at"}, "agent_scheduler: 'at' is neither cron nor timer"),
        ({"backup_scheduler": "at"}, "backup_scheduler: 'at' is neither cron nor timer"),
        ({"metrics_directory": "metrics"}, "agent_metrics_directory: 'metrics' is not an absolute path"),
        ({"metrics_directory": "/var/../etc"}, "agent_metrics_directory: '/var/../etc' is not"),
        ({"metrics_directory": "/var/*"}, "agent_metrics_directory: '/var/*' is not"),
        ({"notifications": {"email": {"to": []}}}, "agent_notifications.email.to: is not a list with at least one"),
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


def test_timers_in_place_of_cron() -> None:
    data = plan(SHOP, scheduler="timer", jobs={"audit_partitions": {"schedule": "0 4 1 * mon"}})
    assert data["cron"] == []
    assert data["timers"] == [
        {
            "job": "audit_partitions",
            "user": "postgres",
            "calendar": ["*-*-01 04:00:00", "Mon *-*-* 04:00:00"],
            "limit_seconds": 900,
            "after": "postgresql.service",
        },
        {
            "job": "check_jobs",
            "user": "postgres",
            "calendar": ["*-*-* *:00,15,30,45:00"],
            "limit_seconds": 360,
            "after": "postgresql.service",
        },
    ]


def test_a_job_of_a_timer_comes_after_its_server_and_the_network() -> None:
    (timer,) = [each for each in plan(backup=BACKUP, scheduler="timer")["timers"] if each["job"] == "check_archiving"]
    text = (ROOT / "roles/agent/templates/etc/systemd/system/pgstead-job.service.j2").read_text(encoding="utf-8")
    unit = Template(text.partition("\n")[2]).render(item=[timer]).splitlines()
    assert "After=postgresql@17-main.service network-online.target" in unit
    assert "Wants=network-online.target" in unit


@pytest.mark.parametrize(
    ("schedulers", "by_timer"),
    [
        (("cron", "cron"), []),
        (("timer", "timer"), ["audit_partitions", "backup_full", "check_jobs"]),
        (("cron", "timer"), ["backup_full"]),
        (("timer", "cron"), ["audit_partitions", "check_jobs"]),
    ],
)
def test_each_job_has_one_scheduler(
    schedulers: tuple[str, str], by_timer: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose name begins with backup_ may have another one."""
    monkeypatch.setattr(agent_plan, "_jobs", lambda _found, _spec: dict.fromkeys(ALL, JOB))
    data = plan(scheduler=schedulers[0], backup_scheduler=schedulers[1])
    assert [timer["job"] for timer in data["timers"]] == by_timer
    assert [line["job"] for line in data["cron"]] == [name for name in ALL if name not in by_timer]
    units = {name for name in data["leftovers"]["patterns"] if name.endswith((".service", ".timer"))} - {HEARTBEAT}
    without = set(JOBS) - set(by_timer)
    assert units == {f"pgstead-{name}.{kind}" for name in without for kind in ("service", "timer")}


def test_what_is_left_of_jobs_that_are_idle_is_to_go() -> None:
    left = plan(SHOP, scheduler="timer")["leftovers"]
    assert left["paths"] == [
        "/var/lib/pgstead/jobs",
        "/var/lib/pgstead/metrics",
        "/etc/systemd/system",
        "/etc/pgstead",
    ]
    assert sorted(
        name for name in left["patterns"] if not any(job in name for job in ["backup_dumps", *BACKUPS, *DRILLS])
    ) == [
        "notifications.json",
        "pgstead-heartbeat.service",
        "pgstead-refresh_views.service",
        "pgstead-refresh_views.timer",
        "pgstead_refresh_views.prom",
        "refresh_views.json",
        "refresh_views.jsonl",
        "refresh_views.lock",
        "refresh_views.memory",
    ]


def test_the_plan_says_that_somebody_is_told_and_nothing_more() -> None:
    secret = {"url": "https://hooks.example.org/T0/secret", "headers": {"Authorization": "Bearer secret"}}
    data = plan(SHOP, notifications={"webhook": secret})
    assert data["config"]["notifications"] == "/etc/pgstead/notifications.json"
    assert "secret" not in json.dumps(data)
    assert "notifications.json" not in data["leftovers"]["patterns"]
    broken = plan(SHOP, notifications={"webhook": secret | {"url": "ftp://secret"}})
    assert broken["problems"] == [
        "agent_notifications.webhook.url: is not an address that begins with https:// or http://"
    ]


def test_what_the_role_says_of_the_jobs_is_what_they_do() -> None:
    text = (ROOT / "roles/agent/meta/argument_specs.yml").read_text(encoding="utf-8")
    described = yaml.safe_load(text)["argument_specs"]["main"]["options"]["agent_jobs"]["options"]
    stated = {
        name: {key: option["default"] for key, option in job["options"].items()} for name, job in described.items()
    }
    assert stated == JOBS


def test_every_job_that_can_be_scheduled_can_be_run() -> None:
    assert set(JOBS) == set(RUNNABLE)


REPOSITORY = {"name": "local", "type": "posix", "path": "/var/lib/pgbackrest", "cipher_passphrase": "x" * 20}
BACKUP: dict[str, Any] = {
    "repositories": [REPOSITORY],
    "stanza": "db1",
    "environment": "production",
    "archive_timeout": 300,
    "processes": 2,
    "version": 17,
    "cluster_name": "main",
    "port": 5432,
}


def test_backups_are_scheduled_where_there_is_a_repository() -> None:
    data = plan(backup=BACKUP)
    assert data["problems"] == []
    assert [line["job"] for line in data["cron"]] == [*BACKUPS, "check_jobs"]
    jobs = parse(json.dumps(data["config"])).jobs
    told = [settings(jobs[f"backup_{kind}"].settings, makes=True) for kind in KINDS]
    assert [one.kind for one in told] == list(KINDS)
    assert told[0].keep["daily"].days == 30
    assert settings(jobs["backup_verify"].settings, makes=False).wal.days == 30
    assert "x" * 20 not in json.dumps(data)


def test_the_heartbeat_is_where_there_is_something_to_restore() -> None:
    data = plan(backup=BACKUP)
    after = "postgresql@17-main.service"
    assert data["heartbeat"] == {"name": "pgstead-heartbeat.service", "user": "postgres", "after": after}
    assert HEARTBEAT not in data["leftovers"]["patterns"]
    without = plan(backup=BACKUP | {"repositories": []})
    assert without["heartbeat"] is None
    assert HEARTBEAT in without["leftovers"]["patterns"]


def test_a_marker_counts_as_declared() -> None:
    settings = parse(json.dumps(plan(backup=BACKUP, marker_counts="exact")["config"])).jobs["recovery_marker"].settings
    assert counts(settings) == "exact"


def test_what_is_wrong_with_backups_is_named() -> None:
    data = plan(backup=BACKUP | {"repositories": [REPOSITORY | {"cipher_passphrase": "short"}], "processes": 0})
    assert [problem.split(": ")[0] for problem in data["problems"]] == [
        "backup_repositories[0].cipher_passphrase",
        "backup_processes",
    ]
