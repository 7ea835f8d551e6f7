"""Records keep to the schemas that the documentation promises, and those refuse what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import drill_facts, evidence, job

from .drill_world import MUTE, facts, past, step

SCHEMAS = Path(__file__).resolve().parents[2] / "docs/schemas"
RESTORED = {"backup": "20260131-010700F", "repository": 1, "target": "latest", "phases": {"fetch": 1.5}}


def validate(record: dict[str, Any], name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(record, schema)


def made(kind: str, status: str, facts: dict[str, Any]) -> dict[str, Any]:
    return evidence.record(kind, "db1", started="2026-01-31T12:34:56Z", seconds=1.5, status=status, facts=facts)


def drilled(status: str = "ok", **changed: Any) -> dict[str, Any]:
    return made("drill", status, facts(**changed))


def result(found: job.Verdict) -> dict[str, Any]:
    return job.result("backup_full", found, host="db1", started="2026-01-31T12:34:56Z", seconds=2, version="0.1.0+abc")


def test_what_the_code_makes_is_accepted() -> None:
    validate(made("configuration", "ok", {"cluster": "17/main"}), "evidence")
    done = RESTORED | {"stopped_at": "recovery stopping at", "timeline": 2, "aside": ""}
    validate(made("restore", "ok", done), "evidence")
    validate(made("restore", "failed", RESTORED | {"refused": "a reason"}), "evidence")
    validate(drilled(history=[past("2026-11-24T03:30:00Z", None)]), "evidence")
    validate(drilled("failed", steps=[], recovery_time_seconds=None, recovery_point_seconds=None), "evidence")
    validate(drilled("failed", steps=[step(error="no space", phases={"fetch": 0.1}, checks=[MUTE])]), "evidence")
    later = drill_facts.with_history(facts(), [drilled(), drilled("warning", size_bytes=None)])
    validate(made("drill", "ok", later), "evidence")
    validate(result(job.Verdict("ok")), "job-result")
    validate(result(job.Verdict("skipped", "another run")), "job-result")


@pytest.mark.parametrize(
    "record",
    [
        made("restore", "ok", RESTORED),
        made("restore", "failed", RESTORED),
        made("restore", "failed", {"refused": "a reason"}),
        made("configuration", "splendid", {}),
        made("configuration", "ok", {}) | {"secret": "x"},
        made("restore", "failed", RESTORED | {"refused": "r", "phases": {"dance": 1}}),
        drilled("skipped"),
        drilled(profile="slow"),
        drilled(secret="x"),
        drilled(objectives={"recovery_time_seconds": 900}),
        drilled("failed", steps=[step(phases={"dance": 1})]),
        drilled("failed", steps=[step(checks=[MUTE | {"status": "skipped"}])]),
        drilled("failed", steps=[step(checks=[MUTE | {"secret": "x"}])]),
        drilled("failed", recovery_time_seconds=-1),
        drilled(history=[past("yesterday")]),
        made("drill", "ok", {key: value for key, value in facts().items() if key != "repeat"}),
        # what proves nothing is not ok
        drilled(steps=[]),
        drilled(steps=[step(error="no space")]),
        drilled("warning", steps=[step(checks=[MUTE])]),
        drilled(preflight=[MUTE]),
        drilled(recovery_time_seconds=None),
    ],
)
def test_what_is_no_evidence_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(record, "evidence")


def test_a_status_without_a_reason_is_refused() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(result(job.Verdict("failed", "x")) | {"reason": ""}, "job-result")
