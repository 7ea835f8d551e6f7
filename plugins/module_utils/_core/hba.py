# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pg_hba.conf and pg_ident.conf as data: SCRAM only, TLS for every remote line, no trust."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Problem

LOCAL_METHODS = ("peer", "scram-sha-256", "reject")
REMOTE_METHODS = ("scram-sha-256", "cert", "reject")
PATTERNS_SINCE = 16
LOOPBACK = ("127.0.0.1/32", "::1/128")
_WORDS = {"all", "samehost", "samenet"}
_HOST_NAME = re.compile(r"^\.?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*$")


@dataclass(frozen=True)
class HbaLine:
    """One line of pg_hba.conf. `address` is empty for local lines; `comment` says why the line is there."""

    type: str
    database: str
    user: str
    address: str
    method: str
    options: str = ""
    comment: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.type, self.database, self.user, self.address)

    def render(self) -> str:
        """Write the line as pg_hba.conf has it, columns aligned."""
        columns = f"{self.type:<8}{_names(self.database):<24}{_names(self.user):<24}{self.address:<24}"
        return f"{columns}{self.method} {self.options}".rstrip()


@dataclass(frozen=True)
class IdentLine:
    """One line of pg_ident.conf: operating system user → database user, under a map's name."""

    map: str
    system_user: str
    database_user: str

    def render(self) -> str:
        return f"{self.map:<16}{_names(self.system_user):<24}{_names(self.database_user)}"


IDENT_LINES = (
    IdentLine("superuser", "postgres", "postgres"),
    IdentLine("superuser", "root", "postgres"),  # root is the superuser's superuser anyway; plays need no second user
    IdentLine("pgbouncer", "pgbouncer", "pgbouncer_auth"),
    IdentLine("pgstead", "pgstead", "pgstead_monitor"),
)


def default_lines(networks: Sequence[str], monitoring_role: str) -> tuple[HbaLine, ...]:
    """Return the collection's own lines: local jobs by peer, clients by SCRAM, remote ones over TLS."""
    remote = (*LOOPBACK, *networks)
    return (
        HbaLine("local", "all", "postgres", "", "peer", "map=superuser", "administration, by operating system user"),
        HbaLine("local", "replication", "postgres", "", "peer", "map=superuser", "base backups, pg_rewind"),
        HbaLine("local", "all", monitoring_role, "", "peer", "map=pgstead", "health checks and metrics"),
        HbaLine("local", "all", "pgbouncer_auth", "", "peer", "map=pgbouncer", "PgBouncer looks up SCRAM secrets"),
        HbaLine("local", "all", "all", "", "scram-sha-256", "", "everybody else on this host, PgBouncer's servers too"),
        *(HbaLine("hostssl", "all", "all", network, "scram-sha-256", "", "clients, over TLS") for network in remote),
    )


def ident_lines(monitoring_role: str, extra: Sequence[Mapping[str, Any]]) -> tuple[IdentLine, ...]:
    """Return the collection's maps and the inventory's own."""
    own = tuple(
        IdentLine(line.map, line.system_user, monitoring_role) if line.map == "pgstead" else line
        for line in IDENT_LINES
    )
    return own + tuple(IdentLine(str(i["map"]), str(i["system_user"]), str(i["database_user"])) for i in extra)


def declared_lines(items: Sequence[Mapping[str, Any]]) -> tuple[HbaLine, ...]:
    """Turn `postgresql_hba_lines` into lines."""
    return tuple(
        HbaLine(
            type=str(item["type"]),
            database=str(item.get("database") or "all"),
            user=str(item.get("user") or "all"),
            address=str(item.get("address") or ""),
            method=str(item.get("method") or "scram-sha-256"),
            options=str(item.get("options") or ""),
            comment=str(item.get("comment") or ""),
        )
        for item in items
    )


def ordered(declared: Sequence[HbaLine], own: Sequence[HbaLine]) -> tuple[HbaLine, ...]:
    """Return all lines as the file has them: the first match counts, and no rule for everybody keeps our own jobs out."""
    return (
        *(line for line in own if line.method == "peer"),
        *declared,
        *(line for line in own if line.method != "peer"),
    )


def check(
    declared: Sequence[HbaLine], networks: Sequence[str], own: Sequence[HbaLine], variable: str = "postgresql_hba_lines"
) -> tuple[Problem, ...]:
    """Check declared lines and networks: types, methods, addresses, duplicates (also of the collection's own)."""
    problems = [
        Problem(f"postgresql_client_networks[{i}]", f"{network!r} is not a network such as 10.0.0.0/8")
        for i, network in enumerate(networks)
        if not _is_network(network)
    ]
    problems += [
        Problem(f"postgresql_client_networks[{i}]", f"{network!r} is there twice, or always allowed (this host itself)")
        for i, network in enumerate(networks)
        if network in (*LOOPBACK, *networks[:i])
    ]
    seen = {line.key: "a line of the collection" for line in own}
    kept = {line.user for line in own if line.method == "peer"}
    for i, line in enumerate(declared):
        where = f"{variable}[{i}]"
        problems += [Problem(where, text) for text in _line_problems(line)]
        if line.type == "local" and line.key not in seen and set(_parts(line.user)) <= kept:
            problems.append(
                Problem(where, f"is never reached: {line.user} comes in by peer, by a line of the collection before it")
            )
        if line.key in seen:
            problems.append(Problem(where, f"repeats {seen[line.key]} ({' '.join(filter(None, line.key))})"))
        seen[line.key] = where
    return tuple(problems)


def check_patterns(declared: Sequence[HbaLine], version: int) -> tuple[Problem, ...]:
    """Refuse regular expressions where they are names to the server, of nobody: a line that rejects would reject none."""
    if version >= PATTERNS_SINCE:
        return ()
    return tuple(
        Problem(
            f"postgresql_hba_lines[{i}]",
            f"{part!r} is a regular expression from PostgreSQL {PATTERNS_SINCE} on, and a name before: name each of them",
        )
        for i, line in enumerate(declared)
        for part in (*_parts(line.database), *_parts(line.user))
        if part.startswith("/")
    )


def check_ident(items: Sequence[Mapping[str, Any]]) -> tuple[Problem, ...]:
    """Check `postgresql_ident_lines`: each field is one word, and no line stands twice."""
    problems, seen = [], set()
    for i, item in enumerate(items):
        fields = tuple(str(item.get(name) or "") for name in ("map", "system_user", "database_user"))
        if not all(re.fullmatch(r"[^\s\"#]+", field) for field in fields):
            problems.append(
                Problem(f"postgresql_ident_lines[{i}]", "map, system_user and database_user are one word each")
            )
        elif fields in seen:
            problems.append(Problem(f"postgresql_ident_lines[{i}]", f"repeats {' '.join(fields)}"))
        seen.add(fields)
    return tuple(problems)


def _line_problems(line: HbaLine) -> list[str]:
    # the comment too: what follows its line break would be a line of the file
    fields = (line.type, line.database, line.user, line.address, line.method, line.options, line.comment)
    if any("\n" in field or "\r" in field for field in fields):
        return ["has a line break"]
    if line.type == "local":
        found = [] if line.method in LOCAL_METHODS else [f"method {line.method!r}: use {', '.join(LOCAL_METHODS)}"]
        return found + (["a local line has no address"] if line.address else [])
    if line.type != "hostssl":
        return [f"type {line.type!r}: use local or hostssl (remote clients come over TLS or not at all)"]
    found = [] if line.method in REMOTE_METHODS else [f"method {line.method!r}: use {', '.join(REMOTE_METHODS)}"]
    if not line.address:
        found.append("a hostssl line needs an address")
    elif not (line.address in _WORDS or _is_network(line.address) or _is_host_name(line.address)):
        found.append(f"address {line.address!r} is neither a network, all, samehost, samenet, nor a host name")
    return found


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    # ipaddress also takes netmasks and scopes, pg_hba.conf in this column does not
    return re.fullmatch(r"[0-9A-Fa-f.:]+/[0-9]+", text) is not None


def _is_host_name(text: str) -> bool:
    return bool(_HOST_NAME.match(text)) and not re.fullmatch(r"[\d./]+", text)


def _names(text: str) -> str:
    """Quote each comma-separated name that needs it; keywords, +group, /regex and what is quoted stay as they are.

    A /regex in quotes is one too; without them, its space would begin the next column.
    """
    return ",".join(
        part
        if re.fullmatch(r'[A-Za-z0-9_.+$/-]+|"(?:[^"]|"")*"|/[^\s"#]*', part)
        else '"' + part.replace('"', '""') + '"'
        for part in _parts(text)
    )


def _parts(text: str) -> tuple[str, ...]:
    return tuple(piece.strip() for piece in text.split(","))
