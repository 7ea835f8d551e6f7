# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What backups there are, for modules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .._core.agent_plan import SOCKET_DIRECTORY
from .._core.archiving import archiving_faults
from .._core.backup_config import archive_command
from .._core.backup_job import settings
from .._pg.archiving import read
from .._pg.connection import Target
from .._shell import Context, Outcome
from .backup_config import AS_POSTGRES
from .backup_survey import survey
from .pgbackrest import PgBackRest


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Return the survey; changes nothing."""
    told = settings(params["settings"], makes=False)
    engine = PgBackRest(context.run, told.stanza, told.keys, (), AS_POSTGRES)
    archiving = read(Target(SOCKET_DIRECTORY, int(params["port"])))
    found = survey(engine, told, archiving, datetime.now(UTC), read_everything=params["verify"])
    said = {
        "command": archiving.command,
        "set": archiving.command == archive_command(told.stanza),
        "waiting": archiving.waiting,
        "last": archiving.last,
        "faults": list(archiving_faults(archiving, archive_command(told.stanza), told.archive_age)),
    }
    return Outcome(False, {**found.as_data(), "archiving": said})
