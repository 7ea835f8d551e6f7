"""Jobs on a host: one run at a time, ended at the deadline, kept whatever becomes of them."""

from __future__ import annotations

import errno
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import (
    audit_partitions,
    journal,
)
from ansible_collections.pgstead.ops.plugins.module_utils._agent import run as running
from ansible_collections.pgstead.ops.plugins.module_utils._agent.attempts import Attempts
from ansible_collections.pgstead.ops.plugins.module_utils._agent.jobs import Job
from ansible_collections.pgstead.ops.plugins.module_utils._agent.run import run
from ansible_collections.pgstead.ops.plugins.module_utils._agent.state import latest
from ansible_collections.pgstead.ops.plugins.module_utils._agent.supervise import within
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config, JobConfig
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConnectionFailed, HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict
from ansible_collections.pgstead.ops.plugins.module_utils._core.metrics import Metric
from ansible_collections.pgstead.ops.plugins.module_utils._host.lock import held, lock
from ansible_collections.pgstead.ops.plugins.module_utils._pg.audit_partition import PartitionReport

USER = pwd.getpwuid(os.geteuid()).pw_name


def carry_out(config: Config, work: Callable[[], Verdict], lock: str = "") -> dict[str, Any]:
    return run("trial", config, "0.1.0+abc", {"trial": Job(lambda _config, _settings: work(), lock)})


def ended(process: int) -> bool:
    """Whether a process has ended; one whose parent has not looked yet has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_run_is_kept_and_noted(config: Config, tmp_path: Path, said: list[tuple[str, str]]) -> None:
    entry = carry_out(config, lambda: Verdict("warning", "look here", {"rows": 7}))
    assert (entry["job"], entry["status"], entry["facts"]) == ("trial", "warning", {"rows": 7})
    assert datetime.fromisoformat(entry["started"]).tzinfo is not None
    assert json.loads((tmp_path / "trial.json").read_text()) == entry
    assert [json.loads(line) for line in (tmp_path / "trial.jsonl").read_text().splitlines()] == [entry]
    assert said == [("warning", f"trial: warning after {entry['seconds']} s: look here")]
    assert (tmp_path / "trial.json").stat().st_mode & 0o777 == 0o644


def test_the_history_is_bounded(config: Config, tmp_path: Path, said: list[tuple[str, str]]) -> None:
    reasons = []
    for number in range(5):
        reasons.append(f"run {number}")
        carry_out(config, lambda: Verdict("ok", reasons[-1]))
    lines = (tmp_path / "trial.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == reasons[-3:]


def test_a_second_run_is_skipped_and_names_the_first(
    config: Config, tmp_path: Path, said: list[tuple[str, str]]
) -> None:
    with lock(tmp_path / "trial.lock") as holder:
        assert holder is None
        entry = carry_out(config, lambda: Verdict("ok"))
    assert entry["status"] == "skipped"
    assert f"process {os.getpid()} is running it" in entry["reason"]
    assert carry_out(config, lambda: Verdict("ok"))["status"] == "ok"


def test_jobs_that_share_a_lock_run_one_at_a_time(config: Config, tmp_path: Path, said: list[tuple[str, str]]) -> None:
    with lock(tmp_path / "backup.lock"):
        skipped = carry_out(config, lambda: Verdict("ok"), lock="backup")
        alone = carry_out(config, lambda: Verdict("ok"))
    assert skipped["status"] == "skipped"
    expected = f"process {os.getpid()} is running a job that excludes it (backup) (it holds {tmp_path}/backup.lock)"
    assert skipped["reason"] == expected
    assert alone["status"] == "ok"
    assert carry_out(config, lambda: Verdict("ok"), lock="backup")["status"] == "ok"


def test_a_job_of_a_shared_lock_shows_that_it_is_at_work(
    config: Config, tmp_path: Path, said: list[tuple[str, str]]
) -> None:
    def look() -> Verdict:
        return Verdict("ok", f"{held(tmp_path / 'trial.lock')} {held(tmp_path / 'backup.lock')}")

    assert carry_out(config, look, lock="backup")["reason"] == "True True"
    assert not held(tmp_path / "trial.lock")


def test_a_job_that_asks_the_server_waits_for_it_within_its_deadline(
    config: Config, said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "await_server", lambda _config, seconds: time.sleep(seconds))
    patient = Job(lambda _config, _settings: Verdict("ok"), asks_server=True)
    jobs = {"trial": JobConfig("17 3 * * *", 1, {"any": 1})}
    entry = run("trial", replace(config, jobs=jobs), "1", {"trial": patient})
    assert "ended at its deadline of 1 s" in entry["reason"]
    assert carry_out(config, lambda: Verdict("ok"))["status"] == "ok"


def test_every_run_leaves_metrics(config: Config, tmp_path: Path, said: list[tuple[str, str]]) -> None:
    file = tmp_path / "metrics" / "pgstead_trial.prom"

    def values() -> dict[str, str]:
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        return dict(line.rsplit(" ", 1) for line in lines)

    first = carry_out(config, lambda: Verdict("ok", metrics=(Metric("size_bytes", 7.0, {"repository": "1"}),)))
    began = f"{datetime.fromisoformat(first['started']).timestamp():.0f}"
    expected = {
        'pgstead_job_last_run_timestamp_seconds{job="trial"}': began,
        'pgstead_job_last_success_timestamp_seconds{job="trial"}': began,
        'pgstead_job_exit_code{job="trial"}': "0",
        'pgstead_job_size_bytes{job="trial",repository="1"}': "7",
    }
    assert values().items() >= expected.items()
    assert file.stat().st_mode & 0o777 == 0o644
    carry_out(config, lambda: Verdict("failed", "no server"))
    kept = {name: value for name, value in expected.items() if "success" in name or "size" in name}
    assert values().items() >= (kept | {'pgstead_job_exit_code{job="trial"}': "1"}).items()
    with lock(tmp_path / "trial.lock"):
        carry_out(config, lambda: Verdict("ok"))
    assert values().items() >= (kept | {'pgstead_job_exit_code{job="trial"}': "1"}).items()
    assert (tmp_path / "metrics" / "pgstead_notifications.prom").read_text().endswith("undelivered 0\n")


def test_metrics_that_cannot_be_written_are_no_secret(
    config: Config, tmp_path: Path, said: list[tuple[str, str]]
) -> None:
    (tmp_path / "metrics").write_text("in the way")
    with pytest.raises(
        HostError, match=r"metrics/pgstead_notifications\.prom cannot be written: .*pgstead\.ops\.agent"
    ):
        carry_out(config, lambda: Verdict("ok"))
    assert json.loads((tmp_path / "trial.json").read_text())["status"] == "ok"


def test_a_lock_ends_with_its_holder(config: Config, tmp_path: Path, said: list[tuple[str, str]]) -> None:
    def fall() -> Verdict:
        os.kill(os.getpid(), signal.SIGKILL)
        return Verdict("ok")

    entry = carry_out(config, fall)
    assert (entry["status"], "ended from outside by SIGKILL" in entry["reason"]) == ("failed", True)
    assert carry_out(config, lambda: Verdict("ok"))["status"] == "ok"


def test_the_deadline_ends_a_job_that_hears_no_signal() -> None:
    def deaf() -> Verdict:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        time.sleep(60)
        return Verdict("ok")

    since = time.monotonic()
    found = within(0.3, deaf)
    assert time.monotonic() - since < 10
    assert found.status == "failed"
    assert "ended at its deadline of 0.3 s" in found.reason


@pytest.mark.parametrize("how", ["by the deadline", "by itself"])
def test_what_a_job_started_ends_with_it(how: str, tmp_path: Path) -> None:
    note = tmp_path / "process"

    def leave() -> Verdict:
        note.write_text(str(subprocess.Popen(["sleep", "60"]).pid))
        time.sleep(60 if how == "by the deadline" else 0)
        return Verdict("ok")

    assert within(3, leave).status == ("failed" if how == "by the deadline" else "ok")
    deadline = time.monotonic() + 10
    while not ended(int(note.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_that_is_asked_to_end_is_on_record(config: Config, said: list[tuple[str, str]]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stop() -> Verdict:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
        return Verdict("ok")

    entry = carry_out(config, stop)
    assert (entry["status"], entry["reason"]) == ("failed", "ended by SIGTERM")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_request_that_comes_with_the_start_is_on_record_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork

    def asked_meanwhile() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return fork()

    monkeypatch.setattr(os, "fork", asked_meanwhile)
    assert within(60, lambda: time.sleep(60) or Verdict("ok")) == Verdict("failed", "ended by SIGTERM")


def test_errors_become_failures_with_their_words() -> None:
    def refuse() -> Verdict:
        raise ConnectionFailed("cannot connect to nowhere")

    def stumble() -> Verdict:
        return Verdict("ok", "", {}[7])

    assert within(60, refuse) == Verdict("failed", "cannot connect to nowhere")
    assert "an error in pgstead itself: KeyError: 7" in within(60, stumble).reason


def test_a_job_that_is_unknown_or_not_configured(config: Config, said: list[tuple[str, str]]) -> None:
    with pytest.raises(SpecError, match=r"vacuum: there is no such job in pgstead 1\.0; there are audit_partitions"):
        run("vacuum", config, "1.0")
    with pytest.raises(SpecError, match=r"other: is not configured on this host: .*pgstead\.ops\.agent"):
        run("other", config, "1.0", {"other": Job(lambda _config, _settings: Verdict("ok"))})


def test_a_directory_that_cannot_be_written(config: Config, tmp_path: Path, said: list[tuple[str, str]]) -> None:
    gone = replace(config, state_directory=str(tmp_path / "gone"))
    with pytest.raises(HostError, match=r"gone/results\.lock cannot be locked: .*run playbook pgstead\.ops\.agent"):
        carry_out(gone, lambda: Verdict("ok"))
    ((status, text),) = said
    assert (status, "gone/trial.lock cannot be locked" in text) == ("failed", True)
    metrics = (tmp_path / "metrics" / "pgstead_trial.prom").read_text()
    assert 'pgstead_job_exit_code{job="trial"} 1' in metrics


def test_a_run_that_cannot_even_begin_is_on_record(
    config: Config, tmp_path: Path, said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(os, "fork", full)
    entry = carry_out(config, lambda: Verdict("ok"))
    assert (entry["status"], entry["reason"]) == ("failed", "no process could be started: Cannot allocate memory")
    assert json.loads((tmp_path / "trial.json").read_text()) == entry


def test_an_error_outside_the_work_is_on_record(
    config: Config, tmp_path: Path, said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "within", lambda _seconds, _work: {}["none"])
    entry = carry_out(config, lambda: Verdict("ok"))
    assert (entry["status"], "KeyError: 'none'" in entry["reason"]) == ("failed", True)
    assert json.loads((tmp_path / "trial.json").read_text()) == entry


@pytest.mark.parametrize("text", ["/etc/caf\udce9.conf", "a\0b"])
def test_a_reason_of_any_characters_is_on_record(
    text: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "become", lambda _name: None)
    entry = carry_out(config, lambda: Verdict("failed", text))
    assert json.loads((tmp_path / "trial.json").read_text()) == entry


def test_the_journal_takes_any_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(journal.syslog, "syslog", lambda _level, line: lines.append(line))
    journal.note("failed", "caf\udce9\0\nÜ")
    assert lines == ["caf\\udce9", "Ü"]


def test_a_history_that_is_no_text_spoils_no_run(config: Config, tmp_path: Path, said: list[tuple[str, str]]) -> None:
    (tmp_path / "trial.jsonl").write_bytes(b'{"reason": "before"}\n\xff\n')
    entry = carry_out(config, lambda: Verdict("ok"))
    first, _spoilt, last = (tmp_path / "trial.jsonl").read_text().splitlines()
    assert (json.loads(first), json.loads(last)) == ({"reason": "before"}, entry)


def test_steps_are_taken_whatever_became_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(journal, "note", lambda _status, text: noted.append(text))
    attempts, taken = Attempts(), []

    def fall() -> None:
        raise ValueError("in the way\nDETAIL:  Row: (1,Alice)")

    for each in (fall, lambda: taken.append("second")):
        with attempts.step():
            each()
    with pytest.raises(HostError, match=r"^an error in pgstead itself: ValueError: in the way; journalctl"):
        attempts.end()
    assert (taken, "Traceback" in noted[0]) == (["second"], True)


def test_a_link_in_place_of_a_lock_is_not_followed(config: Config, tmp_path: Path) -> None:
    (tmp_path / "trial.lock").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("kept")
    with pytest.raises(HostError), lock(tmp_path / "trial.lock"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"started": "then"}', '{"started": "2026-01-02T03:04:05Z"}'])
def test_what_is_no_result_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    assert latest(tmp_path, "trial") == (None, "")
    (tmp_path / "trial.json").write_text(text)
    found, words = latest(tmp_path, "trial")
    assert found is None
    assert "is not the result of a job" in words


def test_databases_fail_one_by_one(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def maintain(target: Any, rule: Any, role: str) -> PartitionReport:
        asked.append(f"{target.database} as {role}, {rule.retention_months} months of {rule.schema}")
        if target.database == "shop":
            raise ConnectionFailed("no server")
        return PartitionReport(created=("log_2026_04",))

    monkeypatch.setattr(audit_partitions, "maintain", maintain)
    found = audit_partitions.run(config, config.jobs["audit_partitions"].settings)
    assert asked == ["shop as shop_owner, 24 months of audit", "other as shop_owner, 24 months of audit"]
    assert (found.status, found.reason) == ("failed", "shop: no server")
    assert found.facts["databases"]["other"]["created"] == ("log_2026_04",)


def test_jobs_run_as_their_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "umask", lambda _mask: 0)
    monkeypatch.setattr(os, "environ", {"PGOPTIONS": "-c role=somebody", "HOME": "/nowhere", "LANG": "C"})
    running.become(USER)
    assert os.environ == {"HOME": pwd.getpwnam(USER).pw_dir, "LANG": "C"}
    with pytest.raises(SpecError, match="nobody-of-that-name"):
        running.become("nobody-of-that-name")
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(SpecError, match=f"jobs run as {USER}: run this as root or as {USER}"):
        running.become(USER)


def test_root_becomes_the_user_before_anything_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: type("Account", (), {"pw_uid": 5, "pw_gid": 6, "pw_dir": "/x"}))
    for name in ("initgroups", "setgid", "setuid", "umask"):
        monkeypatch.setattr(os, name, lambda *told, name=name: done.append((name, *told)))
    running.become("postgres")
    assert done == [("initgroups", "postgres", 6), ("setgid", 6), ("setuid", 5), ("umask", 0o022)]
