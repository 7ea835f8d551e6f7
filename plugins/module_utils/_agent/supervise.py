# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job in a process of its own, which the kernel ends at the deadline.

An alarm that is handled in Python would come too late: libpq waits for the server through every signal. An alarm that
nobody handles ends the process wherever it is, even when its supervisor is gone. The server notices within seconds and
rolls back (_pg/session.py).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from .._core import job
from .._core.errors import PgsteadError
from .._core.job import Verdict
from .journal import unexpected

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asks this process to end; the argument is the signal's name."""


def within(seconds: float, work: Callable[[], Verdict]) -> Verdict:
    """Do the work in a child, and return its verdict, or what became of the child instead."""
    with _requests_held_back():
        try:
            reading, writing = os.pipe()
            child = os.fork()
        except OSError as error:
            return Verdict("failed", f"no process could be started: {error.strerror}")
        if child == 0:
            _carry_out(seconds, work, writing)
        os.close(writing)
        try:
            with suppress(OSError):  # it has ended already
                os.setpgid(child, child)
            with _requests_heard(), os.fdopen(reading, encoding="utf-8") as stream:
                text = stream.read()
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        except Stopped as stopped:
            _kill(child)
            os.waitpid(child, 0)
            return Verdict("failed", f"ended by {stopped}")
        _kill(child)  # what it may have left running
    return job.verdict(text) or _fate(code, seconds)


def _fate(code: int, seconds: float) -> Verdict:
    """Say what became of a child that left no verdict."""
    if code == -signal.SIGALRM:
        return Verdict("failed", f"ended at its deadline of {seconds:g} s, and rolled back where it was not finished")
    if code < 0:
        return Verdict("failed", f"its process was ended from outside by {signal.Signals(-code).name}")
    return Verdict("failed", f"its process ended with code {code} and without a verdict")


def _carry_out(seconds: float, work: Callable[[], Verdict], writing: int) -> NoReturn:
    """Be the child: work, write the verdict, end without returning into the supervisor's code."""
    try:
        os.setpgid(0, 0)  # here and in the supervisor: whoever comes first, before anything is started or ended
        for number in (*_STOPPING, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            stream.write(judged(work).as_json())
    finally:
        os._exit(0)


def judged(work: Callable[[], Verdict]) -> Verdict:
    """Return the verdict of the work, or a failure that says what kept it from one."""
    try:
        return work()
    except PgsteadError as error:
        return Verdict("failed", str(error))
    except Exception as error:  # noqa: BLE001 - nobody above could say more of it; the journal has it whole
        return Verdict("failed", unexpected(error))


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextmanager
def _requests_held_back() -> Iterator[None]:
    """Let requests to end wait for _requests_heard: nothing is cut off before there is a child whose fate is recorded."""

    def stop(number: int, _frame: object) -> None:
        for request in _STOPPING:  # one is enough: a second one must not cut off the record
            signal.signal(request, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _requests_heard() -> Iterator[None]:
    """Turn requests to end into Stopped, also those that came before."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
