# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is there of an audit trail: the log with its months, functions and rights, and the tables' triggers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from .._core.audit import ROW_TRIGGER, TRUNCATE_TRIGGER, ObservedTrigger, TriggerForm
from .._core.audit_log import KIND, OWNER, Guarded, Home, Log, Made, ObservedRoutine, Partition, Routine
from .._core.audit_partition import Range
from .._core.audit_spec import TABLE, Audit
from .._core.audit_told import Columns
from .._core.names import QualifiedName, quote
from .._core.plan import owner_of
from . import ledger
from .audit_meddling import read_masters, read_meddling
from .audit_source import RECORDER_ARGUMENTS, TRAIL_ARGUMENTS
from .connection import rows
from .tables import OUTSIDE

_SCHEMA = """
SELECT coalesce(pg_catalog.obj_description(n.oid, 'pg_namespace'), ''),
       EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
       OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid)
FROM pg_catalog.pg_namespace n WHERE n.nspname = %s
"""
# the log's months are those of UTC, by the clock of the server that writes into it
_ACTOR = "SELECT current_user, (pg_catalog.now() AT TIME ZONE 'UTC')::date"
_LOG = """
SELECT c.oid, r.rolname, pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''),
       ARRAY(SELECT coalesce(a.attname::text, '') FROM pg_catalog.pg_partitioned_table k
             CROSS JOIN LATERAL unnest(k.partattrs::int2[]) WITH ORDINALITY AS u(attnum, place)
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = k.partrelid AND a.attnum = u.attnum AND u.attnum > 0
             WHERE k.partrelid = c.oid AND k.partstrat = 'r' ORDER BY u.place),
       ARRAY(SELECT ARRAY[a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)]
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE n.nspname = %s AND c.relname = %s
"""
# bounds are printed for the session's time zone and date style, and read back for the same
_PARTITIONS = r"""
SELECT n.nspname, c.relname, coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), b.bound = 'DEFAULT',
       CASE WHEN isfinite(b.range[1]::timestamptz) AND isfinite(b.range[2]::timestamptz)
            THEN ARRAY[b.range[1]::timestamptz AT TIME ZONE 'UTC', b.range[2]::timestamptz AT TIME ZONE 'UTC'] END
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid)) AS t(text)
CROSS JOIN LATERAL (SELECT t.text, regexp_match(t.text, '^FOR VALUES FROM \(''([^'']+)''\) TO \(''([^'']+)''\)$'))
                   AS b(bound, range)
WHERE i.inhparent = %s
ORDER BY 1, 2
"""
_ROUTINES = """
SELECT p.proname, pg_catalog.pg_get_function_result(p.oid), p.prosrc, coalesce(p.proconfig, ARRAY[]::text[]),
       p.prosecdef, CASE p.provolatile WHEN 'v' THEN 'VOLATILE' WHEN 's' THEN 'STABLE' ELSE 'IMMUTABLE' END,
       l.lanname, r.rolname
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
WHERE n.nspname = %s AND (p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) IN ((%s, %s), (%s, %s))
"""
_HELD = """ARRAY(SELECT ARRAY[coalesce(g.rolname::text, ''), x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END]
             FROM pg_catalog.aclexplode({acl}) x LEFT JOIN pg_catalog.pg_roles g ON g.oid = x.grantee)"""
_OF_THE_SCHEMA = f"""
SELECT n.nspname, r.rolname, {_HELD.format(acl="coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))")}
FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
WHERE n.nspname = %s
"""
_OF_THE_TABLES = f"""
SELECT n.nspname, c.relname, r.rolname, {_HELD.format(acl="coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))")}
       || ARRAY(SELECT ARRAY[coalesce(g.rolname::text, ''), x.privilege_type || ' (' || a.attname || ')']
                FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) x
                LEFT JOIN pg_catalog.pg_roles g ON g.oid = x.grantee
                WHERE a.attrelid = c.oid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE c.oid = %s OR c.oid IN (SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = %s)
ORDER BY 1, 2
"""
_OF_THE_FUNCTIONS = f"""
SELECT p.proname, p.oid::regprocedure::text, r.rolname,
       {_HELD.format(acl="coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))")}
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
WHERE n.nspname = %s AND (p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) IN ((%s, %s), (%s, %s))
ORDER BY 1
"""
_STRANGERS = """
SELECT DISTINCT g.rolname
FROM pg_catalog.pg_default_acl a
JOIN pg_catalog.pg_roles m ON m.oid = a.defaclrole
CROSS JOIN LATERAL pg_catalog.aclexplode(a.defaclacl) x
JOIN pg_catalog.pg_roles g ON g.oid = x.grantee
WHERE m.rolname = current_user AND g.oid <> m.oid
ORDER BY 1
"""
# before PostgreSQL 15, a generated column itself depends on what it is computed from, and not its expression
_COLUMNS = """
SELECT n.nspname, t.relname, t.oid::bigint,
       ARRAY(SELECT ARRAY[a.attname::text, a.attnum::text, a.attgenerated::text] FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT ARRAY[g.attname::text, s.attname::text] FROM pg_catalog.pg_attribute g
             JOIN pg_catalog.pg_attrdef e ON e.adrelid = g.attrelid AND e.adnum = g.attnum
             JOIN pg_catalog.pg_depend d
               ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = e.oid
               OR d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = t.oid AND d.objsubid = g.attnum
             JOIN pg_catalog.pg_attribute s ON s.attrelid = t.oid AND s.attnum = d.refobjsubid AND s.attnum > 0
             WHERE g.attrelid = t.oid AND g.attgenerated = 's' AND s.attnum <> g.attnum
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid
             ORDER BY g.attnum, s.attnum),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.attnum
             WHERE i.indrelid = t.oid AND i.indisprimary AND u.place <= i.indnkeyatts ORDER BY u.place)
FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE (n.nspname, t.relname) IN (SELECT unnest(%s::text[]), unnest(%s::text[]))
"""
# An argument ends with a zero byte, which no text can hold: taken apart as hexadecimal digits, two by two.
# What partitions have from their parent is their parent's, but each of them can be switched off by itself.
_TRIGGERS = f"""
SELECT n.nspname, t.relname, g.tgname, g.tgtype, fn.nspname, f.proname,
       ARRAY(SELECT pg_catalog.convert_from(pg_catalog.decode(replace(u.part, ' ', ''), 'hex'),
                                            pg_catalog.getdatabaseencoding())
             FROM regexp_split_to_table(regexp_replace(pg_catalog.encode(g.tgargs, 'hex'), '(..)', '\\1 ', 'g'), '00 ')
                  WITH ORDINALITY AS u(part, place)
             WHERE u.place <= g.tgnargs ORDER BY u.place),
       g.tgqual IS NULL AND g.tgattr::text = '' AND NOT g.tgdeferrable AND g.tgoldtable IS NULL AND g.tgnewtable IS NULL,
       CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_partition_tree(t.oid) p
                         JOIN pg_catalog.pg_trigger c ON c.tgrelid = p.relid AND c.tgname = g.tgname
                         WHERE c.tgenabled <> g.tgenabled) THEN '' ELSE g.tgenabled::text END,
       coalesce(pg_catalog.obj_description(g.oid, 'pg_trigger'), '')
FROM pg_catalog.pg_trigger g
JOIN pg_catalog.pg_class t ON t.oid = g.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace
WHERE g.tgname IN ('{ROW_TRIGGER}', '{TRUNCATE_TRIGGER}') AND g.tgparentid = 0 AND {OUTSIDE}
"""
_READERS = f"""
SELECT n.nspname, c.relname, g.rolname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) x
JOIN pg_catalog.pg_roles g ON g.oid = x.grantee
WHERE c.relkind = 'p' AND c.relname = '{TABLE}' AND x.privilege_type = 'SELECT' AND g.oid <> c.relowner
ORDER BY 1, 2, 3
"""
_ROLES = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)"


def read_home(connection: Any, declared: Audit) -> Home:
    """Return what is there of a log."""
    ((actor, today),) = rows(connection, _ACTOR)
    schema = rows(connection, _SCHEMA, (declared.schema,))
    comment, filled = schema[0] if schema else ("", False)
    marked = owner_of(comment) == OWNER
    made = ledger.made(connection, KIND)
    found = rows(connection, _LOG, (declared.schema, declared.log.name))
    log, oid, member = None, 0, True
    if found:
        oid, _owner, member = found[0][:3]
        log = _log(connection, declared.log, found[0], made)
    owner = log.owner if log else actor
    return Home(
        schema=bool(schema),
        marked=marked,
        log=log,
        routines=_routines(connection, declared),
        guarded=_guarded(connection, declared, oid),
        today=today,
        actor=actor,
        owner=owner,
        member=member,
        strangers=tuple(role for (role,) in rows(connection, _STRANGERS)),
        crowded=filled and not marked,
        made=made,
        meddling=read_meddling(connection, declared.schema, oid, owner),
        masters=read_masters(connection),
    )


def _log(connection: Any, name: QualifiedName, row: tuple[Any, ...], made: Made) -> Log:
    oid, owner, _member, comment, key, columns = row
    partitions = tuple(
        Partition(
            name=QualifiedName(schema, partition),
            span=_span(bounds),
            default=default,
            ours=owner_of(told) == OWNER or (name, partition) in made,
        )
        for schema, partition, told, default, bounds in rows(connection, _PARTITIONS, (oid,))
    )
    ours = owner_of(comment) == OWNER or (name, name.name) in made
    return Log(owner, ours, dict(columns), tuple(key), partitions)


def _span(bounds: Sequence[datetime] | None) -> Range | None:
    """Return the days of a partition, where it begins and ends with a day."""
    if not bounds or any(bound.time() != time.min for bound in bounds):
        return None
    return bounds[0].date(), bounds[1].date()


def _functions(declared: Audit) -> tuple[str, ...]:
    return (declared.schema, declared.recorder.name, RECORDER_ARGUMENTS, declared.trail.name, TRAIL_ARGUMENTS)


def _routines(connection: Any, declared: Audit) -> dict[QualifiedName, ObservedRoutine]:
    return {
        QualifiedName(declared.schema, name): ObservedRoutine(
            Routine(result, source, tuple(settings), definer, volatility, language), owner
        )
        for name, result, source, settings, definer, volatility, language, owner in rows(
            connection, _ROUTINES, _functions(declared)
        )
    }


def _guarded(connection: Any, declared: Audit, oid: int) -> tuple[Guarded, ...]:
    """Return every object of the log with the rights on it."""
    found = [
        Guarded("SCHEMA", name, quote(name), owner, _rights(held), "USAGE")
        for name, owner, held in rows(connection, _OF_THE_SCHEMA, (declared.schema,))
    ]
    for schema, name, owner, held in rows(connection, _OF_THE_TABLES, (oid, oid)):
        table = QualifiedName(schema, name)
        needed = "SELECT" if table == declared.log else ""
        found.append(Guarded("TABLE", str(table), table.sql, owner, _rights(held), needed))
    for name, signature, owner, held in rows(connection, _OF_THE_FUNCTIONS, _functions(declared)):
        needed = "EXECUTE" if name == declared.trail.name else ""
        found.append(Guarded("FUNCTION", signature, signature, owner, _rights(held), needed))
    return tuple(found)


def _rights(held: Sequence[Sequence[str]]) -> frozenset[tuple[str, str]]:
    return frozenset((role, privilege) for role, privilege in held)


def read_columns(connection: Any, tables: Sequence[QualifiedName]) -> dict[QualifiedName, Columns]:
    """Return the columns of these tables, and what is to be known of them."""
    names = ([table.schema for table in tables], [table.name for table in tables])
    return {
        QualifiedName(schema, table): Columns(
            numbers={name: int(number) for name, number, _generated in columns},
            key=tuple(key),
            oid=oid,
            virtual=tuple(name for name, _number, generated in columns if generated == "v"),
            computed=tuple((name, source) for name, source in computed),
        )
        for schema, table, oid, columns, computed, key in rows(connection, _COLUMNS, names)
    }


def read_triggers(connection: Any) -> dict[tuple[QualifiedName, str], ObservedTrigger]:
    """Return the audit triggers of all tables."""
    found = {}
    for schema, table, name, kind, home, function, arguments, plain, enabled, comment in rows(connection, _TRIGGERS):
        form = TriggerForm(kind, QualifiedName(home, function), tuple(arguments), plain)
        found[QualifiedName(schema, table), name] = ObservedTrigger(form, enabled, comment)
    return found


def read_readers(connection: Any) -> dict[QualifiedName, list[str]]:
    """Return who besides its owner may read each table that is called as an audit log is."""
    found: dict[QualifiedName, list[str]] = {}
    for schema, table, role in rows(connection, _READERS):
        found.setdefault(QualifiedName(schema, table), []).append(role)
    return found


def read_roles(connection: Any, names: Sequence[str]) -> frozenset[str]:
    """Return which of these roles exist."""
    return frozenset(name for (name,) in rows(connection, _ROLES, (list(names),)))
