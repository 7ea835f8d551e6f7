# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recovery targets: what can be asked for, whether the repositories can give it, and from which backup."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from .backup import Backup
from .backup_errors import explain
from .errors import Problem, SpecError
from .hidden import without_values
from .timelines import Left
from .wal import DEFAULT_SEGMENT_BYTES, SEGMENT_SIZES, absent, gaps, lsn, segment

KINDS = ("latest", "time", "name", "lsn")
# What a standby or a recovery needs at least as high as the server that wrote the WAL: pg_controldata's words for it.
LIMITS: Mapping[str, str] = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
FETCH_TRIES, FETCH_PAUSE_SECONDS = 3, 5
UNREADABLE = 200  # neither a signal's number nor what a shell says of a command that it does not find
# the first one tells more; the second is there even where recovery went to the end
_STOPPED = (re.compile(r"recovery stopping .*"), re.compile(r"redo done at [0-9A-F]+/[0-9A-F]+"))


@dataclass(frozen=True)
class Target:
    """Where recovery ends. `value` is the text for PostgreSQL; `moment` and `lsn` are what it means, as far as known."""

    kind: str
    value: str = ""
    moment: datetime | None = None
    lsn: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.value}".strip()


@dataclass(frozen=True)
class Reach:
    """What one repository can bring back. `ends` are the LSNs at which former timelines were left for the current one."""

    repository: int
    backups: tuple[Backup, ...]
    segments: tuple[str, ...] = ()  # all that are archived up to the timeline that recovery follows
    last_arrived: datetime | None = None  # when the last of them was archived
    timeline: int = 1
    ends: Mapping[int, int] | None = None
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    system_id: int | None = None  # of the cluster that is archived there
    left: tuple[Left, ...] = ()  # what former timelines wrote after they were left, where nobody chose a timeline

    @property
    def last_segment(self) -> str:
        return max(self.segments, default="")


def target(kind: str, value: str, now: datetime) -> Target:
    """Read a target as a person gives it. Raises SpecError."""
    where, value = "backup_restore_target", value.strip()
    if kind not in KINDS:
        raise SpecError([Problem("backup_restore_type", f"{kind!r} is not one of {', '.join(KINDS)}")])
    if (kind == "latest") == bool(value):
        what = "latest has no target: leave it empty" if value else f"a {kind} is needed: give one"
        raise SpecError([Problem(where, what)])
    if kind == "time":
        moment = time_of(value, now, where)
        return Target("time", f"{moment:%Y-%m-%d %H:%M:%S.%f}+00", moment)
    if kind == "lsn":
        try:
            return Target(kind, value.upper(), lsn=lsn(value))
        except ValueError as error:
            raise SpecError([Problem(where, str(error))]) from None
    if kind == "name" and (len(value.encode()) > 63 or not value.isprintable()):
        raise SpecError([Problem(where, f"{value!r} is not the name of a restore point: at most 63 bytes")])
    if kind == "name" and set(value) & {"'", "\\"}:  # it would end up in the server's settings as it is
        raise SpecError(
            [Problem(where, f"pgBackRest cannot tell the server of {value!r}: give the LSN of that restore point")]
        )
    return Target(kind, value)


def time_of(value: str, now: datetime, where: str) -> datetime:
    """Read a time with its zone that is not in the future, as UTC. Raises SpecError."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        what = f"{value!r} is not a time as 2026-01-31 12:34:56.123456+00 (clock_timestamp() of the server says such)"
        raise SpecError([Problem(where, what)]) from None
    if moment.tzinfo is None:
        raise SpecError([Problem(where, f"{value!r} has no zone: add +00 for UTC")])
    moment = moment.astimezone(UTC)
    if moment > now:
        raise SpecError([Problem(where, f"{value} is in the future: it is {now:%Y-%m-%d %H:%M:%S}+00")])
    return moment


def segment_bytes(backups: Sequence[Backup]) -> int:
    """Return how large the segments are in which these backups begin: name and LSN of one agree in one size only, unless it
    lies at the very begin of a log; then the usual size.
    """
    begun = [(one.wal[0], lsn(one.lsn[0])) for one in backups if one.lsn[0]]
    sizes = [size for size in SEGMENT_SIZES if all(int(name[16:], 16) == at % 2**32 // size for name, at in begun)]
    return sizes[0] if len(sizes) == 1 else DEFAULT_SEGMENT_BYTES


def choose(wanted: Target, reach: Reach, label: str = "") -> Backup:
    """Return the backup to restore: the newest good one before the target, or the one that is asked for.

    Raises SpecError where the target lies before the oldest backup or beyond the last archived WAL.
    """
    usable = [one for one in reach.backups if one.good and _on_the_way(one, reach)]
    if label:
        found = [one for one in reach.backups if one.label == label]
        if not found:
            there = ", ".join(one.label for one in reach.backups) or "none"
            raise SpecError(
                [
                    Problem(
                        "backup_restore_set",
                        f"there is no backup {label} in repository {reach.repository}; there are {there}",
                    )
                ]
            )
        usable = found
    usable = [one for one in usable if segment(one.wal[0], reach.segment_bytes).timeline <= reach.timeline]
    if not usable:
        raise SpecError(
            [Problem("backup_restore_repository", f"repository {reach.repository} has no good backup to begin with")]
        )
    _within(wanted, reach)
    before = [one for one in usable if _is_before(one, wanted)]
    if not before:
        oldest = min(usable, key=lambda one: one.stopped)
        raise SpecError(
            [
                Problem(
                    "backup_restore_target",
                    f"{wanted} lies before the end of the oldest backup that could lead there, {oldest.label}, which ended at "
                    f"{oldest.stopped:%Y-%m-%d %H:%M:%S}+00, LSN {oldest.lsn[1]}",
                )
            ]
        )
    chosen = max(before, key=lambda one: one.stopped)
    _whole(wanted, chosen, reach)
    return chosen


def _whole(wanted: Target, chosen: Backup, reach: Reach) -> None:
    """Refuse a way with a gap: recovery would end at it, and open the server as if that had been asked for."""
    size = reach.segment_bytes
    since = segment(chosen.wal[0], size).number
    missing = [(name, name) for name in absent(chosen.wal, reach.segments, size)]
    missing += gaps([chosen.wal[0], *(name for name in reach.segments if segment(name, size).number >= since)], size)
    end = wanted.lsn if wanted.lsn is not None else _beyond(wanted, reach)
    if end is not None:  # what is missing beyond it is not needed
        missing = [(first, last) for first, last in missing if segment(first, size).number * size <= end]
    if not missing:
        return
    first, last = missing[0]
    what = (
        f"WAL {first if first == last else f'{first} to {last}'} is missing in repository {reach.repository}: from backup "
        f"{chosen.label}, recovery would end before it. Choose another repository, an earlier lsn, or another backup_restore_set"
    )
    raise SpecError([Problem("backup_restore_repository", what)])


def _beyond(wanted: Target, reach: Reach) -> int | None:
    """Return an LSN that the log reached after a moment: the begin of the oldest backup since."""
    if wanted.moment is None:
        return None
    since = [
        lsn(one.lsn[0])
        for one in reach.backups
        if one.lsn[0] and one.started > wanted.moment + timedelta(seconds=1) and _on_the_way(one, reach)
    ]
    return min(since, default=None)


def _within(wanted: Target, reach: Reach) -> None:
    """Refuse what lies beyond the WAL: the server would only find out at the end of a long recovery."""
    if not reach.last_segment:
        raise SpecError([Problem("backup_restore_repository", f"repository {reach.repository} has no archived WAL")])
    if wanted.lsn is not None:
        size = reach.segment_bytes
        end = (segment(reach.last_segment, size).number + 1) * size
        if wanted.lsn >= end:
            what = (
                f"{wanted} lies beyond the WAL of repository {reach.repository}, which ends with {reach.last_segment}"
            )
            raise SpecError([Problem("backup_restore_target", what)])
    # arrivals are known to the second: what is newer by less than that may have arrived
    if wanted.moment and reach.last_arrived and wanted.moment >= reach.last_arrived + timedelta(seconds=1):
        what = (
            f"{wanted} lies beyond the WAL of repository {reach.repository}: its last segment, {reach.last_segment}, was "
            f"archived at {reach.last_arrived:%Y-%m-%d %H:%M:%S}+00"
        )
        raise SpecError([Problem("backup_restore_target", what)])
    for one in reach.left:
        if wanted.moment and one.since <= wanted.moment < one.until:
            what = (
                f"{wanted} is a time of timeline {one.timeline} after {one.since:%Y-%m-%d %H:%M:%S}+00, at which an earlier restore "
                f"left it: recovery that follows timeline {reach.timeline}, the newest, would end as it was then. Say "
                f"backup_restore_timeline: {one.timeline} to go back onto what was left, or {reach.timeline} if not"
            )
            raise SpecError([Problem("backup_restore_target", what)])


def _is_before(one: Backup, wanted: Target) -> bool:
    """Say whether recovery from a backup passes the target; ends of backups are known to the second."""
    if wanted.moment is not None:
        return one.stopped + timedelta(seconds=1) <= wanted.moment
    if wanted.lsn is not None:
        return not one.lsn[1] or lsn(one.lsn[1]) <= wanted.lsn
    return True


def _on_the_way(one: Backup, reach: Reach) -> bool:
    """Say whether a backup lies on the current timeline or its past; where no history is known, recovery itself will."""
    timeline = segment(one.wal[0], reach.segment_bytes).timeline
    if reach.ends is None or timeline == reach.timeline:
        return True
    end = reach.ends.get(timeline)
    return end is not None and bool(one.lsn[1]) and lsn(one.lsn[1]) <= end


def options(wanted: Target, timeline: str = "") -> list[str]:
    """Return pgBackRest's words for a target: recovery ends there, and the server is opened."""
    words = [f"--target-timeline={timeline}"] if timeline else []
    if wanted.kind == "latest":
        return words
    return [*words, f"--type={wanted.kind}", f"--target={wanted.value}", "--target-action=promote"]


def timeline_to_follow(asked: str, chosen: Backup, reach: Reach) -> str:
    """Return the timeline to say, empty to leave it to the server: it would follow the backup's own in silence where the history
    of the newest is in no repository, and fails where it was told one.
    """
    own = segment(chosen.wal[0], reach.segment_bytes).timeline
    return asked or (str(reach.timeline) if own != reach.timeline else "")


def too_small(controldata: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return in sentences which settings are lower than those of the server that wrote the WAL: it would not start."""
    there = dict(re.findall(r"^(max_\w+ setting):\s+(\d+)$", controldata, re.MULTILINE))
    usual = {"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "max_locks_per_transaction": 64}
    faults = []
    for words, name in LIMITS.items():
        has, needed = int(settings.get(name, usual.get(name, 0))), int(there.get(words, 0))
        if has < needed:
            faults.append(f"{name} is {has} here, but the server that was backed up had {needed}")
    return tuple(faults)


def restore_points(lines: Sequence[str], name: str) -> tuple[int, ...]:
    """Return the LSNs of the restore points of a name from lines of the server's log, in order of the lines."""
    quoted = re.escape(name.replace("\\", "\\\\").replace('"', '\\"'))
    pattern = re.compile(rf'restore point \\?"{quoted}\\?" created at ([0-9A-F]+/[0-9A-F]+)')
    return tuple(lsn(match[1]) for line in lines if (match := pattern.search(line)))


def restore_command(fetch: str, last: str = "") -> str:
    """Return a restore_command that tells the end of the WAL, exit code 1, from an archive that cannot be read: PostgreSQL takes
    every code up to 125 for the end, and would open the server without what follows. `fetch` is tried some times before.

    With `last`, it gives nothing newer than that segment: names sort as they were written, a timeline's history before its
    segments.
    """
    ends = f'test ! %f ">" {last} || exit 1; ' if last else ""
    tries = " ".join(str(number + 1) for number in range(FETCH_TRIES))
    once = f"{fetch}; code=$?; test $code -le 1 && exit $code"
    # what fails in the shell itself, as a fork, ends it with code 2
    guard = f"end() {{ test $? -le 1 || exit {UNREADABLE}; }}; trap end 0; "
    return f"{guard}{ends}for try in {tries}; do {once}; sleep {FETCH_PAUSE_SECONDS}; done; exit {UNREADABLE}"


def stopping_point(lines: Sequence[str]) -> str:
    """Return the server's own words on where recovery stopped, from lines of its log."""
    for pattern in _STOPPED:
        found = [match[0] for line in lines if (match := pattern.search(_message(line)))]
        if found:
            return found[-1].strip()
    return ""


def why_it_ended(lines: Sequence[str]) -> str:
    """Return the FATAL lines of a server that did not come up, with what they mean."""
    # not what a server says to those who connect meanwhile, as often as they do
    wanted = ("FATAL", "insufficient parameter settings")
    fatal = [line for line in lines if any(word in line for word in wanted) and "the database system is" not in line]
    said = " ".join(" | ".join(without_values(_message(line)) for line in fatal[-2:]).split())
    if f"child process exited with exit code {UNREADABLE}" in said:
        return f"the archive could not be read, {FETCH_TRIES} times: {explain(UNREADABLE, _of_the_archive(lines))} ({said})"
    if re.search(r"recovery target timeline \d+ does not exist", said):
        what = "the history of that timeline is in no repository: give a backup of that timeline, or an older backup_restore_timeline"
        return f"{what}: {said}"
    if "before configured recovery target was reached" in said:
        return f"the target lies beyond the WAL: {said}"
    if "insufficient parameter settings" in said or "hot standby is not possible" in said:
        return f"this server has smaller settings than the one that was backed up: {said}"
    if "is not a child of this server's history" in said:
        return (
            f"the backup lies on a timeline that was left before it was made: choose another backup_restore_set: {said}"
        )
    return said


def _of_the_archive(lines: Sequence[str]) -> str:
    """Return what pgBackRest said last on the server's stderr: its error, the reasons on the lines after it, and its warnings,
    which have the reasons of single repositories.
    """
    errors = [number for number, line in enumerate(lines) if "ERROR: [" in line]
    if not errors:
        return ""
    more = takewhile(lambda line: line.startswith(" "), lines[errors[-1] + 1 :])
    before = takewhile(lambda line: "WARN: repo" in line, reversed(lines[: errors[-1]]))
    return "\n".join([lines[errors[-1]], *more, *before])


def _message(line: str) -> str:
    match = re.search(r'"message":"((?:[^"\\]|\\.)*)"', line)
    return match[1].replace('\\"', '"') if match else line.strip()


def summary(found: Mapping[str, Any]) -> str:
    """Return what a restore came to in one line."""
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["phases"].items())
    return f"{found['target']} from {found['backup']} of {found['repository']}: {found['stopped_at'] or 'end of the WAL'} ({phases})"
