"""See that each safety check is guarded: take it out of a copy of the checkout, and demand that its test fails.

`mutations.yml` and those beside it, a part each, list them. A test counts as a guard only if it passes as
things are, and fails (is not broken, nor cut off) without the check. Run by `scripts/test mutations`; by hand
`python tests/mutations.py WORD`, for those with the word in their sentence or file.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from xml.etree import ElementTree

import yaml

ROOT = Path(__file__).resolve().parents[1]
LISTS = sorted((ROOT / "tests").glob("mutations*.yml"))
PLACE = "ansible_collections/pgstead/ops"
PROCESSES = 2
RUN_SECONDS = 300
GRACE_SECONDS = 30
KEYS = ("check", "file", "replace", "with", "test")
CAUGHT = "caught"
# what a patch that makes no sense brings about, in any test
_NONSENSE = ("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError")


@dataclass(frozen=True)
class Mutation:
    """A check, the patch that takes it out, and the test that must fail then."""

    check: str
    file: str
    replace: str
    instead: str
    test: str


@dataclass(frozen=True)
class Result:
    """What came of a mutation; `verdict` is `caught`, or what is wrong."""

    mutation: Mutation
    verdict: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """How a run of one test ended: pytest's code (None: cut off), and how many cases passed, failed and broke."""

    code: int | None
    passed: int = 0
    failed: int = 0
    broken: int = 0
    words: str = ""


def read(raw: Any) -> list[Mutation]:
    """Return the listed mutations. Raises ValueError, naming the entry that is none."""
    if not isinstance(raw, list) or not raw:
        raise ValueError("it is not a list with at least one entry")
    found = []
    for number, item in enumerate(raw, 1):
        if not isinstance(item, Mapping) or set(item) != set(KEYS):
            raise ValueError(f"entry {number} does not have exactly the keys {', '.join(KEYS)}")
        if not all(isinstance(item[key], str) for key in KEYS):
            raise ValueError(f"entry {number} ({item['check']}) has a value that is no text")
        found.append(Mutation(*(item[key] for key in KEYS)))
    return found


def every() -> list[Mutation]:
    """Return the mutations of all lists. Raises ValueError."""
    return [mutation for path in LISTS for mutation in read(yaml.safe_load(path.read_text(encoding="utf-8")))]


def mutated(mutation: Mutation, tree: Path) -> str:
    """Return the file's text without the check. Raises ValueError where the patch does not fit."""
    path = tree / mutation.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    times = text.count(mutation.replace)
    if times != 1 or mutation.replace == mutation.instead:
        what = f"occurs {times} times, and must once" if times != 1 else "is replaced by itself"
        raise ValueError(f"`replace` {what} in {mutation.file}")
    found = text.replace(mutation.replace, mutation.instead)
    if path.suffix == ".py":
        try:
            compile(found, mutation.file, "exec")
        except SyntaxError as error:
            raise ValueError(f"with the patch, {mutation.file} is no Python: {error}") from error
    return found


class Worker:
    """One copy of the checkout, in which one test runs at a time."""

    def __init__(self, directory: Path, files: Iterable[str], root: Path, seconds: float) -> None:
        self.directory, self.seconds = directory, seconds
        self.tree = directory / PLACE
        for name in files:
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, self.tree / name)

    def judge(self, mutation: Mutation, before: Run) -> str:
        """Say what came of a mutation, of a test that ended like `before` as things are."""
        if before.code != 0 or not before.passed or before.failed or before.broken:
            return f"the test does not pass as things are: {_told(before)}"
        path = self.tree / mutation.file
        try:
            text = mutated(mutation, self.tree)
        except ValueError as error:
            return str(error)
        kept = path.read_bytes()
        path.write_text(text, encoding="utf-8")
        try:
            return verdict(self.test(mutation.test))
        finally:
            path.write_bytes(kept)

    def test(self, node: str) -> Run:
        """Run one test in the copy."""
        report = self.directory / "report.xml"
        report.unlink(missing_ok=True)
        # no bytecode: a patched file may have the size and the second of the one before
        environment = os.environ | {"PYTHONPATH": str(self.directory), "PYTHONDONTWRITEBYTECODE": "1"}
        # a plugin for Molecule's tests takes longer to load than most tests to run
        environment |= {"ANSIBLE_COLLECTIONS_PATH": str(self.directory), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        plugins = ["-p", "no:cacheprovider", "-p", "xdist.plugin"]
        argv = [sys.executable, "-m", "pytest", "-q", *plugins, f"--junitxml={report}", node]
        with (self.directory / "output").open("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                argv, cwd=self.tree, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait(self.seconds)
            except subprocess.TimeoutExpired:
                _end(process)
                return Run(None, words=f"it was cut off after {self.seconds:g} s")
            output.seek(0)
            return counted(code, report, output.read())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a test: first as Ctrl-C does, so that it stops its servers."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def counted(code: int, report: Path, output: str) -> Run:
    """Read pytest's report."""
    cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    failures = [failure.get("message", "") for case in cases for failure in case.iter("failure")]
    nonsense = [message for message in failures if message.startswith(_NONSENSE)]
    errors = sum(case.find("error") is not None for case in cases)
    passed = sum(len(case) == 0 or {part.tag for part in case} <= {"system-out", "system-err"} for case in cases)
    words = " | ".join((nonsense or [line for line in output.splitlines() if line.strip()])[-1:])
    return Run(code, passed, len(failures) - len(nonsense), errors + len(nonsense), words)


def verdict(after: Run) -> str:
    """Judge how the test ended without the check."""
    if after.code == 0:
        return "NOT caught: the test passes without the check"
    if after.code != 1 or after.broken or not after.failed:
        return f"the test did not fail, it broke: {_told(after)}"
    return CAUGHT


def _told(run: Run) -> str:
    return f"pytest returned {run.code}, {run.passed} passed, {run.failed} failed, {run.broken} broken; {run.words}"


def carry_out(mutations: Sequence[Mutation], root: Path, files: Sequence[str], seconds: float) -> list[Result]:
    """Try all mutations; those of one test one after the other, so that it is seen to pass once."""
    by_test: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        by_test.setdefault(mutation.test, []).append(mutation)
    free: SimpleQueue[Worker] = SimpleQueue()

    def group(test: str) -> list[Result]:
        worker = free.get()
        try:
            before = worker.test(test)
            found = []
            for mutation in by_test[test]:
                since = time.monotonic()
                said = worker.judge(mutation, before)
                found.append(Result(mutation, said, time.monotonic() - since))
                print(line(found[-1]), flush=True)
            return found
        finally:
            free.put(worker)

    with tempfile.TemporaryDirectory(prefix="pgstead-mutations-") as scratch, ThreadPoolExecutor(PROCESSES) as pool:
        Path(scratch).chmod(0o755)  # servers run as another user
        for number in range(PROCESSES):
            free.put(Worker(Path(scratch, str(number)), files, root, seconds))
        return [result for results in pool.map(group, by_test) for result in results]


def line(result: Result) -> str:
    """Return a result as a line of the table."""
    word = CAUGHT if result.verdict == CAUGHT else "FAILED"
    told = "" if result.verdict == CAUGHT else f"\n        {result.verdict}\n        {result.mutation.test}"
    return f"    {word:<7} {result.seconds:6.1f} s  {result.mutation.file}: {result.mutation.check}{told}"


def files_of(root: Path) -> list[str]:
    """Return the files of a checkout, new ones included."""
    argv = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and (root / name).is_file()]


def main(words: Sequence[str]) -> int:
    try:
        listed = every()
    except (ValueError, yaml.YAMLError) as error:
        print(f"tests/mutations*.yml: {error}", file=sys.stderr)
        return 2
    chosen = [each for each in listed if all(word in f"{each.check} {each.file}" for word in words)]
    if not chosen:
        print(f"no mutation has {' and '.join(words)} in its sentence or file", file=sys.stderr)
        return 2
    results = carry_out(chosen, ROOT, files_of(ROOT), RUN_SECONDS)
    wrong = sum(result.verdict != CAUGHT for result in results)
    print(f"\n    {len(results) - wrong} of {len(results)} checks are guarded by a test")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
