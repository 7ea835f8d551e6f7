"""Drills of the world's cluster, as the host's job does them: as its user, in a process group of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._agent import drill as job
from ansible_collections.pgstead.ops.plugins.module_utils._agent.run import become
from ansible_collections.pgstead.ops.plugins.module_utils._agent.supervise import within
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_spec import plan_drills
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict
from ansible_collections.pgstead.ops.plugins.module_utils._core.marker_job import Laid
from ansible_collections.pgstead.ops.plugins.module_utils._pg import recovery
from ansible_collections.pgstead.ops.plugins.module_utils._pg.heartbeat import beat, opened
from ansible_collections.pgstead.ops.plugins.module_utils._pg.recovery_marker import lay

from ..conftest import USER  # noqa: TID252 - the tests are no package that is installed
from .world import MAJOR, STANZA, WAIT_SECONDS, Raw, World, until

DRILL_SECONDS = 240
PORT = 5490
QUESTION = {"name": "rows are there", "database": "postgres", "sql": "SELECT count(*) FROM filler", "role": "postgres"}


@dataclass
class DrillWorld:
    """A host for drills beside the world's cluster; `changes` are put into the job's settings of it."""

    world: World
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        return self.world.place / "drills"

    @property
    def copy(self) -> Path:
        """Where the restored cluster lies meanwhile."""
        return self.place / "work" / STANZA

    @property
    def evidence(self) -> Path:
        return self.place / "evidence"

    def settings(self, profile: str, repositories: Sequence[Raw] | None = None) -> dict[str, Any]:
        """Return what the agent would tell the job, and write pgBackRest's configuration for it."""
        spec = {
            "host": STANZA,
            "clusters": [{"source": STANZA, "statements": [{**QUESTION, "condition": "> 0"}]}],
            "directory": str(self.place / "work"),
            "port": PORT,
            "rto_objective": "15min",
            "rpo_objective": "1h",  # beats are laid once for all tests
            "tolerance": "1%",
            "signing_key": "",
            "beside_production": True,
        }
        told = {
            "backup_repositories": list(repositories or self.world.both()),
            "backup_stanza": STANZA,
            "postgresql_version": MAJOR,
        }
        plan = plan_drills(spec, {STANZA: told})
        assert plan.problems == ()
        configuration = self.place / "pgbackrest.conf"
        configuration.write_text(plan.clusters[0].configuration)
        shutil.chown(configuration, USER)
        configuration.chmod(0o600)
        raw = plan.job(profile)
        own = {"configuration": str(configuration), "programs": str(self.place / "programs")}
        return {**raw, "evidence": str(self.evidence), "clusters": [{**raw["clusters"][0], **own, **self.changes}]}

    def drill(
        self,
        profile: str = "quick",
        before: Callable[[], Any] = lambda: None,
        repositories: Sequence[Raw] | None = None,
        **more: Any,
    ) -> Verdict:
        """Run the job and what comes after it; `before` is called in its process, `more` are settings of the job."""
        told = {**self.settings(profile, repositories), **more}
        config = Config(USER, str(self.place), "/", 1, 5, {}, str(self.place))

        def work() -> Verdict:
            become(USER)
            before()
            return job.run(config, told)

        return within(DRILL_SECONDS, work)

    def newest(self) -> Mapping[str, Any]:
        """Return the facts of the newest evidence."""
        return dict(json.loads(max(self.evidence.glob("*.json")).read_text())["facts"])

    def failing(self, said: str, **how: Any) -> Mapping[str, Any]:
        """Have a drill fail for a reason, and return the facts of its evidence."""
        verdict = self.drill(**how)
        assert verdict.status == "failed", verdict
        facts = self.newest()
        told = [verdict.reason, *(step["error"] for step in facts["steps"])]
        told += [
            check["words"] for part in (facts, *facts["steps"]) for check in part.get("checks", facts["preflight"])
        ]
        assert any(said in words for words in told), "\n".join(told)
        assert not self.copy.exists()
        return facts


@contextmanager
def drill_world(world: World) -> Iterator[DrillWorld]:
    """Yield a host for drills, with a marker laid after a new backup in both repositories."""
    made = DrillWorld(world)
    for path in (made.place, made.place / "work", made.evidence):
        path.mkdir(mode=0o700)
        shutil.chown(path, USER)
    binaries = made.place / "programs" / str(MAJOR) / "bin"
    binaries.mkdir(parents=True)
    for source in (world.server.clients, world.server.binaries):
        for program in source.iterdir():
            if not (binaries / program.name).exists():
                (binaries / program.name).symlink_to(program)
    try:
        yield made
    finally:
        shutil.rmtree(made.place)


def mark(world: World) -> Laid:
    """Take a full backup, and lay a marker with a heartbeat before and behind it."""
    world.full()
    with opened(world.server.target) as connection:
        beat(connection)
        found = lay(world.server.target, "estimate")
        beat(connection)
    assert recovery.archived(world.server.target, found.segment, WAIT_SECONDS)
    # arrivals are known to the second, too, and what may have arrived later counts as later
    moment = world.ask("SELECT clock_timestamp()")
    until(lambda: world.ask("SELECT clock_timestamp()") > moment + timedelta(seconds=2), "time stands")
    return found


def running(directory: Path) -> list[int]:
    """Return the processes whose working directory lies in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()).startswith(str(directory)):
                found.append(int(process.name))
        except OSError:
            continue
    return [number for number in found if number != os.getpid()]
