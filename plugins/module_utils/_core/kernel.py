# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel and unit settings of a database host, with reasons; who writes and sets them is _host.host_settings's matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .settings import as_text
from .units import GB, human_size

OPEN_FILES = 65536
HUGE_PAGES_FROM = 1 * GB  # below, page tables are small and reserved memory is better left free
# the kernel zeroes the one of a pair when the other is written, so that both would never settle
TWINS = {
    "vm.overcommit_ratio": "vm.overcommit_kbytes",
    "vm.dirty_background_bytes": "vm.dirty_background_ratio",
    "vm.dirty_bytes": "vm.dirty_ratio",
}
HUGE_PAGES = "vm.nr_hugepages"
TRANSPARENT_HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


@dataclass(frozen=True)
class KernelValue:
    """One value: a dotted sysctl name, or a path below /sys; one that is not for `now` waits for the server's start."""

    name: str
    value: str
    reason: str
    now: bool = True


def kernel_values(
    huge_pages: int | None, huge_page_bytes: int, overrides: Mapping[str, object], *, alone: bool = True
) -> tuple[tuple[KernelValue, ...], tuple[KernelValue, ...]]:
    """Return (sysctl values, /sys values), in the order they are set.

    `overrides` are the inventory's sysctl values by name, each in place of ours or of its twin. Where the cluster is not
    `alone` on its host, the number of huge pages is left to the inventory: it would be the sum of all.
    """
    values = [
        KernelValue("vm.overcommit_ratio", "90", "share of memory that may be promised"),  # before it counts
        KernelValue(
            "vm.overcommit_memory", "2", "an allocation fails cleanly instead of the OOM killer choosing a victim"
        ),
        KernelValue("vm.swappiness", "1", "the server's memory stays in memory"),
        KernelValue("vm.dirty_background_bytes", "67108864", "write back early and evenly: no stall at a checkpoint"),
        KernelValue("vm.dirty_bytes", "536870912", "bound what one fsync may have to wait for"),
    ]
    if alone and huge_pages is not None and huge_pages * huge_page_bytes >= HUGE_PAGES_FROM:
        reason = f"exactly the server's shared memory, {human_size(huge_pages * huge_page_bytes)}"
        values.append(KernelValue(HUGE_PAGES, str(huge_pages), reason, now=False))
    declared = {
        name: KernelValue(name, as_text(value), "postgresql_kernel_settings") for name, value in overrides.items()
    }
    ordered = [declared.get(TWINS.get(value.name, ""), value) for value in values]  # a twin takes its place
    merged = {value.name: value for value in ordered} | declared
    transparent = KernelValue(TRANSPARENT_HUGE_PAGES, "never", "compaction stalls queries; explicit huge pages do not")
    return tuple(merged.values()), (transparent,)


def strictness_problem(memory: Mapping[str, int], ratio: int, kibibytes: int = 0) -> str:
    """Say why strict overcommit would break a running host, or return nothing.

    `memory` has MemTotal, SwapTotal, Hugetlb and Committed_AS of /proc/meminfo, in bytes. `kibibytes` (vm.overcommit_kbytes)
    counts instead of `ratio`, unless it is 0. What has been promised beyond the limit stays with its programs, but nobody
    gets any more: no fork, no connection.
    """
    share = kibibytes * 1024 or (memory["MemTotal"] - memory["Hugetlb"]) * ratio // 100
    limit = share + memory["SwapTotal"]
    if memory["Committed_AS"] < limit:
        return ""
    return (
        f"programs on this host have been promised {human_size(memory['Committed_AS'])} and {human_size(limit)} would be "
        "allowed, so that none could start: end them, give the host memory or swap, or declare vm.overcommit_memory: 0 in "
        "postgresql_kernel_settings"
    )


def pages_to_keep(total: int, unused: int, wanted: int) -> int:
    """Return how many huge pages stay reserved once the server runs: those that somebody uses, and what it wants."""
    return max(wanted, total - unused)


def open_files(hard_limit: int, may_raise: bool) -> int:
    """Return LimitNOFILE of the unit: what we want, or what this host can give."""
    return OPEN_FILES if may_raise else min(OPEN_FILES, hard_limit)
