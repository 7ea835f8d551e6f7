# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors that _core, _pg and _host raise; _shell maps each one to fail_json, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `where` names the variable (or host fact), `what` says what, why and what to do."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class PgsteadError(Exception):
    """Base of all errors that end a task with a message written for a person; `data` goes into the task's result."""

    def __init__(self, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.data = dict(data or {})


class SpecError(PgsteadError):
    """The inventory asks for something that cannot be. Carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "; ".join(str(problem) for problem in self.problems), {"problems": [str(p) for p in self.problems]}
        )


class HostError(PgsteadError):
    """A command or file on the host did not do what it must; the message carries the program's own words."""


class ConfigurationRefused(PgsteadError):
    """A new configuration failed its proof, or failed after it was applied and was taken back."""


class ConnectionFailed(PgsteadError):
    """No connection to the server or the pooler; the message says which socket or address was tried."""


class DatabaseMissing(ConnectionFailed):
    """The server answers, but has no such database (yet)."""


class SessionRefused(PgsteadError):
    """Connected, but nothing must be changed through this session: a pooler, a standby, a read-only session."""


class IsStandby(SessionRefused):
    """The server is a standby: nothing can be written there until it is promoted."""


class PermissionDenied(PgsteadError):
    """The server refused a statement for want of rights; the message names the role and the statement."""


class LockNotAcquired(PgsteadError):
    """A lock could not be had in the allowed tries; the message names who held it."""


class ViolatingRows(PgsteadError):
    """Rows of the table contradict what is declared; the message has their number and some of their keys."""


class StatementFailed(PgsteadError):
    """The server refused a statement for another reason; the message carries its words and the statement."""


class NotConverged(PgsteadError):
    """Everything was carried out, and yet the next observation differs from the declaration."""


class NotIsolated(PgsteadError):
    """Row security let something through, or could not be shown to hold; the message has the checks."""


class NotRecovered(PgsteadError):
    """A restored instance is not what it must be, or could not be shown to be; the message has the checks."""
