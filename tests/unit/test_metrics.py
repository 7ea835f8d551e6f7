"""Metrics as node exporter reads them, their names promised, and what is remembered between runs to write them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import memory
from ansible_collections.pgstead.ops.plugins.module_utils._core.memory import Memory, after, measured
from ansible_collections.pgstead.ops.plugins.module_utils._core.metrics import (
    OF_JOBS,
    UNDELIVERED,
    Metric,
    exposition,
    undelivered,
)

ROOT = Path(__file__).resolve().parents[2]


def test_values_of_one_name_stand_together_under_what_they_mean() -> None:
    found = exposition(
        "backup_full",
        [
            Metric("size_bytes", 12_345_678_901.0, {"repository": "1"}),
            Metric("exit_code", 0),
            Metric("size_bytes", 0.5, {"repository": "2"}),
        ],
    )
    assert found.splitlines() == [
        f"# HELP pgstead_job_size_bytes {OF_JOBS['size_bytes']}",
        "# TYPE pgstead_job_size_bytes gauge",
        'pgstead_job_size_bytes{job="backup_full",repository="1"} 12345678901',
        'pgstead_job_size_bytes{job="backup_full",repository="2"} 0.5',
        f"# HELP pgstead_job_exit_code {OF_JOBS['exit_code']}",
        "# TYPE pgstead_job_exit_code gauge",
        'pgstead_job_exit_code{job="backup_full"} 0',
    ]
    assert found.endswith("\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1_785_000_000.0, "1785000000"), (-3, "-3"), (0.123, "0.123"), (float("inf"), "+Inf"), (float("nan"), "NaN")],
)
def test_numbers_are_written_whole(value: float, expected: str) -> None:
    assert exposition("j", [Metric("duration_seconds", value)]).splitlines()[-1].split()[-1] == expected


def test_labels_are_escaped() -> None:
    found = exposition("j", [Metric("size_bytes", 1, {"path": 'C:\\x "y"\nz'})])
    assert found.splitlines()[-1] == r'pgstead_job_size_bytes{job="j",path="C:\\x \"y\"\nz"} 1'


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        (("sizebytes", 1), ValueError, "'sizebytes' is no promised metric: describe it in _core/metrics.py"),
        (("size_bytes", 1, {"a-b": "c"}), ValueError, "size_bytes: a-b: a label is"),
        (("size_bytes", "many"), TypeError, "size_bytes: 'many' is not a number"),
        (("size_bytes", True), TypeError, "size_bytes: True is not a number"),
    ],
)
def test_what_is_no_metric(told: tuple[Any, ...], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Metric(*told)


def test_notifications_have_a_metric_of_their_own() -> None:
    assert undelivered(3).splitlines()[1:] == [f"# TYPE {UNDELIVERED} gauge", f"{UNDELIVERED} 3"]


def test_every_promised_name_is_described() -> None:
    described = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert [name for name in OF_JOBS if f"`pgstead_job_{name}`" not in described] == []
    assert f"`{UNDELIVERED}`" in described


# ----------------------------------------------------------------------------------------------- between two runs

SIZE, SMALLER = Metric("size_bytes", 7.0), Metric("size_bytes", 5.0)
ENDED, SUCCEEDED = datetime(2026, 1, 1, 3, 27, tzinfo=UTC), datetime(2026, 1, 1, 3, 17, tzinfo=UTC)
KNOWN = Memory(ENDED, SUCCEEDED, (SIZE,), "failed")
NEXT = datetime(2026, 1, 2, 3, 17, tzinfo=UTC)


def entry(status: str) -> dict[str, Any]:
    return {"job": "j", "status": status, "started": "2026-01-02T03:17:00Z", "seconds": 60.5}


@pytest.mark.parametrize(
    ("before", "status", "metrics", "expected"),
    [
        (Memory(), "ok", (SIZE,), Memory(datetime(2026, 1, 2, 3, 18, 0, 500000, UTC), NEXT, (SIZE,), "ok")),
        (KNOWN, "ok", (SMALLER,), Memory(datetime(2026, 1, 2, 3, 18, 0, 500000, UTC), NEXT, (SMALLER,), "ok")),
        (KNOWN, "failed", (), Memory(datetime(2026, 1, 2, 3, 18, 0, 500000, UTC), SUCCEEDED, (SIZE,), "failed")),
        (KNOWN, "warning", (), Memory(datetime(2026, 1, 2, 3, 18, 0, 500000, UTC), SUCCEEDED, (SIZE,), "warning")),
        (KNOWN, "skipped", (), KNOWN),
        (Memory(), "skipped", (), Memory()),
    ],
)
def test_what_is_remembered(before: Memory, status: str, metrics: tuple[Metric, ...], expected: Memory) -> None:
    assert after(before, entry(status), metrics) == expected


@pytest.mark.parametrize("known", [Memory(), KNOWN])
def test_memory_survives_the_disk(known: Memory) -> None:
    assert memory.memory(known.as_data()) == known


def test_memory_of_an_older_command_is_read() -> None:
    assert memory.memory({"ended": None, "succeeded": None, "metrics": []}) == Memory()


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"ended": "then"},
        {"ended": "2026-01-01T03:17:00", "succeeded": 0, "metrics": []},
        {"ended": None, "succeeded": None, "metrics": [], "status": "perhaps"},
    ],
)
def test_what_is_no_memory(raw: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        memory.memory(raw)


def test_the_metrics_of_every_job() -> None:
    found = {metric.name: metric.value for metric in measured(KNOWN, entry("skipped"))}
    assert found == {
        "last_run_timestamp_seconds": NEXT.timestamp(),
        "last_success_timestamp_seconds": SUCCEEDED.timestamp(),
        "duration_seconds": 60.5,
        "exit_code": 1,
        "size_bytes": 7.0,
    }
    never = {metric.name: metric.value for metric in measured(Memory(), entry("skipped"))}
    assert (never["last_success_timestamp_seconds"], never["exit_code"]) == (0, 75)
