"""Runs that never started: who misses them, since when, and that nobody cries for nothing when clocks change."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import check_jobs, clock, command, memory
from ansible_collections.pgstead.ops.plugins.module_utils._agent.memory import missed, register, save, since
from ansible_collections.pgstead.ops.plugins.module_utils._core import job
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config, JobConfig
from ansible_collections.pgstead.ops.plugins.module_utils._core.check_job import checked, conclude
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.memory import Memory
from ansible_collections.pgstead.ops.plugins.module_utils._core.metrics import Metric
from ansible_collections.pgstead.ops.plugins.module_utils._host.lock import lock

BERLIN = ZoneInfo("Europe/Berlin")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)


def at(text: str, zone: tzinfo = UTC) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("now", "ended", "is_overdue"),
    [
        ("2026-06-10 12:00", "2026-06-10 03:18", False),
        ("2026-06-10 12:00", "2026-06-09 03:18", True),
        ("2026-06-10 12:00", "2026-06-10 03:16", False),  # a clock that was set by some seconds
        ("2026-06-10 12:00", "2026-06-10 03:15", True),
        ("2026-06-10 03:31", "2026-06-09 03:18", False),  # deadline of ten minutes, and five more
        ("2026-06-10 03:32", "2026-06-09 03:18", True),
        ("2026-06-10 12:00", None, True),
    ],
)
def test_overdue(now: str, ended: str | None, is_overdue: bool) -> None:
    told = job.overdue("17 3 * * *", 600, at(now), since=LONG_AGO, ended=at(ended) if ended else None)
    assert bool(told) is is_overdue
    if is_overdue:
        assert told.startswith("was due at 2026-06-10T03:17+00:00 and did not run: ")
        assert ("the last run ended at 2026-06" in told) is (ended is not None)


@pytest.mark.parametrize(("began", "is_overdue"), [("2026-06-10 03:16", True), ("2026-06-10 03:18", False)])
def test_nothing_was_due_before_there_was_a_schedule(began: str, is_overdue: bool) -> None:
    assert bool(job.overdue("17 3 * * *", 600, NOW, since=at(began))) is is_overdue


AHEAD = "2036-01-01 00:00"


@pytest.mark.parametrize(
    ("since", "ended", "is_overdue"),
    [
        ("2020-01-01 00:00", AHEAD, True),
        (AHEAD, "2026-06-09 03:18", True),
        (AHEAD, "2026-06-10 03:18", False),
        (AHEAD, AHEAD, False),  # nothing is known: the schedule is registered anew
        ("2020-01-01 00:00", "2026-06-10 12:00", False),
    ],
)
def test_what_a_clock_that_was_ahead_noted_is_not_believed(since: str, ended: str, is_overdue: bool) -> None:
    assert bool(job.overdue("17 3 * * *", 600, NOW, since=at(since), ended=at(ended))) is is_overdue


def by_the_dial(matches: Callable[[datetime], bool], begin: datetime, end: datetime) -> list[datetime]:
    """List the minutes at which a clock on the wall shows what a schedule asks for, the first time that it does."""
    minutes = [begin + timedelta(minutes=each) for each in range(int((end - begin).total_seconds() // 60))]
    return [minute for minute in minutes if (local := minute.astimezone(BERLIN)).fold == 0 and matches(local)]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
@pytest.mark.parametrize("makes_up", [True, False], ids=["cron", "systemd"])
@pytest.mark.parametrize(
    ("schedule", "matches"),
    [
        ("30 2 * * *", lambda local: (local.hour, local.minute) == (2, 30)),
        ("*/15 * * * *", lambda local: local.minute % 15 == 0),
        ("0 3 * * *", lambda local: (local.hour, local.minute) == (3, 0)),
        ("59 1 * * *", lambda local: (local.hour, local.minute) == (1, 59)),
        ("15 2 * * sun", lambda local: (local.isoweekday(), local.hour, local.minute) == (7, 2, 15)),
    ],
)
def test_a_change_of_clocks_is_no_false_alarm(
    schedule: str, matches: Callable[[datetime], bool], makes_up: bool, day: str
) -> None:
    """Every run starts, takes 30 s, and none is missed at any minute of the two days; without them, one is."""
    begin = at(day) - timedelta(days=8 if schedule.endswith("sun") else 1)
    end = at(day) + timedelta(days=1)
    runs = by_the_dial(matches, begin, end)
    if makes_up and day == "2026-03-29" and schedule.startswith(("30 2", "15 2")):
        runs = sorted([*runs, at("2026-03-29 01:00")])  # three o'clock
    alarms, ended, minute = [], begin, at(day) - timedelta(hours=2)
    while minute < end:
        ended = max([run + timedelta(seconds=30) for run in runs if run <= minute], default=begin)
        if job.overdue(schedule, 60, minute.astimezone(BERLIN), since=begin, ended=ended):
            alarms.append(minute)
        minute += timedelta(minutes=1)
    assert alarms == []
    if not schedule.endswith("sun"):
        assert job.overdue(schedule, 60, (end + timedelta(days=2)).astimezone(BERLIN), since=begin, ended=ended)


# ------------------------------------------------------------------------------------------------------ on the host


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(check_jobs, "now", lambda: NOW)
    monkeypatch.setattr(command, "now", lambda: NOW)
    daily = JobConfig("17 3 * * *", 600, {"any": 1})
    jobs = {"one": daily, "two": daily, "check_jobs": JobConfig("*/15 * * * *", 60, {"jobs": ["one", "two"]})}
    user = pwd.getpwuid(os.geteuid()).pw_name
    return Config(user, str(tmp_path), "/", 5432, 3, jobs, str(tmp_path / "metrics"))


def remember(config: Config, name: str, ended: datetime) -> None:
    save(Path(config.state_directory) / f"{name}.memory", Memory(ended=ended).as_data())


def test_schedules_are_registered_once_and_anew_when_they_change(config: Config) -> None:
    assert register(config, NOW) == ["one", "two", "check_jobs"]
    assert register(config, NOW + timedelta(days=1)) == []
    other = {**config.jobs, "two": replace(config.jobs["two"], schedule="18 3 * * *")}
    changed = replace(config, jobs=other)
    assert since(changed, NOW, LONG_AGO)["two"] == LONG_AGO
    later = NOW + timedelta(days=2)
    assert register(changed, later) == ["two"]
    assert since(changed, later, LONG_AGO) == {"one": NOW, "two": later, "check_jobs": NOW}
    assert register(replace(config, jobs={"one": config.jobs["one"]}), later) == []
    assert set(json.loads((Path(config.state_directory) / "schedules.json").read_text())) == {"one"}


def test_a_schedule_of_a_clock_that_was_ahead_is_registered_anew(config: Config) -> None:
    register(config, at(AHEAD))
    assert missed(config, NOW, LONG_AGO)["one"].endswith("it has never run since 2020-01-01T00:00:00Z")
    assert register(config, NOW) == ["one", "two", "check_jobs"]
    assert missed(config, NOW + timedelta(days=2), LONG_AGO)["one"].endswith(
        "it has never run since 2026-06-10T12:00:00Z"
    )


def test_a_run_at_work_is_not_overdue(config: Config) -> None:
    place = Path(config.state_directory) / "one.lock"
    assert missed(config, NOW, LONG_AGO)["one"]
    with lock(place):
        found = missed(config, NOW, LONG_AGO)
    assert (found["one"], bool(found["two"])) == ("", True)
    assert missed(config, NOW, LONG_AGO)["one"], "the file of a lock is no lock"


def test_what_nobody_registered_counts_from_the_configuration(config: Config) -> None:
    assert set(missed(config, NOW, NOW).values()) == {""}
    found = missed(config, NOW, LONG_AGO)
    assert found["one"].endswith("it has never run since 2020-01-01T00:00:00Z")


def test_the_job_names_those_that_are_overdue(config: Config) -> None:
    register(config, LONG_AGO)
    remember(config, "one", at("2026-06-10 03:18"))
    remember(config, "two", at("2026-06-09 03:18"))
    found = check_jobs.run(config, config.jobs["check_jobs"].settings)
    assert found.status == "failed"
    assert found.reason.startswith(
        "two was due at 2026-06-10T03:17+00:00 and did not run: the last run ended at 2026-0"
    )
    assert set(found.facts["overdue"]) == {"one", "two"}
    assert found.metrics == (Metric("overdue", 0, {"job": "one"}), Metric("overdue", 1, {"job": "two"}))
    remember(config, "two", at("2026-06-10 03:18"))
    assert check_jobs.run(config, config.jobs["check_jobs"].settings).reason == "2 jobs run when they are due"


def test_the_job_registers_what_a_playbook_did_not(config: Config) -> None:
    assert check_jobs.run(config, config.jobs["check_jobs"].settings).status == "ok"
    assert since(config, NOW, LONG_AGO)["one"] == NOW


def test_a_memory_that_cannot_be_read_is_not_called_fine(config: Config) -> None:
    register(config, NOW)
    (Path(config.state_directory) / "one.memory").write_text("{")
    found = check_jobs.run(config, config.jobs["check_jobs"].settings)
    assert (found.status, "one.memory cannot be used" in found.reason) == ("failed", True)


@pytest.mark.parametrize("settings", [{}, {"jobs": []}, {"jobs": ["one"], "more": 1}])
def test_settings_that_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"settings\."):
        checked(settings)


def test_a_job_that_is_not_configured_cannot_be_looked_at(config: Config) -> None:
    with pytest.raises(SpecError, match=r"settings\.jobs: three is not configured"):
        check_jobs.run(config, {"jobs": ["three"]})


def test_the_verdict() -> None:
    assert conclude({"one": ""}).status == "ok"
    assert conclude({"one": "was due", "two": "was due"}).reason == "one was due; two was due"


@pytest.fixture
def path(config: Config, tmp_path: Path) -> Path:
    path = tmp_path / "agent.json"
    jobs = {name: vars(each) for name, each in config.jobs.items()}
    path.write_text(json.dumps({**vars(config), "jobs": jobs}))
    path.chmod(0o644)
    os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    return path


def test_list_says_it(config: Config, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remember(config, "one", at("2026-06-10 03:18"))
    assert command.main(["list", "--config", str(path)], "1") == 0
    _heading, one, two, check = capsys.readouterr().out.splitlines()
    assert "OVERDUE" not in one
    assert "OVERDUE: was due at 2026-06-10T03:17+00:00 and did not run: it has never run since 2020" in two
    assert "OVERDUE: was due at 2026-06-10T11:45+00:00" in check
    assert command.main(["list", "--config", str(path), "--json"], "1") == 0
    listed = json.loads(capsys.readouterr().out)
    judged = job.assess(listed, "1")
    assert [problem.partition(":")[0] for problem in judged["problems"]] == ["two", "check_jobs"]
    save(Path(config.state_directory) / "one.memory", Memory(status="failed").as_data())
    assert command.main(["list", "--config", str(path), "--json"], "1") == 0
    standing = [item["standing"] for item in json.loads(capsys.readouterr().out)["jobs"]]
    assert standing == ["failed", None, None]


@pytest.mark.usefixtures("config")
def test_register_on_the_command_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    became: list[str] = []
    monkeypatch.setattr(command, "become", became.append)
    assert command.main(["register", "--config", str(path)], "1") == 0
    assert capsys.readouterr().out.splitlines()[0] == "one: its schedule is new"
    assert command.main(["register", "--config", str(path)], "1") == 0
    assert capsys.readouterr().out == ""
    assert len(became) == 2


def test_schedules_that_cannot_be_read_are_said(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(memory, "note", lambda _status, text: said.append(text))
    (Path(config.state_directory) / "schedules.json").write_text('{"one": {}}')
    assert since(config, NOW, NOW)["one"] == NOW
    assert "schedules.json cannot be used" in said[0]


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda path: path.symlink_to("/usr/share/zoneinfo/Europe/Berlin"), timedelta(hours=2)),
        (lambda _path: None, timedelta(0)),
    ],
)
def test_the_hosts_zone_has_its_rules(prepare: Callable[[Path], None], expected: timedelta, tmp_path: Path) -> None:
    prepare(tmp_path / "localtime")
    zone = clock.zone(tmp_path / "localtime")
    assert at("2026-06-10 12:00", zone).utcoffset() == expected


def test_a_zone_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "localtime").write_text("Europe/Berlin")
    with pytest.raises(HostError, match="does not say which time zone the host is in"):
        clock.zone(tmp_path / "localtime")
