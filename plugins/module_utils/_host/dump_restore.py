# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restore a dump into a database beside the old one, compare it with the manifest, and put it in the old one's place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core.dump_manifest import archive_fault, count_faults, excluded_note, extension_notes, read, tree_faults
from .._core.dump_name import ARCHIVES, MANIFEST
from .._core.dump_restore import Request, Side, beside, check, continues, roles
from .._core.dump_toc import chosen as listed
from .._core.dump_toc import subscriptions, wanted
from .._core.errors import HostError, NotConverged, Problem, SpecError
from .._pg import dump_restore as sql
from .._pg.connection import Target, connect, execute
from .._pg.dump import counts, extensions, properties
from .._pg.engine import spoken
from .._pg.session import onlooker, session
from .dump_archive import Key, digests, refuse_open_key, unpack
from .dump_look import choose, size_fault
from .dump_programs import Programs
from .dump_remote import Store
from .dump_sql import open_sql, restore_sql
from .dump_take import reach
from .dump_work import working_directory
from .poolers import paused, resume_left

PAUSE_SECONDS = 10


@dataclass(frozen=True)
class Host:
    """Where things are on this host: the server (database postgres), its programs by major, rclone's configuration."""

    target: Target
    programs_directory: Path
    work_directory: Path
    rclone_config: Path
    programs: Programs

    def binaries(self, connection: Any) -> Path:
        """Return the directory of the server's own programs."""
        return self.programs_directory / str(connection.server_version // 10000) / "bin"


@dataclass(frozen=True)
class Opened:
    """A dump that was found whole: `properties` of its database, where it has them."""

    name: str
    integrity: str
    manifest: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] | None = None


def predict(request: Request, host: Host) -> dict[str, Any]:
    """Say what `restore` would do, having looked at everything that can be looked at without touching anything."""
    check(request)
    _refuse_keys(request)
    with spoken(host.target), connect(host.target) as connection:
        left = [each for each in sql.sides(connection, request.database) if _continues(request, each, host)]
        stays = _staying(connection, request)
        if not left:
            _refuse_prepared(connection, request)
    if left:
        return _result(request, left[0].dump, left[0].name, "", "verified before") | {"notes": stays}
    name, manifest = _look(request, host)
    notes = stays
    if request.state != "verified":
        with spoken(host.target), connect(host.target) as connection:
            _refuse_unfit(connection, request, name, manifest)
    if manifest:
        wanted(request.tables, manifest)
        notes = [*excluded_note(manifest), *stays]
    return _result(request, name, "", "", "sha256" if manifest else "none") | {"notes": notes}


def restore(request: Request, host: Host) -> dict[str, Any]:
    """Carry a request out. Raises PgsteadError; the old database is then as it was, and open.

    What an earlier run left is taken up first: a swap that was cut off is finished, where that one is asked for, or undone;
    half a side database is dropped; clients that wait are served.
    """
    check(request)
    _refuse_keys(request)
    resume_left()
    with spoken(host.target), session(host.target) as connection, sql.one_restore_at_a_time(connection):
        stays = _staying(connection, request)
        for left in sql.sides(connection, request.database):
            if _continues(request, left, host):
                kept = _swap(connection, left, request)
                told = f"{left.dump} had been restored by an earlier run, and was swapped in"
                return _result(request, left.dump, request.database, kept, "verified before") | {
                    "notes": [told, *stays]
                }
            if left.stage in ("swapping", "unswapped"):
                sql.put_back(connection, left)
            elif left.stage == "restoring":
                sql.discard(connection, left)
        _refuse_prepared(connection, request)  # not before: who ends them must be let into the database
        name, manifest = _look(request, host)
        if request.state != "verified":
            _refuse_unfit(connection, request, name, manifest)
        with working_directory(host.work_directory, host.programs.user) as work:
            opened = _opened(request, host, work, name, manifest=manifest)
            if request.state == "verified":
                return _result(request, opened.name, "", "", opened.integrity)
            made, notes = _beside(connection, request, host, opened, work)
        kept = ""
        if request.state == "swapped":
            kept = _swap(connection, made, request)
        place = request.database if request.state == "swapped" else made.name
        return _result(request, opened.name, place, kept, opened.integrity) | {"notes": [*notes, *stays]}


def _continues(request: Request, left: Side, host: Host) -> bool:
    return continues(request, left, lambda: _look(request, host)[0])


def _refuse_prepared(connection: Any, request: Request) -> None:
    """Raise LockNotAcquired for what would keep the old database from being swapped, before hours are spent."""
    if request.state == "swapped":
        sql.refuse_prepared(connection, request.database)


def _staying(connection: Any, request: Request) -> list[str]:
    """Say what a swap would leave with the old database."""
    if request.state == "swapped" and (bound := sql.bound(connection, request.database)):
        what = "belong to the old database and stay with it: drop them there, and make them anew in the restored one"
        return [f"{', '.join(bound)} {what}"]
    return []


def _swap(connection: Any, side: Side, request: Request) -> str:
    """Put the side database in the old one's place while the pooler's clients wait; return the old one's new name."""
    with paused(PAUSE_SECONDS, request.database):
        return sql.swap(connection, side, request.swap_wait, datetime.now(UTC))


def _result(request: Request, dump: str, place: str, kept: str, integrity: str) -> dict[str, Any]:
    return {
        "database": request.database,
        "dump": dump,
        "restored_as": place,
        "safety_copy": kept,
        "integrity": integrity,
        "notes": [],
    }


def _refuse_keys(request: Request) -> None:
    for where in ("identity_file", "passphrase_file"):
        if path := getattr(request, where):
            refuse_open_key(where, Path(path))


def _store(request: Request, host: Host) -> Store:
    return Store(request.remote, host.rclone_config, host.programs)


def _look(request: Request, host: Host) -> tuple[str, Mapping[str, Any] | None]:
    """Find a dump and read its manifest. Raises HostError where something of it is missing, or was changed."""
    if request.remote:
        store = _store(request, host)
        found = choose(store, request.database, request.name)
        if fault := size_fault(store, found):
            raise HostError(fault)
        return found.archive, found.manifest
    path = Path(request.path)
    if not path.is_file():
        raise HostError(f"{path} is not there")
    if request.format == "openssl":
        return path.name, None
    own = next(path.name.removesuffix(ending) for ending in ARCHIVES.values() if path.name.endswith(ending))
    beside_it = path.with_name(f"{own}{MANIFEST}")
    try:
        text = beside_it.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HostError(f"{beside_it}, the manifest of {path.name}, is missing: fetch it as well") from None
    manifest = read(text, own, request.database)
    if fault := archive_fault(manifest, path.stat().st_size, ""):
        raise HostError(fault)
    return path.name, manifest


def _opened(request: Request, host: Host, work: Path, name: str, *, manifest: Mapping[str, Any] | None) -> Opened:
    """Fetch, check, decrypt and check again. Raises HostError where anything is not as it was dumped."""
    if manifest is None:
        open_sql(Path(request.path), Path(request.passphrase_file), work / "dump.sql", host.programs)
        return Opened(name, "none")
    wanted(request.tables, manifest)
    archive = Path(request.path) if request.path else work / name
    if request.remote:
        _store(request, host).fetch(name, archive)
    known = digests(archive)
    if fault := archive_fault(manifest, known["size"], known["sha256"]):
        raise HostError(fault)
    tree = work / "tree"
    key = Key(Path(request.identity_file), Path(request.passphrase_file) if request.passphrase_file else None)
    found = unpack(archive, tree, key, work, host.programs)
    if faults := tree_faults(manifest, found):
        raise HostError(f"{name} is not what its manifest describes: {', '.join(faults)}. Take another dump")
    with host.programs.writing():
        return Opened(name, "sha256", manifest, json.loads((tree / "database.json").read_text(encoding="utf-8")))


def _beside(connection: Any, request: Request, host: Host, opened: Opened, work: Path) -> tuple[Side, list[str]]:
    """Make the side database, fill it and compare it. What fails half-way is dropped again."""
    told = opened.properties or _properties(connection, request, opened.name)
    sql.refuse_missing_roles(connection, roles(told))
    name = beside(request.database, "restored", datetime.now(UTC), sql.databases(connection))
    made = Side(name, request.database, "restoring", opened.name)
    there = replace(host.target, database=name)
    sql.create(connection, made, told)  # what is in its way is somebody else's, and stays
    try:
        if opened.manifest is None:
            restore_sql(work / "dump.sql", there, host.binaries(connection), host.programs)
            notes = ["the dump has no row counts to compare with, and its encryption shows no change of a bit"]
        else:
            left_out = _filled(request, opened.manifest, there, host.binaries(connection), work, programs=host.programs)
            notes = [*left_out, *_compared(request, opened.manifest, there)]
        with onlooker(there) as inside:
            execute(inside, "ANALYZE")
        sql.complete(connection, made, told)
    except BaseException:
        if not connection.closed:
            sql.discard(connection, made)
        raise
    return made, notes


def _properties(connection: Any, request: Request, dump: str) -> dict[str, Any]:
    """Return what a database is like whose dump does not say it. Raises SpecError where there is none."""
    found = properties(connection, request.database)
    if found is None:
        what = f"does not exist, and {dump} does not say what it was like: create it, empty, with owner and locale"
        raise SpecError([Problem("database", f"{request.database} {what}")])
    return found


def _refuse_unfit(connection: Any, request: Request, dump: str, manifest: Mapping[str, Any] | None) -> None:
    """Raise SpecError for what keeps a dump from being restored on this server, before hours are spent."""
    if manifest is None:
        _properties(connection, request, dump)
        return
    theirs, ours = int(manifest["versions"]["server"].split(".")[0]), connection.server_version // 10000
    if theirs > ours:
        what = f"is of PostgreSQL {theirs}, and this server is {ours}: restore it on {theirs} or newer"
        raise SpecError([Problem("database", f"{dump} {what}")])
    sql.refuse_missing_roles(connection, manifest.get("roles", []))


def _filled(
    request: Request, manifest: Mapping[str, Any], there: Target, binaries: Path, work: Path, *, programs: Programs
) -> list[str]:
    """Have pg_restore fill a database; return what it left out."""
    dump, some = work / "tree/dump", wanted(request.tables, manifest)
    packed = sorted(str(path) for path in dump.glob("*.dat.zst"))
    if manifest["compression"] == "files" and packed:
        listing = work / "rows"
        programs.write(listing, "".join(f"{path}\n" for path in packed))
        programs.run(["zstd", "-d", "-q", "--rm", f"--filelist={listing}"])
    program = str(binaries / "pg_restore")
    contents = programs.run([program, "--list", str(dump)]).decode(errors="surrogateescape")  # names as they are
    # one would hold on to the side database, and could take another's place at the publisher
    options = ["--exit-on-error", "--no-subscriptions", f"--jobs={request.jobs}"]
    if some:
        programs.write(work / "contents", listed(contents, some))
        options.append(f"--use-list={work / 'contents'}")
    programs.run([program, *reach(there), *options, str(dump)])
    names = ", ".join(subscriptions(contents))
    return (
        [f"subscriptions were left out: {names}. Create them when the database is where it is to be"] if names else []
    )


def _compared(request: Request, manifest: Mapping[str, Any], there: Target) -> list[str]:
    """Return what differs without harm. Raises NotConverged where rows or extensions differ from the manifest."""
    tables = frozenset(str(table) for table in wanted(request.tables, manifest))
    with spoken(there), onlooker(there) as connection:
        missing, notes = extension_notes(manifest, extensions(connection))
        found = counts(connection, manifest["counts"]["method"], lambda: None)
    faults = [*missing, *count_faults(manifest, {name: number or 0 for name, number in found.items()}, tables)]
    if faults:
        raise NotConverged(f"what was restored is not what was dumped: {'; '.join(faults)}. It was dropped again")
    notes += [] if tables else excluded_note(manifest)
    if manifest["counts"]["method"] != "exact":
        notes.append("the manifest has estimates of row counts only, so they were not compared")
    return notes
