# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's own time, with the rules of its zone: schedules are read by them, through every change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from .._core.errors import HostError

ZONE = Path("/etc/localtime")


def zone(path: Path = ZONE) -> tzinfo:
    """Return the host's zone; as for the C library, a host without the file is in UTC. Raises HostError."""
    try:
        with path.open("rb") as stream:
            return ZoneInfo.from_file(stream, str(path))
    except FileNotFoundError:
        return UTC
    except (OSError, ValueError) as error:
        raise HostError(f"{path} does not say which time zone the host is in: {error}") from error


def now() -> datetime:
    """Return the time, in the host's zone."""
    return datetime.now(zone())
