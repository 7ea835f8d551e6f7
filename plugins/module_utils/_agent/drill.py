# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs drill_quick and drill_full: restore other hosts' backups here, prove that the data comes back, and keep the evidence."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import evidence
from .._core.agent_config import Config
from .._core.drill_facts import short, with_history
from .._core.drill_job import DrillSettings, Source, settings
from .._core.drill_report import conclude
from .._core.drill_verdict import judge, summary, table
from .._core.errors import PgsteadError
from .._core.job import Verdict
from .._host.drill import drill, server
from .._host.evidence import keep, records
from .._host.evidence_manifest import seal

LOCK = "drill"


def run(_config: Config, raw: Mapping[str, Any]) -> Verdict:
    """Drill every cluster; one that fails keeps no other from its turn."""
    told = settings(raw)
    found = [_one(told, source) for source in told.clusters]
    return conclude([one for one, _entry in found], told.profile, table(entry for _one, entry in found if entry))


def clean(_config: Config, raw: Mapping[str, Any]) -> None:
    """Remove what a drill that was cut off left. Raises HostError."""
    told = settings(raw)
    for source in told.clusters:
        server(told, source).wipe()


def _one(told: DrillSettings, source: Source) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what a cluster's drill came to, with the paths of its evidence, and the record itself."""
    past = [entry for entry in records("drill", Path(told.evidence)) if entry["facts"]["cluster"] == source.cluster]
    turn = sum(entry["facts"]["profile"] == told.profile for entry in past)
    moment, since = datetime.now(UTC), time.monotonic()
    started = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    try:
        facts = with_history(drill(told, source, turn, lambda: datetime.now(UTC)), past)
    except (PgsteadError, OSError) as error:
        what = {"cluster": source.cluster, "status": "failed", "summary": f"{source.cluster}: {error}"}
        return {**what, "evidence": None, "files": []}, None
    judged = judge(facts, facts["history"], started)
    entry = evidence.record(
        "drill",
        socket.gethostname(),
        started=started,
        seconds=time.monotonic() - since,
        status=judged.status,
        facts=facts,
    )
    counts = {name: getattr(judged, name) for name in ("passed", "failed", "could_not_run")}
    path = Path(keep(entry, Path(told.evidence)))
    sealed = seal(path, Path(told.signing_key) if told.signing_key else None)
    files = [str(path), str(path.with_suffix(".html")), str(sealed)]
    files += [f"{sealed}.minisig"] if told.signing_key else []
    told_of = {"cluster": source.cluster, "summary": summary(facts, judged), "evidence": str(path), "files": files}
    return short(entry) | counts | told_of, entry
