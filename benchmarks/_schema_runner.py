"""What benchmarks/schema.py runs: modules as Ansible packs them, playbooks, psql, on copies of one database."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _schema_data as data
import ansible
from _common import REPOSITORY, BenchmarkError
from _server import CLUSTER, ROLE, VERSION, Server

SEED = "schema_seed"
# modules run on hosts, and so with Debian's own, which is built with profile-guided optimisation
PYTHON = "/usr/bin/python3"
MODULES = ("indexes", "foreign_key_indexes", "check_constraints")
Item = dict[str, Any]
Steps = list[dict[str, Any]]


@dataclass(frozen=True)
class Done:
    """One run of the three modules."""

    seconds: dict[str, float]
    results: dict[str, Any]

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    @property
    def steps(self) -> Steps:
        return [step for name in MODULES for step in self.results[name]["plan"]]


class Runner:
    """Runs modules, playbooks and psql against the server's databases."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.directory, self.server = directory, server
        package = directory / "collections" / "ansible_collections" / "pgstead"
        package.mkdir(parents=True)
        (package / "ops").symlink_to(REPOSITORY)
        # beside the packages of Debian's Python, and without all others of this one
        (directory / "collections" / "ansible").symlink_to(Path(ansible.__file__).parent)
        paths = [str(directory / "collections"), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")]
        self.environment = os.environ | {
            "ANSIBLE_COLLECTIONS_PATH": ":".join(path for path in paths if path),
            "PYTHONPATH": str(directory / "collections"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        self.declared: dict[str, Item] = {
            "indexes": {"indexes": data.indexes()},
            "foreign_key_indexes": {"mode": "create"},
            "check_constraints": {"check_constraints": data.checks()},
        }
        self.packed: dict[tuple[str, str], Path] = {}

    def login(self, database: str) -> Item:
        """Parameters that reach the server through the socket, as the user who runs this."""
        return {"login_db": database, "login_user": ROLE, "login_unix_socket": str(self.server.sockets)}

    def parameters(self, module: str, database: str, declared: Mapping[str, Any] | None = None) -> Item:
        """All parameters of one of our modules."""
        who = {"system_user": pwd.getpwuid(os.getuid()).pw_name}
        return {**self.login(database), **who, **(self.declared[module] if declared is None else declared)}

    def argument_file(self, module: str, database: str, *, check: bool = False, declared: Item | None = None) -> Path:
        """Parameters in a file, as `python -m` takes them."""
        path = self.directory / f"{module}.{database}.{check}.json"
        told = {**self.parameters(module, database, declared), "_ansible_check_mode": check}
        path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": told}), encoding="utf-8")
        return path

    def process(self, name: str, command: list[str]) -> tuple[float, Any]:
        """Run one module process; seconds and result."""
        started = time.perf_counter()
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            raise BenchmarkError(f"module {name} failed: {(done.stdout + done.stderr)[-1500:]}")
        return seconds, json.loads(done.stdout)

    def one(self, module: str, database: str, *, check: bool = False, declared: Any = None) -> tuple[float, Any]:
        """Run one module as a Python module."""
        path = self.argument_file(module, database, check=check, declared=declared)
        return self.process(module, [PYTHON, "-m", f"{self.package(module)}", str(path)])

    def package(self, module: str) -> str:
        """The module's import path."""
        return f"ansible_collections.pgstead.ops.plugins.modules.{module}"

    def modules(self, database: str, *, check: bool = False, plain: bool = False) -> Done:
        """Run the three modules, packed as Ansible packs them or plain."""
        found = {}
        if not plain:
            self.pack(database)
        for name in MODULES:
            if plain:
                found[name] = self.one(name, database, check=check)
                continue
            packed = self.packed[database, name].read_text(encoding="utf-8")
            if not check:
                packed = packed.replace('"_ansible_check_mode": true', '"_ansible_check_mode": false', 1)
            path = self.directory / f"AnsiballZ_{name}.py"
            path.write_text(packed, encoding="utf-8")
            found[name] = self.process(name, [PYTHON, str(path)])
        return Done({k: v[0] for k, v in found.items()}, {k: v[1] for k, v in found.items()})

    def pack(self, database: str) -> None:
        """Have Ansible pack the modules with their parameters; they run once, in check mode."""
        if (database, MODULES[0]) in self.packed:
            return
        place = self.directory / f"packed-{database}"
        keep = {"ANSIBLE_PIPELINING": "0", "ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_REMOTE_TEMP": str(place)}
        self.playbook(self.tasks(database), "--check", environment=keep)
        for name in MODULES:
            (self.packed[database, name],) = place.glob(f"*/AnsiballZ_{name}.py")

    def tasks(self, database: str) -> list[Item]:
        """Our three tasks."""
        return [{"name": name, f"pgstead.ops.{name}": self.parameters(name, database)} for name in MODULES]

    def loop(self, database: str, items: list[Item]) -> list[Item]:
        """The peer's one task."""
        words = {key: f"{{{{ item.{key} }}}}" for key in ("idxname", "table", "idxtype", "unique", "columns")}
        task = {**self.login(database), **words, "schema": "public", "cond": "{{ item.cond | default(omit) }}"}
        return [{"name": "loop", "community.postgresql.postgresql_idx": task, "loop": items}]

    def playbook(self, tasks: list[Item], *options: str, environment: Item | None = None) -> tuple[float, bool]:
        """Run tasks on this machine; wall seconds of ansible-playbook, and whether it changed anything."""
        path = self.directory / "playbook.yml"
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        path.write_text(json.dumps([play]), encoding="utf-8")
        command = ["ansible-playbook", "-i", "localhost,", "-e", f"ansible_python_interpreter={PYTHON}"]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, *options, str(path)],
            env=self.environment | (environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            raise BenchmarkError(f"ansible-playbook failed: {(done.stdout + done.stderr)[-1500:]}")
        return seconds, "changed=0" not in done.stdout

    def psql(self, database: str, script: str) -> float:
        """Run a script with psql beside the server; seconds of psql itself."""
        self.server.write("/tmp/statements.sql", script)
        psql = f"psql -qX -v ON_ERROR_STOP=1 -U {ROLE} -d {database} -f /tmp/statements.sql >/dev/null"
        told = self.server.run(f"date +%s.%N; {psql}; date +%s.%N", user="postgres").split()
        return float(told[1]) - float(told[0])

    def copy(self, name: str) -> str:
        """A fresh copy of the filled database, warm."""
        self.server.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres")
        self.server.query(f"CREATE DATABASE {name} TEMPLATE {SEED} STRATEGY file_copy", "postgres")
        relations = "SELECT sum(pg_prewarm(c.oid)) FROM pg_class c WHERE c.relkind IN ('r', 'i', 't')"
        self.server.query(relations, name)
        self.server.query("CHECKPOINT", name)
        return name


def script(steps: Steps) -> str:
    """A plan's statements for psql, in its order; what the engine sends in one message is one message here."""
    lines = []
    for step in steps:
        statements = list(step["sql"])
        if "CONCURRENTLY" not in statements[0]:
            wait = "0" if step["action"] == "validate" else "2000ms"
            begin = ["BEGIN", "SET LOCAL lock_timeout = '2000ms'", f"SET LOCAL statement_timeout = '{wait}'"]
            path = "SET LOCAL search_path = public, pg_temp"
            statements = [" \\;\n".join([*begin, path, *statements, "COMMIT"])]
        lines += [f"{statement};" for statement in statements]
    return "\n".join(lines) + "\n"


BUILD = re.compile(r'CREATE (UNIQUE )?INDEX CONCURRENTLY \S+ ON \S+ USING "?(\w+)"? \((.+)', re.DOTALL)


def loop_items(steps: Steps) -> list[Item]:
    """The plan's indexes as the peer takes them, under their final names."""
    found = []
    for step in steps:
        match = BUILD.fullmatch(step["sql"][0])
        if match:
            head, _, condition = match[3].partition(" WHERE (")
            item: Item = {"idxname": step["object"], "table": step["table"].split(".")[-1], "idxtype": match[2]}
            item |= {"unique": bool(match[1]), "columns": [head.removesuffix(")")]}
            found.append(item | ({"cond": f"({condition}"} if condition else {}))
    return found


def reach(server: Server) -> None:
    """Let the user who runs this, and postgres, in by peer as the benchmark's role."""
    uid = os.getuid()
    server.run(f"getent passwd {uid} >/dev/null || useradd --non-unique --uid {uid} --no-create-home runner")
    user = server.run(f"getent passwd {uid}").split(":", 1)[0]
    place = f"/etc/postgresql/{VERSION}/{CLUSTER}"
    server.run(f"printf 'runner {user} {ROLE}\\nrunner postgres {ROLE}\\n' >> {place}/pg_ident.conf")
    server.run(f"sed -i '1i local all {ROLE} peer map=runner' {place}/pg_hba.conf")
