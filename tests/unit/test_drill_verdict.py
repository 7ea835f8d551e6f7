"""What a recovery drill comes to, in one word, in one line, and beside other clusters' drills."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import drill_facts, evidence
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_verdict import judge, summary, table

from .drill_world import DAMAGED, MUTE, PREFLIGHT, PROVEN, STARTED, facts, past, step

RISING = [past(f"2026-11-{day:02}T03:30:00Z", 30.0 * day) for day in (1, 6, 11, 16, 21)]


def record(status: str = "ok", **changed: Any) -> dict[str, Any]:
    return evidence.record("drill", "d1", started=STARTED, seconds=160, status=status, facts=facts(**changed))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"steps": [step(checks=[*PROVEN, DAMAGED])]}, "newest: amcheck of shop failed: btree index damaged"),
        ({"steps": [step(checks=[*PROVEN, MUTE])]}, "newest: counts could not run: no manifest"),
        ({"preflight": [MUTE]}, "preflight: counts could not run: no manifest"),
        ({"steps": [step(error="no such backup")]}, "newest: no such backup"),
        ({"steps": []}, "nothing was restored"),
        ({"steps": [step(checks=[])]}, "newest: nothing was checked of what was restored"),
        ({"recovery_time_seconds": 960}, "the recovery time is 16 min, 1 min over the objective of 15 min"),
        ({"recovery_point_seconds": 301}, "the recovery point is 5 min 1 s, 1 s over the objective of 5 min"),
        (
            {"recovery_time_seconds": None},
            "the recovery time could not be measured: nothing says that the objective of 15 min is met",
        ),
        (
            {"recovery_point_seconds": None},
            "the recovery point could not be measured: nothing says that the objective of 5 min is met",
        ),
    ],
)
def test_each_fault_alone_fails_the_drill(changed: dict[str, Any], fault: str) -> None:
    found = judge(facts(**changed), [], STARTED)
    assert (found.status, found.faults) == ("failed", (fault,))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"recovery_time_seconds": 900, "recovery_point_seconds": 300, "recovery_point_worst_seconds": 300},
        {"recovery_point_worst_seconds": None, "size_bytes": None, "bytes_per_second": None},
        {"steps": [step(), step("dump shop from far", checks=[])]},
    ],
)
def test_what_is_proven_is_ok(changed: dict[str, Any]) -> None:
    found = judge(facts(**changed), [], STARTED)
    assert (found.status, found.faults, found.warnings) == ("ok", (), ())


@pytest.mark.parametrize(
    ("changed", "earlier", "warning"),
    [
        (
            {"recovery_point_worst_seconds": 360},
            [],
            "at the worst moment of the window 6 min of data would have been lost: the objective is 5 min",
        ),
        (
            {"recovery_time_seconds": 780},
            RISING,
            (
                "the recovery time grows by 3 min 30 s a week over the last 6 drills: so it comes to the objective of 15 min by "
                "2026-11-30"
            ),
        ),
        ({"recovery_time_seconds": 780}, RISING[-2:], ""),
        ({"recovery_time_seconds": 780}, [*RISING[-2:], past("2026-11-02T03:30:00Z", None)], ""),
        (
            {"recovery_time_seconds": 60},
            [past(each["started"], 880.0 - 30 * day) for day, each in enumerate(RISING)],
            "",
        ),
    ],
)
def test_warnings(changed: dict[str, Any], earlier: list[dict[str, Any]], warning: str) -> None:
    found = judge(facts(**changed), earlier, STARTED)
    assert found.faults == ()
    assert found.warnings == ((warning,) if warning else ())
    assert found.status == ("warning" if warning else "ok")


def test_the_recovery_point_has_a_trend_of_its_own() -> None:
    earlier = [past(f"2026-11-{day:02}T03:30:00Z", point=10.0 * day) for day in (1, 6, 11, 16, 21)]
    found = judge(facts(recovery_point_seconds=260), earlier, STARTED)
    assert [each.split(" grows")[0] for each in found.warnings] == ["the recovery point"]


def test_an_objective_that_is_missed_needs_no_trend() -> None:
    found = judge(facts(recovery_time_seconds=1500), RISING, STARTED)
    assert len(found.faults) == 1
    assert found.warnings == ()


def test_what_came_later_is_no_history() -> None:
    """A record may be judged again."""
    later = [past(f"2026-12-{day:02}T03:30:00Z", 800.0 + day) for day in (1, 6, 11, 16)]
    assert judge(facts(recovery_time_seconds=780), later, STARTED).warnings == ()


def test_checks_are_counted_by_verdict() -> None:
    found = judge(facts(steps=[step(checks=[*PROVEN, DAMAGED, MUTE])]), [], STARTED)
    assert astuple(found)[3:] == (len(PROVEN) + len(PREFLIGHT), 1, 1)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {},
            "db1: recovered in 1 min 53 s (objective 15 min), at most 13 s of data lost (objective 5 min), 11 checks passed",
        ),
        (
            {"recovery_point_worst_seconds": 360},
            (
                "db1: recovered in 1 min 53 s (objective 15 min), at most 13 s of data lost (objective 5 min), 11 checks passed; "
                "at the worst moment of the window 6 min of data would have been lost: the objective is 5 min"
            ),
        ),
        (
            {"steps": [step(error="no\nspace", checks=[])], "recovery_time_seconds": None},
            "db1: recovery NOT proven: newest: no space (and 1 more)",
        ),
    ],
)
def test_summary(changed: dict[str, Any], line: str) -> None:
    assert summary(facts(**changed), judge(facts(**changed), [], STARTED)) == line


def test_table() -> None:
    failed = record("failed", cluster="billing", steps=[step(checks=[DAMAGED, MUTE])], recovery_time_seconds=None)
    assert table([record(), failed]).splitlines() == [
        "cluster  status  profile  when                  recovered in            data lost      checks    reason",
        (
            "billing  failed  quick    2026-11-26T03:30:00Z  not measured of 15 min  13 s of 5 min  2 of 4    newest: amcheck of "
            "shop failed: btree index damaged (and 2 more)"
        ),
        "db1      ok      quick    2026-11-26T03:30:00Z  1 min 53 s of 15 min    13 s of 5 min  11 of 11",
    ]


def test_a_long_reason_leaves_the_table_readable() -> None:
    assert len(table([record("failed", steps=[step(error="x" * 1000)])]).splitlines()[1]) < 250


def test_history_is_made_of_records() -> None:
    """In short, the oldest first, and no more than a page can show."""
    records = [
        record() | {"started": f"2026-{month:02}-{day:02}T03:30:00Z"} for month in (2, 1) for day in range(1, 21)
    ]
    kept = drill_facts.with_history(facts(), records)["history"]
    assert len(kept) == drill_facts.KEPT_HISTORY
    assert kept[-1] == past("2026-02-20T03:30:00Z", 113.2, 12.1, size_bytes=5_012_340_000)
    assert [each["started"] for each in kept] == sorted(each["started"] for each in kept)
