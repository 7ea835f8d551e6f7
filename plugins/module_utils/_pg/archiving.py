# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the server says of its archiving."""

from __future__ import annotations

from .._core.archiving import Archiving
from .connection import Target, connect, rows

# a segment waits from when it was complete: the time of its .ready file
_STATE = """
SELECT current_setting('archive_command'), pg_catalog.pg_is_in_recovery(),
       a.last_archived_wal, a.last_archived_time, a.last_failed_wal, a.last_failed_time, w.waiting, w.oldest,
       pg_catalog.clock_timestamp(), pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))
FROM pg_catalog.pg_stat_archiver a,
     (SELECT count(*) AS waiting, min(modification) AS oldest
      FROM pg_catalog.pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}\\.ready$') w
"""


def read(target: Target) -> Archiving:
    """Read the server's account of archiving. Raises ConnectionFailed."""
    with connect(target) as connection:
        (found,) = rows(connection, _STATE)
    return Archiving(*found)
