# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A recovery drill: restore a cluster's backups somewhere else, prove that they are whole and exact, measure, and clean up.

Nothing is asked of the primary: where recovery is to end, and what must be there, is in the data (recovery markers,
heartbeats). So a drill needs nothing but the repositories.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from .._core import drill_facts, store_versions
from .._core.agent_config import LONGEST_DEADLINE_SECONDS
from .._core.backup import Backup
from .._core.drill_job import DrillSettings, Source, Stored
from .._core.drill_plan import NEWEST, VERSIONS, Step, steps
from .._core.errors import HostError, PgsteadError
from .._core.recovery_point import recovery_point
from .._core.recovery_probe import PASSED, Check
from .._core.restore import Target, choose, options, segment_bytes, stopping_point
from .._core.restore import target as aim
from .._core.scratch_server import moments
from .._core.wal import lsn
from .._pg import heartbeat
from .._pg.recovery_marker import Marker
from . import drill_checks, drill_dumps, drill_versions
from .drill_preflight import Looked, Preflight
from .drill_versions import Past
from .pgbackrest import PgBackRest
from .programs import run
from .restore_reach import reachable
from .scratch_server import ScratchServer

Facts = dict[str, Any]


@dataclass
class Drill:
    """One drill of one cluster; `facts` grows with what is found (docs/evidence.md has its keys)."""

    told: Source
    server: ScratchServer
    engine: PgBackRest
    now: Callable[[], datetime]
    facts: Facts
    begun: datetime
    since: float = field(default_factory=time.monotonic)
    marker: Marker | None = None

    @property
    def seconds(self) -> float:
        """How long it has gone on."""
        return time.monotonic() - self.since


def server(settings: DrillSettings, told: Source) -> ScratchServer:
    """Return the server of a cluster's drill, whose directory is there only meanwhile."""
    binaries = Path(told.programs, str(told.version), "bin")
    place = Path(settings.directory, told.cluster)
    return ScratchServer(run, place, binaries, settings.port, told.settings, configuration=told.configuration)


def servers(settings: DrillSettings) -> list[ScratchServer]:
    """Return the servers of all clusters that are declared, and of those that are no more and of which something was left."""
    found = [server(settings, told) for told in settings.clusters]
    beside = Path(settings.clusters[0].configuration)  # configurations lie side by side
    for mark in sorted(Path(settings.directory).glob(f"*/{ScratchServer.MARK}")):
        place = mark.parent
        if place not in [one.directory for one in found] and not place.is_symlink():
            configuration = str(beside.with_name(f"{place.name}.conf"))
            found.append(ScratchServer(run, place, Path(), settings.port, configuration=configuration))
    return found


def drill(settings: DrillSettings, told: Source, turn: int, now: Callable[[], datetime]) -> Facts:
    """Carry a drill out and return its facts; what goes wrong is in them. `turn` is how many there were before.

    Raises HostError where the copy cannot be removed.
    """
    copy = server(settings, told)
    engine = PgBackRest(run, told.stanza, told.keys, (f"--config={told.configuration}",))
    facts = drill_facts.blank(
        **{name: getattr(told, name) for name in ("cluster", "stanza", "version", "objectives")},
        profile=settings.profile,
        repeat=f"pgstead run drill_{settings.profile}",
    )
    work = Drill(told, copy, engine, now, facts, now())
    try:
        copy.prepare()
        stored = _stored(told, settings.profile)
        preflight = Preflight(told, engine, Path(settings.directory), work.begun, bool(stored), settings.signing_key)
        work.facts["preflight"] = _data(preflight.checks())
        if all(check["status"] == PASSED for check in work.facts["preflight"]):
            for number, step in enumerate(steps(settings.profile, told.keys, turn, told.versioned)):
                found = _step(work, step, preflight.looked[step.repository])
                work.facts["steps"].append(found)
                if number == 0 and found["error"]:
                    break  # nobody knows where the others are to end
            else:
                work.facts["steps"] += [_dump(work, one) for one in stored]
    finally:
        copy.wipe()
    return work.facts


def _data(checks: Iterator[Check] | list[Check]) -> list[dict[str, Any]]:
    return [asdict(check) for check in checks]


def _step(work: Drill, step: Step, looked: Looked) -> Facts:
    """Make one restore and prove it; an error is in what is returned, and ends this step alone."""
    name = "newest" if step.kind == NEWEST else step.kind
    found = drill_facts.begun(name, looked.copy.name, offsite=looked.copy.offsite, at=work.seconds)
    # of one repository alone: what is proven of it must not come from another one
    engine = replace(work.engine, keys=(step.repository,))
    try:
        if step.kind == VERSIONS:
            _as_it_was(work, drill_versions.past(engine, looked, work.begun), looked, found)
        else:
            _at_target(work, step, engine, looked, found)
        work.server.stop()
    except (PgsteadError, OSError) as error:
        found["error"] = str(error)
        work.server.halt()
    return found


def _at_target(work: Drill, step: Step, engine: PgBackRest, looked: Looked, found: Facts) -> None:
    """Restore what the repository has now, to the step's target, and prove it."""
    wanted = _target(work, step)
    found["target"] = str(wanted)
    chosen = choose(wanted, reachable(engine, work.server.data))
    found["backup"] = chosen.label
    last = max([*looked.arrivals, chosen.wal[1]]) if step.kind == NEWEST else ""
    _restore(work, engine, wanted, chosen, found, last=last)
    with _phase(found, "verify"):
        if step.kind == NEWEST:
            _newest(work, looked, chosen, found)
        else:
            assert work.marker is not None  # _target has seen it
            found["checks"] = _data(drill_checks.exact(work.told, work.server.target, work.marker))


def _as_it_was(work: Drill, past: Past, looked: Looked, found: Facts) -> None:
    """Restore the newest state of a repository as it was, and prove that the store has kept all of it."""
    wanted = aim(NEWEST, "", work.now())
    found["target"] = store_versions.words(str(wanted), past.at)
    # no way with a gap: its archive may have been kept for less
    chosen = choose(wanted, reachable(past.engine, work.server.data))
    found["backup"] = chosen.label
    _restore(work, past.engine, wanted, chosen, found)
    with _phase(found, "verify"):
        found["checks"] = _data(past.checks(looked, work.server.target, work.told.recovery_point))
        work.server.stop()
        found["checks"] += _data(drill_checks.blocks(work.told, work.server.target, str(work.server.data)))


def _stored(told: Source, profile: str) -> tuple[Stored, ...]:
    return told.dumps.stored if told.dumps and profile == "full" else ()


def _dump(work: Drill, stored: Stored) -> Facts:
    """Restore the newest dump of a database from a store, beside what is there; its rows are counted against its manifest."""
    name = f"dump {stored.database} from {stored.remote}"
    found = drill_facts.begun(name, stored.remote, offsite=stored.offsite, at=work.seconds)
    try:
        with _phase(found, "recover"):
            work.server.start()
            work.server.until_open(LONGEST_DEADLINE_SECONDS)
        with _phase(found, "fetch"):
            assert work.told.dumps is not None  # it has told of this one
            came = drill_dumps.restored(
                drill_dumps.host(work.told, work.told.dumps, work.server), work.told.dumps, stored
            )
        found["target"] = found["backup"] = came["dump"]
        words = "; ".join(
            [f"{came['dump']} is whole, and its rows are as many as its manifest counted", *came["notes"]]
        )
        found["checks"] = _data([Check("dump restored", stored.database, PASSED, words, found["phases"]["fetch"])])
        work.server.stop()
    except (PgsteadError, OSError) as error:
        found["error"] = str(error)
        work.server.halt()
    return found


def _target(work: Drill, step: Step) -> Target:
    if step.kind == NEWEST:
        return aim(NEWEST, "", work.now())
    marker = work.marker
    if marker is None or marker.time is None:
        raise HostError(drill_checks.NO_MARKER)
    if step.kind == "name":  # pgBackRest would begin with the newest backup, and might miss it
        return Target("name", marker.name, lsn=lsn(marker.lsn))
    return aim(step.kind, marker.time.isoformat() if step.kind == "time" else marker.lsn, work.now())


def _restore(work: Drill, engine: PgBackRest, wanted: Target, chosen: Backup, found: Facts, *, last: str = "") -> None:
    """Fetch the files, and have the copy recover to the target and open. Raises HostError.

    Without `last`, the segment of WAL to end with, recovery to the end of an archive would follow one that grows meanwhile.
    """
    # tablespaces lie elsewhere by their nature: beside production, that would be production's
    words = [*options(wanted), f"--tablespace-map-all={work.server.tablespaces}"]
    with _phase(found, "fetch"):
        engine.restore(chosen.label, words, last)
    with _phase(found, "recover"):
        work.server.start()
        work.server.until_open(LONGEST_DEADLINE_SECONDS)
    replayed, opened = moments(work.server.lines())
    if replayed is not None and opened is not None:
        promote = min(max(opened - replayed, 0.0), found["phases"]["recover"])
        found["phases"]["promote"] = round(promote, 3)
        found["phases"]["recover"] = round(found["phases"]["recover"] - promote, 3)
    found["stopped_at"] = stopping_point(work.server.lines())


def _newest(work: Drill, looked: Looked, chosen: Backup, found: Facts) -> None:
    """Measure, learn where the other steps are to end, and prove everything that can be proven of a copy."""
    target, phases = work.server.target, found["phases"]
    seconds = sum(phases.values())
    point = recovery_point(heartbeat.beats(target), looked.arrivals, work.begun, segment_bytes(looked.held.backups))
    drill_facts.restored(work.facts, chosen.size, phases["fetch"], seconds, point)
    work.marker = drill_checks.newest_marker(target)
    found["checks"] = _data(drill_checks.whole(work.told, target, work.marker))
    work.server.stop()
    found["checks"] += _data(drill_checks.blocks(work.told, target, str(work.server.data)))


@contextmanager
def _phase(found: Mapping[str, Any], name: str) -> Iterator[None]:
    since = time.monotonic()
    try:
        yield
    finally:
        found["phases"][name] = round(time.monotonic() - since, 3)
