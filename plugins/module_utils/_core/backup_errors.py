# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What pgBackRest said when it failed, with what it means and what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence

_KEPT = 600
# The first match speaks. What pgBackRest calls a hint is often not what went wrong.
_MEANINGS: Sequence[tuple[str, str]] = (
    (r"\[050\]", "another backup, expiry or stanza command holds the lock: wait for it, or see `pgstead list`"),
    (
        r"No space left on device",
        "a disk is full: make room there (docs/backup.md, full disks); nothing was lost by this",
    ),
    (r"CryptoError|FormatError", "the repository was written with another cipher_passphrase, or the file is damaged"),
    (r"\[082\]", "WAL did not reach the repository in time: see archiving (pgstead run check_archiving)"),
    (
        r"ChecksumError|\[029\]",
        "a file of the repository is damaged: take another backup or repository, and make a full one",
    ),
    (
        r"\[0?28\]|system-id|BackupMismatch",
        "the repository belongs to another cluster: choose another backup_stanza or path",
    ),
    (
        r"HostConnectError|unable to find primary|unable to get address|\[049\]",
        "the store does not answer: is it up, and its name right?",
    ),
    (
        r"ProtocolError|\[106\]|HTTP",
        "the store refused the request: see its answer; key, bucket and clock must be right",
    ),
    (r"DbConnectError|\[056\]", "PostgreSQL does not answer on its socket: is it running?"),
    (
        r"\[055\]|FileMissingError|missing stanza",
        "the repository is empty or lost: run playbook pgstead.ops.backup_setup",
    ),
)


def explain(code: int, output: str) -> str:
    """Return one line: the error in pgBackRest's words, then what it means, if that is known."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    errors = [line for line in lines if "ERROR:" in line] or [line for line in lines if line]
    said = "".join(c if c.isprintable() and c != "\ufffd" else " " for c in " ".join(errors[:3]))[:_KEPT]
    whole = f"[{code:03d}] {output}"
    meaning = next((words for pattern, words in _MEANINGS if re.search(pattern, whole)), "")
    told = said or f"it printed nothing and ended with code {code}"
    return f"{told}. {meaning[:1].upper()}{meaning[1:]}" if meaning else told


def verify_faults(output: str, stanza: str) -> tuple[str, ...]:
    """Return what `pgbackrest verify --output=text --verbose` found wrong: its exit code is 0 whatever it finds.

    A report without a status is a fault, too: it could not be run.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    status = next((line for line in lines if line.startswith("status:")), None)
    if f"stanza: {stanza}" not in lines or status is None:
        return (
            f"pgbackrest verify gave no verdict: {' '.join(' '.join(lines).split())[:_KEPT] or 'it printed nothing'}",
        )
    if status == "status: ok":
        return ()
    found = []
    for position, line in enumerate(lines):
        broken = re.search(r"status: (?!valid)(\w+)", line) if line.startswith("backup:") else None
        archive = re.search(r"total WAL checked: (\d+), total valid WAL: (\d+)", line)
        if broken or (archive and archive[1] != archive[2]):
            detail = lines[position + 1] if position + 1 < len(lines) else ""
            found.append(
                f"{line} ({detail})" if ":" in detail and not detail.startswith(("backup:", "archiveId")) else line
            )
        elif line.startswith(("No usable", "ERROR")):
            found.append(line)
    return tuple(found) or (f"pgbackrest verify says {status}: {' '.join(lines)[:_KEPT]}",)
