# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job refresh_views: materialised views show what their tables hold, and are read meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.agent_config import Config
from .._core.job import Verdict
from .._core.refresh_job import conclude, refreshed
from .._pg.refresh import refresh
from .databases import each, target


def run(config: Config, settings: Mapping[str, Any]) -> Verdict:
    """Fill each database's views anew."""
    return conclude(each(refreshed(settings), lambda one: refresh(target(config, one.database), one.views)))
