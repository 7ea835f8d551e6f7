# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at stored dumps: which there are, and whether each is still what was stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._core.dump_manifest import archive_fault, read
from .._core.dump_name import MANIFEST, Stored, stored
from .._core.dump_restore import LATEST
from .._core.errors import HostError
from .dump_archive import digests
from .dump_remote import Store
from .dump_work import working_directory


@dataclass(frozen=True)
class Chosen:
    """A dump in a store, with its manifest."""

    stem: str
    archive: str
    manifest: Mapping[str, Any]


def choose(store: Store, database: str, name: str) -> Chosen:
    """Find a dump by name, or the latest that is whole as far as names go. Raises HostError, saying what is missing."""
    there = stored(store.names(), database)
    whole = [each for each in there if not each.complaint]
    if name == LATEST:
        if not whole:
            halves = "; ".join(each.complaint for each in there)
            raise HostError(f"{store.place} holds no dump of {database}{': ' if halves else ''}{halves}")
        return _chosen(store, database, whole[-1])
    found = [each for each in there if name in (each.stem, each.archive)]
    if not found:
        newest = ", ".join(each.stem for each in whole[-3:]) or "none"
        raise HostError(f"{store.place} holds no dump {name} of {database}; the newest there are: {newest}")
    if found[0].complaint:
        raise HostError(f"{store.place}: {found[0].complaint}")
    return _chosen(store, database, found[0])


def _chosen(store: Store, database: str, one: Stored) -> Chosen:
    return Chosen(one.stem, one.archive, read(store.read(f"{one.stem}{MANIFEST}"), one.stem, database))


def size_fault(store: Store, chosen: Chosen) -> str:
    """Say what is wrong with a stored archive, as far as its size shows, or return nothing."""
    found = store.stat(chosen.archive)
    return archive_fault(chosen.manifest, int(found["Size"]), "") if found else f"{chosen.archive} is missing"


def survey(store: Store, database: str, verify: str, work_directory: Path) -> list[dict[str, Any]]:
    """Return the dumps of a database, oldest first, each with `fault`, empty where nothing is wrong with it.

    Sizes and manifests are always looked at; `verify` says of which archives (none, latest, all) the content is fetched and
    hashed. `verified` says whether it was.
    """
    there = stored(store.names(), database)
    return [
        _seen(store, database, each, work_directory if verify == "all" or (verify == LATEST and last) else None)
        for each, last in ((each, each is there[-1]) for each in there)
    ]


def faults(store: Store, database: str, seen: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with the dumps of a database. A store that is lost, not mounted or misspelt has no whole one."""
    found = [str(entry["fault"]) for entry in seen if entry["fault"]]
    lost = len(found) == len(seen)
    return [*found, f"{store.place} holds no whole dump of {database}"] if lost else found


def _seen(store: Store, database: str, one: Stored, work_directory: Path | None) -> dict[str, Any]:
    """Return what is known of a dump; its content is fetched where there is a directory for that."""
    entry: dict[str, Any] = {"name": one.stem, "taken": one.taken.isoformat(), "verified": False}
    if one.complaint:
        return {**entry, "fault": one.complaint}
    try:
        chosen = _chosen(store, database, one)
        entry |= {"bytes": chosen.manifest["archive"]["size"], "lsn": chosen.manifest["lsn"]}
        fault = _content_fault(store, chosen, work_directory) if work_directory else size_fault(store, chosen)
    except HostError as error:
        return {**entry, "fault": str(error)}
    return {**entry, "verified": work_directory is not None, "fault": fault}


def _content_fault(store: Store, chosen: Chosen, work_directory: Path) -> str:
    with working_directory(work_directory, store.programs.user) as work:
        path = work / chosen.archive
        store.fetch(chosen.archive, path)
        known = digests(path)
    return archive_fault(chosen.manifest, known["size"], known["sha256"])
