# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logical tier of a drill: the newest dump of a database, from one store, into the restored server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._core.drill_job import Dumps, Source, Stored
from .._core.dump_restore import FORMATS, LATEST, Request, Side
from .._pg.dump_restore import discard
from .._pg.session import session
from .dump_programs import Programs
from .dump_restore import Host, restore
from .scratch_server import ScratchServer

JOBS = 2


def host(told: Source, dumps: Dumps, server: ScratchServer) -> Host:
    """Return the restored server as a place for dumps, with a directory to work in."""
    work = server.directory / "dumps"
    work.mkdir(mode=0o700, exist_ok=True)
    programs = Programs(server.target.system_user)
    return Host(server.target, Path(told.programs), work, Path(dumps.rclone_config), programs)


def restored(place: Host, dumps: Dumps, stored: Stored) -> dict[str, Any]:
    """Restore a dump beside the database of its name, and return what came of it (dump, notes). It is not kept: the next one
    needs its room. Raises PgsteadError where it is not whole, or its rows are not those that its manifest has.
    """
    request = Request(
        database=stored.database,
        state="restored",
        path="",
        remote=stored.place,
        name=LATEST,
        format=FORMATS[0],
        identity_file=dumps.identity_file,
        passphrase_file="",
        tables=(),
        jobs=JOBS,
        swap_wait=1.0,
    )
    came = restore(request, place)
    with session(place.target) as connection:
        discard(connection, Side(came["restored_as"], stored.database, "ready", came["dump"]))
    return came
