"""Restored instances for the probe: a database that is whole, and clusters of their own that can be damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import NotRecovered
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, rows
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome
from ansible_collections.pgstead.ops.plugins.modules import recovery_probe

from .conftest import USER, Server

DATABASE = "restored"
PAGE_BYTES = 8192
TABLES = """
CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id int NOT NULL REFERENCES users, total numeric NOT NULL, note text);
CREATE SEQUENCE down INCREMENT -1 MAXVALUE -1 START -1;
CREATE TABLE ledger (id int DEFAULT nextval('down'));
ALTER SEQUENCE down OWNED BY ledger.id;
INSERT INTO users (email) SELECT i || '@example.org' FROM generate_series(1, 50) i;
INSERT INTO orders (user_id, total, note) SELECT 1 + i % 50, i, repeat('x', 100) FROM generate_series(1, 2000) i;
INSERT INTO ledger SELECT FROM generate_series(1, 5);
CREATE INDEX orders_note ON orders (note, id);
GRANT SELECT ON users, orders TO restored_reader;
"""
# Everything that a database that is whole passes.
WHOLE: dict[str, Any] = {
    "sequences": True,
    "invalid_indexes": True,
    "unvalidated_constraints": True,
    "dump": True,
    "amcheck": {"install_missing": True},
    "canary": [{"database": DATABASE, "table": "users", "key": "id", "present": ["1", "50"], "absent": ["51"]}],
    "counts": {"rows": {DATABASE: {"users": 50, "public.orders": 2000}}},
    "roles": ["restored_reader"],
    "extensions": [{"database": DATABASE, "name": "pgcrypto"}],
    "settings": {"fsync": False, "listen_addresses": ""},
    "statements": [
        {
            "name": "orders have customers",
            "database": DATABASE,
            "role": "restored_reader",
            "sql": "SELECT count(*) FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE u.id IS NULL",
            "value": 0,
        }
    ],
}


def prepare(server: Server) -> None:
    server.run("CREATE ROLE restored_reader", "CREATE DATABASE restored_model")
    server.run("CREATE EXTENSION pgcrypto", TABLES, database="restored_model")


def forget(server: Server) -> None:
    server.run("DROP DATABASE restored_model", "DROP ROLE restored_reader")


@contextmanager
def database(server: Server) -> Iterator[Server]:
    server.run(f"CREATE DATABASE {DATABASE} TEMPLATE restored_model")
    try:
        yield server
    finally:
        server.run(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def call(server: Server, checks: dict[str, Any], *, check_mode: bool = False, **options: Any) -> Outcome:
    """Call the module's job as AnsibleModule would."""
    here = {
        "login_unix_socket": server.target.socket_directory,
        "login_port": server.target.port,
        "system_user": USER,
        "binaries": str(server.clients),
        "databases": [DATABASE],
    }
    result = ArgumentSpecValidator(recovery_probe.ARGUMENTS).validate({**here, **options, "checks": checks})
    assert result.error_messages == []
    return recovery_probe.job(result.validated_parameters, Context(run, check_mode))


def run(argv: Sequence[str], *_more: object) -> tuple[int, str, str]:
    done = subprocess.run(list(argv), capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout, done.stderr


def found(server: Server, checks: dict[str, Any], **options: Any) -> dict[str, tuple[str, str]]:
    """Return status and words of every check, whatever the probe comes to."""
    try:
        data = call(server, checks, **options).data
    except NotRecovered as error:
        data = error.data
    return {each["check"]: (each["status"], each["words"]) for each in data["checks"]}


def answers(server: Server, sql: str, database_name: str = DATABASE) -> list[tuple[Any, ...]]:
    target = Target(server.target.socket_directory, server.target.port, database_name, system_user=USER)
    with connect(target) as connection:
        return rows(connection, sql)


@contextmanager
def cluster(server: Server) -> Iterator[Server]:
    """Yield a stopped cluster with data checksums, of the same major, with the restored database in it."""
    with _directory() as directory:
        made = replace(server, directory=directory)
        options = ("-A", "trust", "-U", "postgres", "--locale=C", "-N", "--data-checksums")
        made.command(str(made.binaries / "initdb"), "-D", str(made.data), *options)
        made.configure("max_wal_senders = 0\nwal_level = minimal\n")
        made.control("start")
        prepare(made)
        made.run(f"ALTER DATABASE restored_model RENAME TO {DATABASE}")
        made.control("-m", "fast", "stop")
        yield made


@contextmanager
def copied(stopped: Server) -> Iterator[Server]:
    """Yield a copy of a stopped cluster; it is stopped afterwards where it was started."""
    with _directory() as directory:
        copy = replace(stopped, directory=directory)
        copy.command("cp", "-a", str(stopped.data), str(copy.data))
        copy.configure("max_wal_senders = 0\nwal_level = minimal\n")
        yield copy
        if (copy.data / "postmaster.pid").exists():
            copy.control("-m", "immediate", "stop")


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pgstead-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(path, USER)
        yield path
    finally:
        shutil.rmtree(path)


def file_of(running: Server, relation: str) -> Path:
    """Return where a relation lies, relative to the data directory."""
    return Path(answers(running, f"SELECT pg_relation_filepath('{relation}')")[0][0])


def flip(path: Path, page: int, offset: int) -> None:
    """Turn the bits of a few bytes of a page around."""
    content = bytearray(path.read_bytes())
    start = page * PAGE_BYTES + offset
    content[start : start + 8] = bytes(byte ^ 0xFF for byte in content[start : start + 8])
    path.write_bytes(content)
