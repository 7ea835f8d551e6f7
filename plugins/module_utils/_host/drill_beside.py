# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clusters of a drill's host, wherever they lie: none of them may be the one that is drilled, unless that is meant."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .._core.settings import parse

PROCESSES = Path("/proc")
CONFIGURED = Path("/etc/postgresql")  # not from .facts, which the agent's archive does not have


def clusters() -> Iterator[tuple[Path, int, bool]]:
    """Yield data directories with their system identifiers, and whether a server runs in each: those first."""
    places = {**dict.fromkeys(_running(), True)}
    places |= {data: False for data in _configured() if data not in places}
    for data, running in places.items():
        with suppress(OSError, struct.error), (data / "global/pg_control").open("rb") as control:
            (identifier,) = struct.unpack("=Q", control.read(8))  # it begins with the identifier, in every major
            yield data, identifier, running


def _running() -> Iterator[Path]:
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError, IndexError):  # it has ended, or is somebody else's
            data, program = (process / "cwd").readlink(), (process / "exe").readlink()
            # an upgrade of the package has removed what a server still runs
            if program.name.removesuffix(" (deleted)") != "postgres":
                continue
            postmaster = (data / "postmaster.pid").read_text(errors="replace").split()[0]
            if postmaster == process.name:  # else a server's child
                yield data


def _configured() -> Iterator[Path]:
    """Yield the data directories of Debian's clusters, running or not."""
    for path in sorted(CONFIGURED.glob("*/*/postgresql.conf")):
        with suppress(OSError):
            version, name = path.parts[-3:-1]
            told = parse(path.read_text(errors="replace")).get("data_directory")
            yield Path(told or f"/var/lib/postgresql/{version}/{name}").resolve()
