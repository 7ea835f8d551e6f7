# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When somebody is told of a job, and in which words. Who, and by which way: notify_spec.py."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from .job import moment, stamp

MOST_WAITING = 100
REFUSED_FOR = timedelta(days=1)  # how long a receiver is asked again to take one notice that it refuses
_KINDS = {"failed": "", "reminder": " still", "recovered": ""}


@dataclass(frozen=True)
class Trouble:
    """A job that is not well: since when, and when somebody was told last."""

    since: str
    told: str


@dataclass(frozen=True)
class Notice:
    """What is to be said of a job. `left` are the ways by which it has not been taken yet, `errors` say why."""

    kind: str  # failed, reminder or recovered
    job: str
    host: str
    status: str
    reason: str
    since: str
    at: str
    result: Mapping[str, Any]
    left: tuple[str, ...]
    errors: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"{self.kind!r} is not one of {', '.join(_KINDS)}")

    def __str__(self) -> str:
        ways = "; ".join(f"{way}: {self.errors.get(way, 'not tried yet')}" for way in self.left)
        return f"{self.job} {self.status} of {self.at}, by {ways}"


@dataclass(frozen=True)
class State:
    """Jobs that are not well, and notices that wait; `error` says why nothing could be noticed at all."""

    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    waiting: tuple[Notice, ...] = ()
    error: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return plain data that `state` reads."""
        return asdict(self)

    @property
    def undelivered(self) -> tuple[str, ...]:
        """What nobody has been told, in words."""
        return (*((self.error,) if self.error else ()), *(str(notice) for notice in self.waiting))


@dataclass(frozen=True)
class _Subject:
    """What a run says of one job."""

    key: str
    job: str
    bad: bool
    status: str
    reason: str


def state(raw: Mapping[str, Any]) -> State:
    """Read what `as_data` wrote. Raises ValueError, TypeError or KeyError for anything else."""
    troubles = {str(key): Trouble(**each) for key, each in raw["troubles"].items()}
    for each in troubles.values():
        moment(each.since), moment(each.told)
    waiting = tuple(Notice(**{**each, "left": tuple(each["left"])}) for each in raw["waiting"])
    for notice in waiting:
        moment(notice.at)
    return State(troubles, waiting, str(raw["error"]))


def step(before: Trouble | None, bad: bool, now: datetime, reminder: timedelta) -> tuple[Trouble | None, str]:
    """Return how a job stands now, and the kind of notice that it is worth, if any."""
    if not bad:
        return None, "recovered" if before else ""
    if before is None:
        return Trouble(stamp(now), stamp(now)), "failed"
    # what a clock that was ahead noted must not silence reminders until then
    if now - moment(before.told) >= reminder or moment(before.told) > now:
        return Trouble(min(before.since, stamp(now)), stamp(now)), "reminder"
    return before, ""


def noticed(
    known: State,
    entry: Mapping[str, Any],
    *,
    now: datetime,
    least_status: str,
    reminder: timedelta,
    ways: Sequence[str],
    jobs: Collection[str],
) -> State:
    """Return the state after a job's result. `least_status` is what counts as trouble; `jobs` are those that the
    host has: of others nothing more is to be said.
    """
    troubles, waiting = dict(known.troubles), list(known.waiting)
    for subject in _subjects(entry, least_status):
        before = troubles.pop(subject.key, None)
        trouble, kind = step(before, subject.bad, now, reminder)
        if trouble is not None:
            troubles[subject.key] = trouble
        if kind:
            since = (trouble or before or Trouble(stamp(now), stamp(now))).since
            told = (subject.job, entry["host"], subject.status, subject.reason, since, stamp(now), entry)
            waiting.append(Notice(kind, *told, tuple(ways)))
    kept = {key: trouble for key, trouble in troubles.items() if key.partition(" ")[0] in jobs}
    return State(kept, tuple(waiting[-MOST_WAITING:]))


def _subjects(entry: Mapping[str, Any], least_status: str) -> Iterable[_Subject]:
    """Yield what a result says of jobs: of its own, and where it has looked at others, of each of them."""
    job, status = str(entry["job"]), str(entry["status"])
    if status == "skipped":
        return
    looked = entry["facts"].get("overdue")
    if isinstance(looked, Mapping):
        # whoever is told of each overdue job need not be told that the look at them failed
        yield _Subject(job, job, False, "ok", "")
        for each, words in looked.items():
            yield _Subject(f"{each} overdue", each, bool(words), *_of_overdue(str(words)))
        return
    bad = status == "failed" or (status == "warning" and least_status == "warning")
    yield _Subject(job, job, bad, status, str(entry["reason"]))


def _of_overdue(words: str) -> tuple[str, str]:
    return ("overdue", words) if words else ("ok", "it is no longer overdue")


def without(known: State, notice: Notice, way: str, error: str = "") -> State:
    """Return the state after an attempt by one way: taken, or not for the reason in `error`."""
    left = notice.left if error else tuple(each for each in notice.left if each != way)
    after = replace(notice, left=left, errors={**notice.errors, way: error} if error else notice.errors)
    waiting = (after if each == notice else each for each in known.waiting)
    return replace(known, waiting=tuple(each for each in waiting if each.left))


def hopeless(notice: Notice, now: datetime) -> bool:
    """Say whether a notice that is refused has been so for long enough; by a clock that was ahead, it is as well."""
    return abs(now - moment(notice.at)) >= REFUSED_FOR


def only(known: State, ways: Sequence[str]) -> State:
    """Return the state without what waits for a way that there is no longer."""
    bound = (replace(each, left=tuple(way for way in each.left if way in ways)) for each in known.waiting)
    return replace(known, waiting=tuple(each for each in bound if each.left))


def title(notice: Notice) -> str:
    """Return one line that says it."""
    what = "recovered" if notice.kind == "recovered" else f"{notice.status}{_KINDS[notice.kind]}"
    return f"[pgstead] {notice.host}: {notice.job} {what}"


def text(notice: Notice) -> str:
    """Return what a person needs at night, in a few lines."""
    began = "Was in trouble since" if notice.kind == "recovered" else "Since"
    lines = [
        ("Host", notice.host),
        ("Job", notice.job),
        ("Status", notice.status),
        ("Reason", " ".join(notice.reason.split())),
        (began, notice.since),
        ("Seen", notice.at),
        ("Look further", f"on {notice.host}: pgstead list; journalctl -t pgstead"),
    ]
    return "\n".join(f"{name}: {words}" for name, words in lines if words) + "\n"


def body(notice: Notice) -> dict[str, Any]:
    """Return what a webhook gets: a text for chat systems, and everything else for programs."""
    told = {key: getattr(notice, key) for key in ("kind", "job", "host", "status", "reason", "since", "at", "result")}
    return {"text": f"{title(notice)}\n{text(notice)}", **told}
