#!/usr/bin/env python3
"""Schema: 500 indexes, 100 foreign keys without an index and 50 checks on 140 populated tables.

Method. PostgreSQL 17 of Debian 13 in a container with this collection's own settings; modules, ansible-playbook and
psql reach it through a Unix socket, by peer authentication, so that nobody pays for passwords, TLS or a network. One
database is filled once (at least 2 GiB; no two tables' rows are alike); every first apply works on a copy of it
(CREATE DATABASE … TEMPLATE … STRATEGY file_copy) that is read into shared buffers (pg_prewarm) and followed by a
CHECKPOINT. Rounds are interleaved and their order rotates. 650 objects: `indexes` with 500, `foreign_key_indexes` with
mode create, which finds 100, and `check_constraints` with 50.

Module time is the wall time of the module processes, summed: AnsiballZ_<module>.py as ansible-playbook packed it
(ANSIBLE_KEEP_REMOTE_FILES), started by Debian's python3 as on a host, so interpreter, unpacking, compilation, imports,
connection and answer are in it, and what Ansible does on the controller is not. The same as plain Python modules (`python -m`,
compiled files on disk) stands beside it, with a verdict of its own.

The limit of a first apply is psql with the very statements: those of the module's plan in check mode, in its order;
each transaction as the engine sends it, BEGIN, timeouts, search path and COMMIT in one message, and each CONCURRENTLY
alone. The database it leaves must satisfy the modules without a change. The peer is
community.postgresql.postgresql_idx (concurrent, as ours) in a loop over the same 600 indexes, wall of ansible-playbook
against wall of ansible-playbook; the checks are not among its 600 and are among our 650. It knows an index by its name
only and has no INCLUDE: ours is smuggled in through its list of columns, so that both build the same. Its no-op is
measured on what its own first run left.

How long writers were blocked: _schema_writers.py. lock_timeout is the default, 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _schema_data as data
import _schema_writers as writers
from _common import (
    REPOSITORY,
    BenchmarkError,
    Verdict,
    add_common_arguments,
    at_least,
    at_most,
    main,
    memory_bytes,
    need,
    processors,
    report,
    show,
    summarise,
    table,
)
from _peers import Host, ours
from _schema_runner import MODULES, PYTHON, SEED, Item, Runner, Steps, loop_items, reach, script
from _server import Server, choose_image

NO_OP_LIMIT, LOOP_LIMIT, PSQL_LIMIT = 1.5, 40.0, 1.3


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    add_common_arguments(parser, "schema.json")
    parser.add_argument("--rounds", type=int, default=0, help="first applies of pgstead and psql (3; quick: 1)")
    parser.add_argument("--peer-rounds", type=int, default=1, help="first applies of the peer (1)")
    parser.add_argument("--no-op-rounds", type=int, default=0, help="no-op and check mode (5; quick: 2)")
    parser.add_argument("--loop-rounds", type=int, default=3, help="no-op rounds in which the peer's loop runs (3)")
    parser.add_argument("--loop-items", type=int, default=30, help="only with --quick: measure so many and extrapolate")
    parser.add_argument("--only", default="apply,no-op,writers", help="parts to run, comma-separated")
    parser.add_argument("--breakdown", action="store_true", help="print where the time of the no-op goes, and no more")
    return parser.parse_args()


def fill(server: Server, size: data.Size) -> dict[str, float]:
    """Make and fill the database that all others are copies of."""
    server.query(f"CREATE DATABASE {SEED}", "postgres")
    server.query("CREATE EXTENSION pg_prewarm", SEED)
    for statement in data.statements(size):
        server.query(statement, SEED)
    sizes = "sum(pg_table_size(oid)), sum(pg_indexes_size(oid)), sum(reltuples), count(*)"
    ((heap, keys, rows, count),) = server.query(
        f"SELECT {sizes} FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace", SEED
    )
    return {"table_bytes": int(heap), "index_bytes": int(keys), "rows": int(rows), "tables": int(count)}


def run_script(runner: Runner, database: str, text: str) -> float:
    """psql with the plan's statements, on a database that has the collection's book-keeping tables already."""
    from ansible_collections.pgstead.ops.plugins.module_utils._pg import ledger

    connection = runner.server.connect(database)
    ledger.prepare(connection)
    connection.close()
    return runner.psql(database, text)


def satisfied(runner: Runner, database: str) -> int:
    """How many steps our modules still see in a database."""
    return len(runner.modules(database, check=True).steps)


def measure_apply(runner: Runner, steps: Steps, rounds: int, peer_rounds: int, items: list[Item]) -> dict[str, Any]:
    """First applies, each on a copy of its own."""
    found: dict[str, Any] = {"pgstead": [], "psql": [], "play": [], "peer": [], "modules": [], "left": []}
    for number in range(rounds):
        cases = ["pgstead", "psql"] if number % 2 == 0 else ["psql", "pgstead"]
        for case in [*cases, *(["play", "peer"] if number < peer_rounds else [])]:
            database = f"schema_{case}"
            if case == "pgstead":
                runner.pack(database if number else runner.copy(database))
            runner.copy(database)
            if case == "pgstead":
                done = runner.modules(database)
                found["modules"].append(done.seconds)
                found["steps"] = [(step["kind"], step["action"], step["seconds"]) for step in done.steps]
                seconds = done.total
            elif case == "psql":
                seconds = run_script(runner, database, script(steps))
                found["left"].append(satisfied(runner, database))
            else:
                tasks = runner.tasks(database) if case == "play" else runner.loop(database, items)
                seconds = runner.playbook(tasks)[0]
            found[case].append(seconds)
            print(f"first apply {number + 1}/{rounds}  {case:<8} {seconds:7.1f} s", flush=True)
    return found


def measure_no_op(runner: Runner, rounds: int, loop_rounds: int, items: list[Item], scale: float) -> dict[str, Any]:
    """Nothing to do, and check mode with everything to do."""
    found: dict[str, Any] = {name: [] for name in ("packed", "plain", "play", "loop", "check", "check_bare", "changes")}
    mine = runner.tasks("schema_pgstead")
    for number in range(rounds):
        cases = ["packed", "plain", "play", "loop", "check", "check_bare"]
        for case in cases[number % len(cases) :] + cases[: number % len(cases)]:
            if case == "loop" and number >= loop_rounds:
                continue
            if case in ("play", "loop"):
                tasks = mine if case == "play" else runner.loop("schema_peer", items)
                seconds, changed = runner.playbook(tasks)
                changes = int(changed)
                if case == "loop" and scale != 1:
                    start = runner.playbook(runner.loop("schema_peer", []))[0]
                    seconds = start + (seconds - start) * scale
                found["changes"].append(changes)
            else:
                database = "schema_bare" if case == "check_bare" else "schema_pgstead"
                done = runner.modules(database, check=case.startswith("check"), plain=case == "plain")
                seconds = done.total
                if case != "check_bare":
                    found["changes"].append(len(done.steps))
            found[case].append(seconds)
            print(f"no-op {number + 1}/{rounds}  {case:<10} {seconds:7.2f} s", flush=True)
    return found


def breakdown(runner: Runner, rounds: int) -> dict[str, dict[str, float]]:
    """Where the time of the no-op goes, as plain Python modules: medians in seconds, by module and timer."""
    found = {}
    for name in MODULES:
        path, seen = runner.argument_file(name, "schema_pgstead"), []
        for _ in range(rounds):
            command = [PYTHON, str(REPOSITORY / "benchmarks" / "_schema_breakdown.py"), name, str(path)]
            done = subprocess.run(
                [*command, str(time.time())], env=runner.environment, capture_output=True, text=True, check=True
            )
            seen.append(json.loads(done.stderr.splitlines()[-1]))
        found[name] = {label: summarise([one.get(label, 0.0) for one in seen]).median for label in seen[0]}
    return found


def print_figures(found: Mapping[str, Any], scale: float) -> None:
    """The tables."""
    rows = []
    titles = {
        "apply": {
            "pgstead": "first apply, modules",
            "psql": "first apply, psql",
            "play": "first apply, ansible-playbook",
            "peer": "first apply, loop",
        },
        "no_op": {
            "packed": "no-op, modules",
            "plain": "no-op, modules as python -m",
            "play": "no-op, ansible-playbook",
            "loop": "no-op, loop" + (" (extrapolated)" if scale != 1 else ""),
            "check": "check mode, nothing to do",
            "check_bare": "check mode, everything to do",
        },
    }
    for part, names in titles.items():
        for key, title in names.items():
            values = found.get(part, {}).get(key)
            if values:
                seen = summarise(values)
                rows.append([title, show(seen), f"{seen.low:.2f} … {seen.high:.2f}", str(seen.n)])
    if rows:
        print("\n" + table(["", "seconds ± MAD", "spread", "n"], rows))
    if "breakdown" in found:
        labels = dict.fromkeys(label for one in found["breakdown"].values() for label in one)
        cells = {label: [one.get(label, 0.0) for one in found["breakdown"].values()] for label in labels}
        cells["all"] = [sum(one.values()) for one in found["breakdown"].values()]
        parts = [[label, *(f"{value * 1000:.0f}" for value in values)] for label, values in cells.items()]
        print("\n" + table(["no-op as python -m, ms", *MODULES], parts))
    if "writers" in found:
        lines = [
            [name, *(f"{figures[case]['longest'] * 1000:.0f}" for case in ("alone", "applied", "in the way"))]
            for name, figures in found["writers"].items()
        ]
        print("\n" + table(["writer's longest wait, ms", "alone", "applied", "somebody in the way"], lines))


def verdicts_of(found: Mapping[str, Any]) -> list[Verdict]:
    """The limits."""
    verdicts = []
    if "no_op" in found:
        seen = {name: summarise(values).median for name, values in found["no_op"].items()}
        verdicts.append(at_most("no-op of 650 objects, module time", seen["packed"], NO_OP_LIMIT, " s"))
        verdicts.append(at_most("the same as plain Python modules", seen["plain"], NO_OP_LIMIT, " s"))
        verdicts.append(at_most("no-op, changes", max(found["no_op"]["changes"]), 0))
        verdicts.append(at_least("no-op against the loop, wall", seen["loop"] / seen["play"], LOOP_LIMIT, " x"))
    if "apply" in found:
        mine, limit = (summarise(found["apply"][name]).median for name in ("pgstead", "psql"))
        verdicts.append(at_most("first apply against psql", mine / limit, PSQL_LIMIT, " x"))
        verdicts.append(at_most("steps our modules see in what psql left", max(found["apply"]["left"]), 0))
    if "writers" in found:
        longest = max(one[case]["longest"] for one in found["writers"].values() for case in ("applied", "in the way"))
        limit = (writers.LOCK_TIMEOUT + writers.SLACK) * 1000
        verdicts.append(at_most("longest wait of a writer", longest * 1000, limit, " ms"))
    return verdicts


def measure(runner: Runner, options: argparse.Namespace) -> dict[str, Any]:
    """Everything asked for."""
    parts, size = options.only.split(","), data.QUICK if options.quick else data.FULL
    print("filling the database …", flush=True)
    found: dict[str, Any] = {"load_at_start": round(os.getloadavg()[0], 2), "data": fill(runner.server, size)}
    print(", ".join(f"{name} {value}" for name, value in found["data"].items()), flush=True)
    steps = runner.modules(runner.copy("schema_bare"), check=True).steps
    items = loop_items(steps)
    found["objects"] = {"steps": len(steps), "indexes": len(items)}
    if options.quick:
        items = items[: options.loop_items]
    scale = found["objects"]["indexes"] / len(items)
    if "apply" in parts and not options.breakdown:
        rounds = options.rounds or (1 if options.quick else 3)
        found["apply"] = measure_apply(runner, steps, rounds, options.peer_rounds, items)
    else:
        for name in ("schema_pgstead", "schema_peer"):
            run_script(runner, runner.copy(name), script(steps))
    rounds = options.no_op_rounds or (2 if options.quick else 5)
    if "no-op" in parts and not options.breakdown:
        found["no_op"] = measure_no_op(runner, rounds, options.loop_rounds, items, scale)
    found["breakdown"] = breakdown(runner, max(rounds, 5))
    if "writers" in parts and not options.breakdown:
        runner.server.query("CREATE DATABASE schema_writers", "postgres")

        def apply(module: str, declared: Mapping[str, Any]) -> Mapping[str, Any]:
            result: Mapping[str, Any] = runner.one(module, "schema_writers", declared=declared)[1]
            return result

        quiet = 1.0 if options.quick else 3.0
        found["writers"] = writers.measure(runner.server, "schema_writers", size.writers, quiet, apply)
    print_figures(found, scale)
    return found


def run() -> int:
    """Measure, print, judge."""
    options = arguments()
    need("ansible-playbook", "run scripts/setup and source the file it names")
    if subprocess.run([PYTHON, "-c", "import psycopg2"], capture_output=True, check=False).returncode:
        raise BenchmarkError(f"{PYTHON} has no psycopg2: apt-get install python3-psycopg2")
    image = choose_image(options.image)
    disk = os.statvfs(Path("/"))
    host = Host(memory_bytes(), processors(), disk.f_blocks * disk.f_frsize)
    with (
        tempfile.TemporaryDirectory(prefix="pgstead-schema-") as directory,
        Server("pgstead-bench-schema", image, keep=options.keep) as server,
    ):
        reach(server)
        settings = ours(host).settings
        server.configure(settings)
        found = measure(Runner(Path(directory), server), options)
    if options.breakdown:
        return 0
    return report(options.output, options.quick, __doc__ or "", {"settings": settings, **found}, verdicts_of(found))


if __name__ == "__main__":
    main(run)
