# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PgBouncer processes that run on this host: have their clients wait while the server is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._core.errors import ConnectionFailed
from .._pg import pooler_admin
from .._pg.connection import Target

SOCKETS = Path("/run")


def consoles() -> list[Target]:
    """Return the consoles of all processes that are there."""
    return [
        pooler_admin.console(str(path.parent), int(path.name.rpartition(".")[2]))
        for path in sorted(SOCKETS.glob("pgbouncer*/.s.PGSQL.*"))
        if path.name.rpartition(".")[2].isdigit()
    ]


@contextmanager
def paused(seconds: float, database: str = "") -> Iterator[None]:
    """Have clients wait meanwhile, those of one database or all, and serve them again whatever comes of it."""
    try:
        for console in consoles():
            with suppress(ConnectionFailed):  # a socket that a process left behind
                pooler_admin.pause(console, seconds, database)
        yield
    finally:
        _resume(database)


def _resume(database: str) -> None:
    for console in consoles():
        try:
            pooler_admin.resume(console, database)
        except ConnectionFailed:
            continue
