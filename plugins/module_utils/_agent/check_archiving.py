# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job check_archiving: the WAL leaves the host, in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.agent_config import Config
from .._core.archiving import archiving_faults
from .._core.backup_config import archive_command
from .._core.backup_job import settings
from .._core.job import Verdict
from .._pg.archiving import read
from .databases import target


def run(config: Config, raw: Mapping[str, Any]) -> Verdict:
    """Ask the server; nothing is changed, and no repository is asked."""
    told = settings(raw, makes=False)
    found = read(target(config, "postgres"))
    facts = {"waiting": found.waiting, "last": found.last, "last_time": found.last_time and found.last_time.isoformat()}
    faults = archiving_faults(found, archive_command(told.stanza), told.archive_age)
    return Verdict("failed", "; ".join(faults), facts) if faults else Verdict("ok", "", facts)
