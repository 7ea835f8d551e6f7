# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The jobs that there are. A further one is a function here, and its schedule in _core/agent_plan.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._core.agent_config import Config
from .._core.job import Verdict
from . import (
    audit_partitions,
    backup_dumps,
    backup_verify,
    backups,
    check_archiving,
    check_jobs,
    drill,
    recovery_marker,
    refresh_views,
)

Work = Callable[[Config, Mapping[str, Any]], Verdict]


@dataclass(frozen=True)
class Job:
    """What a job does. Of jobs that name the same lock one runs at a time; without, of each job one run.

    `afterwards` takes away what the work left, however it ended, and has seconds for it. One that asks this host's server
    waits for one that is starting.
    """

    work: Work
    lock: str = ""
    afterwards: Callable[[Config, Mapping[str, Any]], None] | None = None
    asks_server: bool = False


BACKUP = "backup"
JOBS: Mapping[str, Job] = {
    "audit_partitions": Job(audit_partitions.run, asks_server=True),
    "backup_dumps": Job(backup_dumps.run, asks_server=True),
    "refresh_views": Job(refresh_views.run, asks_server=True),
    "backup_full": Job(backups.run, BACKUP, asks_server=True),
    "backup_diff": Job(backups.run, BACKUP, asks_server=True),
    "backup_incr": Job(backups.run, BACKUP, asks_server=True),
    "backup_verify": Job(backup_verify.run, asks_server=True),
    "check_archiving": Job(check_archiving.run, asks_server=True),
    "drill_quick": Job(drill.run, drill.LOCK, drill.clean),
    "drill_full": Job(drill.run, drill.LOCK, drill.clean),
    "recovery_marker": Job(recovery_marker.run, asks_server=True),
    "check_jobs": Job(check_jobs.run),
}
