# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The applier of PgBouncer's configuration: proven in a process of its own, swapped, reloaded, checked, or taken back."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .._core.errors import ConfigurationRefused, ConnectionFailed, HostError, PgsteadError
from .._core.hidden import without_secrets
from .._core.pooler import needs_restart, parse_version
from .._pg import pooler_admin
from .._pg.connection import has_driver
from .._shell import Context, Outcome
from . import service
from .facts import POOLER_MARKER, listening
from .files import Wanted, diff, differing, look, restore, write

USER = "pgbouncer"
START_SECONDS = 15
DRAIN_SECONDS = 30
LOADED = Path("/var/lib/pgstead/pooler")  # what each process has last read, so that a cut-off run is noticed


@dataclass
class PoolerApplier:
    """One run over all processes of the pooler."""

    context: Context
    processes: Sequence[Mapping[str, Any]]
    shared: Mapping[str, str] = field(repr=False)
    port: int
    version: tuple[int, int]
    actions: list[str] = field(default_factory=list)

    def wanted(self) -> list[Wanted]:
        texts = {process["path"]: process["content"] for process in self.processes} | dict(self.shared)
        return [Wanted(Path(path), text, "root", USER, 0o640) for path, text in texts.items()]

    def decide(self) -> list[tuple[Mapping[str, Any], str]]:
        """Return (process, start | reload | restart | "") for each process."""
        wanted = self.wanted()
        shared = bool(differing(wanted[len(self.processes) :]))
        return [
            (process, self._verdict(process, shared or bool(differing([own]))))
            for process, own in zip(self.processes, wanted, strict=False)  # theirs come first
        ]

    def _verdict(self, process: Mapping[str, Any], written: bool) -> str:
        if not service.is_active(self.context.run, process["unit"]):
            return "start"
        try:
            in_force = pooler_admin.show_config(self._running(process))
        except ConnectionFailed:
            if not has_driver() or _sockets(process):
                raise
            return "restart"  # as one that a cut-off run left draining, which has no socket any more
        different = mismatches(process["content"], in_force)
        if needs_restart(different) or self._deaf(process):
            return "restart"
        # what SHOW CONFIG does not show, as databases, may have been written, and read, by hand
        outdated = written or self._loaded(process) != self._fingerprint(process)
        return "reload" if different or outdated else ""

    def apply(self) -> Outcome:
        """Bring the files into force; on any failure the old ones are back."""
        verdicts, changed = self.decide(), differing(self.wanted())
        shown = [without_secrets(entry) for entry in diff(self.wanted())]
        disabled = [p["unit"] for p in self.processes if not service.is_enabled(self.context.run, p["unit"])]
        if not self.context.check_mode:
            service.read_anew(self.context.run, *(process["unit"] for process in self.processes))
        retired = self._retired()
        if self.context.check_mode or not (changed or disabled or retired or any(action for _, action in verdicts)):
            actions = [f"{action} {process['unit']}" for process, action in verdicts if action]
            return Outcome(bool(changed or actions or disabled or retired), {"actions": actions}, shown)
        for process, action in verdicts:
            if changed or action:  # a certificate that it may not read would be noticed by the next start only
                self._prove(process)
        write(Wanted(POOLER_MARKER, ""))
        self._into_force(verdicts, changed, retired)
        if retired:
            service.control(self.context.run, "disable", *retired)
        if disabled:
            service.control(self.context.run, "enable", *disabled)
        return Outcome(True, {"actions": self.actions}, shown)

    def _into_force(
        self, verdicts: Sequence[tuple[Mapping[str, Any], str]], changed: Sequence[Wanted], retired: Sequence[str]
    ) -> None:
        before = {file.path: look(file.path) for file in self.wanted()}
        served = [unit for unit in retired if service.is_active(self.context.run, unit)]
        ran = {process["unit"] for process, action in verdicts if action != "start"}
        try:
            if retired:  # they hold the port
                service.control(self.context.run, "stop", *retired)
            for file in changed:
                write(file)
            for process, action in verdicts:
                self._perform(process, action)
        except (PgsteadError, OSError) as error:
            steps: list[Callable[[], None]] = [partial(restore, before)]
            steps += [partial(self._take_back, process, ran) for process in self.processes]
            steps += [partial(service.control, self.context.run, "start", *served)] if served else []
            failed = _failures(steps)
            came = f"taking it back failed too: {' | '.join(failed)}" if failed else "the previous files are back"
            raise ConfigurationRefused(f"{error} — {came}") from error

    def _retired(self) -> list[str]:
        """Return units of PgBouncer that run or would start, though the inventory has another number of processes."""
        _code, out, _err = self.context.run(
            ["systemctl", "list-units", "--all", "--plain", "--no-legend", "pgbouncer.service", "pgbouncer@*.service"]
        )
        wanted = {process["unit"] for process in self.processes}
        units = {line.split()[0] for line in out.splitlines() if line.split()}
        return sorted(
            unit
            for unit in units - wanted
            if service.is_active(self.context.run, unit) or service.is_enabled(self.context.run, unit)
        )

    def _deaf(self, process: Mapping[str, Any]) -> bool:
        """Say whether nothing listens on the port: some versions start without an address that they cannot have."""
        return "listen_addr = \n" not in process["content"] and self.port not in set(listening())

    def _console(self, process: Mapping[str, Any]) -> Any:
        return pooler_admin.console(process["socket_directory"], self.port)

    def _running(self, process: Mapping[str, Any]) -> Any:
        """Return the console of the process that runs: its socket tells the port, which the file may have changed."""
        newest = max(_sockets(process), key=lambda path: path.stat().st_mtime, default=None)
        port = int(newest.name.rsplit(".", 1)[1]) if newest else self.port
        return pooler_admin.console(process["socket_directory"], port)

    def _perform(self, process: Mapping[str, Any], action: str) -> None:
        if not action:
            return
        self.actions.append(f"{action} {process['unit']}")
        if action == "reload":
            pooler_admin.reload(self._console(process))
        elif action == "restart" and len(self.processes) > 1 and self.version >= (1, 23):
            self._rolling(process)
        else:
            service.control(self.context.run, action, process["unit"])
        self._verify(process)
        write(Wanted(LOADED / process["unit"], self._fingerprint(process)))

    def _fingerprint(self, process: Mapping[str, Any]) -> str:
        """Return a hash of what a process should have read: its file, the shared ones, the certificates' times."""
        texts = [process["content"], *self.shared.values()]
        texts += [
            f"{path} {Path(path).stat().st_mtime_ns}"
            for path in re.findall(r"^\w+_tls_\w+_file = (\S+)$", process["content"], re.MULTILINE)
            if Path(path).exists()
        ]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest() + "\n"

    def _loaded(self, process: Mapping[str, Any]) -> str:
        return look(LOADED / process["unit"]).content or ""

    def _rolling(self, process: Mapping[str, Any]) -> None:
        """Let this process's clients finish while the others take new ones; the port is shared (so_reuseport)."""
        with suppress(ConnectionFailed):  # one that drains already has no socket any more
            pooler_admin.drain(self._running(process))
        deadline = time.monotonic() + DRAIN_SECONDS
        while service.is_active(self.context.run, process["unit"]) and time.monotonic() < deadline:
            time.sleep(0.2)
        service.control(self.context.run, "restart", process["unit"])

    def _verify(self, process: Mapping[str, Any]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                different = mismatches(process["content"], pooler_admin.show_config(self._console(process)))
            except ConnectionFailed as error:
                different = ()
                if time.monotonic() > deadline:
                    log = service.journal(self.context.run, process["unit"])
                    raise HostError(f"{process['unit']} does not answer: {error} | {log}") from error
            else:
                different = (*different, "listen_addr") if self._deaf(process) else different
                if not different:
                    return
                if time.monotonic() > deadline:
                    log = service.journal(self.context.run, process["unit"])
                    raise ConfigurationRefused(f"{process['unit']} did not take {', '.join(different)} | {log}")
            time.sleep(0.1)

    def _take_back(self, process: Mapping[str, Any], ran: Collection[str]) -> None:
        """Have a process serve as it did before this run, with the files of then; stop one that did not run."""
        unit = process["unit"]
        done = [action for action in self.actions if action.endswith(unit)]
        if done:
            (LOADED / unit).unlink(missing_ok=True)  # whatever it has read, the next run has it read again
        if unit not in ran or look(Path(process["path"])).content is None:
            service.control(self.context.run, "stop", unit)
        elif service.is_active(self.context.run, unit) and not any("reload" not in action for action in done):
            pooler_admin.reload(self._running(process))
        else:
            service.control(self.context.run, "restart", unit)

    def _prove(self, process: Mapping[str, Any]) -> None:
        """Run PgBouncer on the new file, off the network, until its socket answers or it gives up."""
        with TemporaryDirectory(prefix="pgstead-") as name:
            base, account = Path(name), pwd.getpwnam(USER)
            base.chmod(0o711)
            sockets = base / "sockets"
            sockets.mkdir(mode=0o755)
            os.chown(sockets, account.pw_uid, account.pw_gid)
            override = f"\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {sockets}\npidfile = {sockets}/pid\nso_reuseport = 0\n"
            text = process["content"] + override
            for path, content in self.shared.items():
                text = text.replace(path, str(base / Path(path).name))
                write(Wanted(base / Path(path).name, content, "root", USER, 0o640))
            staged = base / "pgbouncer.ini"
            write(Wanted(staged, text, "root", USER, 0o640))
            self._try(staged, sockets, account)

    def _try(self, staged: Path, sockets: Path, account: pwd.struct_passwd) -> None:
        groups = [int(g) for g in self.context.run(["id", "-G", USER])[1].split()]
        with subprocess.Popen(  # noqa: S603 - a fixed program on a file of our own
            ["/usr/sbin/pgbouncer", str(staged)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=groups,
        ) as trial:
            deadline = time.monotonic() + START_SECONDS
            while trial.poll() is None and time.monotonic() < deadline:
                if any(sockets.glob(".s.PGSQL.*")):
                    break
                time.sleep(0.05)
            alive = trial.poll() is None and any(sockets.glob(".s.PGSQL.*"))
            trial.kill()
            words = (trial.communicate()[1] or "").strip()
        bad = [line for line in words.splitlines() if re.search(r"\b(ERROR|FATAL|WARNING)\b", line)]
        if not alive or any("ERROR" in line or "FATAL" in line for line in bad):
            raise ConfigurationRefused(
                "PgBouncer refuses the new configuration: " + " | ".join(bad or [words or "no message"])
            )


def _sockets(process: Mapping[str, Any]) -> list[Path]:
    return [path for path in Path(process["socket_directory"]).glob(".s.PGSQL.*") if path.is_socket()]


def _failures(steps: Sequence[Callable[[], None]]) -> list[str]:
    """Take all steps, whichever of them fail; return what was said of those."""
    failed = []
    for step in steps:
        try:
            step()
        except (PgsteadError, OSError) as error:
            failed.append(str(error))
    return failed


_SETTING = re.compile(r"^([a-z_]+) = (.*)$")


def mismatches(text: str, in_force: Mapping[str, str]) -> tuple[str, ...]:
    """Return the settings of the [pgbouncer] section whose value is not in force."""
    section, found = "", []
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        match = _SETTING.match(line)
        if section == "pgbouncer" and match and not same(match.group(2).strip(), in_force.get(match.group(1), "")):
            found.append(match.group(1))
    return tuple(found)


def same(written: str, shown: str) -> bool:
    """Compare a written value with what SHOW CONFIG prints for it."""
    if written == shown:
        return True
    try:
        return float(written) == float(shown)
    except ValueError:
        return False


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Apply PgBouncer's files; in check mode on a host without it, say that they would follow."""
    if context.check_mode and not Path("/usr/sbin/pgbouncer").exists():
        return Outcome(True, {"actions": [f"start {process['unit']}" for process in params["processes"]]})
    return PoolerApplier(
        context, params["processes"], params["files"], int(params["port"]), parse_version(params["version"])
    ).apply()
