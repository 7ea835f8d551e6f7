# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job audit_partitions: partitions of audit logs are there before they are needed, and go when they have expired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .._core.agent_config import Config
from .._core.audit_job import audited, conclude
from .._core.errors import PgsteadError
from .._core.job import Verdict
from .._pg.audit_partition import maintain
from .._pg.connection import Target


def run(config: Config, settings: Mapping[str, Any]) -> Verdict:
    """Maintain each database's log; what fails in one does not keep the others from theirs."""
    found: dict[str, dict[str, Any]] = {}
    for item in audited(settings):
        target = Target(config.socket_directory, config.port, item.database, user=config.user, system_user=config.user)
        try:
            found[item.database] = asdict(maintain(target, item.rule, item.role))
        except PgsteadError as error:
            found[item.database] = {"error": str(error)}
    return conclude(found)
