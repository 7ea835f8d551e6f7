# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything the pgbouncer role needs to know, from inventory and facts, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import databases as db
from . import pooler
from .errors import Problem
from .inventory import strings, waits_for_network
from .kernel import OPEN_FILES, open_files
from .tuning import Setting


@dataclass(frozen=True)
class Process:
    """One PgBouncer process: its unit, its file and what the file says."""

    unit: str
    path: str
    socket_directory: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class PoolerPlan:
    """The result; `demand` is the most server connections all processes can open."""

    version: str
    processes: tuple[Process, ...] = ()
    entries: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    hba: tuple[str, ...] = ()
    lookup_databases: tuple[str, ...] = ()
    demand: int = 0
    open_files: int = OPEN_FILES
    waits_for_network: bool = False
    problems: tuple[Problem, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return plain data for templates."""
        return asdict(self) | {"problems": [str(problem) for problem in self.problems]}


def spec_of(raw: Mapping[str, Any]) -> pooler.PoolerSpec:
    """Read the role's variables (short names, see the role's vars/main.yml)."""
    tls = raw.get("tls") or {}
    return pooler.PoolerSpec(
        listen_addresses=strings(raw["listen_addresses"]),
        port=int(raw["port"]),
        pool_mode=str(raw["pool_mode"]),
        default_pool_size=int(raw["default_pool_size"]),
        reserve_pool_size=int(raw["reserve_pool_size"]),
        max_db_connections=int(raw["max_db_connections"]),
        max_client_connections=int(raw["max_client_conn"]),
        query_timeout=int(raw["query_timeout"]),
        server_idle_timeout=int(raw["server_idle_timeout"]),
        processes=int(raw["processes"]),
        server_host=str(raw.get("server_host") or ""),
        server_port=int(raw["server_port"]),
        tls_certificate=str(tls.get("certificate") or "/etc/pgstead/tls/server.crt"),
        tls_key=str(tls.get("key") or "/etc/pgstead/tls/server.key"),
        # a self-signed certificate is its own authority
        tls_server_ca=str(tls.get("ca") or tls.get("certificate") or "/etc/pgstead/tls/server.crt"),
        tls_server_mode="verify-full",
    )


def plan_pooler(raw: Mapping[str, Any], facts: Mapping[str, Any], available: int | None) -> PoolerPlan:
    """Decide everything about the pooler; `available` is the server's connections for it, None if unknown."""
    package = facts["packages"].get("pgbouncer", {})
    text = package.get("installed") or package.get("candidate") or ""
    found = db.databases(raw["databases"], str(raw.get("locale") or "C.UTF-8"))
    problems = list(db.check(found, str(raw["monitoring_role"])))
    spec = spec_of(raw)
    if spec.pool_mode not in db.POOL_MODES:
        problems.append(Problem("pgbouncer_pool_mode", f"{spec.pool_mode!r} is not one of {', '.join(db.POOL_MODES)}"))
    if facts["pooler_configuration"] == "foreign":
        problems.append(
            Problem(
                "pgbouncer",
                "/etc/pgbouncer/pgbouncer.ini was not made by this collection: it is left alone. Move it away, once what "
                "it says stands in the inventory",
            )
        )
    if not text:
        problems.append(Problem("pgbouncer", "is not in this host's package sources"))
        return PoolerPlan(version="", problems=tuple(problems))
    version = pooler.parse_version(text)
    problems += pooler.check(
        found, spec, _available(facts, spec.server_port) if available is None else available, version
    )
    demand = pooler.demand(found, spec, version)
    files = open_files(facts["limits"]["nofile"], facts["capabilities"]["sys_resource"])
    problems += pooler.file_problems(spec, demand, files) if spec.processes > 0 else []
    several = spec.processes > 1
    numbers = range(1, spec.processes + 1) if several else range(1)
    return PoolerPlan(
        version=text,
        processes=tuple(_process(spec, version, number, several) for number in numbers),
        entries=tuple(entry.render() for entry in pooler.entries(found, spec, version)),
        users=pooler.users(found, version),
        peers=tuple(f"{n} = host=/run/pgbouncer-{n} port={spec.port}" for n in numbers) if several else (),
        hba=pooler.hba_lines(),
        lookup_databases=pooler.lookup_databases(found, version),
        demand=demand,
        open_files=files,
        waits_for_network=waits_for_network(spec.listen_addresses),
        problems=tuple(problems),
    )


def _available(facts: Mapping[str, Any], port: int) -> int | None:
    """Return the connections of this host's cluster on a port, less PostgreSQL's 3 reserved ones; None if there is none."""
    for cluster in facts["clusters"]:
        if cluster["port"] == port:
            return int(cluster["max_connections"]) - 3
    return None


def _process(spec: pooler.PoolerSpec, version: pooler.Version, number: int, several: bool) -> Process:
    name = f"pgbouncer-{number}" if several else "pgbouncer"
    return Process(
        unit=f"pgbouncer@{number}.service" if several else "pgbouncer.service",
        path=f"/etc/pgbouncer/{name}.ini",
        socket_directory=f"/run/{name}",
        settings=pooler.settings(spec, version, number),
    )
