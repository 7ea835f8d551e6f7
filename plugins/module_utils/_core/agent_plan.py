# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the host command shall do on a schedule, and everything wrong with it before a host is touched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .agent_config import LONGEST_DEADLINE_SECONDS, MOST_HISTORY_LINES
from .audit_job import MOST_AHEAD, MOST_MONTHS
from .audit_partition import DEFAULT_AHEAD, LEAST_AHEAD, retention_months
from .cron import schedule_problem
from .dump_plan import NO_DUMPS, plan_dumps
from .errors import Problem
from .inventory import number
from .units import parse_duration_ms
from .view_spec import views

USER = "postgres"
STATE_DIRECTORY = "/var/lib/pgstead/jobs"
SOCKET_DIRECTORY = "/var/run/postgresql"
# what an inventory that says nothing of a job gets
JOBS: Mapping[str, Mapping[str, Any]] = {
    "audit_partitions": {"schedule": "17 3 * * *", "deadline": "10min", "enabled": True},
    "backup_dumps": {"schedule": "27 1 * * *", "deadline": "6h", "enabled": True},
    "refresh_views": {"schedule": "37 4 * * *", "deadline": "2h", "enabled": True},
}
AUDIT_SCHEMA = "audit"
_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class AgentPlan:
    """The command's configuration, cron's lines, the jobs that have none; no `problems` means a host may be touched."""

    config: Mapping[str, Any]
    cron: tuple[Mapping[str, str], ...] = ()
    idle: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return plain data for tasks."""
        return {
            "config": self.config,
            "cron": list(self.cron),
            "idle": list(self.idle),
            "problems": [str(problem) for problem in self.problems],
        }


@dataclass
class _Found:
    """Problems as they are met."""

    problems: list[Problem] = field(default_factory=list)

    def whole(self, where: str, raw: Any, low: int, high: int) -> int:
        """Return a whole number in a range, or the least one with a problem noted."""
        try:
            value = number(raw)
        except ValueError:
            value = None
        if value is None or isinstance(raw, bool) or not low <= value <= high:
            self.problems.append(Problem(where, f"{raw!r} is not a whole number from {low} to {high}"))
            return low
        return value


def plan_agent(spec: Mapping[str, Any]) -> AgentPlan:
    """Decide which jobs run on a host. `spec` has databases, jobs, history_lines, port, and what `plan_dumps` asks for in dumps."""
    found = _Found()
    declared = spec["jobs"] or {}
    found.problems += [
        Problem(f"agent_jobs.{name}", f"there is no such job; there are {', '.join(JOBS)}")
        for name in declared
        if name not in JOBS
    ]
    dumps = plan_dumps({**(spec.get("dumps") or NO_DUMPS), "databases": spec["databases"]})
    found.problems += dumps.problems
    settings = {
        "backup_dumps": dumps.settings,
        "audit_partitions": _audited(found, spec["databases"]),
        "refresh_views": _refreshed(found, spec["databases"]),
    }
    jobs = {}
    for name, standard in JOBS.items():
        job = _job(found, f"agent_jobs.{name}", standard, declared.get(name))
        if job is not None and settings[name]["databases"]:
            jobs[name] = {**job, "settings": settings[name]}
    config = {
        "user": USER,
        "state_directory": STATE_DIRECTORY,
        "socket_directory": SOCKET_DIRECTORY,
        "port": found.whole("postgresql_port", spec["port"], 1, 65535),
        "history_lines": found.whole("agent_history_lines", spec["history_lines"], 1, MOST_HISTORY_LINES),
        "jobs": jobs,
    }
    lines = tuple({"job": name, "schedule": job["schedule"], "user": USER} for name, job in jobs.items())
    return AgentPlan(config, lines, tuple(name for name in JOBS if name not in jobs), tuple(found.problems))


def _job(found: _Found, where: str, standard: Mapping[str, Any], declared: Any) -> dict[str, Any] | None:
    """Return a job's schedule and deadline, or None for one that is switched off."""
    if declared is not None and (not isinstance(declared, Mapping) or set(declared) - set(standard)):
        found.problems.append(Problem(where, f"{declared!r} is not a mapping of {', '.join(standard)}"))
        return None
    told = {**standard, **{key: value for key, value in (declared or {}).items() if value is not None}}
    enabled = _TRUTHS.get(str(told["enabled"]).lower())
    if enabled is None:
        found.problems.append(Problem(f"{where}.enabled", f"{told['enabled']!r} is neither true nor false"))
    schedule = " ".join(str(told["schedule"]).split())
    complaint = schedule_problem(schedule)
    if complaint:
        found.problems.append(Problem(f"{where}.schedule", complaint))
    deadline = _deadline(found, f"{where}.deadline", told["deadline"])
    return {"schedule": schedule, "deadline_seconds": deadline} if enabled else None


def _deadline(found: _Found, where: str, raw: Any) -> int:
    """Return whole seconds, rounded up."""
    try:
        seconds = math.ceil(parse_duration_ms(str(raw), "s") / 1000)
    except ValueError as error:
        found.problems.append(Problem(where, str(error)))
        return 1
    return found.whole(where, seconds, 1, LONGEST_DEADLINE_SECONDS)


def _audited(found: _Found, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the databases whose audit logs are to be kept."""
    databases = []
    for position, item in enumerate(items):
        audit = item.get("audit")
        if audit is None or (item.get("state") or "present") != "present":
            continue
        where = f"pgstead_databases[{position}].audit"
        if not isinstance(audit, Mapping):
            found.problems.append(Problem(where, f"{audit!r} is not a mapping"))
            continue
        ahead = DEFAULT_AHEAD if audit.get("ahead") is None else audit["ahead"]
        databases.append(
            {
                "database": str(item.get("name")),
                "role": str(item.get("owner")),
                "schema": str(audit.get("schema") or AUDIT_SCHEMA),
                "retention_months": _retention(found, f"{where}.retention", audit.get("retention")),
                "ahead": found.whole(f"{where}.ahead", ahead, LEAST_AHEAD, MOST_AHEAD),
            }
        )
    return {"databases": databases}


def _refreshed(found: _Found, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the databases with materialised views to fill anew, and these by their whole names."""
    databases = []
    for position, item in enumerate(items):
        if item.get("views") is None or (item.get("state") or "present") != "present":
            continue
        schema = next(iter(item.get("schemas") or ()), "public")
        declared, problems = views(item["views"], str(schema))
        found.problems += [replace(each, where=f"pgstead_databases[{position}].{each.where}") for each in problems]
        names = [str(view.name) for view in declared if view.refresh and view.present]
        if names:
            databases.append({"database": str(item.get("name")), "views": names})
    return {"databases": databases}


def _retention(found: _Found, where: str, raw: Any) -> int | None:
    """Return months; None keeps the log for ever."""
    if raw in (None, ""):
        return None
    try:
        return found.whole(where, retention_months(str(raw)), 1, MOST_MONTHS)
    except ValueError as error:
        found.problems.append(Problem(where, str(error)))
        return None
