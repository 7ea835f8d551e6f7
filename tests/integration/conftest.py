"""A real server of every supported major, on a socket of its own, run by an unprivileged user."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_partition import add_months
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, execute

from . import schema

MAJORS = (14, 15, 16, 17, 18)
# For what takes long and asks the server nothing that majors answer differently.
first_and_last = pytest.mark.parametrize("server", [MAJORS[0], MAJORS[-1]], indirect=True)
USER = "nobody" if os.geteuid() == 0 else Path("~").expanduser().name


@dataclass(frozen=True)
class Server:
    """A cluster that can be started with any configuration text."""

    version: int
    binaries: Path
    clients: Path
    directory: Path

    @property
    def target(self) -> Target:
        return Target(str(self.directory), 5400 + self.version, system_user=USER)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def command(self, *argv: str) -> None:
        prefix = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        done = subprocess.run([*prefix, *argv], capture_output=True, text=True, check=False, cwd="/")
        log = self.directory / "log"
        assert done.returncode == 0, done.stderr + (log.read_text()[-2000:] if log.exists() else "")

    def control(self, *words: str) -> None:
        pg_ctl = str(self.binaries / "pg_ctl")
        self.command(pg_ctl, "-D", str(self.data), "-w", "-l", str(self.directory / "log"), *words)

    def configure(self, text: str) -> None:
        """Write postgresql.conf; the socket is where the tests look for it, and nothing here has to outlive a power cut."""
        place = f"fsync = off\nunix_socket_directories = '{self.directory}'\nport = {self.target.port}\nlisten_addresses = ''\n"
        (self.data / "postgresql.conf").write_text(text + "\n" + place)

    def dump(self, database: str, *options: str) -> str:
        """Return what this major's pg_dump writes."""
        return self._client("pg_dump", database, *options)

    def restore(self, database: str, text: str) -> None:
        """Have this major's psql run a dump; the first error ends it."""
        self._client("psql", database, "-qX", "-v", "ON_ERROR_STOP=1", text=text)

    def _client(self, program: str, database: str, *options: str, text: str | None = None) -> str:
        where = ["-h", str(self.directory), "-p", str(self.target.port), "-U", "postgres", "-d", database]
        argv = [str(self.clients / program), *where, *options]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *statements: str, database: str = "postgres") -> None:
        target = Target(self.target.socket_directory, self.target.port, database, system_user=USER)
        with connect(target) as connection:
            for statement in statements:
                execute(connection, statement)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a major together, where several processes share them (pytest-xdist)."""
    for item in items:
        major = getattr(item, "callspec", None) and item.callspec.params.get("server")  # type: ignore[attr-defined]
        item.add_marker(pytest.mark.xdist_group(f"PostgreSQL {major}"))


@pytest.fixture(scope="session")
def packages() -> Path:
    script = Path(__file__).with_name("servers.sh")
    return Path(subprocess.check_output([str(script)], text=True).strip())


@pytest.fixture(scope="session", params=MAJORS)
def server(request: pytest.FixtureRequest, packages: Path) -> Iterator[Server]:
    directory = Path(tempfile.mkdtemp(prefix="pgstead-"))
    binaries, clients = (
        packages / f"node_modules/pg{request.param}/native/bin",
        packages / f"clients/{request.param}/bin",
    )
    made = Server(request.param, binaries, clients, directory)
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, USER)
        made.command(
            str(made.binaries / "initdb"), "-D", str(made.data), "-A", "trust", "-U", "postgres", "--locale=C", "-N"
        )
        made.configure("shared_preload_libraries = 'pg_stat_statements, auto_explain'\nmax_prepared_transactions = 5")
        made.control("start")
        yield made
        made.control("-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def prepared(server: Server) -> Server:
    """The server with what the tests of schemas need."""
    schema.prepare(server)
    return server


@pytest.fixture
def db(prepared: Server) -> Iterator[schema.Database]:
    with schema.database(prepared) as made:
        yield made


from . import audit_world, dump_world, recovery_world  # noqa: E402 - they call modules as their tests do, for which they need what is above


@pytest.fixture(scope="module")
def ready_to_audit(server: Server) -> Iterator[Server]:
    """The server with what the tests of audit trails copy: months, of which the next must not begin meanwhile."""
    now = datetime.now(UTC)
    left = datetime.combine(add_months(now.date().replace(day=1), 1), time.min, UTC) - now
    if left < timedelta(minutes=10):
        sleep(left.total_seconds() + 1)
    audit_world.prepare(server)
    yield server
    audit_world.forget(server)


@pytest.fixture
def bare(ready_to_audit: Server) -> Iterator[Server]:
    """Tables that nobody audits yet."""
    with audit_world.database(ready_to_audit, audited=False) as made:
        yield made


@pytest.fixture
def trail(ready_to_audit: Server) -> Iterator[Server]:
    """The same tables, audited."""
    with audit_world.database(ready_to_audit, audited=True) as made:
        yield made


@pytest.fixture(scope="session")
def dump_tools() -> None:
    subprocess.run([str(Path(__file__).with_name("tools.sh"))], check=True)


@pytest.fixture
def world(server: Server, dump_tools: None) -> Iterator[dump_world.World]:
    """A database to dump, and places for its dumps."""
    with dump_world.world(server) as made:
        yield made


@pytest.fixture(scope="module")
def model(server: Server) -> Iterator[Server]:
    """The server with what the tests of recovered instances copy."""
    recovery_world.prepare(server)
    yield server
    recovery_world.forget(server)


@pytest.fixture
def restored(model: Server) -> Iterator[Server]:
    """An instance that came back whole."""
    with recovery_world.database(model) as made:
        yield made
