# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is remembered of a job from run to run, beside its latest result: that may be of a run which did nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .job import EXIT_CODES, moment, stamp
from .metrics import Metric


@dataclass(frozen=True)
class Memory:
    """End and status of the last run that was not skipped, start of the last that was ok, and what was last measured."""

    ended: datetime | None = None
    succeeded: datetime | None = None
    metrics: tuple[Metric, ...] = ()
    status: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Return plain data that `memory` reads."""
        return {
            "ended": stamp(self.ended) if self.ended else None,
            "succeeded": stamp(self.succeeded) if self.succeeded else None,
            "metrics": [vars(metric) for metric in self.metrics],
            "status": self.status,
        }


def memory(raw: Mapping[str, Any]) -> Memory:
    """Read what `as_data` wrote. Raises ValueError, TypeError or KeyError for anything else."""
    ended, succeeded = (moment(raw[key]) if raw[key] else None for key in ("ended", "succeeded"))
    status = raw.get("status")  # files of older commands have none
    if status is not None and status not in EXIT_CODES:
        raise ValueError(f"{status!r} is no status")
    return Memory(ended, succeeded, tuple(Metric(**each) for each in raw["metrics"]), status)


def after(before: Memory, entry: Mapping[str, Any], metrics: Sequence[Metric]) -> Memory:
    """Return what is to be remembered after a run with this result."""
    if entry["status"] == "skipped":
        return before
    started = moment(entry["started"])
    return Memory(
        started + timedelta(seconds=entry["seconds"]),
        started if entry["status"] == "ok" else before.succeeded,
        tuple(metrics) or before.metrics,
        entry["status"],
    )


def measured(known: Memory, entry: Mapping[str, Any]) -> list[Metric]:
    """Return every metric of a job after a run with this result; a skipped one mends nothing that failed before it."""
    return [
        Metric("last_run_timestamp_seconds", moment(entry["started"]).timestamp()),
        Metric("last_success_timestamp_seconds", known.succeeded.timestamp() if known.succeeded else 0),
        Metric("duration_seconds", entry["seconds"]),
        Metric("exit_code", EXIT_CODES[known.status or entry["status"]]),
        *known.metrics,
    ]
