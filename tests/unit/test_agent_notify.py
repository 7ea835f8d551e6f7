"""Notifications from a run on, as real receivers get them: who hears of what, and what waits for the next run."""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.molecule.shared.receivers import Mailbox, Requests
from ansible_collections.pgstead.ops.plugins.module_utils._agent import memory, publish
from ansible_collections.pgstead.ops.plugins.module_utils._agent.attempts import Attempts
from ansible_collections.pgstead.ops.plugins.module_utils._agent.memory import notices
from ansible_collections.pgstead.ops.plugins.module_utils._agent.state import receivers
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config, JobConfig
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._host.files import Wanted, write

# a delivery is a child of its run, and here the receivers are threads; one that hung would be ended at its deadline
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for module in (publish, memory):
        monkeypatch.setattr(module, "note", lambda status, text: lines.append((status, text)))
    return lines


@pytest.fixture
def config(tmp_path: Path, mailbox: Mailbox, hook: Requests, said: list[tuple[str, str]]) -> Config:
    secrets = tmp_path / "etc-notifications.json"
    told = {
        "email": {"to": ["dba@example.org"], "smtp_host": "127.0.0.1", "smtp_port": mailbox.port},
        "webhook": {"url": f"http://127.0.0.1:{hook.port}/T0/secret", "headers": {"X-Key": "secret"}},
    }
    secrets.write_text(json.dumps(told))
    secrets.chmod(0o640)
    user, jobs = pwd.getpwuid(os.geteuid()).pw_name, {"trial": JobConfig("17 3 * * *", 60, {"any": 1})}
    return Config(user, str(tmp_path), "/", 5432, 3, jobs, str(tmp_path / "metrics"), str(secrets))


def hear(config: Config, status: str, now: datetime = NOW, reason: str = "no server") -> None:
    entry: dict[str, Any] = {"job": "trial", "host": "db1", "status": status, "reason": reason, "facts": {}}
    entry |= {"started": "2026-01-02T03:17:00Z", "seconds": 1.5}
    attempts = Attempts()
    publish.publish(config, entry, (), now, attempts)
    attempts.end()


def undelivered(config: Config) -> int:
    text = (Path(config.metrics_directory) / "pgstead_notifications.prom").read_text()
    return int(text.splitlines()[-1].split()[-1])


def test_a_full_disk_keeps_nobody_from_hearing_of_it(
    config: Config, mailbox: Mailbox, hook: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(wanted: Wanted) -> None:
        if wanted.path.is_relative_to(config.metrics_directory):
            return write(wanted)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(memory, "write", full)
    with pytest.raises(HostError, match=r"trial\.memory cannot be written: No space left on device") as raised:
        hear(config, "failed")
    assert "notifications.json cannot be written" in str(raised.value)
    assert (len(mailbox.raw), kinds(hook)) == (1, ["failed"])
    metrics = (Path(config.metrics_directory) / "pgstead_trial.prom").read_text()
    assert re.search(r'^pgstead_job_exit_code\{job="trial"\} 1$', metrics, re.MULTILINE)


def kinds(hook: Requests) -> list[str]:
    return [json.loads(content)["kind"] for _path, _headers, content in hook.seen]


def test_failure_reminder_and_recovery_arrive_once(config: Config, mailbox: Mailbox, hook: Requests) -> None:
    for status, hours in (("failed", 0), ("failed", 1), ("skipped", 2), ("failed", 24), ("ok", 25), ("ok", 26)):
        hear(config, status, NOW + timedelta(hours=hours))
    assert kinds(hook) == ["failed", "reminder", "recovered"]
    assert [message["Subject"] for message in mailbox.mails()] == [
        "[pgstead] db1: trial failed",
        "[pgstead] db1: trial failed still",
        "[pgstead] db1: trial recovered",
    ]
    assert undelivered(config) == 0


def test_what_was_not_taken_is_sent_by_the_next_run(
    config: Config, mailbox: Mailbox, hook: Requests, said: list[tuple[str, str]]
) -> None:
    hook.status = 503
    hear(config, "failed")
    assert (len(mailbox.raw), undelivered(config)) == (1, 1)
    expected = "not told by webhook: [pgstead] db1: trial failed: the webhook answered with status 503"
    assert said == [("failed", expected)]
    (words,) = notices(config)[0].undelivered
    assert words.endswith("by webhook: the webhook answered with status 503")
    hear(config, "ok")
    assert (kinds(hook), undelivered(config)) == (["failed", "failed"], 2)  # the second is not tried after the first
    hook.status = 200
    hear(config, "ok")
    assert kinds(hook)[2:] == ["failed", "recovered"]
    assert (len(mailbox.raw), undelivered(config), notices(config)[0].undelivered) == (2, 0, ())


def test_one_notice_that_is_refused_keeps_no_other(
    config: Config, mailbox: Mailbox, hook: Requests, said: list[tuple[str, str]]
) -> None:
    hook.largest = 2000
    hear(config, "failed", reason="x" * 2000)
    assert (kinds(hook), undelivered(config)) == (["failed"], 1)
    hear(config, "ok", NOW + timedelta(hours=1))
    assert (kinds(hook), undelivered(config)) == (["failed", "failed", "recovered"], 1)
    hear(config, "ok", NOW + timedelta(hours=25))
    assert (kinds(hook)[3:], undelivered(config)) == (["failed"], 0)
    assert said[-1] == ("failed", "given up, refused by webhook for too long: [pgstead] db1: trial failed")
    hear(config, "ok", NOW + timedelta(hours=26))
    assert (len(kinds(hook)), len(mailbox.raw)) == (4, 2)


def test_a_mail_that_some_have_got_is_not_sent_again(
    config: Config, mailbox: Mailbox, said: list[tuple[str, str]]
) -> None:
    secrets = Path(str(config.notifications))
    told = json.loads(secrets.read_text())
    told["email"]["to"].append("gone@example.org")
    secrets.write_text(json.dumps(told))
    mailbox.answers["<gone@example.org>"] = "550 no such user"
    for _run in range(3):
        hear(config, "failed")
    assert (len(mailbox.raw), undelivered(config)) == (1, 0)
    expected = (
        "told by email: [pgstead] db1: trial failed: the mail system refused gone@example.org, and took it for the"
    )
    assert [(status, text.removesuffix(" others")) for status, text in said] == [("warning", expected)]


def test_without_a_place_for_its_state_somebody_is_told_all_the_same(
    config: Config, mailbox: Mailbox, hook: Requests, tmp_path: Path
) -> None:
    (tmp_path / "gone").write_text("in the way")
    gone = Config(**{**vars(config), "state_directory": str(tmp_path / "gone")})
    with pytest.raises(HostError, match=r"gone/notifications\.lock cannot be locked"):
        hear(gone, "failed")
    assert (len(mailbox.raw), kinds(hook)) == (1, ["failed"])
    metrics = (Path(config.metrics_directory) / "pgstead_trial.prom").read_text()
    assert 'pgstead_job_exit_code{job="trial"} 1' in metrics


def test_a_receiver_that_never_answers_is_given_up(
    config: Config, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "DELIVERY_SECONDS", 2)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        secrets = Path(str(config.notifications))
        told = json.loads(secrets.read_text())
        told["webhook"]["url"] = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        secrets.write_text(json.dumps(told))
        hear(config, "failed")
    assert (len(mailbox.raw), undelivered(config)) == (1, 1)
    assert "ended at its deadline of 2 s" in notices(config)[0].undelivered[0]


def test_secrets_are_in_no_other_file(config: Config, hook: Requests, tmp_path: Path, said: list[Any]) -> None:
    hook.status = 500
    hear(config, "failed")
    others = [path for path in tmp_path.rglob("*") if path.is_file() and path != Path(str(config.notifications))]
    assert {path.name for path in others} >= {"notifications.json", "trial.memory", "pgstead_trial.prom"}
    assert [path for path in others if "secret" in path.read_text()] == []
    assert "secret" not in str(said)


def test_without_receivers_nothing_is_kept(config: Config, tmp_path: Path) -> None:
    silent = Config(**{**vars(config), "notifications": None})
    hear(silent, "failed")
    assert not (tmp_path / "notifications.json").exists()
    assert undelivered(silent) == 0


@pytest.mark.parametrize(
    ("mode", "words"),
    [(0o644, "others could read it"), (0o660, "others than root could write it"), (0o602, "others than root could")],
)
def test_a_file_that_others_can_use_is_refused_and_that_is_seen(
    mode: int, words: str, config: Config, mailbox: Mailbox, said: list[tuple[str, str]]
) -> None:
    secrets = Path(str(config.notifications))
    secrets.chmod(mode)
    with pytest.raises(SpecError, match=words):
        receivers(secrets)
    hear(config, "failed")
    assert (mailbox.raw, undelivered(config)) == ([], 1)
    assert words in notices(config)[0].undelivered[0]
    assert words in said[0][1]
    secrets.chmod(0o640)
    hear(config, "failed")
    assert (len(mailbox.raw), undelivered(config)) == (1, 0)


def test_a_foreign_group_is_others_too(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Path(str(config.notifications))
    monkeypatch.setattr(os, "fstat", lambda _handle: _status(secrets, st_gid=4_000_000))
    with pytest.raises(SpecError, match="group 4000000: others could read it"):
        receivers(secrets)


def _status(path: Path, **changed: int) -> Any:
    found = path.stat()
    names: Mapping[str, int] = {name: getattr(found, name) for name in ("st_mode", "st_uid", "st_gid")}
    return type("Status", (), {**names, **changed})


def test_a_state_that_cannot_be_read_is_said_and_begun_anew(
    config: Config, tmp_path: Path, mailbox: Mailbox, said: list[tuple[str, str]]
) -> None:
    (tmp_path / "notifications.json").write_text("{")
    assert "cannot be used" in notices(config)[1]
    hear(config, "failed")
    assert "notifications.json cannot be used: " in said[0][1]
    assert (len(mailbox.raw), notices(config)[1]) == (1, "")
