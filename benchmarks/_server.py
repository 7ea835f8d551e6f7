"""A PostgreSQL 17 server of Debian 13 in a container: configured, restarted, loaded, killed."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg2
import psycopg2.extensions
from _common import BenchmarkError, need

IMAGE = "pgstead-host:trixie"
VERSION = 17
CLUSTER = "bench"
ROLE = "bench"
SOCKETS = "/bench-sockets"
CONF_D = f"/etc/postgresql/{VERSION}/{CLUSTER}/conf.d"
ENVIRONMENT = f"/etc/postgresql/{VERSION}/{CLUSTER}/environment"
LOG = f"/var/log/postgresql/postgresql-{VERSION}-{CLUSTER}.log"


def docker(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run docker and give its output."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise BenchmarkError(f"docker {' '.join(arguments[:6])} failed: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def choose_image(wanted: str | None) -> str:
    """The image asked for, or the one scripts/setup builds."""
    need("docker", "apt install docker.io, or run scripts/setup")
    image = wanted or IMAGE
    if not docker("image", "ls", "--quiet", image).strip():
        raise BenchmarkError(f"there is no container image {image}: run scripts/setup, which builds {IMAGE}")
    return image


@dataclass(frozen=True)
class PgbenchResult:
    """What one pgbench run reported."""

    transactions: int
    seconds: float
    tps: float
    latency_ms: float
    connect_ms: float


class Server:
    """One container with one PostgreSQL cluster; use it as a context manager."""

    def __init__(self, name: str, image: str, *, checksums: bool = True, keep: bool = False) -> None:
        self.name, self.image, self.checksums, self.keep = name, image, checksums, keep
        self.password = secrets.token_hex(16)
        self.sockets = Path(tempfile.mkdtemp(prefix="pgstead-bench-"))

    def __enter__(self) -> Self:
        docker("rm", "--force", "--volumes", self.name, check=False)
        docker(
            "run",
            "--detach",
            "--name",
            self.name,
            "--shm-size=4g",
            "--pull=never",
            "--init",
            "--volume",
            f"{self.sockets}:{SOCKETS}",
            "--entrypoint",
            "sleep",
            self.image,
            "infinity",
        )
        self.sockets.chmod(0o777)
        self._install()
        return self

    def __exit__(self, *_exception: object) -> None:
        if not self.keep:
            docker("rm", "--force", "--volumes", self.name, check=False)
            shutil.rmtree(self.sockets, ignore_errors=True)

    def run(self, command: str, user: str = "root", stdin: str | None = None) -> str:
        """Run a shell command in the container."""
        interactive = ["--interactive"] if stdin is not None else []
        return docker("exec", *interactive, "--user", user, self.name, "sh", "-ec", command, stdin=stdin)

    def processor_seconds(self) -> float:
        """Processor time that the container has used (control groups version 2, or 1)."""
        two, one = "/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage"
        text = self.run(f"if [ -e {two} ]; then awk '/^usage_usec/ {{print $2 \"000\"}}' {two}; else cat {one}; fi")
        return float(text) / 1e9

    def _install(self) -> None:
        self.run(
            "export DEBIAN_FRONTEND=noninteractive; mkdir -p /etc/postgresql-common;"
            " printf 'create_main_cluster = false\\nadd_include_dir = conf.d\\n'"
            " > /etc/postgresql-common/createcluster.conf;"
            " command -v pgbench >/dev/null && command -v pgbouncer >/dev/null || { apt-get -qq update;"
            f" apt-get -qq install --no-install-recommends postgresql-{VERSION} pgbouncer procps >/dev/null; }}"
        )
        checksums = "--data-checksums" if self.checksums else ""
        self.run(f"pg_createcluster --locale C.UTF-8 {VERSION} {CLUSTER} -- {checksums}")
        hba = f"/etc/postgresql/{VERSION}/{CLUSTER}/pg_hba.conf"
        self.run(f"sed -i '1i local all {ROLE} scram-sha-256' {hba}")
        self.write(f"{CONF_D}/00-reach.conf", f"unix_socket_directories = '/var/run/postgresql, {SOCKETS}'\n")
        self.control("start")
        self.run(f"psql -qc \"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD '{self.password}'\"", user="postgres")
        self.run("createdb bench", user="postgres")

    def write(self, path: str, content: str) -> None:
        """Write a file in the container, for the user postgres to read."""
        self.run(f"cat > {path}; chown postgres: {path}", stdin=content)

    def control(self, action: str) -> None:
        """pg_ctlcluster, with the server's own words when it fails."""
        try:
            self.run(f"pg_ctlcluster {VERSION} {CLUSTER} {action}")
        except BenchmarkError as error:
            log = self.run(f"tail -n 20 {LOG}")
            raise BenchmarkError(f"{error}\n{log}") from error

    def configure(self, settings: Mapping[str, str], environment: Mapping[str, str] | None = None) -> None:
        """Replace the configuration under test and restart; a setting that did not land is an error."""
        for path, values in ((f"{CONF_D}/50-candidate.conf", settings), (ENVIRONMENT, environment or {})):
            self.write(path, "".join(f"{name} = '{value}'\n" for name, value in values.items()))
        self.control("restart")
        errors = self.query("SELECT name || ': ' || error FROM pg_file_settings WHERE error IS NOT NULL")
        if errors:
            raise BenchmarkError(f"the server refuses: {errors}")

    def connect(self, database: str = "bench", port: int = 5432) -> psycopg2.extensions.connection:
        """An autocommit connection over the shared socket directory: no network between, nothing to route."""
        connection = psycopg2.connect(
            host=str(self.sockets), port=port, dbname=database, user=ROLE, password=self.password, connect_timeout=10
        )
        connection.autocommit = True
        return connection

    def query(self, sql: str, database: str = "bench") -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own and give its rows."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def pgbench(self, arguments: Sequence[str], environment: str = "") -> PgbenchResult:
        """Run pgbench in the container as postgres, by default over the local socket."""
        command = f"{environment} /usr/lib/postgresql/{VERSION}/bin/pgbench {' '.join(arguments)} bench 2>&1"
        started = time.perf_counter()
        output = self.run(command.strip(), user="postgres")
        seconds = time.perf_counter() - started

        def figure(pattern: str) -> float:
            found = re.search(pattern, output)
            return float(found.group(1)) if found else 0.0

        tps = figure(r"tps = ([\d.]+)")
        if not tps:
            raise BenchmarkError(f"pgbench gave no result: {output[-600:]}")
        connect = figure(r"initial connection time = ([\d.]+)") or figure(r"average connection time = ([\d.]+)")
        return PgbenchResult(
            int(figure(r"actually processed: (\d+)")), seconds, tps, figure(r"latency average = ([\d.]+)"), connect
        )

    def pgbench_init(self, scale: int) -> None:
        """pgbench's own tables at a scale, vacuumed."""
        self.run(f"/usr/lib/postgresql/{VERSION}/bin/pgbench -i -q -s {scale} bench 2>&1", user="postgres")

    def crash(self) -> None:
        """Kill every process of the cluster at once, as the kernel would: nothing is flushed, nothing says goodbye."""
        docker("exec", "--user", "postgres", self.name, "sh", "-c", "kill -KILL -1", check=False)
        deadline = time.monotonic() + 30
        while self.run("pgrep -u postgres -c postgres || true").strip() != "0":
            if time.monotonic() > deadline:
                raise BenchmarkError("the killed server still has processes after 30 s")
            time.sleep(0.05)

    def recover(self) -> float:
        """Start the killed server; seconds from the start command until it accepts a connection."""
        started = time.perf_counter()
        docker("exec", "--detach", self.name, "pg_ctlcluster", str(VERSION), CLUSTER, "start")
        while time.perf_counter() - started < 600:
            try:
                self.connect().close()
                return time.perf_counter() - started
            except psycopg2.OperationalError:
                time.sleep(0.02)
        raise BenchmarkError("the killed server does not accept connections after 600 s")
