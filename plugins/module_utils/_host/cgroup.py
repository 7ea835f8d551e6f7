# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory and processor limits of a service's control group, version 1 or 2, whichever the host has.

Not of this process's: a login session has limits of its own, which no service has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT, INIT = Path("/sys/fs/cgroup"), Path("/proc/1/cgroup")
# cgroup v1 reports "no limit" as a number near 2^63 rounded down to a page
_UNLIMITED = 1 << 60


def _levels(base: Path, group: str, unit: str) -> Iterator[Path]:
    """Yield a unit's directory and its ancestors': a parent's limit binds its children too.

    `group` is that of process 1; a unit that does not run has no directory, but the slice it will be in may have.
    """
    path = base / group.removesuffix("/init.scope").lstrip("/")
    if not path.is_dir():
        path = base  # a container with its own namespace sees its group as the root
    for name in ("system.slice", f"system-{unit.partition('@')[0]}.slice", f"{unit}.service"):
        if not (path / name).is_dir():
            break
        path /= name
    while True:
        yield path
        if path == base:
            return
        path = path.parent


def _group(controller: str, membership: str) -> tuple[str, str]:
    """Return (version, group) of a controller from the text of /proc/1/cgroup."""
    unified = ("2", "/")
    for line in membership.splitlines():
        number, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            return "1", group
        if number == "0" and not controllers:
            unified = ("2", group)
    return unified


def _numbers(directories: Iterator[Path], name: str) -> Iterator[int]:
    for directory in directories:
        try:
            text = (directory / name).read_text().split()[0]
        except (FileNotFoundError, IndexError):
            continue
        if text.lstrip("-").isdigit():
            yield int(text)


def memory_limit(unit: str, root: Path = ROOT, proc: Path = INIT) -> int | None:
    """Return the smallest memory limit in bytes that binds a unit (such as postgresql@17-main), or None."""
    version, group = _group("memory", proc.read_text())
    base, name = (root / "memory", "memory.limit_in_bytes") if version == "1" else (root, "memory.max")
    limits = [limit for limit in _numbers(_levels(base, group, unit), name) if 0 < limit < _UNLIMITED]
    return min(limits, default=None)


def processors(unit: str, root: Path = ROOT, proc: Path = INIT) -> int:
    """Return how many processors a unit may use: process 1's affinity, and the quota where one is set (rounded up)."""
    version, group = _group("cpu", proc.read_text())
    count = len(os.sched_getaffinity(1))
    shares = []
    for directory in _levels(root / "cpu" if version == "1" else root, group, unit):
        try:
            if version == "1":
                quota = (directory / "cpu.cfs_quota_us").read_text().strip()
                period = (directory / "cpu.cfs_period_us").read_text().strip()
            else:
                quota, period = (directory / "cpu.max").read_text().split()
        except (FileNotFoundError, ValueError):
            continue
        if quota.isdigit() and int(period) > 0:
            shares.append(-(-int(quota) // int(period)))
    return max(1, min([count, *shares]))
