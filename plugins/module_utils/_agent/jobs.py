# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The jobs that there are. A further one is a function here, and its schedule in _core/agent_plan.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._core.agent_config import Config
from .._core.job import Verdict
from . import audit_partitions, backup_dumps, refresh_views

Job = Callable[[Config, Mapping[str, Any]], Verdict]

JOBS: Mapping[str, Job] = {
    "audit_partitions": audit_partitions.run,
    "backup_dumps": backup_dumps.run,
    "refresh_views": refresh_views.run,
}
