# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a scheduled job came to, as every job of every host reports it (docs/evidence.md has the schema)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .columns import aligned
from .cron import latest
from .metrics import Metric

SCHEMA = 1
# What the shell is told. 75 is EX_TEMPFAIL: try again later. 2 is for a command or configuration that cannot be used.
EXIT_CODES: Mapping[str, int] = {"ok": 0, "failed": 1, "warning": 3, "skipped": 75}
EXIT_REFUSED = 2
_SEVERITY = ("ok", "skipped", "warning", "failed")
# How much later than its deadline a run is missed (a busy host, a queue of notifications), and how much earlier than
# its time it may seem to begin (a clock that is set).
GRACE, TOLERANCE = timedelta(minutes=5), timedelta(minutes=1)


@dataclass(frozen=True)
class Verdict:
    """What a job says of its run. Whatever is not ok has a reason; evidence is the path of a record, if one was kept.

    `metrics` are published beside those of every job, and stay until a later run has others.
    """

    status: str
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    evidence: str | None = None
    metrics: Sequence[Metric] = ()

    def __post_init__(self) -> None:
        if self.status not in EXIT_CODES:
            raise ValueError(f"{self.status!r} is not one of {', '.join(EXIT_CODES)}")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.status} needs a reason")

    def as_json(self) -> str:
        """Return the verdict as text that `verdict` reads."""
        return json.dumps(asdict(self), default=str)


def verdict(text: str) -> Verdict | None:
    """Read a verdict; None for a text that is not a whole one."""
    try:
        raw = json.loads(text)
        return Verdict(**{**raw, "metrics": tuple(Metric(**each) for each in raw["metrics"])})
    except (ValueError, TypeError, KeyError):
        return None


def worst(statuses: Sequence[str]) -> str:
    """Return the status that decides; of none, it is ok."""
    return max(statuses, key=_SEVERITY.index, default="ok")


def by_database(
    found: Mapping[str, Mapping[str, Any]], judge: Callable[[Mapping[str, Any]], tuple[str, str]]
) -> Verdict:
    """Return one verdict of what was done in several databases: all of them speak where all is well, else who is not.

    Each has a report's fields, or `error` where there is none. One with `blocked` sentences has failed; `judge` returns
    (status, words) of every other.
    """
    judged = {database: _failure(facts) or judge(facts) for database, facts in found.items()}
    status = worst([each for each, _words in judged.values()])
    told = [f"{database}: {words}" for database, (each, words) in judged.items() if status == "ok" or each != "ok"]
    return Verdict(status, "; ".join(told), {"databases": found})


def _failure(facts: Mapping[str, Any]) -> tuple[str, str] | None:
    reason = str(facts.get("error") or "") or ", ".join(facts["blocked"])
    return ("failed", reason) if reason else None


def result(job: str, found: Verdict, *, host: str, started: str, seconds: float, version: str) -> dict[str, Any]:
    """Return the job-result. `started` is UTC, ISO 8601. What is no text of any language is written so that it is one: the
    journal and mail would not take a name of a file that is no UTF-8.
    """
    return {
        "schema": SCHEMA,
        "job": job,
        "host": host,
        "started": started,
        "seconds": round(seconds, 3),
        "status": found.status,
        "reason": found.reason.encode(errors="backslashreplace").decode(),
        "facts": dict(found.facts),
        "evidence": found.evidence,
        "version": version,
    }


def sentence(entry: Mapping[str, Any]) -> str:
    """Return a job-result as one line for people and the journal."""
    told = f": {' '.join(str(entry['reason']).split())}" if entry["reason"] else ""
    return f"{entry['job']}: {entry['status']} after {entry['seconds']} s{told}"


def moment(text: str) -> datetime:
    """Read a time of a job-result. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} says nothing of its time zone")
    return found


def stamp(when: datetime) -> str:
    """Write a time as job-results have it."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def overdue(
    schedule: str, deadline_seconds: float, now: datetime, *, since: datetime, ended: datetime | None = None
) -> str:
    """Say that a job did not run when it was due, or return nothing.

    A run is missed once its deadline and GRACE are over and none has been at work at or after the due time: `ended` is
    the end of the last run that was not skipped. Before `since`, when the schedule was first there, nothing was due.
    `now` is in the host's zone (cron.latest). A time to come was noted by a clock that was ahead, and is worth nothing.
    """
    # in UTC: across a change of clocks, Python takes a difference of local times for one of the dial
    latest_known = now.astimezone(UTC) + TOLERANCE
    if ended is not None and ended > latest_known:
        ended = None
    if since > latest_known:
        since = ended or now
    before = now.astimezone(UTC) - timedelta(seconds=deadline_seconds) - GRACE
    due = latest(schedule, before.astimezone(now.tzinfo))
    if due < since or (ended is not None and ended + TOLERANCE >= due):
        return ""
    told = f"the last run ended at {stamp(ended)}" if ended else f"it has never run since {stamp(since)}"
    return f"was due at {due.isoformat(timespec='minutes')} and did not run: {told}"


def history(before: str, entry: Mapping[str, Any], most: int) -> str:
    """Return the lines of a history with one more, and no more than `most`."""
    lines = [*before.splitlines(), json.dumps(entry, sort_keys=True)]
    return "\n".join(lines[-most:]) + "\n"


def age(seconds: float) -> str:
    """Write how long ago something was, in the largest unit that leaves two or more of it."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


_FINE = (None, "ok")
HEADINGS = ("job", "schedule", "last", "age", "seconds", "reason")


def overview(listed: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table over what `pgstead list` knows, and one for each notification that nobody got."""
    unheard = [f"undelivered: {each}" for each in listed["undelivered"]]
    if not listed["jobs"]:
        return ["no job is scheduled on this host", *unheard]
    rows = [HEADINGS, *(_row(item) for item in listed["jobs"])]
    return [*aligned(rows), *unheard]


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    last = item["last"]
    missed = f"OVERDUE: {item['overdue']}" if item["overdue"] else ""
    if last is None:
        words = "; ".join(filter(None, (missed, item["unreadable"])))
        return (item["job"], item["schedule"], "never", "-", "-", words)
    words = "; ".join(filter(None, (missed, " ".join(str(last["reason"]).split()))))
    hidden = f" ({item['standing']} before)" if last["status"] == "skipped" and item["standing"] not in _FINE else ""
    status = f"{last['status']}{hidden}"
    return (item["job"], item["schedule"], status, age(item["age_seconds"]), str(last["seconds"]), words)


def skew(controller: str, host: str) -> str:
    """Say why collection and host command must not work together, or return nothing."""
    if controller == host:
        return ""
    return (
        f"the collection on the control node is {controller}, the command pgstead on the host {host}: run playbook "
        "pgstead.ops.agent from here, or use the collection that the host was set up with"
    )


def assess(listed: Mapping[str, Any], controller: str) -> dict[str, list[str]]:
    """Return what to say of a host's jobs, and what is wrong with them, from what its `pgstead list` reported."""
    different = skew(controller, str(listed.get("version")))
    if different:
        return {"lines": [], "problems": [different]}
    failed = [f"{item['job']}: {words}" for item in listed["jobs"] if (words := _failed(item))]
    missed = [f"{item['job']}: {item['overdue']}" for item in listed["jobs"] if item["overdue"]]
    unheard = [f"undelivered: {each}" for each in listed["undelivered"]]
    return {"lines": overview(listed), "problems": [*failed, *missed, *unheard]}


def _failed(item: Mapping[str, Any]) -> str:
    """Say why a job stands as failed, or return nothing; a skipped run mends nothing that failed before it."""
    last = item["last"]
    if item["unreadable"] or not last:
        return str(item["unreadable"])
    if last["status"] == "skipped" and item["standing"] == "failed":
        return f"it failed before its latest run, which was skipped: {last['reason']}"
    return str(last["reason"]) if last["status"] == "failed" else ""
