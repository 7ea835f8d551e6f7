"""Records keep to the schemas that the documentation promises, and those refuse what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import evidence, job

SCHEMAS = Path(__file__).resolve().parents[2] / "docs/schemas"
RESTORED = {"backup": "20260131-010700F", "repository": 1, "target": "latest", "phases": {"fetch": 1.5}}


def validate(record: dict[str, Any], name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(record, schema)


def made(kind: str, status: str, facts: dict[str, Any]) -> dict[str, Any]:
    return evidence.record(kind, "db1", started="2026-01-31T12:34:56Z", seconds=1.5, status=status, facts=facts)


def result(found: job.Verdict) -> dict[str, Any]:
    return job.result("backup_full", found, host="db1", started="2026-01-31T12:34:56Z", seconds=2, version="0.1.0+abc")


def test_what_the_code_makes_is_accepted() -> None:
    validate(made("configuration", "ok", {"cluster": "17/main"}), "evidence")
    done = RESTORED | {"stopped_at": "recovery stopping at", "timeline": 2, "aside": ""}
    validate(made("restore", "ok", done), "evidence")
    validate(made("restore", "failed", RESTORED | {"refused": "a reason"}), "evidence")
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
    ],
)
def test_what_is_no_evidence_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(record, "evidence")


def test_a_status_without_a_reason_is_refused() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(result(job.Verdict("failed", "x")) | {"reason": ""}, "job-result")
