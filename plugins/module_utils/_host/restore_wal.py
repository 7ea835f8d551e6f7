# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WAL that a restore would lose: it is archived before, and what is in no repository is not written over."""

from __future__ import annotations

from .._core.backup_config import archive_command
from .._core.errors import HostError, Problem, SpecError
from .._core.restore import Reach, Target
from .._core.wal import segment
from .._pg import archiving, recovery
from . import service
from .restore_work import Restore, controldata, interrupted

ARCHIVE_SECONDS = 120


def archive_all(work: Restore, wanted: Target) -> tuple[str, bool]:
    """Have what is not in a repository archived, in check mode not; return the segment that was being written, and whether the
    server says that it has archived it where we look.
    """
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
        return "", False  # what is archived now, the repository had not then
    if work.context.check_mode:
        return str(state.current_segment), False
    last = recovery.switch(work.place)
    if recovery.archived(work.place, last, ARCHIVE_SECONDS):
        return last, archives(work)
    if work.params["mode"] != "aside" or wanted.kind == "latest":
        raise HostError(
            f"{last} was not archived within {ARCHIVE_SECONDS} s, and would be lost: mend archiving (pgstead run "
            f"check_archiving says what is wrong). Or stop {work.unit} first, and use backup_restore_mode: aside, which "
            "keeps what is not archived in the directory that is moved aside. Nothing was touched"
        )
    # it stays in the directory that is moved aside, and a target in it is refused
    return last, False


def keep_unarchived(work: Restore, wanted: Target, *, running: bool) -> None:
    """Refuse to write over WAL that is in no repository, or to leave it out of the latest. Raises HostError."""
    delta = work.params["mode"] == "delta"
    asked = work.params["repository_time"] or (work.params["lose_wal"] and not running)
    if interrupted(work) or asked or not (delta or wanted.kind == "latest"):
        return
    if names := waiting(work):
        what = f"{len(names)} segments of WAL, from {names[0]} on, are in no repository, and would be lost"
    elif not running and not _ended_in_order(work):
        what = "the server was not shut down, so what it wrote last is in no repository, and would be lost"
    else:
        return
    if running:
        service.control(work.context.run, "start", work.unit)
        raise HostError(
            f"{what}: mend archiving (pgstead run check_archiving says what is wrong). The server runs again"
        )
    raise HostError(
        f"{what}: start it so that it archives, or use backup_restore_mode: aside for an earlier target, which keeps them. Or, "
        "knowing that, say backup_restore_lose_wal: true. Nothing was touched"
    )


def waiting(work: Restore) -> list[str]:
    """Return the segments that the server has not archived yet, as its files say."""
    return sorted(path.stem for path in (work.data / "pg_wal/archive_status").glob("*.ready") if len(path.stem) == 24)


def written_here(work: Restore, current: str, found: Reach) -> bool:
    """Say whether the server is the one of the repository, also where its archive_command is another now: not a new host's, and not
    one that was restored and left alone.
    """
    timelines = {segment(name, found.segment_bytes).timeline for name in found.segments}
    return (
        segment(current, found.segment_bytes).timeline in timelines
        and recovery.state(work.place).system_id == found.system_id
    )


def _ended_in_order(work: Restore) -> bool:
    """Say whether the directory is that of a server that was shut down, or of none."""
    return not (work.data / "global/pg_control").exists() or " shut down" in controldata(work)


def archives(work: Restore) -> bool:
    """Say whether the running server archives into our repositories: not on a new host, which has no stanza yet."""
    return archiving.read(work.place).command == archive_command(work.live.stanza)
