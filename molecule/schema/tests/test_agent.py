"""The command pgstead on hosts: what cron starts, what a person sees, and what neither may do."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server, play

AGENT, JOBS = "pgstead.ops.agent", "pgstead.ops.jobs"
NOTHING = dict.fromkeys(VERSIONS, 0)
CONFIGURATION, CRON = "/etc/pgstead/agent.json", "/etc/cron.d/pgstead"
RESULTS, METRICS = "/var/lib/pgstead/jobs", "/var/lib/pgstead/metrics"
JOB = "audit_partitions"
FILES = {
    "/usr/lib/pgstead/pgstead": ("root", 0o755),
    CONFIGURATION: ("root", 0o644),
    CRON: ("root", 0o644),
    RESULTS: ("postgres", 0o755),
    METRICS: ("postgres", 0o755),
}


def run(server: Server, *arguments: str, user: str = "postgres") -> Any:
    return server.host.run(f"runuser -u {user} -- /usr/bin/pgstead {' '.join(arguments)}")


def result(server: Server) -> dict[str, Any]:
    return json.loads(server.host.file(f"{RESULTS}/{JOB}.json").content_string)


@pytest.fixture
def spoiled(server: Server) -> Iterator[str]:
    """Give a copy of the configuration that a test may spoil."""
    path = "/etc/pgstead/spoiled.json"
    server.host.check_output(f"cp {CONFIGURATION} {path}")
    yield path
    server.host.check_output(f"rm -f {path}")


@pytest.fixture
def deaf(server: Server) -> Iterator[Server]:
    """A server that takes connections and never answers."""
    process = f"/var/lib/postgresql/{server.version}/main/postmaster.pid"
    server.host.check_output(f"kill -STOP $(head -n 1 {process})")
    yield server
    server.host.check_output(f"kill -CONT $(head -n 1 {process})")


@pytest.mark.parametrize("path", FILES)
def test_files_have_their_owners(path: str, server: Server) -> None:
    file = server.host.file(path)
    assert (file.user, file.mode) == FILES[path]


def test_the_host_has_what_the_controller_built(server: Server) -> None:
    argv = ["ansible", "localhost", "-m", "ansible.builtin.debug"]
    argv += ["-a", "msg={{ lookup('pgstead.ops.agent_archive').version }}"]
    built = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    version = server.host.check_output("pgstead version")
    assert re.fullmatch(r"0\.1\.0\+[0-9a-f]{12}", version)
    assert version in built


def test_crons_own_line_works(server: Server) -> None:
    lines = server.host.file(CRON).content_string.splitlines()
    (line,) = [text for text in lines if JOB in text]
    schedule, user, command = line.split()[:5], line.split()[5], " ".join(line.split()[6:])
    assert (schedule, user) == (["17", "3", "*", "*", "*"], "postgres")
    settings = [text for text in lines if re.match("(SHELL|PATH)=", text)]
    done = server.host.run(f"cd / && runuser -u {user} -- env -i {' '.join(settings)} /bin/sh -c '{command}'")
    assert done.rc == 0, done.stdout + done.stderr
    entry = result(server)
    assert (entry["status"], entry["job"], entry["host"]) == ("ok", JOB, server.name)
    assert entry["version"] == server.host.check_output("pgstead version")
    assert set(entry["facts"]["databases"]) == {"shop"}
    assert f"{JOB}: ok after" in server.host.check_output("journalctl -t pgstead -o cat -n 3 --no-pager")
    assert server.host.file(f"{RESULTS}/{JOB}.json").user == "postgres"


def test_what_is_kept_of_a_query_is_filled_anew(server: Server) -> None:
    count = "SELECT sum(users) FROM app.users_by_domain"
    before = int(server.sql(count, "shop"))
    server.sql("INSERT INTO app.users VALUES (-1, 'new@example.com')", "shop")
    try:
        assert int(server.sql(count, "shop")) == before
        done = run(server, "run", "refresh_views", "--json")
        assert done.rc == 0, done.stdout + done.stderr
        assert list(json.loads(done.stdout)["facts"]["databases"]["shop"]["views"]) == ["app.users_by_domain"]
        assert int(server.sql(count, "shop")) == before + 1
    finally:
        server.sql("DELETE FROM app.users WHERE id = -1", "shop")


def test_root_runs_it_as_postgres_and_anybody_may_look(server: Server) -> None:
    assert run(server, "run", JOB, "--json", user="root").rc == 0
    assert server.host.file(f"{RESULTS}/{JOB}.jsonl").user == "postgres"
    listed = run(server, "list", user="nobody")
    assert listed.rc == 0, listed.stderr
    assert re.search(rf"^{JOB} +17 3 \* \* \* +ok ", listed.stdout, re.MULTILINE), listed.stdout
    refused = run(server, "run", JOB, user="nobody")
    assert (refused.rc, "jobs run as postgres" in refused.stderr) == (2, True)


def test_the_deadline_ends_it_and_meanwhile_no_other_runs(deaf: Server, spoiled: str, tmp_path: Path) -> None:
    config = json.loads(deaf.host.file(spoiled).content_string)
    config["jobs"][JOB]["deadline_seconds"] = 8
    deaf.grep(f"cat > {spoiled}", json.dumps(config))
    argv = ["docker", "exec", deaf.name, "pgstead", "run", JOB, "--config", spoiled, "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as first:
        # the supervisor and the child that does the work, which is made once the lock is had
        while int(deaf.host.run("pgrep -cf '[p]gstead run'").stdout) < 2:
            assert first.poll() is None
            time.sleep(0.1)
        second = run(deaf, "run", JOB, "--json")
        output, _none = first.communicate(timeout=120)
    assert second.rc == 75, second.stdout + second.stderr
    entry = json.loads(second.stdout)
    assert entry["status"] == "skipped"
    assert re.search(r"process \d+ is running it", entry["reason"])
    assert first.returncode == 1
    ended = json.loads(output)
    assert (ended["status"], "deadline of 8 s" in ended["reason"]) == ("failed", True)
    assert ended["seconds"] >= 8
    assert result(deaf)["status"] == "failed"


def test_what_cannot_be_trusted_is_refused(server: Server, spoiled: str) -> None:
    before = result(server)
    assert run(server, "run", "vacuum").rc == 2
    server.host.check_output(f"chmod 0666 {spoiled}")
    done = run(server, "run", JOB, "--config", spoiled)
    assert (done.rc, "has mode 0666" in done.stderr) == (2, True)
    server.host.check_output(f"chmod 0644 {spoiled}")
    server.grep(f"cat > {spoiled}", '{"port": 0}')
    done = run(server, "run", JOB, "--config", spoiled)
    assert (done.rc, "configuration.port: 0 is not a whole number" in done.stderr) == (2, True)
    assert result(server) == before


def test_cron_itself_starts_it(both: list[Server]) -> None:
    """The daemon that runs, on the file that the role wrote: within the next minute there is a new result."""
    try:
        often = play(playbook=AGENT, agent_jobs={JOB: {"schedule": "* * * * *"}})
        assert (often.code, often.changed) == (0, dict.fromkeys(VERSIONS, 1)), often.output
        since = {server.name: server.host.check_output(f"cat {RESULTS}/{JOB}.jsonl") for server in both}
        deadline = time.monotonic() + 130
        while any(server.host.check_output(f"cat {RESULTS}/{JOB}.jsonl") == since[server.name] for server in both):
            said = [server.host.check_output("journalctl -u cron -n 20 --no-pager") for server in both]
            assert time.monotonic() < deadline, "\n".join(said)
            time.sleep(2)
        for server in both:
            assert result(server)["status"] == "ok"
            complaints = r"(?i)error|bad |wrong|insecure|no mta"
            assert not re.search(complaints, server.host.check_output("journalctl -u cron -o cat --no-pager"))
    finally:
        assert play(playbook=AGENT).code == 0


def test_another_run_changes_nothing() -> None:
    for arguments in ((), ("--check", "--diff")):
        again = play(*arguments, playbook=AGENT)
        assert (again.code, again.changed) == (0, NOTHING), again.output


def test_a_job_without_work_leaves_nothing(both: list[Server]) -> None:
    off = {JOB: {"enabled": False}}
    try:
        assert play(playbook=AGENT, agent_jobs=off).code == 0
        for server in both:
            assert JOB not in server.host.file(CRON).content_string
            assert JOB not in server.host.check_output(f"ls {RESULTS}")
            done = run(server, "run", JOB)
            assert (done.rc, "is not configured on this host" in done.stderr) == (2, True)
        assert play(playbook=AGENT, agent_jobs=off).changed == NOTHING
    finally:
        assert play(playbook=AGENT).code == 0
    for server in both:
        assert run(server, "run", JOB).rc == 0


def test_bad_input_is_named_before_a_host_is_touched() -> None:
    refused = play(playbook=AGENT, agent_jobs={JOB: {"schedule": "every day"}}, agent_history_lines=0)
    assert refused.code != 0
    assert refused.changed == NOTHING
    assert "agent_jobs.audit_partitions.schedule: 'every day' has 2 fields" in refused.output
    assert "agent_history_lines: 0 is not a whole number" in refused.output


def test_the_fleet_in_one_look_and_never_with_another_version(both: list[Server]) -> None:
    seen = play(playbook=JOBS)
    assert (seen.code, seen.changed) == (0, NOTHING), seen.output
    assert re.search(rf"{JOB} +17 3 \* \* \* +ok", seen.output)
    server = both[0]
    other = f"#!/bin/sh\necho '{json.dumps({'version': '0.0.9+000000000000', 'host': 'x', 'jobs': []})}'\n"
    try:
        server.host.check_output("rm /usr/bin/pgstead")
        server.grep("cat > /usr/bin/pgstead && chmod 0755 /usr/bin/pgstead", other)
        skewed = play(playbook=JOBS)
        assert skewed.code != 0
        assert skewed.failed[server.name] == 1
        assert "0.0.9+000000000000" in skewed.output
        assert server.host.check_output("/usr/lib/pgstead/pgstead version") in skewed.output
    finally:
        server.host.check_output("rm /usr/bin/pgstead")
        assert play(playbook=AGENT).changed[server.name] == 1
