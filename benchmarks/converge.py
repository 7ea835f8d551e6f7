#!/usr/bin/env python3
"""Converge: what provision.yml costs on its first run, with nothing to do, and in check mode.

Method. A fresh Debian 13 container with systemd per repetition of the first run, made by molecule/shared/create.yml
as the tests make theirs; the inventory is inventories/quickstart with the host renamed. Wall time is that of the
whole ansible-playbook process, its start included. The first run is followed by no-op runs and runs with --check;
medians, the median absolute deviation and all seconds are kept. Tasks are those the JSON callback reports; skipped
ones count, because they cost too. Packages come from the Debian mirror, so the first run contains the network; the
no-op does not.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import (
    REPOSITORY,
    BenchmarkError,
    Summary,
    Verdict,
    add_common_arguments,
    at_most,
    main,
    need,
    report,
    show,
    summarise,
    table,
)
from _server import choose_image, docker

HOST = "pgstead-bench-converge"
NO_OP_LIMIT = 15.0


@dataclass(frozen=True)
class Run:
    """One run of the playbook."""

    kind: str
    seconds: float
    tasks: int
    skipped: int
    changed: int
    slowest: list[tuple[str, float]]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    add_common_arguments(parser, "converge.json")
    parser.add_argument("--first-runs", type=int, default=0, help="fresh hosts (3; quick: 1)")
    parser.add_argument("--repeats", type=int, default=0, help="no-op and check runs, over all hosts (6; quick: 2)")
    parser.add_argument("--playbook", default="pgstead.ops.provision", help="what is run")
    parser.add_argument(
        "--inventory",
        type=Path,
        default=REPOSITORY / "inventories" / "quickstart",
        help="group_vars are taken from here",
    )
    return parser.parse_args()


class Controller:
    """An inventory of one container, and the environment ansible-playbook runs in."""

    def __init__(self, directory: Path, image: str, group_vars: Path) -> None:
        self.inventory = directory / "inventory"
        self.inventory.mkdir()
        (self.inventory / "group_vars").symlink_to(group_vars)
        hosts = {
            "postgresql": {
                "hosts": {HOST: {"pgstead_host_image": image}},
                "vars": {
                    "ansible_connection": "community.docker.docker",
                    "ansible_python_interpreter": "/usr/bin/python3",
                    "ansible_become": False,
                    "pgstead_host_memory": "2g",
                    "quickstart_secrets": str(directory / "secrets"),
                },
            }
        }
        (self.inventory / "hosts.json").write_text(json.dumps(hosts), encoding="utf-8")
        package = directory / "collections" / "ansible_collections" / "pgstead"
        package.mkdir(parents=True)
        (package / "ops").symlink_to(REPOSITORY)
        paths = [str(directory / "collections"), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")]
        self.environment = os.environ | {
            "ANSIBLE_COLLECTIONS_PATH": ":".join(path for path in paths if path),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
        }

    def play(self, kind: str, playbook: str, *options: str) -> Run:
        """Run a playbook and count what it did."""
        command = ["ansible-playbook", "-i", str(self.inventory), playbook, *options]
        started = time.perf_counter()
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        document = _json(done.stdout)
        if done.returncode != 0:
            raise BenchmarkError(f"{kind} failed ({' '.join(command)}): {_failure(document) or done.stderr[-800:]}")
        tasks = [task for play in document["plays"] for task in play["tasks"]]
        stats = document["stats"].get(HOST, {})
        timed = sorted(((_name(task), _seconds(task)) for task in tasks), key=lambda pair: -pair[1])
        return Run(kind, seconds, len(tasks), stats.get("skipped", 0), stats.get("changed", 0), timed[:5])

    def fresh(self) -> None:
        """Replace the host by a new one."""
        docker("rm", "--force", "--volumes", HOST, check=False)
        self.play("creating the host", str(REPOSITORY / "molecule" / "shared" / "create.yml"))


def _json(output: str) -> dict[str, Any]:
    """The callback's document; warnings may stand before it."""
    start = output.find("{\n")
    if start < 0:
        return {}
    document: dict[str, Any] = json.JSONDecoder().raw_decode(output[start:])[0]
    return document


def _name(task: dict[str, Any]) -> str:
    return str(task["task"]["name"])


def _seconds(task: dict[str, Any]) -> float:
    duration = task["task"].get("duration", {})
    if not {"start", "end"} <= duration.keys():
        return 0.0
    begin, end = (datetime.datetime.fromisoformat(duration[key]) for key in ("start", "end"))
    return float((end - begin).total_seconds())


def _failure(document: dict[str, Any]) -> str:
    """The first failed task and its message."""
    for play in document.get("plays", []):
        for task in play["tasks"]:
            for result in task["hosts"].values():
                if result.get("failed") and not result.get("ignore_errors"):
                    return f'task "{_name(task)}": {result.get("msg", result)}'[:800]
    return ""


def measure(controller: Controller, options: argparse.Namespace) -> list[Run]:
    """Fresh hosts, each with a first run and then no-op and check runs in turn."""
    hosts = options.first_runs or (1 if options.quick else 3)
    repeats = max(1, (options.repeats or (2 if options.quick else 6)) // hosts)
    runs: list[Run] = []
    for _ in range(hosts):
        controller.fresh()
        plan = [("first run", ()), *(repeats * [("no-op", ()), ("check", ("--check",))])]
        for kind, extra in plan:
            run = controller.play(kind, options.playbook, *extra)
            runs.append(run)
            print(f"{kind:<10} {run.seconds:6.1f} s  {run.tasks} tasks, changed={run.changed}", flush=True)
    return runs


def verdicts_of(runs: list[Run], seconds: dict[str, Summary]) -> list[Verdict]:
    """The no-op's limits."""
    changed = max(run.changed for run in runs if run.kind == "no-op")
    checked = max(run.changed for run in runs if run.kind == "check")
    return [
        at_most("no-op run", seconds["no-op"].median, NO_OP_LIMIT, " s"),
        at_most("no-op run, changed", changed, 0),
        at_most("check run after the first, changed", checked, 0),
    ]


def run() -> int:
    """Measure, print, judge."""
    options = arguments()
    need("ansible-playbook", "run scripts/setup and source the file it names")
    image = choose_image(options.image)
    with tempfile.TemporaryDirectory(prefix="pgstead-converge-") as directory:
        controller = Controller(Path(directory), image, options.inventory.resolve() / "group_vars")
        try:
            runs = measure(controller, options)
        finally:
            if not options.keep:
                docker("rm", "--force", "--volumes", HOST, check=False)
    kinds = ("first run", "no-op", "check")
    seconds = {kind: summarise([run.seconds for run in runs if run.kind == kind]) for kind in kinds}
    rows = []
    for kind in kinds:
        of_kind = [run for run in runs if run.kind == kind]
        last = of_kind[-1]
        rows.append(
            [
                kind,
                show(seconds[kind], digits=1),
                f"{seconds[kind].low:.1f} … {seconds[kind].high:.1f}",
                str(last.tasks),
                str(last.skipped),
                str(max(run.changed for run in of_kind)),
                str(len(of_kind)),
            ]
        )
    print("\n" + table(["", "seconds ± MAD", "spread", "tasks", "skipped", "changed", "n"], rows))
    slowest = [run for run in runs if run.kind == "no-op"][-1].slowest
    print("\nslowest tasks of the last no-op: " + ", ".join(f"{name} {took:.2f} s" for name, took in slowest))
    body = {"seconds": seconds, "runs": [vars(run) for run in runs], "playbook": options.playbook}
    return report(options.output, options.quick, __doc__ or "", body, verdicts_of(runs, seconds))


if __name__ == "__main__":
    main(run)
