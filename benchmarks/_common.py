"""What every benchmark shares: statistics, tables, verdicts, the description of the host, the JSON.

A benchmark prints medians of interleaved rounds with their spread, ends with one verdict line per limit, and exits
with 1 when a limit was missed: a missed figure is reported, never redefined.
"""

from __future__ import annotations

import argparse
import atexit
import datetime
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results"
KB, MB, GB = 1024, 1024**2, 1024**3


class BenchmarkError(Exception):
    """A benchmark could not be carried out; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Summary:
    """Median, median absolute deviation, and spread of one figure over the rounds."""

    median: float
    mad: float
    low: float
    high: float
    n: int


def summarise(values: Sequence[float]) -> Summary:
    """Summarise the rounds of one figure."""
    middle = statistics.median(values)
    mad = statistics.median([abs(value - middle) for value in values])
    return Summary(middle, mad, min(values), max(values), len(values))


@dataclass(frozen=True)
class Verdict:
    """One limit, what was measured against it, and whether it holds."""

    claim: str
    limit: str
    measured: str
    kept: bool

    def line(self) -> str:
        """The verdict as one line of text."""
        return f"{'kept  ' if self.kept else 'MISSED'}  {self.claim}: {self.measured} (limit {self.limit})"


def at_most(claim: str, value: float, limit: float, unit: str = "") -> Verdict:
    """A verdict for a figure that has to stay at or below its limit."""
    return Verdict(claim, f"<= {limit:g}{unit}", f"{value:.4g}{unit}", value <= limit)


def at_least(claim: str, value: float, limit: float, unit: str = "") -> Verdict:
    """A verdict for a figure that has to reach its limit."""
    return Verdict(claim, f">= {limit:g}{unit}", f"{value:.4g}{unit}", value >= limit)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A text table: the first column to the left, figures to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def render(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([render(header), "  ".join("-" * width for width in widths), *(render(row) for row in rows)])


def show(summary: Summary, scale: float = 1.0, digits: int = 2) -> str:
    """Median ± MAD as one cell."""
    return f"{summary.median / scale:.{digits}f} ±{summary.mad / scale:.{digits}f}"


def memory_bytes() -> int:
    """Memory of this host in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0))


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def host_description() -> dict[str, Any]:
    """What the figures were measured on; no name or address of the machine."""
    return {
        "processors": processors(),
        "processor": _cpu_model(),
        "memory_gib": round(memory_bytes() / GB, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%dT%H:%MZ"),
    }


def busy_seconds() -> float:
    """Processor time that everything on this host has used since it started, idle and waiting left out."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _wait, *interrupts_and_steal = (int(field) for field in fields)
    return (user + nice + system + sum(interrupts_and_steal)) / os.sysconf("SC_CLK_TCK")


def add_common_arguments(parser: argparse.ArgumentParser, results: str) -> None:
    """Options every benchmark takes."""
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that it works; proves nothing")
    parser.add_argument("--image", help="container image of the host (default: the one scripts/setup builds)")
    parser.add_argument("--keep", action="store_true", help="leave the containers running afterwards")
    parser.add_argument("--output", type=Path, default=RESULTS / results, help="where the JSON goes")


def report(path: Path, quick: bool, method: str, results: Mapping[str, Any], verdicts: Sequence[Verdict]) -> int:
    """Print the verdicts, write the JSON, and give the exit code: 1 when any limit was missed."""
    print()
    for verdict in verdicts:
        print(verdict.line())
    document = {
        "host": host_description(),
        "quick": quick,
        "repeat": "python3 " + " ".join(["benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]]),
        "method": " ".join(method.split()),
        "results": results,
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    target = path.with_name(path.stem + "-quick" + path.suffix) if quick else path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=2, default=_encode) + "\n", encoding="utf-8")
    print(f"\nwritten: {target.name}" + ("  (quick: these figures prove nothing)" if quick else ""))
    return 0 if all(verdict.kept for verdict in verdicts) else 1


def _encode(value: object) -> object:
    if isinstance(value, Summary):
        return asdict(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def main(run: Callable[[], int]) -> None:
    """Run a benchmark; errors it knows end in one line, not in a traceback."""
    try:
        sys.exit(run())
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


@cache
def use_collection() -> None:
    """Make `ansible_collections.pgstead.ops` importable from this checkout, whatever its directory is called."""
    root = Path(tempfile.mkdtemp(prefix="pgstead-import-"))
    package = root / "ansible_collections" / "pgstead"
    package.mkdir(parents=True)
    (package / "ops").symlink_to(REPOSITORY)
    atexit.register(shutil.rmtree, root)
    sys.path.insert(0, str(root))


def need(program: str, how: str) -> None:
    """Fail early when a program is missing, saying how to get it."""
    if shutil.which(program) is None:
        raise BenchmarkError(f"{program} is not installed: {how}")
