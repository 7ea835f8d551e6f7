"""What the scenarios' tests share: the hosts, a client outside of them, and runs of the play with other variables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import psycopg2
import testinfra
import yaml

SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
VERSIONS: dict[str, int] = {
    path.stem: yaml.safe_load(path.read_text())["postgresql_version"]
    for path in sorted((SCENARIO / "inventory" / "host_vars").glob("*.yml"))
}
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One run of a playbook: exit code, output, and (changed, failed) by host."""

    code: int
    output: str
    changed: dict[str, int]
    failed: dict[str, int]


def play(*extra: str, playbook: str = "pgstead.ops.provision", **variables: Any) -> Run:
    """Run a playbook on both hosts with further variables."""
    argv = ["ansible-playbook", playbook, "-i", str(SCENARIO / "inventory"), "-e", json.dumps(variables), *extra]
    plain = os.environ | {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=plain)
    output = done.stdout + done.stderr
    recap = RECAP.findall(output)
    return Run(
        done.returncode,
        output,
        {host: int(changed) for host, changed, _unreachable, _failed in recap},
        {host: int(failed) + int(unreachable) for host, _changed, unreachable, failed in recap},
    )


def check_schema(record: dict[str, Any], name: str) -> None:
    """Hold a record against the schema that the documentation promises."""
    schema = json.loads((SCENARIO.parents[1] / "docs/schemas" / f"{name}.json").read_text())
    jsonschema.validate(record, schema)


def settle() -> None:
    """Bring the hosts back to the inventory, and see that they stay there."""
    run = play()
    assert run.code == 0, run.output


@dataclass(frozen=True)
class Server:
    """One host as its clients and its administrator see it."""

    name: str
    host: Any

    @property
    def version(self) -> int:
        return VERSIONS[self.name]

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-main"

    @property
    def configuration(self) -> str:
        return f"/etc/postgresql/{self.version}/main"

    @property
    def address(self) -> str:
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return subprocess.check_output(["docker", "inspect", "-f", template, self.name], text=True).strip()

    def certificate(self, directory: Path) -> str:
        path = directory / f"{self.name}.crt"
        path.write_text(self.host.file("/etc/pgstead/tls/server.crt").content_string)
        return str(path)

    def connect(self, **options: Any) -> Any:
        """Connect from outside, through the pooler unless a port is given."""
        defaults = {"host": self.address, "port": 6432, "dbname": "shop", "user": "shop_app", "sslmode": "require"}
        connection = psycopg2.connect(**({**defaults, "password": password(), "connect_timeout": 10} | options))
        connection.autocommit = True
        return connection

    def ask(self, sql: str, **options: Any) -> list[tuple[Any, ...]]:
        connection = self.connect(**options)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement on the host as its superuser."""
        command = "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s"
        return str(self.host.check_output(command, database, statement)).strip()

    def grep(self, command: str, patterns: str) -> str:
        """Run a shell command on the host with patterns on its standard input, and return what it prints."""
        argv = ["docker", "exec", "-i", self.name, "sh", "-c", command]
        return subprocess.run(argv, input=patterns, capture_output=True, text=True, check=False).stdout

    def started(self) -> str:
        return self.sql("SELECT pg_postmaster_start_time()")

    def files(self) -> str:
        """Return a hash of everything the plays render for server and pooler."""
        return str(self.host.check_output("sha256sum %s/*.conf /etc/pgbouncer/*", self.configuration).strip())

    def wait(self, seconds: float = 60) -> None:
        """Wait until a client is served through the pooler."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.ask("SELECT 1")
            except psycopg2.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return


def password() -> str:
    return (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "password").read_text().strip()


def servers() -> list[Server]:
    return [Server(name, testinfra.get_host(f"docker://{name}")) for name in VERSIONS]
