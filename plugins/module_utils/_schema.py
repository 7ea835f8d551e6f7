# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the schema modules share: their options, the way into the engine, and the result for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._core.errors import DatabaseMissing, Problem, SpecError
from ._core.plan import Difference
from ._core.units import parse_duration_ms
from ._pg.connection import Target, has_driver
from ._pg.engine import Kind, Options, Report, converge, step
from ._pg.execute import Limits
from ._shell import Context, Outcome

CONNECTION: Mapping[str, Any] = {
    "login_db": {"type": "str", "required": True},
    "login_host": {"type": "str", "default": ""},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str", "default": "postgres"},
    "login_password": {"type": "str", "no_log": True},
    "login_unix_socket": {"type": "str", "default": "/var/run/postgresql"},
    "ssl_mode": {
        "type": "str",
        "default": "verify-full",
        "choices": ["verify-full", "verify-ca", "require", "disable"],
    },
    "ca_cert": {"type": "path"},
    "system_user": {"type": "str", "default": "postgres"},
    "schema": {"type": "str", "default": "public"},
}
APPLY: Mapping[str, Any] = {
    "session_role": {"type": "str"},
    "search_path": {"type": "list", "elements": "str", "default": ["public"]},
    "lock_timeout": {"type": "str", "default": "2s"},
    "lock_attempts": {"type": "int", "default": 10},
    "build_wait": {"type": "str", "default": "10min"},
    "run_wait": {"type": "str", "default": "1min"},
    "purge": {"type": "bool", "default": False},
}


def target(params: Mapping[str, Any]) -> Target:
    """Return where to connect, from a module's parameters."""
    return Target(
        socket_directory=params["login_unix_socket"],
        port=params["login_port"],
        database=params["login_db"],
        user=params["login_user"],
        system_user=params["system_user"],
        address=params["login_host"],
        password=params["login_password"] or "",
        sslmode=params["ssl_mode"],
        sslrootcert=params["ca_cert"] or "",
    )


def reachable(params: Mapping[str, Any], context: Context) -> bool:
    """Whether a server is to be asked: on a bare host in check mode there is neither driver nor socket."""
    if not context.check_mode or params["login_host"]:
        return True
    return has_driver() and Path(f"{params['login_unix_socket']}/.s.PGSQL.{params['login_port']}").exists()


def options(params: Mapping[str, Any], context: Context) -> Options:
    """Return what the engine is told. Raises SpecError for durations that are none."""
    durations = {name: milliseconds(name, str(params[name])) for name in ("lock_timeout", "build_wait", "run_wait")}
    if params["lock_attempts"] < 1:
        raise SpecError([Problem("lock_attempts", f"{params['lock_attempts']}: there is at least one try")])
    limits = Limits(
        durations["lock_timeout"],
        params["lock_attempts"],
        durations["build_wait"] / 1000,
        durations["run_wait"] / 1000,
    )
    return Options(
        target=target(params),
        role=params["session_role"] or "",
        search_path=tuple(params["search_path"]),
        check_mode=context.check_mode,
        limits=limits,
        log=context.log,
    )


def milliseconds(name: str, text: str) -> int:
    """Return a duration above 0. Raises SpecError, naming the option."""
    try:
        found = int(parse_duration_ms(text))
    except ValueError as error:
        raise SpecError([Problem(name, str(error))]) from error
    if found < 1:
        raise SpecError([Problem(name, f"{text}: give a time above 0, for example 2s")])
    return found


def run_kind(kind: Kind, noun: str, params: Mapping[str, Any], context: Context) -> Outcome:
    """Converge one kind of objects; say what follows where there is no server or no database yet."""
    told = options(params, context)
    if reachable(params, context):
        try:
            return outcome(converge(kind, told), noun, context)
        except DatabaseMissing:
            if not context.check_mode:
                raise
    follows = f"{kind.count} {noun} would follow: " if kind.count else ""
    message = f"{follows}there is no database {params['login_db']} to ask yet"
    return Outcome(bool(kind.count), {**_empty(), "msg": message})


def _empty() -> dict[str, Any]:
    return {"plan": [], "drift": [], "unmanaged": [], "waiting": False}


def outcome(report: Report, noun: str, context: Context) -> Outcome:
    """Return a report as a module's result."""
    if report.waiting:
        message = "waiting for migrations: the database has no tables yet"
        return Outcome(False, {**_empty(), "waiting": True, "msg": message})
    plan = report.plan
    data = {
        "plan": [step(change, sql, seconds) for change, sql, seconds in report.steps],
        "drift": list(plan.drift),
        "unmanaged": list(plan.unmanaged),
        "waiting": False,
        "msg": _message(report, noun, context),
    }
    diff = [_pair(difference) for difference in plan.differences]
    return Outcome(bool(plan.changes), data, diff, (*report.warnings, *plan.drift))


def _message(report: Report, noun: str, context: Context) -> str:
    if not report.plan.changes:
        return f"all {noun} are as declared"
    objects = len(report.plan.differences) or len(report.steps)
    verb = "would change" if context.check_mode else "changed"
    return f"{objects} {noun} {verb} in {len(report.steps)} steps"


def _pair(difference: Difference) -> dict[str, str]:
    return {
        "before_header": difference.object,
        "after_header": difference.object,
        "before": difference.before,
        "after": difference.after,
    }
