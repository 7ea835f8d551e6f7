# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is on the host: the configuration, and each job's latest result and history."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from .._core import agent_config, job, notify_spec
from .._core.agent_config import Config
from .._core.errors import HostError, Problem, SpecError
from .._core.notify_spec import Policy
from .._host.files import Wanted, write
from .._host.lock import lock

REMEDY = "run playbook pgstead.ops.agent, which writes it"
Parsed = TypeVar("Parsed")


def load(path: Path) -> Config:
    """Read the configuration. Raises SpecError where it is missing, wrong, or could be anybody's."""
    return _parsed(path, _trusted(path), agent_config.parse)


def receivers(path: Path) -> Policy:
    """Read who is told of jobs. Raises SpecError as `load` does, and where others could read what may be secret."""
    return _parsed(path, _trusted(path, secret=True), notify_spec.parse)


def _trusted(path: Path, *, secret: bool = False) -> str:
    """Return the text of a file that nobody but root has written, nor, if it is secret, others than the jobs have read."""
    try:
        with path.open(encoding="utf-8") as stream:
            status = os.fstat(stream.fileno())
            text = stream.read()
    except (OSError, ValueError) as error:
        raise SpecError([Problem(str(path), f"cannot be read: {error}; {REMEDY}")]) from error
    what = f"has mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid} and group {status.st_gid}"
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SpecError([Problem(str(path), f"{what}: others than root could write it. See who did, then {REMEDY}")])
    foreign = status.st_mode & stat.S_IRGRP and status.st_gid not in (0, os.getegid())
    if secret and (foreign or status.st_mode & stat.S_IRWXO):
        remedy = "change its secrets where they are used, and in the inventory"
        raise SpecError([Problem(str(path), f"{what}: others could read it. Then {remedy}; {REMEDY}")])
    return text


def _parsed(path: Path, text: str, parse: Callable[[str], Parsed]) -> Parsed:
    try:
        return parse(text)
    except SpecError as error:
        found = [Problem(f"{path}, {problem.where}", problem.what) for problem in error.problems]
        raise SpecError([*found, Problem(str(path), REMEDY)]) from error


def keep(directory: Path, entry: Mapping[str, Any], most: int) -> None:
    """Make a result the job's latest, and the last line of its history. Raises HostError."""
    newest, past = directory / f"{entry['job']}.json", directory / f"{entry['job']}.jsonl"
    owner, group = str(os.geteuid()), str(os.getegid())
    try:
        # a skipped run and the one that it found running may end in the same moment
        with lock(directory / "results.lock", wait=True):
            # a byte that is no UTF-8 spoils one line of the past, and no run
            before = past.read_text(encoding="utf-8", errors="replace") if past.exists() else ""
            write(Wanted(past, job.history(before, entry, most), owner, group))
            write(Wanted(newest, json.dumps(entry, indent=2, sort_keys=True) + "\n", owner, group))
    except OSError as error:
        raise HostError(f"the result of {entry['job']} cannot be kept in {directory}: {error}") from error


def latest(directory: Path, name: str) -> tuple[dict[str, Any] | None, str]:
    """Return a job's latest result, and why there is none where that is no matter of course."""
    path = directory / f"{name}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        datetime.fromisoformat(found["started"])
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, f"{path} is not the result of a job: {error!r}"
    if not {"job", "seconds", "status", "reason"} <= set(found):
        return None, f"{path} is not the result of a job"
    return found, ""
