# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration of the host command: what its jobs are, and where things lie. It never holds a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Problem, SpecError
from .shape import MAPPING, PATH, TEXT, Key, faults, or_nothing, whole

MOST_HISTORY_LINES, LONGEST_DEADLINE_SECONDS = 100_000, 7 * 86400
_KEYS: Mapping[str, Key] = {
    "user": TEXT,
    "state_directory": PATH,
    "socket_directory": PATH,
    "port": whole(1, 65535),
    "history_lines": whole(1, MOST_HISTORY_LINES),
    "metrics_directory": PATH,
    "notifications": or_nothing(PATH),
    "jobs": MAPPING,
}
_JOB_KEYS: Mapping[str, Key] = {
    "schedule": TEXT,
    "deadline_seconds": whole(1, LONGEST_DEADLINE_SECONDS),
    "settings": MAPPING,
}


@dataclass(frozen=True)
class JobConfig:
    """One job: when cron starts it, when it is ended, and what it needs to know."""

    schedule: str
    deadline_seconds: int
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Config:
    """The whole configuration; `user` is the operating system user that runs the jobs, `notifications` the file that says
    who is told of them, if anybody is.
    """

    user: str
    state_directory: str
    socket_directory: str
    port: int
    history_lines: int
    jobs: Mapping[str, JobConfig]
    metrics_directory: str
    notifications: str | None = None


def parse(text: str) -> Config:
    """Read a configuration. Raises SpecError with everything that is wrong with it."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise SpecError([Problem("configuration", f"is not JSON: {error}")]) from error
    problems = faults(raw, _KEYS, "configuration")
    jobs = raw.get("jobs") if isinstance(raw, Mapping) else None
    if isinstance(jobs, Mapping):
        problems += [problem for name, job in jobs.items() for problem in faults(job, _JOB_KEYS, f"jobs.{name}")]
    if problems:
        raise SpecError(problems)
    return Config(**{**raw, "jobs": {name: JobConfig(**job) for name, job in raw["jobs"].items()}})
