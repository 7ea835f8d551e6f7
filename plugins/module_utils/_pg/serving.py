# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a running server says of its own configuration: load time, errors, what waits for a restart."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._core.errors import ConnectionFailed
from .connection import Target, connect, driver, execute, rows

RELOAD_SECONDS = 15

_FILE_ERRORS = """
SELECT f.sourcefile, f.sourceline, f.name, f.error
FROM pg_catalog.pg_file_settings f
LEFT JOIN pg_catalog.pg_settings s ON lower(s.name) = lower(f.name)
WHERE f.error IS NOT NULL
  AND NOT (f.error = 'setting could not be applied' AND coalesce(s.context, '') = 'postmaster')
"""
_HBA_ERRORS = "SELECT line_number, error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL"
_IDENT_ERRORS = "SELECT line_number, error FROM pg_catalog.pg_ident_file_mappings WHERE error IS NOT NULL"
_PENDING = "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name"
# the last line for a name wins; a line in postgresql.auto.conf always comes last
_OVERRIDDEN = """
SELECT a.name, a.setting, m.setting
FROM pg_catalog.pg_file_settings a
LEFT JOIN LATERAL (
    SELECT setting FROM pg_catalog.pg_file_settings m
    WHERE lower(m.name) = lower(a.name) AND m.sourcefile NOT LIKE '%%/postgresql.auto.conf'
    ORDER BY seqno DESC LIMIT 1) m ON true
WHERE a.sourcefile LIKE '%%/postgresql.auto.conf' AND a.setting IS DISTINCT FROM m.setting
ORDER BY a.name
"""


@dataclass(frozen=True)
class Serving:
    """One reading: `overridden` maps names to (value in postgresql.auto.conf, value in postgresql.conf or None)."""

    loaded: float
    errors: tuple[str, ...]
    pending: tuple[str, ...]
    overridden: Mapping[str, tuple[str, str | None]]

    @property
    def ours(self) -> tuple[str, ...]:
        """What of it waits for a restart by our files: what somebody set by ALTER SYSTEM is theirs to bring into force."""
        return self.decided_by_us(self.pending)

    def decided_by_us(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of `names` that no line in postgresql.auto.conf overrides."""
        theirs = {name.lower() for name in self.overridden}
        return tuple(name for name in names if name.lower() not in theirs)


def read(target: Target) -> Serving:
    """Read the server's own view of its configuration. Raises ConnectionFailed, also where the server ends the session."""
    with connect(target) as connection:
        try:
            return _read(connection)
        except driver.Error as error:
            raise ConnectionFailed(f"{target} did not answer to the end: {str(error).strip()}") from error


def _read(connection: Any) -> Serving:
    errors = [
        f"{file}:{line}: {name or ''} {error}".replace(":  ", ": ")
        for file, line, name, error in rows(connection, _FILE_ERRORS)
    ]
    errors += [f"pg_hba.conf:{line}: {error}" for line, error in rows(connection, _HBA_ERRORS)]
    if connection.server_version >= 150000:
        errors += [f"pg_ident.conf:{line}: {error}" for line, error in rows(connection, _IDENT_ERRORS)]
    overridden = {name: (auto, main) for name, auto, main in rows(connection, _OVERRIDDEN.replace("%%", "%"))}
    pending = tuple(name for (name,) in rows(connection, _PENDING))
    return Serving(_load_time(connection), tuple(errors), pending, overridden)


def reload(target: Target) -> Serving:
    """Have the server read its files again, wait until it did, and return what it says then."""
    with connect(target) as connection:
        before = _load_time(connection)
        execute(connection, "SELECT pg_catalog.pg_reload_conf()")
    deadline = time.monotonic() + RELOAD_SECONDS
    while True:
        serving = read(target)
        if serving.loaded > before or time.monotonic() > deadline:
            return serving
        time.sleep(0.05)


def _load_time(connection: Any) -> float:
    return float(rows(connection, "SELECT extract(epoch FROM pg_catalog.pg_conf_load_time())")[0][0])
