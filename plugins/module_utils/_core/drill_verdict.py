# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the facts of a recovery drill come to: ok only where everything was proven and both objectives were met.

What could not run or could not be measured proves nothing: the drill has failed, as where a check failed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .columns import aligned
from .drill_facts import Drill, Past, Step, drill, history, moment
from .drill_trend import Point, line, reaches
from .recovery_probe import FAILED, PASSED, Check, bad
from .units import human_duration

HEADINGS = ("cluster", "status", "profile", "when", "recovered in", "data lost", "checks", "reason")
MOST_REASON = 100  # characters of it in a table


@dataclass(frozen=True)
class Judged:
    """The verdict: sentences on what is wrong, and how many checks came out how (those of preflight among them)."""

    status: str
    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    passed: int
    failed: int
    could_not_run: int


def judge(facts: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], started: str) -> Judged:
    """Judge a drill that began at `started` (UTC, ISO 8601), with the short forms of earlier ones of the same cluster."""
    return judged(drill(facts), history(earlier, started), started)


def judged(told: Drill, earlier: Sequence[Past], started: str) -> Judged:
    """Judge a drill; `earlier` begins with the oldest."""
    faults, warnings = tuple(_faults(told)), tuple(_warnings(told, earlier, started))
    statuses = [check.status for check in told.checks]
    passed, failed = statuses.count(PASSED), statuses.count(FAILED)
    status = "failed" if faults else "warning" if warnings else "ok"
    return Judged(status, faults, warnings, passed, failed, len(statuses) - passed - failed)


def _faults(told: Drill) -> Iterator[str]:
    yield from _of("preflight", told.preflight)
    if not told.steps:
        yield "nothing was restored"
    for step in told.steps:
        yield from _step(step)
    yield from _missed("the recovery time", told.recovery_time_seconds, told.recovery_time_objective)
    yield from _missed("the recovery point", told.recovery_point_seconds, told.recovery_point_objective)


def well(step: Step) -> bool:
    """Say whether a restore went well: to its end, and proven."""
    return not any(_step(step))


def _step(step: Step) -> Iterator[str]:
    if step.error:
        yield f"{step.name}: {step.error}"
    elif step.whole_cluster and not step.checks:
        yield f"{step.name}: nothing was checked of what was restored"
    yield from _of(step.name, step.checks)


def _of(where: str, checks: Sequence[Check]) -> Iterator[str]:
    for each in bad(checks):
        what = f"{each.check} of {each.database}" if each.database else each.check
        yield f"{where}: {what} {'failed' if each.status == FAILED else 'could not run'}: {each.words}"


def _missed(what: str, measured: float | None, objective: float) -> Iterator[str]:
    if measured is None:
        yield f"{what} could not be measured: nothing says that the objective of {human_duration(objective)} is met"
    elif measured > objective:
        over = human_duration(measured - objective)
        yield f"{what} is {human_duration(measured)}, {over} over the objective of {human_duration(objective)}"


def _warnings(told: Drill, earlier: Sequence[Past], started: str) -> Iterator[str]:
    worst, objective = told.recovery_point_worst_seconds, told.recovery_point_objective
    if worst is not None and worst > objective:
        yield (
            f"at the worst moment of the window {human_duration(worst)} of data would have been lost: the objective is "
            f"{human_duration(objective)}"
        )
    for what, now, limit, past in (
        ("the recovery time", told.recovery_time_seconds, told.recovery_time_objective, recovery_time),
        ("the recovery point", told.recovery_point_seconds, objective, recovery_point),
    ):
        yield from _heading(what, [*points(earlier, past), *_now(started, now)], limit, now, started)


def recovery_time(past: Past) -> float | None:
    return past.recovery_time_seconds


def recovery_point(past: Past) -> float | None:
    return past.recovery_point_seconds


def points(earlier: Iterable[Past], figure: Callable[[Past], float | None]) -> list[Point]:
    """Return when a figure was measured and how many seconds it was."""
    return [(each.at, seconds) for each in earlier if (seconds := figure(each)) is not None]


def _now(started: str, seconds: float | None) -> list[Point]:
    return [] if seconds is None else [(moment(started), seconds)]


def _heading(what: str, measured: Sequence[Point], objective: float, now: float | None, started: str) -> Iterator[str]:
    if now is not None and now > objective:
        return  # that is a fault already
    found = line(measured)
    when = reaches(found, objective, moment(started)) if found else None
    if found and when:
        yield (
            f"{what} grows by {human_duration(found.per_day * 7)} a week over the last {found.drills} drills: so it comes "
            f"to the objective of {human_duration(objective)} by {when:%Y-%m-%d}"
        )


def summary(facts: Mapping[str, Any], found: Judged) -> str:
    """Return what came of a drill in one line; of a failed one, what failed first."""
    told = drill(facts)
    if found.faults:
        return f"{told.cluster}: recovery NOT proven: {_first(found.faults)}"
    figures = (
        f"{told.cluster}: recovered in {spoken(told.recovery_time_seconds)} (objective {human_duration(told.recovery_time_objective)}), "
        f"at most {lost(told.recovery_point_seconds)} of data lost (objective {human_duration(told.recovery_point_objective)}), "
        f"{found.passed} checks passed"
    )
    return figures + "".join(f"; {each}" for each in found.warnings)


def _first(reasons: Sequence[str], most: int | None = None) -> str:
    """Return the first reason in one line, at most so many characters of it, and how many there are besides."""
    if not reasons:
        return ""
    words, more = " ".join(reasons[0].split()), len(reasons) - 1
    cut = words if most is None or len(words) <= most else words[: most - 1] + "…"
    return cut + (f" (and {more} more)" if more else "")


def spoken(seconds: float | None) -> str:
    """Write a figure that may not have been measured."""
    return "not measured" if seconds is None else human_duration(seconds)


def lost(seconds: float | None) -> str:
    """Write a recovery point, rounded up: what is called "at most" must not be less than what was measured."""
    return spoken(None if seconds is None else math.ceil(seconds))


def table(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the records of several clusters' drills as a table for a terminal."""
    rows = [HEADINGS, *(_row(entry) for entry in sorted(records, key=lambda entry: str(entry["facts"]["cluster"])))]
    return "\n".join(aligned(rows))


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    told = drill(entry["facts"])
    found = judged(told, history(entry["facts"].get("history", ()), entry["started"]), entry["started"])
    return (
        told.cluster,
        entry["status"],
        told.profile,
        entry["started"],
        f"{spoken(told.recovery_time_seconds)} of {human_duration(told.recovery_time_objective)}",
        f"{lost(told.recovery_point_seconds)} of {human_duration(told.recovery_point_objective)}",
        f"{found.passed} of {len(told.checks)}",
        _first([*found.faults, *found.warnings], MOST_REASON),
    )
