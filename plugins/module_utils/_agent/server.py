# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait for a server that is starting: a run that is made up for after a reboot must not fail for coming first.

Units say too little: that of a Debian cluster counts as started before the server has replayed its WAL.
"""

from __future__ import annotations

import time
from pathlib import Path

from .._core.agent_config import Config
from .._core.errors import HostError
from .._host.programs import run

PATIENCE_SECONDS = 300.0
BOOT_SECONDS = 600.0  # for so long after its start, a host may not have come to its server yet
_UPTIME = Path("/proc/uptime")
_ACCEPTS, _REJECTS = 0, 1  # pg_isready


def await_server(config: Config, deadline_seconds: float) -> None:
    """Wait for a server that is starting, at most PATIENCE_SECONDS or half the deadline. One that does not answer at all is
    waited for only on a host that has just started: else it is down, and the job is to say so at once.
    """
    patience, since = min(PATIENCE_SECONDS, deadline_seconds / 2), time.monotonic()
    while (found := _asked(config)) != _ACCEPTS:
        if time.monotonic() - since >= patience or (found != _REJECTS and _uptime() >= BOOT_SECONDS):
            return  # the job says in its own words what it lacks
        time.sleep(1)


def _asked(config: Config) -> int:
    try:
        return run(["pg_isready", "-q", "-h", config.socket_directory, "-p", str(config.port)])[0]
    except HostError:  # nobody can say, and the job may know better
        return _ACCEPTS


def _uptime() -> float:
    return float(_UPTIME.read_text(encoding="ascii").split()[0])
