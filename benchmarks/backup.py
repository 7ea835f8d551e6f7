#!/usr/bin/env python3
"""Backup: what a backup and a restore take through this collection, against bare pgBackRest, dumps, and pg_basebackup.

Method. PostgreSQL and pgBackRest of this machine's Debian packages, run as an unprivileged user in a directory of their own;
the system's clusters are not touched. Five tables of seeded rows (uuid, jsonb, text, numeric, times) with their indexes,
checksums on, the settings of this collection's oltp profile. Rounds are interleaved, their order rotates and turns; figures
are medians with the median absolute deviation. Seconds are wall time until what was written is on the disk (sync, for
everybody, and before the clock starts too).

Ours is the code of job backup_full (host files, a look at the repository before and after, the backup, expiry) as a
process of its own with the host's Python, and the restore module's way to its files (what the repository reaches, the
choice of a backup, the fetch). The limit is the bare command of pgBackRest with the same configuration, the one that role
backup renders by default: two processes, zstd, AES-256. Its expiry is not in its time; ours is in ours.

Each round makes a full backup in every way and brings each back: pgBackRest into an empty directory, with the WAL to its
end; base backups into an empty directory; dumps into an empty database of a running server. Then the newest rows change
and others are appended, both repositories get an incremental backup, the restored directories are damaged (one in ten of the
files of 1 MiB or more is deleted, another has a bad page), and pgBackRest restores over them. The dumps' statistics are not
gathered. Dumps and base backups are not encrypted.

Every restored database is compared with its source, row by row (their number, and an MD5 over all of them in the order of
the keys), and every restored directory is read by pg_checksums. One difference ends the run.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import _backup_rows as rows
from _backup_cluster import DATABASE, Cluster, World, timed, world
from _backup_engine import OURS, RAW, Engine, Setup
from _backup_peers import BaseBackups, Dumps, names, remove
from _common import (
    GB,
    MB,
    RESULTS,
    Summary,
    Verdict,
    at_least,
    at_most,
    host_description,
    main,
    memory_bytes,
    processors,
    report,
    show,
    summarise,
    table,
)
from _peers import Host, ours

LIMIT, DUMP_BACKUP, DUMP_RESTORE = 1.1, 2.5, 6.0
SMALL_GIGABYTES = 0.2
LEAST_GIGABYTES, LEAST_ROUNDS = 5.0, 5  # of a measurement
# the source, what is restored of it at one time, both repositories with WAL, and the backup of one peer
DISK_FACTOR, DISK_BASE = 9, 3 * GB
STEPS = ("full", "incremental", "restore", "delta restore")
DRILL, DRILL_LIMIT = "drill", 1.2
# ours beside the bare commands, with incremental backups and drills; or ours beside dumps and base backups
BARE, OTHERS = PARTS = ("bare", "others")
Round = dict[str, dict[str, float]]
Figures = Mapping[str, Mapping[str, Summary]]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument(
        "--gigabytes", type=float, default=LEAST_GIGABYTES, help="size of the database with its indexes, 10^9 bytes"
    )
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="interleaved rounds")
    parser.add_argument("--part", choices=PARTS, help="one half of the comparison, where there is no time for both")
    parser.add_argument("--small", action="store_true", help=f"{SMALL_GIGABYTES} GB, one round: no measurement")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where everything is made and removed")
    parser.add_argument("--output", type=Path, default=RESULTS / "backup.json", help="where the JSON goes")
    options = parser.parse_args()
    if options.small:
        options.gigabytes, options.rounds = SMALL_GIGABYTES, 1
    if not 0.05 <= options.gigabytes <= 1000 or options.rounds < 1:
        parser.error("--gigabytes takes 0.05 to 1000, --rounds at least 1")
    return options


class Bench:
    """The source with its rows, and every way to back it up."""

    def __init__(self, there: World, stack: ExitStack, gigabytes: float, part: str | None = None) -> None:
        self.world, self.size = there, rows.size(gigabytes)
        there.make("sockets")
        disk = shutil.disk_usage(there.directory)
        tuned = ours(Host(memory_bytes(), processors(), disk.total), there.major).settings
        self.settings = tuned | {"archive_mode": "on", "archive_command": "/bin/true", "archive_timeout": "300s"}
        self.source = stack.enter_context(Cluster(there, there.make("source"), 5501))
        self.empty = stack.enter_context(Cluster(there, there.make("empty"), 5502))
        self.expected: rows.Digests = {}
        self.facts: dict[str, Any] = {"host_before": host_description()}
        self.names = {OURS: "pgstead"}
        self.names |= {RAW: "pgbackrest, bare commands"} if part != OTHERS else {}
        self.names |= names(there.major) if part != BARE else {}
        self.versions = [there.run(there.program("postgres"), "--version"), there.run("/usr/bin/pgbackrest", "version")]

    def prepare(self) -> None:
        """Load the source, start archiving, and have an empty server for the dumps."""
        self.source.create(self.settings)
        self.source.start("wal_level=minimal", "max_wal_senders=0", "archive_mode=off")
        self.source.query(f"CREATE DATABASE {DATABASE}", "postgres")
        rows.load(self.source, self.size)
        self.source.stop()
        self.source.start()
        self.empty.create(self.settings | {"archive_mode": "off"})
        self.empty.start()
        self.setup = Setup(self.world, self.source)
        self.setup.create()
        self.engines = {who: Engine(self.setup, who) for who in (OURS, RAW)}
        self.dumps = Dumps(self.world, self.source, self.empty, self.whole)
        self.bases = BaseBackups(self.world, self.source, self.serve)
        self.expected = rows.digests(self.source)
        ((size,),) = self.source.query(f"SELECT pg_database_size('{DATABASE}')")
        self.facts |= {"database_bytes": int(size), "rows": self.size.rows, "writes": self.size.written}

    def whole(self, name: str, cluster: Cluster, database: str) -> None:
        """Refuse what is not as the source is."""
        rows.compare(self.names.get(name, name), self.expected, rows.digests(cluster, database))

    def serve(self, name: str, data: Path) -> float:
        """Start what was restored, compare it, stop it and check its pages; seconds until it was open for writing."""
        with Cluster(self.world, data, 5503) as restored:
            seconds = restored.start("archive_mode=off")
            self.whole(name, restored, DATABASE)
            restored.stop()
        self.world.run(self.world.program("pg_checksums"), "--check", "-D", data)
        return seconds

    def whole_way(self, name: str) -> dict[str, float]:
        """Back up in one way, and bring it back."""
        if name in self.engines:
            engine = self.engines[name]
            full = timed(lambda: engine.make("full"))
            size = engine.stored("full")
            engine.forget()
            self.world.make(engine.target.name)
            fetch = timed(engine.fetch)
            serve = self.serve(name, engine.target)
            return {"full": full, "full bytes": size, "restore": fetch, "until open": fetch + serve}
        way = {
            "plain": self.dumps.plain,
            "directory": self.dumps.directory,
            "base plain": self.bases.plain,
            "base tar": self.bases.tar,
        }[name]
        done = way(name)
        return {"full": done.backup, "full bytes": done.size, "until open": done.restore}

    def changes(self, number: int) -> None:
        """Make a round's localised writes."""
        ((before,),) = self.source.query("SELECT pg_current_wal_insert_lsn()")
        rows.change(self.source, self.size, number)
        ((written,),) = self.source.query(f"SELECT pg_current_wal_insert_lsn() - '{before}'::pg_lsn")
        self.facts.setdefault("wal_bytes_of_writes", []).append(int(written))
        self.expected = rows.digests(self.source)

    def after_changes(self, name: str, number: int) -> dict[str, float]:
        """An incremental backup, damage, and a restore over what is damaged."""
        engine = self.engines[name]
        incremental = timed(lambda: engine.make("incr"))
        size = engine.stored("incr")
        self.facts.setdefault("damage", {})[f"round {number + 1}, {name}"] = rows.damage(engine.target, number)
        fetch = timed(engine.fetch)
        serve = self.serve(name, engine.target)
        remove(engine.target)
        told = {"incremental": incremental, "incremental bytes": size}
        return {**told, "delta restore": fetch, "delta until open": fetch + serve}

    def drill(self, number: int) -> dict[str, float]:
        """A quick drill of ours, and beside it what its first restore is to the bare commands."""

        def bare() -> float:
            engine = self.engines[RAW]
            self.world.make(engine.target.name)
            seconds = timed(engine.fetch)
            remove(engine.target)
            return seconds

        before = bare() if number % 2 else 0.0
        answer = self.engines[OURS].drill()
        raw = before or bare()
        newest, target = answer["facts"]["steps"]
        found = {f"newest: {name}": seconds for name, seconds in newest["phases"].items()}
        found |= {f"target: {name}": seconds for name, seconds in target["phases"].items()}
        return {**found, "whole drill": answer["seconds"], "bare restore": raw}

    def round(self, number: int) -> Round:
        """Every way once, in an order that rotates and turns."""
        cases = list(self.names)
        turn = number // 2 * 2 % len(cases)
        cases = cases[turn:] + cases[:turn]
        found = {}
        for name in reversed(cases) if number % 2 else cases:
            print(f"  {self.names[name]}", flush=True)
            found[name] = self.whole_way(name)
        if RAW not in self.names:
            remove(self.engines[OURS].target)
            return found
        self.changes(number)
        for name in (RAW, OURS) if number % 2 else (OURS, RAW):
            print(f"  {self.names[name]}: incremental, delta restore", flush=True)
            found[name] |= self.after_changes(name, number)
        print("  drill", flush=True)
        found[DRILL] = self.drill(number)
        return found


def print_tables(bench: Bench, figures: Figures) -> None:
    """What was measured, with the ratios."""
    host, facts = bench.facts["host_before"], bench.facts
    print(f"\n{host['processors']} x {host['processor']}, {host['memory_gib']} GiB, load before {host['load_before']}")
    versions = ", ".join(one.strip() for one in bench.versions)
    print(f"{versions}; database {facts['database_bytes'] / 1e9:.2f} GB, {sum(bench.size.rows.values())} rows")
    if RAW in figures:
        print(f"writes: {facts['writes']}, WAL {[round(one / MB) for one in facts['wal_bytes_of_writes']]} MiB")
        print(f"damage, last: {list(facts['damage'].values())[-1]}")
    print()
    header = ["", "backup s", "x ours", "restored, open s", "x ours", "size MB", "x ours"]
    body, mine = [], figures[OURS]
    for name in bench.names:
        found, cells = figures[name], [bench.names[name]]
        for key, scale, digits in (("full", 1, 2), ("until open", 1, 2), ("full bytes", 1e6, 0)):
            cells += [show(found[key], scale, digits), f"{found[key].median / mine[key].median:.2f}"]
        body.append(cells)
    print(table(header, body))
    if RAW not in figures:
        return
    body = [_beside(key, mine[key], figures[RAW][key]) for key in (*STEPS, "until open", "delta until open")]
    print("\n" + table(["seconds", "ours", "bare", "ours from-to", "bare from-to", "ratio", "limit"], body))
    body = [[key, show(found), _spread(found)] for key, found in figures[DRILL].items()]
    print("\n" + table(["quick drill", "seconds", "from-to"], body))
    sizes = [f"{name} {show(figures[name]['incremental bytes'], 1e6, 1)}" for name in (OURS, RAW)]
    print(f"\nstored by the incremental backup, MB: {', '.join(sizes)}")


def _beside(key: str, mine: Summary, bare: Summary) -> list[str]:
    ratio, limit = f"{mine.median / bare.median:.3f}", str(LIMIT) if key in STEPS else ""
    return [key, show(mine), show(bare), _spread(mine), _spread(bare), ratio, limit]


def _spread(found: Summary) -> str:
    return f"{found.low:.2f}-{found.high:.2f}"


def _drilled(figures: Figures) -> float:
    found = figures[DRILL]
    return found["newest: fetch"].median / found["bare restore"].median


def verdicts_of(figures: Figures) -> list[Verdict]:
    """The limits."""
    mine, bare, dump, found = figures[OURS], figures.get(RAW), figures.get("plain"), []
    if bare:
        found += [
            at_most(f"{key} / bare pgbackrest", mine[key].median / bare[key].median, LIMIT, " x") for key in STEPS
        ]
        found += [at_most("fetch of a drill / bare pgbackrest", _drilled(figures), DRILL_LIMIT, " x")]
    if dump:
        found += [
            at_least("pg_dump | gzip / full backup", dump["full"].median / mine["full"].median, DUMP_BACKUP, " x"),
            at_least("psql / restore, open", dump["until open"].median / mine["until open"].median, DUMP_RESTORE, " x"),
        ]
    return found


def run() -> int:
    """Measure, print, judge."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    need = int(options.gigabytes * 1e9 * DISK_FACTOR + DISK_BASE)
    with world(options.directory, need) as there, ExitStack() as stack:
        bench = Bench(there, stack, options.gigabytes, options.part)
        started = time.monotonic()
        bench.prepare()
        print(f"loaded in {time.monotonic() - started:.0f} s", flush=True)
        rounds = []
        for number in range(options.rounds):
            started = time.monotonic()
            rounds.append(bench.round(number))
            print(f"round {number + 1}/{options.rounds} {time.monotonic() - started:5.0f} s", flush=True)
        figures = {
            name: {key: summarise([one[name][key] for one in rounds]) for key in rounds[0][name]} for name in rounds[0]
        }
        print_tables(bench, figures)
    small = options.gigabytes < LEAST_GIGABYTES or options.rounds < LEAST_ROUNDS
    if small:
        print(
            f"\n{options.gigabytes:g} GB in {options.rounds} rounds are NO MEASUREMENT, and no limit is judged: that takes "
            f"{LEAST_GIGABYTES:g} GB and {LEAST_ROUNDS} rounds"
        )
    body = {
        "settings": bench.settings,
        "versions": bench.versions,
        "facts": bench.facts,
        "figures": figures,
        "rounds": rounds,
    }
    return report(options.output, small, __doc__ or "", body, [] if small else verdicts_of(figures))


if __name__ == "__main__":
    main(run)
