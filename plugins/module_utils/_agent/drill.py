# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs drill_quick and drill_full: restore other hosts' backups here, prove that the data comes back, and keep the evidence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core.agent_config import Config
from .._core.drill_facts import short
from .._core.drill_job import DrillSettings, Source, settings
from .._core.drill_report import conclude
from .._core.drill_verdict import table
from .._core.errors import HostError, PgsteadError
from .._core.job import Verdict
from .._host.drill import drill, servers
from .._host.drill_record import earlier, judgement, record

LOCK = "drill"


def run(_config: Config, raw: Mapping[str, Any]) -> Verdict:
    """Drill every cluster; one that fails keeps no other from its turn."""
    told = settings(raw)
    with suppress(HostError):  # it keeps no cluster from its drill, and `clean` says it
        _wipe(told)
    found = [_one(told, source) for source in told.clusters]
    return conclude([one for one, _entry in found], told.profile, table(entry for _one, entry in found if entry))


def clean(_config: Config, raw: Mapping[str, Any]) -> None:
    """Remove what a drill that was cut off left. Raises HostError."""
    _wipe(settings(raw))


def _wipe(told: DrillSettings) -> None:
    """Remove every copy, also of clusters that are drilled no more: it is somebody's data. Raises HostError, at the end."""
    faults = []
    for copy in servers(told):
        try:
            copy.wipe()
        except (HostError, OSError) as error:
            faults.append(str(error))
    if faults:
        raise HostError("; ".join(faults))


def _one(told: DrillSettings, source: Source) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """Return what a cluster's drill came to, with the paths of its evidence, and the record itself."""
    past = earlier(source.cluster, Path(told.evidence))
    turn = sum(entry["facts"]["profile"] == told.profile for entry in past)
    begun, since = datetime.now(UTC), time.monotonic()
    try:
        facts = drill(told, source, turn, lambda: datetime.now(UTC))
    except (PgsteadError, OSError) as error:
        what = {"cluster": source.cluster, "status": "failed", "summary": f"{source.cluster}: {error}"}
        return {**what, "evidence": None, "files": []}, None
    found = judgement(facts, past, begun=begun, seconds=time.monotonic() - since)
    counts = {name: getattr(found.judged, name) for name in ("passed", "failed", "could_not_run")}
    what = {**short(found.entry), **counts, "cluster": source.cluster, "summary": found.summary}
    try:
        kept = record(found, directory=Path(told.evidence), signing_key=told.signing_key)
    except (PgsteadError, OSError) as error:  # what was found is told all the same
        lost = f"{found.summary}; its evidence could not be kept whole: {error}"
        return {**what, "status": "failed", "summary": lost, "evidence": None, "files": []}, None
    return {**what, "evidence": kept.files[0], "files": list(kept.files)}, kept.entry
