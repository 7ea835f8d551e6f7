# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a restored instance whether its data is what it must be, in transactions that are read-only and rolled back.

Rows are read from the tables themselves, never from an index: a damaged one would answer for the rows that it has lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from .._core import recovery_probe as judge
from .._core.errors import ConnectionFailed, DatabaseMissing, StatementFailed
from .._core.names import QualifiedName, quote
from .._core.recovery_probe import COULD_NOT_RUN, FAILED, Answer, Check, Position
from .._core.recovery_spec import Canary, Counts, Extension, Statement, Wish, question
from .connection import Target, connect, driver, execute, rows
from .execute import of_a_row, words

Question = Callable[[Any], Answer]
LENT_SCHEMA = "pgstead_amcheck"

_HEAP_ONLY = """
SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off;
SET LOCAL enable_bitmapscan = off
"""
# No name is looked up where a user of the database could have put something of his own.
_SESSION = "SET search_path = ''; SET client_connection_check_interval = '2s'"
_DATABASES = "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"
_TYPE = """
SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
WHERE a.attrelid = %s::pg_catalog.regclass AND a.attname = %s AND a.attnum > 0 AND NOT a.attisdropped
"""
# A sequence that begins again when it is used up promises nothing. Those with an index come first.
_SEQUENCES = """
SELECT sn.nspname, s.relname, tn.nspname, t.relname, a.attname, q.seqincrement, x.indexed, x.subscribed
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' AND s.relpersistence <> 't'
JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid AND NOT q.seqcycle
CROSS JOIN LATERAL (SELECT
  EXISTS (
    SELECT FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
    WHERE i.indrelid = t.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum AND m.amname = 'btree'
  ) AS indexed,
  EXISTS (
    SELECT FROM pg_catalog.pg_subscription_rel r
    WHERE r.srrelid = t.oid
       OR r.srrelid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(t.oid) p)
       OR r.srrelid IN (SELECT p.relid FROM pg_catalog.pg_partition_ancestors(t.oid) p)
  ) AS subscribed
) x
WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
  AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
ORDER BY x.indexed DESC, 1, 2
"""
_INVALID_INDEXES = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) ORDER BY 1, 2
"""
# One that is not enforced (18) never can be valid.
_UNVALIDATED = """
SELECT n.nspname, c.relname, k.conname FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT k.convalidated AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true) ORDER BY 1, 2, 3
"""
# Whatever the database has set for applications, and without its event triggers.
_WRITING = """
SET lock_timeout = '1min'; SET default_transaction_read_only = off; SET session_replication_role = replica
"""
_AMCHECK_SCHEMA = """
SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'amcheck'
"""


def databases(target: Target) -> list[str]:
    """Return the databases that one can connect to, templates left out. Raises ConnectionFailed."""
    with connect(target) as connection:
        return [name for (name,) in rows(connection, _DATABASES)]


def major(target: Target) -> int:
    """Return the server's major version. Raises ConnectionFailed."""
    with connect(target) as connection:
        return int(connection.server_version) // 10000


def ask(target: Target, wish: Wish, places: Sequence[str], timeout_ms: int) -> list[Check]:
    """Return what the server answers to everything in a wish that is asked in SQL.

    `places` are the databases for what is asked of every one; no statement takes longer than `timeout_ms`.
    """
    found = _in_database(target, target.database, _of_cluster(wish), timeout_ms, cluster=True)
    asked = _by_database(wish, places)
    for database, questions in asked.items():
        found += _in_database(target, database, questions, timeout_ms)
    return found


def _of_cluster(wish: Wish) -> list[tuple[str, Question]]:
    found: list[tuple[str, Question]] = []
    found += [("roles", lambda connection: _roles(connection, wish.roles))] if wish.roles else []
    found += [("settings", lambda connection: _settings(connection, wish.settings))] if wish.settings else []
    return found


def _by_database(wish: Wish, places: Sequence[str]) -> dict[str, list[tuple[str, Question]]]:
    found: dict[str, list[tuple[str, Question]]] = {}

    def note(database: str, check: str, work: Callable[..., Answer], *words: Any) -> None:
        found.setdefault(database, []).append((check, lambda connection: work(connection, *words)))

    everywhere = {"sequences": _sequences, "invalid_indexes": _indexes, "unvalidated_constraints": _constraints}
    for database in places:
        for check, work in everywhere.items():
            if check in wish.everywhere:
                note(database, check, work)
    for asked in wish.canary:
        note(asked.database, "canary", _canary, asked)
    if wish.counts:
        for database, expected in wish.counts.rows.items():
            note(database, "counts", _counts, wish.counts, expected)
    for name in dict.fromkeys(each.database for each in wish.extensions):
        note(name, "extensions", _extensions, [each for each in wish.extensions if each.database == name])
    for statement in wish.statements:
        note(statement.database, f"statement {statement.name}", _statement, statement)
    return found


def _in_database(
    target: Target,
    database: str,
    questions: Sequence[tuple[str, Question]],
    timeout_ms: int,
    *,
    cluster: bool = False,
) -> list[Check]:
    """Ask one question after the other through one connection; one that cannot be answered keeps no other from its turn."""
    if not questions:
        return []
    place, told, status = "" if cluster else database, "", ""
    try:
        with connect(replace(target, database=database)) as connection:
            execute(connection, f"SET statement_timeout = {int(timeout_ms)}; {_SESSION}")
            return [_asked(connection, check, place, question_) for check, question_ in questions]
    except DatabaseMissing as error:
        told, status = str(error), FAILED
    except ConnectionFailed as error:
        told, status = str(error), COULD_NOT_RUN
    return [Check(check, place, status, told, 0.0) for check, _question in questions]


def _asked(connection: Any, check: str, place: str, question_: Question) -> Check:
    since = time.monotonic()
    try:
        # without row security, rows that a policy hides would be missing rows: the server refuses instead
        execute(connection, "BEGIN READ ONLY; SET LOCAL row_security = off; SET LOCAL lock_timeout = '1min'")
        status, told = question_(connection)
    except driver.Error as error:
        # the answer goes into evidence, which people read who may not read the rows
        said = (
            words(error) if of_a_row(error) else error.diag.message_primary or str(error) or "the connection was lost"
        )
        status, told = judge.refused(error.pgcode, said)
    finally:
        if not connection.closed:
            execute(connection, "ROLLBACK")
    return Check(check, place, status, told, round(time.monotonic() - since, 3))


def _roles(connection: Any, wanted: Sequence[str]) -> Answer:
    return judge.missing(
        "role", wanted, [name for (name,) in rows(connection, "SELECT rolname FROM pg_catalog.pg_roles")]
    )


def _settings(connection: Any, wanted: Mapping[str, str]) -> Answer:
    sql = "SELECT pg_catalog.current_setting(%s, true)"
    return judge.settings(wanted, {name: rows(connection, sql, (name,))[0][0] for name in wanted})


def _extensions(connection: Any, wanted: Sequence[Extension]) -> Answer:
    return judge.extensions(wanted, dict(rows(connection, "SELECT extname, extversion FROM pg_catalog.pg_extension")))


def _indexes(connection: Any) -> Answer:
    found = [f"{QualifiedName(*name)} is invalid" for name in rows(connection, _INVALID_INDEXES)]
    return judge.answered(found, "all indexes are valid")


def _constraints(connection: Any) -> Answer:
    found = [
        f"{QualifiedName(schema, table)} has never been checked for {name}"
        for schema, table, name in rows(connection, _UNVALIDATED)
    ]
    return judge.answered(found, "all constraints were validated")


def _canary(connection: Any, asked: Canary) -> Answer:
    execute(connection, _HEAP_ONLY)
    kinds = rows(connection, _TYPE, (asked.table.sql, asked.key))
    if not kinds:
        return FAILED, f"{asked.table} has no column {asked.key}"
    table, key, kind = asked.table.sql, quote(asked.key), kinds[0][0]
    # As texts, so that no operator is needed; a key that its type writes otherwise (a UUID in capitals) is written so.
    same = f"t.{key}::text = wanted::{kind}::text"
    sql = f"SELECT wanted FROM pg_catalog.unnest(%s) wanted WHERE EXISTS (SELECT FROM {table} t WHERE {same})"
    found = rows(connection, sql, ([*asked.present, *asked.absent],))
    return judge.canary(asked, [key for (key,) in found])


def _counts(connection: Any, asked: Counts, expected: Mapping[QualifiedName, int]) -> Answer:
    execute(connection, _HEAP_ONLY)
    found: dict[QualifiedName, int | None] = {}
    for table in expected:
        ((there,),) = rows(connection, "SELECT pg_catalog.to_regclass(%s) IS NOT NULL", (table.sql,))
        found[table] = rows(connection, f"SELECT pg_catalog.count(*) FROM {table.sql}")[0][0] if there else None
    return judge.counts(asked, expected, found)


def _sequences(connection: Any) -> Answer:
    found = rows(connection, _SEQUENCES)
    asked = [told for *told, subscribed in found if not subscribed]
    return judge.sequences([_position(connection, told) for told in asked], len(found) - len(asked))


def _position(connection: Any, told: Sequence[Any]) -> Position:
    """Look up the next value in an index: high values may be reserved, and rows that an index has lost are amcheck's to find.
    Without one, the whole column is read, and tells how far it has come.
    """
    schema, name, table_schema, table, column, increment, indexed = told
    sequence, fed = QualifiedName(schema, name), QualifiedName(table_schema, table)
    ((last, called),) = rows(connection, f"SELECT last_value, is_called FROM {sequence.sql}")
    following, place, upward = last + increment if called else last, f"{fed}.{column}", increment > 0
    if indexed:
        sql = f"SELECT EXISTS (SELECT FROM {fed.sql} WHERE {quote(column)} = {following})"
        return Position(sequence, place, upward, following, None, bool(rows(connection, sql)[0][0]))
    execute(connection, _HEAP_ONLY)
    sql = f"SELECT pg_catalog.{'max' if upward else 'min'}({quote(column)}) FROM {fed.sql}"
    value = rows(connection, sql)[0][0]
    return Position(sequence, place, upward, following, None if value is None else Decimal(value))


def _statement(connection: Any, asked: Statement) -> Answer:
    """Ask as the named role, through a cursor: the server takes nothing but a question for one."""
    execute(connection, "SET LOCAL search_path TO DEFAULT; SET LOCAL row_security = on; SET LOCAL DateStyle = ISO")
    execute(connection, f"SET LOCAL ROLE {quote(asked.role)}")
    execute(connection, f"DECLARE pgstead_question NO SCROLL CURSOR FOR {question(asked.sql)}")
    most = 2 if asked.rows is None else len(asked.rows) + 1
    with connection.cursor() as cursor:
        kinds = tuple(driver.extensions.string_types)
        texts = driver.extensions.new_type(kinds, "PGSTEAD_TEXT", lambda value, _cursor: value)
        driver.extensions.register_type(texts, cursor)
        cursor.execute(f"FETCH {most} FROM pgstead_question")
        return judge.statement(asked, cursor.fetchall())


@contextmanager
def lent_amcheck(target: Target) -> Iterator[None]:
    """Have the extension amcheck in a database for a while, where it has none. Raises ConnectionFailed, StatementFailed."""
    with connect(target) as connection:
        schemas = rows(connection, _AMCHECK_SCHEMA)
        if schemas and schemas[0][0] != LENT_SCHEMA:
            yield
            return
        with _lending(target):  # a run that was cut off may have left either
            execute(connection, _WRITING)
            execute(connection, f"CREATE SCHEMA IF NOT EXISTS {LENT_SCHEMA}")
            execute(connection, f"CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA {LENT_SCHEMA}")
        try:
            yield
        finally:
            with _lending(target):
                execute(connection, f"DROP EXTENSION amcheck; DROP SCHEMA {LENT_SCHEMA}")


@contextmanager
def _lending(target: Target) -> Iterator[None]:
    try:
        yield
    except driver.Error as error:
        raise StatementFailed(
            f"the extension amcheck cannot be lent to database {target.database} (schema {LENT_SCHEMA}): "
            f"{' '.join(str(error).split())}"
        ) from error
