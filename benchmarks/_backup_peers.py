"""The other ways in benchmarks/backup.py: dumps and base backups, each made and brought back as its documentation says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _backup_cluster import Cluster, World, size_of, timed

RESTORED = "restored"
JOBS = 2


@dataclass(frozen=True)
class Done:
    """One backup and its restore. Seconds until everything is on the disk and the restored server answers; bytes."""

    backup: float
    size: int
    restore: float


@dataclass(frozen=True)
class Dumps:
    """Dumps of the source, brought back into a database of a second server that is running already."""

    world: World
    source: Cluster
    target: Cluster
    check: Callable[[str, Cluster, str], None]

    def plain(self, name: str) -> Done:
        """pg_dump | gzip, gzip -dc | psql."""
        file = self.world.directory / "dump.sql.gz"
        source, target = " ".join(self.source.words()), " ".join(self.target.words(RESTORED))
        return self._there_and_back(
            name,
            file,
            lambda: self.world.shell(f"pg_dump {source} | gzip > {file}"),
            lambda: self.world.shell(f"gzip -dc {file} | psql -X -q -v ON_ERROR_STOP=1 {target} > /dev/null"),
        )

    def directory(self, name: str) -> Done:
        """pg_dump in directory format, pg_restore, both with two processes."""
        place = self.world.directory / "dump"
        make = ("--format=directory", f"--jobs={JOBS}", *dump_compression(self.world.major), f"--file={place}")
        back = (f"--jobs={JOBS}", "--exit-on-error", place)
        return self._there_and_back(
            name,
            place,
            lambda: self.world.run(self.world.program("pg_dump"), *self.source.words(), *make),
            lambda: self.world.run(self.world.program("pg_restore"), *self.target.words(RESTORED), *back),
        )

    def _there_and_back(self, name: str, place: Path, make: Callable[[], object], back: Callable[[], object]) -> Done:
        seconds = timed(make)
        self.target.query(f"CREATE DATABASE {RESTORED} TEMPLATE template0", "postgres")
        try:
            restore = timed(lambda: (back(), self.target.query("CHECKPOINT", RESTORED)))
            self.check(name, self.target, RESTORED)
            return Done(seconds, size_of([place]), restore)
        finally:
            self.target.query(f"DROP DATABASE {RESTORED} WITH (FORCE)", "postgres")
            remove(place)


@dataclass(frozen=True)
class BaseBackups:
    """pg_basebackup of the source with the WAL it needs, laid into a directory and started."""

    world: World
    source: Cluster
    serve: Callable[[str, Path], float]

    def plain(self, name: str) -> Done:
        """As files, copied back."""
        return self._there_and_back(
            name, ("--format=plain",), lambda place, data: self.world.run("cp", "-a", f"{place}/.", data)
        )

    def tar(self, name: str) -> Done:
        """As compressed archives, unpacked."""
        return self._there_and_back(name, ("--format=tar", *tar_compression(self.world.major)), self._unpack)

    def _unpack(self, place: Path, data: Path) -> None:
        (base,), (wal,) = place.glob("base.tar*"), place.glob("pg_wal.tar*")
        self.world.run("tar", "-xf", base, "-C", data)
        self.world.run("tar", "-xf", wal, "-C", data / "pg_wal")

    def _there_and_back(self, name: str, words: tuple[str, ...], back: Callable[[Path, Path], object]) -> Done:
        place, data = self.world.directory / "base", self.world.directory / "restored-base"
        make = (*words, "--wal-method=stream", "--checkpoint=fast", f"--pgdata={place}")
        program = self.world.program("pg_basebackup")
        try:
            seconds = timed(lambda: self.world.run(program, *self.source.words(""), *make))
            self.world.make(data.name)
            restore = timed(lambda: back(place, data))
            return Done(seconds, size_of([place]), restore + self.serve(name, data))
        finally:
            remove(place)
            remove(data)


def dump_compression(major: int) -> tuple[str, ...]:
    """The words for zstd where this version's pg_dump has it; gzip is its default."""
    return ("--compress=zstd:3",) if major >= 16 else ()


def tar_compression(major: int) -> tuple[str, ...]:
    """The words for zstd where this version's pg_basebackup has it, gzip before."""
    return (f"--compress=client-zstd:level=3,workers={JOBS}",) if major >= 15 else ("--gzip",)


def names(major: int) -> dict[str, str]:
    """How the ways are called, with what their version compresses with."""
    return {
        "plain": "pg_dump | gzip, psql",
        "directory": f"pg_dump -Fd -j{JOBS} {'zstd' if major >= 16 else 'gzip'}, pg_restore -j{JOBS}",
        "base plain": "pg_basebackup, files",
        "base tar": f"pg_basebackup, tar {'zstd' if major >= 15 else 'gzip'}",
    }


def remove(place: Path) -> None:
    """Remove a file or a directory, if it is there."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
