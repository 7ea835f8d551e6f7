"""The workloads of the tuning benchmark: what each does, how much, and what is read off the server around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from _common import MB
from _server import Server

CLIENTS = 16


@dataclass(frozen=True)
class Size:
    """How much each workload does; the same for every configuration."""

    scale: int
    segment_transactions: int
    select_transactions: int
    orders: int
    customers: int
    events: int
    burst_transactions: int


FULL = Size(
    scale=50,
    segment_transactions=100_000,
    select_transactions=320_000,
    orders=500_000,
    customers=400_000,
    events=3_000_000,
    burst_transactions=40_000,
)
QUICK = Size(
    scale=10,
    segment_transactions=12_000,
    select_transactions=40_000,
    orders=500_000,
    customers=400_000,
    events=600_000,
    burst_transactions=6_000,
)

# OFFSET beyond the last row: everything is computed, nothing is sent.
SORT = "SELECT * FROM orders ORDER BY created OFFSET {beyond}"
JOIN = "SELECT o.*, c.name, c.address FROM orders o JOIN customers c ON c.id = o.customer OFFSET {beyond}"
INDEX = "CREATE INDEX events_trial ON events (customer, created)"
HUGE_SORT = "SELECT reference FROM events ORDER BY reference OFFSET {beyond}"

# Orders carry a JSON document of some 700 bytes of hexadecimal digits, customers an address of a hundred: rows as
# applications have them. Narrow rows spill few bytes and would show less.
SEED = """
    SELECT setseed(0.5);
    CREATE TABLE customers AS
        SELECT i AS id, md5(i::text) AS name, md5((i * 3)::text) || md5((i * 5)::text) || md5((i * 7)::text) AS address
        FROM generate_series(1, {customers}) i;
    CREATE TABLE orders AS
        SELECT i AS id, 1 + (random() * ({customers} - 1))::int AS customer,
            timestamptz '2025-01-01' + random() * interval '1 year' AS created,
            (random() * 1000)::numeric(10, 2) AS amount,
            jsonb_build_object('total', i * 31, 'lines', (SELECT string_agg(md5((i * 100 + j)::text), ' ')
                                                          FROM generate_series(1, 22) j)) AS document
        FROM generate_series(1, {orders}) i;
    CREATE TABLE events AS
        SELECT i AS id, 1 + (random() * ({customers} - 1))::int AS customer,
            timestamptz '2025-01-01' + random() * interval '1 year' AS created, md5(random()::text) AS reference
        FROM generate_series(1, {events}) i;
    CREATE EXTENSION pg_prewarm"""


def seed(server: Server, size: Size) -> None:
    """The data every configuration works on: pgbench's own tables, and orders of customers and their events."""
    server.pgbench_init(size.scale)
    server.query(SEED.format(customers=size.customers, orders=size.orders, events=size.events))
    for name in ("customers", "orders", "events"):
        server.query(f"VACUUM (FREEZE, ANALYZE) {name}")
    server.query("CHECKPOINT")


def warm(server: Server) -> None:
    """Read everything once, so that no configuration pays for a cold cache."""
    server.query("SELECT sum(pg_prewarm(oid)) FROM pg_class WHERE relkind IN ('r', 'i') AND oid >= 16384")


def tpcb(server: Server, size: Size) -> dict[str, float]:
    """Two equal segments of TPC-B transactions, each ended by a CHECKPOINT; WAL counted over both whole cycles."""
    for statement in ("VACUUM pgbench_branches, pgbench_tellers", "TRUNCATE pgbench_history", "CHECKPOINT"):
        server.query(statement)
    counters = (
        "SELECT pg_current_wal_insert_lsn() - '0/0', wal_bytes, wal_fpi, num_timed + num_requested"
        " FROM pg_stat_wal, pg_stat_checkpointer"
    )
    before = server.query(counters)[0]
    transactions, load, checkpoints = 0, 0.0, 0.0
    for _ in range(2):
        result = server.pgbench(
            ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-t", str(size.segment_transactions // CLIENTS)]
        )
        transactions += result.transactions
        load += result.transactions / result.tps
        started = time.perf_counter()
        server.query("CHECKPOINT")
        checkpoints += time.perf_counter() - started
    after = server.query(counters)[0]
    return {
        "tps": transactions / load,
        "tps_with_checkpoints": transactions / (load + checkpoints),
        "checkpoint_seconds": checkpoints,
        "wal_per_transaction": float(after[0] - before[0]) / transactions,
        "wal_bytes": float(after[1] - before[1]) / transactions,
        "full_pages_per_transaction": float(after[2] - before[2]) / transactions,
        "checkpoints": float(after[3] - before[3]),
    }


def select_only(server: Server, size: Size) -> dict[str, float]:
    """pgbench -S."""
    result = server.pgbench(
        ["-n", "-S", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-t", str(size.select_transactions // CLIENTS)]
    )
    return {"tps": result.tps}


def _statement(server: Server, sql: str) -> dict[str, float]:
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute("SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()")
            before = cursor.fetchone()
            started = time.perf_counter()
            cursor.execute(sql)
            seconds = time.perf_counter() - started
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute("SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()")
            after = cursor.fetchone()
    finally:
        connection.close()
    assert before is not None
    assert after is not None
    return {"seconds": seconds, "temporary_mb": float(after[0] - before[0]) / MB}


def sort(server: Server, size: Size) -> dict[str, float]:
    """A sort of whole orders by time; it spills with the default work_mem."""
    return _statement(server, SORT.format(beyond=size.orders))


def hash_join(server: Server, size: Size) -> dict[str, float]:
    """Whole orders with their customers; the customers do not fit into the default hash memory."""
    return _statement(server, JOIN.format(beyond=size.orders))


def index_build(server: Server, _size: Size) -> dict[str, float]:
    """One index on a number and a timestamp."""
    result = _statement(server, INDEX)
    server.query("DROP INDEX events_trial")
    return result


def huge_sort(server: Server, size: Size) -> dict[str, float]:
    """A sort by text that spills in every configuration. Beside the limits: a larger work_mem loses here."""
    return _statement(server, HUGE_SORT.format(beyond=size.events))


def recovery(server: Server, size: Size) -> dict[str, float]:
    """Kill the server after a burst of writes; time until it accepts connections again."""
    server.query("CHECKPOINT")
    server.pgbench(
        ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-t", str(size.burst_transactions // CLIENTS)]
    )
    redo = server.query("SELECT pg_current_wal_insert_lsn() - redo_lsn FROM pg_control_checkpoint()")[0][0]
    server.crash()
    return {"redo_mb": float(redo) / MB, "seconds": server.recover()}


WORKLOADS: dict[str, Callable[[Server, Size], dict[str, float]]] = {
    "tpcb": tpcb,
    "select": select_only,
    "sort": sort,
    "join": hash_join,
    "index": index_build,
    "huge_sort": huge_sort,
    "recovery": recovery,
}
