# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything the backup role needs to know, from inventory and facts, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import backup_config
from .agent_plan import SOCKET_DIRECTORY
from .backup_config import Engine, marker_name
from .backup_spec import BackupSpec, read
from .errors import Problem
from .repository import SINCE, version_of

PACKAGE = "pgbackrest"
HEADING = "Written by pgstead.ops, role backup. Changes made here are lost."


@dataclass(frozen=True)
class BackupPlan:
    """The result, without secrets; `repositories` are (key, name). No `problems` means the host may be touched."""

    stanza: str = ""
    repositories: tuple[tuple[int, str], ...] = ()
    configuration: str = ""
    packages: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()  # of repositories that lie on this host
    stanza_made: bool = False
    problems: tuple[Problem, ...] = field(default=())

    def as_data(self) -> dict[str, Any]:
        """Return plain data for tasks."""
        return {
            "stanza": self.stanza,
            "repositories": [{"key": key, "name": name} for key, name in self.repositories],
            "configuration": self.configuration,
            "packages": list(self.packages),
            "directories": list(self.directories),
            "stanza_made": self.stanza_made,
            "problems": [str(problem) for problem in self.problems],
        }


def plan_backup(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> BackupPlan:
    """Decide what the host needs for its backups. Raises nothing for bad input: it is all in `problems`."""
    declared, problems = read(spec)
    if declared is None:
        return BackupPlan(problems=tuple(problems))
    seen = facts["packages"].get(PACKAGE, {})
    offered = str(seen.get("installed") or seen.get("candidate") or "")
    if not offered:
        what = (
            "is not in this host's package sources (are the package lists read?): declare one in postgresql_repository"
        )
        return BackupPlan(problems=(Problem(PACKAGE, what),))
    version = version_of(offered)
    problems = [
        Problem(
            f"backup_repositories[{one.key - 1}].type",
            f"sftp needs pgBackRest {SINCE['sftp'][0]}.{SINCE['sftp'][1]}, this host has {offered}: choose another type, "
            "or a source with a newer one (postgresql_repository)",
        )
        for one in declared.repositories
        if one.type == "sftp" and version < SINCE["sftp"]
    ]
    marker = marker_name(declared.version, declared.cluster)
    return BackupPlan(
        stanza=declared.stanza,
        repositories=tuple((one.key, one.name) for one in declared.repositories),
        configuration=backup_config.render(
            backup_config.sections(engine(declared, version), declared.repositories), HEADING
        ),
        packages=() if seen.get("installed") else (PACKAGE,),
        directories=tuple(one.path for one in declared.repositories if one.type == "posix"),
        stanza_made=facts["archiving"].get(marker) == declared.stanza,
        problems=tuple(problems),
    )


def engine(declared: BackupSpec, version: tuple[int, int]) -> Engine:
    """Return what pgBackRest is told besides its repositories."""
    return Engine(
        stanza=declared.stanza,
        data_directory=declared.data_directory,
        port=declared.port,
        socket_directory=SOCKET_DIRECTORY,
        version=version,
        processes=declared.processes,
        compression=declared.compression,
        compression_level=declared.compression_level,
        queue_max=declared.queue_max,
    )


def secrets_text(spec: Mapping[str, Any]) -> str:
    """Return what the file of secrets is to hold: for one task, which shows nothing."""
    declared, _problems = read(spec)
    if declared is None:
        return ""
    options = backup_config.secret_options(declared.repositories)
    return backup_config.render(
        {"global": options}, f"{HEADING}\nNothing but secrets: postgres may read it, nobody else."
    )
