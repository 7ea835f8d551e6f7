#!/usr/bin/env python3
"""Pooling: many clients directly against PostgreSQL, and the same clients through PgBouncer, on the same server.

Method. One container with PostgreSQL 17 and PgBouncer of Debian 13; pgbench runs in it. Clients reach both over TCP on
the loopback address with SCRAM and TLS; PgBouncer reaches the server as the role's does, through the local socket,
which needs no TLS. Its settings are those the role computes, less the lookup of secrets: the verifier stands in
userlist.txt. Three ways are compared: direct; a pool of 25 servers; the role's default pool (25 and a reserve of 10,
at most 100 connections to a database) with the reserve in use, which is its worst case for one user and one database.
Each way runs with 1000 clients and with 25, interleaved: every round runs every case once, in rotating order. Figures
are medians with the median absolute deviation.

Memory is private memory only: the sum of Private_Clean, Private_Dirty and Private_Hugetlb from smaps over all client
backends and PgBouncer, read again and again while 1000 clients work and until all of them have, for each stays connected
for a while after its last transaction; the largest reading. Two kinds of sessions are measured: pgbench's own, which know
four tables, the least that a backend can hold; and those of an application, which have been to each of 140 tables with
their 490 indexes (the schema of benchmarks/schema.py). Shared mappings are left
out: the kernel calls a page of shared_buffers private while only one process has touched it, which would charge a few
busy backends for the cache. Resident set sizes are never summed: each counts shared_buffers again.

Throughput, in runs of its own, is pgbench's simple-update (no contended branch row) in the extended protocol (with -M
prepared pgbench waits for each PREPARE in a blocking way, which starves the clients that hold the pool's servers), the
same number of transactions for every way (a quarter of them with 25 clients), connecting not counted. Connect time is
measured with a new connection for each transaction (pgbench -C -S). Few clients lose throughput through a pooler that has
to share two processors with the server: that is printed too.
"""

from __future__ import annotations

import argparse
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import _schema_data as data
from _common import (
    MB,
    BenchmarkError,
    Summary,
    Verdict,
    add_common_arguments,
    at_most,
    main,
    memory_bytes,
    processors,
    report,
    show,
    summarise,
    table,
    use_collection,
)
from _peers import Host, ours
from _server import ROLE, VERSION, Server, choose_image

PORT = 6432
INI = "/etc/pgbouncer/pgbouncer.ini"
MANY, FEW = 1000, 25
TABLES = len(data.tables())
# each client goes on until it has run `last` transactions, and then stays: `n` is its own count
_HOLD = "\\set n :n + 1\n\\if :n = :last\n\\sleep :hold s\n\\endif\n"
_PGBENCH = """\\set aid random(1, 100000 * :scale)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, 1, CURRENT_TIMESTAMP);
END;
"""
_TOUCHED = """\\set t (:n * 5 + {turn}) % {tables} + 1
SELECT * FROM app_:t WHERE id = :id AND status <> 'none';
"""
_APPLICATION = (
    "\\set id random(1, 100)\nBEGIN;\n"
    + "".join(_TOUCHED.format(turn=turn, tables=TABLES) for turn in range(5))
    + "UPDATE app_:t SET updated_at = now() WHERE id = :id;\nEND;\n"
)


@dataclass(frozen=True)
class Session:
    """What the clients do whose memory is measured: how often, and in which protocol (names of tables need the simple one)."""

    name: str
    script: str
    transactions: int
    protocol: str


SESSIONS = (Session("pgbench", _PGBENCH, 20, "extended"), Session("application", _APPLICATION, TABLES // 5, "simple"))


@dataclass(frozen=True)
class Way:
    """How the clients reach the server; no pool is direct."""

    name: str
    pool: int = 0
    reserve: int = 0
    max_db_connections: int = 0

    @property
    def port(self) -> int:
        """Where pgbench connects."""
        return PORT if self.pool else 5432


def ways(options: argparse.Namespace) -> list[Way]:
    """The three ways that are compared."""
    default = Way("default pool", options.pool, options.reserve, options.max_db_connections)
    return [Way("direct"), Way("25 servers", 25, 0, 25), default]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    add_common_arguments(parser, "pooling.json")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds (5; quick: 1)")
    parser.add_argument("--pool", type=int, default=25, help="the role's pgbouncer_default_pool_size")
    parser.add_argument("--reserve", type=int, default=10, help="the role's pgbouncer_reserve_pool_size")
    parser.add_argument("--max-db-connections", type=int, default=100, help="the role's pgbouncer_max_db_connections")
    parser.add_argument("--hold", type=int, default=25, help="seconds that a client stays after its last transaction")
    parser.add_argument("--no-tls", action="store_true", help="without encryption, to see what TLS costs the pooler")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change pgbouncer.ini")
    return parser.parse_args()


def role_settings(version: str) -> dict[str, str]:
    """What the role would write into pgbouncer.ini with its defaults, for the installed version."""
    use_collection()
    try:
        from ansible_collections.pgstead.ops.plugins.module_utils._core import pooler
    except ImportError as error:
        raise BenchmarkError(f"cannot import the collection's pooler settings: {error}") from error
    spec = pooler.PoolerSpec(
        listen_addresses=("127.0.0.1",),
        port=PORT,
        pool_mode="transaction",
        default_pool_size=25,
        reserve_pool_size=10,
        max_db_connections=100,
        max_client_connections=MANY + 100,
        query_timeout=30,
        server_idle_timeout=600,
        processes=1,
        server_host="",
        server_port=5432,
        tls_certificate="/etc/ssl/certs/ssl-cert-snakeoil.pem",
        tls_key="/etc/ssl/private/ssl-cert-snakeoil.key",
        tls_server_ca="/etc/ssl/certs/ssl-cert-snakeoil.pem",
        tls_server_mode="verify-full",
    )
    return {setting.name: setting.value for setting in pooler.settings(spec, pooler.parse_version(version))}


def ini(way: Way, role: dict[str, str], tls: str, changes: dict[str, str]) -> str:
    """The role's pgbouncer.ini with this way's sizes; the reserve is used after 0.1 s: measured, not only allowed."""
    settings = role | {
        "unix_socket_dir": "",
        "pidfile": "/tmp/pgbouncer.pid",
        "logfile": "/tmp/pgbouncer.log",
        "auth_type": "scram-sha-256",
        "auth_file": "/etc/pgbouncer/userlist.txt",
        "admin_users": ROLE,
        "default_pool_size": str(way.pool),
        "reserve_pool_size": str(way.reserve),
        "reserve_pool_timeout": "0.1",
        "max_db_connections": str(way.max_db_connections),
        "client_tls_sslmode": tls,
    }
    for name in ("auth_hba_file", "auth_query", "auth_dbname"):
        settings.pop(name, None)
    lines = "".join(f"{name} = {value}\n" for name, value in (settings | changes).items())
    return f"[databases]\nbench = host=/var/run/postgresql port=5432 dbname=bench\n[pgbouncer]\n{lines}"


class Bench:
    """The server, and the pooler of the moment."""

    def __init__(self, server: Server, quick: bool, tls: str, changes: dict[str, str]) -> None:
        self.server, self.tls, self.changes = server, tls, changes
        self.scale, self.transactions = (10, 40_000) if quick else (50, 60_000)
        server.pgbench_init(self.scale)
        for statement in application():
            server.query(statement)
        self.role = role_settings(server.run("pgbouncer --version | awk 'NR == 1 {print $2}'").strip())
        verifier = server.query(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}'")[0][0]
        server.write("/etc/pgbouncer/userlist.txt", f'"{ROLE}" "{verifier}"\n')

    def pooler(self, way: Way) -> None:
        """Stop the pooler, and start it as this way wants it."""
        self.server.run("pkill -KILL -x pgbouncer || true; rm -f /tmp/pgbouncer.pid")
        if way.pool:
            self.server.write(INI, ini(way, self.role, self.tls, self.changes))
            self.server.run(f"pgbouncer -d -q {INI}", user="postgres")
            time.sleep(0.5)

    def _pgbench(self, way: Way, clients: int, *options: str) -> tuple[float, float]:
        environment = f"PGPASSWORD={self.server.password} PGSSLMODE={self.tls}"
        result = self.server.pgbench(
            ["-h", "127.0.0.1", "-p", str(way.port), "-U", ROLE, "-n", "-c", str(clients), "-j", "2", *options],
            environment,
        )
        return result.tps, result.connect_ms

    def private(self, way: Way) -> tuple[float, float, int]:
        """Private bytes of the client backends and of the pooler, and how many backends were read; no pooler is an error."""
        rows = self.server.query(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        backends, read = self._private([str(row[0]) for row in rows])
        if not way.pool:
            return backends, 0.0, read
        pooler, poolers = self._private(self.server.run("pgrep -x pgbouncer").split())
        if poolers != 1:
            raise BenchmarkError(f"{poolers} processes of PgBouncer were read, not one")
        return backends, pooler, read

    def _private(self, pids: list[str]) -> tuple[float, int]:
        """Private bytes of processes, and how many were read: one that ended meanwhile is left out, and not counted.

        Without shared mappings: a buffer that only one of them touched is not its own. Each process has one stack.
        """
        awk = r"/^[0-9a-f]+-/ {ours = $2 ~ /p$/} /\[stack\]$/ {read++} /^Private_/ && ours {kb += $2} END {print kb + 0, read + 0}"
        files = " ".join(f"/proc/{pid}/smaps" for pid in pids)
        read = self.server.run(f"cat /dev/null {files} | awk '{awk}'", user="postgres")  # the pipe's code is awk's
        kilobytes, processes = read.split()
        return float(kilobytes) * 1024, int(processes)

    def memory(self, way: Way, session: Session, hold: int) -> dict[str, float]:
        """The largest reading while 1000 clients work, and stay."""
        self.pooler(way)
        self.server.write("/tmp/session.sql", session.script + _HOLD)
        finished = threading.Event()

        def read() -> list[tuple[float, float, int]]:
            readings = []
            while not finished.wait(1):
                readings.append(self.private(way))
            return readings

        told = {"n": 0, "last": session.transactions, "hold": hold, "scale": self.scale}
        defined = [f"-D {name}={value}" for name, value in told.items()]
        with ThreadPoolExecutor(1) as beside:
            reader = beside.submit(read)
            try:
                self._pgbench(
                    way,
                    MANY,
                    "-f",
                    "/tmp/session.sql",
                    "-M",
                    session.protocol,
                    "-t",
                    str(session.transactions),
                    *defined,
                )
            finally:
                finished.set()
        backends, pooler, servers = max(reader.result(), key=lambda reading: reading[0] + reading[1])
        if servers < (MANY if not way.pool else 1):
            raise BenchmarkError(
                f"only {servers} of {MANY} backends were read at once: they have to stay longer (--hold)"
            )
        return {
            "backends_mb": backends / MB,
            "pooler_mb": pooler / MB,
            "private_mb": (backends + pooler) / MB,
            "servers": float(servers),
        }

    def load(self, way: Way, clients: int) -> dict[str, float]:
        """Throughput for a fixed number of transactions."""
        self.pooler(way)
        each = self.transactions // (clients if clients == MANY else clients * 4)
        tps, connect = self._pgbench(way, clients, "-N", "-M", "extended", "-t", str(each))
        return {"tps": tps, "connect_all_ms": connect}

    def reconnect(self, way: Way) -> dict[str, float]:
        """A new connection for each transaction."""
        self.pooler(way)
        tps, connect = self._pgbench(way, FEW, "-S", "-C", "-t", str(max(20, self.transactions // 1000)))
        return {"tps": tps, "connect_ms": connect}


def application() -> list[str]:
    """What makes the application's tables: small ones, named by numbers, with their indexes."""

    def written(column: str | dict[str, str]) -> str:
        if isinstance(column, str):
            return column
        nulls = f" NULLS {column['nulls']}" if "nulls" in column else ""
        return f"{column['column']} {column['order']}{nulls}"

    plain = [one for one in data.indexes() if "columns" in one and "where" not in one and "name" not in one]
    indexed = [
        f"CREATE INDEX ON {one['table']} ({', '.join(written(column) for column in one['columns'])})" for one in plain
    ]
    renamed = [f"ALTER TABLE {name} RENAME TO app_{number}" for number, name in enumerate(data.tables(), start=1)]
    return [*data.statements(data.QUICK), *indexed, *renamed]


Results = dict[str, list[dict[str, float]]]


def measure(bench: Bench, compared: list[Way], rounds: int, hold: int) -> Results:
    """Every case once a round, in rotating order."""
    results: Results = {}
    for number in range(rounds):
        turn = number % len(compared)
        for way in compared[turn:] + compared[:turn]:
            started = time.monotonic()
            for session in SESSIONS:
                results.setdefault(f"{way.name}, {session.name}", []).append(bench.memory(way, session, hold))
            for clients in (MANY, FEW):
                results.setdefault(f"{way.name}, {clients} clients", []).append(bench.load(way, clients))
            results.setdefault(f"{way.name}, reconnecting", []).append(bench.reconnect(way))
            print(f"round {number + 1}/{rounds}  {way.name:<13} {time.monotonic() - started:5.0f} s", flush=True)
    return results


def print_tables(found: dict[str, dict[str, Summary]], names: list[str]) -> None:
    """Memory by kind of session, throughput by number of clients, then what a connection costs."""
    rows = []
    for session in SESSIONS:
        for name in names:
            case = found[f"{name}, {session.name}"]
            figures = [show(case[figure], digits=1) for figure in ("private_mb", "pooler_mb")]
            rows.append([f"{session.name} sessions, {name}", *figures, f"{case['servers'].median:.0f}"])
    print("\n" + table([f"{MANY} clients, median ± MAD", "private MB", "of it pooler", "backends"], rows))
    cases = [(clients, name) for clients in (MANY, FEW) for name in names]
    rows = [
        [f"{clients} clients, {name}", show(found[f"{name}, {clients} clients"]["tps"], digits=0)]
        for clients, name in cases
    ]
    print("\n" + table(["throughput", "tps"], rows))
    rows = []
    for name in names:
        case = found[f"{name}, reconnecting"]
        rows.append([name, show(case["connect_ms"]), show(case["tps"], digits=0)])
    print("\n" + table([f"{FEW} clients, a connection per transaction", "connect ms", "tps"], rows))


def verdicts_of(found: dict[str, dict[str, Summary]]) -> list[Verdict]:
    """Private memory at 1000 clients against the limits."""
    return [
        at_most(
            f"private memory at {MANY} clients, {session.name} sessions, {name}, of direct",
            100
            * found[f"{name}, {session.name}"]["private_mb"].median
            / found[f"direct, {session.name}"]["private_mb"].median,
            limit,
            " %",
        )
        for session in SESSIONS
        for name, limit in (("25 servers", 4), ("default pool", 7))
    ]


def run() -> int:
    """Measure, print, judge."""
    options = arguments()
    compared = ways(options)
    host = Host(memory_bytes(), processors(), 0)
    settings = ours(host).settings | {"max_connections": str(MANY + 50)}
    with Server("pgstead-bench-pooling", choose_image(options.image), keep=options.keep) as server:
        server.configure(settings)
        tls = "disable" if options.no_tls else "require"
        changes = dict(change.split("=", 1) for change in options.set)
        bench = Bench(server, options.quick, tls, changes)
        results = measure(bench, compared, options.rounds or (1 if options.quick else 5), options.hold)
        versions = server.run(f"pgbouncer --version | head -n 1; /usr/lib/postgresql/{VERSION}/bin/postgres --version")
    found = {case: {key: summarise([one[key] for one in many]) for key in many[0]} for case, many in results.items()}
    print_tables(found, [way.name for way in compared])
    body = {
        "versions": versions.splitlines(),
        "ways": [asdict(way) for way in compared],
        "settings": settings,
        "tls": tls,
        "changed": changes,
        "figures": found,
        "rounds": results,
    }
    return report(options.output, options.quick, __doc__ or "", body, verdicts_of(found))


if __name__ == "__main__":
    main(run)
