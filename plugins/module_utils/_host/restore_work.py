# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One restore of one cluster: what was asked for, where things are, and the file that says how far it came."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._core.agent_plan import SOCKET_DIRECTORY
from .._core.errors import HostError
from .._pg.connection import Target as Place
from .._shell import Context
from .backup_config import AS_POSTGRES
from .files import Wanted, write
from .pgbackrest import PgBackRest

STATES = Path("/var/lib/pgstead/restore")


@dataclass
class Restore:
    """One restore of one cluster; `phases` collects seconds."""

    context: Context
    params: Mapping[str, Any]
    engine: PgBackRest
    live: PgBackRest  # the repositories as they are, where the engine reads one as it was
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return int(self.params["version"])

    @property
    def cluster(self) -> str:
        return str(self.params["cluster"])

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.cluster}"

    @property
    def data(self) -> Path:
        return Path(self.params["data_directory"])

    @property
    def place(self) -> Place:
        return Place(SOCKET_DIRECTORY, int(self.params["port"]))

    @property
    def state_file(self) -> Path:
        return STATES / f"{self.version}-{self.cluster}.json"

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        since = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - since


def interrupted(work: Restore) -> Mapping[str, Any]:
    return json.loads(work.state_file.read_text()) if work.state_file.exists() else {}


def keep_state(work: Restore, **told: Any) -> None:
    """Add to what the next run finds: `aside` and `running` of the cluster as it was; `begun`, the restore whose server was
    started; `open`, one whose server is open, and where it stopped.
    """
    write(Wanted(work.state_file, json.dumps({**interrupted(work), **told}) + "\n"))


def was_open(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a server that is open what is known of the restore that was cut off after that, empty for none. Of one that had
    only begun, recovery went on alone.
    """
    if state.get("open"):
        return dict(state["open"])
    if not state.get("begun"):
        return {}
    stopped = "where its target was, for the run that waited was cut off"
    return {**state["begun"], "stopped_at": stopped, "aside": state.get("aside", "")}


def served(work: Restore) -> bool:
    """Say whether a server works in the data directory, whatever its postmaster.pid is of."""
    try:
        process = (work.data / "postmaster.pid").read_text().split()[0]
        return Path(f"/proc/{process}/cwd").resolve() == work.data.resolve()
    except (OSError, IndexError):
        return False


def controldata(work: Restore) -> str:
    binary = f"/usr/lib/postgresql/{work.version}/bin/pg_controldata"
    code, out, err = work.context.run([*AS_POSTGRES, "env", "LC_ALL=C", binary, str(work.data)])
    if code != 0:
        raise HostError(f"pg_controldata failed: {err.strip()}")
    return out
