"""The listed mutations fit the code, and the runner tells a guard from a test that passes, breaks or hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.tests.mutations import (
    CAUGHT,
    ROOT,
    Mutation,
    Result,
    Run,
    Worker,
    carry_out,
    every,
    line,
    mutated,
    read,
    verdict,
)

LISTED = every()
SECONDS = 120


@pytest.mark.parametrize("mutation", LISTED, ids=lambda mutation: mutation.check)
def test_a_listed_mutation_fits_the_code_and_names_a_test(mutation: Mutation) -> None:
    mutated(mutation, ROOT)
    file, _, name = mutation.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_no_check_is_listed_twice() -> None:
    assert len({each.check for each in LISTED}) == len(LISTED)


CODE = """
def limit(value):
    if value > 10:
        value = 10
    return value
"""
TESTS = """
import threading

import pytest

from code_under_test import limit


@pytest.fixture
def limited():
    assert limit(11) == 10
    return limit(11)


def test_limit():
    assert limit(11) == 10


def test_nothing():
    assert limit(1) == 1


def test_by_fixture(limited):
    assert limited == 10


def test_red():
    assert limit(11) == 11


def test_hangs():
    threading.Event().wait()


@pytest.mark.skip
def test_skipped():
    assert limit(11) == 10
"""
FILES = ["code_under_test.py", "test_code.py"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    for name, text in zip(FILES, (CODE, TESTS), strict=True):
        (directory / name).write_text(text)
    return directory


def mutation(test: str, replace: str = "value > 10", instead: str = "value > 99") -> Mutation:
    return Mutation("the limit holds", "code_under_test.py", replace, instead, f"test_code.py::{test}")


def test_verdicts(root: Path) -> None:
    tried = [
        (mutation("test_limit"), CAUGHT),
        (mutation("test_limit", instead="value < 0"), CAUGHT),  # the first patch was undone
        (mutation("test_nothing"), "NOT caught: the test passes without the check"),
        (mutation("test_limit", "value"), "`replace` occurs 4 times, and must once"),
        (mutation("test_limit", "gone"), "`replace` occurs 0 times, and must once"),
        (mutation("test_limit", instead="value > 10"), "`replace` is replaced by itself"),
        (mutation("test_limit", instead="value >"), "is no Python"),
        (mutation("test_limit", instead="valeu > 10"), "the test did not fail, it broke"),
        (mutation("test_limit", "def limit", "def limits"), "the test did not fail, it broke"),
        (mutation("test_by_fixture"), "the test did not fail, it broke"),
        (mutation("test_red"), "the test does not pass as things are"),
        (mutation("test_skipped"), "the test does not pass as things are"),
        (mutation("test_gone"), "the test does not pass as things are"),
    ]
    results = carry_out([each for each, _words in tried], root, FILES, SECONDS)
    said = {result.mutation: result.verdict for result in results}
    assert len(said) == len(tried)
    for each, words in tried:
        assert words in said[each], each
    assert (root / "code_under_test.py").read_text() == CODE


def test_a_test_that_hangs_is_cut_off_and_guards_nothing(root: Path, tmp_path: Path) -> None:
    run = Worker(tmp_path / "worker", FILES, root, 1).test("test_code.py::test_hangs")
    assert (run.code, run.words) == (None, "it was cut off after 1 s")
    assert "it broke" in verdict(run)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (Run(1, failed=1), CAUGHT),
        (Run(1, passed=3, failed=1), CAUGHT),
        (Run(0, passed=1), "NOT caught"),
        (Run(1, failed=1, broken=1), "broke"),
        (Run(1, broken=1), "broke"),
        (Run(2), "broke"),
        (Run(5), "broke"),
    ],
)
def test_only_a_failure_guards(run: Run, words: str) -> None:
    assert words in verdict(run)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "not a list with at least one"),
        ({}, "not a list with at least one"),
        ([{"check": "x"}], "entry 1 does not have exactly the keys"),
        ([dict.fromkeys(("check", "file", "replace", "with", "test"), 1)], "entry 1 .* no text"),
    ],
)
def test_what_is_no_list_of_mutations(raw: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(raw)


def test_a_line_names_the_test_where_something_is_wrong() -> None:
    assert line(Result(mutation("t"), CAUGHT, 1.25)) == "    caught     1.2 s  code_under_test.py: the limit holds"
    assert line(Result(mutation("t"), "NOT caught", 1.0)).endswith("NOT caught\n        test_code.py::t")
