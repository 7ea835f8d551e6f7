"""What a job left is taken away, however it ended."""

from __future__ import annotations

import os
import pwd
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import run as running
from ansible_collections.pgstead.ops.plugins.module_utils._agent.jobs import Job
from ansible_collections.pgstead.ops.plugins.module_utils._agent.run import run
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config, JobConfig
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict


def carry_out(directory: Path, seconds: int, job: Job) -> dict[str, Any]:
    user = pwd.getpwuid(os.geteuid()).pw_name
    jobs = {"trial": JobConfig("17 3 * * *", seconds, {"any": 1})}
    config = Config(user, str(directory), str(directory), 5432, 3, jobs, str(directory / "metrics"))
    return run("trial", config, "0.1.0+abc", {"trial": job})


@pytest.fixture(autouse=True)
def stay_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "become", lambda _name: None)


@pytest.mark.parametrize(
    ("seconds", "work", "reason"),
    [
        (60, lambda: Verdict("ok"), ""),
        (60, lambda: os.kill(os.getpid(), signal.SIGKILL), "its process was ended from outside by SIGKILL"),
        (1, lambda: time.sleep(60), "ended at its deadline of 1 s, and rolled back where it was not finished"),
    ],
)
def test_however_it_ended(seconds: int, work: Callable[[], Any], reason: str, tmp_path: Path) -> None:
    left = tmp_path / "left"
    job = Job(lambda _config, _settings: (left.touch(), work())[1], afterwards=lambda _config, _settings: left.unlink())
    entry = carry_out(tmp_path, seconds, job)
    assert (entry["reason"], left.exists()) == (reason, False)


def test_what_cannot_be_taken_away_is_a_failure(tmp_path: Path) -> None:
    def clean(_config: Config, _settings: Any) -> None:
        raise HostError("the disk does not answer")

    entry = carry_out(tmp_path, 60, Job(lambda _config, _settings: Verdict("warning", "slow"), afterwards=clean))
    assert (entry["status"], entry["reason"]) == ("failed", "slow; cleaning up: the disk does not answer")
