# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What hangs on views in SQL: how it is read, and given back to one that is made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._core.index import ObservedIndex
from .._core.names import QualifiedName, literal, quote
from .._core.view import ObservedView
from .._core.view_kept import Column, Grant, Kept
from .connection import rows
from .index import parameters, read_indexes
from .tables import OUTSIDE

_VIEWS = f"""
SELECT n.nspname, c.relname,
       ARRAY(SELECT DISTINCT coalesce(g.rolname::text, '') FROM pg_catalog.pg_default_acl f
             CROSS JOIN LATERAL (SELECT x.grantee FROM pg_catalog.aclexplode(f.defaclacl) x
                                 UNION SELECT f.defaclrole) x
             LEFT JOIN pg_catalog.pg_roles g ON g.oid = x.grantee
             WHERE f.defaclrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
               AND f.defaclobjtype = 'r' AND f.defaclnamespace IN (0, c.relnamespace) ORDER BY 1),
       CASE WHEN c.relacl IS NOT NULL
             AND EXISTS (SELECT x.privilege_type FROM pg_catalog.aclexplode(pg_catalog.acldefault('r', c.relowner)) x
                         EXCEPT SELECT x.privilege_type FROM pg_catalog.aclexplode(c.relacl) x
                         WHERE x.grantee = c.relowner)
            THEN ARRAY(SELECT DISTINCT x.privilege_type FROM pg_catalog.aclexplode(c.relacl) x
                       WHERE x.grantee = c.relowner ORDER BY 1) END,
       ARRAY(SELECT 'trigger ' || tgname FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal
             UNION ALL SELECT 'rule ' || rulename FROM pg_catalog.pg_rewrite
             WHERE ev_class = c.oid AND rulename <> '_RETURN'
             UNION ALL SELECT 'default of column ' || a.attname FROM pg_catalog.pg_attrdef f
             JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
             WHERE f.adrelid = c.oid
             UNION ALL SELECT 'statistics ' || stxname FROM pg_catalog.pg_statistic_ext WHERE stxrelid = c.oid
             UNION ALL SELECT 'security label of ' || provider FROM pg_catalog.pg_seclabel
             WHERE classoid = 'pg_catalog.pg_class'::regclass AND objoid = c.oid
             UNION ALL SELECT 'dependency on extension ' || x.extname FROM pg_catalog.pg_depend e
             JOIN pg_catalog.pg_extension x ON x.oid = e.refobjid
             WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.deptype = 'x'
               AND e.refclassid = 'pg_catalog.pg_extension'::regclass
               AND (e.objid = c.oid OR e.objid IN (SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = c.oid))
             UNION ALL SELECT 'replica identity' WHERE c.relkind = 'm' AND c.relreplident <> 'd' ORDER BY 1),
       coalesce(m.amname, ''), coalesce(s.spcname, ''),
       ARRAY(SELECT DISTINCT ARRAY[x.relname::text, a.attname::text]
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
             JOIN pg_catalog.pg_depend e ON e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = i.indexrelid
              AND e.refclassid = 'pg_catalog.pg_class'::regclass AND e.refobjid = c.oid
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = e.refobjsubid AND a.attnum > 0
             WHERE i.indrelid = c.oid ORDER BY 1)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam
                             AND m.amname <> pg_catalog.current_setting('default_table_access_method')
LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace
WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND {OUTSIDE}
"""
_COLUMNS = f"""
SELECT n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), coalesce(d.description, ''),
       ARRAY(SELECT ARRAY[coalesce(g.rolname::text, ''), x.privilege_type, x.is_grantable::text]
             FROM pg_catalog.aclexplode(a.attacl) x LEFT JOIN pg_catalog.pg_roles g ON g.oid = x.grantee ORDER BY 1),
       p.target, coalesce(a.attoptions, ARRAY[]::text[]), p.storage, p.compression
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass
                                     AND d.objsubid = a.attnum
CROSS JOIN LATERAL (
    SELECT CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::int END AS target,
           CASE WHEN a.attstorage = t.typstorage THEN ''
                ELSE CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main'
                                       ELSE 'extended' END END AS storage,
           CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE '' END AS compression) p
WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped AND {OUTSIDE}
  AND (d.description IS NOT NULL OR a.attacl IS NOT NULL
       OR c.relkind = 'm' AND (p.target IS NOT NULL OR a.attoptions IS NOT NULL OR p.storage || p.compression <> ''))
ORDER BY a.attnum
"""


def read_kept(connection: Any) -> dict[QualifiedName, Kept]:
    """Return what hangs on every view; what this session's role gives by default is among it."""
    columns: dict[QualifiedName, list[Column]] = {}
    for schema, view, name, kind, comment, grants, target, options, storage, compression in rows(connection, _COLUMNS):
        made = Column(name, kind, comment, grants_of(grants), target, tuple(options), storage, compression)
        columns.setdefault(QualifiedName(schema, view), []).append(made)
    indexes: dict[QualifiedName, list[ObservedIndex]] = {}
    for index in read_indexes(connection).values():
        indexes.setdefault(index.table, []).append(index)
    found = {}
    for schema, view, given, own, extras, method, tablespace, needs in rows(connection, _VIEWS):
        name = QualifiedName(schema, view)
        found[name] = Kept(
            tuple(given),
            None if own is None else tuple(own),
            tuple(columns.get(name, ())),
            tuple(extras),
            method,
            tablespace,
            tuple(indexes.get(name, ())),
            tuple((index, column) for index, column in needs),
        )
    return found


def grants_of(found: Sequence[Sequence[str]]) -> tuple[Grant, ...]:
    """Return rights as the queries give them."""
    return tuple((role, privilege, grantable == "true") for role, privilege, grantable in found)


def place(old: ObservedView) -> str:
    """Return what stands between the name of a materialised view and its query."""
    kept = old.kept
    return "".join(
        [
            f" USING {quote(kept.method)}" if kept.method else "",
            f" WITH ({parameters(pairs(old.storage))})" if old.storage else "",
            f" TABLESPACE {quote(kept.tablespace)}" if kept.tablespace else "",
        ]
    )


def pairs(written: Sequence[str]) -> list[tuple[str, str]]:
    """Return name=value as pairs."""
    return [(name, value) for name, _, value in (one.partition("=") for one in written)]


def handed_over(old: ObservedView, name: QualifiedName, kind: str) -> Iterator[str]:
    """Give an empty view the former owner and, of rights, only what an owner has."""
    owner = quote(old.owner)
    yield f"ALTER {kind} {name.sql} OWNER TO {owner}"
    if old.kept.given:
        others = dict.fromkeys(quote(role) if role else "PUBLIC" for role in (*old.kept.given, old.owner))
        yield f"REVOKE ALL ON {name.sql} FROM {', '.join(others)}"
        yield f"GRANT ALL ON {name.sql} TO {owner}"  # or, since PostgreSQL 17, it could not be filled


def stored(old: ObservedView, name: QualifiedName) -> Iterator[str]:
    """Say how the rows of a materialised view are stored, before there are any."""
    for column in old.kept.columns:
        alter = f"ALTER MATERIALIZED VIEW {name.sql} ALTER COLUMN {quote(column.name)}"
        if column.statistics is not None:
            yield f"{alter} SET STATISTICS {column.statistics}"
        if column.options:
            yield f"{alter} SET ({parameters(pairs(column.options))})"
        if column.storage:
            yield f"{alter} SET STORAGE {column.storage}"
        if column.compression:
            yield f"{alter} SET COMPRESSION {column.compression}"


def indexed(old: ObservedView, name: QualifiedName, named: Callable[[str], str]) -> Iterator[str]:
    """Make the indexes, and what hangs on them; `named` gives the name that each has for now."""
    for index in old.kept.indexes:
        own = quote(named(index.name))
        where = QualifiedName(name.schema, named(index.name)).sql
        unique = "UNIQUE " if index.form.unique else ""
        create = f"CREATE {unique}INDEX {own} ON {name.sql} {index.form.text}"
        if index.form.tablespace:
            # the server's text does not name it, and only a parser knows where in it the name belongs
            yield f"SET LOCAL default_tablespace = {literal(index.form.tablespace)}"
            yield create
            yield "SET LOCAL default_tablespace = ''"
        else:
            yield create
        if index.comment:
            yield f"COMMENT ON INDEX {where} IS {literal(index.comment)}"
        for number, target in index.statistics:
            yield f"ALTER INDEX {where} ALTER COLUMN {number} SET STATISTICS {target}"
        if index.clustered:
            yield f"ALTER MATERIALIZED VIEW {name.sql} CLUSTER ON {own}"


def hung_on(old: ObservedView, name: QualifiedName) -> Iterator[str]:
    """Give back the rights and the comments of columns; rights on the whole come first, since REVOKE takes both."""
    kept, owner = old.kept, quote(old.owner)
    if kept.own is not None:
        yield f"REVOKE ALL ON {name.sql} FROM {owner}"
        if kept.own:
            yield f"GRANT {', '.join(kept.own)} ON {name.sql} TO {owner}"
    yield from (_grant(privilege, name, role, grantable=option) for role, privilege, option in old.grants)
    for column in kept.columns:
        part = quote(column.name)
        for role, privilege, option in column.grants:
            yield _grant(f"{privilege} ({part})", name, role, grantable=option)
        if column.comment:
            yield f"COMMENT ON COLUMN {name.sql}.{part} IS {literal(column.comment)}"


def _grant(what: str, name: QualifiedName, role: str, *, grantable: bool) -> str:
    return f"GRANT {what} ON {name.sql} TO {quote(role) if role else 'PUBLIC'}" + " WITH GRANT OPTION" * grantable
