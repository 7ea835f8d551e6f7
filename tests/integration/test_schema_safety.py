"""What a run may not do: touch anything in check mode, run where it must not, or be disturbed by a role's settings."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import (
    LockNotAcquired,
    PermissionDenied,
    SessionRefused,
    SpecError,
)
from ansible_collections.pgstead.ops.plugins.module_utils._pg import canonical, check_constraint, index, session
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, rows

from .conftest import Server
from .schema import HASTY, NEW_CHECKS, NEW_INDEXES, OLD_CHECKS, OLD_INDEXES, Database, actions, on, orders, round_trip

REFUSED = [orders("usr_id"), orders({"expression": "lower(note)"}), on("events", "kind")]
CATALOGUES = ("pg_class", "pg_index", "pg_constraint", "pg_description", "pg_attribute", "pg_inherits", "pg_namespace")
DDL = re.compile(r"\s*(CREATE|ALTER|DROP|COMMENT|TRUNCATE|REINDEX|GRANT|REVOKE|INSERT|UPDATE|DELETE|COMMIT)\b")
LOCKS = """
SELECT c.relname, l.mode FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
WHERE l.pid = pg_catalog.pg_backend_pid() AND c.relpersistence <> 't' AND c.oid >= 16384
"""


def snapshot(db: Database) -> list[list[tuple[Any, ...]]]:
    return [db.rows(f"SELECT t::text FROM {catalogue} t ORDER BY 1") for catalogue in CATALOGUES]


def look_everywhere(db: Database) -> None:
    """Run every kind in check mode, with all sorts of steps in the plan, and once with refusals."""
    assert len(db.indexes(NEW_INDEXES, check_mode=True, purge=True).steps) > 10
    assert len(db.checks(NEW_CHECKS, check_mode=True, purge=True).steps) > 4
    with pytest.raises(SpecError):
        db.indexes(REFUSED, check_mode=True)


@pytest.fixture
def drifted(db: Database) -> Database:
    db.indexes(OLD_INDEXES)
    db.checks(OLD_CHECKS)
    return db


def test_check_mode_changes_nothing_in_the_catalogue(drifted: Database) -> None:
    before = snapshot(drifted)
    look_everywhere(drifted)
    assert snapshot(drifted) == before


def test_check_mode_locks_user_tables_as_a_reader_does(drifted: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, str]] = set()

    for module in (index, check_constraint):
        read = module.read_tried

        def spying(connection: Any, names: Sequence[str], read: Any = read) -> Any:
            seen.update(rows(connection, LOCKS))
            return read(connection, names)

        monkeypatch.setattr(module, "read_tried", spying)
    look_everywhere(drifted)
    assert {mode for _, mode in seen} == {"AccessShareLock"}
    assert {"orders", "events"} <= {name for name, _ in seen}


def logged(server: Server, start: int) -> list[tuple[str, str]]:
    """Return (application, statement) of what the server has logged since."""
    text = (server.directory / "log").read_bytes()[start:].decode(errors="replace")
    entries = re.split(r"^(?=\d+ \[)", text, flags=re.MULTILINE)
    found = (re.match(r"\d+ \[(.*?)\] LOG:  statement: (.*)", entry, re.DOTALL) for entry in entries)
    return [(match[1], match[2]) for match in found if match]


def test_check_mode_sends_no_ddl_but_what_is_tagged_as_a_trial(drifted: Database) -> None:
    start = (drifted.server.directory / "log").stat().st_size
    look_everywhere(drifted)
    said = [(application, text) for application, text in logged(drifted.server, start) if application != "app"]
    assert {application for application, _ in said} == {"pgstead", canonical.TAG}
    parts = [(application, part.strip()) for application, text in said for part in text.split(";")]
    assert [part for application, part in parts if application != canonical.TAG and DDL.match(part)] == []
    made = [part for application, part in parts if application == canonical.TAG and DDL.match(part)]
    assert len(made) > 10
    assert [
        part for part in made if not re.match(r"(CREATE TEMP TABLE|CREATE (UNIQUE )?INDEX|ALTER TABLE)", part)
    ] == []
    assert [part for part in made if " pg_temp." not in part] == []


def test_a_restored_dump_is_as_declared(db: Database) -> None:
    words = orders("id", where="status IN ('a', 'b') AND total BETWEEN 1 AND 2", name="words")
    wanted_indexes = [words, *(item for item in NEW_INDEXES if item.get("state") != "absent")]
    wanted_checks = [
        {"table": "orders", "name": "words", "expression": "status IN ('open', 'b')"},
        *(item for item in NEW_CHECKS if item.get("state") != "absent"),
    ]
    db.indexes(wanted_indexes)
    db.checks(wanted_checks)
    db.server.run("CREATE DATABASE restored TEMPLATE template0 ENCODING 'UTF8'")
    try:
        db.server.restore("restored", db.server.dump(db.name, "--schema-only"))
        restored = Database(db.server, "restored")
        assert restored.indexes(wanted_indexes).plan.differences == ()
        assert restored.checks(wanted_checks).plan.differences == ()
    finally:
        db.server.run("DROP DATABASE restored WITH (FORCE)")


def test_an_event_trigger_is_warned_of(db: Database) -> None:
    db.run(
        "CREATE FUNCTION fired() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION fired()",
    )
    warned = ("event triggers fire on temporary trial objects too: watching",)
    assert db.indexes([orders("day")], check_mode=True).warnings == warned
    assert round_trip(db.indexes, [orders("day")]).warnings == warned


def test_a_pooler_is_refused(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pooled:
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def __getattr__(self, name: str) -> Any:
            return (lambda: 1) if name == "get_backend_pid" else getattr(self.connection, name)

    @contextmanager
    def pooled(target: Target) -> Iterator[Any]:
        with connect(target) as connection:
            yield Pooled(connection)

    monkeypatch.setattr(session, "connect", pooled)
    with pytest.raises(SessionRefused, match="is a connection pooler"):
        db.indexes([orders("day")], check_mode=True)


@contextmanager
def role(db: Database, *settings: str, owner: bool = True) -> Iterator[Target]:
    """A role that owns the tables, or only reads them, with settings of its own."""
    tables = "orders, users, events" if not owner else ""
    db.run("CREATE ROLE schema_clerk LOGIN", *(f"ALTER ROLE schema_clerk SET {setting}" for setting in settings))
    if owner:
        db.run(*(f"ALTER TABLE {name} OWNER TO schema_clerk" for name in ("orders", "users", "events", "events_01")))
        db.run(*(f"ALTER TABLE events_02{end} OWNER TO schema_clerk" for end in ("", "_a", "_b")))
        db.run(f"GRANT CREATE ON DATABASE {db.name} TO schema_clerk", "GRANT CREATE ON SCHEMA public TO schema_clerk")
    else:
        db.run(f"GRANT SELECT ON {tables} TO schema_clerk")
    try:
        yield replace(db.target, user="schema_clerk")
    finally:
        db.run("REASSIGN OWNED BY schema_clerk TO postgres", "DROP OWNED BY schema_clerk", "DROP ROLE schema_clerk")


def test_a_read_only_role_is_refused(db: Database) -> None:
    with (
        role(db, "default_transaction_read_only = on") as target,
        pytest.raises(SessionRefused, match="sessions of role schema_clerk are read-only"),
    ):
        db.indexes([orders("day")], target=target, check_mode=True)


def test_a_role_without_rights_is_told_which(db: Database) -> None:
    check = {"table": "orders", "name": "c", "expression": "total >= 0"}
    with role(db, owner=False) as target:
        db.indexes([orders("day")], target=target, check_mode=True)  # reading is enough to look
        for run, item in ((db.indexes, orders("day")), (db.checks, check)):
            with pytest.raises(PermissionDenied, match=r"role schema_clerk may not do this: public\.orders belongs to"):
                run([item], target=target)
        db.run(f"REVOKE TEMPORARY ON DATABASE {db.name} FROM PUBLIC")
        with pytest.raises(PermissionDenied, match="grant TEMPORARY on the database to the role that connects"):
            db.checks([check], target=target, check_mode=True)
        db.run("REVOKE SELECT ON orders FROM schema_clerk", f"GRANT TEMPORARY ON DATABASE {db.name} TO schema_clerk")
        with pytest.raises(PermissionDenied, match="permission denied for table orders"):
            db.checks([check], target=target, check_mode=True)
        db.indexes([orders("note")])  # now there is a ledger, and it is not schema_clerk's
        with pytest.raises(PermissionDenied, match=r"role schema_clerk .* schema pgstead"):
            db.indexes([orders("day")], target=target)


def test_a_run_may_act_as_another_role(db: Database) -> None:
    with role(db) as target:
        db.run("CREATE ROLE deploy LOGIN IN ROLE schema_clerk")
        try:
            round_trip(db.indexes, [orders("day")], target=replace(target, user="deploy"), role="schema_clerk")
        finally:
            db.run("DROP ROLE deploy")
        assert db.rows("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'orders_day_idx'") == [
            ("schema_clerk",)
        ]


HOSTILE = [
    "statement_timeout = '200ms'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '200ms'",
    "idle_session_timeout = '200ms'",
    "default_tablespace = 'nowhere'",
    "default_transaction_isolation = 'serializable'",
    "search_path = 'nowhere'",
    "client_encoding = 'LATIN1'",
    "quote_all_identifiers = on",
    "standard_conforming_strings = off",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = 'sql_standard'",
    "TimeZone = 'Asia/Kathmandu'",
    "extra_float_digits = 0",
    "client_min_messages = error",
    "default_transaction_deferrable = on",
    "check_function_bodies = off",
]
SLOW = "CREATE FUNCTION slow(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.0015); RETURN $1; END'"


def test_a_roles_settings_disturb_nothing(db: Database) -> None:
    settings = [*HOSTILE, "transaction_timeout = '200ms'"] if db.server.version >= 17 else HOSTILE
    items = [
        orders({"expression": "public.slow(id)"}, name="slow"),
        orders("id", where=r"note <> E'\\ a''b' AND created_at > '2026-05-04 03:00+00'", comment="Ключ \\ 'x'"),
        orders("day", name="Ключ", where="day > '2026-05-04' AND total > 0.1::float8"),
        on("events", "id", name="tree"),
    ]
    checks = [{"table": "orders", "name": "Ключ", "expression": "public.slow(id) > 0", "comment": "Ключ"}]
    db.run(SLOW)
    with role(db, *settings) as target:
        round_trip(db.indexes, items, target=target)
        round_trip(db.checks, checks, target=target)
        for run, declared in ((db.indexes, items), (db.checks, checks)):
            assert actions(run(declared)) == []  # and a role without them sees the same
    assert db.left_behind() == []


def test_a_run_that_waits_is_not_ended_for_being_idle(db: Database) -> None:
    """Between two tries of a lock, and before a build, a session is idle."""
    check = {"table": "orders", "name": "c", "expression": "total >= 0"}
    with role(db, "idle_session_timeout = '100ms'") as target, db.session() as cursor:
        cursor.execute("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
        with pytest.raises(LockNotAcquired):
            db.checks([check], target=target, limits=replace(HASTY, lock_attempts=3), pause=lambda _: rested(0.3))


def rested(seconds: float) -> None:
    subprocess.run(["sleep", str(seconds)], check=True)


def test_a_standby_is_refused(prepared: Server) -> None:
    """The same cluster, started as a standby without a primary, and promoted again."""
    prepared.control("-m", "fast", "stop")
    prepared.command("touch", str(prepared.data / "standby.signal"))
    prepared.control("start")
    try:
        with pytest.raises(SessionRefused, match="is a standby, where nothing can be changed"):
            Database(prepared, "template_schema").indexes([orders("day")])
    finally:
        prepared.control("promote")
