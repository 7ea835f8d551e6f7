# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a whole cluster back to a moment, in place: checked before anything is touched, and taken back where it fails.

The running cluster is kept: its directory is moved aside (mode aside), or restored over file by file (mode delta, for hosts
without room for two). A restore that was cut off left its state file; the next run goes on from there.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import evidence, store_versions
from .._core.agent_plan import SOCKET_DIRECTORY, STATE_DIRECTORY
from .._core.backup import Backup
from .._core.backup_config import archive_command
from .._core.errors import ConnectionFailed, HostError, PgsteadError, Problem, SpecError
from .._core.restore import (
    Reach,
    Target,
    choose,
    options,
    stopping_point,
    summary,
    target,
    time_of,
    too_small,
    why_it_ended,
)
from .._core.settings import parse
from .._pg import archiving, recovery
from .._pg.connection import Target as Place
from .._shell import Context, Outcome
from . import service
from .backup_config import AS_POSTGRES
from .evidence import keep
from .files import Wanted, write
from .lock import lock
from .pgbackrest import PgBackRest
from .poolers import paused
from .restore_reach import Asked, reach
from .server_log import ServerLog

STATES = Path("/var/lib/pgstead/restore")
ARCHIVE_SECONDS = 120


@dataclass
class Restore:
    """One restore of one cluster; `phases` collects seconds."""

    context: Context
    params: Mapping[str, Any]
    engine: PgBackRest
    live: PgBackRest  # the repositories as they are, where the engine reads one as it was
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return int(self.params["version"])

    @property
    def cluster(self) -> str:
        return str(self.params["cluster"])

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.cluster}"

    @property
    def data(self) -> Path:
        return Path(self.params["data_directory"])

    @property
    def place(self) -> Place:
        return Place(SOCKET_DIRECTORY, int(self.params["port"]))

    @property
    def state_file(self) -> Path:
        return STATES / f"{self.version}-{self.cluster}.json"

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        since = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - since


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Restore, or say in check mode from what it would be restored."""
    now = datetime.now(UTC)
    wanted = target(params["type"], params["target"], now)
    key = int(params["repository"])
    live = PgBackRest(context.run, params["stanza"], (key,), (), AS_POSTGRES)
    then = params["repository_time"] and time_of(params["repository_time"], now, "backup_restore_repository_time")
    work = Restore(context, params, live.at(then) if then else live, live)
    running = service.is_active(context.run, work.unit)
    interrupted = _left(work, running=running)
    if running and not params["overwrite"]:
        what = (
            f"{work.unit} is running on {socket.gethostname()}: its databases would be replaced. Nothing was touched. Say "
            "backup_restore_overwrite: true if that is meant"
        )
        raise SpecError([Problem("backup_restore_overwrite", what)])
    with work.phase("prepare"):
        found = _prepare(work, wanted, running=running and not interrupted)
        chosen = choose(found[0], found[1], params["set"])
        _room(work, chosen, interrupted=interrupted)
    told = store_versions.words(str(wanted), then) if then else str(wanted)
    data = {"backup": chosen.label, "repository": key, "target": told}
    if context.check_mode:
        return Outcome(True, data | {"phases": {}, "stopped_at": ""})
    with _no_backup_meanwhile():
        return _witnessed(work, found[0], chosen, data, now, running=running)


@contextmanager
def _no_backup_meanwhile() -> Iterator[None]:
    """Keep the jobs of backups away: they write into the data directory. Raises HostError where one is at work."""
    path = Path(STATE_DIRECTORY) / "backup.lock"
    if not path.parent.is_dir():
        yield
        return
    if not path.exists():  # the jobs' user must be able to open it
        write(Wanted(path, "", "postgres", "postgres"))
    with lock(path) as holder:
        if holder is not None:
            raise HostError(f"a backup is under way (process {holder}): wait for it, or end it. Nothing was touched")
        yield


def _left(work: Restore, *, running: bool) -> bool:
    """Say whether an earlier restore of this cluster was cut off and is to be finished; forget one that is over.

    Raises HostError where something runs of which that cannot be told.
    """
    process = work.data / "postmaster.pid"
    if not running and process.exists() and Path(f"/proc/{process.read_text().split()[0]}").is_dir():
        raise HostError(f"a server that is not {work.unit} runs in {work.data}: stop it first. Nothing was touched")
    try:
        over = running and not recovery.state(work.place).in_recovery
    except ConnectionFailed as error:
        what = "recovery may still go on: wait for it, or stop the unit, then run this again. Nothing was touched"
        raise HostError(f"{work.unit} is active, but {error}: {what}") from error
    finished = (work.data / "global/pg_control").exists() and not (work.data / "recovery.signal").exists()
    # pgBackRest writes pg_control last, and the server removes the signal when it opens: this cluster is one to keep
    if (over or (not running and finished)) and not work.context.check_mode:
        work.state_file.unlink(missing_ok=True)
    return work.state_file.exists() and not over and not finished


def _interrupted(work: Restore) -> Mapping[str, Any]:
    return json.loads(work.state_file.read_text()) if work.state_file.exists() else {}


def _prepare(work: Restore, wanted: Target, *, running: bool) -> tuple[Target, Reach]:
    """Have all WAL archived while the server can, and learn what the repository reaches. Raises SpecError, HostError."""
    timeline = str(work.params["timeline"]).strip()
    if timeline and not timeline.isdigit():
        raise SpecError([Problem("backup_restore_timeline", f"{timeline!r} is not the number of a timeline")])
    current = _archive_all(work, wanted) if running else ""
    asked = Asked(work.params["set"], int(timeline or 0))
    told, found = reach(work.engine, work.data, ServerLog(work.version, work.cluster), wanted, asked)
    if work.context.check_mode and current:  # it would be archived by then
        found = replace(found, segments=(*found.segments, current), last_arrived=None)
    return told, found


def _archive_all(work: Restore, wanted: Target) -> str:
    """Have what is not in a repository archived, in check mode not; return the segment that was being written."""
    state = recovery.state(work.place)
    if state.in_recovery:
        raise SpecError([Problem("restore", f"{work.unit} is a standby: restore its primary, then make it anew")])
    if state.tablespaces and work.params["mode"] == "aside":
        what = f"{state.tablespaces} tablespaces lie outside of {work.data}, and cannot be moved aside: use backup_restore_mode: delta"
        raise SpecError([Problem("backup_restore_mode", what)])
    if work.params["repository_time"]:
        if work.params["mode"] != "aside":
            what = f"what {work.unit} wrote since is in no backup that is asked for: use aside, which keeps it, or stop it first"
            raise SpecError([Problem("backup_restore_mode", what)])
        return ""  # what is archived now, the repository had not then
    if work.context.check_mode:
        return str(state.current_segment)
    segment = recovery.switch(work.place)
    if recovery.archived(work.place, segment, ARCHIVE_SECONDS):
        return segment
    if work.params["mode"] != "aside" or wanted.kind == "latest":
        raise HostError(
            f"{segment} was not archived within {ARCHIVE_SECONDS} s, and would be lost: mend archiving (pgstead run "
            f"check_archiving says what is wrong). Or stop {work.unit} first, and use backup_restore_mode: aside, which "
            "keeps what is not archived in the directory that is moved aside. Nothing was touched"
        )
    # it stays in the directory that is moved aside, and a target in it is refused
    return segment


def _room(work: Restore, chosen: Backup, *, interrupted: bool) -> None:
    if work.params["mode"] != "aside" or interrupted or not work.data.exists():
        return
    if work.data.is_mount() or work.data.is_symlink():
        what = f"{work.data} is a mount or a link, and cannot be moved aside: use backup_restore_mode: delta"
        raise SpecError([Problem("backup_restore_mode", what)])
    free = shutil.disk_usage(work.data.parent).free
    if free < chosen.size * 1.1:
        what = (
            f"{free // 2**20} MiB are free beside {work.data}, but {chosen.size * 11 // 10 // 2**20} MiB are needed to keep the "
            "running cluster: use backup_restore_mode: delta, which writes over it"
        )
        raise SpecError([Problem("backup_restore_mode", what)])


def _witnessed(
    work: Restore, wanted: Target, chosen: Backup, data: dict[str, Any], now: datetime, *, running: bool
) -> Outcome:
    """Do it, and keep evidence of what came of it, also of a failure."""
    begun, facts = time.monotonic(), dict(data)

    def witness(status: str) -> str:
        return keep(
            evidence.record(
                "restore",
                socket.gethostname(),
                started=f"{now:%Y-%m-%dT%H:%M:%SZ}",
                seconds=time.monotonic() - begun,
                status=status,
                facts=facts | {"phases": {name: round(value, 3) for name, value in work.phases.items()}},
            )
        )

    try:
        facts |= _restore(work, wanted, chosen, running=running)
        facts["timeline"] = recovery.state(work.place).timeline
    except PgsteadError as error:
        facts["refused"] = str(error)
        path = witness("failed")
        raise HostError(f"{error}. Evidence: {path}") from error
    path = witness("ok")
    phases = {name: round(value, 3) for name, value in work.phases.items()}
    told = facts | {"phases": phases, "repository": facts["repository"]}
    return Outcome(True, told | {"evidence": path, "summary": summary(told)})


def _restore(work: Restore, wanted: Target, chosen: Backup, *, running: bool) -> dict[str, Any]:
    """Stop, move aside, restore, start, wait; return where recovery stopped, where the cluster as it was lies, and whether
    the new timeline is archived.

    On a failure before the server is open, the old directory comes back.
    """
    with paused(work.params["pause_seconds"]):
        with work.phase("stop"):
            service.control(work.context.run, "stop", work.unit)
        try:
            _move_aside(work)
            with work.phase("fetch"):
                words = options(wanted, str(work.params["timeline"]).strip())
                work.engine.restore(chosen.label, words)
                _fits(work)
                if work.params["repository_time"]:
                    # before anything is archived: who pushes WAL meanwhile waits for minutes
                    work.live.create_anew(chosen.repository)
            log = ServerLog(work.version, work.cluster).here()
            with work.phase("recover"):
                service.control(work.context.run, "start", work.unit)
                _until_open(work, log)
        except (PgsteadError, OSError, ValueError) as error:
            raise HostError(f"{error}. {_take_back(work, running=running)}") from error
        stopped, aside = stopping_point(log.lines()), str(_interrupted(work).get("aside", ""))
        work.state_file.unlink()
        with work.phase("settle"):
            archived = _settle(work, log)
    return {"stopped_at": stopped, "aside": aside, "archived": archived}


def _settle(work: Restore, log: ServerLog) -> bool:
    """Take the settings of the recovery out again, and see the new timeline archived; say whether it is."""
    try:
        if recovery.forget_recovery(work.place):
            service.control(work.context.run, "restart", work.unit)
            _until_open(work, log)
        # not on a new host, which has no stanza yet
        archives = archiving.read(work.place).command == archive_command(work.live.stanza)
        if archives:
            work.live.check()
    except PgsteadError as error:
        raise HostError(f"the cluster is open at its target, but: {error}") from error
    return archives


def _move_aside(work: Restore) -> None:
    """Move the directory aside once; the state file says where to, before it happens."""
    before = _interrupted(work)
    aside = before.get("aside", "")
    if not before:
        aside = f"{work.data}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}" if work.params["mode"] == "aside" else ""
        STATES.mkdir(parents=True, exist_ok=True)
        write(Wanted(work.state_file, json.dumps({"aside": aside}) + "\n"))
    if aside and work.data.exists() and not Path(aside).exists():
        work.data.rename(aside)
    elif aside and work.data.exists() and not (work.data / "PG_VERSION").exists():
        shutil.rmtree(work.data)  # a part that pgBackRest does not go on from
    if not work.data.exists():
        work.data.mkdir(mode=0o700)
        shutil.chown(work.data, "postgres", "postgres")


def _fits(work: Restore) -> None:
    """Refuse to start with settings that are too small: the server would say so only after some time, and end."""
    binary = f"/usr/lib/postgresql/{work.version}/bin/pg_controldata"
    code, out, err = work.context.run([*AS_POSTGRES, binary, str(work.data)])
    if code != 0:
        raise HostError(f"pg_controldata failed: {err.strip()}")
    configuration = Path(f"/etc/postgresql/{work.version}/{work.cluster}/postgresql.conf")
    faults = too_small(out, parse(configuration.read_text()))
    if faults:
        raise HostError(
            f"{'; '.join(faults)}: declare at least that (postgresql_max_connections, postgresql_settings) and run "
            "playbook pgstead.ops.provision, then this again"
        )


def _until_open(work: Restore, log: ServerLog) -> None:
    """Wait until the server has reached the target and is open, or has ended. Raises HostError with the server's words."""
    deadline = time.monotonic() + float(work.params["timeout_seconds"])
    while time.monotonic() < deadline:
        try:
            state = recovery.state(work.place)
            if not state.in_recovery:
                return
            if state.paused:
                raise HostError(f"recovery waits, and would not go on by itself: {why_it_ended(log.lines())}")
        except ConnectionFailed:
            if not service.is_active(work.context.run, work.unit):
                said = why_it_ended(log.lines())
                raise HostError(
                    f"the server ended during recovery: {said or service.journal(work.context.run, work.unit)}"
                ) from None
        time.sleep(0.5)
    raise HostError(
        f"recovery did not reach the target within {work.params['timeout_seconds']} s: see PostgreSQL's log"
    )


def _take_back(work: Restore, *, running: bool) -> str:
    """Put the old directory back, start it if it ran, and say what is there now."""
    aside = _interrupted(work).get("aside", "")
    if not aside or not Path(aside).exists():
        return "The server is down, and its directory is partly restored: mend the reason, then run the restore again"
    try:
        service.control(work.context.run, "stop", work.unit)
        shutil.rmtree(work.data)
        Path(aside).rename(work.data)
        work.state_file.unlink()
        if not running:
            return "The cluster as it was before is back, and not running, as it was"
        service.control(work.context.run, "start", work.unit)
    except (HostError, OSError) as error:
        return f"The cluster as it was before ({aside}, or {work.data}) could not be brought back: {error}"
    return "The cluster as it was before is back and serving"
