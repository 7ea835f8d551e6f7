# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a restored cluster beside everything else, as a child of this process, and leave nothing of it.

It is no service: it ends with the job that looks at it. What a job that was killed left is found and ended by the next one.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .._core.errors import ConnectionFailed, HostError
from .._core.restore import why_it_ended
from .._core.scratch_server import Spot, hba, options
from .._pg import recovery
from .._pg.connection import Target

Run = Callable[[Sequence[str]], tuple[int, str, str]]
STOP_SECONDS = 300  # its last checkpoint writes everything
REFUSING_SECONDS = 60  # a server that is open, and whom it does not let in now, it never will
END_SECONDS = 10


@dataclass
class ScratchServer:
    """One copy in a directory of its own: data, files, socket and log are in it. `user` is the database's superuser, and
    `configuration` the one of pgBackRest by which the copy gets its WAL.
    """

    MARK = "drill"  # a file: this directory is one to remove

    run: Run
    directory: Path
    binaries: Path
    port: int
    extra: Mapping[str, str] = field(default_factory=dict)
    user: str = "postgres"
    configuration: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def tablespaces(self) -> Path:
        return self.directory / "tablespaces"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def target(self) -> Target:
        return Target(str(self.directory / "socket"), self.port, user=self.user, system_user=_me())

    def prepare(self) -> None:
        """Make the directory, empty: whatever an earlier run left goes. Raises HostError."""
        self.wipe()
        self.directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        (self.directory / self.MARK).touch()  # before anything else is there: this may be cut off at any point
        for name in ("data", "files", "socket", "tablespaces"):
            (self.directory / name).mkdir(mode=0o700)
        for name, text in (("postgresql.conf", ""), ("pg_hba.conf", hba()), ("pg_ident.conf", "")):
            (self.directory / "files" / name).write_text(text, encoding="ascii")

    def wipe(self) -> None:
        """End a server that runs in the directory, and remove the directory. Raises HostError."""
        if self.directory.is_dir() and any(self.directory.iterdir()) and not (self.directory / self.MARK).exists():
            raise HostError(
                f"{self.directory} was not made by a drill, and is left as it is: name another drill_directory"
            )
        self.halt()
        try:
            if self.directory.exists():
                self._empty()
                self.directory.rmdir()
        except OSError as error:
            raise HostError(f"{self.directory} cannot be removed: {error}. Remove it by hand") from error

    def _empty(self) -> None:
        """Remove what is in the directory, the mark last: what was cut off here is still known as a drill's."""
        for path in sorted(self.directory.iterdir(), key=lambda path: path.name == self.MARK):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def start(self) -> None:
        """Start it; it is open some time later. Raises HostError."""
        spot = Spot(str(self.data), str(self.directory / "files"), str(self.directory / "socket"), self.port)
        found = options(spot, self._controldata(), self.extra)
        words = [word for name, value in found.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("wb") as log:
            # of this process's group: a supervisor that ends the group ends the server with it
            self._process = subprocess.Popen(  # noqa: S603 - a fixed program, its words never go through a shell
                [str(self.binaries / "postgres"), "-D", str(self.data), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )

    def until_open(self, seconds: float) -> None:
        """Wait until recovery is over and the server is open. Raises HostError with the server's own words."""
        assert self._process is not None
        deadline, refusing_since = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                if not recovery.state(self.target).in_recovery:
                    return
            except ConnectionFailed as error:
                now = time.monotonic()
                refusing_since = (refusing_since or now) if self._open() else None
                if refusing_since is not None and now - refusing_since > REFUSING_SECONDS:
                    raise HostError(f"the restored server is open, and refuses: {error}") from error
            code = self._process.poll()
            if code is not None:
                said = why_it_ended(self.lines()) or " | ".join(self.lines()[-2:]) or "without a word"
                raise HostError(f"the restored server ended during recovery, with code {code}: {said}")
            time.sleep(0.05)
        raise HostError(f"recovery did not come to its end within {seconds:.0f} s")

    def _open(self) -> bool:
        """Say whether the server tells, in its own file, that it lets clients in; its log may have grown too long to read often."""
        with suppress(OSError):
            told = (self.data / "postmaster.pid").read_text(errors="replace").splitlines()
            return told[-1].strip() == "ready" if told else False
        return False

    def stop(self) -> None:
        """Stop it cleanly. Raises HostError."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # fast: nobody but this process is connected
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise HostError(f"the restored server did not stop within {STOP_SECONDS} s") from None
        finally:
            self.halt()
        if code != 0:
            raise HostError(f"the restored server ended with code {code}: {' | '.join(self.lines()[-2:])}")

    def lines(self) -> list[str]:
        """Return the lines of its log since it was started last."""
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def _controldata(self) -> str:
        code, out, err = self.run([str(self.binaries / "pg_controldata"), str(self.data)])
        if code != 0:
            raise HostError(f"pg_controldata {self.data} failed: {err.strip()}")
        return out

    def halt(self) -> None:
        """End the server at once, this process's or one that was left behind. Raises HostError."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGQUIT)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_SECONDS)
                self._process.kill()
                self._process.wait()
            self._process = None
        for number in (signal.SIGQUIT, signal.SIGKILL):
            for process in self._left():
                with suppress(ProcessLookupError):
                    os.kill(process, number)
            deadline = time.monotonic() + END_SECONDS
            while self._left() and time.monotonic() < deadline:
                time.sleep(0.05)
        if self._left():
            raise HostError(f"processes {self._left()} work in {self.data}, and do not end: end them by hand")

    def _left(self) -> list[int]:
        """Return the processes that work in the data directory: all of a server's, and pgBackRest's with its configuration. Where
        the server was killed, those that wait for WAL outlive it; what fetches ahead, and a restore, are elsewhere.
        """
        found, data, configured = [], self.data.resolve(), f"--config={self.configuration}"
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is somebody else's
                words = (process / "cmdline").read_text(errors="replace").split("\0")
                fetches = bool(self.configuration) and configured in words and Path(words[0]).name == "pgbackrest"
                if fetches or data in ((place := (process / "cwd").readlink()), *place.parents):
                    found.append(int(process.name))
        return found


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
