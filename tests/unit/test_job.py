"""What a job came to: verdicts, results, histories, tables, and versions that must be equal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import job
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict
from ansible_collections.pgstead.ops.plugins.module_utils._core.metrics import Metric


def result(**changed: Any) -> dict[str, Any]:
    told = {"host": "db1", "started": "2026-01-02T03:17:01Z", "seconds": 0.12345, "version": "0.1.0+abc"}
    return job.result("audit_partitions", changed.pop("verdict", Verdict("ok")), **(told | changed))


def test_a_result_has_what_every_job_reports() -> None:
    found = Verdict("warning", "shop: 3 rows in the DEFAULT partition", {"databases": {}}, "/var/lib/pgstead/x.json")
    assert result(verdict=found) == {
        "schema": 1,
        "job": "audit_partitions",
        "host": "db1",
        "started": "2026-01-02T03:17:01Z",
        "seconds": 0.123,
        "status": "warning",
        "reason": "shop: 3 rows in the DEFAULT partition",
        "facts": {"databases": {}},
        "evidence": "/var/lib/pgstead/x.json",
        "version": "0.1.0+abc",
    }


@pytest.mark.parametrize("status", ["warning", "failed", "skipped"])
def test_what_is_not_ok_has_a_reason(status: str) -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Verdict(status)


def test_there_are_four_statuses_and_an_exit_code_for_each() -> None:
    assert job.EXIT_CODES == {"ok": 0, "failed": 1, "warning": 3, "skipped": 75}
    assert job.EXIT_REFUSED not in job.EXIT_CODES.values()
    with pytest.raises(ValueError, match="ok, failed, warning, skipped"):
        Verdict("passed")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "ok"),
        (["ok", "ok"], "ok"),
        (["ok", "skipped"], "skipped"),
        (["warning", "skipped"], "warning"),
        (["warning", "failed", "ok"], "failed"),
    ],
)
def test_the_worst_decides(statuses: list[str], expected: str) -> None:
    assert job.worst(statuses) == expected


@pytest.mark.parametrize(
    "found",
    [
        Verdict("ok"),
        Verdict("ok", metrics=(Metric("size_bytes", 7.5, {"repository": "1"}),)),
        Verdict("failed", "it broke", {"databases": {"a": {"x": [1]}}}, "/e"),
    ],
)
def test_a_verdict_survives_the_way_to_its_supervisor(found: Verdict) -> None:
    assert job.verdict(found.as_json()) == found


@pytest.mark.parametrize("text", ["", '{"status": "ok"', '{"status": "fine"}', "[]", '{"state": "ok"}', "null"])
def test_half_a_verdict_is_none(text: str) -> None:
    assert job.verdict(text) is None


def test_a_sentence_is_one_line() -> None:
    assert job.sentence(result()) == "audit_partitions: ok after 0.123 s"
    failed = Verdict("failed", "shop: cannot connect:\n  no such file")
    said = job.sentence(result(verdict=failed))
    assert said == "audit_partitions: failed after 0.123 s: shop: cannot connect: no such file"


@pytest.mark.parametrize(
    ("before", "most", "expected"),
    [
        ("", 3, ["new"]),
        ('"a"\n"b"\n', 3, ["a", "b", "new"]),
        ('"a"\n"b"\n"c"\n', 3, ["b", "c", "new"]),
        ('"a"\n"b"\n"c"\n"d"\n', 1, ["new"]),
    ],
)
def test_a_history_is_bounded(before: str, most: int, expected: list[str]) -> None:
    text = job.history(before, {"reason": "two\nlines \u2028"}, most)
    lines = text.splitlines()
    assert text.endswith("}\n")
    assert json.loads(lines[-1]) == {"reason": "two\nlines \u2028"}
    assert [json.loads(line) for line in lines[:-1]] == expected[:-1]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (119.9, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172799, "47 h"),
        (172800, "2 d"),
    ],
)
def test_age(seconds: float, expected: str) -> None:
    assert job.age(seconds) == expected


def listed(*items: dict[str, Any], version: str = "1") -> dict[str, Any]:
    base = {"job": "j", "schedule": "17 3 * * *", "deadline_seconds": 600}
    base |= {"age_seconds": None, "last": None, "unreadable": "", "overdue": "", "standing": None}
    jobs = [base | item for item in items]
    return {"version": version, "host": "db1", "jobs": jobs, "undelivered": []}


DONE = {"age_seconds": 7300, "last": result()}
BROKEN = {"age_seconds": 60, "last": result(verdict=Verdict("failed", "no server\nat all"))}
SKIPPED = {"age_seconds": 60, "last": result(verdict=Verdict("skipped", "process 7 is running it"))}


def test_the_overview_is_a_table() -> None:
    assert job.overview(listed(DONE, BROKEN, {"job": "never_run"}, {"unreadable": "x is not the result of a job"})) == [
        "job        schedule    last    age   seconds  reason",
        "j          17 3 * * *  ok      2 h   0.123",
        "j          17 3 * * *  failed  60 s  0.123    no server at all",
        "never_run  17 3 * * *  never   -     -",
        "j          17 3 * * *  never   -     -        x is not the result of a job",
    ]


def test_what_is_overdue_and_what_nobody_was_told_stand_out() -> None:
    late = {"overdue": "was due at 3"}
    found = listed(DONE | late, BROKEN | late, late) | {"undelivered": ["j failed, by email: refused"]}
    assert [line.partition("OVERDUE: ")[2] for line in job.overview(found)[1:4]] == [
        "was due at 3",
        "was due at 3; no server at all",
        "was due at 3",
    ]
    assert job.overview(found)[4:] == ["undelivered: j failed, by email: refused"]
    assert job.assess(found, "1")["problems"] == [
        "j: no server\nat all",
        *["j: was due at 3"] * 3,
        "undelivered: j failed, by email: refused",
    ]


@pytest.mark.parametrize(
    ("standing", "shown", "problems"),
    [
        ("failed", "skipped (failed before)", ["j: it failed before its latest run, which was skipped: process 7 is"]),
        ("warning", "skipped (warning before)", []),
        ("ok", "skipped", []),
        (None, "skipped", []),
    ],
)
def test_a_skipped_run_hides_no_failure(standing: str | None, shown: str, problems: list[str]) -> None:
    judged = job.assess(listed(SKIPPED | {"standing": standing}), "1")
    assert [problem[: len(problems[0])] for problem in judged["problems"]] == problems
    assert f"  {shown}  " in judged["lines"][1]


def test_a_reason_that_is_no_text_becomes_one() -> None:
    reason = result(verdict=Verdict("failed", "/etc/caf\udce9.conf"))["reason"]
    assert reason == "/etc/caf\\udce9.conf"
    assert result(verdict=Verdict("failed", "größer"))["reason"] == "größer"


def test_without_jobs_it_says_so() -> None:
    assert job.overview(listed()) == ["no job is scheduled on this host"]


@pytest.mark.parametrize(
    ("found", "problems"),
    [
        (listed(), []),
        (listed(DONE, SKIPPED, {"job": "never_run"}), []),
        (listed(DONE, BROKEN), ["j: no server\nat all"]),
        (listed({"unreadable": "x is not the result of a job"}), ["j: x is not the result of a job"]),
    ],
)
def test_failed_jobs_are_problems(found: dict[str, Any], problems: list[str]) -> None:
    judged = job.assess(found, "1")
    assert judged["problems"] == problems
    assert judged["lines"] == job.overview(found)


def test_versions_that_differ_are_both_named_and_nothing_is_judged() -> None:
    assert job.skew("0.1.0+abc", "0.1.0+abc") == ""
    judged = job.assess(listed(DONE, version="0.1.0+old"), "0.1.0+new")
    assert judged["lines"] == []
    (problem,) = judged["problems"]
    assert "0.1.0+new" in problem
    assert "0.1.0+old" in problem
    assert "pgstead.ops.agent" in problem
    assert job.assess({"jobs": []}, "1")["problems"]
