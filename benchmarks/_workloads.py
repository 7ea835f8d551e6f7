"""The workloads of the tuning benchmark: what each does, how much, and what is read off the server around it."""

from __future__ import annotations

import statistics
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
    scale=100,
    segment_transactions=125_000,
    select_transactions=60_000,
    orders=1_000_000,
    customers=200_000,
    events=2_000_000,
    burst_transactions=12_000,
)
QUICK = Size(
    scale=10,
    segment_transactions=12_000,
    select_transactions=40_000,
    orders=200_000,
    customers=40_000,
    events=600_000,
    burst_transactions=6_000,
)
REPEATS = 4  # of a single statement in a round, after one that is not measured

# OFFSET beyond the last row: everything is computed, nothing is sent.
SORT = """SELECT * FROM orders WHERE created >= '2025-04-01' AND created < '2025-05-01'
    ORDER BY amount DESC OFFSET {beyond}"""
JOIN = "SELECT o.*, c.* FROM orders o JOIN customers c ON c.id = o.customer OFFSET {beyond}"
INDEX = "CREATE INDEX events_trial ON events (customer, created)"
REPORT = """SELECT c.id, c.name, c.email, count(*), sum(o.amount)
    FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.id OFFSET {beyond}"""
HUGE_SORT = "SELECT reference FROM events ORDER BY reference OFFSET {beyond}"

# A shop after two years: five orders for each customer, as a JSON document of some 700 bytes of hexadecimal digits,
# customers of some 250 bytes, and events of 50 bytes: rows as applications have them, with their primary keys.
SEED = """
    SELECT setseed(0.5);
    CREATE TABLE customers AS
        SELECT i AS id, md5(i::text) AS name, md5((i * 2)::text) || '@example.org' AS email,
            md5((i * 3)::text) || md5((i * 5)::text) || md5((i * 7)::text) AS address,
            md5((i * 11)::text) || md5((i * 13)::text) AS note
        FROM generate_series(1, {customers}) i;
    CREATE TABLE orders AS
        SELECT i AS id, 1 + (random() * ({customers} - 1))::int AS customer,
            timestamptz '2024-01-01' + random() * interval '2 years' AS created,
            (random() * 1000)::numeric(10, 2) AS amount,
            jsonb_build_object('total', i * 31, 'lines', (SELECT string_agg(md5((i * 100 + j)::text), ' ')
                                                          FROM generate_series(1, 22) j)) AS document
        FROM generate_series(1, {orders}) i;
    CREATE TABLE events AS
        SELECT i AS id, 1 + (random() * ({customers} - 1))::int AS customer,
            timestamptz '2025-01-01' + random() * interval '1 year' AS created, md5(random()::text) AS reference
        FROM generate_series(1, {events}) i;
    ALTER TABLE customers ADD PRIMARY KEY (id);
    ALTER TABLE orders ADD PRIMARY KEY (id);
    CREATE INDEX ON orders (created);
    CREATE EXTENSION pg_prewarm"""


def seed(server: Server, size: Size) -> None:
    """The data every configuration works on: pgbench's own tables, and orders of customers and their events."""
    server.pgbench_init(size.scale)
    server.query(SEED.format(customers=size.customers, orders=size.orders, events=size.events))
    for name in ("customers", "orders", "events"):
        server.query(f"VACUUM (FREEZE, ANALYZE) {name}")
    server.query("CHECKPOINT")


def warm(server: Server) -> None:
    """Clean up what the case before left, and read everything once: nobody pays for a cold cache or another's rows.

    Without the VACUUM, autovacuum would clean up while single statements are measured, and the sooner the more often a
    configuration lets it run. The CHECKPOINT keeps the write-back of it out of them.
    """
    for table in ("accounts", "branches", "tellers", "history"):
        server.query(f"VACUUM (ANALYZE) pgbench_{table}")
    server.query("CHECKPOINT")
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


def _statement(server: Server, sql: str, undo: str = "", repeats: int = REPEATS) -> dict[str, float]:
    """Mean of some runs on one connection, after one that is not measured: its process maps its memory then."""
    spilled = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"
    times = []
    connection = server.connect()
    try:
        with connection.cursor() as cursor:

            def once() -> float:
                started = time.perf_counter()
                cursor.execute(sql)
                seconds = time.perf_counter() - started
                if undo:
                    cursor.execute(undo)
                return seconds

            def temporary() -> float:
                cursor.execute("SELECT pg_stat_force_next_flush()")
                cursor.execute(spilled)
                return float((cursor.fetchone() or (0,))[0])

            before = temporary()
            once()
            after = temporary()
            times = [once() for _ in range(repeats)]
    finally:
        connection.close()
    return {"seconds": statistics.fmean(times), "temporary_mb": (after - before) / MB}


def sort(server: Server, size: Size) -> dict[str, float]:
    """The orders of a month, the largest first: 33 MB, which the default work_mem spills."""
    return _statement(server, SORT.format(beyond=size.orders))


def hash_join(server: Server, size: Size) -> dict[str, float]:
    """Every order with its customer, in whole rows, as an export reads them; the hash of customers has 56 MB."""
    return _statement(server, JOIN.format(beyond=size.orders))


def index_build(server: Server, _size: Size) -> dict[str, float]:
    """One index on a number and a timestamp."""
    return _statement(server, INDEX, undo="DROP INDEX events_trial")


def report_query(server: Server, size: Size) -> dict[str, float]:
    """What each customer ordered. Beside the limits: many groups of narrow rows, which a larger work_mem can lose."""
    return _statement(server, REPORT.format(beyond=size.orders), repeats=1)


def huge_sort(server: Server, size: Size) -> dict[str, float]:
    """A sort by text that spills in every configuration. Beside the limits: a larger work_mem loses here."""
    return _statement(server, HUGE_SORT.format(beyond=size.events), repeats=1)


def recovery(server: Server, size: Size) -> dict[str, float]:
    """Kill the server after a burst of writes; time until it accepts connections again."""
    server.query("CHECKPOINT")
    server.pgbench(
        ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-t", str(size.burst_transactions // CLIENTS)]
    )
    redo = server.query("SELECT pg_current_wal_insert_lsn() - redo_lsn FROM pg_control_checkpoint()")[0][0]
    server.crash()
    return {"redo_mb": float(redo) / MB, "seconds": server.recover()}


# Single statements before the transactions, which leave dead rows and dirty pages.
WORKLOADS: dict[str, Callable[[Server, Size], dict[str, float]]] = {
    "sort": sort,
    "join": hash_join,
    "index": index_build,
    "report": report_query,
    "huge_sort": huge_sort,
    "select": select_only,
    "tpcb": tpcb,
    "recovery": recovery,
}
