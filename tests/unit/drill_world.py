"""Facts of recovery drills as one could have found them, to judge and to show."""

from __future__ import annotations

from typing import Any

STARTED = "2026-11-26T03:30:00Z"
LABEL = "20261126-010700F"
STOPPED = "recovery stopping before commit of transaction 48211, time 2026-11-26 03:29:51.118+00"


def check(
    kind: str, database: str = "shop", status: str = "passed", words: str = "as expected", seconds: float = 1.2
) -> dict[str, Any]:
    return {"check": kind, "database": database, "status": status, "words": words, "seconds": seconds}


PREFLIGHT = [
    check("space", "", words="212.4 GB are free below /srv/drill, 9.6 GB are needed", seconds=0.01),
    check("repositories", "", words="store and far answer, their backups are whole", seconds=2.31),
]
PROVEN = [
    check("checksums", "", words="611842 blocks have the right checksum", seconds=9.4),
    check("amcheck", words="tables and indexes hold together", seconds=18.02),
    check("dump", words="every row was read", seconds=7.7),
    check("canary", words="drill.heartbeat: 1 rows present, 1 absent, as expected", seconds=0.02),
    check("counts", words="41 tables have the recorded number of rows, give or take 1%", seconds=3.31),
    check("sequences", words="23 sequences give what their columns do not have yet", seconds=0.4),
    check("roles", "", words="14 are there", seconds=0.01),
    check("invalid_indexes", words="no index is invalid", seconds=0.01),
    check("statements", words="no order without a customer: answers as expected", seconds=0.9),
]
DAMAGED = check("amcheck", status="failed", words="btree index damaged")
MUTE = check("counts", "", "could_not_run", "no manifest")


def step(name: str = "newest", **changed: Any) -> dict[str, Any]:
    return {
        "name": name,
        "target": "latest",
        "repository": "store",
        "offsite": True,
        "backup": LABEL,
        "stopped_at": STOPPED,
        "begun": 2.3,
        "phases": {"fetch": 61.2, "recover": 51.1, "promote": 0.9, "verify": 40.0},
        "checks": PROVEN,
        "error": "",
    } | changed


def facts(**changed: Any) -> dict[str, Any]:
    return {
        "cluster": "db1",
        "stanza": "db1",
        "version": 17,
        "profile": "quick",
        "objectives": {"recovery_time_seconds": 900, "recovery_point_seconds": 300},
        "recovery_time_seconds": 113.2,
        "recovery_point_seconds": 12.1,
        "recovery_point_worst_seconds": 240.0,
        "size_bytes": 5_012_340_000,
        "bytes_per_second": 81_900_000,
        "preflight": PREFLIGHT,
        "steps": [step()],
        "repeat": "pgstead run drill_quick",
    } | changed


def past(started: str, time: float | None = 100.0, point: float | None = 10.0, **changed: Any) -> dict[str, Any]:
    return {
        "started": started,
        "profile": "quick",
        "status": "ok",
        "recovery_time_seconds": time,
        "recovery_point_seconds": point,
        "size_bytes": 5_000_000_000,
    } | changed
