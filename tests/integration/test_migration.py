"""The application's own schema on real servers: once, whole or not at all, and an error that names script and line."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import (
    ConnectionFailed,
    DatabaseMissing,
    HostError,
    LockNotAcquired,
    PermissionDenied,
    PgsteadError,
    SessionRefused,
    SpecError,
    StatementFailed,
)
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome
from ansible_collections.pgstead.ops.plugins.modules.migration import ARGUMENTS, job

from .conftest import USER, Server

FORK = multiprocessing.get_context("fork")
OWNER = 'Owner of "it"'
TABLE = {"name": "schema.sql", "content": "-- the table\nCREATE TABLE orders (id int PRIMARY KEY, total int);\n"}
ROWS = {"name": "rows.sql", "content": "INSERT INTO orders SELECT i, i FROM generate_series(1, 5) i;\n"}


def run(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, directory: str | None = None
) -> tuple[int, str, str]:
    done = subprocess.run(
        argv, env=os.environ | dict(environment or {}), cwd=directory, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@dataclass(frozen=True)
class Database:
    """A database of its own, owned by a role that cannot log in."""

    server: Server
    name: str = "migrated"

    def connect(self, **words: Any) -> Any:
        connection = psycopg2.connect(
            **{
                "host": str(self.server.directory),
                "port": self.server.target.port,
                "dbname": self.name,
                "user": "postgres",
                "options": "-c idle_session_timeout=0 -c statement_timeout=0",
                **words,
            }
        )
        connection.autocommit = True
        return connection

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute(sql)
            found = list(cursor.fetchall()) if cursor.description else []
        connection.close()
        return found

    def migrate(self, *scripts: Mapping[str, str], check: bool = False, **told: Any) -> Outcome:
        words = {
            "login_db": self.name,
            "login_unix_socket": str(self.server.directory),
            "login_port": self.server.target.port,
            "system_user": USER,
            "session_role": OWNER,
            "scripts": list(scripts) or None,
            "lock_timeout": "100ms",
            "lock_attempts": 2,
            "run_wait": "200ms",
        }
        params = {name: option.get("default") for name, option in ARGUMENTS.items()} | words | told
        return job(params, Context(run, check))

    def notes(self) -> list[tuple[Any, ...]]:
        return self.ask("SELECT what, count(*) FROM pgstead.loaded GROUP BY 1")

    def untouched(self) -> bool:
        sql = "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'pgstead')"
        noted = "SELECT to_regclass('pgstead.loaded') IS NOT NULL"
        return self.ask(sql) == [(0,)] and (self.ask(noted) == [(False,)] or self.notes() == [])


@pytest.fixture
def db(server: Server) -> Iterator[Database]:
    quoted = '"' + OWNER.replace('"', '""') + '"'
    server.run(f"CREATE ROLE {quoted}", f"CREATE DATABASE migrated OWNER {quoted} TEMPLATE template0 ENCODING 'UTF8'")
    made = Database(server)
    # what an application's limits are must not cut a migration off
    made.ask("ALTER DATABASE migrated SET statement_timeout = '300ms'")
    made.ask("ALTER DATABASE migrated SET idle_session_timeout = '300ms'")
    made.ask("ALTER SCHEMA public OWNER TO " + quoted)
    try:
        yield made
    finally:
        server.run("DROP DATABASE migrated WITH (FORCE)", f"DROP ROLE {quoted}")


def test_scripts_run_once_in_order_as_the_owner(db: Database) -> None:
    predicted = db.migrate(TABLE, ROWS, check=True)
    assert (predicted.changed, predicted.data["msg"]) == (True, "would run schema.sql, rows.sql")
    assert db.untouched()
    done = db.migrate(TABLE, ROWS)
    assert (done.changed, done.data["ran"], done.data["connected"]) == (True, ["schema.sql", "rows.sql"], True)
    assert db.ask("SELECT count(*) FROM public.orders") == [(5,)]
    assert db.ask("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('orders', 'loaded')") == [
        (OWNER,)
    ]
    for check in (True, False):
        again = db.migrate(TABLE, {**ROWS, "name": "renamed.sql"}, check=check)
        assert (again.changed, again.data["ran"]) == (False, [])
    more = {"name": "more.sql", "content": "ALTER TABLE orders ADD note text"}
    assert db.migrate(TABLE, ROWS, more, check=True).data["ran"] == ["more.sql"]
    assert db.migrate(TABLE, ROWS, more).data["ran"] == ["more.sql"]
    assert db.notes() == [("load_sql", 3)]


def test_names_without_a_schema_are_in_the_databases_own(db: Database) -> None:
    db.ask(f'CREATE SCHEMA app AUTHORIZATION "{OWNER.replace(chr(34), chr(34) * 2)}"')
    # what a script sets for its session is neither the next one's nor the note's
    odd = {
        "name": "dump.sql",
        "content": "SELECT set_config('search_path', '', false); RESET ROLE; SET statement_timeout = 0",
    }
    db.migrate(odd, TABLE, schema="app")
    assert db.ask("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'app.orders'::regclass") == [(OWNER,)]


@pytest.mark.parametrize(
    ("content", "kind", "line", "said"),
    [
        ("SELECT 1;\n\nCREATE TABLE x (\n  id int,\n  name txt\n);", StatementFailed, 5, 'type "txt" does not exist'),
        ("SELECT 1;\nSELECT\n  1 / (id - 3) FROM orders;", StatementFailed, 2, "division by zero"),
        ("\nSELECT 'ü', 'ü' FROM nowhere", StatementFailed, 2, 'relation "nowhere" does not exist'),
        ("SELECT 'a%s %', 1 / 0", StatementFailed, 1, "division by zero"),
        ("INSERT INTO orders VALUES (1, 1)", StatementFailed, 1, "detail: Key (id)=(1) already exists"),
        ("DO $$ BEGIN\n RAISE 'no' USING HINT = 'try'; END $$", StatementFailed, 1, "(hint: try) (context: PL/pgSQL"),
        ("VACUUM", StatementFailed, 1, "cannot run inside a transaction block"),
        ("ALTER SYSTEM SET work_mem = '1MB'", StatementFailed, 1, "cannot run inside a transaction block"),
        ("CREATE ROLE nobody_may", PermissionDenied, 1, "permission denied"),
    ],
)
def test_a_failing_script_takes_all_back_and_names_its_line(
    db: Database, content: str, kind: type[PgsteadError], line: int, said: str
) -> None:
    with pytest.raises(kind) as caught:
        db.migrate(TABLE, ROWS, {"name": "bad.sql", "content": content})
    assert str(caught.value).startswith(f"bad.sql, line {line}: ")
    assert said in str(caught.value)
    assert "All scripts were rolled back" in str(caught.value)
    assert caught.value.data == {"script": "bad.sql", "line": line}
    assert db.untouched()
    assert db.migrate(TABLE, ROWS).changed


def test_a_constraint_that_only_the_end_checks(db: Database) -> None:
    deferred = (
        "ALTER TABLE orders ADD other int REFERENCES orders DEFERRABLE INITIALLY DEFERRED; UPDATE orders SET other = 9"
    )
    with pytest.raises(StatementFailed, match=r"^late.sql, at the end: .*violates foreign key"):
        db.migrate(TABLE, ROWS, {"name": "late.sql", "content": deferred})
    assert db.untouched()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("CREATE TABLE a ();\nCOMMIT", "bad.sql: line 2: COMMIT is for transactions"),
        ("\\i other.sql", "is for psql"),
        ("COPY t FROM stdin;\n1\n\\.\n", "COPY from or to the client|is for psql"),
    ],
)
def test_what_is_no_part_of_a_transaction_is_refused_before_anything(db: Database, content: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        db.migrate(TABLE, {"name": "bad.sql", "content": content})
    assert db.ask("SELECT to_regclass('orders')") == [(None,)]


def test_transaction_control_that_nobody_saw_coming_is_not_passed_over(db: Database) -> None:
    """Only a setting that changes how strings are read can hide it; then nothing of it is noted."""
    hidden = "SET standard_conforming_strings = off; CREATE TABLE half (); SELECT '\\''; COMMIT; --';\nSELECT 1"
    with pytest.raises(StatementFailed, match=r"sly.sql ended the transaction that it runs in"):
        db.migrate(TABLE, {"name": "sly.sql", "content": hidden})
    assert db.notes() == []


def test_a_lock_that_is_not_had_names_its_holder(db: Database) -> None:
    db.migrate(TABLE)
    holder = db.connect(application_name="a long report")
    try:
        holder.cursor().execute("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE")
        more = {"name": "more.sql", "content": "CREATE TABLE first (); ALTER TABLE orders ADD note text"}
        with pytest.raises(LockNotAcquired, match=r"more.sql needs a lock.*2 tries of 100ms"):
            db.migrate(TABLE, more)
        assert db.ask("SELECT to_regclass('first')") == [(None,)]
        threading.Timer(0.15, holder.cursor().execute, ["COMMIT"]).start()
        assert db.migrate(TABLE, more, lock_attempts=5).data["ran"] == ["more.sql"]
    finally:
        holder.close()


DUMPED = "SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_catalog.set_config('lock_timeout', '0', false)"


@pytest.mark.parametrize(
    "before", [[TABLE, {"name": "dump.sql", "content": DUMPED}], [TABLE]], ids=["before", "within"]
)
def test_no_script_waits_for_locks_longer_than_told(db: Database, before: list[dict[str, str]]) -> None:
    db.migrate(TABLE)
    holder = db.connect()
    try:
        holder.cursor().execute("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE")
        ended = threading.Timer(20, holder.cursor().execute, ["COMMIT"])  # else a failure of this test waits forever
        ended.start()
        own = "" if len(before) == 2 else f"{DUMPED}; "
        with pytest.raises(LockNotAcquired, match=r"more.sql needs a lock.*2 tries of 100ms"):
            db.migrate(*before, {"name": "more.sql", "content": f"{own}ALTER TABLE orders ADD note text"})
        ended.cancel()
    finally:
        holder.close()


def test_nothing_that_one_script_sets_is_the_next_ones(db: Database) -> None:
    names = ("row_security", "check_function_bodies", "standard_conforming_strings", "client_encoding", "app.tenant")
    sets = [f"SET {name} = off" for name in ("row_security", "check_function_bodies", "standard_conforming_strings")]
    dump = "; ".join([*sets, "SET client_encoding = 'LATIN1'", "SET app.tenant = '7'"])
    asked = ", ".join(f"current_setting('{name}', true)" for name in names)
    seen = f"CREATE TABLE seen AS SELECT ARRAY[{asked}] AS found, current_user::text AS who"
    db.migrate({"name": "dump.sql", "content": dump}, {"name": "see.sql", "content": seen})
    assert db.ask("SELECT found, who FROM seen") == [(["on", "on", "on", "UTF8", ""], OWNER)]


def test_one_run_at_a_time(db: Database) -> None:
    other = db.connect()
    try:
        other.cursor().execute("SELECT pg_advisory_lock(x'70677374'::int, 1)")
        with pytest.raises(LockNotAcquired, match="another run changes"):
            db.migrate(TABLE)
        with pytest.raises(LockNotAcquired, match="another run changes"):
            db.migrate(command="true")
        assert db.migrate(TABLE, check=True).changed
    finally:
        other.close()


def test_two_runs_at_once_load_once(db: Database) -> None:
    slow = {"name": "slow.sql", "content": "CREATE TABLE once (); SELECT pg_sleep(0.5)"}
    # processes, for each takes another user's identity for a moment
    both = [FORK.Process(target=lambda: sys.exit(db.migrate(slow, run_wait="5s").changed)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert sorted(process.exitcode or 0 for process in both) == [0, 1]
    assert db.notes() == [("load_sql", 1)]


def test_a_command_runs_once_with_its_role_and_database(db: Database) -> None:
    command = """sh -c "sleep 0.6; psql -XAtq -c 'CREATE TABLE made AS SELECT current_user::text AS who'\""""
    assert db.migrate(command=command, check=True).changed
    assert db.untouched()
    done = db.migrate(command=command)
    assert (done.changed, done.data["ran"]) == (True, [command])
    assert db.ask("SELECT who FROM made") == [(OWNER,)]
    assert not db.migrate(command=command).changed
    assert not db.migrate(command=command, check=True).changed
    assert db.notes() == [("migrate_command", 1)]


def test_a_command_that_fails_is_not_noted(db: Database) -> None:
    with pytest.raises(HostError, match=r"returned 3; it is not noted.*last words: out\nerr"):
        db.migrate(command="sh -c 'echo out; echo err >&2; exit 3'")
    assert db.notes() == []


def test_refusals(db: Database) -> None:
    with pytest.raises(SpecError, match="give one of them"):
        db.migrate()
    with pytest.raises(SessionRefused, match="cannot act as nobody_like_this"):
        db.migrate(TABLE, session_role="nobody_like_this")
    with pytest.raises(PermissionDenied, match="schema pgstead"):
        db.migrate(TABLE, session_role="pg_monitor")
    with pytest.raises(DatabaseMissing):
        db.migrate(TABLE, login_db="missing")
    with pytest.raises(ConnectionFailed):
        db.migrate(TABLE, login_port=1)
    for place in ({"login_db": "missing"}, {"login_port": 1}):
        found = db.migrate(TABLE, check=True, **place)
        assert (found.changed, found.data["connected"], found.data["msg"]) == (True, False, "would run schema.sql")
    db.ask("ALTER ROLE postgres IN DATABASE migrated SET default_transaction_read_only = on")
    with pytest.raises(SessionRefused, match="read-only"):
        db.migrate(TABLE, check=True)
