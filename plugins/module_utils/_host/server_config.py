# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The applier of a server's configuration: proven files in, swapped atomically, reloaded, checked, or taken back."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import evidence
from .._core.errors import ConfigurationRefused, ConnectionFailed, HostError, Problem, SpecError
from .._core.hidden import shown, without_secrets, without_values
from .._core.settings import changed_names, for_scratch, needs_restart, parse, without_libraries
from .._pg import serving
from .._pg.connection import Target
from .._pg.proving import Prover
from .._shell import Context, Outcome
from . import huge_pages, service
from .evidence import keep
from .files import Found, Wanted, diff, differing, look, restore, write
from .staging import NAMES, ROOT, Stage

TLS_FILES = ("ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file")
MODES = {"postgresql.conf": 0o644, "pg_hba.conf": 0o640, "pg_ident.conf": 0o640}
START_SECONDS = 60
RECOVERY_SECONDS = 3600  # replaying the WAL of a long checkpoint interval after a crash


@dataclass
class Applier:
    """One run on one cluster; `actions` collects what was done, for the result and the evidence."""

    context: Context
    version: int
    cluster: str
    port: int
    restart_policy: str
    texts: Mapping[str, str] = field(repr=False)
    huge_pages: int = 0  # to reserve before a start; 0 leaves them alone
    actions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reserved: huge_pages.Reservation | None = None

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.cluster}"

    @property
    def directory(self) -> Path:
        return Path(f"/etc/postgresql/{self.version}/{self.cluster}")

    @property
    def target(self) -> Target:
        return Target("/var/run/postgresql", self.port)

    def wanted(self) -> list[Wanted]:
        return [Wanted(self.directory / n, self.texts[n], "postgres", "postgres", MODES[n]) for n in NAMES]

    def _diff(self) -> list[dict[str, str]]:
        return [without_secrets(entry) for entry in diff(self.wanted())]

    def settings_changed(self) -> tuple[str, ...]:
        return changed_names(look(self.directory / "postgresql.conf").content or "", self.texts["postgresql.conf"])

    def predict(self) -> Outcome:
        """Say what `apply` would do, touching nothing."""
        changed = self.settings_changed()
        files = [str(file.path) for file in differing(self.wanted())]
        if not service.is_active(self.context.run, self.unit):
            return Outcome(True, self._data(changed, ("start",), ()), self._diff())
        state = serving.read(Target("/var/run/postgresql", self._running_port()))
        due = state.decided_by_us(needs_restart(changed, self.version))
        waiting = tuple(sorted({*state.ours, *due}))
        restart = (bool(waiting) and self.restart_policy != "never") or (
            bool(files) and self.restart_policy == "always"
        )
        actions = [*(["reload"] if files or self._stale(state.loaded) else []), *(["restart"] if restart else [])]
        return Outcome(
            bool(files or actions),
            self._data(changed, actions, () if restart else waiting),
            self._diff(),
            self._warnings(state, () if restart else waiting),
        )

    def apply(self) -> Outcome:
        """Bring the proven files into force. On any failure the old files are back and serving, and it raises."""
        changed, differences = self.settings_changed(), self._diff()
        running_port = self._running_port()
        before = {self.directory / name: look(self.directory / name) for name in NAMES}
        active = service.is_active(self.context.run, self.unit)
        pending_files = differing(self.wanted())
        if active and not pending_files:
            state = self._reached(running_port)
            if not self._stale(state.loaded) and not state.errors and not self._restart_due(state, False):
                return Outcome(False, self._data(changed, (), state.pending), (), self._warnings(state, state.pending))
        try:
            for file in pending_files:
                write(file)
            state = self._into_force(active, running_port, bool(pending_files))
        except (ConfigurationRefused, HostError, ConnectionFailed, OSError) as error:
            raise ConfigurationRefused(f"{error} — {self._taken_back(before, active)}") from error
        warnings = [*self.notes, *self._warnings(state, state.pending)]
        return Outcome(True, self._data(changed, self.actions, state.pending), differences, warnings)

    def _into_force(self, active: bool, running_port: int, files_changed: bool) -> serving.Serving:
        if not active:
            self._control("start")
            return self._checked(serving.read(self.target))
        self.actions.append("reload")
        state = self._checked(self._reloaded(running_port))
        if self._restart_due(state, files_changed):
            self._control("restart")
            state = self._checked(serving.read(self.target))
        return state

    def _restart_due(self, state: serving.Serving, files_changed: bool) -> bool:
        if self.restart_policy == "always":
            return files_changed or bool(state.ours)
        return self.restart_policy == "needed" and bool(state.ours)

    def _checked(self, state: serving.Serving) -> serving.Serving:
        if state.errors:
            raise ConfigurationRefused("the server refused the files: " + " | ".join(state.errors))
        return state

    def _control(self, verb: str) -> None:
        self.actions.append(verb)
        if self.huge_pages:
            self.reserved = huge_pages.reserve(self.huge_pages)
        try:
            service.control(self.context.run, verb, self.unit)
            self._wait_for_start()
        except (HostError, ConnectionFailed) as error:
            raise HostError(f"{error} | {self._startup_log()}") from error
        if self.reserved:
            self.notes += filter(None, (self.reserved.warning, huge_pages.idle(self.huge_pages)))

    def _wait_for_start(self) -> None:
        """Wait until the server lets us in: for long while it says itself that it is still replaying WAL."""
        begun = time.monotonic()
        asked = [f"/usr/lib/postgresql/{self.version}/bin/pg_isready", "-q", "-h", self.target.socket_directory]
        while True:
            try:
                serving.read(self.target)
            except ConnectionFailed:
                rejecting = self.context.run([*asked, "-p", str(self.port)])[0] == 1
                if time.monotonic() - begun > (RECOVERY_SECONDS if rejecting else START_SECONDS):
                    raise
                time.sleep(0.2)
            else:
                return

    def _wait(self, target: Target, seconds: float) -> serving.Serving:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return serving.read(target)
            except ConnectionFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _reached(self, port: int) -> serving.Serving:
        """Read what a running server says; one that lets us in no more, by rules of an earlier run, reads its files again."""
        try:
            return serving.read(Target("/var/run/postgresql", port))
        except ConnectionFailed:
            return self._signalled(port)

    def _reloaded(self, port: int) -> serving.Serving:
        """Have the server read its files: by a signal where it lets us in no more, so that rules can be taken back."""
        try:
            return serving.reload(Target("/var/run/postgresql", port))
        except ConnectionFailed:
            return self._signalled(port)

    def _signalled(self, port: int) -> serving.Serving:
        service.control(self.context.run, "reload", self.unit)
        return self._wait(Target("/var/run/postgresql", port), serving.RELOAD_SECONDS)

    def _taken_back(self, before: Mapping[Path, Found], was_active: bool) -> str:
        try:
            return self._take_back(before, was_active)
        except (HostError, ConnectionFailed, OSError) as error:
            return (
                f"and the previous files could not be brought back into force: {error}. "
                f"Look at {self.directory} and journalctl -u {self.unit}, then run the play again"
            )

    def _take_back(self, before: Mapping[Path, Found], was_active: bool) -> str:
        restore(before)
        if self.reserved:
            huge_pages.undo(self.reserved)
        if not was_active:
            return "the files are as they were, the server had not been running"
        if service.is_active(self.context.run, self.unit):
            self._reloaded(self._running_port())
        else:
            service.control(self.context.run, "restart", self.unit)
            self._wait(Target("/var/run/postgresql", self._running_port()), START_SECONDS)
        return "the previous files are back and the server is serving"

    def _running_port(self) -> int:
        """Return the port the running server was started with: its pid file has it on the fourth line."""
        in_force = look(self.directory / "postgresql.conf").content or ""
        pid_file = _data_directory(in_force, self.version, self.cluster) / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return int(lines[3]) if len(lines) > 3 else self.port

    def _stale(self, loaded: float) -> bool:
        """Say whether a file is newer than what the server read: a renewed certificate, or a run cut off before its reload."""
        values = parse(self.texts["postgresql.conf"])
        tls = [Path(values[name]) for name in TLS_FILES if values.get(name)]
        paths = [*(self.directory / name for name in NAMES), *tls]
        return any(_placed(path) > loaded for path in paths if path.exists())

    def _startup_log(self) -> str:
        log = Path(f"/var/log/postgresql/postgresql-{self.version}-{self.cluster}.log")
        lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else ["no startup log"]
        return " | ".join(map(without_values, lines))

    def _data(self, changed: Any, actions: Any, pending: Any) -> dict[str, Any]:
        return {"settings_changed": list(changed), "actions": list(actions), "pending_restart": list(pending)}

    def _warnings(self, state: serving.Serving, pending: tuple[str, ...]) -> list[str]:
        found = [
            f"{name} = {shown(name, auto)} in postgresql.auto.conf overrides "
            f"{shown(name, main) if main is not None else 'the default'}: "
            f"ALTER SYSTEM RESET {name}, or declare it in postgresql_settings"
            for name, (auto, main) in state.overridden.items()
        ]
        if pending:
            found.append(
                f"waiting for a restart (postgresql_restart_policy: {self.restart_policy}): {', '.join(pending)}"
            )
        return found


def _data_directory(text: str, version: int, cluster: str) -> Path:
    return Path(parse(text).get("data_directory") or f"/var/lib/postgresql/{version}/{cluster}")


def _placed(path: Path) -> float:
    """Return when a file came to be what it is: a certificate that was copied or linked there keeps an old time of change."""
    times = (path.stat(), path.lstat())
    return max(time for status in times for time in (status.st_mtime, status.st_ctime))


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Prove (state: proven) or apply (state: applied) a server's configuration files."""
    version, cluster = int(params["version"]), str(params["cluster"])
    if set(params["files"]) != set(NAMES):
        raise SpecError([Problem("files", f"needs the texts of {', '.join(NAMES)}, and nothing else")])
    texts = {name: str(params["files"][name]) for name in NAMES}
    stage = Stage(version, cluster)
    binary = Path(f"/usr/lib/postgresql/{version}/bin/postgres")
    if not binary.exists():
        if not context.check_mode:
            raise HostError(f"{binary} does not exist: install postgresql-{version} first")
        count = len(changed_names("", texts["postgresql.conf"]))
        message = f"{count} settings would follow when the server is installed"
        return Outcome(True, {"msg": message, "huge_pages": None, "actions": ["start"], "pending_restart": []})
    data_directory = _data_directory(texts["postgresql.conf"], version, cluster)
    altered = for_scratch(look(data_directory / "postgresql.auto.conf").content or "")
    # a new server build, another memory limit, or an ALTER SYSTEM asks for a new proof
    surroundings = f"{binary.stat().st_mtime_ns} {params['memory_bytes']} {altered}"
    if params["state"] == "proven":
        prover = Prover(context.run, version, ROOT / "scratch" / str(version), altered)
        return _prove(stage, texts, surroundings, prover=prover, params=params, context=context)
    pages = int(params["huge_pages"] or 0)
    applier = Applier(context, version, cluster, int(params["port"]), params["restart_policy"], texts, pages)
    if context.check_mode:
        return applier.predict()
    facts = {
        "cluster": f"{version}/{cluster}",
        "proof": "postgres -C and a start on a scratch cluster, then pg_file_settings and pg_hba_file_rules",
        "huge_pages": stage.require(texts, surroundings).huge_pages,
    }
    started, clock = datetime.now(UTC), time.monotonic()
    try:
        outcome = applier.apply()
    except ConfigurationRefused as error:
        _witness(started, clock, "failed", facts | {"refused": str(error)})
        raise
    if not outcome.changed:
        return outcome
    path = _witness(started, clock, "warning" if outcome.warnings else "ok", facts | dict(outcome.data))
    return Outcome(True, dict(outcome.data) | {"evidence": path}, outcome.diff, outcome.warnings)


def _witness(started: datetime, clock: float, status: str, facts: Mapping[str, Any]) -> str:
    """Keep evidence of what was applied, or refused; return its path."""
    begun = started.strftime("%Y-%m-%dT%H:%M:%SZ")
    seconds = time.monotonic() - clock
    return keep(
        evidence.record(
            "configuration", socket.gethostname(), started=begun, seconds=seconds, status=status, facts=facts
        )
    )


def _prove(
    stage: Stage,
    texts: Mapping[str, str],
    surroundings: str,
    *,
    prover: Prover,
    params: Mapping[str, Any],
    context: Context,
) -> Outcome:
    proof = stage.proof(texts, surroundings)
    memory = (int(params["memory_bytes"]), int(params["huge_page_bytes"]))
    if proof is None and context.check_mode:
        # with them, the server would only say what is known: that their package is not there yet
        loadable = without_libraries(texts["postgresql.conf"], params["libraries_to_come"])
        proof = stage.rehearse({**texts, "postgresql.conf": loadable}, prover, memory)
    elif proof is None:
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            proof = stage.prove(texts, surroundings, prover, memory)
        except ConfigurationRefused as error:
            _witness(started, clock, "failed", {"cluster": f"{stage.version}/{stage.cluster}", "refused": str(error)})
            raise
    # staging is the collection's own bookkeeping: the change is reported where the files are applied
    return Outcome(False, {"huge_pages": proof.huge_pages})
