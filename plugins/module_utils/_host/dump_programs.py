# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that dumps need, run without a shell, as a user, with an environment of their own, and with their words kept."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .._core.errors import HostError
from .._pg.connection import acting_as

SHOWN_CHARACTERS = 2000
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Running:
    """A program that was started; `said` collects its errors."""

    name: str
    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def finish(self, seconds: float | None = None) -> None:
        """Wait for its end. Raises HostError with its last words where it failed, or took longer."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with suppress(BrokenPipeError):  # it has ended, and says why below
                    stream.close()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise HostError(f"{self.name} did not end within {seconds:g} s, and was ended. {self.words()}") from None
        if code:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"returned {code}"
            raise HostError(f"{self.name} {how}: {self.words()}")

    def check(self) -> None:
        """Raise HostError where it has failed already."""
        if self.process.poll():
            self.finish()

    def words(self) -> str:
        """Return the end of what it said, in one line."""
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").split("\n")
        return " | ".join(line.strip() for line in lines if line.strip())[-SHOWN_CHARACTERS:] or "it said nothing"


@dataclass(frozen=True)
class Programs:
    """Runs programs as `user`, where the caller is root, else as the caller."""

    user: str

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the rights of `user` while files are touched in directories of that user, who could lay links there."""
        with acting_as(self.user) if os.geteuid() == 0 else nullcontext():
            yield

    def write(self, path: Path, text: str) -> None:
        """Write a text for a program of `user`."""
        with (
            self.writing(),
            os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
                "w",
                encoding="utf-8",
                errors="surrogateescape",
            ) as target,
        ):
            target.write(text)

    @contextmanager
    def started(
        self, argv: Sequence[str], *, stdin: Any = None, stdout: Any = None, own: bool = False
    ) -> Iterator[Running]:
        """Yield a program while it runs; what still runs after the block is ended. With `own`, it keeps the caller's rights."""
        words: dict[str, Any] = {} if own or os.geteuid() != 0 else _identity(self.user)
        home = pwd.getpwuid(words.get("user", os.geteuid())).pw_dir
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours
                    list(argv),
                    stdin=subprocess.DEVNULL if stdin is None else stdin,
                    stdout=subprocess.DEVNULL if stdout is None else stdout,
                    stderr=said,
                    cwd="/",
                    env={"PATH": _PATH, "HOME": home, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"},
                    umask=0o077,
                    **words,
                )
            except FileNotFoundError:
                raise HostError(
                    f"{argv[0]} is not installed on this host: run playbook pgstead.ops.backup_setup"
                ) from None
            try:
                yield Running(os.path.basename(argv[0]), process, said)  # noqa: PTH119 - a word, not a place
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def run(self, argv: Sequence[str], seconds: float | None = None, *, stdin: Any = None, own: bool = False) -> bytes:
        """Run a program and return what it wrote. Raises HostError."""
        with tempfile.TemporaryFile() as written:
            with self.started(argv, stdin=stdin, stdout=written, own=own) as running:
                running.finish(seconds)
            written.seek(0)
            return written.read()


def _identity(user: str) -> dict[str, Any]:
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise HostError(f"operating system user {user!r} does not exist on this host") from None
    groups = os.getgrouplist(user, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}
