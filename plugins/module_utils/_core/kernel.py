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
TRANSPARENT_HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


@dataclass(frozen=True)
class KernelValue:
    """One value: a dotted sysctl name, or a path below /sys."""

    name: str
    value: str
    reason: str


def kernel_values(
    huge_pages: int | None, huge_page_bytes: int, overrides: Mapping[str, object]
) -> tuple[tuple[KernelValue, ...], tuple[KernelValue, ...]]:
    """Return (sysctl values, /sys values); `overrides` are the inventory's sysctl values by name."""
    values = [
        KernelValue(
            "vm.overcommit_memory", "2", "an allocation fails cleanly instead of the OOM killer choosing a victim"
        ),
        KernelValue("vm.overcommit_ratio", "90", "share of memory that may be promised"),
        KernelValue("vm.swappiness", "1", "the server's memory stays in memory"),
        KernelValue("vm.dirty_background_bytes", "67108864", "write back early and evenly: no stall at a checkpoint"),
        KernelValue("vm.dirty_bytes", "536870912", "bound what one fsync may have to wait for"),
    ]
    if huge_pages is not None and huge_pages * huge_page_bytes >= HUGE_PAGES_FROM:
        size = human_size(huge_pages * huge_page_bytes)
        values.append(KernelValue("vm.nr_hugepages", str(huge_pages), f"exactly the server's shared memory, {size}"))
    merged = {value.name: value for value in values}
    for name, value in overrides.items():
        merged[name] = KernelValue(name, as_text(value), "postgresql_kernel_settings")
    transparent = KernelValue(TRANSPARENT_HUGE_PAGES, "never", "compaction stalls queries; explicit huge pages do not")
    return tuple(merged.values()), (transparent,)


def open_files(hard_limit: int, may_raise: bool) -> int:
    """Return LimitNOFILE of the unit: what we want, or what this host can give."""
    return OPEN_FILES if may_raise else min(OPEN_FILES, hard_limit)
