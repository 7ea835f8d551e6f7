# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make sure PgBouncer can look secrets up, in each lookup database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._core.errors import DatabaseMissing
from .._pg import pooler_auth
from .._pg.connection import Target, has_driver
from .._shell import Context, Outcome
from .access import SOCKETS


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Install role, function and rights where they are not exactly as they should be."""
    port, done = int(params["port"]), []
    if context.check_mode and not (has_driver() and Path(f"{SOCKETS}/.s.PGSQL.{port}").exists()):
        return Outcome(True, {"statements": [], "msg": "the lookup function would follow"})
    for name in params["databases"]:
        target = Target(SOCKETS, port, name)
        done += _predicted(target) if context.check_mode else pooler_auth.install(target)
    return Outcome(bool(done), {"statements": done})


def _predicted(target: Target) -> list[str]:
    try:
        return pooler_auth.steps(target)
    except DatabaseMissing:  # newly declared: it would be there by then
        return pooler_auth.function(target.database)
