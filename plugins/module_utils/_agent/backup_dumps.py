# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job backup_dumps: databases as encrypted dumps in every remote, and old ones gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.agent_config import Config
from .._core.dump_job import conclude, dump_job
from .._core.job import Verdict
from .._host.dump_programs import Programs
from .._host.dump_take import take
from .databases import each, target


def run(config: Config, settings: Mapping[str, Any]) -> Verdict:
    """Dump each database."""
    job, programs = dump_job(settings), Programs(config.user)
    return conclude(each(job.databases, lambda one: take(target(config, one.database), one, job, programs)))
