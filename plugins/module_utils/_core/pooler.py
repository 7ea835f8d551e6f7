# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer: its settings for the installed version, its databases, and how many server connections they can open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .databases import Database
from .errors import Problem
from .inventory import addresses
from .tuning import Setting

Version = tuple[int, int]
ADMINISTRATORS = ("postgres", "pgstead")  # by peer only; pgstead may look, not change
LOOKUP_ROLE = "pgbouncer_auth"
# of a process, besides its clients and servers: listening sockets, events, the journal, names being resolved
OTHER_FILES = 64
# pgbouncer.org/config.html: only a restart (or a takeover by a second process) applies these.
RESTART_SETTINGS = frozenset(
    {
        "listen_addr",
        "listen_port",
        "listen_backlog",
        "unix_socket_dir",
        "unix_socket_mode",
        "unix_socket_group",
        "so_reuseport",
        "pkt_buf",
        "pidfile",
        "peer_id",
        "track_extra_parameters",
        "user",
        "logfile",
    }
)


@dataclass(frozen=True)
class PoolerSpec:
    """The pgbouncer role's variables; sizes are connections, times seconds."""

    listen_addresses: tuple[str, ...]
    port: int
    pool_mode: str
    default_pool_size: int
    reserve_pool_size: int
    max_db_connections: int
    max_client_connections: int
    query_timeout: int
    server_idle_timeout: int
    processes: int
    server_host: str
    server_port: int
    tls_certificate: str
    tls_key: str
    tls_server_ca: str
    tls_server_mode: str


@dataclass(frozen=True)
class Entry:
    """One line of [databases]: the name clients ask for, and where it leads."""

    name: str
    settings: tuple[tuple[str, str], ...]

    def render(self) -> str:
        pairs = " ".join(f"{name}={_value(value)}" for name, value in self.settings)
        return f"{self.name} = {pairs}"


def parse_version(text: str) -> Version:
    """Read `1.24.1-1+deb13u1` as (1, 24). Raises ValueError where it does not begin with a version."""
    match = re.match(r"^(?:\d+:)?(\d+)\.(\d+)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a version of PgBouncer")
    return int(match.group(1)), int(match.group(2))


def lookups(found: Sequence[Database], version: Version) -> int:
    """Return the most connections that look secrets up, in one process: pgb_auth has one, and `users` bounds them before."""
    return 1 if version >= (1, 19) else len(found)


def demand(found: Sequence[Database], spec: PoolerSpec, version: Version) -> int:
    """Return the most server connections that all processes can open: Σ pools, capped for each database, and lookups."""
    total = lookups(found, version)
    for database in found:
        size = spec.default_pool_size if database.pool.size is None else database.pool.size
        reserve = spec.reserve_pool_size if database.pool.reserve is None else database.pool.reserve
        wanted = len(database.logins) * (size + reserve)
        total += min(wanted, spec.max_db_connections) if spec.max_db_connections else wanted
    return total * spec.processes


def check(found: Sequence[Database], spec: PoolerSpec, available: int | None, version: Version) -> tuple[Problem, ...]:
    """Return what is wrong with the pools; `available` is max_connections less the reserved ones, None if unknown."""
    problems = []
    for name, value, low in (
        ("pgbouncer_default_pool_size", spec.default_pool_size, 1),
        ("pgbouncer_reserve_pool_size", spec.reserve_pool_size, 0),
        ("pgbouncer_max_db_connections", spec.max_db_connections, 0),
        ("pgbouncer_max_client_conn", spec.max_client_connections, 1),
        ("pgbouncer_query_timeout", spec.query_timeout, 0),
        ("pgbouncer_server_idle_timeout", spec.server_idle_timeout, 0),
        ("pgbouncer_processes", spec.processes, 1),
    ):
        if value < low:
            problems.append(Problem(name, f"{value} is below {low}"))
    problems += [
        Problem(
            "pgstead_databases",
            f"{database.name!r}: PgBouncer's files take only letters, digits, _ . - in a database's name",
        )
        for database in found
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", database.name)
    ]
    problems += _before_1_19(spec) if version < (1, 19) else []
    problems += [
        Problem(name, "has a line break or another control character")
        for name, value in (
            ("pgbouncer_server_host", spec.server_host),
            ("postgresql_tls.certificate", spec.tls_certificate),
            ("postgresql_tls.key", spec.tls_key),
            ("postgresql_tls.ca", spec.tls_server_ca),
        )
        if re.search(r"[\x00-\x1f\x7f]", value)
    ]
    problems += addresses("pgbouncer_listen_addresses", spec.listen_addresses)
    inside = lookups(found, version) if version < (1, 19) else 0
    problems += [problem for database in found for problem in _limit_problems(database, spec, inside)]
    most = demand(found, spec, version)
    if available is not None and most > available:
        problems.append(
            Problem(
                "pgbouncer_default_pool_size",
                f"the pools can open {most} server connections ({spec.processes} process(es), every pool with its "
                f"reserve), PostgreSQL has {available} for them: lower pool sizes or raise postgresql_max_connections",
            )
        )
    return tuple(problems)


def _before_1_19(spec: PoolerSpec) -> list[Problem]:
    found = []
    if spec.server_host:
        what = "PgBouncer before 1.19 looks secrets up only through the local socket: leave it empty"
        found.append(Problem("pgbouncer_server_host", what))
    if spec.processes > 1:
        what = "several processes need [peers], which PgBouncer 1.19 brought: use 1"
        found.append(Problem("pgbouncer_processes", what))
    return found


def _limit_problems(database: Database, spec: PoolerSpec, inside: int) -> list[Problem]:
    """A role or database limited below its own pool would fail clients instead of letting them wait.

    `inside` is how many lookups connect to the database itself.
    """
    size = spec.default_pool_size if database.pool.size is None else database.pool.size
    reserve = spec.reserve_pool_size if database.pool.reserve is None else database.pool.reserve
    each = (size + reserve) * spec.processes
    limits = [(f"role {role.name}", role.connection_limit, each) for role in database.logins]
    limits.append((f"database {database.name}", database.connection_limit, each * len(database.logins) + inside))
    return [
        Problem(
            f"pgstead_databases[{database.position}]",
            f"{what} may have {limit} connections, its pools open up to {most}: raise connection_limit or lower pool",
        )
        for what, limit, most in limits
        if -1 < limit < min(most, spec.max_db_connections * spec.processes or most)
    ]


def entries(found: Sequence[Database], spec: PoolerSpec, version: Version) -> tuple[Entry, ...]:
    """Return the [databases] section."""
    host = spec.server_host or "/var/run/postgresql"
    port = ("port", str(spec.server_port))
    lines = []
    for database in found:
        settings = [("host", host), port, ("dbname", database.name), ("auth_user", LOOKUP_ROLE)]
        pool = database.pool
        settings += [("pool_size", str(pool.size))] if pool.size is not None else []
        settings += [("reserve_pool", str(pool.reserve))] if pool.reserve is not None else []
        settings += [("pool_mode", pool.mode)] if pool.mode is not None else []
        lines.append(Entry(database.name, tuple(settings)))
    if version >= (1, 19):
        local = (("host", "/var/run/postgresql"), port, ("dbname", "postgres"), ("auth_user", LOOKUP_ROLE))
        lines.append(Entry("pgb_auth", (*local, ("pool_size", "1"), ("reserve_pool", "0"))))
    return tuple(lines)


def users(found: Sequence[Database], version: Version) -> tuple[str, ...]:
    """Return the [users] section: before 1.19 the lookups have a pool in each database, as large as any other."""
    bound = lookups(found, version)
    return (f"{LOOKUP_ROLE} = max_user_connections={bound}",) if found and version < (1, 19) else ()


def file_problems(spec: PoolerSpec, most: int, open_files: int) -> list[Problem]:
    """A process that runs out of open files drops clients; `most` is what all processes together connect to servers."""
    needed = spec.max_client_connections + most // spec.processes + OTHER_FILES
    if needed <= open_files:
        return []
    what = (
        f"{spec.max_client_connections} clients need about {needed} open files in each process, whose unit gets "
        f"{open_files} (LimitNOFILE): lower it, or share the clients out by pgbouncer_processes"
    )
    return [Problem("pgbouncer_max_client_conn", what)]


def lookup_databases(found: Sequence[Database], version: Version) -> tuple[str, ...]:
    """Return the databases that need the lookup function: one from 1.19 (auth_dbname), every one before."""
    return ("postgres",) if version >= (1, 19) else tuple(database.name for database in found)


def settings(spec: PoolerSpec, version: Version, process: int = 0) -> tuple[Setting, ...]:
    """Return the [pgbouncer] section of one process for a version, with reasons."""
    several = spec.processes > 1
    suffix = f"-{process}" if several else ""
    rows = [
        ("listen_addr", ",".join(spec.listen_addresses), "pgbouncer_listen_addresses"),
        ("listen_port", str(spec.port), "pgbouncer_port"),
        ("unix_socket_dir", f"/run/pgbouncer{suffix}", "its own directory: PostgreSQL's belongs to postgres"),
        ("pidfile", f"/run/pgbouncer{suffix}/pgbouncer.pid", ""),
        ("logfile", "", "the journal has the log"),
        ("pool_mode", spec.pool_mode, "a server connection is held for one transaction"),
        ("max_client_conn", str(spec.max_client_connections), "clients that may wait here at once"),
        ("default_pool_size", str(spec.default_pool_size), "server connections for each user and database"),
        (
            "reserve_pool_size",
            str(spec.reserve_pool_size),
            "more of them when a client has waited reserve_pool_timeout",
        ),
        ("reserve_pool_timeout", "3", "seconds"),
        ("max_db_connections", str(spec.max_db_connections), "all pools of one database together"),
        ("query_timeout", str(spec.query_timeout), "seconds; 0 is none"),
        ("server_idle_timeout", str(spec.server_idle_timeout), "seconds until an unused server connection is closed"),
        ("server_reset_query", "DISCARD ALL", "session pools only; transaction pools keep no session state"),
        ("ignore_startup_parameters", "extra_float_digits", "the JDBC driver sends it"),
        ("auth_type", "hba", "pg_hba.conf here: peer for administration, SCRAM over TLS for clients"),
        ("auth_hba_file", "/etc/pgbouncer/pg_hba.conf", ""),
        ("auth_file", "/etc/pgbouncer/userlist.txt", "names for peer; holds no secret"),
        ("auth_query", "SELECT usename, passwd FROM pgbouncer.lookup($1)", "secrets stay in PostgreSQL"),
        ("admin_users", "postgres", "peer only"),
        ("stats_users", "pgstead", "peer only"),
        ("client_tls_sslmode", "require", "no remote client without TLS"),
        ("client_tls_key_file", spec.tls_key, ""),
        ("client_tls_cert_file", spec.tls_certificate, ""),
        ("client_tls_protocols", "secure", "TLS 1.2 and newer"),
        ("server_tls_sslmode", spec.tls_server_mode, "for servers reached over TCP; the local socket needs none"),
        ("server_tls_protocols", "secure", "TLS 1.2 and newer"),
        ("log_connections", "0", "PostgreSQL logs sessions; here they would flood the journal"),
        ("log_disconnections", "0", ""),
        ("stats_period", "60", "seconds"),
    ]
    if spec.tls_server_ca:
        rows.append(("server_tls_ca_file", spec.tls_server_ca, "what the server's certificate is checked against"))
    if version >= (1, 19):
        rows.append(("auth_dbname", "pgb_auth", "one lookup function, in database postgres"))
    if version >= (1, 21):
        rows.append(("max_prepared_statements", "200", "protocol-level prepared statements work in transaction pools"))
    if several:
        rows += [
            ("so_reuseport", "1", "several processes share the port"),
            ("peer_id", str(process), "cancel reaches its process"),
        ]
    return tuple(Setting(name, value, reason) for name, value, reason in rows)


def hba_lines() -> tuple[str, ...]:
    """Return PgBouncer's own pg_hba.conf: peer for administration, SCRAM for the rest, TLS for the network.

    The administrators' names stand in userlist.txt with an empty secret, which PgBouncer would take for an empty SCRAM
    password: after their peer lines, everything of theirs is rejected. So is the lookup's role, of which PgBouncer
    makes such a user itself (auth_user): who came as it could read all verifiers. pgb_auth is the lookup's own way
    into PostgreSQL, nobody's database.
    """
    closed = (("pgbouncer", "all"), ("pgb_auth", "all"), ("all", ",".join((*ADMINISTRATORS, LOOKUP_ROLE))))
    networks = ("0.0.0.0/0", "::/0")
    return (
        *(f"local    pgbouncer  {name}  peer" for name in ADMINISTRATORS),
        *(f"local    {database}  {user}  reject" for database, user in closed),
        *(f"hostssl  {database}  {user}  {network}  reject" for database, user in closed for network in networks),
        "local    all  all  scram-sha-256",
        *(f"hostssl  all  all  {network}  scram-sha-256" for network in networks),
    )


def needs_restart(changed: Sequence[str]) -> tuple[str, ...]:
    """Return those of the changed settings that a RELOAD does not apply."""
    return tuple(name for name in changed if name in RESTART_SETTINGS)


def _value(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_./:-]+", text) else "'" + text.replace("'", "''") + "'"
