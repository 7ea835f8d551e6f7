"""What the host's command does for a backup and the restore module for its files: run by benchmarks/backup.py as a process.

`python3 _backup_ours.py DIRECTORY`, where DIRECTORY holds the collection's module_utils as package `pgstead`, as in the
host's command; what to do is on standard input, in JSON. Runs with the host's own Python and without Ansible;
each action imports what it needs, as its command or module does.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])

PATIENCE_SECONDS = 120


def backup(told: Mapping[str, Any], words: tuple[str, ...]) -> Any:
    """Job backup_full or backup_incr: host files, backup, a look at it, expiry."""
    from pgstead._agent.backups import make
    from pgstead._core.backup_job import settings
    from pgstead._host.pgbackrest import PgBackRest
    from pgstead._host.programs import run

    read = settings(told["settings"], makes=True)
    verdict = make(PgBackRest(run, read.stanza, read.keys, words), read, lambda: datetime.now(UTC))
    return {"status": verdict.status, "reason": verdict.reason}


def restore(told: Mapping[str, Any], words: tuple[str, ...]) -> Any:
    """The module's choice of a backup and its fetch, to the end of the WAL."""
    from pgstead._core.restore import choose, options, target
    from pgstead._host.pgbackrest import PgBackRest
    from pgstead._host.programs import run
    from pgstead._host.restore_reach import Asked, reach
    from pgstead._host.server_log import ServerLog

    engine = PgBackRest(run, told["stanza"], (1,), words)
    wanted, log = target("latest", "", datetime.now(UTC)), ServerLog(told["major"], told["stanza"])
    wanted, found = reach(engine, Path(told["data_directory"]), log, wanted, Asked())
    chosen = choose(wanted, found)
    engine.restore(chosen.label, options(wanted))
    return {"status": "ok", "reason": chosen.label}


def rehearse(told: Mapping[str, Any], _words: tuple[str, ...]) -> Any:
    """Lay a marker on the source, then the job drill_quick: from preflight to the removal of the copy."""
    from pgstead._core.drill_job import settings
    from pgstead._core.drill_verdict import judge
    from pgstead._host.drill import drill
    from pgstead._pg.connection import Target
    from pgstead._pg.heartbeat import beat, opened
    from pgstead._pg.recovery import archived
    from pgstead._pg.recovery_marker import lay

    source = Target(told["sockets"], told["port"], user=told["user"], system_user=told["user"])
    with opened(source) as connection:
        beat(connection)
        laid = lay(source, "estimate")
        beat(connection)
    if not archived(source, laid.segment, PATIENCE_SECONDS):
        return {"status": "failed", "reason": f"{laid.segment} was not archived"}
    time.sleep(2)  # arrivals are known to the second
    read, begun = settings(told["settings"]), datetime.now(UTC)
    facts = drill(read, read.clusters[0], 0, lambda: datetime.now(UTC))
    judged = judge(facts, [], f"{begun:%Y-%m-%dT%H:%M:%SZ}")
    whole = (datetime.now(UTC) - begun).total_seconds()
    status = "failed" if judged.faults else "ok"
    return {"status": status, "reason": "; ".join(judged.faults), "facts": facts, "seconds": whole}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    work = {"backup": backup, "restore": restore, "drill": rehearse}[asked["action"]]
    print(json.dumps(work(asked, tuple(asked["words"]))))
