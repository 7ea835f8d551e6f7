# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restored cluster that is started to be looked at: cut off from the world, and in nobody's way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .restore import LIMITS

# epoch with milliseconds, from log_line_prefix %n
_STAMPED = re.compile(r"^(\d+\.\d+) (.*)$")
_REPLAYED, _OPEN = "redo done at", "database system is ready to accept connections"
# What nobody may ask for: it would let the copy act on the world, or the world on the copy.
ISOLATION: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "archive_mode": "off",
    "archive_cleanup_command": "",  # postgresql.auto.conf came with the data: what it names would be run here
    "recovery_end_command": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "synchronous_standby_names": "",
    "max_logical_replication_workers": "0",  # a subscription would take the changes that are meant for production
    "external_pid_file": "",
    "ssl": "off",
}
# The least that is needed, and nothing that writes while others look.
_MODEST: Mapping[str, str] = {
    "shared_preload_libraries": "",  # pg_cron and its like would go to work
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "autovacuum": "off",
    "hot_standby": "off",  # recovery need not wait for settings that were raised on the primary meanwhile
    "huge_pages": "off",  # those of the host are production's
    "shared_buffers": "128MB",
    "restart_after_crash": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_statement": "none",
    "lc_messages": "C",
    "cluster_name": "pgstead-drill",
}


@dataclass(frozen=True)
class Spot:
    """Where the copy lies and listens."""

    data: str
    files: str  # its pg_hba.conf and pg_ident.conf, and an empty postgresql.conf
    socket: str
    port: int


def hba() -> str:
    """Return pg_hba.conf: the directory of the socket is its user's own, and there is no other way in."""
    return "local all all trust\n"


def options(spot: Spot, controldata: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the copy, for its command line: postgresql.auto.conf came with the data, and must not win.

    `controldata` is what pg_controldata prints, `extra` is what the owner's checks need; of `extra`, isolation wins.
    """
    return {
        **_MODEST,
        **dict.fromkeys(_origins(controldata), "200"),
        **{name: str(value) for name, value in limits(controldata).items()},
        **extra,
        **ISOLATION,
        "log_line_prefix": "%n ",
        "config_file": f"{spot.files}/postgresql.conf",
        "hba_file": f"{spot.files}/pg_hba.conf",
        "ident_file": f"{spot.files}/pg_ident.conf",
        "data_directory": spot.data,
        "unix_socket_directories": spot.socket,
        "port": str(spot.port),
    }


def limits(controldata: str) -> dict[str, int]:
    """Return the settings that must be as high as those of the server that was backed up."""
    there = dict(re.findall(r"^(max_\w+ setting):\s+(\d+)$", controldata, re.MULTILINE))
    return {name: int(there[words]) for words, name in LIMITS.items() if words in there}


def _origins(controldata: str) -> list[str]:
    """Return the settings that make room for the origins of all subscriptions: where there is none, recovery ends."""
    major = re.search(r"^pg_control version number:\s+(\d+)\d\d$", controldata, re.MULTILINE)
    slots = ["max_replication_slots"]
    return [*slots, "max_active_replication_origins"] if major and int(major[1]) >= 18 else slots


def moments(lines: Sequence[str]) -> tuple[float | None, float | None]:
    """Return when the WAL was replayed and when the server was open (seconds since 1970), from lines of its log."""
    found: dict[str, float] = {}
    for line in lines:
        match = _STAMPED.match(line)
        for words in (_REPLAYED, _OPEN):
            if match and words in match[2]:
                found[words] = float(match[1])
    return found.get(_REPLAYED), found.get(_OPEN)
