# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recovery markers: places in the WAL of which a restored server itself can tell whether recovery ended exactly there."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from .._core.errors import DatabaseMissing, StatementFailed
from .._core.marker_job import Laid
from . import dump
from .connection import Target, connect, rows
from .engine import spoken
from .recovery import end_segment
from .recovery_tables import prepare, there
from .session import session

KEPT = 100
_NAME = re.compile(r"pgstead-\d{8}T\d{6}Z")
SMALL_BYTES = 64 * 2**20  # of a table that is counted whatever is asked for: that takes milliseconds
CLOCK_SECONDS = 10  # for the clock to go on; it takes a microsecond

_DATABASES = "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
_ROLES = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"
# Names tell seconds: a second marker in one of them gets no row, and tries again in the next.
_BEFORE = f"""
WITH moment AS MATERIALIZED (SELECT pg_catalog.clock_timestamp() AS at),
gone AS (
    DELETE FROM pgstead.recovery_marker WHERE name NOT IN (
        SELECT name FROM pgstead.recovery_marker WHERE part = 'before' ORDER BY laid_at DESC LIMIT {KEPT - 1}))
INSERT INTO pgstead.recovery_marker (name, part, laid_at, manifest)
SELECT 'pgstead-' || pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'), 'before', at, %s::jsonb FROM moment
ON CONFLICT DO NOTHING RETURNING name, laid_at
"""
_POINT = "SELECT pg_catalog.pg_create_restore_point(%s)::text"
_CLOCK = "SELECT pg_catalog.clock_timestamp()"
_AFTER = """
INSERT INTO pgstead.recovery_marker (name, part, laid_at, target_time, target_lsn)
VALUES (%s, 'after', pg_catalog.clock_timestamp(), %s, %s) RETURNING name
"""
_MARKERS = """
SELECT b.name, b.laid_at, a.target_time, coalesce(a.target_lsn::text, ''), b.manifest
FROM pgstead.recovery_marker b LEFT JOIN pgstead.recovery_marker a ON a.name = b.name AND a.part = 'after'
WHERE b.part = 'before' ORDER BY b.laid_at DESC
"""
_PARTS = "SELECT part FROM pgstead.recovery_marker WHERE name = %s"


@dataclass(frozen=True)
class Marker:
    """A marker as a server has it. Time and LSN (as PostgreSQL writes it) are there where row `after` is."""

    name: str
    laid_at: datetime
    time: datetime | None
    lsn: str
    manifest: Mapping[str, Any]

    @property
    def complete(self) -> bool:
        # pgBackRest writes a name into the settings of a recovery as it is: only one of ours is used
        return self.time is not None and _NAME.fullmatch(self.name) is not None


def lay(target: Target, counts: str) -> Laid:
    """Lay a marker into the WAL and end its segment. Raises IsStandby, and other errors of PgsteadError.

    What is between the rows `before` and `after`, in the order of the WAL:

    - the restore point. Recovery to its name ends with it.
    - what begins at its LSN, which is where it ends: recovery to an LSN (inclusive, as is usual) ends with the first record
      that begins there or later. That is no commit of `after`, for which the row itself has to be written first.
    - the time, read after the restore point was written, hence after `before` was committed. Recovery to a time ends before
      the first commit that is later, and all of these, `after` among them, are made once the clock has gone on.
    """
    with spoken(target), session(target) as connection:
        prepare(connection)
        manifest = _manifest(connection, target, counts)
        name, laid_at = _before(connection, manifest)
        _pass(connection, laid_at)
        ((lsn,),) = rows(connection, _POINT, (name,))
        ((moment,),) = rows(connection, _CLOCK)
        _pass(connection, moment)
        rows(connection, _AFTER, (name, moment, lsn))
        segment = end_segment(connection)
    tables = sum(len(each) for each in manifest["counts"].values())
    return Laid(name, moment.astimezone(UTC), str(lsn), segment, tables)


def _before(connection: Any, manifest: Mapping[str, Any]) -> tuple[str, datetime]:
    """Commit the first row, and return the marker's name and when that was."""

    def laid() -> list[tuple[Any, ...]]:
        return rows(connection, _BEFORE, (json.dumps(manifest),))

    ((name, laid_at),) = _awaited(laid)
    return str(name), laid_at


def _pass(connection: Any, moment: datetime) -> None:
    """Wait until the server's clock is past a moment that it has told."""
    _awaited(lambda: rows(connection, _CLOCK)[0][0] > moment)


def _awaited(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + CLOCK_SECONDS
    while not (found := true()):
        if time.monotonic() > deadline:
            raise StatementFailed(
                f"the server's clock has not gone on for {CLOCK_SECONDS} s: it was set back, and no time can be marked "
                "before that is over. See what sets it, then run again"
            )
        time.sleep(0.001)
    return found


def _manifest(connection: Any, target: Target, method: str) -> dict[str, Any]:
    """Return what a restored server must have: rows of tables as far as known, extensions and roles."""
    most = math.inf if method == "exact" else SMALL_BYTES
    counts, estimates, extensions = {}, {}, {}
    for (database,) in rows(connection, _DATABASES):
        try:
            with dump.held(replace(target, database=database), ()) as (snapshot, source):
                counted, estimated = dump.counts_up_to(snapshot, most, lambda: None, recovered=True)
        except DatabaseMissing:  # dropped meanwhile
            continue
        # our own tables change with the marker itself
        own = "pgstead." if database == target.database else None
        counts[database] = {table: number for table, number in counted.items() if not (own and table.startswith(own))}
        estimates[database] = {table: number for table, number in estimated.items() if number is not None}
        extensions[database] = dict(source.extensions)
    roles = [role for (role,) in rows(connection, _ROLES)]
    return {"method": method, "counts": counts, "estimates": estimates, "extensions": extensions, "roles": roles}


def markers(target: Target) -> tuple[Marker, ...]:
    """Return all markers, newest first; none where there is no such table. Raises PgsteadError."""
    with spoken(target), connect(target) as connection:
        if not there(connection, "recovery_marker"):
            return ()
        return tuple(Marker(*row) for row in rows(connection, _MARKERS))


def present(target: Target, name: str) -> tuple[bool, bool]:
    """Say which rows of a marker a server has: before, after. Raises PgsteadError."""
    with spoken(target), connect(target) as connection:
        found = rows(connection, _PARTS, (name,)) if there(connection, "recovery_marker") else []
    return ("before",) in found, ("after",) in found
