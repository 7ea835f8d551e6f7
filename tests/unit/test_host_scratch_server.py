"""What is left of a restored server is ended and removed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConnectionFailed, HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host import scratch_server
from ansible_collections.pgstead.ops.plugins.module_utils._host.programs import run
from ansible_collections.pgstead.ops.plugins.module_utils._host.scratch_server import ScratchServer


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScratchServer:
    monkeypatch.setattr(scratch_server, "END_SECONDS", 0.5)
    made = ScratchServer(run, tmp_path / "db1", Path("/nowhere"), 1)
    made.prepare()
    return made


@pytest.mark.parametrize("words", [["sleep", "60"], ["sh", "-c", "trap '' QUIT; sleep 60; sleep 60"]])
def test_processes_that_outlived_their_server_are_ended(copy: ScratchServer, words: list[str]) -> None:
    with subprocess.Popen(words, cwd=copy.data) as left:
        copy.wipe()
        assert left.wait(5) in (-signal.SIGQUIT, -signal.SIGKILL)
    assert not copy.directory.exists()


@pytest.mark.parametrize(
    ("program", "source", "word", "ended"),
    [
        ("/usr/bin/pgbackrest", "db1", "archive-get:async", True),
        ("pgbackrest", "db1", "restore:local", True),
        ("pgbackrest", "db2", "restore", False),
        ("vi", "db1", "restore", False),
    ],
    ids=["ahead", "restore", "of another cluster", "another program"],
)
def test_what_fetches_ahead_is_ended(copy: ScratchServer, program: str, source: str, word: str, ended: bool) -> None:
    copy.configuration = "/etc/pgstead/drill/db1.conf"
    words = [program, "-c", "sleep 60; true", "sh", f"--config=/etc/pgstead/drill/{source}.conf", word]
    with subprocess.Popen(words, executable="/bin/sh", cwd="/", process_group=0) as fetching:
        copy.wipe()
        if ended:
            fetching.wait(5)
        else:
            assert fetching.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(fetching.pid, signal.SIGKILL)


def test_a_process_beside_it_is_left_alone(copy: ScratchServer, tmp_path: Path) -> None:
    beside = tmp_path / "db1-data"
    beside.mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=beside) as other:
        copy.wipe()
        assert other.poll() is None
        other.kill()


def test_preparing_begins_anew(copy: ScratchServer) -> None:
    (copy.data / "PG_VERSION").write_text("17")
    copy.prepare()
    assert list(copy.data.iterdir()) == []
    assert (copy.directory.stat().st_mode & 0o777, (copy.directory / "socket").stat().st_mode & 0o777) == (0o700, 0o700)


def test_a_server_that_cannot_be_looked_at_is_not_started(copy: ScratchServer) -> None:
    with pytest.raises(HostError, match="pg_controldata"):
        copy.start()


PROGRAMS = {
    "pg_controldata": "exit 0",
    "postgres": """while getopts D:c: word; do [ "$word" = D ] && data=$OPTARG; done
printf '1\\n%s\\n' "$STATE" >"$data/postmaster.pid"; exec sleep 60""",
}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("ready   ", "the restored server is open, and refuses: no such library"),
        ("starting", "recovery did not come to its end within 2 s"),
    ],
    ids=["open", "starting"],
)
def test_a_server_that_is_open_and_lets_nobody_in_is_not_waited_for(
    copy: ScratchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, said: str
) -> None:
    def refuse(_target: object) -> None:
        raise ConnectionFailed("no such library")

    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("STATE", state)
    monkeypatch.setattr(scratch_server, "REFUSING_SECONDS", 0.5)
    monkeypatch.setattr(scratch_server.recovery, "state", refuse)
    copy.binaries = tmp_path
    copy.start()
    with pytest.raises(HostError, match=said):
        copy.until_open(2)
    copy.wipe()


def test_a_directory_that_no_drill_made_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "db1/archive").mkdir(parents=True)
    with pytest.raises(HostError, match="was not made by a drill"):
        ScratchServer(run, tmp_path / "db1", Path("/nowhere"), 1).prepare()
    assert (tmp_path / "db1/archive").is_dir()


@pytest.mark.parametrize("nth", range(1, 16))
def test_what_was_cut_off_is_made_and_removed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    """At the nth change of the disk, for as many as there are."""
    copy, changes = ScratchServer(run, tmp_path / "db1", Path("/nowhere"), 1), 0

    def cut_off(change: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **options: object) -> object:
            nonlocal changes
            changes += 1
            if changes == nth:
                raise KeyboardInterrupt
            return change(*args, **options)

        return counted

    def made_and_removed() -> None:
        copy.prepare()
        copy.wipe()

    with monkeypatch.context() as patched:
        for name in ("mkdir", "touch", "write_text", "unlink", "rmdir"):
            patched.setattr(Path, name, cut_off(getattr(Path, name)))
        patched.setattr(scratch_server.shutil, "rmtree", cut_off(scratch_server.shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            made_and_removed()
    copy.prepare()
    assert (copy.directory / "files/pg_hba.conf").exists()
    copy.wipe()
    assert not copy.directory.exists()
