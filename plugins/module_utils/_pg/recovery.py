# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server before and after a recovery: whether it is in one, its timeline, and the settings that a restore leaves behind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from .._core.errors import ConnectionFailed
from .connection import Target, connect, driver, execute, rows

_STATE = """
SELECT pg_catalog.pg_is_in_recovery(),
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_get_wal_replay_pause_state() = 'paused' ELSE false END,
       c.timeline_id,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')),
       (SELECT count(*) FROM pg_catalog.pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')),
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
            ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,
       (SELECT system_identifier FROM pg_catalog.pg_control_system())
FROM pg_catalog.pg_control_checkpoint() c
"""
# Something is written first: a segment in which nothing is would not be ended. And it is a transaction that commits:
# recovery to a time ends at the first commit after it, and fails where there is none.
_MARK = "SELECT pg_catalog.pg_create_restore_point('pgstead: before a restore'), pg_catalog.pg_current_xact_id()"
# The byte before the end: at a border of segments, majors differ on which of the two an LSN belongs to.
_SWITCH = "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_switch_wal() - 1)"
_ARCHIVED = "SELECT last_archived_wal FROM pg_catalog.pg_stat_archiver"
_LEFT_BEHIND = """
SELECT name FROM pg_catalog.pg_file_settings
WHERE sourcefile LIKE '%/postgresql.auto.conf' AND (name = 'restore_command' OR name LIKE 'recovery\\_target%')
ORDER BY name
"""


@dataclass(frozen=True)
class State:
    """What a running server is: `tablespaces` counts those outside of its data directory."""

    in_recovery: bool
    paused: bool  # recovery waits for somebody
    timeline: int
    segment_bytes: int
    tablespaces: int
    current_segment: str | None
    system_id: int


def state(target: Target) -> State:
    """Read it. Raises ConnectionFailed."""
    with connect(target) as connection:
        try:
            (found,) = rows(connection, _STATE)
        except driver.Error as error:  # it ends, or has begun something that the question is in the way of
            raise ConnectionFailed(f"{target} does not answer: {error}") from error
    in_recovery, paused, timeline, size, tablespaces, current, system = found
    # the checkpoint may be of before a promotion: the running segment knows
    timeline = int(current[:8], 16) if current else int(timeline)
    return State(in_recovery, paused, timeline, int(size), int(tablespaces), current, int(system))


def switch(target: Target) -> str:
    """End the running WAL segment, and return its name: it is archived from now on."""
    with connect(target) as connection:
        rows(connection, _MARK)
        return end_segment(connection)


def end_segment(connection: Any) -> str:
    """End the WAL segment that has what was written last, and return its name."""
    return str(rows(connection, _SWITCH)[0][0])


def last_archived(target: Target) -> str:
    """Return the name of the last archived file, empty for none."""
    with connect(target) as connection:
        return str(rows(connection, _ARCHIVED)[0][0] or "")


def archived(target: Target, segment: str, patience_seconds: float) -> bool:
    """Wait until a segment is archived, and with it all before it; say whether it was in time."""
    deadline = time.monotonic() + patience_seconds
    while last_archived(target)[:24] < segment:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def left_behind(target: Target) -> tuple[str, ...]:
    """Return the names of the settings that a restore wrote to postgresql.auto.conf."""
    with connect(target) as connection:
        return tuple(str(row[0]) for row in rows(connection, _LEFT_BEHIND))


def reload(target: Target) -> None:
    """Have the server read its settings again."""
    with connect(target) as connection:
        execute(connection, "SELECT pg_catalog.pg_reload_conf()")
