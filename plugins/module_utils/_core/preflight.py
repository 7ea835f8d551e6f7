# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a host can become, or stay, the server that the inventory asks for: verdicts on observed facts.

`facts` is what _host.facts.observe returned (see there for its shape). Nothing here looks at the host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .baseline import Instance
from .errors import Problem
from .tuning import Resources
from .units import GB, MB, human_size

SUPPORTED = {"12": "bookworm", "13": "trixie", "14": "forky"}
MINIMUM_MEMORY = 512 * MB
MINIMUM_FREE_DISK = 1 * GB
CLOCK_TOLERANCE_SECONDS = 60
HELD_SHARE = 0.05  # of memory


@dataclass(frozen=True)
class Expectation:
    """What the verdict depends on beside the facts; `controller_epoch` is the controller's clock, None to skip it."""

    instance: Instance
    repository_declared: bool
    controller_epoch: float | None
    further_packages: tuple[str, ...] = ()  # beside the server's own


def resources(facts: Mapping[str, Any], storage: str) -> Resources:
    """Return what the server may use: memory and processors of host or cgroup, whichever is smaller.

    Memory that is within HELD_SHARE of what the settings in force were computed from counts as unchanged: another
    kernel has a few megabytes more or less to give, and no server is to be restarted for that.
    """
    memory = facts["memory"]
    usable = min(size for size in (memory["host_bytes"], memory["cgroup_bytes"]) if size)
    held = memory["planned_bytes"]
    disk = facts["disks"].get("data") or {}
    detected = disk.get("storage") or "ssd"
    return Resources(
        memory_bytes=held if held and abs(usable - held) <= HELD_SHARE * held else usable,
        cpus=facts["cpus"],
        storage=detected if storage == "auto" else storage,
        data_disk_bytes=int(disk.get("size") or 0),
    )


def verdict(facts: Mapping[str, Any], expected: Expectation) -> tuple[Problem, ...]:
    """Return every reason not to touch this host."""
    distribution = facts["distribution"]
    release = str(distribution["version"]).split(".")[0]
    if distribution["id"] != "debian" or release not in SUPPORTED:
        # the other checks assume Debian's paths and tools
        return (
            Problem(
                "distribution",
                f"{distribution['name']} is not supported: use Debian {', '.join(f'{n} ({c})' for n, c in SUPPORTED.items())}",
            ),
        )
    problems = [*_machine(facts, expected), *_clusters(facts, expected), *_addresses(facts, expected.instance)]
    problems += _packages(facts, expected)
    return tuple(problems)


def _machine(facts: Mapping[str, Any], expected: Expectation) -> list[Problem]:
    problems = []
    if not facts["systemd"]:
        problems.append(Problem("systemd", "is not running as process 1: services could not be managed"))
    usable = resources(facts, "auto").memory_bytes
    if usable < MINIMUM_MEMORY:
        problems.append(
            Problem("memory", f"{human_size(usable)} is too little: a server needs {human_size(MINIMUM_MEMORY)}")
        )
    free = (facts["disks"].get("data") or {}).get("free")
    if free is not None and free < MINIMUM_FREE_DISK and not _ours(facts, expected.instance):
        where = facts["disks"]["data"]["mount"]
        problems.append(
            Problem("disk", f"{human_size(free)} free on {where}: at least {human_size(MINIMUM_FREE_DISK)}")
        )
    if not facts["hostname_resolves"]:
        problems.append(
            Problem(
                "name resolution", f"{facts['hostname']!r} does not resolve on the host itself: add it to /etc/hosts"
            )
        )
    if expected.controller_epoch is not None:
        skew = facts["epoch"] - expected.controller_epoch
        if abs(skew) > CLOCK_TOLERANCE_SECONDS:
            problems.append(
                Problem(
                    "clock",
                    f"is {skew:+.0f} s off the controller's: start a time service (certificates, recovery times)",
                )
            )
    return problems


def _ours(facts: Mapping[str, Any], instance: Instance) -> Mapping[str, Any] | None:
    for cluster in facts["clusters"]:
        if (cluster["version"], cluster["name"]) == (str(instance.version), instance.name):
            return cluster if cluster["managed"] else None
    return None


def _clusters(facts: Mapping[str, Any], expected: Expectation) -> list[Problem]:
    instance, problems = expected.instance, []
    ours = _ours(facts, instance)
    for cluster in facts["clusters"]:
        title = f"cluster {cluster['version']}/{cluster['name']}"
        same = (cluster["version"], cluster["name"]) == (str(instance.version), instance.name)
        if same and not cluster["managed"]:
            problems.append(
                Problem(
                    "postgresql_cluster_name",
                    f"{title} exists and was not made by this collection: it is left alone. Choose another "
                    "postgresql_cluster_name and postgresql_port, or move its data into a new cluster",
                )
            )
        elif not same and cluster["port"] == instance.port:
            problems.append(Problem("postgresql_port", f"{instance.port} belongs to {title}: choose another"))
    if ours and ours["data_directory"] not in ("", instance.data_directory):
        problems.append(
            Problem(
                "postgresql_data_directory",
                f"is {instance.data_directory}, but the cluster lives in {ours['data_directory']}: data is never moved",
            )
        )
    if ours is None and not problems:
        if instance.port in facts["listening_ports"]:
            problems.append(Problem("postgresql_port", f"another program listens on {instance.port}: choose another"))
        if facts["data_directory_state"] == "occupied":
            problems.append(
                Problem(
                    "postgresql_data_directory",
                    f"{instance.data_directory} is not empty, and no cluster is known there",
                )
            )
    return problems


def _addresses(facts: Mapping[str, Any], instance: Instance) -> list[Problem]:
    """Name each address to listen on that is none of this host's: the server would start, and only say so in its log."""
    here = {ipaddress.ip_address(address) for address in facts["addresses"]}
    if not here or facts["foreign_addresses"]:
        return []
    problems = []
    for text in instance.listen_addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue  # *, or a name that the server resolves
        if not (address in here or address.is_loopback or address.is_unspecified or address.is_link_local):
            problems.append(
                Problem(
                    "postgresql_listen_addresses",
                    f"{text} is no address of this host (it has {', '.join(map(str, sorted(here, key=str)))}): give it to the "
                    "host first, or set net.ipv4.ip_nonlocal_bind (net.ipv6.ip_nonlocal_bind) for one that moves between hosts",
                )
            )
    return problems


def _packages(facts: Mapping[str, Any], expected: Expectation) -> list[Problem]:
    if expected.repository_declared:
        return []  # the role reads the source's package list first, and asks again before anything is installed
    version = expected.instance.version
    offered = ", ".join(str(major) for major in facts["majors_available"]) or "none (are the package lists read?)"
    advice = "declare a source in postgresql_repository"
    server = Problem(
        "postgresql_version",
        f"{version} is not in this host's package sources (they have: {offered}): choose one of them, or {advice}",
    )
    problems = [] if _offered(facts, f"postgresql-{version}") else [server]
    return problems + [
        Problem(name, f"is not in this host's package sources: {advice}")
        for name in expected.further_packages
        if not _offered(facts, name)
    ]


def _offered(facts: Mapping[str, Any], package: str) -> bool:
    seen = facts["packages"].get(package, {})
    return bool(seen.get("candidate") or seen.get("installed"))
