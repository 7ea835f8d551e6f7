# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a whole cluster back to a moment, in place: checked before anything is touched, and taken back where it fails.

The running cluster is kept: its directory is moved aside (mode aside), or restored over file by file (mode delta, for hosts
without room for two). A restore that was cut off left its state file; the next run goes on from there.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import evidence, store_versions
from .._core.agent_plan import STATE_DIRECTORY
from .._core.backup import Backup
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
    timeline_to_follow,
    too_small,
    why_it_ended,
)
from .._core.settings import parse, without
from .._pg import recovery
from .._shell import Context, Outcome
from . import service
from .backup_config import AS_POSTGRES
from .evidence import keep
from .files import Wanted, look, write
from .lock import lock
from .pgbackrest import PgBackRest
from .poolers import paused, resume_left
from .restore_reach import Asked, reach
from .restore_wal import archive_all, archives, keep_unarchived, waiting, written_here
from .restore_work import STATES, Restore, controldata, interrupted, keep_state, served, was_open
from .server_log import ServerLog


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Restore, or say in check mode from what it would be restored."""
    now = datetime.now(UTC)
    wanted = target(params["type"], params["target"], now)
    if not context.check_mode:
        resume_left()
    key = int(params["repository"])
    live = PgBackRest(context.run, params["stanza"], (key,), (), AS_POSTGRES)
    then = params["repository_time"] and time_of(params["repository_time"], now, "backup_restore_repository_time")
    work = Restore(context, params, live.at(then) if then else live, live)
    running = service.is_active(context.run, work.unit)
    over, unfinished = _left(work, running=running)
    told = store_versions.words(str(wanted), then) if then else str(wanted)
    if opened := was_open(interrupted(work)) if running and over else {}:
        work.phases |= opened.pop("phases", {})
        if context.check_mode:
            return Outcome(True, opened | {"phases": {}})
        return _witnessed(work, opened, now, lambda: _finish(work, opened, told))
    if running and not params["overwrite"]:
        what = (
            f"{work.unit} is running on {socket.gethostname()}: its databases would be replaced. Nothing was touched. Say "
            "backup_restore_overwrite: true if that is meant"
        )
        raise SpecError([Problem("backup_restore_overwrite", what)])
    with work.phase("prepare"):
        found = _prepare(work, wanted, running=running and not unfinished)
        chosen = choose(found[0], found[1], params["set"])
        _room(work, chosen, unfinished=unfinished)
    data = {"backup": chosen.label, "repository": key, "target": told}
    if context.check_mode:
        return Outcome(True, data | {"phases": {}, "stopped_at": ""})
    with _no_backup_meanwhile():
        if over:  # not of this restore
            work.state_file.unlink(missing_ok=True)
        follow = timeline_to_follow(str(params["timeline"]).strip(), chosen, found[1])
        words = options(found[0], follow)
        return _witnessed(work, data, now, lambda: _restore(work, found[0], chosen, words, data, running=running))


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


def _left(work: Restore, *, running: bool) -> tuple[bool, bool]:
    """Say of the cluster whether it is one that opened, and whether an earlier restore of it was cut off before that.

    Raises HostError where something runs of which that cannot be told, SpecError for a standby.
    """
    if not running and served(work):
        raise HostError(f"a server that is not {work.unit} runs in {work.data}: stop it first. Nothing was touched")
    try:
        over = running and not recovery.state(work.place).in_recovery
    except ConnectionFailed as error:
        what = "recovery may still go on: wait for it, or stop the unit, then run this again. Nothing was touched"
        raise HostError(f"{work.unit} is active, but {error}: {what}") from error
    if not running and (work.data / "standby.signal").exists():
        raise SpecError(
            [Problem("restore", f"{work.data} is that of a standby: restore its primary, then make it anew")]
        )
    # pgBackRest writes pg_control last, and the server removes the signal when it opens: this cluster is one to keep
    finished = (work.data / "global/pg_control").exists() and not (work.data / "recovery.signal").exists()
    over = over or (not running and finished)
    return over, work.state_file.exists() and not over and not finished


def _prepare(work: Restore, wanted: Target, *, running: bool) -> tuple[Target, Reach]:
    """Have all WAL archived while the server can, and learn what the repository reaches. Raises SpecError, HostError."""
    timeline = str(work.params["timeline"]).strip()
    if timeline and not timeline.isdigit():
        raise SpecError([Problem("backup_restore_timeline", f"{timeline!r} is not the number of a timeline")])
    current, ours = archive_all(work, wanted) if running else ("", False)
    asked = Asked(work.params["set"], int(timeline or 0))
    told, found = reach(work.engine, work.data, ServerLog(work.version, work.cluster), wanted, asked)
    if work.context.check_mode and current:  # they would be archived by then
        found = replace(found, segments=tuple(sorted({*found.segments, *waiting(work), current})), last_arrived=None)
    kept = work.params["mode"] == "aside" and wanted.kind != "latest"
    ours = ours or (bool(current) and not kept and written_here(work, current, found))
    if ours and not timeline and current not in found.segments:
        raise HostError(
            f"the server says that {current} is archived, but repository {found.repository} does not have it, so what was written "
            "last would be lost: see archive_command, and the server's log for WAL that was dropped (backup_archive_queue_max), or "
            "choose another repository. Nothing was touched"
        )
    return told, found


def _room(work: Restore, chosen: Backup, *, unfinished: bool) -> None:
    if work.params["mode"] != "aside" or unfinished or not work.data.exists():
        return
    log = work.data / "pg_wal"
    if found := next((one for one in (work.data, log) if one.is_mount() or one.is_symlink()), None):
        what = f"{found} is a mount or a link, and cannot be moved aside: use backup_restore_mode: delta"
        raise SpecError([Problem("backup_restore_mode", what)])
    free = shutil.disk_usage(work.data.parent).free
    if free < chosen.size * 1.1:
        what = (
            f"{free // 2**20} MiB are free beside {work.data}, but {chosen.size * 11 // 10 // 2**20} MiB are needed to keep the "
            "running cluster: use backup_restore_mode: delta, which writes over it"
        )
        raise SpecError([Problem("backup_restore_mode", what)])


def _witnessed(work: Restore, data: Mapping[str, Any], now: datetime, act: Callable[[], dict[str, Any]]) -> Outcome:
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
        facts |= act()
        facts["timeline"] = recovery.state(work.place).timeline
    except PgsteadError as error:
        facts["refused"] = str(error)
        path = witness("failed")
        raise HostError(f"{error}. Evidence: {path}") from error
    path = witness("ok")
    phases = {name: round(value, 3) for name, value in work.phases.items()}
    told = facts | {"phases": phases, "repository": facts["repository"]}
    return Outcome(True, told | {"evidence": path, "summary": summary(told)})


def _restore(
    work: Restore, wanted: Target, chosen: Backup, words: list[str], data: Mapping[str, Any], *, running: bool
) -> dict[str, Any]:
    """Stop, move aside, restore, start, wait; return where recovery stopped, where the cluster as it was lies, and whether
    the new timeline is archived.

    On a failure before the server is open, the old directory comes back, and serves if it did before the first of these runs.
    """
    ran = running or bool(interrupted(work).get("running"))
    with paused(work.params["pause_seconds"]):
        with work.phase("stop"):
            service.control(work.context.run, "stop", work.unit)
            keep_unarchived(work, wanted, running=running)
        try:
            _move_aside(work, running=ran)
            with work.phase("fetch"):
                (work.data / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed: none runs
                links = (
                    ["--link-all"] if (work.data / "pg_wal").is_symlink() else []
                )  # else it would come onto this disk
                work.engine.restore(chosen.label, [*words, *links])
                _take_out(work, frozenset(work.params["drop_altered"]))
                _fits(work)
                if work.params["repository_time"]:
                    # before anything is archived: who pushes WAL meanwhile waits for minutes
                    work.live.create_anew(chosen.repository)
            log = ServerLog(work.version, work.cluster).here()
            keep_state(work, begun={**data, "phases": work.phases})  # from here on, the server may open by itself
            with work.phase("recover"):
                _recover(work, log)
        except (PgsteadError, OSError, ValueError) as error:
            raise HostError(f"{error}. {_take_back(work, running=ran)}") from error
        came = {"stopped_at": stopping_point(log.lines()), "aside": str(interrupted(work).get("aside", ""))}
        keep_state(work, open={**data, **came, "phases": work.phases})
        with work.phase("settle"):
            _forget(work)
    return {**came, "archived": _checked(work)}


def _finish(work: Restore, opened: Mapping[str, Any], told: str) -> dict[str, Any]:
    """Do what is left of a restore that was cut off after the server was open. Raises HostError where another was asked for."""
    with paused(work.params["pause_seconds"]), work.phase("settle"):
        _forget(work)
    if opened["target"] != told:
        what = f"an earlier restore, to {opened['target']}, had been cut off after the server was open, and is finished now"
        raise HostError(f"{what}. Run this again for {told}")
    return {"archived": _checked(work)}


def _recover(work: Restore, log: ServerLog) -> None:
    """Start the server, and wait until it is open; where it ends, its own log knows more than systemd. Raises HostError."""
    try:
        service.control(work.context.run, "start", work.unit)
    except HostError as error:
        said = why_it_ended(log.lines())
        raise (HostError(f"the server ended during recovery: {said}") if said else error) from error
    _until_open(work, log)


def _forget(work: Restore) -> None:
    """Take the settings of the recovery out again. Raises HostError."""
    try:
        names = recovery.left_behind(work.place)
        _take_out(work, frozenset(names))
        if any(
            name.startswith("recovery_target") for name in names
        ):  # a reload would leave the server complaining of them
            service.control(work.context.run, "restart", work.unit)
            _until_open(work, ServerLog(work.version, work.cluster).here())
        elif names:
            recovery.reload(work.place)
    except PgsteadError as error:
        raise HostError(f"the cluster is open at its target, but: {error}") from error
    work.state_file.unlink()


def _take_out(work: Restore, names: frozenset[str]) -> None:
    """Take settings out of postgresql.auto.conf: ALTER SYSTEM RESET can be forbidden, and needs a server."""
    path = work.data / "postgresql.auto.conf"
    before = look(path)
    if before.content and (kept := without(before.content, names)) != before.content:
        write(Wanted(path, kept, before.owner, before.group, before.mode))


def _checked(work: Restore) -> bool:
    """See the new timeline archived; say whether it is. Raises HostError."""
    try:
        if there := archives(work):
            work.live.check()
    except PgsteadError as error:
        raise HostError(f"the cluster is open at its target, but: {error}") from error
    return there


def _move_aside(work: Restore, *, running: bool) -> None:
    """Move the directory aside once; the state file says where to, before it happens."""
    before = interrupted(work)
    aside = before.get("aside", "")
    if not before:
        aside = f"{work.data}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}" if work.params["mode"] == "aside" else ""
        STATES.mkdir(parents=True, exist_ok=True)
        keep_state(work, aside=aside, running=running)
    if aside and work.data.exists() and not Path(aside).exists():
        work.data.rename(aside)
    elif aside and work.data.exists() and not (work.data / "PG_VERSION").exists():
        shutil.rmtree(work.data)  # a part that pgBackRest does not go on from
    if not work.data.exists():
        work.data.mkdir(mode=0o700)
        shutil.chown(work.data, "postgres", "postgres")


def _fits(work: Restore) -> None:
    """Refuse to start with settings that are too small: the server would say so only after some time, and end."""
    told = controldata(work)
    # what ALTER SYSTEM set comes with the data, and counts more
    files = (Path(f"/etc/postgresql/{work.version}/{work.cluster}/postgresql.conf"), work.data / "postgresql.auto.conf")
    faults = too_small(told, parse("\n".join(path.read_text() for path in files if path.exists())))
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
    aside = interrupted(work).get("aside", "")
    if not aside or not Path(aside).exists():
        return "The server is down, and its directory is partly restored: mend the reason, then run the restore again"
    try:
        service.control(work.context.run, "stop", work.unit)
        keep_state(work, begun={})  # what is there soon has nothing of this restore
        shutil.rmtree(work.data)
        Path(aside).rename(work.data)
        work.state_file.unlink()
        if not running:
            return "The cluster as it was before is back, and not running, as it was"
        service.control(work.context.run, "start", work.unit)
    except (HostError, OSError) as error:
        return f"The cluster as it was before ({aside}, or {work.data}) could not be brought back: {error}"
    return "The cluster as it was before is back and serving"
