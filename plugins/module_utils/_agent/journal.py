# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's journal: journalctl -t pgstead."""

from __future__ import annotations

import syslog
from collections.abc import Mapping

_LEVELS: Mapping[str, int] = {
    "ok": syslog.LOG_INFO,
    "skipped": syslog.LOG_NOTICE,
    "warning": syslog.LOG_WARNING,
    "failed": syslog.LOG_ERR,
}


def note(status: str, text: str) -> None:
    """Write each line of a text, with the level of a job's status."""
    syslog.openlog("pgstead", syslog.LOG_PID, syslog.LOG_DAEMON)
    for line in text.splitlines():
        syslog.syslog(_LEVELS[status], line)
