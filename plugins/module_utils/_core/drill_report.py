# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a job of drills came to, over all of its clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .job import Verdict
from .metrics import Metric

_ORDER = ("failed", "warning", "ok")
_FIGURES = ("recovery_time_seconds", "recovery_point_seconds")
_COUNTED = ("passed", "failed", "could_not_run")


def conclude(found: Sequence[Mapping[str, Any]], profile: str, table: str) -> Verdict:
    """Judge a run by the worst of its clusters; each has cluster, status, summary, evidence, and figures as far as there are.

    `table` has a line for each that a person reads.
    """
    worst = min((one["status"] for one in found), key=_ORDER.index)
    told = [one for one in found if one["status"] == worst]
    facts = {"profile": profile, "table": table.splitlines(), "clusters": {one["cluster"]: dict(one) for one in found}}
    kept = next((one["evidence"] for one in told if one["evidence"]), None)
    return Verdict(worst, "; ".join(one["summary"] for one in told), facts, kept, tuple(_metrics(found)))


def _metrics(found: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    for one in found:
        label = {"cluster": str(one["cluster"])}
        for name in _FIGURES:
            if one.get(name) is not None:
                yield Metric(name, one[name], label)
        for status in _COUNTED:
            if status in one:
                yield Metric("checks", one[status], {**label, "status": status})
