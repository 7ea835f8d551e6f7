"""A database whose tables are audited, and the ways in which its tests look at the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg2

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_partition import add_months, partition_name
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target

from .test_modules import call

if TYPE_CHECKING:
    from .conftest import Server

ROLES = ("shop_owner", "shop_app", "clerk", "auditor")
TEMPLATES = ("trail_tables", "trail_audited")
GRANTED = "GRANT CREATE, TEMPORARY ON DATABASE {} TO shop_owner"
TABLES = """
GRANT USAGE, CREATE ON SCHEMA public TO shop_owner; GRANT USAGE ON SCHEMA public TO PUBLIC;
SET ROLE shop_owner;
CREATE TABLE orders (
    id bigint PRIMARY KEY, user_id bigint, status varchar(10) NOT NULL DEFAULT 'open', total numeric, at timestamptz,
    tags text[], doc jsonb, note text, seen int DEFAULT 0, card text);
CREATE TABLE lines (order_id bigint, sku text, amount int, PRIMARY KEY (order_id, sku));
CREATE TABLE events (id int, day date, kind text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE bare (a text);
CREATE VIEW shown AS SELECT * FROM orders;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO shop_app, clerk;
"""
ORDERS = {"name": "orders", "excluded_columns": ["seen"], "redacted_columns": ["card"]}
DECLARED: dict[str, Any] = {
    "login_db": "trail",
    "session_role": "shop_owner",
    "context": {"user": "app.user_id", "role": "app.user_role"},
    "readers": ["auditor"],
    "retention": "2 years",
    "tables": [ORDERS, {"name": "lines"}, {"name": "events"}],
}


def prepare(server: Server) -> None:
    """Give a server the roles, and two databases to copy: one with tables of an owner, and one where they are audited."""
    server.run(*(f"CREATE ROLE {role} LOGIN" for role in ROLES), "GRANT clerk TO shop_app")
    for template in TEMPLATES:
        server.run(f"CREATE DATABASE {template} ENCODING 'UTF8' TEMPLATE template0", GRANTED.format(template))
        server.run(TABLES, database=template)
    declare(server, login_db=TEMPLATES[1])


def forget(server: Server) -> None:
    """Take all of it away."""
    server.run(*(f"DROP DATABASE {template} WITH (FORCE)" for template in TEMPLATES))
    server.run(*(f"DROP ROLE {role}" for role in ROLES))


@contextmanager
def database(server: Server, *, audited: bool) -> Iterator[Server]:
    """A database of one test."""
    strategy = " STRATEGY file_copy" if server.version >= 15 else ""
    server.run(f"CREATE DATABASE trail TEMPLATE {TEMPLATES[audited]}{strategy}", GRANTED.format("trail"))
    try:
        yield server
    finally:
        server.run("DROP DATABASE trail WITH (FORCE)")


def declare(server: Server, *, check: bool = False, **changes: Any) -> Any:
    return call(server, "audit", {**DECLARED, **changes}, check=check)


def place(server: Server, user: str = "postgres") -> Target:
    return replace(server.target, database="trail", user=user)


@contextmanager
def client(server: Server, user: str = "shop_app", *, autocommit: bool = True) -> Iterator[Any]:
    """A cursor as an application has one."""
    connection = psycopg2.connect(
        host=str(server.directory),
        port=server.target.port,
        dbname="trail",
        user=user,
        application_name="till 7",
        client_encoding="UTF8",
    )
    connection.autocommit = autocommit
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def ask(server: Server, sql: str, user: str = "postgres") -> list[tuple[Any, ...]]:
    with client(server, user) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def write(server: Server, *statements: str, user: str = "shop_app") -> None:
    with client(server, user) as cursor:
        for statement in statements:
            cursor.execute(statement)


def entries(server: Server, table: str = "orders") -> list[tuple[Any, ...]]:
    """Return operation, record, old and new of what was written about a table."""
    return ask(server, f"SELECT operation, record, old, new FROM audit.log WHERE table_name = '{table}' ORDER BY at")


def actions(found: Any) -> list[tuple[str, str]]:
    return [(step["action"], step["object"]) for step in found.data["plan"]]


def first_of(server: Server, offset: int = 0) -> date:
    """Return the first day of a month, counted from the server's current one."""
    ((today,),) = ask(server, "SELECT (now() AT TIME ZONE 'UTC')::date")
    return add_months(today, offset)


def month(server: Server, offset: int = 0) -> str:
    first = first_of(server, offset)
    return partition_name("log", first.year, first.month)


def make_month(server: Server, offset: int, *, ours: bool = True) -> str:
    """Make a month of the log that was there long ago."""
    name = month(server, offset)
    bounds = f"FROM ('{first_of(server, offset)} 00:00:00+00') TO ('{first_of(server, offset + 1)} 00:00:00+00')"
    server.run(
        f"SET ROLE shop_owner; CREATE TABLE audit.{name} PARTITION OF audit.log FOR VALUES {bounds}", database="trail"
    )
    if ours:
        server.run(f"COMMENT ON TABLE audit.{name} IS 'managed by pgstead.ops.audit'", database="trail")
    return name


def note(server: Server, moment: str, record: str = "1") -> None:
    """Write an entry as of another time."""
    server.run(
        "SET ROLE shop_owner; INSERT INTO audit.log (at, schema_name, table_name, record, operation, login_user, role,"
        f" transaction) VALUES ('{moment}', 'public', 'orders', '{record}', 'UPDATE', 'a', 'a', '1')",
        database="trail",
    )
