"""The host command's configuration, and the settings of its jobs: everything wrong with them is named at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import JobConfig, parse
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_job import Audited, audited, conclude
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_partition import PartitionRule
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

SHOP = {"database": "shop", "role": "shop_owner", "schema": "audit", "retention_months": 24, "ahead": 3}
JOB = {"schedule": "17 3 * * *", "deadline_seconds": 600, "settings": {"databases": [SHOP]}}
WHOLE: dict[str, Any] = {
    "user": "postgres",
    "state_directory": "/var/lib/pgstead/jobs",
    "socket_directory": "/var/run/postgresql",
    "port": 5432,
    "history_lines": 400,
    "metrics_directory": "/var/lib/pgstead/metrics",
    "notifications": None,
    "jobs": {"audit_partitions": JOB},
}


def test_a_whole_configuration() -> None:
    config = parse(json.dumps(WHOLE))
    assert (config.user, config.port, config.history_lines) == ("postgres", 5432, 400)
    assert config.jobs == {"audit_partitions": JobConfig("17 3 * * *", 600, {"databases": [SHOP]})}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"port": "5432"}, ["configuration.port: '5432' is not a whole number from 1 to 65535"]),
        ({"port": True, "user": " "}, ["configuration.user", "configuration.port"]),
        ({"state_directory": "jobs"}, ["configuration.state_directory: 'jobs' is not an absolute path"]),
        ({"history_lines": 0}, ["configuration.history_lines"]),
        ({"metrics_directory": None}, ["configuration.metrics_directory: None is not an absolute path"]),
        ({"notifications": True}, ["configuration.notifications: True is not an absolute path, or null"]),
        ({"jobs": []}, ["configuration.jobs: [] is not a mapping"]),
        ({"password": "x", "extra": 1}, ["configuration.extra: is unknown", "configuration.password: is unknown"]),
        ({"jobs": {"a": {"schedule": "x"}}}, ["jobs.a.deadline_seconds: is missing", "jobs.a.settings: is missing"]),
        ({"jobs": {"a": 5}}, ["jobs.a: is not a mapping"]),
    ],
)
def test_what_is_wrong_is_named_at_once(changed: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        parse(json.dumps(WHOLE | changed))
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == len(said)
    for problem, words in zip(found, said, strict=True):
        assert problem.startswith(words)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"jobs": 3}'])
def test_what_is_no_configuration_at_all(text: str) -> None:
    with pytest.raises(SpecError):
        parse(text)


def test_settings_of_audit_partitions() -> None:
    for_ever = SHOP | {"database": "other", "retention_months": None}
    assert audited({"databases": [SHOP, for_ever]}) == (
        Audited("shop", "shop_owner", PartitionRule(schema="audit", retention_months=24, ahead=3)),
        Audited("other", "shop_owner", PartitionRule(schema="audit", retention_months=None, ahead=3)),
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "settings.databases: is missing"),
        ({"databases": []}, "settings.databases: [] is not a list with at least one database"),
        ({"databases": ["shop"]}, "settings.databases[0]: is not a mapping"),
        ({"databases": [SHOP, SHOP | {"ahead": 0}]}, "settings.databases[1].ahead: 0 is not a whole number"),
        ({"databases": [SHOP | {"retention_months": "2 years"}]}, "settings.databases[0].retention_months"),
        ({"databases": [SHOP], "lock": 1}, "settings.lock: is unknown"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        audited(settings)
    assert str(caught.value).startswith(said)


FINE = {"created": ["log_2026_04"], "dropped": [], "waiting": False, "default_rows": 0, "blocked": []}


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        ({"shop": FINE}, "ok", "shop: 1 partitions created, 0 dropped"),
        ({"a": FINE, "b": FINE}, "ok", "a: 1 partitions created, 0 dropped; b: 1 partitions created, 0 dropped"),
        ({"shop": FINE | {"default_rows": 7}}, "warning", "shop: 7 rows in the DEFAULT partition, which stand in"),
        ({"shop": FINE | {"waiting": True}}, "warning", "shop: there is no audit log yet: run playbook"),
        ({"shop": FINE | {"blocked": ["a", "b"]}, "x": FINE}, "failed", "shop: a, b"),
        ({"shop": {"error": "no server"}, "x": FINE}, "failed", "shop: no server"),
        ({"a": FINE | {"default_rows": 1}, "b": {"error": "e"}}, "failed", "a: 1 rows in the DEFAULT partition"),
    ],
)
def test_the_verdict_over_databases(found: dict[str, Any], status: str, reason: str) -> None:
    verdict = conclude(found)
    assert verdict.status == status
    assert verdict.reason.startswith(reason)
    assert verdict.facts == {"databases": found}
