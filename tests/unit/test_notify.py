"""When somebody is told of a job, in which words, and by which way; no message repeats what may be secret."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import notify_spec
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.notify import (
    MOST_WAITING,
    Notice,
    State,
    Trouble,
    body,
    hopeless,
    noticed,
    only,
    state,
    step,
    text,
    title,
    without,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.notify_spec import Email, Policy, Webhook

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WAYS = ("email", "webhook")


def trouble(since: str = "2026-01-01T03:17:00Z", told: str = "2026-01-02T03:17:00Z") -> Trouble:
    return Trouble(since, told)


def entry(status: str, job: str = "trial", **changed: Any) -> dict[str, Any]:
    return {"job": job, "host": "db1", "status": status, "reason": "no server", "facts": {}} | changed


def hear(known: State, *entries: dict[str, Any], now: datetime = NOW, least_status: str = "failed") -> State:
    jobs = ("trial", "other", "check_jobs")
    for each in entries:
        known = noticed(known, each, now=now, least_status=least_status, reminder=DAY, ways=WAYS, jobs=jobs)
    return known


def kinds(known: State) -> list[str]:
    return [f"{notice.job} {notice.kind} {notice.status}" for notice in known.waiting]


@pytest.mark.parametrize(
    ("before", "bad", "expected"),
    [
        (None, False, (None, "")),
        (None, True, (Trouble("2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z"), "failed")),
        (trouble(), True, (trouble(), "")),
        (trouble(told="2026-01-01T12:00:01Z"), True, (trouble(told="2026-01-01T12:00:01Z"), "")),
        (trouble(told="2026-01-01T12:00:00Z"), True, (trouble(told="2026-01-02T12:00:00Z"), "reminder")),
        (trouble(told="2036-01-01T00:00:00Z"), True, (trouble(told="2026-01-02T12:00:00Z"), "reminder")),
        (
            trouble("2036-01-01T00:00:00Z", "2036-01-01T00:00:00Z"),
            True,
            (trouble("2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z"), "reminder"),
        ),
        (trouble(), False, (None, "recovered")),
    ],
)
def test_steps(before: Trouble | None, bad: bool, expected: tuple[Trouble | None, str]) -> None:
    assert step(before, bad, NOW, DAY) == expected


@pytest.mark.parametrize(
    ("statuses", "least_status", "expected"),
    [
        (["ok"], "failed", []),
        (["failed"], "failed", ["trial failed failed"]),
        (["failed", "failed"], "failed", ["trial failed failed"]),
        (["failed", "ok"], "failed", ["trial failed failed", "trial recovered ok"]),
        (["failed", "skipped", "failed"], "failed", ["trial failed failed"]),
        (["failed", "skipped", "ok"], "failed", ["trial failed failed", "trial recovered ok"]),
        (["skipped"], "warning", []),
        (["warning"], "failed", []),
        (["failed", "warning"], "failed", ["trial failed failed", "trial recovered warning"]),
        (["warning"], "warning", ["trial failed warning"]),
        (["failed", "warning"], "warning", ["trial failed failed"]),
        (["warning", "ok"], "warning", ["trial failed warning", "trial recovered ok"]),
    ],
)
def test_what_is_worth_a_notice(statuses: list[str], least_status: str, expected: list[str]) -> None:
    assert kinds(hear(State(), *map(entry, statuses), least_status=least_status)) == expected


def test_a_notice_says_since_when() -> None:
    known = hear(State(), entry("failed"))
    known = hear(known, entry("failed"), now=NOW + DAY)
    known = hear(known, entry("ok"), now=NOW + 2 * DAY)
    assert [(notice.kind, notice.since[:10], notice.at[:10]) for notice in known.waiting] == [
        ("failed", "2026-01-02", "2026-01-02"),
        ("reminder", "2026-01-02", "2026-01-03"),
        ("recovered", "2026-01-02", "2026-01-04"),
    ]
    assert known.troubles == {}


def check(**overdue: str) -> dict[str, Any]:
    status = "failed" if any(overdue.values()) else "ok"
    return entry(status, "check_jobs", facts={"overdue": overdue})


def test_jobs_that_are_overdue_are_told_of_one_by_one() -> None:
    known = hear(State(), check(trial="was due", other=""))
    assert kinds(known) == ["trial failed overdue"]
    assert known.waiting[0].reason == "was due"
    known = hear(known, check(trial="was due", other="was due"))
    assert kinds(known)[1:] == ["other failed overdue"]
    known = hear(known, check(trial="", other="was due"))
    assert kinds(known)[2:] == ["trial recovered ok"]


def test_a_job_may_be_overdue_and_fail() -> None:
    known = hear(State(), check(trial="was due"), entry("failed"))
    assert kinds(known) == ["trial failed overdue", "trial failed failed"]
    assert kinds(hear(known, entry("ok")))[2:] == ["trial recovered ok"]
    assert set(hear(known, entry("ok")).troubles) == {"trial overdue"}


def test_a_look_that_failed_itself_is_told_of() -> None:
    known = hear(State(), entry("failed", "check_jobs"))
    assert kinds(known) == ["check_jobs failed failed"]
    assert kinds(hear(known, check(trial="")))[1:] == ["check_jobs recovered ok"]


def test_of_a_job_that_is_gone_nothing_more_is_said() -> None:
    known = State({"gone": trouble(), "gone overdue": trouble(), "trial": trouble()})
    assert set(hear(known, entry("ok", "other")).troubles) == {"trial"}


def test_what_waits_is_bounded_and_the_newest_stays() -> None:
    known = hear(State(), *(entry(status) for _each in range(MOST_WAITING) for status in ("failed", "ok")))
    assert len(known.waiting) == MOST_WAITING
    assert known.waiting[-1].kind == "recovered"


def notice(**changed: Any) -> Notice:
    told = ("failed", "trial", "db1", "failed", "no server", "2026-01-01T03:17:00Z", "2026-01-02T03:17:00Z")
    return replace(Notice(*told, {"status": "failed"}, WAYS), **changed)


def test_a_notice_waits_until_it_has_gone_every_way() -> None:
    known = State({}, (notice(), notice(job="other")))
    assert str(known.waiting[0]).endswith(", by email: not tried yet; webhook: not tried yet")
    half = without(known, known.waiting[0], "email")
    assert half.waiting[0].left == ("webhook",)
    assert len(half.undelivered) == 2
    failed = without(half, half.waiting[0], "webhook", "refused")
    assert str(failed.waiting[0]) == "trial failed of 2026-01-02T03:17:00Z, by webhook: refused"
    done = without(failed, failed.waiting[0], "webhook")
    assert [each.job for each in done.waiting] == ["other"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-02T12:00:00Z", False),
        ("2026-01-01T12:00:01Z", False),
        ("2026-01-01T12:00:00Z", True),
        ("2036-01-01T00:00:00Z", True),
    ],
)
def test_one_that_is_refused_is_given_up_after_a_day(at: str, expected: bool) -> None:
    assert hopeless(notice(at=at), NOW) is expected


def test_a_way_that_is_gone_is_not_waited_for() -> None:
    known = State({}, (notice(left=("webhook",)), notice(job="other")))
    assert [(each.job, each.left) for each in only(known, ["email"]).waiting] == [("other", ("email",))]


def test_the_state_survives_the_disk() -> None:
    known = State({"trial": trouble()}, (notice(errors={"email": "refused"}),), "cannot be read")
    assert state(json.loads(json.dumps(known.as_data()))) == known
    assert known.undelivered[0] == "cannot be read"


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"troubles": {"a": {"since": "then", "told": "now"}}, "waiting": [], "error": ""},
        {"troubles": {}, "waiting": [{"kind": "failed"}], "error": ""},
        {"troubles": {}, "waiting": [vars(notice()) | {"kind": "other"}], "error": ""},
        {"troubles": {}, "waiting": [vars(notice()) | {"at": "then"}], "error": ""},
    ],
)
def test_what_is_no_state(raw: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        state(raw)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "[pgstead] db1: trial failed"),
        ({"kind": "reminder"}, "[pgstead] db1: trial failed still"),
        ({"kind": "reminder", "status": "overdue"}, "[pgstead] db1: trial overdue still"),
        ({"kind": "recovered", "status": "ok"}, "[pgstead] db1: trial recovered"),
    ],
)
def test_titles(changed: dict[str, Any], expected: str) -> None:
    assert title(notice(**changed)) == expected


def test_the_words_for_a_person() -> None:
    assert text(notice(reason="shop: größer\nBcc: all@example.org")) == (
        "Host: db1\n"
        "Job: trial\n"
        "Status: failed\n"
        "Reason: shop: größer Bcc: all@example.org\n"
        "Since: 2026-01-01T03:17:00Z\n"
        "Seen: 2026-01-02T03:17:00Z\n"
        "Look further: on db1: pgstead list; journalctl -t pgstead\n"
    )
    assert "Was in trouble since: 2026-01-01T03:17:00Z\n" in text(notice(kind="recovered"))
    assert body(notice())["text"] == f"{title(notice())}\n{text(notice())}"
    assert body(notice())["result"] == {"status": "failed"}


# ------------------------------------------------------------------------------------------------------ who is told

HOOK = {"url": "https://hooks.example.org/T0/secret", "headers": {"Authorization": "Bearer secret"}}
WHOLE = {
    "email": {"to": ["dba@example.org", "root"], "from": "pg@db1", "smtp_host": "mail", "smtp_port": "2525"},
    "webhook": HOOK,
    "least_status": "warning",
    "reminder": "12h",
}
POLICY = Policy(
    "warning",
    timedelta(hours=12),
    Email(("dba@example.org", "root"), "pg@db1", "mail", 2525),
    Webhook(HOOK["url"], {"Authorization": "Bearer secret"}),  # type: ignore[arg-type]
)


def test_a_whole_declaration_and_its_file() -> None:
    assert notify_spec.read(WHOLE) == (POLICY, ())
    assert notify_spec.parse(notify_spec.content(WHOLE)) == POLICY
    assert POLICY.ways == WAYS
    assert "secret" not in repr(POLICY)


def test_what_is_usual() -> None:
    usual, problems = notify_spec.read({"email": {"to": "dba@example.org"}})
    assert problems == ()
    assert usual == Policy("failed", DAY, Email(("dba@example.org",), "", "localhost", 25), None)
    assert notify_spec.parse(notify_spec.content({"email": {"to": "dba@example.org"}})) == usual


@pytest.mark.parametrize("declared", [None, {}])
def test_nobody_is_told(declared: Any) -> None:
    assert notify_spec.read(declared) == (None, ())
    assert notify_spec.content(declared) == ""


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("secret", ": is not a mapping of"),
        ({"mail": {}}, ": is not a mapping of email, webhook, least_status, reminder"),
        ({"least_status": "failed"}, ": names nobody: give email or webhook, or leave it out"),
        ({"webhook": HOOK, "least_status": "secret"}, ".least_status: is not failed or warning"),
        ({"webhook": HOOK, "reminder": "secret"}, ".reminder: is not a duration from 1min to 366d"),
        ({"webhook": HOOK, "reminder": "1s"}, ".reminder: is not a duration from 1min to 366d"),
        ({"email": {"to": ["a@b\nBcc: secret"]}}, ".email.to[0]: is not an address"),
        ({"email": {"to": ["dba"], "from": "Secret <a@b>"}}, ".email.from: is not an address"),
        ({"email": {"to": ["dba"], "smtp_host": "mail secret"}}, ".email.smtp_host: is not a host's name"),
        ({"email": {"to": ["dba"], "smtp_port": "secret"}}, ".email.smtp_port: is not a whole number from 1 to 65535"),
        (
            {"email": {"to": ["dba"], "password": "secret"}},
            ".email: is not a mapping of to, from, smtp_host, smtp_port",
        ),
        ({"webhook": {"url": "file:///secret"}}, ".webhook.url: is not an address that begins"),
        ({"webhook": {"url": "https://"}}, ".webhook.url: is not an address that begins"),
        ({"webhook": {"url": "https://u:secret@h/"}}, ".webhook.url: is not an address that begins"),
        ({"webhook": {"url": "https://h/a secret"}}, ".webhook.url: is not an address that begins"),
        ({"webhook": {"url": "https://h:x/"}}, ".webhook.url: is not an address that begins"),
        (
            {"webhook": HOOK | {"headers": {"X": "a\r\nsecret: 1"}}},
            ".webhook.headers: is not a mapping of header names",
        ),
        ({"webhook": HOOK | {"headers": {"X:": "secret"}}}, ".webhook.headers: is not a mapping of header names"),
        ({"webhook": HOOK | {"headers": ["secret"]}}, ".webhook.headers: is not a mapping of header names"),
    ],
)
def test_what_is_refused_and_not_repeated(declared: Any, said: str) -> None:
    _policy, (problem, *others) = notify_spec.read(declared)
    assert str(problem).startswith(f"agent_notifications{said}")
    assert (others, "secret" in str(problem)) == ([], False)
    assert notify_spec.content(declared) == ""


@pytest.mark.parametrize("content", ["", "secret", "{}", '{"email": {"to": []}}'])
def test_a_file_that_cannot_be_used(content: str) -> None:
    with pytest.raises(SpecError) as caught:
        notify_spec.parse(content)
    assert "secret" not in str(caught.value)
