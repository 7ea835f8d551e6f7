"""Backups as tables of cases have them: a label, a kind, hours ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Backup

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
PASSPHRASE = "correct horse battery staple"
SPEC: dict[str, Any] = {
    "repositories": [
        {"name": "local", "type": "posix", "path": "/var/lib/pgbackrest", "cipher_passphrase": PASSPHRASE}
    ],
    "stanza": "db1",
    "environment": "production",
    "archive_timeout": 300,
    "processes": 2,
    "version": 17,
    "cluster_name": "main",
    "port": 5432,
}

STORE = {
    "name": "store",
    "type": "s3",
    "path": "/db1",
    "offsite": True,
    "cipher_passphrase": f"{PASSPHRASE} #2;=",
    "options": {
        "bucket": "b",
        "endpoint": "s3.example.org",
        "region": "eu-1",
        "key": "SECRET1",
        "key_secret": "SECRET2",
    },
}


def wal(number: int, timeline: int = 1) -> str:
    """Return the name of a segment of 16 MB."""
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def backup(label: str, kind: str = "full", hours: float = 1, **more: Any) -> Backup:
    """Return a backup that ended so many hours ago, in the segments and LSNs of `at` (a number, 16 MB each)."""
    at, timeline = more.pop("at", 1), more.pop("timeline", 1)
    stopped = NOW - timedelta(hours=hours)
    base = {
        "repository": 1,
        "started": stopped - timedelta(minutes=1),
        "stopped": stopped,
        "size": 1000,
        "stored": 100,
        "wal": (wal(at, timeline), wal(at, timeline)),
        "lsn": (f"{at // 256:X}/{at % 256 * 2**24 + 0x28:X}", f"{at // 256:X}/{at % 256 * 2**24 + 0x138:X}"),
    }
    return Backup(label=label, kind=kind, **(base | more))
