# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take one database's dump, encrypt it, and store it in every remote that can be reached."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import dump_manifest
from .._core.dump_job import Dumped, DumpJob, Remote
from .._core.dump_name import ARCHIVES, MANIFEST, folder, partial, stem, stored
from .._core.errors import HostError
from .._core.retention import Point, kept, refuse_leap
from .._core.version import VERSION
from .._pg.connection import Target
from .._pg.dump import LOCK_WAIT, counts, held
from .dump_archive import digests, pack, sizes, tree
from .dump_programs import Programs
from .dump_remote import Store
from .dump_work import working_directory


@dataclass(frozen=True)
class DumpReport:
    """What became of one database's dump. Sizes are bytes: of the archive, and of what is in it; rows are counted."""

    file: str
    bytes: int
    dump_bytes: int
    seconds: float
    tables: int
    rows: int | None
    counts: str
    remotes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()


def take(target: Target, one: Dumped, job: DumpJob, programs: Programs) -> DumpReport:
    """Dump, encrypt, upload, expire. Raises PgsteadError where there is no dump; a remote's failure is in the report."""
    with working_directory(Path(job.work_directory), programs.user) as work:
        since = time.monotonic()
        content = work / "tree"
        content.mkdir(mode=0o700)
        body = _dump(target, one, job, content, programs)
        body |= {"seconds": round(time.monotonic() - since, 3), "files": tree(content)}
        body["bytes"] = sizes(body["files"])
        name = stem(one.database, datetime.fromisoformat(body["taken"]))
        archive, manifest = work / f"{name}{ARCHIVES[job.encryption.method]}", work / f"{name}{MANIFEST}"
        pack(content, archive, job.encryption, work, programs)
        known = digests(archive)
        body["archive"] = {"name": archive.name, "size": known["size"], "sha256": known["sha256"]}
        manifest.write_text(dump_manifest.as_json(dump_manifest.seal(body)), encoding="utf-8")
        files = [(archive, known), (manifest, digests(manifest))]
        return _stored(_report(body, one), one.database, job, files, programs)


def _report(body: Mapping[str, Any], one: Dumped) -> DumpReport:
    tables = body["counts"]["tables"]
    return DumpReport(
        body["archive"]["name"],
        body["archive"]["size"],
        body["bytes"],
        body["seconds"],
        len(tables),
        None if None in tables.values() else sum(tables.values()),
        one.count,
        warnings=tuple(
            f"exclude_table_data: {table} is not there"
            for table in one.exclude_table_data
            if str(table) not in body["excluded"]
        ),
    )


def _dump(target: Target, one: Dumped, job: DumpJob, content: Path, programs: Programs) -> dict[str, Any]:
    """Fill a directory, and count in the same snapshot while pg_dump reads; return what the manifest says of it."""
    with held(target, one.exclude_table_data) as (connection, source):
        major = int(source.server.split(".")[0])
        binaries = Path(job.programs) / str(major) / "bin"
        argv = [str(binaries / "pg_dump"), *reach(target), "--format=directory", f"--file={content / 'dump'}"]
        argv += [f"--jobs={one.jobs}", f"--snapshot={source.snapshot}", f"--lock-wait-timeout={LOCK_WAIT}"]
        argv += ["--compress=zstd" if major >= 16 else "--compress=0"]
        argv += [f"--exclude-table-data={_pattern(table.schema)}.{_pattern(table.name)}" for table in source.excluded]
        with programs.started(argv) as running:
            found = counts(connection, one.count, running.check)
            running.finish()
    everywhere = reach(replace(target, database="postgres"))
    programs.run([str(binaries / "pg_dumpall"), *everywhere, "--globals-only", f"--file={content / 'globals.sql'}"])
    properties = json.dumps(source.properties, indent=1, sort_keys=True)
    (content / "database.json").write_text(f"{properties}\n", encoding="utf-8")
    if major < 16:  # its pg_dump does not know zstd
        _compress(content, programs)
    version = programs.run([argv[0], "--version"]).decode().split(")", 1)[-1].split()[0]
    return {
        "database": one.database,
        "host": job.host,
        "cluster": job.cluster,
        "taken": source.taken.astimezone(UTC).isoformat(),
        "lsn": source.lsn,
        "versions": {"server": source.server, "pg_dump": version, "collection": VERSION},
        "encoding": source.properties["encoding"],
        "locale": {key: source.properties[key] for key in ("provider", "collate", "ctype", "locale")},
        "extensions": dict(source.extensions),
        "roles": list(source.roles),
        "compression": "pg_dump" if major >= 16 else "files",
        "counts": {"method": one.count, "tables": found},
        "excluded": [str(table) for table in source.excluded],
    }


def _pattern(name: str) -> str:
    """Return a name as pg_dump's patterns have it: in quotation marks, nothing in it means anything."""
    return '"' + name.replace('"', '""') + '"'


def _compress(content: Path, programs: Programs) -> None:
    rows = [path for path in sorted((content / "dump").glob("*.dat")) if path.name != "toc.dat"]
    if rows:
        listing = content.parent / "rows"
        listing.write_text("".join(f"{path}\n" for path in rows), encoding="utf-8")
        programs.run(["zstd", "-q", "-T0", "--rm", f"--filelist={listing}"])


def reach(target: Target) -> list[str]:
    """Return how PostgreSQL's programs reach a database through its socket; any name is one, none a connection string."""
    name = target.database.replace("\\", "\\\\").replace("'", "\\'")
    where = [f"--host={target.socket_directory}", f"--port={target.port}", f"--username={target.user}"]
    return [*where, "--no-password", f"--dbname=dbname='{name}'"]


def _stored(
    report: DumpReport,
    database: str,
    job: DumpJob,
    files: list[tuple[Path, Mapping[str, Any]]],
    programs: Programs,
) -> DumpReport:
    """Upload to each remote, and expire there what its retention does not keep; one's failure keeps no other from it."""
    remotes: dict[str, Mapping[str, Any]] = {}
    warnings, blocked = list(report.warnings), []
    for remote in job.remotes:
        place = remote.place(job.host, job.cluster, folder(database))
        store = Store(place, Path(job.rclone_config), programs)
        facts: dict[str, Any] = {"place": place, "offsite": remote.offsite}
        remotes[remote.name] = facts
        try:
            _refuse_unmounted(remote)
            for name in partial(store.names(), database):
                store.remove(name)
            ways = [store.upload(path, path.name, known) for path, known in files]
            facts["checked"] = ways[0]
            facts |= _expired(store, database, job)
            warnings += [f"{remote.name}: {complaint}" for complaint in facts["incomplete"]]
        except HostError as error:
            facts["error"] = str(error)
            blocked.append(f"remote {remote.name}: {error}")
    return replace(report, remotes=remotes, warnings=tuple(warnings), blocked=tuple(blocked))


def _refuse_unmounted(remote: Remote) -> None:
    if remote.type == "local" and not Path(remote.path).is_dir():
        raise HostError(
            f"{remote.path} is not there: is it mounted? It is never made, so that no dump goes beside a disk"
        )


def _expired(store: Store, database: str, job: DumpJob) -> dict[str, Any]:
    """Remove what no tier keeps. Half a dump is left alone: what is lost of it may come back, and is worth a look."""
    there = stored(store.names(), database)
    points = [Point(each.stem, each.taken, good=not each.complaint) for each in there]
    now = datetime.now(UTC)
    stay = kept(points, job.keep, now)
    gone = [each for each in there if not each.complaint and each.stem not in stay]
    refuse_leap(points, len(gone), now)
    for each in gone:
        store.remove(f"{each.stem}{MANIFEST}")  # first: without it, nobody takes the rest for a dump
        store.remove(each.archive)
    return {
        "kept": len(stay),
        "expired": [each.stem for each in gone],
        "incomplete": [each.complaint for each in there if each.complaint],
    }
