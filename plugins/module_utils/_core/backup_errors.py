# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What pgBackRest said when it failed, with what it means and what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import dropwhile

_KEPT = 600
# The first match speaks.
_MEANINGS: Sequence[tuple[str, str]] = (
    (r"\[050\]", "another backup, expiry or stanza command holds the lock: wait for it, or see `pgstead list`"),
    # [064] is a write that was cut short; the reason that pgBackRest then gives is one of another call's
    (
        r"No space left on device|\[064\]",
        "a disk is full: make room there (docs/backup.md, full disks); nothing was lost by this",
    ),
    (r"CryptoError|FormatError", "the repository was written with another cipher_passphrase, or the file is damaged"),
    (r"\[106\]", "the clock or its zone was changed: see timedatectl, then run this again"),
    (r"\[073\]", "the repository's directory is not there: is it mounted?"),
    (r"\[062\]", "somebody has stopped the stanza: `pgbackrest --stanza=NAME start` as postgres lets it go on"),
    (
        r"unable to get WAL file",
        "the store is too slow, or something else of pgBackRest held the lock of archiving meanwhile",
    ),
    (r"\[082\]", "WAL did not reach the repository in time: see archiving (pgstead run check_archiving)"),
    (
        r"ChecksumError|\[029\]|does not match expected checksum",
        "a file of the repository is damaged: take another backup or repository, and make a full one",
    ),
    (
        r"\[0?28\]|system-id|BackupMismatch",
        "the repository belongs to another cluster: choose another backup_stanza or path",
    ),
    (
        r"HostConnectError|unable to get address|\[049\]|timeout after \d+ms waiting for",
        "the store does not answer: is it up, and its name right?",
    ),
    (
        r"ProtocolError|\[039\]|\[101\]|\[105\]|HTTP",
        "the store refused the request: see its answer; key, bucket and clock must be right",
    ),
    (r"DbConnectError|unable to find primary|\[056\]", "PostgreSQL does not answer on its socket: is it running?"),
    (  # below pg_data, it is the repository's copy
        r"missing file '[^']*(?<!/pg_data)/global/pg_control'",
        "the cluster's data directory is missing or empty: is its disk mounted, and postgresql_data_directory right?",
    ),
    (
        r"\[055\]|FileMissingError|missing stanza",
        "the repository is empty or lost: run playbook pgstead.ops.backup_setup",
    ),
)


def explain(code: int, output: str) -> str:
    """Return one line: the error in pgBackRest's words, then what it means, if that is known."""
    # an error's reason may be on the lines after it, several times; a hint is often not what went wrong
    lines = dict.fromkeys(line for line in (" ".join(line.split()) for line in output.splitlines()) if line)
    told = [line for line in lines if not line.startswith("HINT:")]
    errors = list(dropwhile(lambda line: "ERROR:" not in line, told)) or told
    said = "".join(c if c.isprintable() and c != "\ufffd" else " " for c in " ".join(errors[:3]))[:_KEPT]
    whole = f"[{code:03d}] {output}"
    meaning = next((meant for pattern, meant in _MEANINGS if re.search(pattern, whole)), "")
    words = said or f"it printed nothing and ended with code {code}"
    return f"{words}. {meaning[:1].upper()}{meaning[1:]}" if meaning else words


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
