# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host remembers of its jobs between runs (_core/memory.py, _core/notify.py), and since when they are scheduled."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from .._core import memory as core
from .._core import notify
from .._core.agent_config import Config
from .._core.errors import HostError
from .._core.job import moment, overdue, stamp
from .._core.memory import Memory
from .._core.metrics import Metric
from .._core.notify import State
from .._host.files import Wanted, write
from .._host.lock import held, lock
from .attempts import Attempts
from .journal import note

NOTICES, SCHEDULES = "notifications.json", "schedules.json"
Known = TypeVar("Known")


def place(path: Path, text: str) -> None:
    """Write a file that anybody may read, whole. Raises HostError."""
    try:
        write(Wanted(path, text, str(os.geteuid()), str(os.getegid())))
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror}. Its directory must belong to the jobs' user"
        raise HostError(f"{what}: run playbook pgstead.ops.agent") from error


def save(path: Path, data: Mapping[str, Any]) -> None:
    """Write what `recall` reads. Raises HostError."""
    place(path, json.dumps(data, indent=2, sort_keys=True, default=str) + "\n")


def recall(path: Path, read: Callable[[Mapping[str, Any]], Known], nothing: Known) -> tuple[Known, str]:
    """Return what a file holds, and why that is nothing where that is no matter of course."""
    try:
        return read(json.loads(path.read_text(encoding="utf-8"))), ""
    except FileNotFoundError:
        return nothing, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return nothing, f"{path} cannot be used: {error!r}; it is written anew at the next run"


def remember(config: Config, entry: Mapping[str, Any], metrics: tuple[Metric, ...], attempts: Attempts) -> Memory:
    """Add a result to what is known of its job, and return all of it, kept or not."""
    path = _path(config, str(entry["job"]))
    with attempts.locked(path.with_name("results.lock")):
        before, unreadable = recall(path, core.memory, Memory())
        if unreadable:
            note("warning", unreadable)
        after = core.after(before, entry, metrics)
        with attempts.step():
            save(path, after.as_data())
    return after


def notices(config: Config) -> tuple[State, str]:
    """Return which notices wait, and why that is unknown where it is; without receivers there are none."""
    if config.notifications is None:
        return State(), ""
    return recall(Path(config.state_directory) / NOTICES, notify.state, State())


def register(config: Config, now: datetime) -> list[str]:
    """Note since when each job has its schedule, and return those of which that was not known. Raises HostError."""
    path = Path(config.state_directory) / SCHEDULES
    with lock(path.with_name("results.lock"), wait=True):
        known = _schedules(path)
        after = {
            name: known.get(name, {}) if _holds(known, name, job.schedule, now) else _scheduled(job.schedule, now)
            for name, job in config.jobs.items()
        }
        if after != known:
            save(path, after)
    return [name for name, each in after.items() if known.get(name) != each]


def since(config: Config, now: datetime, configured: datetime) -> dict[str, datetime]:
    """Return since when each job has its schedule; `configured` is when the configuration was written, the earliest that
    is certain of a job which nobody has registered.
    """
    known = _schedules(Path(config.state_directory) / SCHEDULES)
    return {
        name: moment(known[name]["since"]) if _holds(known, name, job.schedule, now) else configured
        for name, job in config.jobs.items()
    }


def missed(config: Config, now: datetime, configured: datetime) -> dict[str, str]:
    """Return of each job why it is overdue, or nothing; `now` is in the host's zone, `configured` as in `since`."""
    scheduled, found = since(config, now, configured), {}
    for name, job in config.jobs.items():
        known, unreadable = remembered(config, name)
        words = overdue(job.schedule, job.deadline_seconds, now, since=scheduled[name], ended=known.ended)
        at_work = words and held(own_lock(Path(config.state_directory), name))
        found[name] = unreadable or ("" if at_work else words)
    return found


def remembered(config: Config, name: str) -> tuple[Memory, str]:
    """Return what is remembered of a job, and why that is nothing where that is no matter of course."""
    return recall(_path(config, name), core.memory, Memory())


def own_lock(directory: Path, name: str) -> Path:
    """Return the lock that a job holds while it is at work, whichever others it shares."""
    return directory / f"{name}.lock"


def _path(config: Config, name: str) -> Path:
    return Path(config.state_directory) / f"{name}.memory"


def _schedules(path: Path) -> dict[str, dict[str, str]]:
    def read(raw: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        found = {name: {"schedule": str(each["schedule"]), "since": str(each["since"])} for name, each in raw.items()}
        for each in found.values():
            moment(each["since"])
        return found

    nothing: dict[str, dict[str, str]] = {}
    known, unreadable = recall(path, read, nothing)
    if unreadable:
        note("warning", unreadable)
    return known


def _holds(known: Mapping[str, Mapping[str, str]], name: str, schedule: str, now: datetime) -> bool:
    """Say whether a schedule is known; what was noted by a clock that was ahead is not."""
    return name in known and known[name]["schedule"] == schedule and moment(known[name]["since"]) <= now


def _scheduled(schedule: str, now: datetime) -> dict[str, str]:
    return {"schedule": schedule, "since": stamp(now)}
