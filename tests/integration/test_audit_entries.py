"""What is written in the log, and what is not: every operation, nothing redacted, nothing rolled back."""

from __future__ import annotations

import io
import random
import threading
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName, literal, quote, unusable

from .audit_world import ORDERS, ask, client, declare, entries, write
from .conftest import Server
from .test_names import TEXTS

SECRET = "4111-s3cret"


def test_every_operation_is_recorded_with_who_when_and_from_where(trail: Server) -> None:
    with client(trail, autocommit=False) as cursor:
        cursor.execute("INSERT INTO orders (id, total, tags) VALUES (1, 9.50, '{a}')")
        cursor.execute("UPDATE orders SET status = 'paid', total = 10 WHERE id = 1")
        cursor.execute("DELETE FROM orders WHERE id = 1")
        cursor.execute("TRUNCATE orders")
        cursor.execute("SELECT pg_current_xact_id(), now() <= clock_timestamp()")
        ((transaction, _),) = cursor.fetchall()
        cursor.connection.commit()
    whole = {
        "id": 1,
        "user_id": None,
        "status": "open",
        "total": 9.5,
        "at": None,
        "tags": ["a"],
        "doc": None,
        "note": None,
    }
    hidden = {"card": "***"}
    assert entries(trail) == [
        ("INSERT", "1", None, whole | hidden),
        ("UPDATE", "1", {"status": "open", "total": 9.5}, {"status": "paid", "total": 10}),
        ("DELETE", "1", whole | hidden | {"status": "paid", "total": 10}, None),
        ("TRUNCATE", None, None, None),
    ]
    about = ask(
        trail,
        "SELECT schema_name, table_name, login_user, role, application_user, application_role, client_address,"
        " application_name, transaction, at BETWEEN now() - interval '1 minute' AND now() FROM audit.log",
    )
    assert set(about) == {("public", "orders", "shop_app", "shop_app", None, None, None, "till 7", transaction, True)}
    assert len(ask(trail, "SELECT DISTINCT at FROM audit.log")) == 4


@pytest.mark.parametrize("mode", ["changed", "full"])
def test_what_an_update_writes(trail: Server, mode: str) -> None:
    declare(trail, tables=[{**ORDERS, "mode": mode}])
    write(trail, "INSERT INTO orders (id, doc, note) VALUES (1, '{\"a\": [1, null]}', 'n')")
    write(trail, "UPDATE orders SET doc = '{\"a\": [1, 2]}', note = NULL, seen = 5 WHERE id = 1")
    _inserted, (_operation, record, old, new) = entries(trail)
    changed = {"doc": {"a": [1, None]}, "note": "n"}, {"doc": {"a": [1, 2]}, "note": None}
    if mode == "changed":
        assert (record, old, new) == ("1", *changed)
    else:
        assert set(old) == set(new) == {"id", "user_id", "status", "total", "at", "tags", "doc", "note", "card"}
        assert (old | changed[0], new | changed[1]) == (old, new)


@pytest.mark.parametrize("mode", ["changed", "full"])
def test_what_changes_nothing_is_not_recorded(trail: Server, mode: str) -> None:
    declare(trail, tables=[{**ORDERS, "mode": mode}])
    write(trail, "INSERT INTO orders (id, total) VALUES (1, 5)")
    write(trail, "UPDATE orders SET total = 5, status = status", "UPDATE orders SET seen = seen + 1")
    write(trail, "UPDATE orders SET total = 6 WHERE id = 77", "DELETE FROM orders WHERE id = 77")
    assert [operation for operation, *_ in entries(trail)] == ["INSERT"]


@pytest.mark.parametrize("mode", ["changed", "full"])
def test_a_redacted_value_is_nowhere_in_the_log(trail: Server, mode: str) -> None:
    declare(trail, tables=[{**ORDERS, "mode": mode}])
    write(
        trail,
        f"INSERT INTO orders (id, card) VALUES (1, '{SECRET}'), (2, '{SECRET}'), (3, NULL)",
        f"UPDATE orders SET card = '{SECRET}-2' WHERE id = 1",
        f"UPDATE orders SET card = '{SECRET}', note = 'x' WHERE id = 3",
        "UPDATE orders SET note = 'y'",
        "UPDATE orders SET card = NULL WHERE id = 2",
        "DELETE FROM orders",
    )
    assert ask(trail, f"SELECT count(*) FROM audit.log l WHERE l::text LIKE '%{SECRET[5:]}%'") == [(0,)]
    found = [(old or {}, new or {}) for _operation, _record, old, new in entries(trail)]
    assert {row["card"] for pair in found for row in pair if "card" in row} == {"***"}
    if mode == "changed":
        assert found[3] == ({"card": "***"}, {"card": "***"})
        assert "card" not in found[5][0]


def test_a_hidden_column_that_was_renamed_takes_all_values_with_it(trail: Server) -> None:
    """The triggers know the column by its old name: until the next run nobody knows which one it is."""
    trail.run("ALTER TABLE orders RENAME card TO payment", database="trail")
    write(
        trail, f"INSERT INTO orders (id, payment) VALUES (1, '{SECRET}')", "UPDATE orders SET note = 'x', payment = 'y'"
    )
    _inserted, updated = entries(trail)
    assert ask(trail, f"SELECT count(*) FROM audit.log l WHERE l::text LIKE '%{SECRET}%'") == [(0,)]
    assert updated == ("UPDATE", "1", {"note": "***", "payment": "***"}, {"note": "***", "payment": "***"})


@pytest.mark.parametrize(
    ("rename", "table", "key"),
    [
        ("ALTER TABLE orders RENAME id TO number", "orders", {"number": 7}),
        ("ALTER TABLE lines RENAME sku TO article", "lines", {"order_id": 7, "article": "a"}),
    ],
)
def test_a_key_that_was_renamed_leaves_whole_rows(trail: Server, rename: str, table: str, key: dict[str, Any]) -> None:
    """Else, until the next run, nobody could ever say which row an update was of."""
    declare(trail, tables=[{"name": table}])
    trail.run(rename, database="trail")
    names, values = ", ".join(key), ", ".join(literal(str(value)) for value in key.values())
    changed = {"orders": "note = 'x'", "lines": "amount = 2"}[table]
    write(trail, f"INSERT INTO {table} ({names}) VALUES ({values})", f"UPDATE {table} SET {changed}")
    _inserted, (_operation, _record, old, new) = entries(trail, table)
    assert (old | key, new | key) == (old, new)
    assert old != new


def test_composite_keys_read_as_rows(trail: Server) -> None:
    values = ["a", "", "with, comma", 'quote"', "back\\slash", "(x)", " space ", "NULL", "ä"]
    for value in values:
        write(trail, f"INSERT INTO lines VALUES (7, {literal(value)}, 1)")
    records = ask(trail, "SELECT ROW(order_id, sku)::text FROM lines")
    assert {record for _operation, record, *_ in entries(trail, "lines")} == {record for (record,) in records}
    assert len(records) == len(values)
    found = ask(trail, "SELECT l.new ->> 'sku' FROM audit.log l, audit.trail('public', 'lines', ROW(7, 'with, comma')::text) t"
                " WHERE l.at = t.at")  # fmt: skip
    assert found == [("with, comma",)]


def test_a_key_that_changes_is_recorded_as_it_was(trail: Server) -> None:
    write(trail, "INSERT INTO orders (id) VALUES (1)", "UPDATE orders SET id = 2")
    assert entries(trail)[1] == ("UPDATE", "1", {"id": 1}, {"id": 2})


def test_copy_bulk_updates_and_upserts(trail: Server) -> None:
    with client(trail) as cursor:
        rows = "".join(f"{number}\t{number}\n" for number in range(1000))
        cursor.copy_expert("COPY orders (id, total) FROM STDIN", io.StringIO(rows))
        cursor.execute("UPDATE orders SET total = total + 1")
        cursor.execute(
            "INSERT INTO orders (id, total) VALUES (0, 5), (1000, 5) ON CONFLICT (id) DO UPDATE SET total = excluded.total"
        )
    counted = ask(trail, "SELECT operation, count(*), count(DISTINCT record) FROM audit.log GROUP BY 1 ORDER BY 1")
    assert counted == [("INSERT", 1001, 1001), ("UPDATE", 1001, 1000)]
    wrong = "operation = 'UPDATE' AND record <> '0' AND (new ->> 'total')::int <> (old ->> 'total')::int + 1"
    assert ask(trail, f"SELECT count(*) FROM audit.log WHERE {wrong}") == [(0,)]


def test_what_is_rolled_back_leaves_nothing(trail: Server) -> None:
    with client(trail, autocommit=False) as cursor:
        cursor.execute("INSERT INTO orders (id) VALUES (1)")
        cursor.execute("SAVEPOINT a; UPDATE orders SET note = 'x'; ROLLBACK TO SAVEPOINT a")
        cursor.connection.commit()
        cursor.execute("DELETE FROM orders")
        cursor.connection.rollback()
    assert [operation for operation, *_ in entries(trail)] == ["INSERT"]


def test_concurrent_writers_leave_one_unbroken_trail(trail: Server) -> None:
    write(trail, "INSERT INTO orders (id, total) VALUES (1, 0), (2, 0)")
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            with client(trail) as cursor:
                for step in range(50):
                    cursor.execute(f"UPDATE orders SET total = total + 1 WHERE id = {1 + (number + step) % 2}")
        except psycopg2.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for record in ("1", "2"):
        found = ask(
            trail, f"SELECT old, new FROM audit.trail('public', 'orders', '{record}') WHERE operation = 'UPDATE'"
        )
        assert [new["total"] for _old, new in found] == list(range(1, 101))
        assert [old["total"] for old, _new in found] == list(range(100))


def test_role_and_context_are_those_of_the_moment(trail: Server) -> None:
    with client(trail) as cursor:
        cursor.execute("BEGIN; SET LOCAL app.user_id = '42'; SET LOCAL app.user_role = 'support'; SET LOCAL ROLE clerk")
        cursor.execute("INSERT INTO orders (id) VALUES (1); COMMIT")
        cursor.execute("UPDATE orders SET note = 'x'")
    about = ask(trail, "SELECT login_user, role, application_user, application_role FROM audit.log ORDER BY at")
    assert about == [("shop_app", "clerk", "42", "support"), ("shop_app", "shop_app", None, None)]


def test_without_a_context_nothing_is_asked_for_it(trail: Server) -> None:
    declare(trail, context=None)
    write(trail, "SET app.user_id = '42'; INSERT INTO orders (id) VALUES (1)")
    assert ask(trail, "SELECT application_user, application_role FROM audit.log") == [(None, None)]


def test_partitions_are_recorded_under_their_parents_name(trail: Server) -> None:
    trail.run("CREATE TABLE events_2 (LIKE events)", database="trail")
    trail.run(
        "ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        database="trail",
    )
    write(
        trail,
        "INSERT INTO events VALUES (1, '2026-01-05', 'a')",
        "UPDATE events_1 SET kind = 'b'",
        "UPDATE events SET day = '2026-02-05'",
        "DELETE FROM events",
        "TRUNCATE events",
    )
    assert [(operation, record) for operation, record, *_ in entries(trail, "events")] == [
        ("INSERT", "(1,2026-01-05)"),
        ("UPDATE", "(1,2026-01-05)"),
        *[("DELETE", "(1,2026-01-05)"), ("INSERT", "(1,2026-02-05)")],
        ("DELETE", "(1,2026-02-05)"),
        ("TRUNCATE", None),
    ]
    assert not declare(trail).changed


def test_a_table_without_a_key_is_recorded_without_a_record(trail: Server) -> None:
    done = declare(trail, tables=[{"name": "bare"}])
    assert [warning for warning in done.warnings if "no primary key" in warning] != []
    write(trail, "INSERT INTO bare VALUES ('x')", "UPDATE bare SET a = 'y'")
    assert entries(trail, "bare") == [("INSERT", None, None, {"a": "x"}), ("UPDATE", None, {"a": "x"}, {"a": "y"})]


def test_no_session_can_silence_the_triggers_by_a_setting(trail: Server) -> None:
    write(trail, "SET session_replication_role = replica; INSERT INTO orders (id) VALUES (1)", user="postgres")
    write(trail, "SET session_replication_role = local; DELETE FROM orders", user="postgres")
    assert [operation for operation, *_ in entries(trail)] == ["INSERT", "DELETE"]


def test_no_session_can_round_a_change_away(trail: Server) -> None:
    trail.run("ALTER TABLE bare ADD x double precision", database="trail")
    declare(trail, tables=[{"name": "bare"}])
    write(
        trail,
        "INSERT INTO bare (x) VALUES (1000)",
        "SET extra_float_digits = -15",
        "UPDATE bare SET x = 1499",
        "UPDATE bare SET x = 0.1::float8 + 0.2::float8",
    )
    found = [(old, new) for operation, _record, old, new in entries(trail, "bare") if operation == "UPDATE"]
    assert found == [({"x": 1000}, {"x": 1499}), ({"x": 1499}, {"x": 0.30000000000000004})]


SPELLINGS = [
    "SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'",
    "SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'; SET quote_all_identifiers = on",
    "SET TimeZone = 'America/St_Johns'; SET DateStyle = 'SQL, DMY'",
]


def test_no_session_can_spell_a_value_in_another_way(trail: Server) -> None:
    """Else a row's trail would fall apart into as many keys as its writers have settings."""
    trail.run(
        "CREATE TABLE stays (began timestamptz PRIMARY KEY, during tstzrange, length interval, photo bytea, what regclass,"
        " n int); ALTER TABLE stays OWNER TO shop_owner; GRANT ALL ON stays TO shop_app",
        database="trail",
    )
    declare(trail, tables=[{"name": "stays"}])
    write(
        trail,
        """INSERT INTO stays VALUES ('2026-07-01 12:00Z', '[2026-07-01 12:00Z,2026-07-02 12:00Z)', '1 day -02:00', '\\x0041',
           'orders', 0)""",
    )
    for spelling in SPELLINGS:
        write(trail, f"{spelling}; UPDATE stays SET n = n + 1", f"{spelling}; DELETE FROM stays")
        write(trail, f"{spelling}; INSERT INTO stays SELECT '2026-07-01 12:00Z', '[2026-07-01 12:00Z,2026-07-02 12:00Z)',"
              " '1 day -02:00', '\\x0041', 'orders', 0")  # fmt: skip
    key = "2026-07-01T12:00:00+00:00"
    assert {record for _operation, record, *_ in entries(trail, "stays")} == {key}
    found = ask(
        trail,
        f"SELECT coalesce(old, new) - 'n' FROM audit.trail('public', 'stays', '{key}') WHERE operation <> 'UPDATE'",
    )
    assert len(found) == 1 + 2 * len(SPELLINGS)
    assert [row for row in found if row != found[0]] == []


def test_no_session_can_set_an_hour_so_that_it_is_written_as_another(trail: Server) -> None:
    trail.run("ALTER TABLE bare ADD during tstzrange", database="trail")
    declare(trail, tables=[{"name": "bare"}])
    write(
        trail,
        "INSERT INTO bare (during) VALUES ('[2026-11-01 00:30Z,2026-12-01 00:00Z)')",
        "SET TimeZone = 'XXX0XXX,M3.2.0,M11.1.0'; SET DateStyle = 'Postgres, MDY'",
        "UPDATE bare SET during = tstzrange('2026-11-01 01:30+00', '2026-12-01 00:00+00')",
    )
    assert [operation for operation, *_ in entries(trail, "bare")] == ["INSERT", "UPDATE"]


def test_rows_with_very_long_keys_can_be_changed(trail: Server) -> None:
    """A key that its own index can hold may be twice as long in the log."""
    chance = random.Random(7)
    start, *ends = (chance.randbytes(1000).hex() for _ in range(3))
    wide = "".join(chr(chance.randrange(0x10000, 0x20000)) for _ in range(600))
    trail.run(
        "CREATE TABLE blobs (id bytea PRIMARY KEY, n int); CREATE TABLE pages (id text PRIMARY KEY, n int);"
        " ALTER TABLE blobs OWNER TO shop_owner; ALTER TABLE pages OWNER TO shop_owner; GRANT ALL ON blobs, pages TO shop_app",
        database="trail",
    )
    declare(trail, tables=[{"name": "blobs"}, {"name": "pages"}])
    keys = [*(("blobs", f"\\x{start}{end}") for end in ends), ("pages", wide)]
    for table, key in keys:
        write(trail, f"INSERT INTO {table} VALUES ('{key}', 0)", f"UPDATE {table} SET n = 1 WHERE id = '{key}'")
    write(trail, "DELETE FROM blobs", "DELETE FROM pages")
    for table, key in keys:
        found = ask(trail, f"SELECT operation FROM audit.trail('public', '{table}', '{key}')")
        assert found == [("INSERT",), ("UPDATE",), ("DELETE",)]


def test_the_trail_of_a_record_in_order(trail: Server) -> None:
    write(trail, "INSERT INTO orders (id) VALUES (1), (11)", "UPDATE orders SET note = 'x' WHERE id = 1")
    write(trail, "UPDATE orders SET note = 'y'", "TRUNCATE orders")
    found = ask(trail, "SELECT operation, new ->> 'note' FROM audit.trail('public', 'orders', '1')", user="auditor")
    assert found == [("INSERT", None), ("UPDATE", "x"), ("UPDATE", "y"), ("TRUNCATE", None)]
    plan = "\n".join(
        line
        for (line,) in ask(
            trail,
            "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN SELECT FROM audit.log WHERE schema_name = 'public' AND table_name = 'orders'"
            " AND left(record, 500) = left('1', 500) AND record = '1' ORDER BY at",
        )
    )
    assert "Sort  (" not in plan, plan


NAMES = st.lists(TEXTS.filter(lambda text: unusable(text) is None), min_size=6, max_size=6, unique=True)


@settings(deadline=None, derandomize=True, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=NAMES)
def test_any_name_of_tables_and_columns(trail: Server, names: list[str]) -> None:
    table, *columns = names
    key, second, plain, left_out, hidden = (quote(name) for name in columns)
    sql = QualifiedName("public", table).sql
    trail.run(
        f"DROP TABLE IF EXISTS {sql}; CREATE TABLE {sql} ({key} int, {second} text, {plain} text, {left_out} text, {hidden} text,"
        f" PRIMARY KEY ({key}, {second})); ALTER TABLE {sql} OWNER TO shop_owner; GRANT ALL ON {sql} TO shop_app",
        database="trail",
    )
    name = '"' + table.replace('"', '""') + '"'
    tables = [{"name": name, "excluded_columns": [columns[3]], "redacted_columns": [columns[4]]}]
    assert declare(trail, tables=tables).changed
    assert not declare(trail, tables=tables).changed
    with client(trail) as cursor:
        cursor.execute(f"INSERT INTO {sql} VALUES (1, {literal(columns[0])}, 'p', '{SECRET}', '{SECRET}')")
        cursor.execute(f"UPDATE {sql} SET {plain} = 'q', {hidden} = '{SECRET}2', {left_out} = ''")
    found: list[Any] = ask(
        trail,
        f"SELECT old, new FROM audit.log WHERE table_name = {literal(table)} AND operation = 'UPDATE' ORDER BY at DESC LIMIT 1",
    )
    assert found == [({columns[2]: "p", columns[4]: "***"}, {columns[2]: "q", columns[4]: "***"})]
    assert ask(trail, f"SELECT count(*) FROM audit.log l WHERE l::text LIKE '%{SECRET}%'") == [(0,)]
    trail.run(f"DROP TABLE {sql}", database="trail")
