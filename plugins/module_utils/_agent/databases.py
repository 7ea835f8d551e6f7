# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What jobs that work on one database after another share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from .._core.agent_config import Config
from .._core.errors import PgsteadError
from .._pg.connection import Target


class OfDatabase(Protocol):
    """A job's setting for one database."""

    @property
    def database(self) -> str: ...


Item = TypeVar("Item", bound=OfDatabase)


def target(config: Config, database: str) -> Target:
    """Return where a job connects to: the local socket, as the user that it runs as."""
    return Target(config.socket_directory, config.port, database, user=config.user, system_user=config.user)


def each(items: Sequence[Item], work: Callable[[Item], Any]) -> dict[str, dict[str, Any]]:
    """Return the fields of each database's report, or its error, which keeps no other from its turn."""
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        try:
            found[item.database] = asdict(work(item))
        except PgsteadError as error:
            found[item.database] = {"error": str(error)}
    return found
