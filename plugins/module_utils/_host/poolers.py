# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PgBouncer processes that run on this host: have their clients wait while the server is away.

Who has them wait leaves a file: where that process is killed, the next restore serves them again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from .._core.errors import ConnectionFailed, HostError
from .._pg import pooler_admin
from .._pg.connection import Target
from .lock import held, lock

SOCKETS = Path("/run")
WAITING = Path("/run/pgstead-paused")  # a file for each database whose clients wait, `all` for all of them
SERVED_SECONDS = 10  # of the time that those who waited may take, until the timeouts count again
_ALL, _ONE = "all", "database-"


def consoles() -> list[Target]:
    """Return the consoles of all processes that are there."""
    return [
        pooler_admin.console(str(path.parent), int(path.name.rpartition(".")[2]))
        for path in sorted(SOCKETS.glob("pgbouncer*/.s.PGSQL.*"))
        if path.name.rpartition(".")[2].isdigit()
    ]


@contextmanager
def paused(seconds: float, database: str = "") -> Iterator[None]:
    """Have clients wait meanwhile, those of one database or all, and serve them again whatever comes of it. Raises HostError
    where another process has them wait.
    """
    with _on_record(database) as path, _ended_in_order():
        try:
            for console in consoles():
                with suppress(ConnectionFailed):  # a socket that a process left behind
                    pooler_admin.pause(console, seconds, database)
            yield
        finally:
            _resume(database)
            path.unlink(missing_ok=True)


def resume_left() -> None:
    """Serve those again whom a killed process left waiting."""
    for path in sorted(WAITING.glob("*")):
        with lock(path) as holder:
            if holder is None:
                _resume("" if path.name == _ALL else unquote(path.name.removeprefix(_ONE)))
                path.unlink(missing_ok=True)


@contextmanager
def _on_record(database: str) -> Iterator[Path]:
    """Hold a file that tells of it, where this user may write one. Raises HostError where another process holds it."""
    path = WAITING / (f"{_ONE}{quote(database, safe='')}" if database else _ALL)
    with suppress(PermissionError):
        WAITING.mkdir(mode=0o700, exist_ok=True)
    if not os.access(WAITING, os.W_OK):
        yield path
        return
    with lock(path) as holder:
        if holder is not None:
            raise HostError(f"process {holder} has clients of {database or 'all databases'} wait (it holds {path})")
        yield path


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have a lost connection, or whoever ends this process, raise an exception: what is to be done at the end is done."""

    def end(number: int, _frame: Any) -> NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {each: signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _resume(database: str) -> None:
    """Serve clients again. PgBouncer counts a query's time from when its client began to wait: its timeouts are put back
    once those who waited are served.
    """
    served: list[tuple[Target, frozenset[str]]] = []
    for console in consoles():
        with suppress(ConnectionFailed):
            served.append((console, pooler_admin.resume(console, database)))
    if database and held(WAITING / _ALL):
        return  # a restore of the cluster has all clients wait, and puts the timeouts back at its end
    deadline = time.monotonic() + SERVED_SECONDS
    try:
        for console, clients in served:
            with suppress(ConnectionFailed):
                pooler_admin.await_served(console, clients, deadline)
    finally:
        for console, _clients in served:
            with suppress(ConnectionFailed):
                pooler_admin.reload(console)
