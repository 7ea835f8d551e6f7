# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The heartbeat: a row every few seconds that says until when all that was committed lies in which WAL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._core.recovery_point import Beat
from .connection import Target, connect, execute, rows
from .engine import spoken
from .recovery_tables import prepare, there
from .session import session

# The time is taken first: what was committed by then lies before the LSN, and comes back with the segment that holds it.
# The beat's own commit lies after it. Two hours are kept, to either side: a clock that was ahead must not leave rows for ever.
_BEAT = """
WITH moment AS MATERIALIZED (SELECT pg_catalog.clock_timestamp() AS at),
gone AS (
    DELETE FROM pgstead.heartbeat h USING moment m
    WHERE h.at < m.at - interval '2 hours' OR h.at > m.at + interval '2 hours')
INSERT INTO pgstead.heartbeat (at, lsn) SELECT at, pg_catalog.pg_current_wal_insert_lsn() FROM moment
ON CONFLICT DO NOTHING
"""
_BEATS = "SELECT at, (lsn - '0/0'::pg_catalog.pg_lsn)::bigint FROM pgstead.heartbeat ORDER BY at"


@contextmanager
def opened(target: Target) -> Iterator[Any]:
    """Yield a connection to beat with. Raises PgsteadError, also for what goes wrong in the block; IsStandby on a standby."""
    with spoken(target), session(target) as connection:
        prepare(connection)
        yield connection


def beat(connection: Any) -> None:
    """Write a row, and remove those that nobody needs any more."""
    execute(connection, _BEAT)


def beats(target: Target) -> tuple[Beat, ...]:
    """Return all rows, oldest first; none where there is no such table. Raises PgsteadError."""
    with spoken(target), connect(target) as connection:
        if not there(connection, "heartbeat"):
            return ()
        return tuple(Beat(at, int(lsn)) for at, lsn in rows(connection, _BEATS))
