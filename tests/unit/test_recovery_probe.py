"""What each check of a restored instance comes to, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import recovery_probe as judge
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_probe import (
    COULD_NOT_RUN,
    FAILED,
    PASSED,
    Check,
    Position,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_spec import (
    Canary,
    Counts,
    Extension,
    Statement,
)

ORDERS = QualifiedName("public", "orders")


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (["1"], PASSED, "1 rows present, 1 absent"),
        ([], FAILED, "row 1 must be present in public.orders, and is not"),
        (["1", "2"], FAILED, "row 2 must be absent from public.orders, and is there"),
    ],
)
def test_canary(found: list[str], status: str, words: str) -> None:
    said, told = judge.canary(Canary("shop", ORDERS, "id", ("1",), ("2",)), found)
    assert (said, words in told) == (status, True)


@pytest.mark.parametrize(
    ("tolerance", "rows", "status"),
    [(0, 200, PASSED), (0, 199, FAILED), (0, 201, FAILED), (5, 195, PASSED), (5, 194, FAILED), (5, None, FAILED)],
)
def test_counts(tolerance: int, rows: int | None, status: str) -> None:
    assert judge.counts(Counts(tolerance=Decimal(tolerance)), {ORDERS: 200}, {ORDERS: rows})[0] == status


@pytest.mark.parametrize(
    ("upward", "following", "furthest", "status"),
    [
        (True, 11, 10, PASSED),
        (True, 10, 10, FAILED),
        (True, 1, None, PASSED),
        (False, -11, -10, PASSED),
        (False, -10, -10, FAILED),
    ],
)
def test_sequences(upward: bool, following: int, furthest: int | None, status: str) -> None:
    come = None if furthest is None else Decimal(furthest)
    found = [Position(QualifiedName("public", "s"), "public.orders.id", upward, following, come)]
    assert judge.sequences(found)[0] == status


@pytest.mark.parametrize(("taken", "status"), [(True, FAILED), (False, PASSED)])
def test_a_sequence_may_be_behind_values_that_were_reserved(taken: bool, status: str) -> None:
    found = [
        Position(QualifiedName("public", "s"), "public.orders.id", upward=True, next=11, furthest=None, taken=taken)
    ]
    assert judge.sequences(found)[0] == status


def test_sequences_that_were_left_out_are_counted() -> None:
    words = "0 sequences give what their columns do not have yet"
    assert judge.sequences([]) == (PASSED, words)
    assert judge.sequences([], 3) == (PASSED, f"{words}; 3 of tables that a subscription fills were left out")


@pytest.mark.parametrize(
    ("version", "found", "status"),
    [("", {"x": "1"}, PASSED), ("1", {"x": "1"}, PASSED), ("2", {"x": "1"}, FAILED), ("", {}, FAILED)],
)
def test_extensions(version: str, found: dict[str, str], status: str) -> None:
    assert judge.extensions([Extension("shop", "x", version)], found)[0] == status


@pytest.mark.parametrize(("found", "status"), [("on", PASSED), ("off", FAILED), (None, FAILED)])
def test_settings(found: str | None, status: str) -> None:
    assert judge.settings({"fsync": "on"}, {"fsync": found})[0] == status


def test_missing_roles_are_named_and_many_are_cut_short() -> None:
    assert judge.missing("role", ["a", "b"], ["b", "a", "c"]) == (PASSED, "2 are there")
    said, told = judge.missing("role", [str(n) for n in range(9)], [])
    assert said == FAILED
    assert told.startswith("role 0 is missing; role 1")
    assert told.endswith("; and 4 more")


@pytest.mark.parametrize(
    ("answer", "found", "status"),
    [
        ({"value": 3}, [("3",)], PASSED),
        ({"value": 3}, [("3.0",)], PASSED),
        ({"value": 3}, [("4",)], FAILED),
        ({"value": 3}, [("three",)], FAILED),
        ({"value": 0.1}, [("0.1",)], PASSED),
        ({"value": "3"}, [("3",)], PASSED),
        ({"value": "3"}, [("3.0",)], FAILED),
        ({"value": True}, [("t",)], PASSED),
        ({"value": True}, [("1",)], FAILED),
        ({"value": False}, [("f",)], PASSED),
        ({"value": 1}, [(None,)], FAILED),
        ({"value": 1}, [], FAILED),
        ({"value": 1}, [("1",), ("1",)], FAILED),
        ({"value": 1}, [("1", "1")], FAILED),
        ({"rows": ((1, None),)}, [("1", None)], PASSED),
        ({"rows": ((1, None),)}, [("1", "")], FAILED),
        ({"rows": ((1,), (2,))}, [("2",), ("1",)], FAILED),
        ({"rows": ((1,),)}, [("1",), ("2",)], FAILED),
        ({"rows": ((1,),)}, [], FAILED),
        ({"rows": ()}, [], PASSED),
        ({"condition": ">= 3"}, [("3",)], PASSED),
        ({"condition": ">= 3"}, [("2.9",)], FAILED),
        ({"condition": "!= 3"}, [("NaN",)], FAILED),
        ({"condition": "< 3"}, [(None,)], FAILED),
        ({"condition": "< 3"}, [("x",)], FAILED),
    ],
)
def test_statements(answer: dict[str, Any], found: Sequence[Sequence[str | None]], status: str) -> None:
    assert judge.statement(Statement("q", "shop", "SELECT", "r", **answer), found)[0] == status


def test_a_long_answer_is_cut_short() -> None:
    _said, told = judge.statement(Statement("q", "shop", "SELECT", "r", 1), [("x" * 10_000,)])
    assert len(told) < 300


@pytest.mark.parametrize(
    ("state", "status"),
    [("42P01", FAILED), ("XX001", FAILED), ("25006", COULD_NOT_RUN), ("57014", COULD_NOT_RUN), (None, COULD_NOT_RUN)],
)
def test_what_the_server_refuses(state: str | None, status: str) -> None:
    assert judge.refused(state, "ERROR:  no\nLINE 1") == (status, "ERROR: no LINE 1")


@pytest.mark.parametrize(
    ("code", "out", "err", "status", "words"),
    [
        (0, "Blocks scanned:  7\nBad checksums:  0\n", "", PASSED, "7 blocks"),
        (
            1,
            "Blocks scanned:  7\nBad checksums:  2\n",
            "e: checksum verification failed in file a\n",
            FAILED,
            "2 blocks",
        ),
        (0, "Blocks scanned:  7\nBad checksums:  2\n", "", FAILED, "2 blocks"),
        (0, "Blocks scanned:  0\nBad checksums:  0\n", "", COULD_NOT_RUN, "Bad checksums: 0"),
        (
            1,
            "",
            "pg_checksums: error: data checksums are not enabled in cluster\n",
            COULD_NOT_RUN,
            "pg_checksums --enable",
        ),
        (1, "", "pg_checksums: error: cluster must be shut down\n", COULD_NOT_RUN, "shut down: stop it cleanly"),
        (0, "", "", COULD_NOT_RUN, "without a word"),
    ],
)
def test_checksums(code: int, out: str, err: str, status: str, words: str) -> None:
    said, told = judge.checksums(code, out, err)
    assert (said, words in told) == (status, True)


DAMAGE = 'btree index "shop.public.i":\n    ERROR:  damaged\nheap table "shop.public.t":\n    xmin is odd\n'


@pytest.mark.parametrize(
    ("code", "out", "err", "status", "words"),
    [
        (0, "", "", PASSED, "hold together"),
        (2, DAMAGE, "", FAILED, 'btree index "shop.public.i": ERROR: damaged; heap table'),
        (1, "", 'warning: skipping database "shop": amcheck is not installed\n', COULD_NOT_RUN, "install_missing"),
        (0, "", 'warning: skipping database "shop": amcheck is not installed\n', COULD_NOT_RUN, "install_missing"),
        (1, "", "error: connection failed\n", COULD_NOT_RUN, "connection failed"),
    ],
)
def test_amcheck(code: int, out: str, err: str, status: str, words: str) -> None:
    said, told = judge.amcheck(code, out, err)
    assert (said, words in told) == (status, True)


@pytest.mark.parametrize(
    ("code", "err", "status"),
    [
        (0, "", PASSED),
        (1, "pg_dump: error: Dumping failed: ERROR:  invalid page in block 3", FAILED),
        (1, "pg_dump: error: aborting because of server version mismatch", COULD_NOT_RUN),
        (1, "pg_dump: error: query failed: ERROR:  permission denied for table t", COULD_NOT_RUN),
        (127, "", FAILED),
    ],
)
def test_dump(code: int, err: str, status: str) -> None:
    assert judge.dump(code, err)[0] == status


GOOD = Check("dump", "shop", PASSED, "every row was read", 1.0)
POOR = Check("roles", "", FAILED, "role a is missing", 0.1)
MUTE = Check("amcheck", "shop", COULD_NOT_RUN, "no program", 0.0)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([GOOD], "recovery proven: 1 checks, all passed"),
        ([GOOD, MUTE], "recovery NOT proven: 0 checks failed and 1 could not run, of 2\ncould_not_run: amcheck of shop: no program"),
        ([POOR, GOOD], "recovery NOT proven: 1 checks failed and 0 could not run, of 2\nfailed: roles: role a is missing"),
    ],
)  # fmt: skip
def test_all_together(checks: list[Check], said: str) -> None:
    assert judge.summary(checks) == said
    assert bool(judge.bad(checks)) == ("NOT" in said)


def test_what_nobody_asked_about_could_not_run() -> None:
    found = judge.unasked([("dump", "shop"), ("dump", "other")], [GOOD])
    assert [(each.check, each.database, each.status) for each in found] == [("dump", "other", COULD_NOT_RUN)]
