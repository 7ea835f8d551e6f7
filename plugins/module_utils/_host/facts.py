# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One look at a Debian host: memory, processors, disks, packages, clusters. Reads files, changes nothing.

`observe` returns plain data (it travels from the host to the controller; server_info adds controller_epoch, or None):
  distribution {id, version, name}, systemd, epoch, hostname, hostname_resolves, fqdn, addresses [..],
  tls {error, not_after, names}, missing_directories [..],
  foreign_addresses (whether the kernel lets servers listen on addresses that the host has not),
  memory {host_bytes, cgroup_bytes | None, planned_bytes | None, huge_page_bytes}, cpus, disks {data: {mount, size, free, storage}},
  packages {name: {installed, candidate}}, majors_available [..], dpkg_interrupted,
  pooler_configuration absent | managed | pristine | foreign,
  archiving {"17-main": stanza that is made}, clusters [{version, name, port, data_directory, max_connections, managed}], data_directory_state absent | empty | ours | occupied,
  listening_ports [..], capabilities {sys_resource}, limits {nofile}
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .._core import statement_audit
from .._core.server_plan import packages
from . import certificate
from .cgroup import memory_limit, processors

CONFIGURATIONS = Path("/etc/postgresql")  # one directory for each major, in it one for each cluster
MARKERS = Path("/var/lib/pgstead/clusters")
ARCHIVING_MARKERS = Path("/var/lib/pgstead/backup")
RESOURCES = Path("/etc/pgstead/resources.json")
POOLER_MARKER = Path("/var/lib/pgstead/pooler/managed")
BACKUP_PACKAGES = ("pgbackrest", "age", "gnupg", "rclone", "zstd", "minisign")
_CAP_SYS_RESOURCE = 24

Run = Callable[[Sequence[str]], tuple[int, str, str]]


def observe(
    run: Run, cluster: tuple[int, str], data_directory: str, tls: tuple[str, str], directories: Sequence[str]
) -> dict[str, Any]:
    """Look at this host; `run` executes a command and returns (exit code, output, errors).

    `cluster` is (version, name), `tls` is (certificate, key).
    """
    hostname, version = socket.gethostname(), cluster[0]
    unit = f"postgresql@{version}-{cluster[1]}"
    seen, majors = _packages(run, version)
    return {
        "distribution": _distribution(Path("/etc/os-release").read_text()),
        "systemd": Path("/run/systemd/system").is_dir(),
        "epoch": time.time(),
        "hostname": hostname,
        "hostname_resolves": _resolves(hostname),
        "fqdn": socket.getfqdn(),
        "addresses": _addresses(run),
        "foreign_addresses": _foreign_addresses(),
        "tls": certificate.observe(run, *tls),
        "missing_directories": [path for path in directories if not Path(path).is_dir()],
        "memory": {
            "host_bytes": meminfo("MemTotal"),
            "cgroup_bytes": memory_limit(unit),
            "planned_bytes": _planned(),
            "huge_page_bytes": meminfo("Hugepagesize"),
        },
        "cpus": processors(unit),
        "disks": {"data": _disk(Path(data_directory))},
        "packages": seen,
        "majors_available": majors,
        "pooler_configuration": _pooler_configuration(run),
        "dpkg_interrupted": any(Path("/var/lib/dpkg/updates").glob("[0-9]*")),
        "clusters": clusters(),
        "archiving": _archiving(),
        "data_directory_state": _directory_state(Path(data_directory)),
        "listening_ports": sorted(listening()),
        "capabilities": {"sys_resource": bool(_effective_capabilities() >> _CAP_SYS_RESOURCE & 1)},
        "limits": {"nofile": _hard_limit("Max open files")},
    }


def _distribution(text: str) -> dict[str, str]:
    fields = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    # testing has no VERSION_ID: its codename tells
    version = fields.get("VERSION_ID") or {"forky": "14"}.get(fields.get("VERSION_CODENAME", ""), "")
    return {"id": fields.get("ID", ""), "version": version, "name": fields.get("PRETTY_NAME", "unknown")}


def meminfo(key: str) -> int:
    """Return a size of /proc/meminfo in bytes, 0 where the kernel has no such line."""
    match = re.search(rf"^{key}:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


def _resolves(hostname: str) -> bool:
    try:
        socket.getaddrinfo(hostname, None)
    except OSError:
        return False
    return True


def _addresses(run: Run) -> list[str]:
    code, out, _err = run(["ip", "-o", "addr", "show", "scope", "global"])
    return re.findall(r"inet6? ([0-9a-f.:]+)/", out) if code == 0 else []


def _foreign_addresses() -> bool:
    nodes = (Path(f"/proc/sys/net/{family}/ip_nonlocal_bind") for family in ("ipv4", "ipv6"))
    return any(node.exists() and node.read_text().strip() == "1" for node in nodes)


def _planned() -> int | None:
    """Return the memory that the settings in force were computed from."""
    return int(json.loads(RESOURCES.read_text())["memory_bytes"]) if RESOURCES.exists() else None


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _disk(path: Path) -> dict[str, Any]:
    there = _existing(path)
    space = os.statvfs(there)
    return {
        "mount": str(there),
        "size": space.f_blocks * space.f_frsize,
        "free": space.f_bavail * space.f_frsize,
        "storage": _storage(there),
    }


def _storage(path: Path) -> str:
    """Tell hdd from ssd by the kernel's rotational flag; file systems without a block device count as ssd."""
    device = path.stat().st_dev
    node = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    for candidate in (node / "queue/rotational", node / "../queue/rotational"):
        if candidate.exists():
            return "hdd" if candidate.read_text().strip() == "1" else "ssd"
    return "ssd"


def _packages(run: Run, version: int) -> tuple[dict[str, dict[str, str]], list[int]]:
    names = [*packages(version), statement_audit.package(version), "pgbouncer", "cron", *BACKUP_PACKAGES]
    majors = [f"postgresql-{major}" for major in range(14, 19)]
    _code, out, _err = run(["apt-cache", "policy", *sorted({*names, *majors})])
    found: dict[str, dict[str, str]] = {}
    for name, installed, candidate in re.findall(
        r"^(\S+):\n\s+Installed: (\S+)\n\s+Candidate: (\S+)", out, re.MULTILINE
    ):
        found[name] = {
            "installed": "" if installed == "(none)" else installed,
            "candidate": "" if candidate == "(none)" else candidate,
        }
    offered = [int(name.split("-")[1]) for name in majors if found.get(name, {}).get("candidate")]
    return {name: found.get(name, {"installed": "", "candidate": ""}) for name in names}, offered


def clusters() -> list[dict[str, Any]]:
    """Return Debian's clusters; `managed` where this collection made it (its marker lies beside)."""
    found = []
    for path in sorted(CONFIGURATIONS.glob("*/*/postgresql.conf")):
        version, name = path.parts[-3], path.parts[-2]
        text = path.read_text(errors="replace")
        port = re.search(r"^\s*port\s*=?\s*'?(\d+)", text, re.MULTILINE)
        data = re.search(r"^\s*data_directory\s*=?\s*'([^']*)'", text, re.MULTILINE)
        connections = re.search(r"^\s*max_connections\s*=?\s*'?(\d+)", text, re.MULTILINE)
        found.append(
            {
                "version": version,
                "name": name,
                "port": int(port.group(1)) if port else 5432,
                "data_directory": data.group(1) if data else "",
                "max_connections": int(connections.group(1)) if connections else 100,
                "managed": (MARKERS / f"{version}-{name}.json").exists(),
            }
        )
    return found


def _archiving() -> dict[str, str]:
    return {path.stem: json.loads(path.read_text())["stanza"] for path in ARCHIVING_MARKERS.glob("*.json")}


def _pooler_configuration(run: Run) -> str:
    """Tell our configuration of PgBouncer from the package's untouched one and from somebody's own."""
    path = Path("/etc/pgbouncer/pgbouncer.ini")
    if POOLER_MARKER.exists():
        return "managed"
    if not path.exists():
        return "absent"
    _code, out, _err = run(["dpkg-query", "-W", "-f", "${Conffiles}", "pgbouncer"])
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return "pristine" if f"{path} {digest}" in out else "foreign"


def _directory_state(path: Path) -> str:
    if not path.is_dir():
        return "absent"
    if not any(path.iterdir()):
        return "empty"
    # a creation that was cut off left its marker: the directory is ours to make anew
    ours = [json.loads(marker.read_text())["data_directory"] for marker in MARKERS.glob("*.json")]
    return "ours" if str(path) in ours else "occupied"


def listening() -> Iterable[int]:
    """Yield the TCP ports that something on this host listens on."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A":
                yield int(fields[1].rsplit(":", 1)[1], 16)


def _effective_capabilities() -> int:
    match = re.search(r"^CapEff:\s+([0-9a-f]+)$", Path("/proc/1/status").read_text(), re.MULTILINE)
    return int(match.group(1), 16) if match else 0


def _hard_limit(name: str) -> int:
    match = re.search(rf"^{name}\s+\S+\s+(\S+)", Path("/proc/1/limits").read_text(), re.MULTILINE)
    return int(match.group(1)) if match and match.group(1).isdigit() else 2**30
