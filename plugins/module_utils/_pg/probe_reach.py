# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""By which other names the application reaches the rows of a protected table: relatives, views, functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .._core.names import QualifiedName
from .._core.probe import Subject, names_it
from .connection import rows

# Partitions and inheritance children are held by their own row security only, and so are parents.
_TREE = """
WITH RECURSIVE subject(oid) AS (SELECT %(table)s::regclass::oid),
below(oid) AS (
    SELECT oid FROM subject
    UNION SELECT i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid),
above(oid) AS (
    SELECT oid FROM subject
    UNION SELECT i.inhparent FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.oid),
tree(oid) AS (SELECT oid FROM below UNION SELECT oid FROM above)
"""
# Whether row security of table `t` lets owner `o` have rows that the application has not: a policy for `o` alone counts, and
# a restrictive one that holds the application and not `o`.
_PAST = """
(o.rolsuper OR o.rolbypassrls OR NOT t.relrowsecurity
 OR pg_catalog.pg_has_role(o.oid, t.relowner, 'USAGE') AND NOT t.relforcerowsecurity
 OR EXISTS (
    SELECT FROM pg_catalog.pg_policy p
    WHERE p.polrelid = t.oid AND p.polpermissive AND NOT 0 = ANY (p.polroles)
      AND EXISTS (SELECT FROM unnest(p.polroles) u(oid) WHERE pg_catalog.pg_has_role(o.oid, u.oid, 'USAGE'))
      AND NOT EXISTS (SELECT FROM unnest(p.polroles) u(oid) WHERE pg_catalog.pg_has_role(%(role)s, u.oid, 'USAGE')))
 OR EXISTS (
    SELECT FROM pg_catalog.pg_policy p
    WHERE p.polrelid = t.oid AND NOT p.polpermissive AND NOT 0 = ANY (p.polroles)
      AND EXISTS (SELECT FROM unnest(p.polroles) u(oid) WHERE pg_catalog.pg_has_role(%(role)s, u.oid, 'USAGE'))
      AND NOT EXISTS (SELECT FROM unnest(p.polroles) u(oid) WHERE pg_catalog.pg_has_role(o.oid, u.oid, 'USAGE'))))
"""
# A security_invoker view, at any depth, reads as whoever asks: only the view right above a table can lead past it.
_SHOWN = f"""{_TREE},
shown(oid, past) AS (
    SELECT oid, false FROM tree
    UNION
    SELECT v.oid, s.past OR s.oid IN (SELECT oid FROM tree) AND {_PAST} AND NOT coalesce((
        SELECT x.option_value::bool FROM pg_catalog.pg_options_to_table(v.reloptions) x
        WHERE x.option_name = 'security_invoker'), false)
    FROM shown s
    JOIN pg_catalog.pg_depend d ON d.refobjid = s.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
                               AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
    JOIN pg_catalog.pg_roles o ON o.oid = v.relowner
    JOIN pg_catalog.pg_class t ON t.oid = s.oid)
"""
_RELATIVES = f"""{_TREE}
SELECT n.nspname, c.relname, CASE
       WHEN c.relkind = 'f' THEN 'is a foreign table, which can have no policies'
       WHEN NOT c.relrowsecurity THEN 'has no row security of its own'
       WHEN EXISTS (
            SELECT FROM pg_catalog.pg_policy p
            WHERE p.polrelid = c.oid AND p.polpermissive AND (0 = ANY (p.polroles) OR EXISTS (
                SELECT FROM unnest(p.polroles) u(oid) WHERE pg_catalog.pg_has_role(%(role)s, u.oid, 'MEMBER'))))
       THEN 'has policies of its own, about which nothing was asked: name it in tables'
       ELSE '' END
FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid NOT IN (SELECT oid FROM subject) AND pg_catalog.has_schema_privilege(%(role)s, n.oid, 'USAGE')
  AND (pg_catalog.has_any_column_privilege(%(role)s, c.oid, 'SELECT, INSERT, UPDATE')
       OR pg_catalog.has_table_privilege(%(role)s, c.oid, 'DELETE, TRUNCATE'))
ORDER BY 1, 2
"""
# Bits of pg_relation_is_updatable: UPDATE 4, INSERT 8, DELETE 16.
_VIEWS = f"""{_SHOWN}
SELECT n.nspname, c.relname, c.relkind::text, o.rolname, bool_or(shown.past),
       pg_catalog.has_any_column_privilege(%(role)s, c.oid, 'SELECT') AS readable,
       coalesce((SELECT pg_catalog.has_column_privilege(%(role)s, c.oid, a.attnum, 'SELECT') FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attname = %(owner_column)s AND NOT a.attisdropped), false),
       pg_catalog.pg_relation_is_updatable(c.oid, true) & 4 <> 0 AND pg_catalog.has_any_column_privilege(%(role)s, c.oid, 'UPDATE')
       OR pg_catalog.pg_relation_is_updatable(c.oid, true) & 8 <> 0 AND pg_catalog.has_any_column_privilege(%(role)s, c.oid, 'INSERT')
       OR pg_catalog.pg_relation_is_updatable(c.oid, true) & 16 <> 0 AND pg_catalog.has_table_privilege(%(role)s, c.oid, 'DELETE')
FROM shown JOIN pg_catalog.pg_class c ON c.oid = shown.oid AND c.relkind IN ('v', 'm')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
WHERE pg_catalog.has_schema_privilege(%(role)s, n.oid, 'USAGE')
GROUP BY c.oid, n.nspname, c.relname, c.relkind, o.rolname
ORDER BY 1, 2
"""
# Functions with somebody else's rights, and each relation through which the rows could be had in them. A rule or view keeps
# its functions whatever is granted on their schema; a trigger calls its own for everybody who writes.
_FUNCTIONS = f"""{_SHOWN}
SELECT DISTINCT f.oid::regprocedure::text, o.rolname, f.prosrc, k.relname, EXISTS (
       SELECT FROM pg_catalog.pg_depend d
       WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = f.oid
         AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = k.oid), f.prorettype = 'trigger'::regtype
FROM shown s
JOIN pg_catalog.pg_class k ON k.oid = s.oid
JOIN pg_catalog.pg_class t ON t.oid = CASE WHEN k.relkind IN ('v', 'm') THEN (SELECT oid FROM subject) ELSE k.oid END
CROSS JOIN pg_catalog.pg_proc f
JOIN pg_catalog.pg_roles o ON o.oid = f.proowner
WHERE f.prosecdef AND f.prorettype <> 'event_trigger'::regtype AND o.rolname <> %(role)s
  AND CASE WHEN f.prorettype = 'trigger'::regtype
      THEN EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgfoid = f.oid AND g.tgenabled <> 'D')
      ELSE pg_catalog.has_function_privilege(%(role)s, f.oid, 'EXECUTE')
           AND (pg_catalog.has_schema_privilege(%(role)s, f.pronamespace, 'USAGE') OR EXISTS (
                SELECT FROM pg_catalog.pg_depend d
                WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = f.oid
                  AND d.classid = 'pg_catalog.pg_rewrite'::regclass)) END
  AND (s.past OR k.relkind = 'm' OR {_PAST})
ORDER BY 1
"""
# Roles that the application may become without having their rights all the time (NOINHERIT, or INHERIT FALSE), where they
# reach what it does not: nothing is asked as them.
_BECOMES = f"""{_SHOWN}
SELECT DISTINCT r.rolname, n.nspname, c.relname
FROM (SELECT DISTINCT oid FROM shown) s
JOIN pg_catalog.pg_class c ON c.oid = s.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN pg_catalog.pg_roles r
WHERE pg_catalog.pg_has_role(%(role)s, r.oid, 'MEMBER') AND NOT pg_catalog.pg_has_role(%(role)s, r.oid, 'USAGE')
  AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
  AND (EXISTS (
          SELECT FROM pg_catalog.pg_policy p CROSS JOIN LATERAL unnest(p.polroles) u(oid)
          WHERE p.polrelid = c.oid AND p.polpermissive AND u.oid <> 0 AND pg_catalog.pg_has_role(r.oid, u.oid, 'USAGE')
            AND NOT pg_catalog.pg_has_role(%(role)s, u.oid, 'USAGE'))
       OR EXISTS (
          SELECT FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) x
          WHERE pg_catalog.has_any_column_privilege(r.oid, c.oid, x)
            AND NOT pg_catalog.has_any_column_privilege(%(role)s, c.oid, x))
       OR EXISTS (
          SELECT FROM unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER']) x
          WHERE pg_catalog.has_table_privilege(r.oid, c.oid, x) AND NOT pg_catalog.has_table_privilege(%(role)s, c.oid, x)))
ORDER BY 1, 2, 3
"""


@dataclass(frozen=True)
class Relative:
    """A parent or child of the table to which the application has rights; `why` says what is wrong with that, or nothing."""

    table: QualifiedName
    why: str


@dataclass(frozen=True)
class Shown:
    """A view through which the table's rows can be had; `past` says that its owner is not held as the application is."""

    view: QualifiedName
    kind: str
    owner: str
    past: bool
    readable: bool
    shows_owner: bool
    writable: bool


def _asked(role: str, subject: Subject) -> dict[str, str]:
    return {"role": role, "table": subject.table.sql, "owner_column": subject.owner_column}


def relatives(connection: Any, role: str, subject: Subject) -> tuple[Relative, ...]:
    """Return what stands above and below a table."""
    found = rows(connection, _RELATIVES, _asked(role, subject))
    return tuple(Relative(QualifiedName(schema, name), why) for schema, name, why in found)


def views(connection: Any, role: str, subject: Subject) -> tuple[Shown, ...]:
    """Return the views, of any depth, that the application may read or write through."""
    found = rows(connection, _VIEWS, _asked(role, subject))
    shown = (Shown(QualifiedName(schema, name), *rest) for schema, name, *rest in found)
    return tuple(one for one in shown if one.readable or one.writable)


def functions(connection: Any, role: str, subject: Subject) -> Iterable[tuple[str, str, bool]]:
    """Return (function, owner, of a trigger) of those that may lead around row security: that name a relation with the rows."""
    found = rows(connection, _FUNCTIONS, _asked(role, subject))
    return dict.fromkeys(
        (function, owner, trigger)
        for function, owner, source, name, depends, trigger in found
        if depends or names_it(source, name)
    )


def becomes(connection: Any, role: str, subject: Subject) -> Iterable[tuple[str, QualifiedName]]:
    """Return (role, relation with the rows) of those that the application may become, to reach what it does not."""
    found = rows(connection, _BECOMES, _asked(role, subject))
    return tuple((other, QualifiedName(schema, name)) for other, schema, name in found)
