"""PostgreSQL clusters of Debian's packages in a directory of their own, as an unprivileged user, away from the system's."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg2
from _common import GB, BenchmarkError

DATABASE = "shop"
PROGRAMS = {
    "/usr/bin/pgbackrest": "pgbackrest",
    "/usr/bin/zstd": "zstd",
    "/usr/lib/python3/dist-packages/psycopg2/__init__.py": "python3-psycopg2",
}
SERVERS = Path("/usr/lib/postgresql")
NO_MAIN_CLUSTER = Path("/etc/postgresql-common/createcluster.d/pgstead-benchmark.conf")
WAIT_SECONDS = 3600


@dataclass(frozen=True)
class World:
    """Where and as whom everything runs. `major` is the newest that is installed."""

    directory: Path
    user: pwd.struct_passwd
    major: int

    @property
    def binaries(self) -> Path:
        """The directory of PostgreSQL's programs."""
        return SERVERS / str(self.major) / "bin"

    def program(self, name: str) -> str:
        """The path of one of PostgreSQL's programs."""
        return str(self.binaries / name)

    def run(self, *argv: str | Path, stdin: str | None = None, directory: Path | None = None) -> str:
        """Run a program as the user and give its output. Raises BenchmarkError with its last words."""
        done = subprocess.run(
            [str(word) for word in argv], check=False, input=stdin, cwd=directory or self.directory, **self._as_user()
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-1200:]
            raise BenchmarkError(f"{' '.join(str(word) for word in argv)[:300]} ended with {done.returncode}: {said}")
        return str(done.stdout)

    def shell(self, pipeline: str) -> str:
        """Run a pipeline of bash; any part that fails is a failure."""
        return self.run("bash", "-c", f"set -euo pipefail; {pipeline}")

    def make(self, name: str) -> Path:
        """Make a new empty directory of the user that nobody else may enter."""
        path = self.directory / name
        path.mkdir(mode=0o700)
        os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def write(self, path: Path, content: str) -> None:
        """Write a file that only the user may read."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(content)
        os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _as_user(self) -> dict[str, Any]:
        told: dict[str, Any] = {"capture_output": True, "text": True, "errors": "replace"}
        told["env"] = {
            "PATH": f"{self.binaries}:/usr/bin:/bin",
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        if os.geteuid() == 0:
            told |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return told


@contextmanager
def world(parent: Path, need_bytes: int) -> Iterator[World]:
    """Look whether there is room and what is installed, then give a directory that is gone afterwards."""
    if not parent.is_dir():
        raise BenchmarkError(f"{parent} is no directory: give one on the disk to be measured with --directory")
    free = shutil.disk_usage(parent).free
    if free < need_bytes:
        raise BenchmarkError(
            f"{parent} has {free / GB:.1f} GiB free, but {need_bytes / GB:.1f} GiB are needed: name a directory on a larger "
            "disk with --directory, or ask for less with --gigabytes"
        )
    install()
    major = max(int(path.name) for path in SERVERS.glob("[1-9]*") if (path / "bin/initdb").exists())
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
    directory = Path(tempfile.mkdtemp(prefix="pgstead-bench-backup-", dir=parent))
    try:
        os.chown(directory, user.pw_uid, user.pw_gid)
        if not _reachable(directory, user):
            raise BenchmarkError(f"{user.pw_name} cannot enter {parent}: name another directory with --directory")
        yield World(directory, user, major)
    finally:
        _remove(directory)


def _reachable(directory: Path, user: pwd.struct_passwd) -> bool:
    """Say whether the user may enter a directory of its own: those above it decide."""
    if os.geteuid() != 0:
        return os.access(directory, os.W_OK)
    test = ("test", "-w", str(directory))
    return subprocess.run(test, user=user.pw_uid, group=user.pw_gid, extra_groups=[], check=False).returncode == 0


def _remove(directory: Path) -> None:
    """Remove a directory in which the asynchronous archiving of a server that has ended may still be at work."""
    deadline = time.monotonic() + 60
    while directory.exists():
        try:
            shutil.rmtree(directory)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def install() -> None:
    """Install what is missing of Debian's packages; no cluster of theirs is made or started."""
    missing = [package for program, package in PROGRAMS.items() if not Path(program).exists()]
    missing += [] if any(SERVERS.glob("[1-9]*/bin/initdb")) else ["postgresql"]
    if not missing:
        return
    if os.geteuid() != 0:
        raise BenchmarkError(f"not installed: {', '.join(missing)}. As root: apt-get install {' '.join(missing)}")
    existed = NO_MAIN_CLUSTER.exists()
    NO_MAIN_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_MAIN_CLUSTER.write_text("create_main_cluster = false\n", encoding="utf-8")
    apt = f"apt-get -qq update && apt-get -qq --no-install-recommends install {' '.join(missing)}"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(["sh", "-c", apt], env=environment, capture_output=True, text=True, check=False)
    finally:
        if not existed:
            NO_MAIN_CLUSTER.unlink()
    if done.returncode != 0:
        raise BenchmarkError(f"{apt} failed: {done.stderr.strip()[-600:]}")


class Cluster:
    """One cluster in a directory of its own, reached through a socket that only its user can reach."""

    def __init__(self, world: World, data: Path, port: int) -> None:
        self.world, self.data, self.port = world, data, port
        self.sockets = world.directory / "sockets"
        self.log = world.directory / f"{port}.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if (self.data / "postmaster.pid").exists():
            self.world.run(self.world.program("pg_ctl"), "stop", "-D", self.data, "-m", "immediate", "-w")

    def create(self, settings: Mapping[str, str]) -> None:
        """Make an empty cluster with checksums."""
        words = ("--data-checksums", "--locale=C.UTF-8", "--encoding=UTF8", "--auth=trust", "--no-sync")
        self.world.run(self.world.program("initdb"), "-D", self.data, *words)
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")

    def start(self, *settings: str) -> float:
        """Start it and wait until it is open for writing; seconds. `settings` go before those of its file."""
        own = (f"port={self.port}", f"unix_socket_directories={self.sockets}", "listen_addresses=")
        words = " ".join(f"-c {setting}" for setting in (*own, *settings))
        started = time.perf_counter()
        command = ("start", "-D", self.data, "-l", self.log, "-o", words, "-w", "-t", str(WAIT_SECONDS))
        try:
            self.world.run(self.world.program("pg_ctl"), *command)
            self._until_open()
        except BenchmarkError as error:
            said = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
            raise BenchmarkError(f"{error}\n{said[-1500:]}") from error
        return time.perf_counter() - started

    def _until_open(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            if self.query("SELECT pg_is_in_recovery()", "postgres") == [(False,)]:
                return
            time.sleep(0.02)
        raise BenchmarkError(f"the server in {self.data} is still in recovery after {WAIT_SECONDS} s")

    def stop(self) -> None:
        """Stop it with a checkpoint."""
        self.world.run(self.world.program("pg_ctl"), "stop", "-D", self.data, "-m", "fast", "-w", "-t", "600")

    def query(self, sql: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run statements, each its own transaction unless they are sent together; the last one's rows."""
        try:
            with closing(psycopg2.connect(**self.reach(database))) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                    return cursor.fetchall() if cursor.description else []
        except psycopg2.Error as error:
            raise BenchmarkError(f"{sql.strip()[:100]} in {database} failed: {error}") from error

    def reach(self, database: str) -> dict[str, Any]:
        """Parameters of a connection."""
        where = {"host": str(self.sockets), "port": self.port, "user": self.world.user.pw_name}
        return {**where, "dbname": database, "options": "-c timezone=UTC -c extra_float_digits=3"}

    def words(self, database: str = DATABASE) -> tuple[str, ...]:
        """How PostgreSQL's programs are told where a database is; without one, the server."""
        where = (f"--host={self.sockets}", f"--port={self.port}")
        return (*where, f"--dbname={database}") if database else where


def timed(action: Callable[[], object]) -> float:
    """Seconds of an action, until what it wrote is on the disk; what others wrote before is there already."""
    os.sync()
    started = time.perf_counter()
    action()
    os.sync()
    return time.perf_counter() - started


def size_of(places: Sequence[Path]) -> int:
    """Bytes of all files below some directories, or of files."""
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())
