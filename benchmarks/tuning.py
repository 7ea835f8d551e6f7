#!/usr/bin/env python3
"""Tuning: Debian's default, PGTune's and Pigsty's formulas, and this collection's, on the same server and data.

Method. One container with PostgreSQL 17 of Debian 13, one cluster with data checksums, one data set. Each
configuration is a file in conf.d and a restart, after which everything is read once (pg_prewarm), so nobody pays for
a cold cache. The rounds are interleaved: every round runs every configuration once, and the order rotates from round
to round, so that a slow minute of the machine falls on all of them. Figures are medians with the median absolute
deviation (MAD).

WAL per transaction. Every configuration runs the same number of TPC-B transactions in two equal segments. A
CHECKPOINT stands before the first segment and one ends each segment: the same commands, at the same transaction
counts, in every configuration, with checkpoint_timeout and max_wal_size left as each configuration has them. So the
window is exactly two whole checkpoint cycles for a configuration that would have gone on longer, and more than two
for one whose max_wal_size asks for checkpoints in between (the column "checkpoints" counts those completed, from
pg_stat_checkpointer). WAL is the distance of insert positions over the whole window, the checkpoints' own records
included. This favours short intervals: a page is written whole to WAL on its first change after a checkpoint, so the
WAL per transaction of a cycle falls with its length, and cutting a 15-minute cycle to some seconds can only overstate
the WAL of a configuration with long cycles. What is printed is an upper bound for PGTune, Pigsty and pgstead; for
Debian, whose natural cycle at this rate is shorter than a segment, it overstates by the one cycle that is cut short.
pgbench's rows are blanks and flatter wal_compression; the full-page images per transaction, which compression does
not change, are printed beside.

Throughput of TPC-B is transactions over the time of both segments and of the CHECKPOINT that ends each, so that
writing back what a segment dirtied is part of the work of whoever put it off.

Crash recovery: after a CHECKPOINT and a fixed number of transactions all processes are killed; the time from the
start command until a connection is accepted. The kernel's page cache survives: it is a process crash, not a power
cut. Large max_wal_size and long checkpoint_timeout are paid for here, which is why it stands beside.

Single statements (sort, join, index) run before the transactions of their round, after a VACUUM and a CHECKPOINT that
every configuration gets alike, so that no autovacuum or write-back of the workload before is measured with them. Each
runs once unmeasured and then four times on one connection, as from a pool; the mean is the round's figure.

What they are, and why: the sort is a list of a month's orders, the largest first (41,000 rows of 800 bytes), the join
is an export: every order with its customer, in whole rows, as an ORM reads them. Both were chosen to spill with the
default work_mem and to fit a tuned one, because work_mem changes nothing elsewhere, and among some twenty shapes
(see docs/tuning.md): with everything in the page cache, spilling costs memory copies, so wide rows show it and narrow
ones hardly. Therefore two statements stand beside the limits, and part of no verdict, in which a larger work_mem gains
nothing or loses: a report of what each customer ordered (one hash larger than the processor's caches instead of
parallel sorts), and a sort too large for any of the configurations (2 million text keys).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from _common import (
    GB,
    KB,
    MB,
    Summary,
    Verdict,
    add_common_arguments,
    at_least,
    at_most,
    busy_seconds,
    main,
    memory_bytes,
    processors,
    report,
    show,
    summarise,
    table,
)
from _peers import Configuration, Host, configurations
from _server import Server, choose_image
from _workloads import FULL, QUICK, WORKLOADS, seed, warm

Rounds = dict[str, dict[str, list[dict[str, float]]]]
Summaries = dict[str, dict[str, dict[str, Summary]]]

COMPARED = {
    "tpcb": ("tps_with_checkpoints", True),
    "select": ("tps", True),
    "sort": ("seconds", False),
    "join": ("seconds", False),
    "index": ("seconds", False),
}
BUDGET_SHARE = 0.8


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    add_common_arguments(parser, "tuning.json")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds (5; quick: 2)")
    parser.add_argument("--only", help="configurations to run, comma-separated")
    parser.add_argument("--workloads", help=f"workloads to run, comma-separated: {', '.join(WORKLOADS)}")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="add a configuration: pgstead's settings changed by this JSON object, in which `environment` is the server's",
    )
    parser.add_argument("--no-checksums", action="store_true", help="a cluster without data checksums, as Debian's is")
    return parser.parse_args()


def chosen(options: argparse.Namespace, host: Host) -> list[Configuration]:
    """The configurations asked for."""
    known = configurations(host)
    base, variants = known[-1], []
    for variant in options.variant:
        name, _, changes = variant.partition("=")
        settings = base.settings | json.loads(changes)
        variants.append(Configuration(name, settings, settings.pop("environment", {})))
    names = options.only.split(",") if options.only else [item.name for item in known]
    return [*(item for item in known if item.name in names), *variants]


def measure(
    server: Server, candidates: list[Configuration], rounds: int, options: argparse.Namespace
) -> tuple[Rounds, list[float]]:
    """Run every configuration once in every round, rotating the order; with the processors' share others took."""
    size = QUICK if options.quick else FULL
    asked = options.workloads.split(",") if options.workloads else list(WORKLOADS)
    workloads = [name for name in WORKLOADS if name in asked]
    results: Rounds = {item.name: {work: [] for work in workloads} for item in candidates}
    foreign = []
    for number in range(rounds):
        turn = number % len(candidates)
        for candidate in candidates[turn:] + candidates[:turn]:
            started, busy, own = time.monotonic(), busy_seconds(), server.processor_seconds()
            server.configure(candidate.settings, candidate.environment)
            warm(server)
            for work in workloads:
                results[candidate.name][work].append(WORKLOADS[work](server, size))
            seconds = time.monotonic() - started
            others = (busy_seconds() - busy) - (server.processor_seconds() - own)
            foreign.append(max(0.0, others) / seconds / processors())
            print(
                f"round {number + 1}/{rounds}  {candidate.name:<10} {seconds:5.0f} s, others {foreign[-1]:.0%}",
                flush=True,
            )
    return results, foreign


def summaries(results: Rounds) -> Summaries:
    """Every figure of every workload over the rounds."""
    return {
        name: {
            work: {figure: summarise([one[figure] for one in rounds]) for figure in rounds[0]}
            for work, rounds in works.items()
        }
        for name, works in results.items()
    }


COLUMNS: list[tuple[str, str, str, float, int]] = [
    ("TPC-B tps", "tpcb", "tps_with_checkpoints", 1, 0),
    ("WAL kB/txn", "tpcb", "wal_per_transaction", KB, 2),
    ("full pages/txn", "tpcb", "full_pages_per_transaction", 1, 2),
    ("checkpoints", "tpcb", "checkpoints", 1, 0),
    ("select tps", "select", "tps", 1, 0),
    ("sort s", "sort", "seconds", 1, 2),
    ("join s", "join", "seconds", 1, 2),
    ("index s", "index", "seconds", 1, 2),
    ("sort temp MB", "sort", "temporary_mb", 1, 0),
    ("join temp MB", "join", "temporary_mb", 1, 0),
    ("index temp MB", "index", "temporary_mb", 1, 0),
    ("recovery s", "recovery", "seconds", 1, 2),
    ("redo MB", "recovery", "redo_mb", 1, 0),
    ("report s", "report", "seconds", 1, 2),
    ("huge sort s", "huge_sort", "seconds", 1, 2),
]


def print_table(found: Summaries) -> None:
    """One line per figure, one column per configuration; median ± MAD, and the spread in the JSON."""
    names = list(found)
    rows = []
    for title, work, figure, scale, digits in COLUMNS:
        if all(work in found[name] for name in names):
            rows.append([title, *(show(found[name][work][figure], scale, digits) for name in names)])
    print()
    print(table(["median ± MAD", *names], rows))


def memory_budget(server: Server, candidate: Configuration) -> float:
    """What docs/tuning.md counts, with one work area for each connection, from what the server says, in bytes."""
    server.configure(candidate.settings)
    rows = server.query("SELECT name, setting, unit FROM pg_settings")
    units = {"8kB": 8 * KB, "kB": KB, "MB": MB, "B": 1}
    value = {name: int(setting) * units.get(unit, 1) for name, setting, unit in rows if setting.lstrip("-").isdigit()}
    hashes = float(next(setting for name, setting, _unit in rows if name == "hash_mem_multiplier"))
    vacuum = value["autovacuum_work_mem"] if value["autovacuum_work_mem"] > 0 else value["maintenance_work_mem"]
    return (
        value["shared_buffers"]
        + value["wal_buffers"]
        + (value["max_connections"] + processors() * (hashes - 1)) * value["work_mem"]
        + value["maintenance_work_mem"]
        + value["autovacuum_max_workers"] * vacuum
    )


def compare(found: Summaries, subject: str, peer: str) -> list[Verdict]:
    """No workload of the subject is worse than the peer's by more than twice the larger of the two MADs."""
    verdicts = []
    for work, (figure, more_is_better) in COMPARED.items():
        if work not in found[subject]:
            continue
        mine, other = found[subject][work][figure], found[peer][work][figure]
        shortfall = other.median - mine.median if more_is_better else mine.median - other.median
        tolerance = 2 * max(mine.mad, other.mad)
        unit = "tps" if more_is_better else "s"
        verdicts.append(
            Verdict(
                f"{work} not below {peer}",
                f"behind by <= 2 MAD = {tolerance:.3g} {unit}",
                f"{mine.median:.4g} against {other.median:.4g} {unit}",
                shortfall <= tolerance,
            )
        )
    return verdicts


def limits(found: Summaries, subject: str) -> list[Verdict]:
    """The figures the project has set itself against Debian's default."""
    mine, default = found[subject], found["debian"]
    verdicts = []
    if "tpcb" in mine:
        ratio = mine["tpcb"]["wal_per_transaction"].median / default["tpcb"]["wal_per_transaction"].median
        fewest = min(works["tpcb"]["checkpoints"].low for works in found.values())
        verdicts.append(at_most("WAL per transaction against Debian's default", ratio, 0.2, " x"))
        verdicts.append(at_least("checkpoints completed in every window", fewest, 2))
    for work, limit in (("join", 1.8), ("sort", 1.2)):
        if work in mine:
            ratio = default[work]["seconds"].median / mine[work]["seconds"].median
            verdicts.append(at_least(f"{work} against Debian's default", ratio, limit, " x"))
    return verdicts


def verdicts_of(found: Summaries, subject: str, budget: float, host: Host) -> list[Verdict]:
    """All verdicts on one configuration."""
    share = budget / host.memory_bytes
    verdicts = limits(found, subject) if "debian" in found else []
    verdicts.append(at_most("memory budget as a share of memory", share, BUDGET_SHARE))
    for peer in ("debian", "pgtune", "pigsty"):
        if peer in found:
            verdicts += compare(found, subject, peer)
    return verdicts


def run() -> int:
    """Measure, print, judge."""
    options = arguments()
    image = choose_image(options.image)
    disk = os.statvfs(Path("/"))
    host = Host(memory_bytes(), processors(), disk.f_blocks * disk.f_frsize)
    candidates = chosen(options, host)
    rounds = options.rounds or (2 if options.quick else 5)
    with Server("pgstead-bench-tuning", image, checksums=not options.no_checksums, keep=options.keep) as server:
        print(f"seeding a cluster of {image} …", flush=True)
        seed(server, QUICK if options.quick else FULL)
        results, foreign = measure(server, candidates, rounds, options)
        budgets = {item.name: memory_budget(server, item) for item in candidates}
    found = summaries(results)
    print_table(found)
    print(
        "\nmemory budget: "
        + ", ".join(f"{name} {value / GB:.1f} GiB" for name, value in budgets.items())
        + f" of {host.memory_bytes / GB:.1f} GiB"
    )
    print(f"the processors were busy with something else for {summarise(foreign).median:.0%} of a configuration's time")
    subjects = [item.name for item in candidates if item.name not in ("debian", "pgtune", "pigsty")]
    verdicts = [verdict for subject in subjects[:1] for verdict in verdicts_of(found, subject, budgets[subject], host)]
    body: dict[str, Any] = {
        "settings": {item.name: item.settings for item in candidates},
        "memory_budget_bytes": budgets,
        "processors_taken_by_others": foreign,
        "figures": found,
        "rounds": results,
    }
    return report(options.output, options.quick, __doc__ or "", body, verdicts)


if __name__ == "__main__":
    main(run)
