# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stand-in until the audit branch is merged: it connects, and finds nothing to do."""

from __future__ import annotations

from dataclasses import dataclass

from .._core.audit_partition import PartitionRule
from .connection import Target
from .session import session


@dataclass(frozen=True)
class PartitionReport:
    """What was done to the partitions of one audit log."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    waiting: bool = False  # there is no audit log in this database yet
    default_rows: int = 0
    blocked: tuple[str, ...] = ()


def maintain(target: Target, rule: PartitionRule, role: str = "") -> PartitionReport:
    """Create partitions that are missing and drop those that have expired."""
    assert rule.ahead > 0
    with session(target, role):
        return PartitionReport()
