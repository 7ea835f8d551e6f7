# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the world outside hears of a run: metrics, and notices of trouble and of its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from .._core import notify
from .._core.agent_config import Config
from .._core.errors import SpecError
from .._core.job import Verdict
from .._core.memory import measured
from .._core.metrics import Metric, exposition, undelivered
from .._core.notify import Notice, State
from .._core.notify_spec import Policy
from .attempts import Attempts
from .journal import note
from .memory import NOTICES, place, recall, remember, save
from .senders import Refused, mail, post
from .state import receivers
from .supervise import within

DELIVERY_SECONDS = 30  # for one notice by one way, whatever its receiver does


def publish(
    config: Config, entry: Mapping[str, Any], metrics: tuple[Metric, ...], now: datetime, attempts: Attempts
) -> None:
    """Remember a result, tell whom it concerns, and write its metrics; `attempts` hears of what cannot be written."""
    directory = Path(config.metrics_directory)
    with attempts.step():
        known = remember(config, entry, metrics, attempts)
        place(directory / f"pgstead_{entry['job']}.prom", exposition(str(entry["job"]), measured(known, entry)))
    with attempts.step():
        waiting = tell(config, entry, now, attempts).undelivered
        place(directory / "pgstead_notifications.prom", undelivered(len(waiting)))


def tell(config: Config, entry: Mapping[str, Any], now: datetime, attempts: Attempts) -> State:
    """Send what a result is worth, and what waits from earlier runs; return what still waits. A state that cannot be locked,
    read or written keeps nobody from being told.
    """
    if config.notifications is None:
        return State()
    path = Path(config.state_directory) / NOTICES
    # one after another: two runs that end together must not both send what waits
    with attempts.locked(path.with_suffix(".lock")):
        known, unreadable = recall(path, notify.state, State())
        if unreadable:
            note("failed", unreadable)
        try:
            policy = receivers(Path(config.notifications))
        except SpecError as error:
            note("failed", f"nobody can be told of jobs: {error}")
            after = replace(known, error=str(error))
        else:
            after = _noticed(config, known, entry, now, policy)
            with attempts.step():
                save(path, after.as_data())  # whatever becomes of this process, it is not forgotten
            after = _deliver(after, policy, now)
        with attempts.step():
            save(path, after.as_data())
    return after


def _noticed(config: Config, known: State, entry: Mapping[str, Any], now: datetime, policy: Policy) -> State:
    bound = notify.only(known, policy.ways)
    after = notify.noticed(
        bound,
        entry,
        now=now,
        least_status=policy.least_status,
        reminder=policy.reminder,
        ways=policy.ways,
        jobs=config.jobs,
    )
    for notice in bound.waiting:
        if notice not in after.waiting:
            note("failed", f"given up, too many wait: {notice}")
    return after


def _deliver(known: State, policy: Policy, now: datetime) -> State:
    """Try everything that waits, the oldest first. A way that fails is left until the next run; one notice that is refused
    keeps no other from its turn, and is given up in the end.
    """
    for way in policy.ways:
        for notice in known.waiting:
            if way not in notice.left:
                continue
            found = within(DELIVERY_SECONDS, partial(_send, policy, way, notice))
            if found.status == "warning":
                note("warning", f"told by {way}: {notify.title(notice)}: {found.reason}")
            elif found.status != "ok":
                note("failed", f"not told by {way}: {notify.title(notice)}: {found.reason}")
            refused = bool(found.facts.get("refused"))
            given_up = refused and notify.hopeless(notice, now)
            if given_up:
                note("failed", f"given up, refused by {way} for too long: {notify.title(notice)}")
            stays = found.status == "failed" and not given_up
            known = notify.without(known, notice, way, found.reason if stays else "")
            if stays and not refused:
                break
    return known


def _send(policy: Policy, way: str, notice: Notice) -> Verdict:
    """Send a notice; a warning is one that not all have got, `refused` of a failure that the way itself is sound."""
    left_out = ""
    try:
        if way == "email" and policy.email is not None:
            left_out = mail(policy.email, notice)
        elif way == "webhook" and policy.webhook is not None:
            post(policy.webhook, notice)
    except Refused as error:
        return Verdict("failed", str(error), {"refused": True})
    return Verdict("warning", left_out) if left_out else Verdict("ok")
