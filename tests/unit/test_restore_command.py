"""The command that fetches WAL for a recovery, and what the server's log says of how that ended."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import (
    UNREADABLE,
    restore_command,
    stopping_point,
    why_it_ended,
)

STOPPED = "recovery stopping before commit of transaction 748, time 2026-03-15 10:00:00.5+00"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"LOG:  {STOPPED}", "LOG:  redo done at 0/5000028 system usage"], STOPPED),
        (["LOG:  redo done at 0/5000028 system usage: CPU"], "redo done at 0/5000028"),
        ([f'{{"message":"{STOPPED}","error_severity":"LOG"}}'], STOPPED),
        (["LOG:  ready"], ""),
        ([], ""),
    ],
)
def test_where_recovery_stopped(lines: list[str], expected: str) -> None:
    assert stopping_point(lines) == expected


UNREAD = f'FATAL:  could not restore file "A" from archive: child process exited with exit code {UNREADABLE}'
BEYOND = "FATAL:  recovery ended before configured recovery target was reached"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([BEYOND], "the target lies beyond the WAL: "),
        ([f'{{"error_severity":"FATAL","message":"{BEYOND[8:]}"}}'], "the target lies beyond the WAL: "),
        (["FATAL:  recovery aborted because of insufficient parameter settings"], "this server has smaller settings"),
        (
            ["FATAL:  requested timeline 3 is not a child of this server's history"],
            "the backup lies on a timeline that was left",
        ),
        (["FATAL:  could not open file"], "FATAL: could not open file"),
        (
            ["ERROR: [049]: unable to connect to 's3.example.org'", UNREAD],
            "the archive could not be read, 3 times: ERROR: [049]: unable to connect to 's3.example.org'. The store does not answer",
        ),
        ([UNREAD], "the archive could not be read, 3 times: "),
        (
            ["WARN: repo1: [HostConnectError] timeout", "ERROR: [103]: unable to find a valid repository", UNREAD],
            "the archive could not be read, 3 times: ERROR: [103]: unable to find a valid repository WARN: repo1: [HostConnectError]",
        ),
        (
            ["ERROR: [103]: unable to", "       repo1: [CryptoError] no", "2026-01-31 LOG:  x", UNREAD],
            "the archive could not be read, 3 times: ERROR: [103]: unable to repo1: [CryptoError] no. The repository was written",
        ),
        (["FATAL:  recovery target timeline 3 does not exist"], "the history of that timeline is in no repository"),
        (["LOG:  database system is shut down"], ""),
        # whoever asks whether it is up yet hears FATAL, too, and as often as they ask
        ([BEYOND, *["FATAL:  the database system is in recovery mode"] * 3], "the target lies beyond the WAL: "),
        ([BEYOND, *["FATAL:  the database system is shutting down"] * 9], "the target lies beyond the WAL: "),
        (["FATAL:  the database system is starting up"], ""),
    ],
)
def test_why_a_server_ended(lines: list[str], words: str) -> None:
    found = why_it_ended(lines)
    assert found.startswith(words)
    assert bool(found) is bool(words)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("000000020000000000000004", True),
        ("000000020000000000000005", True),
        ("000000020000000000000006", False),
        ("000000020000000100000000", False),
        ("000000010000000000000009", True),
        ("000000030000000000000005", False),
        ("00000002.history", True),
        ("00000003.history", False),
    ],
)
def test_an_archive_that_ends_at_a_segment(name: str, given: bool) -> None:
    command = restore_command("test -n %f", "000000020000000000000005").replace("%f", name)
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == (0 if given else 1)


@pytest.mark.parametrize(
    ("codes", "ended", "asked"),
    [
        ([0], 0, 1),
        ([1], 1, 1),  # it is not there
        ([49, 0], 0, 2),
        ([82, 1], 1, 2),
        ([49, 82, 0], 0, 3),
        ([49, 49, 49, 0], UNREADABLE, 3),
        ([137, 2, 29], UNREADABLE, 3),
    ],
)
def test_an_archive_that_cannot_be_read_is_not_the_end_of_the_wal(
    codes: list[int], ended: int, asked: int, tmp_path: Path
) -> None:
    program = tmp_path / "get"
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\nset -- {" ".join(map(str, codes))}\n')
    with program.open("a") as more:
        more.write(f"shift $(($(wc -l < {tmp_path}/asked) - 1))\nexit $1\n")
    program.chmod(0o700)
    command = "sleep() { :; }; " + restore_command(f"{program} %f").replace("%f", "A")
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == ended
    assert (tmp_path / "asked").read_text() == "A\n" * asked


def test_a_shell_that_fails_does_not_tell_the_end_of_the_wal() -> None:
    """As where it cannot fork: it ends with code 2, wherever it is."""
    done = subprocess.run(["/bin/sh", "-c", restore_command(". /missing")], check=False, capture_output=True)
    assert done.returncode == UNREADABLE
