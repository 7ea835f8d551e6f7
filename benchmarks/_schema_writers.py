"""How long a writer waits, per kind of change: alone, while the change is applied, and while somebody is in its way.

Every kind has a table of its own, prepared so that the module has exactly that change to make. One writer inserts and
updates single rows as fast as it can. The change is applied twice, on two such tables: undisturbed, and with a
transaction that holds a conflicting lock until lock_timeout and half a second have passed since the change was first
seen waiting, so that it has to give up at least once, or, where it waits without blocking anyone, to wait on.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from _common import BenchmarkError
from _schema_data import Item
from _server import Server

LOCK_TIMEOUT, SLACK = 2.0, 0.25
READER = "SELECT count(*) FROM (SELECT 1 FROM {leaf} LIMIT 1) one"
WRITER = "UPDATE {table} SET note = 'held' WHERE id = 0"
SAME_LOCK = "LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE"
ON_INDEX = "COMMENT ON INDEX {index} IS 'held'"
OURS = "managed by pgstead.ops.{}"


@dataclass(frozen=True)
class Kind:
    """One kind of change: what stands before, what is declared, what is planned then, and what is in its way."""

    name: str
    actions: tuple[str, ...]
    declared: Item
    setup: tuple[str, ...] = ()
    blocker: str = READER
    module: str = "indexes"
    partitioned: bool = False


@dataclass
class Latencies:
    """What one writer saw, in seconds."""

    seconds: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.seconds)
        return {"longest": ordered[-1], "p99": ordered[int(len(ordered) * 0.99)], "writes": len(ordered)}


Apply = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]  # module, parameters → result


def kinds() -> list[Kind]:
    """Every kind of change that the engine makes; `{new}` is the name under which it builds."""
    two = {"columns": ["status", "created_at"], "name": "{index}"}
    keys = {"columns": ["id", "created_at"], "unique": True, "name": "{index}"}
    one = {**two, "columns": ["status"]}
    new, old = "CREATE INDEX {new} ON {table} (status, created_at)", "CREATE INDEX {index} ON {table} (status)"
    mark = f"COMMENT ON INDEX {{index}} IS '{OURS.format('indexes')}'"
    check = {"name": "{index}", "expression": "amount >= 0"}
    add, holds = "ALTER TABLE {table} ADD CONSTRAINT", "CHECK (amount >= 0)"
    identity = (
        "CREATE UNIQUE INDEX {index} ON {table} (id, uuid)",
        "ALTER TABLE {table} REPLICA IDENTITY USING INDEX {index}",
        "CREATE UNIQUE INDEX {new} ON {table} (id, created_at)",
    )
    leaves = tuple(f"CREATE INDEX {{table}}_{n}_i ON {{table}}_{n} (status)" for n in (0, 1))
    checks: dict[str, Any] = {"module": "check_constraints"}
    tree: dict[str, Any] = {"partitioned": True}
    gone = {"name": "{index}", "state": "absent"}
    aside = ON_INDEX.replace("{index}", "{index}_before")
    return [
        Kind("index: build, adopt", ("build", "adopt"), two, (), WRITER),
        Kind("index: adopt", ("adopt",), two, (new,), ON_INDEX.replace("{index}", "{new}")),
        Kind(
            "index: rename",
            ("rename",),
            one,
            (old.replace("{index}", "{index}_before"), mark.replace("{index}", "{index}_before")),
            aside,
        ),
        Kind("index: swap, drop the old", ("swap", "drop"), two, (old, new), ON_INDEX),
        Kind("index: swap of a replica identity", ("swap", "drop"), keys, identity),
        Kind("index: drop", ("drop",), gone, (old,), WRITER),
        Kind(
            "partitioned: all steps",
            ("create_only", "build", "attach", "build", "attach"),
            two,
            (),
            WRITER,
            **tree,
        ),
        Kind(
            "partitioned: attach",
            ("attach", "attach"),
            one,
            ("CREATE INDEX {index} ON ONLY {table} (status)", *leaves),
            **tree,
        ),
        Kind("partitioned: swap", ("swap_tree",), two, (old, new), **tree),
        Kind("partitioned: drop", ("drop_tree",), gone, (old,), **tree),
        Kind("check: add", ("add",), {**check, "validated": False}, **checks),
        Kind(
            "check: validate",
            ("validate",),
            check,
            (f"{add} {{index}} {holds} NOT VALID",),
            SAME_LOCK,
            **checks,
        ),
        Kind(
            "check: swap",
            ("swap",),
            check,
            (f"{add} {{index}} CHECK (amount >= -1)", f"{add} {{new_check}} {holds}"),
            **checks,
        ),
        Kind("check: drop", ("drop",), gone, (f"{add} {{index}} {holds}",), **checks),
    ]


def _names(table: str, partitioned: bool) -> dict[str, str]:
    from ansible_collections.pgstead.ops.plugins.module_utils._core import check_constraint, index
    from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName

    return {
        "table": table,
        "leaf": f"{table}_1" if partitioned else table,
        "index": f"{table}_i",
        "new": index.temporary_name(QualifiedName("public", table), f"{table}_i"),
        "new_check": check_constraint.temporary_name(f"{table}_i"),
    }


def _prepare(server: Server, database: str, kind: Kind, names: Mapping[str, str], rows: int) -> None:
    table = names["table"]
    parts = "PARTITION BY HASH (id)" if kind.partitioned else ""
    columns = (
        "id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, uuid uuid NOT NULL, status text NOT NULL,"
        " amount numeric NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), note text"
    )
    values = "i, md5(i::text)::uuid, 'status ' || i % 9, i, repeat(md5(i::text), 4)"
    sql = [f"CREATE TABLE {table} ({columns}) {parts}"]
    if kind.partitioned:
        sql += [
            f"CREATE TABLE {table}_{n} PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER {n})" for n in (0, 1)
        ]
    sql += [
        f"INSERT INTO {table} (id, uuid, status, amount, note) SELECT {values} FROM generate_series(0, {rows}) i",
        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {rows})",
        *(statement.format(**names) for statement in kind.setup),
        f"VACUUM ANALYZE {table}",
        "CHECKPOINT",
    ]
    for statement in sql:
        server.query(statement, database)


@contextmanager
def _writer(server: Server, database: str, table: str) -> Iterator[Latencies]:
    """One writer, for as long as the body takes."""
    seen, stop, failed = Latencies(), threading.Event(), []
    chance = random.Random(table)

    def write() -> None:
        connection = server.connect(database)
        insert = f"INSERT INTO {table} (uuid, status, amount) VALUES (gen_random_uuid(), 'new', 1)"
        try:
            with connection.cursor() as cursor:
                while not stop.is_set():
                    update = f"UPDATE {table} SET amount = amount + 1 WHERE id = {chance.randint(1, 1000)}"
                    for statement in (insert, update):
                        started = time.perf_counter()
                        cursor.execute(statement)
                        seen.seconds.append(time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - raised where the writer is stopped
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    if failed:
        raise BenchmarkError(f"the writer of {table} failed: {failed[0]}")


@contextmanager
def _in_the_way(server: Server, database: str, statement: str) -> Iterator[list[float]]:
    """Hold a lock until the change has waited for longer than lock_timeout; gives how long it was seen waiting."""
    holder, eyes, done = server.connect(database), server.connect(database), threading.Event()
    waited: list[float] = []
    with holder.cursor() as cursor:
        cursor.execute(f"BEGIN; {statement}")

    def release() -> None:
        since = 0.0
        with eyes.cursor() as cursor, holder.cursor() as held:
            while not done.wait(0.02):
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgstead'"
                    " AND wait_event_type = 'Lock'"
                )
                since = since or (time.monotonic() if cursor.fetchone() != (0,) else 0.0)
                if since and time.monotonic() - since > LOCK_TIMEOUT + 0.5:
                    waited.append(time.monotonic() - since)
                    break
            held.execute("ROLLBACK")

    thread = threading.Thread(target=release, daemon=True)
    thread.start()
    try:
        yield waited
    finally:
        done.set()
        thread.join()
        holder.close()
        eyes.close()


def measure(server: Server, database: str, rows: int, quiet_seconds: float, apply: Apply) -> dict[str, Any]:
    """Per kind: the writer's figures without a change, with it, and with it and somebody in its way."""
    found: dict[str, Any] = {}
    for number, kind in enumerate(kinds()):
        figures: dict[str, Any] = {}
        for case in ("applied", "in the way"):
            names = _names(f"w{number}_{case.replace(' ', '_')}", kind.partitioned)
            _prepare(server, database, kind, names, rows)
            if case == "applied":
                with _writer(server, database, names["table"]) as seen:
                    time.sleep(quiet_seconds)
                figures["alone"] = seen.figures()
            declared = {
                key: value.format(**names) if isinstance(value, str) else value for key, value in kind.declared.items()
            }
            parameters = {kind.module: [{"table": names["table"], **declared}]}
            started = time.perf_counter()
            if case == "applied":
                with _writer(server, database, names["table"]) as seen:
                    result = apply(kind.module, parameters)
            else:
                blocker = kind.blocker.format(**names)
                with (
                    _in_the_way(server, database, blocker) as waited,
                    _writer(server, database, names["table"]) as seen,
                ):
                    result = apply(kind.module, parameters)
                if not waited:
                    raise BenchmarkError(f"{kind.name}: {blocker} was in nobody's way")
            actions = tuple(step["action"] for step in result["plan"])
            if actions != kind.actions:
                raise BenchmarkError(f"{kind.name}: planned {actions}, and not {kind.actions}")
            figures[case] = {**seen.figures(), "seconds": time.perf_counter() - started}
            server.query(f"DROP TABLE {names['table']}", database)
        found[kind.name] = figures
        print(f"writers    {kind.name}", flush=True)
    return found
