# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job audit_partitions: partitions of audit logs are there before they are needed, and go when they have expired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.agent_config import Config
from .._core.audit_job import audited, conclude
from .._core.job import Verdict
from .._pg.audit_partition import maintain
from .databases import each, target


def run(config: Config, settings: Mapping[str, Any]) -> Verdict:
    """Maintain each database's log."""
    return conclude(each(audited(settings), lambda one: maintain(target(config, one.database), one.rule, one.role)))
