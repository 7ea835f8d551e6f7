# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The application's own schema as content that runs once: scripts or a command, each known by its SHA-256."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Problem
from .script import ScriptError, Statement, obstacle, statements

SCRIPT, COMMAND = "load_sql", "migrate_command"  # as the ledger calls them


@dataclass(frozen=True)
class Script:
    """One script: its name for messages, its statements, and what it is known by."""

    name: str
    statements: tuple[Statement, ...]
    sha256: str


def digest(text: str) -> str:
    """Return what content is known by."""
    return hashlib.sha256(text.encode()).hexdigest()


def scripts(items: Sequence[Mapping[str, Any]], where: str = "") -> tuple[tuple[Script, ...], tuple[Problem, ...]]:
    """Read scripts, with every problem found; one that has another's content is the same script and left out."""
    found: dict[str, Script] = {}
    problems: list[Problem] = []
    for item in items:
        name, content = str(item["name"]), str(item["content"]).removeprefix("\ufeff")
        try:
            script = Script(name, statements(content), digest(content))
        except ScriptError as error:
            problems.append(Problem(where + name, str(error)))
            continue
        for statement in script.statements:
            complaint = obstacle(statement)
            if complaint:
                problems.append(Problem(where + name, f"line {statement.line}: {complaint}"))
                break  # behind COPY come rows, not statements
        found.setdefault(script.sha256, script)
    return tuple(found.values()), tuple(problems)


def command_problem(command: str) -> str:
    """Say why a command cannot be run, or return nothing."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"{command!r}: {error}"
    return "" if words else "is empty"


def one_of(items: Sequence[Any] | None, command: str | None) -> tuple[Problem, ...]:
    """Refuse both or none of scripts and command."""
    if bool(items) == (command is not None):
        return (Problem("scripts, command", "give one of them, not both"),)
    complaint = command_problem(command) if command is not None else ""
    return (Problem("command", complaint),) if complaint else ()
