# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pgstead heartbeat: beats until it is asked to end. A server that is away, or a standby, is waited for."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from .._core.agent_config import Config
from .._core.errors import IsStandby, PgsteadError
from .._pg import heartbeat
from .._pg.connection import Target
from .._pg.recovery_tables import DATABASE
from .databases import target
from .journal import note
from .run import become

EVERY_SECONDS = 10.0
SOONEST_SECONDS = 1.0  # until a lost server is tried again; twice as long each time, up to the time between beats
_ASKED = (signal.SIGTERM, signal.SIGINT)


def run(config: Config) -> NoReturn:
    """Be the service."""
    become(config.user)
    _end_when_asked()
    keep_beating(target(config, DATABASE), note, time.sleep)


def keep_beating(place: Target, tell: Callable[[str, str], None], pause: Callable[[float], None]) -> NoReturn:
    """Beat, and tell only what has changed: a server that is away for a night makes two lines."""
    told, wait = "", SOONEST_SECONDS
    while True:
        try:
            with heartbeat.opened(place) as connection:
                while True:
                    heartbeat.beat(connection)
                    told, wait = _told(tell, told, "ok", "heartbeat: it beats"), SOONEST_SECONDS
                    pause(EVERY_SECONDS)
        except IsStandby:
            told = _told(tell, told, "skipped", "heartbeat: this server is a standby, it begins with a promotion")
            pause(EVERY_SECONDS)
        except PgsteadError as error:
            told = _told(tell, told, "failed", f"heartbeat: lost, and tried again until it is back: {error}")
            pause(wait)
            wait = min(2 * wait, EVERY_SECONDS)


def _told(tell: Callable[[str, str], None], before: str, status: str, text: str) -> str:
    """Tell a text unless the status is as before; return the status."""
    if status != before:
        tell(status, text)
    return status


def _end_when_asked() -> None:
    """End at once, with success, also while libpq waits for the server: nothing is lost, an open transaction is rolled back."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ASKED)

    def listen() -> None:
        signal.sigwait(_ASKED)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
