# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a drill proves of a restored cluster, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from .._core.agent_config import LONGEST_DEADLINE_SECONDS
from .._core.drill_job import Source
from .._core.drill_wish import of_marker, of_newest
from .._core.errors import NotIsolated
from .._core.probe import subjects
from .._core.recovery_probe import COULD_NOT_RUN, FAILED, PASSED, Answer, Check, answered
from .._core.recovery_spec import Wish
from .._core.row_security_spec import context
from .._pg import recovery_marker
from .._pg.connection import Target
from .._pg.probe_run import Order, probe
from .._pg.recovery_marker import Marker
from .drill_preflight import timed
from .programs import run
from .recovery_probe import Programs, prove

TIMEOUT_MS = LONGEST_DEADLINE_SECONDS * 1000  # of one program: the job's deadline comes first
NO_MARKER = (
    "there is no recovery marker in it: have job recovery_marker run on the primary (pgstead run recovery_marker)"
)


def newest_marker(target: Target) -> Marker | None:
    """Return the newest marker that says where it is. Raises PgsteadError."""
    return next((marker for marker in recovery_marker.markers(target) if marker.complete), None)


def marked(marker: Marker | None) -> Check:
    """Say whether there is a marker."""
    status, words = (FAILED, NO_MARKER) if marker is None else (PASSED, f"{marker.name} is the newest one")
    return Check("marker", "postgres", status, words, 0.0)


def whole(told: Source, target: Target, marker: Marker | None) -> list[Check]:
    """Return the verdict on a running copy of the newest state: everything that can be asked of it."""
    found = [marked(marker)]
    found += prove(of_newest(told), _programs(told, target), check_mode=False)
    return found + [_apart(target, item) for item in told.row_security]


def blocks(told: Source, target: Target, data: str) -> list[Check]:
    """Return the verdict on the blocks of a copy that was stopped."""
    return prove(Wish(checksums=data), _programs(told, target), check_mode=False)


def exact(told: Source, target: Target, marker: Marker) -> list[Check]:
    """Return the verdict on a copy at a marker: recovery ended after the marker's first row and before its second one, and
    what was there then is there.
    """
    found = [timed("exact target", "postgres", partial(_exact, target, marker))]
    try:
        wishes = of_marker(told, marker.manifest)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        what = f"what marker {marker.name} recorded is not understood: {error!r}. Have the same version on both hosts"
        return [*found, Check("recorded", "", COULD_NOT_RUN, what, 0.0)]
    return found + [check for wish in wishes for check in prove(wish, _programs(told, target), check_mode=False)]


def _programs(told: Source, target: Target) -> Programs:
    return Programs(run, target, f"{told.programs}/{told.version}/bin", TIMEOUT_MS)


def _exact(target: Target, marker: Marker) -> Answer:
    before, after = recovery_marker.present(target, marker.name)
    wrong = [] if before else [f"row before of marker {marker.name} must be present, and is not"]
    wrong += [f"row after of marker {marker.name} must be absent, and is there"] if after else []
    return answered(wrong, f"row before of marker {marker.name} is present, row after is absent")


def _apart(target: Target, item: Mapping[str, Any]) -> Check:
    """Say whether row security still keeps tenants apart in a database."""
    return timed("row_security", str(item["database"]), partial(_isolated, target, item))


def _isolated(target: Target, item: Mapping[str, Any]) -> Answer:
    schema = str(item["schema"])
    carried, wrong = context(item["context"], schema)
    asked, more = subjects(item["tables"], schema)
    problems = [*wrong, *more]
    if problems or carried is None:
        return COULD_NOT_RUN, "; ".join(map(str, problems))
    order = Order(replace(target, database=str(item["database"])), None, str(item["role"]), carried, asked)
    try:
        found = probe(order)
    except NotIsolated as error:
        return FAILED, str(error).splitlines()[0]
    return PASSED, str(found["msg"])
