"""What a probe says of what it found."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.probe import (
    FAILED,
    NOT_RUN,
    PASSED,
    Check,
    Subject,
    bad,
    expected,
    names_it,
    summary,
    unproven,
)

ORDERS = Subject("tables[0]", QualifiedName("public", "orders"), "user_id")


@pytest.mark.parametrize(("source", "relation", "expected_"), [
    ("SELECT * FROM orders", "orders", True),
    ("SELECT * FROM ORDERS;", "orders", True),
    ('SELECT * FROM public."Orders"', "Orders", True),
    ("SELECT * FROM orders_old", "orders", False),
    ("SELECT * FROM my_orders", "orders", False),
    ("SELECT reorders", "orders", False),
    ('SELECT * FROM "orders$x"', "orders$x", True),
    ("SELECT * FROM orders$x", "orders", False),
    ('DELETE FROM "orders(old"', "orders(old", True),
    ("SELECT 1", "orders", False),
])  # fmt: skip
def test_a_function_names_a_relation_however_it_is_spelt(source: str, relation: str, expected_: bool) -> None:
    assert names_it(source, relation) is expected_


@pytest.mark.parametrize(("ways", "pooled", "missing"), [
    ([], True, ["direct", "pooled"]),
    (["direct"], True, ["pooled"]),
    (["direct"], False, []),
    (["structure"], False, ["direct"]),  # the catalogue is no answer
])  # fmt: skip
def test_silence_is_no_proof(ways: list[str], pooled: bool, missing: list[str]) -> None:
    found = unproven([ORDERS], [Check(way, "public.orders", "q", PASSED) for way in ways], pooled=pooled)
    assert [(check.way, check.status) for check in found] == [(way, NOT_RUN) for way in missing]


def test_what_could_not_run_counts_as_bad() -> None:
    checks = [
        expected("direct", "t", "q", 0, 0),
        expected("direct", "t", "q", 3, 0),
        Check("direct", "t", "q", NOT_RUN),
    ]
    assert [check.status for check in checks] == [PASSED, FAILED, NOT_RUN]
    assert bad(checks) == tuple(checks[1:])
    assert summary(checks, 0) == "isolation NOT proven: 1 checks failed and 1 could not run, of 3"
