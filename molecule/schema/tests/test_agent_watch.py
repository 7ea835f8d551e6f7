"""What is heard of jobs beyond the host: metrics, notifications, missed runs; and timers in place of cron."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.molecule.shared import receivers
from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server, play

AGENT, JOBS = "pgstead.ops.agent", "pgstead.ops.jobs"
NOTHING = dict.fromkeys(VERSIONS, 0)
CONFIGURATION, CRON = "/etc/pgstead/agent.json", "/etc/cron.d/pgstead"
RESULTS, METRICS = "/var/lib/pgstead/jobs", "/var/lib/pgstead/metrics"
SECRETS, STATE = "/etc/pgstead/notifications.json", f"{RESULTS}/notifications.json"
JOB, CHECK = "audit_partitions", "check_jobs"
MAIL_PORT, WEB_PORT = 2525, 8025
TOLD = {
    "email": {"to": ["root"], "smtp_host": "127.0.0.1", "smtp_port": MAIL_PORT},
    "webhook": {"url": f"http://127.0.0.1:{WEB_PORT}/T0/hidden-path", "headers": {"X-Key": "hidden-key"}},
}


def run(server: Server, *arguments: str) -> Any:
    return server.host.run(f"pgstead {' '.join(arguments)}")


def read(server: Server, path: str) -> Any:
    return json.loads(server.host.file(path).content_string)


def place(server: Server, path: str, content: Any) -> None:
    """Write JSON as the jobs' user."""
    server.grep(f"runuser -u postgres -- tee {path}", json.dumps(content))


class Listening:
    """The receivers of one host."""

    def __init__(self, server: Server) -> None:
        server.grep("cat > /root/receivers.py", Path(receivers.__file__).read_text(encoding="utf-8"))
        argv = ["docker", "exec", "-i", server.name, "python3", "/root/receivers.py", str(MAIL_PORT), str(WEB_PORT)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready\n"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def arrived(self) -> dict[str, Any]:
        """Give the mails and posts about JOB so far."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found = json.loads(self._line())
        return {
            "mails": [mail for mail in found["mails"] if JOB in mail["subject"]],
            "posts": [post for post in found["posts"] if post["body"]["job"] == JOB],
        }

    def end(self) -> None:
        self.process.communicate(timeout=30)  # its input ends, and with it the program


@pytest.fixture
def told(both: list[Server]) -> Iterator[dict[str, Listening]]:
    """Hosts that tell their own receivers of jobs."""
    listening = {server.name: Listening(server) for server in both}
    try:
        done = play("--diff", "-v", playbook=AGENT, agent_notifications=TOLD)
        assert done.code == 0, done.output
        assert "hidden-" not in done.output
        yield listening
    finally:
        for each in listening.values():
            each.end()
        assert play(playbook=AGENT).code == 0
        for server in both:
            server.host.check_output("rm /root/receivers.py")


def test_metrics_can_be_read_by_anybody(server: Server) -> None:
    assert run(server, "run", JOB).rc == 0
    text = server.host.check_output(f"runuser -u nobody -- cat {METRICS}/pgstead_{JOB}.prom")
    assert f'pgstead_job_exit_code{{job="{JOB}"}} 0' in text
    assert re.search(rf'^pgstead_job_last_success_timestamp_seconds{{job="{JOB}"}} \d{{10}}$', text, re.MULTILINE)
    silent = server.host.check_output(f"runuser -u nobody -- cat {METRICS}/pgstead_notifications.prom")
    assert "pgstead_notification_undelivered 0" in silent


def test_a_failure_and_its_end_are_told(both: list[Server], told: dict[str, Listening]) -> None:
    again = play(playbook=AGENT, agent_notifications=TOLD)
    assert (again.code, again.changed) == (0, NOTHING), again.output
    for server in both:
        file = server.host.file(SECRETS)
        assert (file.user, file.group, file.mode) == ("root", "postgres", 0o640)
        assert "hidden-" not in server.host.file(CONFIGURATION).content_string
        nowhere = "/etc/pgstead/nowhere.json"
        server.grep(f"cat > {nowhere}", json.dumps(read(server, CONFIGURATION) | {"port": 1}))
        assert run(server, "run", JOB, "--config", nowhere).rc == 1
        assert run(server, "run", JOB, "--config", nowhere).rc == 1
        server.host.check_output(f"rm {nowhere}")
        assert run(server, "run", JOB).rc == 0
        arrived = told[server.name].arrived()
        assert [mail["subject"] for mail in arrived["mails"]] == [
            f"[pgstead] {server.name}: {JOB} failed",
            f"[pgstead] {server.name}: {JOB} recovered",
        ]
        assert "cannot connect to" in arrived["mails"][0]["text"]
        assert [post["body"]["kind"] for post in arrived["posts"]] == ["failed", "recovered"]
        assert arrived["posts"][0]["headers"]["X-Key"] == "hidden-key"
        assert "undelivered" not in run(server, "list").stdout
        assert "hidden-" not in server.host.check_output(f"cat {RESULTS}/* {METRICS}/*")
        assert "hidden-" not in server.host.check_output("journalctl -t pgstead --no-pager")


def test_without_receivers_nothing_of_them_is_left(both: list[Server]) -> None:
    for server in both:
        assert not server.host.file(SECRETS).exists
        assert not server.host.file(STATE).exists


def test_a_run_that_never_started_is_seen(server: Server) -> None:
    assert run(server, "run", JOB).rc == 0
    assert run(server, "run", CHECK).rc == 0
    assert "OVERDUE" not in run(server, "list").stdout
    schedules = read(server, f"{RESULTS}/schedules.json")
    schedules[JOB]["since"] = "2020-01-01T00:00:00Z"
    place(server, f"{RESULTS}/schedules.json", schedules)
    place(server, f"{RESULTS}/{JOB}.memory", {"ended": "2020-01-01T00:00:00Z", "succeeded": None, "metrics": []})
    try:
        assert re.search(rf"^{JOB} .*OVERDUE: was due at", run(server, "list").stdout, re.MULTILINE)
        checked = run(server, "run", CHECK)
        assert (checked.rc, f"{JOB} was due at" in checked.stdout) == (1, True)
        metrics = server.host.file(f"{METRICS}/pgstead_{CHECK}.prom").content_string
        assert f'pgstead_job_overdue{{job="{JOB}"}} 1' in metrics
        seen = play(playbook=JOBS)
        assert seen.failed[server.name] == 1
        assert f"{JOB}: was due at" in seen.output
    finally:
        assert run(server, "run", JOB).rc == 0
        assert run(server, "run", CHECK).rc == 0
    assert "OVERDUE" not in run(server, "list").stdout
    assert play(playbook=JOBS).failed[server.name] == 0


def test_timers_in_place_of_cron_and_back(both: list[Server]) -> None:
    units = [f"pgstead-{JOB}.timer", f"pgstead-{CHECK}.timer"]
    try:
        foretold = play("--check", playbook=AGENT, agent_scheduler="timer")
        assert foretold.code == 0, foretold.output
        assert all(count > 0 for count in foretold.changed.values())
        assert play(playbook=AGENT, agent_scheduler="timer").code == 0
        for server in both:
            assert JOB not in server.host.file(CRON).content_string
            for unit in units:
                assert server.host.run(f"systemctl is-enabled {unit}").stdout.strip() == "enabled"
                assert server.host.run(f"systemctl is-active {unit}").stdout.strip() == "active"
            before = server.host.check_output(f"cat {RESULTS}/{JOB}.jsonl")
            server.host.check_output(f"systemctl start pgstead-{JOB}.service")
            assert server.host.check_output(f"cat {RESULTS}/{JOB}.jsonl") != before
            assert read(server, f"{RESULTS}/{JOB}.json")["status"] == "ok"
        for arguments in ((), ("--check",)):
            again = play(*arguments, playbook=AGENT, agent_scheduler="timer")
            assert (again.code, again.changed) == (0, NOTHING), again.output
    finally:
        back = play(playbook=AGENT)
        assert back.code == 0, back.output
    for server in both:
        assert f"/usr/bin/pgstead run {JOB}" in server.host.file(CRON).content_string
        assert server.host.run("ls /etc/systemd/system | grep ^pgstead-").stdout == ""
        assert "pgstead-" not in server.host.check_output("systemctl list-timers --all --no-pager")
        assert server.host.run("ls /var/lib/systemd/timers | grep pgstead").stdout == ""
    assert play(playbook=AGENT).changed == NOTHING
