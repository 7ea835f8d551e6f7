# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's journal: journalctl -t pgstead."""

from __future__ import annotations

import syslog
import traceback
from collections.abc import Mapping

_LEVELS: Mapping[str, int] = {
    "ok": syslog.LOG_INFO,
    "skipped": syslog.LOG_NOTICE,
    "warning": syslog.LOG_WARNING,
    "failed": syslog.LOG_ERR,
}


def note(status: str, text: str) -> None:
    """Write each line of a text, with the level of a job's status; whatever is in it, it is written."""
    syslog.openlog("pgstead", syslog.LOG_PID, syslog.LOG_DAEMON)
    for line in text.replace("\0", "").encode(errors="backslashreplace").decode().splitlines():
        syslog.syslog(_LEVELS[status], line)


def unexpected(error: Exception) -> str:
    """Return words for an error that nobody foresaw; the journal has it whole."""
    note("failed", "".join(traceback.format_exception(error)))
    said = next(iter(str(error).splitlines()), "")  # the driver's further lines quote rows
    return f"an error in pgstead itself: {type(error).__name__}: {said}; journalctl -t pgstead"
