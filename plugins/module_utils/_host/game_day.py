# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the rebuilding of a whole host came to: measured, judged as a drill is, and kept as evidence."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import evidence
from .._core.agent_plan import SOCKET_DIRECTORY
from .._core.drill_facts import with_history
from .._core.drill_spec import objective_seconds
from .._core.drill_verdict import judge, summary
from .._core.errors import HostError, Problem, SpecError
from .._core.recovery_point import recovery_point
from .._core.recovery_probe import COULD_NOT_RUN, FAILED, PASSED, Check
from .._core.restore import segment_bytes
from .._pg import heartbeat, recovery_marker
from .._pg.connection import Target
from .._shell import Context, Outcome
from .backup_config import AS_POSTGRES
from .drill_checks import NO_MARKER
from .evidence import keep, records
from .evidence_manifest import seal
from .pgbackrest import PgBackRest


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Look at the host that was rebuilt and serves now, and keep what it took. It fails where the host is not as it must be."""
    begun = datetime.fromtimestamp(params["begun"], UTC)
    if context.check_mode:
        return Outcome(False, {"msg": "nothing was rebuilt"})
    past = [entry for entry in records("drill") if entry["facts"]["cluster"] == params["cluster"]]
    facts = with_history(_facts(params, context, begun), past)
    started = f"{begun:%Y-%m-%dT%H:%M:%SZ}"
    judged = judge(facts, facts["history"], started)
    entry = evidence.record(
        "drill",
        socket.gethostname(),
        started=started,
        seconds=time.time() - params["begun"],
        status=judged.status,
        facts=facts,
    )
    path = Path(keep(entry))
    found = {"evidence": str(path), "page": str(path.with_suffix(".html")), "manifest": str(seal(path))}
    if judged.faults:
        raise HostError(f"{summary(facts, judged)}. Evidence: {path}")
    return Outcome(True, found | {"msg": summary(facts, judged)})


def _facts(params: Mapping[str, Any], context: Context, begun: datetime) -> dict[str, Any]:
    repository, restored = params["repository"], params["restored"]
    engine = PgBackRest(context.run, params["stanza"], (int(repository["key"]),), (), AS_POSTGRES)
    (held,) = engine.info().held
    size = next((one.size for one in held.backups if one.label == restored["backup"]), None)
    arrivals = engine.arrivals(held.key, held.archive)
    target = Target(SOCKET_DIRECTORY, int(params["port"]))
    point = recovery_point(heartbeat.beats(target), arrivals, begun, segment_bytes(held.backups))
    phases = _phases(params)
    return {
        "cluster": params["cluster"],
        "stanza": params["stanza"],
        "version": params["version"],
        "profile": "game_day",
        "objectives": {
            "recovery_time_seconds": _objective(params, "rto_objective"),
            "recovery_point_seconds": _objective(params, "rpo_objective"),
        },
        "recovery_time_seconds": round(sum(phases.values()), 3),
        "recovery_point_seconds": point.seconds,
        "recovery_point_worst_seconds": point.worst,
        "size_bytes": size,
        "bytes_per_second": round(size / max(phases["fetch"], 0.001)) if size else None,
        "preflight": [],
        "steps": [
            {
                "name": "rebuilt",
                "target": restored["target"],
                "repository": repository["name"],
                "offsite": bool(repository["offsite"]),
                "backup": restored["backup"],
                "stopped_at": restored["stopped_at"],
                "begun": 0.0,
                "phases": phases,
                "checks": [asdict(check) for check in _checks(params, target)],
                "error": "",
            }
        ],
        "repeat": f"ansible-playbook pgstead.ops.game_day --limit {params['cluster']} -e game_day_host=…",
    }


def _objective(params: Mapping[str, Any], name: str) -> int:
    try:
        return objective_seconds(params[name])
    except ValueError as error:
        raise SpecError([Problem(name, str(error))]) from error


def _phases(params: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds from the bare machine until a client was served; what is between restore and client is `serve`."""
    restored = params["restored"]["phases"]
    found = {
        "provision": params["provisioned"] - params["begun"],
        "fetch": restored["fetch"],
        "recover": restored["recover"],
    }
    found["serve"] = params["served"] - params["begun"] - sum(found.values())
    return {name: round(seconds, 3) for name, seconds in found.items()}


def _checks(params: Mapping[str, Any], target: Target) -> Iterator[Check]:
    if not params["databases"]:
        yield Check(
            "served", "", COULD_NOT_RUN, "no database declares an application_role that could be asked for", 0.0
        )
    for name in params["databases"]:
        yield Check("served", name, PASSED, "the application was answered through the pooler", 0.0)
    differing = params["differing"]
    words = (
        f"{', '.join(differing)} differ from the inventory"
        if differing
        else "roles, databases and rights are as declared"
    )
    yield Check("access", "", FAILED if differing else PASSED, words, 0.0)
    newest = next((marker.name for marker in recovery_marker.markers(target) if marker.complete), "")
    yield Check(
        "marker", "postgres", PASSED if newest else FAILED, f"{newest} is the newest" if newest else NO_MARKER, 0.0
    )
