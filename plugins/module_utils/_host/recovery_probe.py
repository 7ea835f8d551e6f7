# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove a restored instance: what PostgreSQL's own programs find in it, and what it answers in SQL."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .._core import recovery_probe as judge
from .._core.errors import PgsteadError, Problem, SpecError
from .._core.recovery_probe import COULD_NOT_RUN, Answer, Check
from .._core.recovery_spec import Amcheck, Wish
from .._pg import recovery_probe as server
from .._pg.connection import Target
from .service import Run

DEBIAN = "/usr/lib/postgresql/{major}/bin"
# The server ends what a program that was ended had asked for; nothing is written; a lock that others hold is no reason to
# hang, and what a role or database has set for applications none to give up.
_OPTIONS = (
    "-c client_connection_check_interval=2s -c default_transaction_read_only=on -c lock_timeout=1min "
    "-c statement_timeout=0"
)
_KILL_AFTER_SECONDS = 10
_CUT_OFF = (124, 128 + 9)  # what timeout(1) returns


class CouldNotRun(Exception):
    """A program could not do its work; the message says why."""


@dataclass(frozen=True)
class Programs:
    """Runs PostgreSQL's programs as the cluster's user, each within a time."""

    run: Run
    target: Target
    directory: str  # empty: Debian's, by major
    timeout_ms: int

    def call(
        self, major: Callable[[], int | str], name: str, *options: str, database: str = ""
    ) -> tuple[int, str, str]:
        """Return exit code, output and errors. Raises CouldNotRun, PgsteadError."""
        program = Path(self.directory or DEBIAN.format(major=major()), name)
        if not program.is_file():
            package = "the server's package (postgresql-N) has it; option binaries names another directory"
            raise CouldNotRun(f"{program} is not there: {package}")
        seconds = math.ceil(self.timeout_ms / 1000)
        code, out, err = self.run([*self._prefix(database, seconds), str(program), *options])
        if code in _CUT_OFF:
            raise CouldNotRun(f"{name} was ended at its limit of {seconds} s: raise timeout")
        return code, out, err

    def _prefix(self, database: str, seconds: int) -> list[str]:
        words = {
            "PGHOST": self.target.socket_directory,
            "PGPORT": str(self.target.port),
            "PGUSER": self.target.user,
            "PGDATABASE": database or self.target.database,
            "PGAPPNAME": "pgstead",
            "PGOPTIONS": _OPTIONS,
            "LC_ALL": "C",
        }
        become = ["runuser", "-u", self.target.system_user, "--"] if os.geteuid() == 0 else []
        environment = [f"{name}={value}" for name, value in words.items()]
        # inside, so that it is the program that is ended and not only runuser
        limit = ["timeout", f"--kill-after={_KILL_AFTER_SECONDS}", str(seconds)]
        return [*become, "env", "--chdir=/", *environment, *limit]


def manifest(path: str) -> Any:
    """Read the expected numbers of rows from a JSON file. Raises SpecError."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError([Problem("checks.counts.manifest", f"{path} cannot be read as JSON: {error}")]) from error


def prove(wish: Wish, programs: Programs, *, check_mode: bool) -> list[Check]:
    """Return the verdict of everything in a wish; nothing is changed, but for an extension that is lent (`install_missing`)."""
    found = [_timed("checksums", "", lambda: _checksums(programs, wish.checksums))] if wish.checksums else []
    requested = wish.named()
    try:
        places = list(wish.databases) or (server.databases(programs.target) if wish.everywhere else [])
    except PgsteadError as error:
        places = []
        found += [Check(name, "", COULD_NOT_RUN, str(error), 0.0) for name in wish.everywhere]
    else:
        requested += [(name, place) for name in wish.everywhere for place in places or [""]]
    found += server.ask(programs.target, wish, places, programs.timeout_ms)
    found += _by_programs(wish, programs, places, check_mode=check_mode)
    return found + judge.unasked(requested, found)


def _by_programs(wish: Wish, programs: Programs, places: list[str], *, check_mode: bool) -> Iterator[Check]:
    for place in places:
        if "dump" in wish.everywhere:
            yield _timed("dump", place, partial(_dump, programs, place))
        if wish.amcheck:
            how = replace(wish.amcheck, install_missing=wish.amcheck.install_missing and not check_mode)
            yield _timed("amcheck", place, partial(_amcheck, programs, how, place))


def _timed(check: str, place: str, work: Callable[[], Answer]) -> Check:
    since = time.monotonic()
    try:
        status, words = work()
    except (CouldNotRun, PgsteadError) as error:
        status, words = COULD_NOT_RUN, str(error)
    return Check(check, place, status, words, round(time.monotonic() - since, 3))


def _checksums(programs: Programs, directory: str) -> Answer:
    def major() -> str:
        try:
            return Path(directory, "PG_VERSION").read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise CouldNotRun(f"{directory} is no data directory that can be read: {error}") from error

    code, out, err = programs.call(major, "pg_checksums", "--check", "--pgdata", directory)
    return judge.checksums(code, out, err)


def _dump(programs: Programs, place: str) -> Answer:
    options = ("--format=plain", "--file=/dev/null", "--no-sync", "--no-password", "--lock-wait-timeout=1min")
    code, _out, err = programs.call(lambda: server.major(programs.target), "pg_dump", *options, database=place)
    return judge.dump(code, err)


def _amcheck(programs: Programs, how: Amcheck, place: str) -> Answer:
    options = [f"--jobs={how.jobs}", "--no-password"]
    options += ["--heapallindexed"] if how.heapallindexed else []
    options += ["--rootdescend"] if how.rootdescend else []
    lent = server.lent_amcheck(replace(programs.target, database=place)) if how.install_missing else nullcontext()
    with lent:
        code, out, err = programs.call(lambda: server.major(programs.target), "pg_amcheck", *options, named(place))
    return judge.amcheck(code, out, err)


def named(database: str) -> str:
    """Return a connection string that means this database, whatever its name looks like."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
