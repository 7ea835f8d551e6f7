"""A database worth dumping, the job that dumps it as the host's command would, and a place for what it makes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.pgstead.ops.plugins.module_utils._agent import backup_dumps
from ansible_collections.pgstead.ops.plugins.module_utils._agent.run import become
from ansible_collections.pgstead.ops.plugins.module_utils._agent.supervise import within
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict
from ansible_collections.pgstead.ops.plugins.module_utils._host import poolers
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_programs import Programs
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_work import give
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import connect, rows
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome
from ansible_collections.pgstead.ops.plugins.modules import database_restore, dump_info

from .conftest import USER, Server

DATABASE = "the shop"
FOLDER = "the%20shop"
SETUP = """
CREATE EXTENSION hstore;
CREATE SCHEMA "odd schema";
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, at date NOT NULL);
CREATE TABLE "odd schema"."Odd table" (v hstore);
CREATE TABLE log (at date NOT NULL, line text) PARTITION BY RANGE (at);
CREATE TABLE log_2025 PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE cache (id int, filler text) WITH (autovacuum_enabled = off); -- never analysed
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, count(*) AS n FROM orders GROUP BY 1;
INSERT INTO customers SELECT i, 'name ' || i FROM generate_series(1, 50) i;
INSERT INTO orders SELECT i, 1 + i % 50, '2025-01-01' FROM generate_series(1, 1000) i;
INSERT INTO "odd schema"."Odd table" VALUES ('a=>1'), ('b=>2');
INSERT INTO log SELECT '2025-06-01', md5(i::text) FROM generate_series(1, 300) i;
INSERT INTO cache SELECT i, repeat('x', 100) FROM generate_series(1, 500) i;
ALTER TABLE orders OWNER TO dump_owner;
COMMENT ON CONSTRAINT orders_customer_id_fkey ON orders IS 'who pays';
"""
AROUND = f"""
ALTER DATABASE "{DATABASE}" OWNER TO dump_owner;
ALTER DATABASE "{DATABASE}" SET search_path = "$user", "odd schema", public;
ALTER DATABASE "{DATABASE}" SET work_mem = '7MB';
ALTER DATABASE "{DATABASE}" SET app.motto = 'it''s \\ fine';
ALTER ROLE dump_reader IN DATABASE "{DATABASE}" SET statement_timeout = '5s';
ALTER DATABASE "{DATABASE}" CONNECTION LIMIT 77;
REVOKE CONNECT ON DATABASE "{DATABASE}" FROM PUBLIC;
GRANT CONNECT ON DATABASE "{DATABASE}" TO dump_reader WITH GRANT OPTION;
COMMENT ON DATABASE "{DATABASE}" IS 'sells things'
"""
COUNTS = {
    "odd schema.Odd table": 2,
    "public.cache": 500,
    "public.customers": 50,
    "public.log_2025": 300,
    "public.orders": 1000,
}


@dataclass(frozen=True)
class World:
    """A server with the database, and directories that its user may write."""

    server: Server
    directory: Path
    recipient: str
    others: frozenset[str] = frozenset()  # databases that were there before

    @property
    def work(self) -> Path:
        return self.directory / "work"

    @property
    def identity(self) -> Path:
        return self.directory / "identity"

    @property
    def store(self) -> Path:
        """Where remote `here` keeps the dumps of the database."""
        return self.directory / "here" / "db1" / "main" / FOLDER

    @property
    def programs(self) -> Programs:
        return Programs(USER)

    def settings(self, **changed: Any) -> dict[str, Any]:
        found = {
            "host": "db1",
            "cluster": "main",
            "programs": str(self.server.clients.parents[1]),
            "work_directory": str(self.work),
            "rclone_config": str(self.directory / "rclone.conf"),
            "encryption": {"method": "age", "recipients": [self.recipient]},
            "remotes": [remote("here", self.directory / "here")],
            "retention": {"hourly": 24, "daily": 240, "weekly": 0, "monthly": 0},
            "databases": [database()],
        }
        return found | changed

    def dump(self, before: Callable[[], Any] = lambda: None, **changed: Any) -> Verdict:
        """Run the job as the host's command does: in a process of its own, as the user of jobs."""
        where = self.server.target
        config = Config(
            USER, str(self.directory), where.socket_directory, where.port, 5, {}, str(self.directory / "metrics")
        )
        # the user that asks is its own in these servers, and is called postgres in the database
        target = dataclasses.replace(where, database=DATABASE)

        def work() -> Verdict:
            become(USER)
            before()
            backup_dumps.target = lambda _config, name: dataclasses.replace(target, database=name)  # type: ignore[assignment]
            return backup_dumps.run(config, self.settings(**changed))

        return within(120, work)

    def facts(self, **changed: Any) -> dict[str, Any]:
        """Return what a run says of the database, having seen that it went well."""
        verdict = self.dump(**changed)
        assert verdict.status == "ok", verdict.reason
        return dict(verdict.facts["databases"][DATABASE])

    def stored(self) -> list[str]:
        return sorted(path.name for path in self.store.iterdir())

    def manifest(self) -> tuple[Path, dict[str, Any]]:
        """Return the newest manifest in `here`."""
        path = max(self.store.glob("*.json"))
        return path, json.loads(path.read_text())

    def ask(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        with connect(dataclasses.replace(self.server.target, database=database)) as connection:
            return rows(connection, sql)

    def databases(self) -> list[str]:
        """Return the databases that were not there before."""
        return [name for name in listed(self.server) if name not in self.others]

    def left(self) -> list[Path]:
        return list(self.work.iterdir())


def listed(server: Server) -> list[str]:
    with connect(server.target) as connection:
        return [name for (name,) in rows(connection, "SELECT datname FROM pg_database ORDER BY 1")]


def remote(name: str, path: Path, *, kind: str = "local") -> dict[str, Any]:
    return {"name": name, "type": kind, "path": str(path), "offsite": False}


def database(**changed: Any) -> dict[str, Any]:
    return {"database": DATABASE, "exclude_table_data": [], "jobs": 2, "count": "exact"} | changed


def key(path: Path) -> str:
    """Make a secret key of age; return its public key."""
    path.unlink(missing_ok=True)
    subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
    path.chmod(0o600)
    return subprocess.check_output(["age-keygen", "-y", str(path)], text=True).strip()


def directory(path: Path, mode: int = 0o700) -> Path:
    path.mkdir(mode=mode)
    give(path, USER)
    return path


@contextmanager
def world(server: Server) -> Iterator[World]:
    """Make the database and everything around it, and take it all away again."""
    place = directory(server.directory / "dumps")
    for name in ("work", "here", "there"):
        directory(place / name)
    config = place / "rclone.conf"
    config.write_text("[here]\ntype = local\n[there]\ntype = local\n")
    config.chmod(0o640)
    shutil.chown(config, group=place.stat().st_gid)
    made = World(server, place, key(place / "identity"), frozenset(listed(server)))
    shared, poolers.WAITING = poolers.WAITING, place / "paused"  # other majors' tests run beside
    server.run("CREATE ROLE dump_owner", "CREATE ROLE dump_reader LOGIN", f'CREATE DATABASE "{DATABASE}"')
    try:
        server.run(SETUP, database=DATABASE)
        server.run(*AROUND.split(";\n"))
        yield made
    finally:
        for name in made.databases():
            server.run(f'DROP DATABASE "{name}" WITH (FORCE)')
        poolers.WAITING = shared
        server.run("DROP ROLE dump_owner, dump_reader")
        shutil.rmtree(place)


def restored(world: World, *, check: bool = False, **changed: Any) -> Outcome:
    """Call the module as Ansible does."""
    arguments = {
        "database": DATABASE,
        "remote": f"here:{world.store}",
        "identity_file": str(world.identity),
        "login_unix_socket": world.server.target.socket_directory,
        "login_port": world.server.target.port,
        "system_user": USER,
        "programs_directory": str(world.server.clients.parents[1]),
        "work_directory": str(world.work),
        "rclone_config": str(world.directory / "rclone.conf"),
    }
    result = ArgumentSpecValidator(database_restore.ARGUMENTS).validate(arguments | changed)
    assert result.error_messages == []
    return database_restore.job(result.validated_parameters, Context(lambda _argv: (1, "", ""), check))


def surveyed(world: World, verify: str = "none") -> list[dict[str, Any]]:
    """Return what the module says of the dumps of the database, oldest first."""
    return list(looked_at(world, str(world.store), verify)["dumps"])


def looked_at(world: World, place: str, verify: str = "none") -> dict[str, Any]:
    """Return what the module says of a place."""
    arguments = {
        "database": DATABASE,
        "remote": f"here:{place}",
        "verify": verify,
        "system_user": USER,
        "work_directory": str(world.work),
        "rclone_config": str(world.directory / "rclone.conf"),
    }
    return dict(dump_info.job(arguments, Context(lambda _argv: (1, "", ""), False)).data)


def described(world: World, name: str) -> list[tuple[Any, ...]]:
    """Return everything that belongs to a database and is not in it."""
    return world.ask(
        "postgres",
        f"""SELECT pg_get_userbyid(datdba), encoding, datcollate, datctype, datconnlimit, datacl::text, datallowconn,
            shobj_description(d.oid, 'pg_database'),
            (SELECT array_agg(setrole::regrole::text || c ORDER BY setrole, c)
             FROM pg_db_role_setting, unnest(setconfig) c WHERE setdatabase = d.oid)
            FROM pg_database d WHERE datname = '{name}'""",
    )
