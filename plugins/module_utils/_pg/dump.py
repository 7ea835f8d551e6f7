# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a dump needs of SQL: a snapshot that pg_dump reads as well, and what is known of the database in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._core.errors import HostError
from .._core.names import QualifiedName
from .connection import Target, execute, rows
from .engine import spoken
from .session import onlooker

LOCK_WAIT = "60s"  # of this session and of pg_dump: for one table, behind somebody who changes it

_SNAPSHOT = """
SELECT pg_catalog.pg_export_snapshot(), pg_catalog.now(), pg_catalog.current_setting('server_version'),
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_lsn() END::text
"""
_EXTENSIONS = "SELECT extname, extversion FROM pg_catalog.pg_extension ORDER BY 1"
# Columns that only some majors have are read from JSON, where a missing one is null.
_PROPERTIES = """
SELECT j ->> 'datcollate', j ->> 'datctype', coalesce(j ->> 'datlocprovider', 'c'),
       coalesce(j ->> 'datlocale', j ->> 'daticulocale'), j ->> 'daticurules', datconnlimit, datistemplate,
       pg_catalog.pg_encoding_to_char(encoding), pg_catalog.pg_get_userbyid(datdba),
       pg_catalog.shobj_description(oid, 'pg_database'), datacl IS NULL
FROM (SELECT d.*, pg_catalog.to_jsonb(d) AS j FROM pg_catalog.pg_database d WHERE datname = %s) d
"""
_SETTINGS = """
SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(s.setrole) END, c.line
FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
     pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c (line, place)
WHERE d.datname = %s ORDER BY 1, c.place
"""
_GRANTS = """
SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.privilege_type,
       pg_catalog.bool_or(a.is_grantable)
FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a WHERE d.datname = %s GROUP BY 1, 2 ORDER BY 1, 2
"""
# Whom a restore has to find: owners, and whoever has rights. Of what belongs to an extension, pg_dump writes rights alone.
_ROLES = """
SELECT DISTINCT r.rolname FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.deptype <> 'i'
  AND d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND NOT (d.deptype = 'o' AND (d.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass OR EXISTS (
    SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND c.oid = d.objid AND c.relpersistence = 't')
ORDER BY 1
"""
# what pg_dump writes rows of: neither views nor what belongs to an extension
_TABLES = """
SELECT n.nspname, c.relname, nullif(c.reltuples, -1)::bigint, pg_catalog.pg_relation_size(c.oid),
       c.relpersistence = 'p' AND NOT c.relhassubclass
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""
_WITH_PARTITIONS = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass(%s)
   OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%s))) ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Source:
    """A database at one moment; lsn is where the WAL was then, excluded the tables whose rows are to stay out, partitions too,
    roles those that own something in it or have rights there.
    """

    snapshot: str
    taken: datetime
    server: str
    lsn: str
    extensions: Mapping[str, str]
    properties: Mapping[str, Any]
    excluded: tuple[QualifiedName, ...]
    roles: tuple[str, ...]


@contextmanager
def held(target: Target, exclude: Sequence[QualifiedName]) -> Iterator[tuple[Any, Source]]:
    """Yield a connection whose transaction, and with it the exported snapshot, lasts as long as the block."""
    with spoken(target), onlooker(target) as connection:
        execute(connection, f"SET lock_timeout = '{LOCK_WAIT}'; SET row_security = off")
        execute(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ((snapshot, taken, server, lsn),) = rows(connection, _SNAPSHOT)
        excluded = [row for name in exclude for row in rows(connection, _WITH_PARTITIONS, (name.sql, name.sql))]
        yield (
            connection,
            Source(
                snapshot,
                taken,
                server.split()[0],
                lsn,
                extensions(connection),
                properties(connection, target.database) or {},
                tuple(QualifiedName(*row) for row in excluded),
                tuple(name for (name,) in rows(connection, _ROLES)),
            ),
        )


def extensions(connection: Any) -> dict[str, str]:
    """Return the versions of the extensions of this database."""
    return dict(rows(connection, _EXTENSIONS))


def properties(connection: Any, database: str) -> dict[str, Any] | None:
    """Return what belongs to a database and is not in it: locale, owner, settings, rights; None where there is none."""
    found = rows(connection, _PROPERTIES, (database,))
    if not found:
        return None
    names = ("collate", "ctype", "provider", "locale", "icu_rules", "connection_limit", "is_template")
    *values, plain = found[0]
    settings = [
        {"role": role, "name": line.partition("=")[0], "value": line.partition("=")[2]}
        for role, line in rows(connection, _SETTINGS, (database,))
    ]
    grants = [
        {"grantee": grantee, "privilege": privilege, "grantable": grantable}
        for grantee, privilege, grantable in rows(connection, _GRANTS, (database,))
    ]
    told = dict(zip((*names, "encoding", "owner", "comment"), values, strict=True))
    return {**told, "settings": settings, "grants": None if plain else grants}


def counts(connection: Any, method: str, alive: Callable[[], None]) -> dict[str, int | None]:
    """Return the rows of each table, counted, or as the server last estimated them (None where it never did).

    `alive` is called between tables, and raises where there is no use in going on.
    """
    limit = math.inf if method == "exact" else -1
    counted, estimated = counts_up_to(connection, limit, alive)
    return {**estimated, **counted}


def counts_up_to(
    connection: Any, most_bytes: float, alive: Callable[[], None], *, recovered: bool = False
) -> tuple[dict[str, int], dict[str, int | None]]:
    """Return the rows of tables up to a size, counted, and of larger ones as the server last estimated them.

    With `recovered`, tables that a recovery empties (unlogged ones), those that others inherit from, and those that somebody
    has dropped meanwhile are left out. Raises HostError for one that was dropped.
    """
    counted: dict[str, int] = {}
    estimated: dict[str, int | None] = {}
    for schema, name, estimate, size, kept in rows(connection, _TABLES):
        if recovered and (not kept or size is None):
            continue
        table = QualifiedName(schema, name)
        if size is None:  # of the snapshot, and not there any more
            raise HostError(f"table {table} was dropped while it was to be dumped: run again when its change is done")
        if size > most_bytes:
            estimated[str(table)] = estimate
            continue
        alive()
        ((counted[str(table)],),) = rows(connection, f"SELECT pg_catalog.count(*) FROM ONLY {table.sql}")
    return counted, estimated
