# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a host that was rebuilt, and keep what it took as the evidence of a drill."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from .._core import drill_facts, game_day
from .._core.agent_plan import SOCKET_DIRECTORY
from .._core.drill_spec import objective_seconds
from .._core.errors import HostError, Problem, SpecError
from .._core.recovery_point import recovery_point
from .._core.restore import segment_bytes
from .._pg import heartbeat
from .._pg.connection import Target
from .._shell import Context, Outcome
from .backup_config import AS_POSTGRES
from .drill_checks import marked, newest_marker
from .drill_record import earlier, judgement, record
from .pgbackrest import PgBackRest


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Look at the host that serves now, and keep what it took. It fails where the host is not as it must be."""
    if context.check_mode:
        return Outcome(False, {"msg": "nothing was rebuilt"})
    begun = datetime.fromtimestamp(params["begun"], UTC)
    facts = _facts(params, context, begun)
    seconds = time.time() - params["begun"]
    kept = record(judgement(facts, earlier(params["cluster"]), begun=begun, seconds=seconds))
    if kept.judged.faults:
        raise HostError(f"{kept.summary}. Evidence: {kept.files[0]}")
    found = dict(zip(("evidence", "page", "manifest"), kept.files, strict=True))
    return Outcome(True, {**found, "msg": kept.summary})


def _facts(params: Mapping[str, Any], context: Context, begun: datetime) -> dict[str, Any]:
    repository, restored, target = params["repository"], params["restored"], Target(SOCKET_DIRECTORY, params["port"])
    engine = PgBackRest(context.run, params["stanza"], (repository["key"],), (), AS_POSTGRES)
    (held,) = engine.info().held
    arrivals = engine.arrivals(held.key, held.archive)
    facts = drill_facts.blank(
        **{name: params[name] for name in ("cluster", "stanza", "version")},
        profile="game_day",
        objectives={
            "recovery_time_seconds": _objective(params, "rto_objective"),
            "recovery_point_seconds": _objective(params, "rpo_objective"),
        },
        repeat=f"ansible-playbook pgstead.ops.game_day --limit {params['cluster']} -e game_day_host=…",
    )
    phases = game_day.phases(params["begun"], params["provisioned"], params["served"], restored["phases"])
    size = next((one.size for one in held.backups if one.label == restored["backup"]), None)
    point = recovery_point(heartbeat.beats(target), arrivals, begun, segment_bytes(held.backups))
    drill_facts.restored(facts, size, phases["fetch"], sum(phases.values()), point)
    checks = game_day.checks(params["databases"], params["differing"], marked(newest_marker(target)))
    step = drill_facts.begun("rebuilt", repository["name"], offsite=repository["offsite"], at=0.0)
    step |= {name: restored[name] for name in ("target", "backup", "stopped_at")}
    facts["steps"] = [{**step, "phases": phases, "checks": [asdict(check) for check in checks]}]
    return facts


def _objective(params: Mapping[str, Any], name: str) -> int:
    try:
        return objective_seconds(params[name])
    except ValueError as error:
        raise SpecError([Problem(name, str(error))]) from error
