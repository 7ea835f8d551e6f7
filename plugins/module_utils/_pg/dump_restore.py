# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Databases beside others: made like a dumped one, given its settings and rights, and put in the other's place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .._core.dump_restore import MARKER, Side, beside, is_beside, setting_values, side
from .._core.errors import LockNotAcquired, Problem, SpecError
from .._core.names import literal, quote
from .connection import driver, execute, rows
from .session import LOCK_CLASS, LOCK_RESTORE

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_SIDES = """
SELECT d.datname, pg_catalog.substr(c.line, %s), d.datallowconn FROM pg_catalog.pg_db_role_setting s
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) AS c (line)
WHERE s.setrole = 0 AND pg_catalog.starts_with(c.line, %s) ORDER BY 1
"""
_OPEN = "SELECT FROM pg_catalog.pg_database WHERE datname = %s AND datallowconn"
# what belongs to one database by its oid, and does not go over to another that takes its name
_BOUND = """
SELECT 'subscription ' || s.subname FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = %s
UNION ALL SELECT 'logical slot ' || slot_name FROM pg_catalog.pg_replication_slots WHERE database = %s ORDER BY 1
"""
_TABLESPACE = """
SELECT t.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
WHERE d.datname = %s AND t.spcname <> 'pg_default'
"""
_CLOSED = "SELECT datname FROM pg_catalog.pg_database WHERE datconnlimit = 0 ORDER BY 1"
_SESSIONS = """
SELECT pid, coalesce(usename, '?'), coalesce(application_name, '') FROM pg_catalog.pg_stat_activity
WHERE datname = %s AND pid <> pg_catalog.pg_backend_pid() ORDER BY 1
"""


@contextmanager
def one_restore_at_a_time(connection: Any) -> Iterator[None]:
    """Hold the cluster's lock for restores, which ends with the session. Raises LockNotAcquired."""
    if not rows(connection, "SELECT pg_catalog.pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, LOCK_RESTORE))[0][0]:
        raise LockNotAcquired("another restore is under way on this server: run again when it has ended")
    yield


def sides(connection: Any, database: str) -> list[Side]:
    """Return the databases that restores of this one made, and that are not yet in its place."""
    found = rows(connection, _SIDES, (len(MARKER) + 2, f"{MARKER}="))
    # cut off between CREATE DATABASE, which no transaction can hold, and its marker
    known = {name for name, _marker, _opened in found}
    bare = [name for (name,) in rows(connection, _CLOSED) if name not in known]
    unmarked = [Side(name, database, "restoring", "") for name in bare if is_beside(database, "restored", name)]
    old_opened = bool(rows(connection, _OPEN, (database,)))
    made = []
    for name, marker, opened in found:
        each = side(name, marker)
        if each and each.of == database:
            made.append(replace(each, touched=opened or (each.stage == "swapping" and old_opened)))
    return [*unmarked, *made]


def databases(connection: Any) -> frozenset[str]:
    """Return the names of the cluster's databases."""
    return frozenset(name for (name,) in rows(connection, "SELECT datname FROM pg_catalog.pg_database"))


def bound(connection: Any, database: str) -> list[str]:
    """Return the logical subscriptions and slots of a database: they stay with it, whatever its name."""
    return [what for (what,) in rows(connection, _BOUND, (database, database))]


def refuse_prepared(connection: Any, database: str) -> None:
    """Raise LockNotAcquired where prepared transactions hold a database: nothing but their end ends them."""
    prepared = "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = %s"
    if found := [gid for (gid,) in rows(connection, prepared, (database,))]:
        what = "hold it: COMMIT PREPARED or ROLLBACK PREPARED them, then run again"
        raise LockNotAcquired(f"database {database}: prepared transactions {', '.join(found)} {what}")


def refuse_missing_roles(connection: Any, names: list[str]) -> None:
    """Raise SpecError where a role is missing that the database needs."""
    there = {name for (name,) in rows(connection, "SELECT rolname FROM pg_catalog.pg_roles")}
    missing = [name for name in names if name not in there]
    if missing:
        what = "missing on this server: create them first (globals.sql in the archive has all roles of the old one)"
        raise SpecError([Problem("database", f"roles {', '.join(missing)} are {what}")])


def create(connection: Any, made: Side, properties: Mapping[str, Any]) -> None:
    """Create a side database, for superusers only until `complete`."""
    options = [
        f"OWNER {quote(properties['owner'])}",
        f"TEMPLATE template0 ENCODING {literal(properties['encoding'])}",
        f"LC_COLLATE {literal(properties['collate'])} LC_CTYPE {literal(properties['ctype'])}",
        "CONNECTION LIMIT 0",
        *(
            f"TABLESPACE {quote(name)}" for (name,) in rows(connection, _TABLESPACE, (made.of,))
        ),  # the one that it replaces
    ]
    provider = _PROVIDERS[properties["provider"]]
    if provider != "libc":
        word = "ICU_LOCALE" if provider == "icu" else "BUILTIN_LOCALE"
        options.append(f"LOCALE_PROVIDER {provider} {word} {literal(properties['locale'])}")
    if properties["icu_rules"]:
        options.append(f"ICU_RULES {literal(properties['icu_rules'])}")
    execute(connection, f"CREATE DATABASE {quote(made.name)} {' '.join(options)}")
    mark(connection, made)


def mark(connection: Any, made: Side) -> None:
    """Note on a side database how far it is."""
    execute(connection, f"ALTER DATABASE {quote(made.name)} SET {MARKER} = {literal(made.marker)}")


def discard(connection: Any, made: Side) -> None:
    """Drop a side database, whoever looks at it."""
    execute(connection, f"DROP DATABASE IF EXISTS {quote(made.name)} WITH (FORCE)")


def complete(connection: Any, made: Side, properties: Mapping[str, Any]) -> None:
    """Give a restored side database the settings, rights, limit and comment of the dumped one, all or none."""
    name = quote(made.name)
    with _transaction(connection):
        for each in properties["settings"]:
            if each["name"] == MARKER:
                continue
            whose = f"ROLE {quote(each['role'])} IN DATABASE {name}" if each["role"] else f"DATABASE {name}"
            values = ", ".join(literal(value) for value in setting_values(each["name"], each["value"]))
            parts = ".".join(quote(part) for part in each["name"].split("."))
            execute(connection, f"ALTER {whose} SET {parts} TO {values}")
        if properties["grants"] is not None:
            execute(connection, f"REVOKE ALL ON DATABASE {name} FROM PUBLIC, {quote(properties['owner'])}")
            for each in properties["grants"]:
                whom = quote(each["grantee"]) if each["grantee"] else "PUBLIC"
                option = " WITH GRANT OPTION" if each["grantable"] and each["grantee"] else ""
                execute(connection, f"GRANT {each['privilege']} ON DATABASE {name} TO {whom}{option}")
        if properties["comment"] is not None:
            execute(connection, f"COMMENT ON DATABASE {name} IS {literal(properties['comment'])}")
        limit, template = properties["connection_limit"], str(properties["is_template"]).lower()
        execute(connection, f"ALTER DATABASE {name} CONNECTION LIMIT {limit} IS_TEMPLATE {template}")
        mark(connection, Side(made.name, made.of, "ready", made.dump))


def swap(
    connection: Any, made: Side, wait_seconds: float, now: Any, pause: Callable[[float], None] = time.sleep
) -> str:
    """Put a side database in the place of the other, and return the other's new name, empty where there was none.

    Three steps, each of which is whole or not there: nobody may connect any more, nobody is connected any more, and the
    names change, in one transaction. Raises LockNotAcquired where sessions do not end; the old database is then as before,
    and the side database waits for the next `swap`, closed. A run that is cut off is taken up in the same way, or undone by
    `put_back`.
    """
    taken = databases(connection)
    kept, there = beside(made.of, "before", now, taken), made.of in taken
    try:
        with _transaction(connection):
            mark(connection, Side(made.name, made.of, "swapping", made.dump))
            for name in (made.of, made.name) if there else (made.name,):
                execute(connection, f"ALTER DATABASE {quote(name)} ALLOW_CONNECTIONS false")
        for name in (made.of, made.name):
            _empty(connection, name, wait_seconds, pause)
        with _transaction(connection):
            if there:
                execute(connection, f"ALTER DATABASE {quote(made.of)} RENAME TO {quote(kept)}")
            execute(connection, f"ALTER DATABASE {quote(made.name)} RENAME TO {quote(made.of)}")
            execute(connection, f"ALTER DATABASE {quote(made.of)} RESET {MARKER}")
            execute(connection, f"ALTER DATABASE {quote(made.of)} ALLOW_CONNECTIONS true")
    except (driver.Error, LockNotAcquired) as error:
        if not connection.closed:
            put_back(connection, made, "unswapped")
        if isinstance(error, LockNotAcquired):
            raise LockNotAcquired(
                f"{error}. {made.name} is whole, and waits: the next run for {made.dump} swaps it in"
            ) from None
        raise
    return kept if there else ""


def put_back(connection: Any, made: Side, stage: str = "ready") -> None:
    """Undo a swap that did not come to its end: both databases are open again, under the names that they have; a side database
    that is `unswapped` stays closed, so that nobody changes it before it is swapped.
    """
    opened = (made.of, made.name) if stage == "ready" else (made.of, "")
    with _transaction(connection):
        mark(connection, Side(made.name, made.of, stage, made.dump))
        there = "SELECT datname FROM pg_catalog.pg_database WHERE datname IN (%s, %s)"
        for (name,) in rows(connection, there, opened):
            execute(connection, f"ALTER DATABASE {quote(name)} ALLOW_CONNECTIONS true")


def _empty(connection: Any, database: str, wait_seconds: float, pause: Callable[[float], None]) -> None:
    """End every session of a database. Raises LockNotAcquired, naming those that stay."""
    refuse_prepared(connection, database)
    deadline = time.monotonic() + wait_seconds
    while left := rows(connection, _SESSIONS, (database,)):
        if time.monotonic() > deadline:
            named = ", ".join(f"process {pid} of {user} ({name})" for pid, user, name in left)
            raise LockNotAcquired(
                f"database {database}: {named} did not end within {wait_seconds:g} s, so nothing was swapped and "
                "everybody may connect again. Stop what connects, and run again"
            )
        for pid, _user, _name in left:
            rows(connection, "SELECT pg_catalog.pg_terminate_backend(%s)", (pid,))
        pause(0.1)


@contextmanager
def _transaction(connection: Any) -> Iterator[None]:
    execute(connection, "BEGIN; SET LOCAL lock_timeout = '10s'")
    try:
        yield
    except driver.Error:
        if not connection.closed:
            execute(connection, "ROLLBACK")
        raise
    execute(connection, "COMMIT")
