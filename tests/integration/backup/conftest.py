"""One cluster with two encrypted repositories, a full backup in both, and a canary in the WAL after it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import USER, Server  # noqa: TID252 - the tests are no package that is installed
from .world import MAJOR, SEGMENT_BYTES, World, remove

FILLED = """
CREATE TABLE filler (id int PRIMARY KEY, words text);
INSERT INTO filler SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 6000) i;
CREATE TABLE canary (name text);
"""


@dataclass(frozen=True)
class Canary:
    """Three ways to say one moment, by the server's own words: row `before` was there, row `after` was not."""

    time: str
    name: str
    lsn: str


@pytest.fixture(scope="module")
def canary(world: World) -> Canary:
    """Lay it into the WAL after a new backup in both repositories."""
    world.server.run("TRUNCATE canary")
    world.full()
    world.server.run("INSERT INTO canary VALUES ('before')")
    found = Canary(
        time=str(world.ask("SELECT clock_timestamp()::text")),
        name="canary",
        lsn=str(world.ask("SELECT pg_create_restore_point('canary')::text")),
    )
    world.server.run("INSERT INTO canary VALUES ('after')")
    world.archive()
    return found


@pytest.fixture(scope="session")
def world(packages: Path) -> Iterator[World]:
    subprocess.run([str(Path(__file__).with_name("install.sh"))], check=True)
    place = Path(tempfile.mkdtemp(prefix="pgstead-backup-"))
    binaries, clients = packages / f"node_modules/pg{MAJOR}/native/bin", packages / f"clients/{MAJOR}/bin"
    server = Server(MAJOR, binaries, clients, place / "server")
    made = World(server, place)
    try:
        for path in (place, *(place / name for name in ("server", "near", "far", "lock", "log", "spool", "conf"))):
            path.mkdir(exist_ok=True, mode=0o700)
            shutil.chown(path, USER)
        size = f"--wal-segsize={SEGMENT_BYTES // 2**20}"
        initdb = (str(binaries / "initdb"), "-D", str(server.data), "-A", "trust", "-U", "postgres", "--locale=C", "-N")
        server.command(*initdb, "-k", size)
        made.write(made.both())
        made.serve(archive_command="/bin/true")
        server.run(FILLED)
        made.engine().create()
        made.serve()
        yield made
        server.control("-m", "immediate", "stop")
    finally:
        remove(place)
