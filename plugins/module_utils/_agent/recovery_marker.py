# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job recovery_marker: a place in the WAL that a recovery drill can restore to and judge by itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .._core.agent_config import Config
from .._core.errors import IsStandby
from .._core.job import Verdict
from .._core.marker_job import conclude, counts
from .._pg import recovery
from .._pg.recovery_marker import lay
from .._pg.recovery_tables import DATABASE
from .databases import target

PATIENCE_SECONDS = 120.0


def run(config: Config, settings: Mapping[str, Any]) -> Verdict:
    """Lay a marker, and wait until its WAL is archived. A standby has its primary's."""
    method, place = counts(settings), target(config, DATABASE)
    try:
        laid = lay(place, method)
    except IsStandby:
        return Verdict("skipped", "this server is a standby: its primary lays the markers")
    since = time.monotonic()
    archived = recovery.archived(place, laid.segment, PATIENCE_SECONDS)
    return conclude(laid, time.monotonic() - since if archived else None, PATIENCE_SECONDS)
