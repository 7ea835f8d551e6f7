# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CHECK constraints in SQL: how they are read, tried, rendered, and how rows that contradict them are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .._core.check_constraint import KIND, CheckConstraint, ObservedCheck, Step
from .._core.names import QualifiedName, literal, quote
from .._core.plan import Change
from .canonical import Answer, Trial, enclosed
from .connection import driver, execute, rows
from .execute import of_a_row, words
from .ledger import forget, remember
from .tables import OUTSIDE

SAMPLE_ROWS = 5

_CHECKS = """
SELECT n.nspname, t.relname, k.conname, pg_catalog.pg_get_expr(k.conbin, k.conrelid), k.connoinherit, k.convalidated,
       {enforced}, k.coninhcount > 0, coalesce(d.description, '')
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = k.oid AND d.classoid = 'pg_catalog.pg_constraint'::regclass
WHERE k.contype = 'c' AND t.relpersistence <> 't' AND """
_OTHERS = f"""
SELECT n.nspname, t.relname, k.conname
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE k.contype <> 'c' AND {OUTSIDE}
"""
# a child's own constraint that is merged with its parent's, and every table above it
_OWN_BELOW = f"""
WITH RECURSIVE above AS (
    SELECT k.conname, k.conrelid AS child, k.conrelid AS relation FROM pg_catalog.pg_constraint k
    WHERE k.contype = 'c' AND k.conislocal AND k.coninhcount > 0
    UNION
    SELECT a.conname, a.child, h.inhparent FROM above a JOIN pg_catalog.pg_inherits h ON h.inhrelid = a.relation
)
SELECT n.nspname, t.relname, a.conname, cn.nspname, ct.relname
FROM above a
JOIN pg_catalog.pg_class t ON t.oid = a.relation
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_class ct ON ct.oid = a.child
JOIN pg_catalog.pg_namespace cn ON cn.oid = ct.relnamespace
WHERE a.relation <> a.child AND {OUTSIDE}
"""
_TRIED = """
SELECT k.conname, pg_catalog.pg_get_expr(k.conbin, k.conrelid), k.connoinherit
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
WHERE t.relnamespace = pg_catalog.pg_my_temp_schema() AND k.contype = 'c' AND k.conname = ANY(%s)
"""
_PRIMARY_KEY = """
SELECT a.attname
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY AS u(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.attnum
WHERE k.contype = 'p' AND n.nspname = %s AND t.relname = %s
ORDER BY u.place
"""


def read_checks(connection: Any) -> dict[tuple[QualifiedName, str], ObservedCheck]:
    """Return every CHECK constraint of the database's tables."""
    found = {}
    enforced = "k.conenforced" if connection.server_version >= 180000 else "true"
    for row in rows(connection, _CHECKS.format(enforced=enforced) + OUTSIDE):
        schema, table, name, expression, no_inherit, validated, is_enforced, inherited, comment = row
        made = ObservedCheck(
            QualifiedName(schema, table),
            name,
            _text(expression, no_inherit),
            validated,
            is_enforced,
            inherited,
            comment,
        )
        found[made.key] = made
    return found


def read_others(connection: Any) -> frozenset[tuple[QualifiedName, str]]:
    """Return the names of constraints of other kinds."""
    return frozenset((QualifiedName(schema, table), name) for schema, table, name in rows(connection, _OTHERS))


def read_own_below(connection: Any) -> dict[tuple[QualifiedName, str], tuple[QualifiedName, ...]]:
    """Return the tables that inherit a constraint and have it of their own, too, by (table above, name)."""
    found: dict[tuple[QualifiedName, str], tuple[QualifiedName, ...]] = {}
    for schema, table, name, child_schema, child in rows(connection, _OWN_BELOW):
        key = QualifiedName(schema, table), name
        found[key] = (*found.get(key, ()), QualifiedName(child_schema, child))
    return found


def _text(expression: str, no_inherit: bool) -> str:
    """Return a constraint's definition from CHECK on, as one text that can be compared and run again."""
    return f"CHECK ({expression})" + (" NO INHERIT" if no_inherit else "")


def read_tried(connection: Any, names: Sequence[str]) -> Mapping[str, str]:
    """Return the definitions of trial constraints."""
    tried = rows(connection, _TRIED, (list(names),))
    return {name: _text(expression, no_inherit) for name, expression, no_inherit in tried}


def trial(check: CheckConstraint) -> Trial:
    """Return the trial of a declared constraint."""
    return text_trial(check.table, definition(check.expression, check.no_inherit))


def text_trial(table: QualifiedName, text: str) -> Trial:
    """Return the trial of a definition from CHECK on."""
    return Trial(table, lambda copy, name: f"ALTER TABLE {copy} ADD CONSTRAINT {name} {text}")


def definition(expression: str, no_inherit: bool) -> str:
    """Return a declared constraint as SQL."""
    return f"CHECK {enclosed(expression)}" + (" NO INHERIT" if no_inherit else "")


def violations(
    connection: Any, table: QualifiedName, texts: Sequence[str], search_path: str
) -> tuple[tuple[int, tuple[str, ...]], ...] | None:
    """Count the rows that contradict each constraint (its text from CHECK on), with some of their primary keys; None where
    row security hides rows from this role (VALIDATE looks at all of them).

    The table is read once for all of them, and once more for each that has violating rows, as far as the sample goes.
    """
    key = [name for (name,) in rows(connection, _PRIMARY_KEY, (table.schema, table.name))]
    shown, label = ", ".join(quote(name) for name in key) or "ctid", ", ".join(key) or "ctid"
    wrong = [_violated(table, text) for text in texts]
    filters = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in wrong)
    found = []
    try:
        with _looking(connection, search_path):
            (counts,) = rows(connection, f"SELECT {filters} FROM {table.sql}")
            for count, condition in zip(counts, wrong, strict=True):
                some = f"SELECT ROW({shown})::text FROM {table.sql} WHERE {condition} LIMIT {SAMPLE_ROWS}"
                sample = rows(connection, some) if count else []
                found.append((count, tuple(f"({label}) = {values}" for (values,) in sample)))
    except driver.errors.InsufficientPrivilege as error:
        if "row-level security" not in str(error):
            raise
        return None
    return tuple(found)


def failures(connection: Any, table: QualifiedName, texts: Sequence[str], search_path: str) -> list[str]:
    """Return for each constraint, looked at by itself, what the server says where its expression fails on a row."""
    found = []
    for text in texts:
        try:
            with _looking(connection, search_path):
                rows(connection, f"SELECT count(*) FROM {table.sql} WHERE {_violated(table, text)}")
            found.append("")
        except driver.Error as error:
            if not of_a_row(error):
                raise
            found.append(words(error, details=True))
    return found


def _violated(table: QualifiedName, text: str) -> str:
    """Return what is true of rows that contradict a constraint; without inheritance, only the table's own count."""
    condition = f"NOT {text.removeprefix('CHECK ').removesuffix(' NO INHERIT')}"
    own = f" AND tableoid = {literal(table.sql)}::pg_catalog.regclass"
    return condition + own if text.endswith(" NO INHERIT") else condition


@contextmanager
def _looking(connection: Any, search_path: str) -> Iterator[None]:
    """Read with names looked up as a declaration's are."""
    execute(connection, f"BEGIN READ ONLY; SET LOCAL row_security = off; SET LOCAL search_path = {search_path}")
    try:
        yield
    finally:
        if not connection.closed:
            execute(connection, "ROLLBACK")


def needs_the_real_table(answer: Answer) -> bool:
    """Whether a trial may have failed only because a copy is not the table: a whole row as an argument has another type
    there, and a column named with its schema is not found.
    """
    return answer.code in ("42P01", "42883", "42846", "42804")


def meaning(connection: Any, table: QualifiedName, expression: str, search_path: str) -> str | None:
    """Return what the planner makes of an expression on the real table, or None where it does not parse there either.

    Read-only, but coarser than a trial: what the planner folds together counts as one.
    """
    plan = f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT {enclosed(expression)} IS TRUE FROM ONLY {table.sql}"
    try:
        with _looking(connection, search_path):
            ((explained,),) = rows(connection, plan)[0]
    except driver.ProgrammingError:
        return None
    return str(explained["Plan"]["Output"])


def render(change: Change) -> tuple[str, ...]:
    """Return the statements of one change, in order."""
    step: Step = change.subject
    alter = f"ALTER TABLE {step.table.sql}"
    if change.action == "add":
        body = definition(step.expression, step.no_inherit)
        return (f"{alter} ADD CONSTRAINT {quote(step.target)} {body} NOT VALID", *_noted(step))
    if change.action == "validate":
        return (f"{alter} VALIDATE CONSTRAINT {quote(step.target)}",)
    if change.action == "drop":
        return (f"{alter} DROP CONSTRAINT {quote(step.target)}", forget(KIND, step.table, step.target))
    if change.action == "comment":
        return (_comment(step),)
    assert change.action == "swap"
    gone = (f"{alter} DROP CONSTRAINT {quote(step.old_name)}",) if step.old_name else ()
    return (*gone, f"{alter} RENAME CONSTRAINT {quote(step.source)} TO {quote(step.target)}", *_noted(step))


def _comment(step: Step) -> str:
    return f"COMMENT ON CONSTRAINT {quote(step.target)} ON {step.table.sql} IS {literal(step.comment)}"


def _noted(step: Step) -> tuple[str, ...]:
    return (_comment(step), remember(KIND, step.table, step.target)) if step.comment else ()
