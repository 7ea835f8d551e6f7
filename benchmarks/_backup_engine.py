"""pgBackRest in benchmarks/backup.py, twice: through this collection's code, and by its bare commands.

Both have the configuration that role backup renders, with its defaults, but for the paths; each has a repository of its own,
and PostgreSQL archives to both. So neither's incremental backup finds the other's, and what archiving costs falls on both.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _backup_cluster import Cluster, World
from _common import REPOSITORY, BenchmarkError, use_collection

OURS, RAW = "pgstead", "pgbackrest"
STANZA = "bench"
PYTHON = "/usr/bin/python3"
HERE = Path(__file__).resolve().parent
# what role backup is told where an inventory says nothing; an encrypted directory is all that is declared
DECLARED: dict[str, Any] = {
    "environment": "production",
    "stanza": STANZA,
    "compression": {},
    "retention": {},
    "objectives": {},
    "queue_max": "",
    "archive_timeout": 300,
    "processes": 2,
}


def _core() -> Any:
    """The collection's pure packages."""
    use_collection()
    from ansible_collections.pgstead.ops.plugins.module_utils._core import (
        backup,
        backup_config,
        backup_plan,
        backup_spec,
    )

    return backup, backup_config, backup_plan, backup_spec


class Setup:
    """The configurations: to archive with, to back up with, and to restore with."""

    def __init__(self, world: World, source: Cluster) -> None:
        self.world, self.source = world, source
        self.holdings, self.configuration, self.plan, self.spec = _core()
        self.passphrase = secrets.token_urlsafe(36)
        world.make("pgbackrest")
        self.lock = world.make("lock")
        self.repositories = {who: world.make(f"repository-{who}") for who in (OURS, RAW)}
        version = self._version()
        self.archive = self._write("archive", version, source.data, [OURS, RAW])
        self.backup = {who: self._write(f"backup-{who}", version, source.data, [who]) for who in (OURS, RAW)}
        self.targets = {who: world.directory / f"restored-{who}" for who in (OURS, RAW)}
        self.restore = {who: self._write(f"restore-{who}", version, self.targets[who], [who]) for who in (OURS, RAW)}
        self.code = world.make("code")
        shutil.copytree(
            REPOSITORY / "plugins/module_utils", self.code / "pgstead", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(HERE / "_backup_ours.py", self.code)
        for path in (self.code, *self.code.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def _version(self) -> tuple[int, int]:
        words = self.world.run("/usr/bin/pgbackrest", "version").split()
        major, minor = words[-1].split(".")[:2]
        return int(major), int(minor)

    def declared(self, data: Path, who: Sequence[str]) -> Any:
        """The declaration as the role reads it. Raises BenchmarkError."""
        told = [
            {"name": one, "type": "posix", "path": str(self.repositories[one]), "cipher_passphrase": self.passphrase}
            for one in who
        ]
        host = {
            "version": self.world.major,
            "cluster_name": STANZA,
            "port": self.source.port,
            "data_directory": str(data),
        }
        found, problems = self.spec.read({**DECLARED, **host, "repositories": told})
        if found is None:
            raise BenchmarkError(f"the role would refuse its own defaults: {'; '.join(map(str, problems))}")
        return found

    def _write(self, name: str, version: tuple[int, int], data: Path, who: Sequence[str]) -> tuple[str, ...]:
        """Write one configuration; the words that name it."""
        place, declared = self.world.make(f"pgbackrest/{name}"), self.declared(data, who)
        engine = replace(self.plan.engine(declared, version), socket_directory=str(self.source.sockets))
        paths = {"lock-path": self.lock, "log-path": self.world.make(f"pgbackrest/{name}/log")}
        paths["spool-path"] = self.world.make(f"pgbackrest/{name}/spool")
        sections = self.configuration.sections(engine, declared.repositories)
        sections["global"] = tuple(
            replace(option, value=str(paths.get(option.name, option.value))) for option in sections["global"]
        )
        files = {
            place / "pgbackrest.conf": sections,
            self.world.make(f"pgbackrest/{name}/conf.d") / "secrets.conf": {
                "global": self.configuration.secret_options(declared.repositories)
            },
        }
        for path, content in files.items():
            self.world.write(path, self.configuration.render(content, "Of benchmarks/backup.py"))
        return (f"--config={place / 'pgbackrest.conf'}", f"--config-include-path={place / 'conf.d'}")

    def command(self, words: Sequence[str], command: str, *more: str) -> str:
        """Run a bare command of pgBackRest."""
        quiet = ("--log-level-console=warn", "--log-level-stderr=off", "--no-log-timestamp")
        return self.world.run("/usr/bin/pgbackrest", *words, f"--stanza={STANZA}", *quiet, *more, command)

    def create(self) -> None:
        """Make the stanza in both repositories, have PostgreSQL archive to them, and see that it does."""
        self.command(self.archive, "stanza-create")
        archive = f"pgbackrest {' '.join(self.archive)} --stanza={STANZA} archive-push %p"
        self.source.query(f"ALTER SYSTEM SET archive_command = '{archive}'", "postgres")
        self.source.query("SELECT pg_reload_conf()", "postgres")
        self.command(self.archive, "check")


@dataclass
class Engine:
    """One of the two, with what it made last."""

    setup: Setup
    who: str

    @property
    def target(self) -> Path:
        """The directory that it restores into."""
        return self.setup.targets[self.who]

    def make(self, kind: str) -> None:
        """Make a full or incremental backup."""
        words = self.setup.backup[self.who]
        if self.who == RAW:
            self.setup.command(words, "backup", "--repo=1", f"--type={kind}")
            return
        declared = self.setup.declared(self.setup.source.data, [self.who])
        # of a directory that is there wherever the server's package is, and that its user can read
        told = declared.made(kind, ("/etc/postgresql-common",))
        self._ours({"action": "backup", "settings": told, "words": words})

    def fetch(self) -> None:
        """Restore into its directory what is newest, be that empty or not."""
        words = self.setup.restore[self.who]
        if self.who == RAW:
            self.setup.command(words, "restore", "--repo=1", "--delta")
            return
        told = {"stanza": STANZA, "major": self.setup.world.major, "data_directory": str(self.target)}
        self._ours({"action": "restore", "words": words, **told})

    def drill(self) -> dict[str, Any]:
        """Drill what is newest, as job drill_quick does; its facts, and the seconds of all of it."""
        setup, world = self.setup, self.setup.world
        place = world.make("drill")
        declared = setup.declared(setup.source.data, [self.who])
        told = setup.configuration.restoring(
            STANZA, declared.processes, f"{place}/{STANZA}/data", f"{place}/{STANZA}/pgbackrest", declared.repositories
        )
        world.write(place / "pgbackrest.conf", setup.configuration.render(told, "Of benchmarks/backup.py"))
        cluster = {
            "cluster": STANZA,
            "stanza": STANZA,
            "version": world.major,
            "configuration": str(place / "pgbackrest.conf"),
            "programs": "/usr/lib/postgresql",
            "repositories": [{"key": 1, "name": self.who, "offsite": False, "versions_seconds": None}],
            "objectives": {"recovery_time_seconds": 86400, "recovery_point_seconds": 86400, "age_seconds": 86400},
            "wal_seconds": 86400,
            "beside_production": True,
            "settings": {},
            "tolerance": "1%",
            "statements": [],
            "row_security": [],
            "dumps": None,
        }
        settings = {
            "profile": "quick",
            "evidence": str(place),
            "signing_key": None,
            "directory": str(place),
            "port": 5504,
            "clusters": [cluster],
        }
        source = {"sockets": str(setup.source.sockets), "port": setup.source.port, "user": world.user.pw_name}
        try:
            return self._ours({"action": "drill", "words": (), "settings": settings, **source})
        finally:
            shutil.rmtree(place)  # the next round begins with nothing, too

    def _ours(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        code = self.setup.code
        # -I as the host's command; -B because that one, an archive, has no compiled files to begin with either
        out = self.setup.world.run(PYTHON, "-I", "-B", code / "_backup_ours.py", code, stdin=json.dumps(asked))
        answer = json.loads(out)
        if answer["status"] != "ok":
            raise BenchmarkError(f"{asked['action']} of pgstead: {answer['status']}: {answer['reason']}")
        return dict(answer)

    def stored(self, kind: str) -> int:
        """Bytes that its newest backup added to the repository, as pgBackRest counts them. Raises BenchmarkError."""
        words = self.setup.backup[self.who]
        held = self.setup.holdings.parse(self.setup.command(words, "info", "--output=json"), STANZA, (1,))
        last = self.setup.holdings.newest(held.backups)
        if last is None or last.kind != kind:
            raise BenchmarkError(f"{self.who} should have made a {kind} backup, but its newest is {last}")
        return int(last.stored)

    def forget(self) -> None:
        """Remove the bare commands' older backups, as ours removed its own within its time."""
        if self.who == RAW:
            self.setup.command(self.setup.backup[RAW], "expire", "--repo=1", "--repo1-retention-full=1")
