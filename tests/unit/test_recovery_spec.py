"""What may be asked of a restored instance, and what is refused before anything is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_spec import (
    Amcheck,
    Canary,
    Counts,
    Statement,
    Wish,
    comparison,
    question,
    wish,
    writes,
)

NOTHING: dict[str, Any] = dict.fromkeys(
    ["checksums", "amcheck", "canary", "counts", "roles", "extensions", "settings", "statements"]
) | dict.fromkeys(["dump", "sequences", "invalid_indexes", "unvalidated_constraints"], False)
CANARY = {"database": "shop", "table": "orders", "key": "id", "present": ["1"], "absent": ["2"]}
STATEMENT = {
    "name": "q",
    "database": "shop",
    "sql": "SELECT 1",
    "role": "r",
    "value": 1,
    "rows": None,
    "condition": None,
}
COUNTS = {"rows": {"shop": {"orders": 3}}, "manifest": None, "tolerance": "0"}
AMCHECK = {"heapallindexed": True, "rootdescend": False, "install_missing": False, "jobs": 1}


def read(manifest: Any = None, **checks: Any) -> tuple[Wish, list[str]]:
    found, problems = wish((), {**NOTHING, **checks}, manifest)
    return found, [str(problem) for problem in problems]


def test_everything_that_can_be_wished_for() -> None:
    found, problems = read(
        checksums={"data_directory": "/srv/data"},
        amcheck=AMCHECK,
        dump=True,
        sequences=True,
        canary=[CANARY],
        counts=COUNTS,
        roles=["a"],
        extensions=[{"database": "shop", "name": "x", "version": None}],
        settings={"fsync": True},
        statements=[STATEMENT],
    )
    orders = QualifiedName("public", "orders")
    assert problems == []
    assert found.everywhere == ("amcheck", "dump", "sequences")
    assert found.amcheck == Amcheck()
    assert found.canary == (Canary("shop", orders, "id", ("1",), ("2",)),)
    assert found.counts == Counts({"shop": {orders: 3}})
    assert found.settings == {"fsync": "on"}
    assert found.statements == (Statement("q", "shop", "SELECT 1", "r", 1),)
    assert found.named() == [
        ("checksums", ""),
        ("roles", ""),
        ("settings", ""),
        ("canary", "shop"),
        ("counts", "shop"),
        ("extensions", "shop"),
        ("statement q", "shop"),
    ]


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ({}, "checks: asks for nothing"),
        ({"amcheck": AMCHECK | {"jobs": 0}}, "checks.amcheck.jobs: 0"),
        ({"canary": [CANARY | {"present": None, "absent": []}]}, "checks.canary[0]: names no row"),
        ({"canary": [CANARY | {"absent": ["1"]}]}, "checks.canary[0]: row 1 cannot be present and absent"),
        ({"canary": [CANARY | {"table": "a.b.c"}]}, "checks.canary[0]: 'a.b.c' is not a name"),
        ({"counts": COUNTS | {"manifest": "/x"}}, "checks.counts: give either rows or manifest"),
        ({"counts": COUNTS | {"rows": None}}, "checks.counts: give either rows or manifest"),
        ({"counts": COUNTS | {"tolerance": "some"}}, "checks.counts.tolerance: 'some'"),
        ({"counts": COUNTS | {"tolerance": "-1"}}, "checks.counts.tolerance: '-1'"),
        ({"counts": COUNTS | {"rows": {"shop": 3}}}, "checks.counts.rows.shop: is not a mapping"),
        ({"counts": COUNTS | {"rows": {"shop": {}}}}, "checks.counts.rows.shop: is not a mapping"),
        ({"counts": COUNTS | {"rows": {"shop": {"orders": -1}}}}, "checks.counts.rows.shop.orders: -1"),
        ({"counts": COUNTS | {"rows": {"shop": {"orders": True}}}}, "checks.counts.rows.shop.orders: True"),
        ({"counts": COUNTS | {"rows": None, "manifest": "/x"}, "manifest": [1]}, "/x: is not a mapping"),
        ({"statements": [STATEMENT, STATEMENT]}, "checks.statements[1] (q): has the name of another one"),
        ({"statements": [STATEMENT | {"value": None}]}, "(q): has no answer to compare with"),
        ({"statements": [STATEMENT | {"condition": "> 1"}]}, "(q): has value and condition"),
        ({"statements": [STATEMENT | {"value": None, "condition": "many"}]}, "'many' is not one like >= 100"),
        ({"statements": [STATEMENT | {"sql": "DELETE FROM x"}]}, "(q): begins with DELETE"),
    ],
)
def test_what_cannot_be_asked_is_named(checks: dict[str, Any], words: str) -> None:
    _found, problems = read(**checks)
    assert len(problems) == 1
    assert words in problems[0]


def test_numbers_of_rows_may_come_from_a_manifest() -> None:
    found, problems = read({"shop": {"app.orders": "12"}}, counts={"rows": None, "manifest": "/x", "tolerance": "0.5%"})
    assert problems == []
    assert found.counts == Counts({"shop": {QualifiedName("app", "orders"): 12}}, Decimal("0.5"), relative=True)


@pytest.mark.parametrize(
    ("counts", "allowed", "spoken"),
    [
        (Counts(), 0, ""),
        (Counts(tolerance=Decimal(7)), 7, " (give or take 7)"),
        (Counts(tolerance=Decimal(7), relative=True), 14, " (give or take 7 %)"),
    ],
)
def test_the_tolerance_of_two_hundred_rows(counts: Counts, allowed: int, spoken: str) -> None:
    assert (counts.allowance(200), counts.spoken) == (allowed, spoken)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select 1;",
        "-- why\nSELECT 1 -- because",
        "VALUES (1)",
        "TABLE orders",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SELECT 'DELETE; INSERT INTO x', $$INTO$$, \"into\"",
        'SELECT substring(a FROM 1 FOR 2), updated, o."delete" /* FOR UPDATE */ FROM o',
    ],
)
def test_a_question(sql: str) -> None:
    assert writes(sql) == ""
    assert not question(sql).endswith(";")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "has 0 statements"),
        ("SELECT 1; SELECT 2", "has 2 statements"),
        ("SELECT 1; COMMIT; DELETE FROM x", "has 3 statements"),
        ("SELECT 'a", "quotation mark is not closed"),
        ("COPY x TO PROGRAM 'rm'", "begins with COPY"),
        ("DO $$ $$", "begins with DO"),
        ("EXPLAIN ANALYZE DELETE FROM x", "begins with EXPLAIN"),
        ("(DELETE FROM x)", "begins with DELETE"),
        ("SELECT * INTO y FROM x", "would write (INTO)"),
        ("WITH a AS (DELETE FROM x RETURNING 1) SELECT 1", "would write (DELETE)"),
        ("WITH a AS (SELECT 1) INSERT INTO x SELECT 1", "would write (INSERT)"),
        ("WITH a AS MATERIALIZED (/* */ update x SET a = 1 RETURNING 1) SELECT 1", "would write (UPDATE)"),
        ("WITH a AS (SELECT 1) MERGE INTO x USING a ON true", "would write (MERGE)"),
        ("SELECT 1 FROM x FOR UPDATE", "would write (FOR UPDATE)"),
        ("SELECT 1 FROM x FOR NO KEY UPDATE", "would write (FOR NO)"),
        ("SELECT 1 FROM x for share", "would write (FOR SHARE)"),
    ],
)
def test_no_question(sql: str, words: str) -> None:
    assert words in writes(sql)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">= 100", (">=", Decimal(100))),
        ("<-1.5", ("<", Decimal("-1.5"))),
        ("= 0", ("=", Decimal(0))),
        ("about 3", None),
    ],
)
def test_conditions(text: str, expected: object) -> None:
    assert comparison(text) == expected
