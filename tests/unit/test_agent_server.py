"""A job that asks the server waits for one that is starting, and for no other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import server
from ansible_collections.pgstead.ops.plugins.module_utils._agent.jobs import JOBS
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError

CONFIG = Config("postgres", "/s", "/run/sockets", 5433, 3, {}, "/m")
ACCEPTS, REJECTS, SILENT = 0, 1, 2


class Host:
    """Stands in for pg_isready, the clock and the uptime: `answers` come one a second, the last for ever."""

    def __init__(self, uptime: Path) -> None:
        self.uptime, self.answers, self.seconds, self.asked = uptime, [ACCEPTS], 0.0, [""]

    def is_up(self, seconds: float) -> None:
        self.uptime.write_text(f"{seconds} 7.00\n")

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        self.asked = argv
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0], "", "")

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path / "uptime")
    monkeypatch.setattr(server, "_UPTIME", found.uptime)
    monkeypatch.setattr(server, "run", found.run)
    monkeypatch.setattr(server, "time", SimpleNamespace(monotonic=lambda: found.seconds, sleep=found.sleep))
    return found


@pytest.mark.parametrize(
    ("answers", "up", "deadline", "waited"),
    [
        ([ACCEPTS], 5.0, 600, 0),
        ([SILENT], 90_000.0, 600, 0),  # it is down, on a host that has long been up
        ([SILENT, SILENT, REJECTS, REJECTS, ACCEPTS], 5.0, 600, 4),
        ([REJECTS, REJECTS, ACCEPTS], 90_000.0, 600, 2),  # it replays its WAL
        ([REJECTS], 90_000.0, 7200, 300),
        ([SILENT], 5.0, 7200, 300),
        ([SILENT], 5.0, 120, 60),  # the deadline is the job's, too
    ],
)
def test_it_waits_for_a_server_that_is_starting(
    answers: list[int], up: float, deadline: int, waited: int, host: Host
) -> None:
    host.answers = answers
    host.is_up(up)
    server.await_server(CONFIG, deadline)
    assert host.seconds == waited
    assert host.asked == ["pg_isready", "-q", "-h", "/run/sockets", "-p", "5433"]


def test_without_the_program_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_argv: list[str]) -> tuple[int, str, str]:
        raise HostError("pg_isready cannot be run")

    monkeypatch.setattr(server, "run", missing)
    server.await_server(CONFIG, 600)


def test_who_asks_the_server_of_the_host() -> None:
    assert {name for name, job in JOBS.items() if not job.asks_server} == {"drill_quick", "drill_full", "check_jobs"}
