"""Indexes that cannot be: everything wrong is named at once, by its position, before anything is done."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

from .conftest import Server
from .schema import Database, Item, actions, on, orders, round_trip

REFUSED: list[tuple[Item, str]] = [
    (on("ordres", "id"), "table public.ordres does not exist; did you mean public.orders?"),
    (orders("usr_id"), 'column "usr_id" does not exist'),
    (orders({"column": "doc", "opclass": "jsonb_ops_"}, method="gin"), 'operator class "jsonb_ops_" does not exist'),
    (orders("total", method="btre"), 'access method "btre" does not exist'),
    (orders({"expression": "lower(note) +"}, name="torn"), "syntax error"),
    (orders({"expression": "random()"}, name="volatile"), "functions in index expression must be marked IMMUTABLE"),
    (orders("note", tablespace="nowhere"), 'tablespace "nowhere" does not exist'),
    (orders("day", storage_parameters={"fil": 1}), 'unrecognized parameter "fil"'),
    (orders("id", name="users"), "public.users is taken by something that is not an index"),
    (orders("id", name="users_email_key"), "public.users_email_key is taken by an index of public.users"),
    (orders("code", name="orders_pkey"), "stands behind constraint orders_pkey and cannot be changed to USING"),
    (on("users", "email", name="for_key"), "stands behind foreign key by_email and cannot be changed"),
    (on("users", name="users_pkey", state="absent"), "stands behind constraint users_pkey and cannot be dropped"),
    (on("far", "id"), "public.far is a foreign table, which cannot carry this"),
    (on("passing", "id"), "table public.passing does not exist"),
    (on("open_orders", "id"), "public.open_orders is a view, which cannot carry this"),
    (on("events", "kind"), ""),
    (on("events_02_a", "kind"), "public.events is the parent of public.events_02_a and has the same at indexes[16]"),
    (
        on("events", "id", unique=True, name="not_unique"),
        "needs the partition key of public.events_02 among its columns: kind",
    ),
    (on("events_01", name="events_01_id_idx", state="absent"), "is part of the partitioned index public.parted"),
    (on("mixed", "id"), "public.mixed has foreign partitions (public.mixed_far), which have no index"),
    (orders("id", "code", name="identity"), "is the replica identity of public.orders, and has to stay unique"),
]
BEFORE = """
CREATE UNIQUE INDEX identity ON orders (id, code); ALTER TABLE orders REPLICA IDENTITY USING INDEX identity;
ALTER TABLE users ADD UNIQUE (email); CREATE UNIQUE INDEX for_key ON users (id, email);
CREATE TABLE child (id int, email text, CONSTRAINT by_email FOREIGN KEY (id, email) REFERENCES users (id, email));
CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE far (id int) SERVER files OPTIONS (filename '/dev/null');
CREATE INDEX parted ON events (id);
CREATE TABLE mixed (id int) PARTITION BY LIST (id);
CREATE FOREIGN TABLE mixed_far PARTITION OF mixed DEFAULT SERVER files OPTIONS (filename '/dev/null');
"""


def test_everything_that_cannot_be_is_named_at_once_and_nothing_is_done(db: Database) -> None:
    db.run(BEFORE)
    items = [item for item, _ in REFUSED]
    with db.session() as cursor:
        cursor.execute("CREATE TEMP TABLE passing (id int)")
        with pytest.raises(SpecError) as caught:
            db.indexes(items)
    said = {problem.where.split(" ")[0]: problem.what for problem in caught.value.problems}
    for number, (_, words) in enumerate(REFUSED):
        assert words in said.pop(f"indexes[{number}]", ""), (number, caught.value)
    assert said == {}
    assert db.rows("SELECT to_regclass('events_kind_idx'), to_regnamespace('pgstead')") == [(None, None)]


def test_the_index_of_a_replica_identity_is_not_dropped(db: Database) -> None:
    db.run("CREATE UNIQUE INDEX x ON orders (code)", "ALTER TABLE orders REPLICA IDENTITY USING INDEX x")
    with pytest.raises(SpecError, match="is the replica identity"):
        db.indexes([orders(name="x", state="absent")])


def test_a_column_that_is_computed_when_it_is_read_has_no_index(db: Database) -> None:
    if db.server.version >= 18:
        db.run("ALTER TABLE users ADD twice int GENERATED ALWAYS AS (id * 2) VIRTUAL")
        with pytest.raises(SpecError, match="indexes on virtual generated columns are not supported"):
            db.indexes([on("users", "twice")], check_mode=True)


def test_a_syntax_error_alone_is_named_too(db: Database) -> None:
    with pytest.raises(SpecError, match=r"^indexes\[1\] \(torn\): syntax error at or near"):
        db.indexes([orders("day"), orders({"expression": "note +"}, name="torn"), orders("total")])


def test_a_derived_name_that_somebody_else_uses_is_not_taken(db: Database) -> None:
    db.run("CREATE INDEX users_id_idx ON users (email)")
    with pytest.raises(SpecError, match=r"indexes\[0\] \(users_id_idx\): somebody made an index of this name"):
        db.indexes([on("users", "id")])
    applied = round_trip(db.indexes, [on("users", "id", name="users_id_idx")])
    assert actions(applied) == ["build", "swap", "drop"]


def test_names_that_meet_in_the_list_are_found_before_the_server_is_asked(db: Database) -> None:
    items = [orders("id"), orders({"column": "id", "order": "desc"}), on("users", "id", name="orders_id_idx")]
    with pytest.raises(SpecError) as caught:
        db.indexes(items)
    assert [str(problem) for problem in caught.value.problems] == [
        "indexes[1] (orders_id_idx): indexes[0] would get the same name: give one a name",
        "indexes[2] (orders_id_idx): indexes[0] would get the same name: give one a name",
    ]


def test_a_database_without_tables_waits_for_them(prepared: Server) -> None:
    prepared.run("CREATE DATABASE schema_empty TEMPLATE template0")
    try:
        assert Database(prepared, "schema_empty").indexes([orders("id")]).waiting
    finally:
        prepared.run("DROP DATABASE schema_empty")
