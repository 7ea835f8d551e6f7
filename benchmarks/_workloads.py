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
    events: int
    customers: int
    burst_transactions: int


FULL = Size(
    scale=100,
    segment_transactions=100_000,
    select_transactions=400_000,
    events=3_000_000,
    customers=1_000_000,
    burst_transactions=60_000,
)
QUICK = Size(
    scale=20,
    segment_transactions=20_000,
    select_transactions=80_000,
    events=600_000,
    customers=200_000,
    burst_transactions=12_000,
)

SORT = "SELECT note FROM events ORDER BY note, id OFFSET {last}"
JOIN = """SELECT c.segment, count(*), sum(e.amount) FROM events e JOIN customers c ON c.id = e.customer
          WHERE c.name <> e.note GROUP BY c.segment"""
INDEX = "CREATE INDEX events_note_idx ON events (note, created)"


def seed(server: Server, size: Size) -> None:
    """The data every configuration works on: pgbench's own tables, and events of customers with random text."""
    server.pgbench_init(size.scale)
    server.query(f"""
        SELECT setseed(0.5);
        CREATE TABLE customers AS SELECT i AS id, md5(i::text) AS name, i % 20 AS segment
            FROM generate_series(1, {size.customers}) i;
        CREATE TABLE events AS SELECT i AS id, 1 + (random() * {size.customers - 1})::int AS customer,
            timestamptz '2025-01-01' + random() * interval '1 year' AS created,
            (random() * 1000)::numeric(10, 2) AS amount, md5(random()::text) || md5(i::text) AS note
            FROM generate_series(1, {size.events}) i;
        CREATE EXTENSION pg_prewarm""")
    for statement in ("VACUUM (FREEZE, ANALYZE) customers", "VACUUM (FREEZE, ANALYZE) events", "CHECKPOINT"):
        server.query(statement)


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
    """A sort of more rows than the default work_mem holds; every row is sorted, none is sent."""
    return _statement(server, SORT.format(last=size.events))


def hash_join(server: Server, _size: Size) -> dict[str, float]:
    """A hash join whose inner side is larger than the default hash memory."""
    return _statement(server, JOIN)


def index_build(server: Server, _size: Size) -> dict[str, float]:
    """One index on random text and a timestamp."""
    result = _statement(server, INDEX)
    server.query("DROP INDEX events_note_idx")
    return result


def recovery(server: Server, size: Size) -> dict[str, float]:
    """Kill the server after a burst of writes since the last checkpoint asked for; time until it accepts connections."""
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
    "recovery": recovery,
}
