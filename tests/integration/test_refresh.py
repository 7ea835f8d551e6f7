"""Materialised views are filled anew while they are read, in the order of what they are made of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Limits
from ansible_collections.pgstead.ops.plugins.module_utils._pg.refresh import RefreshReport, refresh

from .conftest import USER, Server

DATABASE = "kept"
SETUP = """
CREATE TABLE orders (id int PRIMARY KEY, user_id int, total int);
INSERT INTO orders SELECT i, i % 10, 1 FROM generate_series(1, 100) i;
CREATE MATERIALIZED VIEW sums AS SELECT user_id, sum(total) AS n FROM orders GROUP BY user_id;
CREATE VIEW large AS SELECT * FROM sums WHERE n > 10;
CREATE MATERIALIZED VIEW "How many?" AS SELECT 1 AS one, count(*) AS n FROM large;
CREATE UNIQUE INDEX ON sums (user_id);
CREATE UNIQUE INDEX ON "How many?" (one);
CREATE MATERIALIZED VIEW bare AS SELECT count(*) FROM orders;
CREATE UNIQUE INDEX ON bare ((1));
CREATE MATERIALIZED VIEW unfilled AS SELECT count(*) AS n FROM orders WITH NO DATA;
"""
SUMS, MANY, BARE, UNFILLED = (QualifiedName("public", name) for name in ("sums", "How many?", "bare", "unfilled"))


@pytest.fixture
def shop(server: Server) -> Iterator[Server]:
    server.run(f"CREATE DATABASE {DATABASE}")
    server.run(SETUP, database=DATABASE)
    yield server
    server.run(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def place(server: Server) -> Target:
    return Target(server.target.socket_directory, server.target.port, DATABASE, system_user=USER)


def ask(server: Server, sql: str) -> list[tuple[Any, ...]]:
    with connect(place(server)) as connection:
        return rows(connection, sql)


def fill(server: Server, *names: QualifiedName, **limits: Any) -> RefreshReport:
    quick = Limits(**{"lock_timeout_ms": 200, "lock_attempts": 2, **limits})
    return refresh(place(server), names, quick, pause=lambda _seconds: None)


def test_what_is_made_of_others_comes_after_them(shop: Server) -> None:
    shop.run("UPDATE orders SET total = 2 WHERE user_id < 3", database=DATABASE)
    found = fill(shop, MANY, SUMS)
    assert (list(found.views), found.missing, found.blocked) == (["public.sums", "public.How many?"], (), ())
    assert ask(shop, 'SELECT n FROM "How many?"') == [(3,)]


def test_readers_go_on_and_keep_what_they_saw(shop: Server) -> None:
    """A reader in a transaction holds its lock all the while: a plain REFRESH could not begin."""
    with connect(place(shop)) as reader:
        cursor = reader.cursor()
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT sum(n) FROM sums")
        assert cursor.fetchall() == [(100,)]
        shop.run("UPDATE orders SET total = 5", database=DATABASE)
        assert fill(shop, SUMS).blocked == ()
        cursor.execute("SELECT sum(n) FROM sums; ")
        assert cursor.fetchall() == [(100,)]
        cursor.execute("ROLLBACK; SELECT sum(n) FROM sums")
        assert cursor.fetchall() == [(500,)]


def test_a_view_whose_readers_would_wait_is_left_as_it_is(shop: Server) -> None:
    shop.run("DELETE FROM orders WHERE id > 50", database=DATABASE)
    found = fill(shop, BARE, SUMS)
    (why,) = found.blocked
    assert why.startswith("public.bare has no unique index on plain columns")
    assert list(found.views) == ["public.sums"]
    assert ask(shop, "SELECT count FROM bare") == [(100,)]


def test_one_that_was_never_filled_is_filled(shop: Server) -> None:
    assert list(fill(shop, UNFILLED).views) == ["public.unfilled"]
    assert ask(shop, "SELECT n FROM unfilled") == [(100,)]


def test_what_is_not_there_is_named(shop: Server) -> None:
    found = fill(shop, QualifiedName("public", "large"), QualifiedName("other", "sums"), SUMS)
    assert (found.missing, list(found.views)) == (("public.large", "other.sums"), ["public.sums"])


def test_a_lock_that_is_not_had_names_its_holder_and_keeps_no_other(shop: Server) -> None:
    with connect(place(shop)) as other:
        other.cursor().execute("BEGIN; REFRESH MATERIALIZED VIEW CONCURRENTLY sums")
        found = fill(shop, SUMS, UNFILLED, lock_timeout_ms=1000)  # time to look who it is
        assert list(found.views) == ["public.unfilled"]
        (why,) = found.blocked
        assert "refresh sums on public.sums needs ExclusiveLock and did not get it in 2 tries" in why
        assert str(other.get_backend_pid()) in why


def test_rows_that_contradict_the_index_are_named(shop: Server) -> None:
    shop.run(
        "CREATE TABLE twins (a int)",
        "INSERT INTO twins VALUES (1)",
        "CREATE MATERIALIZED VIEW doubled AS SELECT a FROM twins",
        "CREATE UNIQUE INDEX ON doubled (a)",
        "INSERT INTO twins VALUES (1)",
        database=DATABASE,
    )
    found = fill(shop, QualifiedName("public", "doubled"), SUMS)
    (why,) = found.blocked
    assert "public.doubled" in why
    assert "duplicate" in why
    assert "SQLSTATE" in why
    assert "Row:" not in why, "results, journal and mail are no place for rows"
    assert list(found.views) == ["public.sums"]


def test_a_value_that_cannot_be_converted_is_not_told(shop: Server) -> None:
    shop.run(
        "CREATE TABLE people (born text)",
        "CREATE MATERIALIZED VIEW ages AS SELECT born::date AS born FROM people",
        "CREATE UNIQUE INDEX ON ages (born)",
        "INSERT INTO people VALUES ('Alice Example')",
        database=DATABASE,
    )
    (why,) = fill(shop, QualifiedName("public", "ages")).blocked
    assert "SQLSTATE 22007" in why
    assert "Alice" not in why


def test_the_query_runs_as_its_owner_and_cannot_take_the_jobs_rights(shop: Server) -> None:
    shop.run(
        "CREATE ROLE mallory",
        "GRANT CREATE ON SCHEMA public TO mallory",
        """CREATE FUNCTION seize() RETURNS int LANGUAGE plpgsql AS
           $$BEGIN ALTER ROLE mallory SUPERUSER; RETURN 1; END$$""",
        "CREATE MATERIALIZED VIEW trap AS SELECT seize() AS one WITH NO DATA",
        "ALTER MATERIALIZED VIEW trap OWNER TO mallory",
        database=DATABASE,
    )
    try:
        (why,) = fill(shop, QualifiedName("public", "trap")).blocked
        assert "permission denied" in why or "must be superuser" in why or "security-restricted" in why
        assert ask(shop, "SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'") == [(False,)]
    finally:
        shop.run("DROP MATERIALIZED VIEW trap", "DROP OWNED BY mallory", "DROP ROLE mallory", database=DATABASE)


def test_readers_never_wait_while_it_runs_again_and_again(shop: Server) -> None:
    failed: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        try:
            with connect(place(shop)) as connection:
                cursor = connection.cursor()
                cursor.execute("SET lock_timeout = '5s'")
                while not done.is_set():
                    cursor.execute("SELECT count(*) FROM sums")
                    assert cursor.fetchall() == [(10,)]
        except (psycopg2.Error, AssertionError) as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5):
            shop.run("UPDATE orders SET total = total + 1", database=DATABASE)
            assert fill(shop, SUMS, lock_timeout_ms=2000).blocked == ()
    finally:
        done.set()
        reader.join()
    assert failed == []


def test_one_that_row_security_would_empty_keeps_its_rows(shop: Server) -> None:
    """FORCE holds the owner, as whom the server fills: without a policy for it, there is nothing to see."""
    shop.run(
        "CREATE ROLE filler",
        "ALTER TABLE orders OWNER TO filler",
        "ALTER MATERIALIZED VIEW sums OWNER TO filler",
        "ALTER VIEW large OWNER TO filler",
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        database=DATABASE,
    )
    try:
        assert fill(shop, SUMS).blocked == ()  # the owner is not held yet
        shop.run("ALTER TABLE orders FORCE ROW LEVEL SECURITY", database=DATABASE)
        found = fill(shop, SUMS, MANY)
        (why,) = found.blocked
        assert "no policy of public.orders is for role filler, as which public.sums is filled" in why
        assert "Give filler a policy for SELECT there" in why
        assert list(found.views) == ["public.How many?"]  # of what stands in the other one
        assert ask(shop, "SELECT sum(n) FROM sums") == [(100,)]
        shop.run("CREATE POLICY p ON orders FOR SELECT TO filler USING (id <= 50)", database=DATABASE)
        assert fill(shop, SUMS).blocked == ()
        assert ask(shop, "SELECT sum(n) FROM sums") == [(50,)]
    finally:
        shop.run("REASSIGN OWNED BY filler TO postgres", "DROP OWNED BY filler", "DROP ROLE filler", database=DATABASE)
