# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the host command shall do on a schedule, and everything wrong with it before a host is touched."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from . import backup_spec, check_job, notify_spec
from .agent_config import LONGEST_DEADLINE_SECONDS, MOST_HISTORY_LINES
from .audit_job import MOST_AHEAD, MOST_MONTHS
from .audit_partition import DEFAULT_AHEAD, LEAST_AHEAD, retention_months
from .backup import KINDS
from .cron import on_calendar, schedule_problem
from .dump_job import COUNTS
from .dump_plan import NO_DUMPS, plan_dumps
from .errors import Problem
from .inventory import number
from .job import GRACE
from .units import parse_duration_ms
from .view_spec import views

USER = "postgres"
STATE_DIRECTORY = "/var/lib/pgstead/jobs"
NOTIFICATIONS = "/etc/pgstead/notifications.json"
UNITS = "/etc/systemd/system"
HEARTBEAT = "pgstead-heartbeat.service"
SCHEDULERS = ("cron", "timer")
SOCKET_DIRECTORY = "/var/run/postgresql"
# what an inventory that says nothing of a job gets
JOBS: Mapping[str, Mapping[str, Any]] = {
    "audit_partitions": {"schedule": "17 3 * * *", "deadline": "10min", "enabled": True},
    "backup_dumps": {"schedule": "27 1 * * *", "deadline": "6h", "enabled": True},
    "refresh_views": {"schedule": "37 4 * * *", "deadline": "2h", "enabled": True},
    "backup_full": {"schedule": "7 1 * * 0", "deadline": "12h", "enabled": True},
    "backup_diff": {"schedule": "7 1 * * 1-6", "deadline": "6h", "enabled": True},
    "backup_incr": {"schedule": "22 * * * *", "deadline": "12h", "enabled": True},  # others of them go first
    "backup_verify": {"schedule": "52 5 * * *", "deadline": "12h", "enabled": True},
    "check_archiving": {"schedule": "*/10 * * * *", "deadline": "2min", "enabled": True},
    "recovery_marker": {"schedule": "47 0 * * *", "deadline": "30min", "enabled": True},
    "drill_quick": {"schedule": "13 2 * * 6", "deadline": "24h", "enabled": True},
    "drill_full": {"schedule": "43 12 2 * *", "deadline": "48h", "enabled": True},
    "check_jobs": {"schedule": "*/15 * * * *", "deadline": "1min", "enabled": True},
}
AUDIT_SCHEMA = "audit"
_DIRECTORY = re.compile(r"(/[A-Za-z0-9._-]*[A-Za-z0-9_-])+")  # no trailing slash, no .., no pattern of a shell
_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class AgentPlan:
    """The command's configuration, cron's lines, systemd's timers, the unit of the heartbeat (None for none), and what lies
    on hosts of what is no longer wanted (`leftovers`: directories, and names of files in any of them). No `problems` means
    that a host may be touched.
    """

    config: Mapping[str, Any]
    cron: tuple[Mapping[str, str], ...] = ()
    timers: tuple[Mapping[str, Any], ...] = ()
    heartbeat: Mapping[str, str] | None = None
    idle: tuple[str, ...] = ()
    leftovers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return plain data for tasks."""
        return {
            "config": self.config,
            "cron": list(self.cron),
            "timers": list(self.timers),
            "heartbeat": self.heartbeat,
            "idle": list(self.idle),
            "leftovers": dict(self.leftovers),
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

    def directory(self, where: str, raw: Any) -> str:
        """Return the path of a directory, or the root with a problem noted."""
        if isinstance(raw, str) and _DIRECTORY.fullmatch(raw):
            return raw
        self.problems.append(
            Problem(where, f"{raw!r} is not an absolute path of letters, digits, dots, dashes and underscores")
        )
        return "/"


def plan_agent(spec: Mapping[str, Any]) -> AgentPlan:
    """Decide which jobs run on a host, and by what they are started. `spec` has databases, backup, dumps, jobs, history_lines, port,
    marker_counts, metrics_directory, notifications, scheduler and backup_scheduler.
    """
    found = _Found()
    jobs = _jobs(found, spec)
    policy, problems = notify_spec.read(spec["notifications"])
    found.problems += problems
    config = {
        "user": USER,
        "state_directory": STATE_DIRECTORY,
        "socket_directory": SOCKET_DIRECTORY,
        "port": found.whole("postgresql_port", spec["port"], 1, 65535),
        "history_lines": found.whole("agent_history_lines", spec["history_lines"], 1, MOST_HISTORY_LINES),
        "metrics_directory": found.directory("agent_metrics_directory", spec["metrics_directory"]),
        "notifications": None if policy is None else NOTIFICATIONS,
        "jobs": jobs,
    }
    by_timer = {name for name in jobs if _scheduler(spec, name) == "timer"}
    for variable in ("scheduler", "backup_scheduler"):
        if spec[variable] not in SCHEDULERS:
            where = variable if variable.startswith("backup") else f"agent_{variable}"
            found.problems.append(Problem(where, f"{spec[variable]!r} is neither {' nor '.join(SCHEDULERS)}"))
    if found.problems:
        return AgentPlan(config, problems=tuple(found.problems))
    heartbeat = _heartbeat(spec.get("backup") or {})
    return AgentPlan(
        config,
        tuple(
            {"job": name, "schedule": job["schedule"], "user": USER}
            for name, job in jobs.items()
            if name not in by_timer
        ),
        tuple(_timer(name, jobs[name], spec.get("backup") or {}) for name in jobs if name in by_timer),
        heartbeat,
        tuple(name for name in JOBS if name not in jobs),
        _leftovers(config, by_timer, beats=heartbeat is not None),
    )


def _jobs(found: _Found, spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the jobs that have something to do, with their settings."""
    declared = spec["jobs"] or {}
    found.problems += [
        Problem(f"agent_jobs.{name}", f"there is no such job; there are {', '.join(JOBS)}")
        for name in declared
        if name not in JOBS
    ]
    dumps = plan_dumps({**(spec.get("dumps") or NO_DUMPS), "databases": spec["databases"]})
    found.problems += dumps.problems
    settings: dict[str, Mapping[str, Any]] = {
        "backup_dumps": dumps.settings if dumps.settings["databases"] else {},
        "audit_partitions": _audited(found, spec["databases"]),
        "refresh_views": _refreshed(found, spec["databases"]),
        **_backed_up(found, spec.get("backup") or {}, spec["marker_counts"]),
        **(spec.get("drills") or {}),  # _core/drill_spec.py
    }
    jobs: dict[str, dict[str, Any]] = {}
    for name in sorted(JOBS, key=check_job.NAME.__eq__):  # which looks at those that were found before it
        job = _job(found, f"agent_jobs.{name}", JOBS[name], declared.get(name))
        told = {"jobs": list(jobs)} if name == check_job.NAME and jobs else settings.get(name)
        if job is not None and told:
            jobs[name] = {**job, "settings": told}
    return jobs


def _scheduler(spec: Mapping[str, Any], name: str) -> Any:
    return spec["backup_scheduler" if name.startswith("backup_") else "scheduler"]


def _timer(name: str, job: Mapping[str, Any], backup: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the units of a job are made of; systemd is there for a command that does not keep its own deadline."""
    limit = job["deadline_seconds"] + int(GRACE.total_seconds())
    calendar = list(on_calendar(job["schedule"]))
    return {"job": name, "user": USER, "calendar": calendar, "limit_seconds": limit, "after": _server(backup)}


def _server(backup: Mapping[str, Any]) -> str:
    """Return the unit of the server; where its cluster is not known, the one that comes after all of them."""
    known = backup.get("version") and backup.get("cluster_name")
    return f"postgresql@{backup['version']}-{backup['cluster_name']}.service" if known else "postgresql.service"


def _heartbeat(backup: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what the unit of the heartbeat is made of; none where nothing could be restored."""
    if not backup.get("repositories"):
        return None
    return {"name": HEARTBEAT, "user": USER, "after": _server(backup)}


def _leftovers(config: Mapping[str, Any], by_timer: Collection[str], *, beats: bool) -> dict[str, list[str]]:
    """Return where to look for files, and the names of those that are to go."""
    idle = [name for name in JOBS if name not in config["jobs"]]
    names = [f"{name}.{ending}" for name in idle for ending in ("json", "jsonl", "lock", "memory")]
    names += [f"pgstead_{name}.prom" for name in idle]
    for name in JOBS:
        if name not in by_timer:
            names += [f"pgstead-{name}.timer", f"pgstead-{name}.service"]
    names += [] if beats else [HEARTBEAT]
    paths = [STATE_DIRECTORY, str(config["metrics_directory"]), UNITS]
    if config["notifications"] is None:
        # of both directories: who is told, and who has not been told yet
        paths.append(str(PurePosixPath(NOTIFICATIONS).parent))
        names.append(PurePosixPath(NOTIFICATIONS).name)
    return {"paths": paths, "patterns": names}


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
    return {"databases": databases} if databases else {}


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
    return {"databases": databases} if databases else {}


def _backed_up(found: _Found, raw: Mapping[str, Any], counts: Any) -> dict[str, dict[str, Any]]:
    """Return the settings of the jobs of physical backups, by job; none where no repository is declared."""
    if counts not in COUNTS:
        found.problems.append(Problem("agent_marker_counts", f"{counts!r} is neither {' nor '.join(COUNTS)}"))
    if not raw.get("repositories"):
        return {}
    declared, problems = backup_spec.read(raw)
    found.problems += problems
    if declared is None:
        return {}
    files = backup_spec.host_files(declared)
    made = {f"backup_{kind}": declared.made(kind, files) for kind in KINDS}
    looked = {"backup_verify": declared.job(files), "check_archiving": declared.job(files)}
    return {**made, **looked, "recovery_marker": {"counts": counts}}


def _retention(found: _Found, where: str, raw: Any) -> int | None:
    """Return months; None keeps the log for ever."""
    if raw in (None, ""):
        return None
    try:
        return found.whole(where, retention_months(str(raw)), 1, MOST_MONTHS)
    except ValueError as error:
        found.problems.append(Problem(where, str(error)))
        return None
