# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job that looks at the others: a run that never started reports nothing, so somebody has to miss it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import SpecError
from .job import Verdict
from .metrics import Metric
from .shape import Key, faults, texts

NAME = "check_jobs"
_KEYS: Mapping[str, Key] = {"jobs": texts("job")}


def checked(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the job's settings. Raises SpecError with everything that is wrong with them."""
    problems = faults(settings, _KEYS, "settings")
    if problems:
        raise SpecError(problems)
    return tuple(settings["jobs"])


def conclude(overdue: Mapping[str, str]) -> Verdict:
    """Judge what was found, by job: why it is overdue, or nothing."""
    missed = [f"{job} {words}" for job, words in overdue.items() if words]
    metrics = tuple(Metric("overdue", int(bool(words)), {"job": job}) for job, words in overdue.items())
    reason = "; ".join(missed) or f"{len(overdue)} jobs run when they are due"
    return Verdict("failed" if missed else "ok", reason, {"overdue": dict(overdue)}, metrics=metrics)
