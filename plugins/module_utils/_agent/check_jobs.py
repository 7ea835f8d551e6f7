# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job check_jobs: says which jobs did not run when they were due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.agent_config import Config
from .._core.check_job import checked, conclude
from .._core.errors import Problem, SpecError
from .._core.job import Verdict
from .clock import now
from .memory import missed, register


def run(config: Config, settings: Mapping[str, Any]) -> Verdict:
    """Look at every job that the settings name."""
    names = checked(settings)
    unknown = [Problem("settings.jobs", f"{name} is not configured") for name in names if name not in config.jobs]
    if unknown:
        raise SpecError(unknown)
    moment = now()
    register(config, moment)  # for a playbook that was cut off before it did
    found = missed(config, moment, moment)
    return conclude({name: found[name] for name in names})
