# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What backups there are, whatever made them, and pgBackRest's own words for it (`info --output=json`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .backup_errors import explain
from .errors import HostError

KINDS = ("full", "diff", "incr")
_OK, _NO_BACKUP, _NO_STANZA = 0, 2, (1, 3)  # codes of a repository's status; the last two: no path, no valid data


@dataclass(frozen=True)
class Backup:
    """One backup in one repository. Times are UTC, sizes bytes: of the cluster, and of what this one added."""

    repository: int
    label: str
    kind: str
    started: datetime
    stopped: datetime
    size: int
    stored: int
    wal: tuple[str, str]  # first and last segment without which it is not consistent
    lsn: tuple[str, str]
    needs: frozenset[str] = frozenset()  # labels of backups that it is made upon
    good: bool = True  # no page had a wrong checksum


@dataclass(frozen=True)
class Held:
    """What one repository holds; `fault` says why it cannot be used."""

    key: int
    fault: str = ""
    backups: tuple[Backup, ...] = ()
    archive: str = ""  # the directory of the running cluster's WAL, as 17-1
    wal: tuple[str, str] | None = None  # first and last archived segment
    system_id: int | None = None
    missing: bool = False  # there is no stanza in it


@dataclass(frozen=True)
class Holdings:
    """Everything that a stanza's repositories hold; `busy` while a backup runs."""

    stanza: str
    held: tuple[Held, ...] = field(default=())
    busy: bool = False

    @property
    def backups(self) -> tuple[Backup, ...]:
        return tuple(backup for held in self.held for backup in held.backups)


def parse(text: str, stanza: str, keys: Sequence[int]) -> Holdings:
    """Read what `pgbackrest info --output=json` printed about the repositories `keys`. Raises HostError.

    Its exit code is 0 for a repository that is empty, lost, or encrypted with another key: each has a fault here.
    """
    try:
        listed = [item for item in _stanzas(text) if item["name"] == stanza]
        if not listed:
            return Holdings(stanza, tuple(Held(key, _missing(stanza), missing=True) for key in keys))
        raw = listed[0]
        busy = bool(raw["status"]["lock"]["backup"]["held"])
        return Holdings(stanza, tuple(_held(raw, key) for key in keys), busy)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise HostError(f"pgbackrest info says what is not understood ({error!r}): {_clean(text)[:300]!r}") from error


def _stanzas(text: str) -> list[Mapping[str, Any]]:
    stanzas = json.loads(text, strict=False)  # bytes that were not decrypted are quoted as they are
    if not isinstance(stanzas, list):
        raise TypeError("no list of stanzas")
    return stanzas


def _missing(stanza: str) -> str:
    return (
        f"has no stanza {stanza}: run playbook pgstead.ops.backup_setup, which makes it, and a full backup. If it had one, the "
        "repository was lost or emptied: see first that its disk is mounted"
    )


def _held(raw: Mapping[str, Any], key: int) -> Held:
    status = next((repo["status"] for repo in raw["repo"] if repo["key"] == key), None)
    if status is None or status["code"] not in (_OK, _NO_BACKUP):
        return Held(key, _fault(raw["name"], status), missing=status is not None and status["code"] in _NO_STANZA)
    current = max((db for db in raw["db"] if db["repo-key"] == key), key=lambda db: int(db["id"]), default=None)
    if current is None:
        return Held(key, _missing(raw["name"]), missing=True)
    wal = next(
        (
            item
            for item in raw["archive"]
            if item["database"]["repo-key"] == key and item["database"]["id"] == current["id"]
        ),
        None,
    )
    return Held(
        key=key,
        backups=tuple(_backup(item, key) for item in raw["backup"] if item["database"]["repo-key"] == key),
        archive=f"{current['version']}-{current['id']}",
        wal=(wal["min"], wal["max"]) if wal and wal["min"] and wal["max"] else None,
        system_id=int(current["system-id"]),
    )


def _fault(stanza: str, status: Mapping[str, Any] | None) -> str:
    if status is None:
        return "is not among what pgbackrest info reports: is it in its configuration? run playbook pgstead.ops.backup_setup"
    message = _clean(str(status["message"]))
    if status["code"] in _NO_STANZA:
        return f"{_missing(stanza)} ({message})"
    if "CryptoError" in message or "FormatError" in message:
        return f"cannot be decrypted: its cipher_passphrase is not the one that it was made with, or the file is damaged ({message[:200]})"
    return f"cannot be used: {explain(status['code'], message)}"


def _clean(text: str) -> str:
    """Return one line of printable text: a file that was not decrypted is quoted as it is."""
    return " ".join("".join(c if c.isprintable() and c != "\ufffd" else " " for c in text).split())


def _backup(item: Mapping[str, Any], key: int) -> Backup:
    needs = {*(item.get("reference") or ()), *([item["prior"]] if item.get("prior") else ())}
    return Backup(
        repository=key,
        label=item["label"],
        kind=item["type"],
        started=datetime.fromtimestamp(item["timestamp"]["start"], UTC),
        stopped=datetime.fromtimestamp(item["timestamp"]["stop"], UTC),
        size=int(item["info"]["size"]),
        stored=int(item["info"]["repository"]["delta"]),
        wal=(item["archive"]["start"], item["archive"]["stop"]),
        lsn=(item["lsn"]["start"], item["lsn"]["stop"]) if item.get("lsn") else ("", ""),
        needs=frozenset(needs),
        good=not item.get("error"),
    )


def newest(backups: Sequence[Backup], *, repository: int | None = None, kind: str | None = None) -> Backup | None:
    """Return the newest good backup, of one repository or one kind where it is given."""
    return max(
        (
            one
            for one in backups
            if one.good and (repository is None or one.repository == repository) and (kind is None or one.kind == kind)
        ),
        key=lambda one: one.stopped,
        default=None,
    )
