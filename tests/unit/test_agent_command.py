"""The host's command: its verbs, exit codes and configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import (
    command,
    journal,
)
from ansible_collections.pgstead.ops.plugins.module_utils._agent import run as running
from ansible_collections.pgstead.ops.plugins.module_utils._agent.jobs import Job
from ansible_collections.pgstead.ops.plugins.module_utils._agent.state import keep, load
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict


@pytest.fixture
def path(config: Config, tmp_path: Path) -> Path:
    """Write the configuration as the role does."""
    path = tmp_path / "agent.json"
    jobs = {name: vars(job) for name, job in config.jobs.items()}
    path.write_text(json.dumps({**vars(config), "jobs": jobs}))
    path.chmod(0o644)
    return path


def call(*argv: str) -> int:
    return command.main(argv, "0.1.0+abc")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("version") == 0
    assert capsys.readouterr().out == "0.1.0+abc\n"
    assert call("version", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"version": "0.1.0+abc"}


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("failed", 1), ("warning", 3), ("skipped", 75)])
def test_the_exit_code_says_the_status(
    status: str, code: int, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def job(_config: Config, _settings: Mapping[str, Any]) -> Verdict:
        return Verdict(status, "as told")

    monkeypatch.setitem(running.JOBS, "audit_partitions", Job(job))
    assert call("run", "audit_partitions", "--config", str(path), "--json") == code
    assert json.loads(capsys.readouterr().out)["status"] == status
    assert call("run", "audit_partitions", "--config", str(path)) == code
    assert capsys.readouterr().out.startswith(f"audit_partitions: {status} after ")


def test_an_error_of_the_command_itself_is_in_the_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr(journal, "note", lambda status, text: noted.append((status, text)))
    monkeypatch.setattr(command, "run", lambda *_told: {}["none"])
    assert call("run", "audit_partitions", "--config", str(path)) == 1
    assert capsys.readouterr().err.startswith("pgstead: an error in pgstead itself: KeyError: 'none'")
    assert (noted[0][0], "Traceback" in noted[0][1]) == ("failed", True)


def test_list_shows_what_ran_and_what_did_not(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"job": "trial", "status": "ok", "seconds": 1.5, "reason": "fine"}
    keep(tmp_path, entry | {"started": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}, 10)
    assert call("list", "--config", str(path)) == 0
    heading, trial, audit = capsys.readouterr().out.splitlines()
    assert heading.split() == ["job", "schedule", "last", "age", "seconds", "reason"]
    assert (trial.split()[6], trial.split()[-1]) == ("ok", "fine")
    assert audit.split()[6:] == ["never", "-", "-"]
    assert call("list", "--config", str(path), "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["version"] == "0.1.0+abc"
    assert [item["job"] for item in listed["jobs"]] == ["trial", "audit_partitions"]
    assert [item["age_seconds"] is None for item in listed["jobs"]] == [False, True]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "cannot be read: "),
        (lambda path: path.chmod(0o666), "has mode 0666, owner "),
        (lambda path: path.chmod(0o664), "has mode 0664, owner "),
        (lambda path: path.write_text("{"), "configuration: is not JSON: "),
        (lambda path: path.write_bytes(b"\xff"), "cannot be read: "),
        (lambda path: path.write_text('{"port": 0}'), "configuration.port: 0 is not a whole number from 1 to 65535"),
    ],
)
def test_a_configuration_that_cannot_be_trusted_is_refused(
    spoil: Callable[[Path], object],
    words: str,
    path: Path,
    said: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(path)
    for arguments in (["run", "audit_partitions"], ["list"]):
        assert call(*arguments, "--config", str(path)) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith(f"pgstead: {path}")
        assert words in complaint
        assert "run playbook pgstead.ops.agent" in complaint
    assert [status for status, _text in said] == ["failed"]  # what cron started must be heard of
    assert not (path.parent / "audit_partitions.json").exists()


def test_a_configuration_as_it_shall_be(path: Path, config: Config) -> None:
    assert load(path) == config


@pytest.mark.parametrize("argv", [[], ["run"], ["walk"], ["run", "a", "b"], ["version", "--config", "x"]])
def test_a_command_line_that_makes_no_sense(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(*argv)
    assert caught.value.code == 2
