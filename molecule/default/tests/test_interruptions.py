"""Reboots, and runs that are killed at any point: the next run finishes the job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import SCENARIO, Server, play

# seconds after which the run is killed, and what it was to bring about: each run has work for server and pooler
KILLS = [(4.0, 11), (7.0, 12), (10.0, 13)]


@pytest.mark.parametrize(("seconds", "workers"), KILLS)
def test_a_killed_run_is_finished_by_the_next(seconds: float, workers: int, both: list[Server]) -> None:
    settings = {"max_worker_processes": workers, "work_mem": f"{workers - 9}MB"}
    argv = ["ansible-playbook", "pgstead.ops.provision", "-i", str(SCENARIO / "inventory")]
    argv += ["-e", json.dumps({"postgresql_settings": settings, "pgbouncer_default_pool_size": workers})]
    run = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(seconds)
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    for server in both:
        server.host.run("pkill -KILL -f 'AnsiballZ|ansible'")
    finished = play(postgresql_settings=settings, pgbouncer_default_pool_size=workers)
    assert finished.code == 0, finished.output
    for server in both:
        assert server.sql("SHOW max_worker_processes") == str(workers)
        assert server.sql("SHOW work_mem") == f"{workers - 9}MB"
        assert server.ask("SELECT 1") == [(1,)]
    again = play(postgresql_settings=settings, pgbouncer_default_pool_size=workers)
    assert again.changed == {server.name: 0 for server in both}, again.output


@pytest.mark.usefixtures("restored")
def test_files_written_but_never_loaded_are_loaded(both: list[Server]) -> None:
    """The narrow case that timing seldom hits: killed between the swap of the files and the reload."""
    assert play(postgresql_settings={"work_mem": "2MB"}).code == 0
    texts = [server.host.file(f"{server.configuration}/postgresql.conf").content_string for server in both]
    assert play().code == 0
    for server, text in zip(both, texts, strict=True):
        path = f"{server.configuration}/postgresql.conf"
        subprocess.run(
            ["docker", "exec", "-i", server.name, "tee", path], input=text, text=True, check=True, capture_output=True
        )
        assert server.sql("SHOW work_mem") != "2MB"
    run = play(postgresql_settings={"work_mem": "2MB"})
    # the explanation in settings.json was not written, and the reload is due
    assert run.changed == {server.name: 2 for server in both}, run.output
    assert [server.sql("SHOW work_mem") for server in both] == ["2MB", "2MB"]


def test_a_pooler_that_is_killed_comes_back(server: Server) -> None:
    def main_process() -> str:
        """Its number, once it says that it is ready."""
        shown = server.host.check_output("systemctl show --property=ActiveState,MainPID --value pgbouncer").split()
        return next((word for word in shown if word.isdigit()), "0") if "active" in shown else "0"

    before = main_process()
    server.host.check_output("kill -KILL %s", before)
    deadline = time.monotonic() + 60
    while main_process() in ("0", before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert main_process() not in ("0", before)
    assert server.ask("SELECT 1") == [(1,)]


def test_a_reboot_comes_back_serving(server: Server) -> None:
    server.host.check_output("echo manual > %s/start.conf; systemctl disable postgresql", server.configuration)
    assert play("--limit", server.name).changed == {server.name: 1}
    address = server.address
    subprocess.run(["docker", "restart", server.name], check=True, capture_output=True)
    server.wait()
    assert server.host.run("systemctl is-active %s pgbouncer", server.unit).rc == 0
    run = play("--limit", server.name)
    assert run.code == 0, run.output
    # a container may come back with another address, which its certificate must then name
    assert ("does not name IP:" in run.output) is (server.address != address), run.output
    assert server.address != address or run.changed == {server.name: 0}, run.output


@pytest.mark.usefixtures("restored")
def test_ports_written_but_never_taken_are_taken(both: list[Server]) -> None:
    """Killed between the swap of the files and the restart: the running processes are still on their old ports."""
    for server in both:
        server.host.check_output("sed -i 's/^port = 5432/port = 5499/' %s/postgresql.conf", server.configuration)
        server.host.check_output("sed -i 's/^listen_port = 6432/listen_port = 6499/' /etc/pgbouncer/pgbouncer.ini")
    run = play(postgresql_port=5499, pgbouncer_port=6499)
    assert run.code == 0, run.output
    for server in both:
        assert server.ask("SELECT 1", port=6499) == [(1,)]
        assert server.ask("SHOW port", port=5499) == [("5499",)]
