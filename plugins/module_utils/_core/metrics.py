# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metrics of jobs as node exporter's textfile collector reads them. Their names are a promise: docs/metrics.md."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_LABEL = re.compile(r"[a-z][a-z0-9_]*")
# The collector does not take one name with two texts, so each has its only text here, whichever job reports it.
OF_JOBS: Mapping[str, str] = {
    "last_run_timestamp_seconds": "When the latest run of a job began, whatever it came to.",
    "last_success_timestamp_seconds": "When the latest run that was ok began; 0 where there was none.",
    "duration_seconds": "How long the latest run took.",
    "exit_code": "What the latest run that was not skipped came to: 0 ok, 1 failed, 3 warning; 75 where all were.",
    "overdue": "Whether a job did not run when it was due (1), as check_jobs saw it.",
    "size_bytes": "Size of what the latest run that made something made.",
    "recovery_time_seconds": "How long the latest drill took from nothing until the restored server was open.",
    "recovery_point_seconds": "How much of the latest data would have been lost, as time, when the latest drill began.",
    "checks": "Checks of the latest drill by what they came to.",
}
UNDELIVERED = "pgstead_notification_undelivered"


@dataclass(frozen=True)
class Metric:
    """One value that a job reports: `size_bytes` becomes pgstead_job_size_bytes{job="…"}, with further labels."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in OF_JOBS:
            raise ValueError(
                f"{self.name!r} is no promised metric: describe it in _core/metrics.py and docs/metrics.md"
            )
        wrong = [label for label in self.labels if not _LABEL.fullmatch(label)]
        if wrong:
            raise ValueError(f"{self.name}: {', '.join(wrong)}: a label is small letters, digits and underscores")
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise TypeError(f"{self.name}: {self.value!r} is not a number")


def exposition(job: str, metrics: Iterable[Metric]) -> str:
    """Return the text of a job's metrics; those of one name stand together, under what they mean."""
    found: dict[str, list[str]] = {}
    for metric in metrics:
        name = f"pgstead_job_{metric.name}"
        labels = {"job": job, **metric.labels}
        found.setdefault(metric.name, []).append(f"{name}{{{_labels(labels)}}} {_value(metric.value)}")
    return "".join(_family(f"pgstead_job_{name}", OF_JOBS[name], lines) for name, lines in found.items())


def undelivered(count: int) -> str:
    """Return the text of the metric about notifications."""
    return _family(UNDELIVERED, "Notifications that no receiver has taken yet.", [f"{UNDELIVERED} {count}"])


def _family(name: str, meaning: str, lines: Sequence[str]) -> str:
    return "\n".join([f"# HELP {name} {meaning}", f"# TYPE {name} gauge", *lines]) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _value(value: float) -> str:
    """Write a number without the rounding that an exponent of six digits would bring."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
