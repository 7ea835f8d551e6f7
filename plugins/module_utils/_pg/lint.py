# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read everything that the lint looks at: some bulk reads of catalogue and statistics, in one read-only transaction.

No row of a user's table is read, so a member of pg_monitor may do it. Only what a sequence has given needs a right of
its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .._core import lint_values as values
from .._core.errors import LockNotAcquired, PermissionDenied, Problem, SpecError, StatementFailed
from .._core.lint_values import Observed
from .._core.names import QualifiedName
from .check_constraint import read_checks
from .connection import Target, connect, driver, execute, rows
from .foreign_key import read_foreign_keys, read_serving
from .index import read_indexes
from .lint_audit import read_audit
from .lint_security import read_security, unknown_roles
from .schema_export import read_parts
from .session import LOCK_CLASS, LOCK_SCHEMA
from .tables import OUTSIDE, read_tables

# The size of a table is asked under its weakest lock, so a table that is being altered would be waited for without end.
_BEGIN = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL search_path = ''; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'
"""
TRIES = 3
_GONE = f"""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relpersistence <> 't' AND pg_catalog.pg_table_is_visible(c.oid) IS NULL AND {OUTSIDE})
"""
# A crash forgets the statistics; a database whose own were not reset since has those of the server.
_SERVER = f"""
SELECT current_date, pg_catalog.pg_is_in_recovery(),
       (SELECT extract(epoch FROM clock_timestamp() - coalesce(d.stats_reset, b.stats_reset))::float8 / 86400
        FROM pg_catalog.pg_stat_database d CROSS JOIN pg_catalog.pg_stat_bgwriter b
        WHERE d.datname = pg_catalog.current_database()),
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index
               WHERE datname = pg_catalog.current_database() AND relid IS NULL),
       EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
               WHERE d.datname = pg_catalog.current_database() AND l.locktype = 'advisory' AND l.granted
                 AND l.classid = {LOCK_CLASS} AND l.objid = {LOCK_SCHEMA}),
       ARRAY(SELECT n.nspname::text FROM pg_catalog.pg_namespace n WHERE {OUTSIDE})
"""
_OF_EXTENSION = """EXISTS (SELECT FROM pg_catalog.pg_depend e
  WHERE e.classid = '{catalogue}'::regclass AND e.objid = {oid} AND e.deptype = 'e')"""
_TABLE_IS_AN_EXTENSIONS = _OF_EXTENSION.format(catalogue="pg_catalog.pg_class", oid="t.oid")
_FACTS = f"""
SELECT n.nspname, t.relname, pg_catalog.pg_stat_get_numscans(t.oid), pg_catalog.pg_stat_get_tuples_returned(t.oid),
       greatest(pg_catalog.pg_stat_get_live_tuples(t.oid), t.reltuples::bigint, 0),
       EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'p'),
       {_TABLE_IS_AN_EXTENSIONS},
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = t.oid AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'n'
                                  AND NOT k.convalidated AND k.conkey = ARRAY[a.attnum]))
FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE t.relkind IN ('r', 'p') AND t.relpersistence <> 't' AND {OUTSIDE}
"""
_SCANS = f"""
SELECT n.nspname, c.relname, pg_catalog.pg_stat_get_numscans(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('i', 'I') AND {OUTSIDE}
"""
_MADE_OF = """
WITH RECURSIVE below(domain, base) AS (
    SELECT y.oid, y.typbasetype FROM pg_catalog.pg_type y WHERE y.typtype = 'd'
    UNION ALL
    SELECT d.domain, y.typbasetype FROM below d JOIN pg_catalog.pg_type y ON y.oid = d.base AND y.typtype = 'd'),
made_of AS (
    SELECT d.domain, d.base FROM below d JOIN pg_catalog.pg_type y ON y.oid = d.base WHERE y.typtype <> 'd')
"""
# text and varchar compare by the same operators; a domain counts as what it is made of
_MISMATCHES = f"""{_MADE_OF}
SELECT n.nspname, t.relname, k.conname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       rn.nspname, r.relname, b.attname, pg_catalog.format_type(b.atttypid, b.atttypmod)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(mine, theirs, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.mine
JOIN pg_catalog.pg_attribute b ON b.attrelid = r.oid AND b.attnum = u.theirs
LEFT JOIN made_of ma ON ma.domain = a.atttypid
LEFT JOIN made_of mb ON mb.domain = b.atttypid
CROSS JOIN LATERAL (SELECT coalesce(ma.base, a.atttypid), coalesce(mb.base, b.atttypid)) AS y(mine, theirs)
WHERE k.contype = 'f' AND k.conparentid = 0 AND t.relpersistence <> 't' AND y.mine <> y.theirs
  AND NOT (y.mine IN (25, 1043) AND y.theirs IN (25, 1043)) AND NOT {_TABLE_IS_AN_EXTENSIONS} AND {OUTSIDE}
ORDER BY 1, 2, 3, u.place
"""
_UNVALIDATED = f"""
SELECT n.nspname, t.relname, k.conname, k.contype::text
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE k.contype IN ('f', 'n') AND NOT k.convalidated AND {{enforced}} AND k.conparentid = 0 AND k.coninhcount = 0
  AND t.relpersistence <> 't' AND {OUTSIDE}
ORDER BY 1, 2, 3
"""
# json, money, bpchar with a length, timestamp; what a partition or child has from its parent is the parent's
_COLUMNS = f"""
SELECT n.nspname, t.relname, a.attname, y.typname, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class t ON t.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
WHERE (a.atttypid IN (114, 790, 1114) OR a.atttypid = 1042 AND a.atttypmod > 0) AND a.attnum > 0
  AND NOT a.attisdropped AND a.attinhcount = 0 AND t.relkind IN ('r', 'p') AND t.relpersistence <> 't'
  AND NOT {_TABLE_IS_AN_EXTENSIONS} AND {OUTSIDE}
ORDER BY 1, 2, a.attnum
"""
_SEQUENCES = f"""
SELECT s.oid, n.nspname, s.relname, pg_catalog.format_type(q.seqtypid, NULL), q.seqmin, q.seqmax, q.seqincrement,
       q.seqcycle,
       q.seqstart = 1 AND q.seqincrement = 1 AND q.seqcache = 1 AND q.seqmin = 1 AND NOT q.seqcycle
       AND q.seqmax = CASE q.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END,
       r.readable, CASE WHEN r.readable THEN pg_catalog.pg_sequence_last_value(s.oid) END
FROM pg_catalog.pg_sequence q
JOIN pg_catalog.pg_class s ON s.oid = q.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.has_sequence_privilege(s.oid, 'SELECT, USAGE')
                           AND (s.relpersistence = 'p' OR NOT pg_catalog.pg_is_in_recovery())) AS r(readable)
WHERE s.relpersistence <> 't' AND NOT {_OF_EXTENSION.format(catalogue="pg_catalog.pg_class", oid="s.oid")} AND {OUTSIDE}
ORDER BY 2, 3
"""
# Each column that a sequence feeds: owned (a), its identity (i), or by a default (d), which is that of a serial if plain.
# Apart from the sequences: in one query, a planner without statistics of the catalogue joins each with each.
_FED = f"""{_MADE_OF}
SELECT f.sequence, n.nspname, t.relname, a.attname, pg_catalog.format_type(coalesce(m.base, a.atttypid), NULL),
       m.base IS NULL AND (t.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = t.oid)),
       f.kind, f.plain
FROM (SELECT e.refobjid, x.adrelid, x.adnum, 'd',
             pg_catalog.pg_get_expr(x.adbin, x.adrelid) ~ '^nextval\\(''.*''::regclass\\)$'
      FROM pg_catalog.pg_depend e
      JOIN pg_catalog.pg_class s ON s.oid = e.refobjid AND s.relkind = 'S'
      JOIN pg_catalog.pg_attrdef x ON x.oid = e.objid
      WHERE e.classid = 'pg_catalog.pg_attrdef'::regclass AND e.refclassid = 'pg_catalog.pg_class'::regclass
      UNION ALL
      SELECT e.objid, e.refobjid, e.refobjsubid, e.deptype::text, false
      FROM pg_catalog.pg_depend e
      JOIN pg_catalog.pg_class s ON s.oid = e.objid AND s.relkind = 'S'
      WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.refclassid = 'pg_catalog.pg_class'::regclass
        AND e.deptype IN ('a', 'i') AND e.refobjsubid > 0) AS f(sequence, relation, number, kind, plain)
JOIN pg_catalog.pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.number AND a.attinhcount = 0
LEFT JOIN made_of m ON m.domain = a.atttypid
JOIN pg_catalog.pg_class t ON t.oid = f.relation
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE {OUTSIDE}
ORDER BY 1, 2, 3, 4
"""
_ROUTINES = f"""
SELECT n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid), p.prokind = 'p',
       pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')
  AND NOT {_OF_EXTENSION.format(catalogue="pg_catalog.pg_proc", oid="p.oid")} AND {OUTSIDE}
ORDER BY 1, 2, 3
"""
# the host may have older files than the database, or files that no update leads to
_EXTENSIONS = """
SELECT n.nspname, e.extname, e.extversion, v.default_version
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
JOIN pg_catalog.pg_available_extensions() v ON v.name = e.extname
WHERE CASE WHEN e.extversion <> v.default_version THEN EXISTS (
    SELECT FROM pg_catalog.pg_extension_update_paths(e.extname) u
    WHERE u.source = e.extversion AND u.target = v.default_version AND u.path IS NOT NULL) END
ORDER BY 1, 2
"""


def read_lint(target: Target, schemas: Sequence[str], application_roles: Sequence[str] = ()) -> Observed:
    """Return everything that the lint looks at. Raises SpecError for a schema or role that is not there."""
    with connect(target) as connection:
        for _ in range(TRIES):
            with _reading(connection):
                found = _unless_gone(connection, schemas, application_roles)
            if found:
                return found
    raise StatementFailed(
        f"{TRIES} times something was dropped while the catalogue was read: run again when that is done"
    )


def _unless_gone(connection: Any, schemas: Sequence[str], roles: Sequence[str]) -> Observed | None:
    """Return what was observed, or nothing where a relation went meanwhile.

    The transaction still sees its row, but the server's own functions answer NULL for it.
    """
    try:
        found = _observed(connection, schemas, roles)
    except (AttributeError, KeyError, TypeError):
        ((gone,),) = rows(connection, _GONE)
        if gone:
            return None
        raise
    ((gone,),) = rows(connection, _GONE)
    return None if gone else found


def _observed(connection: Any, schemas: Sequence[str], roles: Sequence[str]) -> Observed:
    ((today, standby, days, hidden, running, known),) = rows(connection, _SERVER)
    problems = [Problem("schemas", f"there is no schema {name}") for name in schemas if name not in known]
    problems += [Problem("application_roles", f"there is no role {name}") for name in unknown_roles(connection, roles)]
    if problems:
        raise SpecError(problems)
    facts, not_null = _facts(connection)
    indexes = read_indexes(connection)
    return Observed(
        today=today,
        tables=read_tables(connection),
        facts=facts,
        indexes=indexes,
        parts=read_parts(connection),
        not_null=not_null,
        index_scans={QualifiedName(schema, name): scans for schema, name, scans in rows(connection, _SCANS)},
        foreign_keys=read_foreign_keys(connection),
        serving=read_serving(connection),
        mismatches=_mismatches(connection),
        checks=tuple(read_checks(connection).values()),
        unvalidated=_unvalidated(connection),
        columns=tuple(
            values.Column(QualifiedName(schema, table), name, base, kind)
            for schema, table, name, base, kind in rows(connection, _COLUMNS)
        ),
        sequences=_sequences(connection),
        routines=tuple(
            values.Routine(QualifiedName(schema, name), arguments, procedure, public)
            for schema, name, arguments, procedure, public in rows(connection, _ROUTINES)
        ),
        extensions=tuple(
            values.Extension(QualifiedName(schema, name), installed, available)
            for schema, name, installed, available in rows(connection, _EXTENSIONS)
        ),
        security=read_security(connection, roles),
        audit=read_audit(connection),
        statistics_days=days,
        standby=standby,
        hidden_builds=hidden,
        running=running,
    )


@contextmanager
def _reading(connection: Any) -> Iterator[None]:
    """Read one moment of the database, and say in words what the server refuses."""
    try:
        execute(connection, _BEGIN)
        yield
        execute(connection, "ROLLBACK")
    except driver.errors.LockNotAvailable as error:
        raise LockNotAcquired(
            "a table is locked exclusively, so its size cannot be read: somebody alters, truncates or rewrites it. Nothing "
            "was waited for longer than 5 s; run again when that is done"
        ) from error
    except driver.errors.InsufficientPrivilege as error:
        raise PermissionDenied(f"the role may not read the catalogue: {str(error).strip()}") from error
    except driver.Error as error:
        raise StatementFailed(f"the catalogue could not be read: {str(error).strip()}") from error


def _facts(
    connection: Any,
) -> tuple[dict[QualifiedName, values.TableFacts], dict[QualifiedName, frozenset[str]]]:
    facts, not_null = {}, {}
    for schema, table, scans, read, count, key, extension, columns in rows(connection, _FACTS):
        name = QualifiedName(schema, table)
        facts[name] = values.TableFacts(scans, read, count, key, extension)
        not_null[name] = frozenset(columns)
    return facts, not_null


def _mismatches(connection: Any) -> tuple[values.Mismatch, ...]:
    return tuple(
        values.Mismatch(QualifiedName(schema, table), key, column, kind, QualifiedName(at, other), its, other_kind)
        for schema, table, key, column, kind, at, other, its, other_kind in rows(connection, _MISMATCHES)
    )


def _unvalidated(connection: Any) -> tuple[values.Unvalidated, ...]:
    enforced = "k.conenforced" if connection.server_version >= 180000 else "true"
    return tuple(
        values.Unvalidated(QualifiedName(schema, table), name, kind)
        for schema, table, name, kind in rows(connection, _UNVALIDATED.format(enforced=enforced))
    )


_Place = tuple[str, str, str, str, bool]  # schema, table, column, its type, whether it is a plain one


def _sequences(connection: Any) -> tuple[values.Sequence, ...]:
    """Return each sequence with each column that it feeds, or once without any."""
    fed: dict[int, dict[_Place, set[str]]] = {}
    for oid, schema, table, column, kind, simple, how, plain in rows(connection, _FED):
        ways = fed.setdefault(oid, {}).setdefault((schema, table, column, kind, simple), set())
        ways.update({how, "plain"} if plain else {how})
    found = []
    for row in rows(connection, _SEQUENCES):
        oid, schema, name, kind, minimum, maximum, increment, cycle, ordinary, readable, last = row
        alone = values.Sequence(
            name=QualifiedName(schema, name),
            type=kind,
            minimum=minimum,
            maximum=maximum,
            increment=increment,
            cycle=cycle,
            ordinary=ordinary,
            readable=readable,
            last=last,
        )
        found += [_feeding(alone, place, ways) for place, ways in fed.get(oid, {}).items()] or [alone]
    return tuple(found)


def _feeding(sequence: values.Sequence, place: _Place, ways: set[str]) -> values.Sequence:
    schema, table, column, kind, simple = place
    return replace(
        sequence,
        table=QualifiedName(schema, table),
        column=column,
        column_type=kind,
        plain_column=simple,
        serial=ways >= {"a", "plain"},
        identity="i" in ways,
    )
