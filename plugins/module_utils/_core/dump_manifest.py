# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest of a dump: what is in it, and by what it is recognised whole.

Keys: schema, database, host, cluster, taken (UTC, of the snapshot), lsn, seconds, bytes, versions, encoding, locale,
extensions, roles (that own something, or have rights), compression, counts {method, tables}, excluded, files {path: {size, sha256}}, archive {name, size, sha256},
sha256 (of everything else). It has names and numbers, and no row of any table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .errors import HostError

SCHEMA = 1
_KEYS = frozenset(
    {"schema", "database", "host", "cluster", "taken", "lsn", "seconds", "bytes", "versions", "encoding", "locale"}
    | {"extensions", "roles", "compression", "counts", "excluded", "files", "archive", "sha256"}
)
_LATER = frozenset({"roles"})  # which the first manifests do not have


def seal(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with its own SHA-256."""
    return {**body, "schema": SCHEMA, "sha256": _digest({**body, "schema": SCHEMA})}


def as_json(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True) + "\n"


def read(text: str, stem: str, database: str) -> dict[str, Any]:
    """Read the manifest of a dump. Raises HostError where it was changed, cut off, or is that of another dump."""
    where = f"the manifest {stem}.json"
    try:
        found = json.loads(text)
    except ValueError:
        raise HostError(f"{where} is cut off or was changed: it is not JSON. {_OTHER}") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        theirs = found.get("schema") if isinstance(found, dict) else None
        raise HostError(f"{where} has schema {theirs!r}, and this release reads {SCHEMA}: use the one that wrote it")
    if not _KEYS - _LATER <= set(found) <= _KEYS or found["sha256"] != _digest(
        {k: v for k, v in found.items() if k != "sha256"}
    ):
        raise HostError(f"{where} was changed after it was written: its SHA-256 is not its content's. {_OTHER}")
    archive = str(found["archive"]["name"])
    if found["database"] != database or not archive.startswith(f"{stem}."):
        raise HostError(f"{where} is that of another dump: {archive} of database {found['database']}. {_OTHER}")
    return found


def archive_fault(manifest: Mapping[str, Any], size: int, sha256: str) -> str:
    """Say what is wrong with an archive of this size and hash, or return nothing; an empty hash is not compared."""
    told = manifest["archive"]
    if size != told["size"]:
        what = "was cut off" if size < told["size"] else "is too long"
        return f"{told['name']} {what}: it has {size} bytes, and the manifest says {told['size']}. {_OTHER}"
    if sha256 and sha256 != told["sha256"]:
        return f"{told['name']} was changed: its SHA-256 is {sha256}, and the manifest says {told['sha256']}. {_OTHER}"
    return ""


def tree_faults(manifest: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Compare the files of an opened dump, {path: {size, sha256}}, with those of the manifest."""
    told = manifest["files"]
    return [
        *(f"{path} is missing" for path in sorted(set(told) - set(found))),
        *(f"{path} is not in the manifest" for path in sorted(set(found) - set(told))),
        *(f"{path} was changed" for path in sorted(set(told) & set(found)) if told[path] != found[path]),
    ]


def count_faults(manifest: Mapping[str, Any], found: Mapping[str, int], tables: frozenset[str]) -> list[str]:
    """Compare row counts after a restore of everything, or of `tables`, with those at the time of the dump.

    Nothing can be said where the manifest has estimates, or of tables whose rows were left out.
    """
    if manifest["counts"]["method"] != "exact":
        return []
    told: Mapping[str, int] = manifest["counts"]["tables"]
    compared = sorted((tables or frozenset(told)) - frozenset(manifest["excluded"]))
    return [
        f"{table}: {told[table]} rows were dumped, {found.get(table, 'no table')} are there"
        for table in compared
        if found.get(table) != told[table]
    ]


def excluded_note(manifest: Mapping[str, Any]) -> list[str]:
    """Say of which tables a dump has no rows, and how many they had then."""
    counts: Mapping[str, int | None] = manifest["counts"]["tables"]
    told = [f"{table} ({counts[table] or 0} rows then)" for table in sorted(manifest["excluded"]) if table in counts]
    return [f"rows were left out of the dump, and these tables are empty: {', '.join(told)}"] if told else []


def extension_notes(manifest: Mapping[str, Any], found: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return which extensions are missing after a restore, and in words which have another version."""
    told: Mapping[str, str] = manifest["extensions"]
    missing = [f"extension {name} is missing" for name in sorted(set(told) - set(found))]
    other = [
        f"extension {name} is {found[name]} here, and was {told[name]}"
        for name in sorted(set(told) & set(found))
        if found[name] != told[name]
    ]
    return missing, other


_OTHER = "Take another dump, or the same one from another remote"


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
