# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors that _core, _pg and _host raise; _shell maps each one to fail_json, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `where` names the variable (or host fact), `what` says what, why and what to do."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class PgsteadError(Exception):
    """Base of all errors that end a task with a message written for a person."""


class SpecError(PgsteadError):
    """The inventory asks for something that cannot be. Carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class HostError(PgsteadError):
    """A command or file on the host did not do what it must; the message carries the program's own words."""


class ConfigurationRefused(PgsteadError):
    """A new configuration failed its proof, or failed after it was applied and was taken back."""


class ConnectionFailed(PgsteadError):
    """No connection to the server or the pooler; the message says which socket or address was tried."""
