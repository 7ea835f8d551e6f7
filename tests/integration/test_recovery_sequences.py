"""Sequences of a restored instance: behind is one that gives a value that is there, whatever else its column has."""

from __future__ import annotations

import pytest

from .conftest import Server
from .recovery_world import DATABASE, found


def sequences(restored: Server, *changes: str) -> tuple[str, str]:
    restored.run(*changes, database=DATABASE)
    return found(restored, {"sequences": True})["sequences"]


def test_values_that_were_reserved_are_no_reason_to_fail(restored: Server) -> None:
    high = "INSERT INTO orders (id, user_id, total) VALUES (9000000, 1, 1)"
    assert sequences(restored, high)[0] == "passed"
    status, told = sequences(restored, "ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    assert status == "failed"
    assert "has come to 9000000 already" in told  # nothing to ask but the whole column


@pytest.mark.parametrize("of", ["int2", "numeric"])
def test_the_next_value_is_looked_up_in_columns_of_any_number(restored: Server, of: str) -> None:
    table = f"CREATE TABLE few (id {of} PRIMARY KEY); CREATE SEQUENCE few_id OWNED BY few.id START 40000"
    assert sequences(restored, table, "INSERT INTO few VALUES (40)")[0] == "passed"
    assert "few_id gives 40 next" in sequences(restored, "SELECT setval('few_id', 40, false)")[1]


def test_sequences_of_tables_that_a_subscription_fills_are_left_out(restored: Server) -> None:
    subscription = "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)"
    parted = "CREATE TABLE parted (id serial, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)"
    leaf = "CREATE TABLE leaf PARTITION OF parted DEFAULT"
    rows = "INSERT INTO parted VALUES (1, 1)"
    restored.run(parted, leaf, rows, "SELECT setval('orders_id_seq', 1999)", database=DATABASE)
    status, told = found(restored, {"sequences": True})["sequences"]
    assert (status, "parted_id_seq gives 1 next" in told, "orders_id_seq" in told) == ("failed", True, True), told
    fill = "INSERT INTO pg_subscription_rel SELECT oid, '{table}'::regclass, 'r', NULL FROM pg_subscription"
    try:
        allowed = "SET allow_system_table_mods = on; "
        status, told = sequences(
            restored, subscription, *(allowed + fill.format(table=name) for name in ("orders", "leaf"))
        )
    finally:
        restored.run("ALTER SUBSCRIPTION s SET (slot_name = NONE)", "DROP SUBSCRIPTION s", database=DATABASE)
    assert (status, told.endswith("; 2 of tables that a subscription fills were left out")) == ("passed", True), told
