"""A cluster with real repositories: pgBackRest with the configuration that the role would write, in directories of its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._agent.backups import make
from ansible_collections.pgstead.ops.plugins.module_utils._agent.run import become
from ansible_collections.pgstead.ops.plugins.module_utils._agent.supervise import within
from ansible_collections.pgstead.ops.plugins.module_utils._core import backup_config, backup_plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Backup, newest
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_config import Option
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_job import BackupSettings, settings
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_report import Report
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_spec import BackupSpec, read
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConnectionFailed
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import Target as Goal
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import choose, options, target
from ansible_collections.pgstead.ops.plugins.module_utils._host import programs
from ansible_collections.pgstead.ops.plugins.module_utils._host.backup_survey import survey
from ansible_collections.pgstead.ops.plugins.module_utils._host.pgbackrest import PgBackRest, version
from ansible_collections.pgstead.ops.plugins.module_utils._host.restore_reach import Asked, reach
from ansible_collections.pgstead.ops.plugins.module_utils._host.server_log import ServerLog
from ansible_collections.pgstead.ops.plugins.module_utils._pg import archiving, recovery
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import connect, rows

from ..conftest import USER, Server  # noqa: TID252 - the tests are no package that is installed

MAJOR = 15  # pgBackRest 2.45 of Debian 12 knows no later one
STANZA = "main"
SEGMENT_BYTES = 2**20
PASSPHRASE = "a passphrase that only tests have"
WAIT_SECONDS = 60
AS_USER = ("runuser", "-u", USER, "--") if os.geteuid() == 0 else ()
NEAR, FAR, THIRD = 1, 2, 3

Raw = Mapping[str, Any]


def until(true: Callable[[], Any], what: str) -> Any:
    """Wait for something, and return it; not for ever."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := true()):
        assert time.monotonic() < deadline, f"after {WAIT_SECONDS} s: {what}"
        time.sleep(0.02)
    return found


def remove(directory: Path) -> None:
    """Remove a directory; pgBackRest's asynchronous processes outlive their server for a moment, and write there."""

    def gone() -> bool:
        shutil.rmtree(directory, ignore_errors=True)
        return not directory.exists()

    until(gone, f"{directory} cannot be removed")


@dataclass(frozen=True)
class World:
    """A server that archives into the repositories of its configuration. `place` has everything."""

    server: Server
    place: Path

    @property
    def configuration(self) -> Path:
        return self.place / "conf/pgbackrest.conf"

    @property
    def environment(self) -> tuple[str, ...]:
        """Return how a program finds the configuration: so archive_command is the product's, word for word."""
        include = self.configuration.parent / "conf.d"
        return "env", f"PGBACKREST_CONFIG={self.configuration}", f"PGBACKREST_CONFIG_INCLUDE_PATH={include}"

    def repository(self, name: str, path: Path | None = None, **more: Any) -> dict[str, Any]:
        """Return a repository as the inventory has it."""
        return {
            "name": name,
            "type": "posix",
            "path": str(path or self.place / name),
            "cipher_passphrase": PASSPHRASE,
        } | more

    def both(self) -> list[Raw]:
        return [self.repository("near"), self.repository("far")]

    def spec(self, repositories: Sequence[Raw], **more: Any) -> BackupSpec:
        raw = {
            "repositories": list(repositories),
            "stanza": STANZA,
            "environment": "production",
            "archive_timeout": 300,
            "processes": 1,
            "version": MAJOR,
            "cluster_name": "main",
            "port": self.server.target.port,
            "data_directory": str(self.server.data),
            "compression": {"type": "none"},
        }
        found, problems = read(raw | more)
        assert found is not None, problems
        return found

    def write(self, repositories: Sequence[Raw], *more: Option, directory: Path | None = None) -> None:
        """Write the product's configuration, except for the paths that only a whole host has."""
        spec = self.spec(repositories)
        sections = backup_config.sections(backup_plan.engine(spec, version(programs.run)), spec.repositories)
        own = {
            **{f"{name}-path": str(self.place / name) for name in ("lock", "log", "spool")},
            "pg1-socket-path": str(self.server.directory),
            "archive-timeout": "20",
        }
        told = {
            name: [replace(option, value=own.get(option.name, option.value)) for option in listed]
            for name, listed in sections.items()
        }
        more = (Option("job-retry", "0", "a second try comes after 15 s"), *more)
        said = {option.name for option in more}
        told["global"] = [*(option for option in told["global"] if option.name not in said), *more]
        told[STANZA].append(Option("pg1-user", "postgres"))
        place = directory or self.configuration.parent
        (place / "conf.d").mkdir(parents=True, exist_ok=True)
        secrets = {"global": backup_config.secret_options(spec.repositories)}
        for path, found in ((place / "pgbackrest.conf", told), (place / "conf.d/secrets.conf", secrets)):
            path.touch(0o600)
            path.write_text(backup_config.render(found, "Written by a test."))
            shutil.chown(path, USER)

    @contextmanager
    def configured(self, repositories: Sequence[Raw], *more: Option) -> Iterator[None]:
        """Have other repositories for a moment."""
        self.write(repositories, *more)
        try:
            yield
        finally:
            self.write(self.both())

    @contextmanager
    def third(self, raw: Raw, *more: Option) -> Iterator[None]:
        """Have a further repository beside the two."""
        with self.configured([*self.both(), raw], *more):
            yield

    def engine(self, *keys: int, options: Sequence[str] = (), become: Sequence[str] = AS_USER) -> PgBackRest:
        return PgBackRest(programs.run, STANZA, keys or (NEAR, FAR), tuple(options), (*become, *self.environment))

    def told(self, kind: str = "full", third: Raw | None = None) -> BackupSettings:
        """Return what the agent would tell the job; with a third repository, near and that one only."""
        declared = [*self.both(), *([third] if third else [])]
        found = settings(self.spec(declared).made(kind, ()), makes=True)
        return replace(found, repositories=found.repositories[::2]) if third else found

    def job(self, kind: str = "full", third: Raw | None = None, now: datetime | None = None) -> Verdict:
        """Run a backup job as the agent does: as its user, in a process group of its own."""
        told = self.told(kind, third)

        def work() -> Verdict:
            become(USER)
            return make(self.engine(*told.keys, become=()), told, lambda: now or datetime.now(UTC))

        return within(WAIT_SECONDS, work)

    def full(self) -> None:
        """Take a full backup, and wait until nothing can be taken for older than it: its end is known to the second."""
        verdict = self.job("full")
        assert verdict.status == "ok", verdict.reason
        end = self.newest(FAR).stopped + timedelta(seconds=1)
        until(lambda: self.ask("SELECT clock_timestamp()") > end, "time stands")

    def survey(self, *, read_everything: bool = False, options: Sequence[str] = ()) -> Report:
        """Look at both repositories as the daily job does."""
        said, engine = archiving.read(self.server.target), self.engine(options=options)
        return survey(engine, self.told(), said, datetime.now(UTC), read_everything=read_everything)

    def newest(self, key: int) -> Backup:
        found = newest(self.engine().info().backups, repository=key)
        assert found is not None
        return found

    def choose(self, key: int, kind: str, value: str = "") -> tuple[Goal, Backup]:
        """Return a recovery target, and the backup to begin with. Raises SpecError where it cannot be reached."""
        log = Log(MAJOR, "main", path=self.server.directory / "log")
        wanted = target(kind, value, datetime.now(UTC))
        meant, reached = reach(self.engine(key), self.server.data, log, wanted, Asked())
        return meant, choose(meant, reached)

    def ask(self, sql: str) -> Any:
        with connect(self.server.target) as connection:
            return rows(connection, sql)[0][0]

    def archive(self) -> str:
        """End the WAL segment, and wait until it is archived."""
        name = recovery.switch(self.server.target)
        until(lambda: recovery.last_archived(self.server.target)[:24] >= name, f"{name} is not archived")
        return name

    def serve(self, **settings: str) -> None:
        """Start the server, or have it read its settings again."""
        command = backup_config.archive_command(STANZA)
        usual = {"archive_mode": "on", "archive_command": command, "max_wal_senders": "3", "autovacuum": "off"}
        self.server.configure("\n".join(f"{name} = '{value}'" for name, value in (usual | settings).items()))
        if (self.server.data / "postmaster.pid").exists():
            self.server.control("reload")
        else:
            self.server.command(*self.environment, *control(self.server, "start"))

    @contextmanager
    def not_archiving(self) -> Iterator[None]:
        """Let out what was written before, and no more: a backup begins then, and copies, and cannot end."""
        self.archive()
        self.server.run("SELECT pg_create_restore_point('the last that is archived')")
        last = self.ask("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        command = f'test ! %f ">" {last} && {backup_config.archive_command(STANZA)}'
        self.serve(archive_command=command)
        until(lambda: self.ask("SHOW archive_command") == command, "the settings are not read")
        try:
            yield
        finally:
            self.serve()

    def files(self, name: str, pattern: str) -> list[Path]:
        """Return regular files of a repository, oldest name first."""
        return sorted(path for path in (self.place / name).glob(pattern) if path.is_file())


def control(server: Server, *words: str) -> tuple[str, ...]:
    return (str(server.binaries / "pg_ctl"), "-D", str(server.data), "-w", "-l", str(server.directory / "log"), *words)


@dataclass(frozen=True)
class Restored:
    """A second data directory, with a server on a socket of its own."""

    world: World
    server: Server

    def fetch(self, backup: Backup, wanted: Goal) -> None:
        """Have pgBackRest restore it; the server is not started."""
        engine = self.world.engine(backup.repository, options=self._options())
        engine.restore(backup.label, options(wanted))

    def _options(self) -> tuple[str, ...]:
        """Return what keeps a restore from touching the spool and the locks of the cluster beside it."""
        own = [f"--{name}-path={self.server.directory / name}" for name in ("lock", "spool")]
        return (*own, f"--pg1-path={self.server.data}")

    def start(self, **settings: str) -> bool:
        """Start it, and say whether it opened (true) or ended."""
        usual = {"archive_mode": "off", "max_wal_senders": "3"}
        self.server.configure("\n".join(f"{name} = '{value}'" for name, value in (usual | settings).items()))
        with suppress(AssertionError):  # it may end at once
            self.server.command(*self.world.environment, *control(self.server, "start"))
        return until(self._fate, "neither open nor ended") == "open"

    def _fate(self) -> str:
        try:
            return "" if recovery.state(self.server.target).in_recovery else "open"
        except ConnectionFailed:
            return "" if (self.server.data / "postmaster.pid").exists() else "ended"

    def log(self) -> list[str]:
        return (self.server.directory / "log").read_text().splitlines()

    def rows(self) -> set[str]:
        with connect(self.server.target) as connection:
            return {name for (name,) in rows(connection, "SELECT name FROM canary")}


@dataclass(frozen=True)
class Log(ServerLog):
    """The log of a test's server."""

    path: Path = field(default_factory=Path)

    def files(self) -> list[Path]:
        return [self.path]


@contextmanager
def restored(world: World) -> Iterator[Restored]:
    """Yield an empty directory to restore into."""
    directory = world.place / "restored"
    data = directory / "data"
    data.mkdir(parents=True, mode=0o700)
    for path in (directory, data):
        shutil.chown(path, USER)
    server = replace(world.server, directory=directory)
    try:
        yield Restored(world, server)
    finally:
        if (data / "postmaster.pid").exists():
            server.control("-m", "immediate", "stop")
        remove(directory)
