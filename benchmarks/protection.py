#!/usr/bin/env python3
"""Protection: what the audit trail and row security cost each row, what the lint takes, how quick the probe is.

Method. PostgreSQL 17 of Debian 13 in a container with this collection's own settings; modules reach it through a Unix
socket. Rounds are interleaved and their order rotates; figures are medians with the median absolute deviation.

Audit. Four tables of ten columns with the same rows: without audit, with the shortest trigger that people write
themselves (the peer), audited with changed columns only (the default), and whole rows. Each round vacuums a table,
empties the log, and changes two columns of every row in one UPDATE, the worst case for a trigger that is called for each
row. What counts is the processor time of the backend (utime and stime of its process, so no waiting for disks,
checkpoints or others); the difference to the table without audit, divided by the rows, is what audit costs. Bytes of
the log for each row, indexes included, stand beside it.

Row security. Rows of 1000 tenants; what one tenant asks for in one transaction, as the application's role, with the
context set. Compared: no policy and a condition in the query; the policy that module row_security makes, with the
index that it makes; the same policy without any index; and a policy as it is often written by hand, with a bare
STABLE function, without an index. The last two differ in nothing but the initplan.

Lint. schema_lint_info on 140 tables with 100 foreign keys and 500 indexes, as a process of its own: interpreter,
imports, connection and answer included.

Probe. row_security_probe with random probes, directly: probes a second, as the module counts them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _schema_data as data
from _common import (
    Summary,
    Verdict,
    add_common_arguments,
    at_least,
    at_most,
    main,
    memory_bytes,
    need,
    processors,
    report,
    show,
    summarise,
    table,
)
from _peers import Host, ours
from _schema_runner import Runner, reach
from _server import Server, choose_image

AUDIT_LIMIT, LINT_LIMIT = 30.0, 2.0
DATABASE, LINTED = "protection", "linted"
AUDITED = ("none", "by hand", "changed", "full")
COLUMNS = """id bigint PRIMARY KEY, customer_id bigint NOT NULL, status varchar(20) NOT NULL, quantity int NOT NULL,
    amount numeric(12, 2) NOT NULL, name text NOT NULL, email text NOT NULL, note text NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL"""
ROWS = """SELECT i, i % 997, 'open', i % 500, i % 9999 / 100.0, 'Name ' || i, i || '@example.org', repeat(md5(i::text), 3),
    timestamptz '2026-01-01Z' + i * interval '1 second', timestamptz '2026-01-01Z' FROM generate_series(1, {rows}) i"""
# what people write themselves: no months, no index, no record's key, no application's user, nothing redacted
BY_HAND = """CREATE TABLE by_hand (at timestamptz, who text, what text, old jsonb, new jsonb);
    CREATE FUNCTION by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE a jsonb := to_jsonb(OLD); b jsonb := to_jsonb(NEW);
    BEGIN
        SELECT jsonb_object_agg(n.key, a -> n.key), jsonb_object_agg(n.key, n.value) INTO a, b
        FROM jsonb_each(b) AS n WHERE n.value IS DISTINCT FROM a -> n.key;
        INSERT INTO by_hand VALUES (clock_timestamp(), session_user, TG_OP, a, b);
        RETURN NULL;
    END$$;
    CREATE TRIGGER by_hand AFTER UPDATE ON "audit_by hand" FOR EACH ROW EXECUTE FUNCTION by_hand()"""
UPDATE = 'UPDATE "audit_{name}" SET quantity = quantity + 1, updated_at = clock_timestamp()'
TENANT = 7
VISITS = """CREATE TABLE {name} (id bigint PRIMARY KEY, tenant_id bigint NOT NULL, n int NOT NULL, note text NOT NULL);
    INSERT INTO {name} SELECT i, i % 1000, i % 77, md5(i::text) FROM generate_series(1, {rows}) i;
    GRANT SELECT ON {name} TO visitor"""
WAYS = {
    "condition in the query": "SELECT count(*), sum(n) FROM visits_plain WHERE tenant_id = 7",
    "policy with its index": "SELECT count(*), sum(n) FROM visits",
    "policy without an index": "SELECT count(*), sum(n) FROM visits_bare",
    "bare STABLE function, no index": "SELECT count(*), sum(n) FROM visits_call",
}
CALLED = """CREATE FUNCTION tenant() RETURNS bigint STABLE LANGUAGE plpgsql
        AS $$BEGIN RETURN NULLIF(current_setting('app.user_id', true), '')::bigint; END$$;
    ALTER TABLE visits_call ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON visits_call TO visitor USING (tenant_id = tenant())"""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    add_common_arguments(parser, "protection.json")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds (5; quick: 2)")
    parser.add_argument("--only", default="audit,policy,lint,probe", help="parts to run, comma-separated")
    return parser.parse_args()


class Bench:
    """One server with one protected database and one to be linted."""

    def __init__(self, runner: Runner, quick: bool) -> None:
        self.runner, self.server = runner, runner.server
        self.rows, self.visits = (10_000, 50_000) if quick else (100_000, 500_000)
        self.probes = 500 if quick else 5_000
        self.sizes = data.QUICK

    def module(self, name: str, database: str, declared: Mapping[str, Any]) -> tuple[float, Any]:
        """Run one module; seconds and result."""
        return self.runner.one(name, database, declared=declared)

    def prepare(self) -> None:
        """Make the tables, and have the modules protect them."""
        self.server.query(f"CREATE DATABASE {DATABASE}", "postgres")
        self.server.query(f"CREATE DATABASE {LINTED}", "postgres")
        self.server.query("CREATE ROLE visitor LOGIN", "postgres")
        for name in AUDITED:
            rows = ROWS.format(rows=self.rows)
            self._run(f'CREATE TABLE "audit_{name}" ({COLUMNS}); INSERT INTO "audit_{name}" {rows}')
        self._run(BY_HAND)
        for name in ("visits", "visits_plain", "visits_bare", "visits_call"):
            self._run(VISITS.format(name=name, rows=self.visits))
        self._run("CREATE INDEX ON visits_plain (tenant_id)")
        tables = [{"name": "audit_changed"}, {"name": "audit_full", "mode": "full"}]
        self.module("audit", DATABASE, {"tables": tables})
        self.module("row_security", DATABASE, self.protected("visits", "visits_bare"))
        self._run("DROP INDEX visits_bare_tenant_id_rls_idx")
        self._run(CALLED)
        self._run("VACUUM (FREEZE, ANALYZE)")
        for statement in data.statements(self.sizes):
            self.server.query(statement, LINTED)
        self.module("indexes", LINTED, {"indexes": data.indexes()})
        self.module("check_constraints", LINTED, {"check_constraints": data.checks()})

    def protected(self, *names: str) -> dict[str, Any]:
        """A declaration of row security."""
        tables = [{"name": name, "owner_column": "tenant_id"} for name in names]
        return {"context": {"user": "app.user_id"}, "application_roles": ["visitor"], "tables": tables}

    def audit(self, name: str) -> dict[str, float]:
        """Change two columns of every row; microseconds of the backend's processor time and bytes of log for each."""
        self._run("TRUNCATE audit.log, by_hand", f'VACUUM (ANALYZE) "audit_{name}"', "CHECKPOINT")
        connection = self.server.connect(DATABASE)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pid = (cursor.fetchone() or (0,))[0]
                before, started = self._processor(pid), time.perf_counter()
                cursor.execute(UPDATE.format(name=name))
                seconds = time.perf_counter() - started
                used = self._processor(pid) - before
        finally:
            connection.close()
        size = """SELECT sum(pg_total_relation_size(relid)) + pg_total_relation_size('by_hand')
                  FROM pg_partition_tree('audit.log') WHERE isleaf"""
        ((log,),) = self.server.query(size, DATABASE)
        return {
            "processor_us": used / self.rows * 1e6,
            "wall_us": seconds / self.rows * 1e6,
            "log_bytes": float(log) / self.rows,
        }

    def policy(self, way: str) -> dict[str, float]:
        """What one tenant asks, in milliseconds: the mean of some runs on a warm connection."""
        runs = 3 if "no index" in way or "without" in way else 50
        connection = self.server.connect(DATABASE)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET max_parallel_workers_per_gather = 0; SET ROLE visitor; BEGIN")
                cursor.execute(f"SELECT set_config('app.user_id', '{TENANT}', true)")
                cursor.execute(WAYS[way])
                answer = cursor.fetchone()
                started = time.perf_counter()
                for _ in range(runs):
                    cursor.execute(WAYS[way])
                milliseconds = (time.perf_counter() - started) / runs * 1000
        finally:
            connection.close()
        return {"milliseconds": milliseconds, "rows": float((answer or (0,))[0])}

    def lint(self) -> dict[str, float]:
        """The whole module."""
        seconds, result = self.module("schema_lint_info", LINTED, {})
        return {"seconds": seconds, "findings": float(len(result["findings"]))}

    def probe(self) -> dict[str, float]:
        """Random probes, after the systematic ones."""
        told = {"context": {"user": "app.user_id"}, "application_role": "visitor", "probes": self.probes}
        tables = [{"name": "visits", "owner_column": "tenant_id"}]
        seconds, result = self.module("row_security_probe", DATABASE, {**told, "tables": tables})
        return {"seconds": seconds, "per_second": float(result["probes_per_second"])}

    def _processor(self, pid: int) -> float:
        """Seconds of processor time that a process of the container has used."""
        ticks = self.server.run(f"awk '{{print $14 + $15}}' /proc/{pid}/stat")
        return float(ticks) / os.sysconf("SC_CLK_TCK")

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self.server.query(statement, DATABASE)


Results = dict[str, list[dict[str, float]]]


def measure(bench: Bench, parts: list[str], rounds: int) -> Results:
    """Every case once a round, in rotating order."""
    results: Results = {}
    cases = [("audit", name) for name in AUDITED] + [("policy", way) for way in WAYS]
    cases = [case for case in cases if case[0] in parts]
    for number in range(rounds):
        started = time.monotonic()
        turn = number % len(cases) if cases else 0
        for part, name in cases[turn:] + cases[:turn]:
            found = bench.audit(name) if part == "audit" else bench.policy(name)
            results.setdefault(f"{part}: {name}", []).append(found)
        for part in ("lint", "probe"):
            if part in parts:
                results.setdefault(part, []).append(bench.lint() if part == "lint" else bench.probe())
        print(f"round {number + 1}/{rounds} {time.monotonic() - started:5.0f} s", flush=True)
    return results


def print_tables(found: Mapping[str, Mapping[str, Summary]]) -> None:
    """What was measured, part by part."""
    rows = [
        [name, show(case["processor_us"], digits=1), show(case["wall_us"], digits=1), f"{case['log_bytes'].median:.0f}"]
        for name, case in found.items()
        if name.startswith("audit")
    ]
    if rows:
        print("\n" + table(["for each changed row", "processor µs", "wall µs", "log bytes"], rows))
    rows = [
        [name, show(case["milliseconds"], digits=3), f"{case['rows'].median:.0f}"]
        for name, case in found.items()
        if name.startswith("policy")
    ]
    if rows:
        print("\n" + table(["one tenant's rows", "ms", "rows seen"], rows))
    for name, unit in (("lint", "seconds"), ("probe", "per_second")):
        if name in found:
            print(f"\n{name}: {show(found[name][unit])} {unit.replace('per_', 'probes a ')}")


def verdicts_of(found: Mapping[str, Mapping[str, Summary]], visits: int) -> list[Verdict]:
    """The limits."""
    verdicts = []
    if "audit: changed" in found:
        cost = found["audit: changed"]["processor_us"].median - found["audit: none"]["processor_us"].median
        verdicts.append(at_most("audit of changed columns, processor time of a row", cost, AUDIT_LIMIT, " µs"))
    if "lint" in found:
        verdicts.append(at_most("lint of 140 tables", found["lint"]["seconds"].median, LINT_LIMIT, " s"))
    for way in WAYS:
        if f"policy: {way}" in found:
            seen = found[f"policy: {way}"]["rows"]
            verdicts.append(at_least(f"{way}: rows of one tenant", seen.low, visits / 1000))
            verdicts.append(at_most(f"{way}: and of no other", seen.high, visits / 1000))
    return verdicts


def run() -> int:
    """Measure, print, judge."""
    options = arguments()
    need("ansible-playbook", "run scripts/setup and source the file it names")
    disk = os.statvfs(Path("/"))
    settings = ours(Host(memory_bytes(), processors(), disk.f_blocks * disk.f_frsize)).settings
    with (
        tempfile.TemporaryDirectory(prefix="pgstead-protection-") as directory,
        Server("pgstead-bench-protection", choose_image(options.image), keep=options.keep) as server,
    ):
        reach(server)
        server.configure(settings)
        bench = Bench(Runner(Path(directory), server), options.quick)
        bench.prepare()
        results = measure(bench, options.only.split(","), options.rounds or (2 if options.quick else 5))
    found = {case: {key: summarise([one[key] for one in many]) for key in many[0]} for case, many in results.items()}
    print_tables(found)
    body = {"settings": settings, "rows": bench.rows, "figures": found, "rounds": results}
    return report(options.output, options.quick, __doc__ or "", body, verdicts_of(found, bench.visits))


if __name__ == "__main__":
    main(run)
