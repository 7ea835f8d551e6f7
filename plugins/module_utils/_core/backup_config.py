# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pgBackRest's configuration: options with reasons, secrets in a file of their own, and what PostgreSQL archives with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .repository import SINCE, Repository
from .settings import Fragment

DIRECTORY = "/etc/pgbackrest"
CONFIGURATION = f"{DIRECTORY}/pgbackrest.conf"
SECRETS = f"{DIRECTORY}/conf.d/secrets.conf"
# One for every process of the host, also for those with a /tmp of their own: two backups at once would both succeed,
# and the older one could not be restored.
LOCK_PATH = "/run/pgbackrest"
LOG_PATH = "/var/log/pgbackrest"
SPOOL_PATH = "/var/spool/pgbackrest"
# Retention is decided by pgstead (_core/backup_retention.py), so pgBackRest's own must never be the stricter one.
KEEP_ALL = 9999999


@dataclass(frozen=True)
class Option:
    """One line of a configuration file."""

    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class Engine:
    """What a cluster's pgBackRest is told besides its repositories. `version` is (2, 55)."""

    stanza: str
    data_directory: str
    port: int
    socket_directory: str
    version: tuple[int, int]
    processes: int
    compression: str
    compression_level: int
    queue_max: str = ""


def sections(engine: Engine, repositories: Sequence[Repository]) -> dict[str, tuple[Option, ...]]:
    """Return the options by section, without secrets."""
    own = [
        Option("lock-path", LOCK_PATH, "shared by all processes of the host"),
        Option("log-path", LOG_PATH),
        Option("spool-path", SPOOL_PATH),
        Option("log-level-console", "warn"),
        Option("log-level-file", "detail"),
        Option("process-max", str(engine.processes), "backup_processes"),
        Option("compress-type", engine.compression, "backup_compression"),
        Option("compress-level", str(engine.compression_level), "backup_compression"),
        Option("archive-async", "y", "segments wait for no round trip to a store"),
        Option("start-fast", "y", "a backup does not wait for the next checkpoint"),
        Option("delta", "y", "files are compared by checksum, not by time"),
        Option(
            "io-timeout",
            "20",
            "a store that is down is tried three times, and holds the WAL for the others up meanwhile",
        ),
        Option("archive-timeout", "300", "a backup whose WAL does not arrive has failed"),
        Option("expire-auto", "n", "pgstead expires, after it has seen that the new backup is good"),
    ]
    if engine.queue_max:
        own.append(
            Option("archive-push-queue-max", engine.queue_max, "backup_archive_queue_max: beyond it, WAL is LOST")
        )
    for one in repositories:
        own += [Option(f"repo{one.key}-{name}", value, one.name) for name, value in sorted(one.options.items())]
        own += [Option(f"repo{one.key}-{name}", value, reason) for name, value, reason in _storage(engine)]
    cluster = (
        Option("pg1-path", engine.data_directory),
        Option("pg1-port", str(engine.port)),
        Option("pg1-socket-path", engine.socket_directory),
    )
    return {"global": tuple(own), "global:archive-get": (Option("process-max", "2"),), engine.stanza: cluster}


def restoring(
    stanza: str, processes: int, data_directory: str, directory: str, repositories: Sequence[Repository]
) -> dict[str, tuple[Option, ...]]:
    """Return the options, secrets among them, for somebody who only restores, with locks, log and spool in `directory`."""
    own = [
        *(Option(f"{name}-path", f"{directory}/{name}") for name in ("lock", "log", "spool")),
        Option("log-level-console", "warn"),
        Option("log-level-file", "detail"),
        Option("process-max", str(processes), "backup_processes"),
        Option("archive-async", "y", "WAL is fetched ahead of recovery"),
        Option("io-timeout", "20", "a store that is down is tried three times"),
    ]
    for one in repositories:
        own += [Option(f"repo{one.key}-{name}", value, one.name) for name, value in sorted(one.options.items())]
    own += secret_options(repositories)
    return {
        "global": tuple(own),
        "global:archive-get": (Option("process-max", "2"),),
        stanza: (Option("pg1-path", data_directory),),
    }


def _storage(engine: Engine) -> list[tuple[str, str, str]]:
    found = [
        ("bundle", "y", "small files share objects"),
        ("retention-full-type", "count", "backup_retention is applied by pgstead"),
        ("retention-full", str(KEEP_ALL), "backup_retention is applied by pgstead"),
        ("retention-archive-type", "full", ""),
        ("retention-archive", str(KEEP_ALL), ""),
    ]
    if engine.version >= SINCE["block"]:
        found.insert(1, ("block", "y", "only what changed of a large file is stored again"))
    return found


def secret_options(repositories: Sequence[Repository]) -> tuple[Option, ...]:
    """Return what only the file of secrets may hold."""
    return tuple(
        Option(f"repo{one.key}-{name}", value) for one in repositories for name, value in sorted(one.secrets.items())
    )


def render(found: Mapping[str, Sequence[Option]], heading: str) -> str:
    """Write sections as an ini file; comments stand on lines of their own, for values may hold a #."""
    lines = [f"# {line}" for line in heading.splitlines()]
    for section, options in found.items():
        lines += ["", f"[{section}]"]
        last = ""
        for option in options:
            if option.reason and option.reason != last:
                lines.append(f"# {option.reason}")
            lines.append(f"{option.name}={option.value}")
            last = option.reason
    return "\n".join(lines) + "\n"


def marker_name(version: int, cluster: str) -> str:
    """Return how a host's marker of archiving is called."""
    return f"{version}-{cluster}"


def archive_command(stanza: str) -> str:
    """Return the command that PostgreSQL runs for each segment."""
    return f"pgbackrest --stanza={stanza} archive-push %p"


def fragment(stanza: str, timeout_seconds: int) -> Fragment:
    """Return the settings that archiving needs: a segment is archived at the latest after the timeout."""
    return Fragment(
        "backup",
        {
            "archive_command": (archive_command(stanza), f"stanza {stanza} exists, by the host's marker"),
            "archive_timeout": (f"{timeout_seconds}s", "backup_archive_timeout: what a lost host may lose at most"),
        },
    )
