# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pgBackRest on this host. Its secrets are in its configuration: never in an argument, never in what it prints."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from .._core import backup as holdings
from .._core import store_versions
from .._core.backup import Holdings
from .._core.backup_errors import explain, verify_faults
from .._core.errors import HostError
from .._core.repository import SINCE
from .._core.restore import restore_command
from .._core.wal import archived

Run = Callable[[Sequence[str]], tuple[int, str, str]]
PROGRAM = "/usr/bin/pgbackrest"
_NOT_EMPTY, _LOCKED = 40, 50  # exit codes
_LOCK_SECONDS = 30
# For one segment, before it is asked for anew: where a timeline ends, the process that fetches ahead can be one that was
# told of the old one, and nobody fetches what is waited for.
_FETCH_SECONDS = 60


@dataclass(frozen=True)
class PgBackRest:
    """One stanza and its repositories. `options` come before every command; `prefix` is how to become its user."""

    run: Run
    stanza: str
    keys: tuple[int, ...]
    options: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()

    def at(self, moment: datetime) -> PgBackRest:
        """Return an engine that reads repositories as their stores had them at a time (UTC). Raises HostError."""
        here, needed = version(self.run), SINCE["target_time"]
        if here < needed:
            told, least = (".".join(map(str, one)) for one in (here, needed))
            raise HostError(
                f"pgBackRest {told} of this host cannot read versions of a store: that needs pgBackRest {least}. Use a host that has it"
            )
        return replace(self, options=(*self.options, store_versions.option(moment)))

    def call(self, command: str, *words: str) -> str:
        """Run a command and return what it prints. Raises HostError with its own words and what they mean."""
        code, out, err = self._call(command, *words)
        if code != 0:
            raise HostError(f"pgbackrest {command}{_where(words)}: {explain(code, out + err)}")
        return out

    def _call(self, command: str, *words: str, file: str = "") -> tuple[int, str, str]:
        # warnings would be taken for a part of what is printed
        quiet = ("--log-level-console=off", "--log-level-stderr=warn", "--no-log-timestamp")
        stanza = f"--stanza={self.stanza}"
        return self.run(
            [*self.prefix, PROGRAM, *self.options, stanza, *quiet, *words, command, *([file] if file else [])]
        )

    def info(self, repository: int | None = None) -> Holdings:
        """Return what all repositories hold, or one: a store that does not answer is waited for at each call."""
        keys = self.keys if repository is None else (repository,)
        words = () if repository is None else (f"--repo={repository}",)
        return holdings.parse(self.call("info", *words, "--output=json"), self.stanza, keys)

    def backup(self, repository: int, kind: str) -> None:
        """Make a backup; it is not looked at."""
        self.call("backup", f"--repo={repository}", f"--type={kind}")

    def restore(self, label: str, words: Sequence[str], last: str = "") -> None:
        """Fetch a backup's files. A server that starts on them fetches WAL from the same repository, to its end or up to the
        segment `last`.
        """
        (key,) = self.keys
        said = " ".join(f'"{word}"' if " " in word else word for word in self.options)
        wait = f"--archive-timeout={_FETCH_SECONDS}"
        fetch = f'{PROGRAM} {said} --stanza={self.stanza} {wait} --repo={key} archive-get %f "%p"'
        command = f"--recovery-option=restore_command={restore_command(fetch, last)}"
        self.call("restore", f"--repo={key}", f"--set={label}", "--delta", *words, command)

    def expire(self, repository: int, label: str) -> None:
        """Remove a backup and those made upon it."""
        self.call("expire", f"--repo={repository}", f"--set={label}")

    def expire_wal(self, repository: int, fulls: int) -> None:
        """Remove the WAL before so many full backups, but for what older backups need to be consistent."""
        self.call("expire", f"--repo={repository}", f"--repo{repository}-retention-archive={fulls}")

    def verify(self, repository: int) -> tuple[str, ...]:
        """Read everything that a repository holds, and return what is wrong with it."""
        code, out, err = self._call("verify", f"--repo={repository}", "--output=text", "--verbose")
        if code != 0:
            return (f"pgbackrest verify failed: {explain(code, out + err)}",)
        return verify_faults(out + err, self.stanza)

    def arrivals(self, repository: int, archive: str) -> dict[str, datetime]:
        """Return when each archived WAL segment arrived in a repository (UTC), by name."""
        path = f"archive/{self.stanza}/{archive}"
        quiet = ("--log-level-console=off", "--log-level-stderr=warn")
        words = ("repo-ls", "--recurse", "--output=json", path)
        code, out, err = self.run([*self.prefix, PROGRAM, *self.options, *quiet, f"--repo={repository}", *words])
        try:
            listed = json.loads(out) if code == 0 else None
        except ValueError:
            listed = None
        if not isinstance(listed, dict):
            raise HostError(f"pgbackrest repo-ls {path}, repo{repository}: {explain(code, out + err)}")
        times = {name: int(file["time"]) for name, file in listed.items() if file.get("type") == "file"}
        return {
            name: datetime.fromtimestamp(seconds, UTC) for file, seconds in times.items() for name in archived([file])
        }

    def push(self, file: Path) -> None:
        """Archive a file of the server's WAL that it takes for archived; what is there already, and the same, is left."""
        code, out, err = self._call("archive-push", "--no-archive-async", file=str(file))
        if code != 0:
            raise HostError(f"pgbackrest archive-push {file}: {explain(code, out + err)}")

    def check(self) -> None:
        """Have a segment archived now, and wait until it is in every repository."""
        self.call("check")

    def create(self, *words: str) -> None:
        """Create the stanza in every repository; one that is there already is looked at. Raises HostError."""
        code, said = self._create(*words)
        if code != 0:
            raise HostError(f"pgbackrest stanza-create: {explain(code, said)}")

    def create_anew(self, repository: int) -> None:
        """Create the stanza of a stopped server, also in a repository that was emptied while WAL was on its way: that lies there
        without the key that was lost with its list, and goes. Raises HostError.
        """
        code, _said = self._create("--no-online")
        if code == _NOT_EMPTY and all(held.missing for held in self.info(repository).held):
            with self._own_locks() as locks:
                self.call("stop", locks)  # it asks for that
                self.call("stanza-delete", f"--repo={repository}", "--force", locks)
        self.create("--no-online")

    @contextmanager
    def _own_locks(self) -> Iterator[str]:
        """Yield an option for a lock path of its user's own: a stop file in it stops nothing else, however we end, and even
        where the directory should stay. Raises HostError.
        """
        code, out, err = self.run([*self.prefix, "mktemp", "--directory", "--tmpdir", "pgstead-locks-XXXXXXXX"])
        if code != 0:
            raise HostError(f"a directory for locks of pgBackRest cannot be made: {(out + err).strip()}")
        try:
            yield f"--lock-path={out.strip()}"
        finally:
            self.run([*self.prefix, "rm", "-r", "--", out.strip()])

    def _create(self, *words: str) -> tuple[int, str]:
        """Return the exit code, and what was said. Asynchronous archiving holds the same lock for moments: a busy server is no
        reason to fail.
        """
        deadline = time.monotonic() + _LOCK_SECONDS
        code, out, err = self._call("stanza-create", *words)
        while code == _LOCKED and time.monotonic() < deadline:
            time.sleep(0.2)
            code, out, err = self._call("stanza-create", *words)
        return code, out + err


def _where(words: Sequence[str]) -> str:
    found = next((word for word in words if word.startswith("--repo=")), "")
    return f", repo{found.removeprefix('--repo=')}" if found else ""


def version(run: Run) -> tuple[int, int]:
    """Return (2, 55). Raises HostError."""
    _code, out, err = run([PROGRAM, "version"])
    match = re.search(r"pgBackRest (\d+)\.(\d+)", out)
    if match is None:
        raise HostError(f"pgbackrest version says {(out + err).strip()!r}")
    return int(match[1]), int(match[2])
