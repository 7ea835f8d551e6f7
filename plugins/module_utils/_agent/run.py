# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of a job: as its user, alone, within its deadline, and on record."""

from __future__ import annotations

import os
import pwd
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import job
from .._core.agent_config import Config, JobConfig
from .._core.errors import Problem, SpecError
from .._core.job import Verdict
from .._host.lock import lock
from .attempts import Attempts
from .jobs import JOBS, Job
from .journal import note
from .memory import own_lock
from .publish import publish
from .server import await_server
from .state import keep
from .supervise import judged, within

CLEANING_SECONDS = 300


def run(name: str, config: Config, version: str, jobs: Mapping[str, Job] = JOBS) -> dict[str, Any]:
    """Run a job and return its result, which is kept and made known by then. Raises SpecError, HostError."""
    if name not in jobs:
        raise SpecError([Problem(name, f"there is no such job in pgstead {version}; there are {', '.join(jobs)}")])
    if name not in config.jobs:
        what = "is not configured on this host: declare what it is to keep, then run playbook pgstead.ops.agent"
        raise SpecError([Problem(name, what)])
    become(config.user)
    started, since = datetime.now(UTC), time.monotonic()
    # whatever keeps the work from its beginning, it is a failed run, of which somebody is told
    found = judged(lambda: _alone(name, config, config.jobs[name], jobs[name]))
    entry = job.result(
        name,
        found,
        host=socket.gethostname(),
        started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
        seconds=time.monotonic() - since,
        version=version,
    )
    note(found.status, job.sentence(entry))
    attempts = Attempts()
    with attempts.step():
        keep(Path(config.state_directory), entry, config.history_lines)
    publish(config, entry, tuple(found.metrics), datetime.now(UTC), attempts)
    attempts.end()
    return entry


def _alone(name: str, config: Config, settings: JobConfig, known: Job) -> Verdict:
    """Do the work unless another run of it, or of a job with the same lock, is under way."""
    directory = Path(config.state_directory)
    with ExitStack() as held:
        # its own first, by which others see that it is at work (memory.missed)
        for path, what in (
            (own_lock(directory, name), "it"),
            *([(directory / f"{known.lock}.lock", f"a job that excludes it ({known.lock})")] if known.lock else []),
        ):
            holder = held.enter_context(lock(path))
            if holder is not None:
                return Verdict("skipped", f"process {holder} is running {what} (it holds {path})")
        found = within(settings.deadline_seconds, lambda: _work(config, settings, known))
        return found if known.afterwards is None else _cleaned(found, known.afterwards, config, settings)


def _work(config: Config, settings: JobConfig, known: Job) -> Verdict:
    if known.asks_server:
        await_server(config, settings.deadline_seconds)
    return known.work(config, settings.settings)


def _cleaned(
    found: Verdict, afterwards: Callable[[Config, Mapping[str, Any]], None], config: Config, settings: JobConfig
) -> Verdict:
    """Take away what the work left, in a process that is ended as well; what cannot be taken away is a failure."""

    def clean() -> Verdict:
        afterwards(config, settings.settings)
        return Verdict("ok")

    cleaned = within(CLEANING_SECONDS, clean)
    if cleaned.status == "ok":
        return found
    return replace(
        found, status="failed", reason="; ".join(filter(None, (found.reason, f"cleaning up: {cleaned.reason}")))
    )


def become(name: str) -> None:
    """Be the jobs' user for good, wherever from: by hand a job does what it does from cron. Raises SpecError."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise SpecError([Problem("user", f"operating system user {name!r} does not exist on this host")]) from None
    if os.geteuid() not in (0, account.pw_uid):
        raise SpecError([Problem("user", f"jobs run as {name}: run this as root or as {name}")])
    if os.geteuid() != account.pw_uid:
        # before anything is written: the directory of results belongs to that user, who could lay links there
        os.initgroups(name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.chdir("/")
    os.umask(0o022)
    # libpq reads the files and variables of whoever calls
    for variable in [key for key in os.environ if key.startswith("PG")]:
        del os.environ[variable]
    os.environ["HOME"] = account.pw_dir
