"""Databases for the tests of the schema engine, and the ways in which every kind is driven through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.check_constraint import check_constraints
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import PgsteadError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import indexes
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target
from ansible_collections.pgstead.ops.plugins.module_utils._pg.engine import Options, Report, converge
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Executor, Limits
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_check import CheckConstraints
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_index import Indexes

if TYPE_CHECKING:
    from .conftest import Server

Item = Mapping[str, Any]
LIMITS = Limits(lock_timeout_ms=2000, lock_attempts=3, build_wait_seconds=20, run_wait_seconds=10)
HASTY = Limits(lock_timeout_ms=150, lock_attempts=2, build_wait_seconds=0.4, run_wait_seconds=0.3)
# not for these tests: a machine that loses its power
SETTINGS = """shared_preload_libraries = 'pg_stat_statements, auto_explain'
fsync = off
full_page_writes = off
autovacuum = off
max_connections = 30
max_prepared_transactions = 5
log_statement = all
log_line_prefix = '%p [%a] '
deadlock_timeout = 300ms
"""
TABLES = """
CREATE EXTENSION pg_trgm; CREATE EXTENSION bloom;
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id int REFERENCES users, status varchar(20), total numeric NOT NULL,
                     created_at timestamptz, doc jsonb, tags text[], span int4range, place point, note text,
                     code text NOT NULL, day date);
INSERT INTO users SELECT i, i || '@example.org' FROM generate_series(0, 9) i;
INSERT INTO orders SELECT i, i % 10, 'open', i, now(), '{}', '{}', '[1,3)', '(1,1)', 'n', i::text, '2026-01-01'
FROM generate_series(1, 200) i;
CREATE MATERIALIZED VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY 1;
CREATE VIEW open_orders AS SELECT * FROM orders WHERE status = 'open';
CREATE TABLE events (id int NOT NULL, at date NOT NULL, kind text) PARTITION BY RANGE (at);
CREATE TABLE events_01 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_02 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (kind);
CREATE TABLE events_02_a PARTITION OF events_02 FOR VALUES IN ('a');
CREATE TABLE events_02_b PARTITION OF events_02 FOR VALUES IN ('b');
INSERT INTO events SELECT i, date '2026-01-01' + i % 59, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END
FROM generate_series(1, 200) i;
"""
LEFT_BEHIND = """
SELECT relname FROM pg_class WHERE relname ~ '^pgstead_|_cc(new|old)'
UNION SELECT conname FROM pg_constraint WHERE conname ~ '^pgstead_'
UNION SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid
UNION SELECT name FROM pgstead.made WHERE name ~ '^pgstead_'
"""


@dataclass(frozen=True)
class Database:
    """One database of a real server, and what the two modules would do with it."""

    server: Server
    name: str

    @property
    def target(self) -> Target:
        return replace(self.server.target, database=self.name)

    @contextmanager
    def session(self, user: str = "postgres") -> Iterator[Any]:
        """A session as an application has one, in autocommit."""
        connection = psycopg2.connect(
            host=str(self.server.directory), port=self.target.port, dbname=self.name, user=user, application_name="app"
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def run(self, *statements: str) -> None:
        with self.session() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.session() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def indexes(self, items: Sequence[Item], *, purge: bool = False, **told: Any) -> Report:
        declared, problems = indexes(items, "public")
        if problems:
            raise SpecError(problems)
        return converge(Indexes(declared, purge=purge), self.options(**told))

    def checks(self, items: Sequence[Item], *, purge: bool = False, **told: Any) -> Report:
        declared, problems = check_constraints(items, "public")
        if problems:
            raise SpecError(problems)
        return converge(CheckConstraints(declared, purge=purge), self.options(**told))

    def options(self, **told: Any) -> Options:
        words: dict[str, Any] = {"target": self.target, "limits": LIMITS, "pause": lambda _seconds: None, **told}
        return Options(**words)

    def left_behind(self) -> list[str]:
        """Name what no finished run leaves: temporary names, invalid indexes."""
        return [name for (name,) in self.rows(LEFT_BEHIND)]


def prepare(server: Server) -> None:
    """Give a server the settings of these tests, unless it has them, and a template to copy."""
    if SETTINGS not in (server.data / "postgresql.conf").read_text():
        server.configure(SETTINGS)
        server.control("-m", "fast", "restart")
    if not Database(server, "postgres").rows("SELECT FROM pg_database WHERE datname = 'template_schema'"):
        server.run("CREATE DATABASE template_schema ENCODING 'UTF8' TEMPLATE template0")
        Database(server, "template_schema").run(TABLES)


@contextmanager
def database(server: Server, name: str = "schema_test") -> Iterator[Database]:
    """A database of its own with the tables above."""
    strategy = " STRATEGY file_copy" if server.version >= 15 else ""
    server.run(f"CREATE DATABASE {name} TEMPLATE template_schema{strategy}")
    try:
        yield Database(server, name)
    finally:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


def actions(report: Report) -> list[str]:
    return [change.action for change, _, _ in report.steps]


def round_trip(run: Any, items: Sequence[Item], **told: Any) -> Report:
    """Predict, apply exactly that, and find nothing to do afterwards; return what was applied."""
    predicted: Report = run(items, check_mode=True, **told)
    assert all(seconds is None for _, _, seconds in predicted.steps)
    applied: Report = run(items, **told)
    assert applied.plan == predicted.plan
    assert [step[:2] for step in applied.steps] == [step[:2] for step in predicted.steps]
    assert all(seconds is not None for _, _, seconds in applied.steps)
    again = run(items, **told)
    assert (again.plan.changes, again.plan.differences, again.plan.drift) == ((), (), ())
    return applied


def on(table: str, /, *columns: Any, **words: Any) -> Item:
    return {"table": table, "columns": list(columns), **words}


def orders(*columns: Any, **words: Any) -> Item:
    return on("orders", *columns, **words)


def definition(db: Database, name: str) -> str:
    ((text,),) = db.rows(
        "SET search_path = ''; SELECT pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
        f" WHERE c.relname = '{name}' AND i.indisvalid"
    )
    return str(text)


OLD_INDEXES = [
    orders("note", name="changed", unique=False),
    orders("day", name="former"),
    on("events", "id", name="tree"),
    orders("total", name="gone"),
    on("events", "at", name="gone_tree"),
    orders("tags", name="said"),
]
NEW_INDEXES = [
    orders("status", name="new", comment="why"),
    orders({"expression": "lower(note)"}, name="changed"),
    orders("day", name="latter"),
    on("events", "id", "kind", name="tree", comment="why"),
    orders(name="gone", state="absent"),
    on("events", name="gone_tree", state="absent"),
    orders("tags", name="said", comment="now"),
]
OLD_CHECKS = [
    {"table": "orders", "name": "changed", "expression": "total > 0"},
    {"table": "orders", "name": "gone", "expression": "id > 0"},
    {"table": "orders", "name": "said", "expression": "id > -1"},
]
NEW_CHECKS = [
    {"table": "orders", "name": "changed", "expression": "total >= 0", "comment": "why"},
    {"table": "events", "name": "new", "expression": "id >= 0"},
    {"table": "orders", "name": "gone", "state": "absent"},
    {"table": "orders", "name": "said", "expression": "id > -1", "comment": "now"},
]
INDEX_STEPS = (
    *("build", "analyze", "adopt", "swap", "drop", "rename", "comment"),
    *("create_only", "attach", "swap_tree", "drop_tree"),
)
CASES = {
    "indexes": (OLD_INDEXES, NEW_INDEXES, set(INDEX_STEPS)),
    "checks": (OLD_CHECKS, NEW_CHECKS, {"add", "validate", "swap", "drop", "comment"}),
}


@contextmanager
def instead(carry_out: Callable[..., None]) -> Iterator[None]:
    """Have every run in this process carry out its steps in another way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Executor, "carry_out", carry_out)
        yield


@contextmanager
def interrupted(*, after: int) -> Iterator[None]:
    """Break off every run in this process once it has carried out some steps."""
    whole = Executor.carry_out

    def carry_out(executor: Executor, *words: Any) -> None:
        if len(executor.done) == after:
            raise PgsteadError("broken off")
        whole(executor, *words)

    with instead(carry_out):
        yield
