"""What pgBackRest said, and what it means."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_errors import explain, verify_faults

SILENT = """\
P00  ERROR: [042]: unable to load info file '/b/backup.info' or '/b/backup.info.copy':
            FileReadError: timeout after 300ms waiting for read from 'localhost:45187'
            FileReadError: timeout after 300ms waiting for read from 'localhost:45187'
            HINT: backup.info cannot be opened and is required to perform a backup.
            HINT: has a stanza-create been performed?
"""


@pytest.mark.parametrize(
    ("code", "output", "meaning"),
    [
        (
            50,
            "P00  ERROR: [050]: unable to acquire lock on file '/run/x.lock'",
            "Another backup, expiry or stanza command",
        ),
        (64, "P00  ERROR: [064]: unable to write '/repo/x': [28] No space left on device", "A disk is full"),
        # of a write that was cut short, pgBackRest gives the reason of another call
        (64, "P00  ERROR: [064]: unable to write '/repo/x': [2] No such file or directory", "A disk is full"),
        (42, SILENT, "The store does not answer"),
        (49, "P00  ERROR: [049]: unable to get address for 's3.invalid'", "The store does not answer"),
        (39, "P00  ERROR: [039]: HTTP request failed with 403 (Forbidden)", "The store refused the request"),
        (
            95,
            "P00  ERROR: [095]: CryptoError: unable to flush",
            "The repository was written with another cipher_passphrase",
        ),
        (82, "P00  ERROR: [082]: WAL segment X was not archived before the 120000ms timeout", "WAL did not reach"),
        (
            29,
            "P00  ERROR: [029]: error restoring 'x': actual checksum 'a' does not match expected",
            "A file of the repository",
        ),
        (
            28,
            "P00  ERROR: [028]: backup and archive info files exist but do not match",
            "The repository belongs to another",
        ),
        (26, "P00  ERROR: [026]: actual checksum 'a' does not match expected checksum 'b'", "A file of the repository"),
        (56, "P00  ERROR: [056]: unable to find primary cluster - cannot proceed", "PostgreSQL does not answer"),
        (55, "P00  ERROR: [055]: unable to open missing file '/repo/archive.info'", "The repository is empty or lost"),
        (
            55,
            "P00  ERROR: [055]: unable to open missing file '/var/lib/postgresql/17/main/global/pg_control' for read",
            "The cluster's data directory is missing or empty",
        ),
        (
            55,
            "P00  ERROR: [055]: unable to open missing file '/repo/backup/db1/20260315-100000F/pg_data/global/pg_control'",
            "The repository is empty or lost",
        ),
        (1, "P00  ERROR: [001]: something new", ""),
    ],
)
def test_errors(code: int, output: str, meaning: str) -> None:
    found = explain(code, output)
    assert found.startswith("P00 ERROR: [0")
    assert (meaning in found) if meaning else found == "P00 ERROR: [001]: something new"


def test_the_reason_after_an_errors_first_line() -> None:
    said = explain(42, f"P00   WARN: something else\n{SILENT}")
    assert said.startswith(
        "P00 ERROR: [042]: unable to load info file '/b/backup.info' or '/b/backup.info.copy': FileReadError"
    )
    assert said.count("timeout after") == 1
    assert "HINT" not in said
    assert "WARN" not in said


def test_an_error_is_one_printable_line() -> None:
    said = explain(95, "P00  ERROR: [095]: CryptoError \x1b[31m\ufffd\x00 in 'x'\nmore\n" + "y" * 5000)
    assert said.isprintable()
    assert len(said) < 1000


def test_silence() -> None:
    assert explain(134, "") == "it printed nothing and ended with code 134"


HEAD = "stanza: main\nstatus: error\n"
ARCHIVE = "  archiveId: 15-1, total WAL checked: {}, total valid WAL: {}\n    missing: 0, checksum invalid: 1, other: 0"
BROKEN = "  backup: 20260315-100000F, status: invalid, total files checked: 900, total valid files: 899"
DETAIL = "    missing: 0, checksum invalid: 1, size invalid: 0, other: 0"


@pytest.mark.parametrize(
    ("output", "faults"),
    [
        ("stanza: main\nstatus: ok\n" + ARCHIVE.format(9, 9), []),
        (f"{HEAD}{ARCHIVE.format(9, 9)}\n{BROKEN}\n{DETAIL}", [f"{BROKEN.strip()} ({DETAIL.strip()})"]),
        (f"{HEAD}{ARCHIVE.format(9, 8)}", ["archiveId: 15-1, total WAL checked: 9, total valid WAL: 8 (missing: 0"]),
        (
            f"{HEAD}{BROKEN}\n{BROKEN.replace('F,', 'F_D,')}",
            ["backup: 20260315-100000F,", "backup: 20260315-100000F_D,"],
        ),
        (f"{HEAD}{BROKEN.replace('invalid, total', 'valid, total')}", ["pgbackrest verify says status: error"]),
        (
            f"{HEAD}{BROKEN.replace('invalid, total', 'in-progress, total')}",
            ["backup: 20260315-100000F, status: in-progress"],
        ),
        ("stanza: main\nstatus: error\n  No usable backup.info file", ["No usable backup.info file"]),
        ("stanza: other\nstatus: ok\n", ["pgbackrest verify gave no verdict: stanza: other status: ok"]),
        ("stanza: main\n", ["pgbackrest verify gave no verdict: stanza: main"]),
        ("", ["pgbackrest verify gave no verdict: it printed nothing"]),
    ],
)
def test_verify(output: str, faults: list[str]) -> None:
    found = verify_faults(output, "main")
    assert len(found) == len(faults), found
    assert all(fault.startswith(words) for fault, words in zip(found, faults, strict=True)), found
