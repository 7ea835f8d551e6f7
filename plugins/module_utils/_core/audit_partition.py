# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stand-in until the audit branch is merged: the shape of its answers, and nothing behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass

LEAST_AHEAD = 2
DEFAULT_AHEAD = 3


@dataclass(frozen=True)
class PartitionRule:
    """How the partitions of an audit log are kept."""

    schema: str
    retention_months: int | None
    ahead: int = DEFAULT_AHEAD
    table: str = "log"


def retention_months(text: str) -> int:
    """Return whole months. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+)\s*(month|year)s?\s*", text)
    if match is None or int(match[1]) < 1:
        raise ValueError(f"{text!r} is not a number of months or years")
    return int(match[1]) * (12 if match[2] == "year" else 1)
