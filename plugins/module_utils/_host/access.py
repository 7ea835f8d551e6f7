# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lay the declared databases beside one reading of the catalogues; say what community.postgresql must be called for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._core.access import SEQUENCE_PRIVILEGES, TABLE_PRIVILEGES, Observed, findings, plan
from .._core.databases import Database, check, databases, with_passwords
from .._core.errors import SpecError
from .._pg.access import observe
from .._pg.connection import Target, has_driver
from .._shell import Context, Outcome

SOCKETS = "/var/run/postgresql"


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Return `plan` per kind and `connected`; `changed` is set in check mode only, where the plan is the prediction."""
    wanted = with_passwords(databases(params["databases"], params["locale"], params["encoding"]), params["passwords"])
    problems = check(wanted, params["monitoring_role"])
    if problems:
        raise SpecError(problems)
    target = Target(SOCKETS, int(params["port"]))
    # a bare host in check mode has neither driver nor socket: everything would follow
    connected = not context.check_mode or (has_driver() and Path(f"{SOCKETS}/.s.PGSQL.{target.port}").exists())
    observed = observe(target, [d.name for d in wanted], _expected(wanted)) if connected else Observed()
    steps = plan(wanted, params["monitoring_role"], observed)
    count = sum(len(items) for items in steps.values())
    message = f"{count} objects would follow" if context.check_mode and count else f"{count} objects to change"
    data = {"plan": steps, "connected": connected, "msg": message}
    return Outcome(context.check_mode and bool(count), data, (), findings(wanted, observed))


def _expected(wanted: Sequence[Database]) -> dict[str, list[tuple[str, str, str]]]:
    """Return the rights that existing tables and sequences of each database should give."""
    return {
        database.name: [
            (role.name, kind, privilege)
            for part, role in (("application", database.application), ("readonly", database.readonly))
            if role
            for kind, privileges in (("table", TABLE_PRIVILEGES[part]), ("sequence", SEQUENCE_PRIVILEGES[part]))
            for privilege in privileges
        ]
        for database in wanted
    }
