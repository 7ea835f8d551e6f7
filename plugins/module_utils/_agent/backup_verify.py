# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job backup_verify: every file of every repository is read, and the WAL between them has no gap."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .._core.agent_config import Config
from .._core.backup_job import settings
from .._core.backup_report import conclude_verify
from .._core.job import Verdict
from .._host.backup_survey import survey
from .._host.pgbackrest import PgBackRest
from .._host.programs import run as run_program
from .._pg.archiving import read
from .databases import target


def run(config: Config, raw: Mapping[str, Any]) -> Verdict:
    """Verify all repositories."""
    told = settings(raw, makes=False)
    engine = PgBackRest(run_program, told.stanza, told.keys)
    archiving = read(target(config, "postgres"))
    found = survey(engine, told, archiving, datetime.now(UTC), read_everything=True)
    return conclude_verify(found)
