# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Explicit huge pages, reserved when the server that wants them is about to start: before, they would lie idle beside it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .._core.kernel import HUGE_PAGES, pages_to_keep

NODE = Path("/proc/sys/vm/nr_hugepages")
COMPACT = Path("/proc/sys/vm/compact_memory")
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Reservation:
    """What was reserved before, to go back to; `warning` says why the server starts without."""

    before: int
    warning: str = ""


def reserve(wanted: int) -> Reservation:
    """Have at least `wanted` pages, or no more than before: a part of them would be lost to everybody."""
    before = _count("Total")
    if before >= wanted:
        return Reservation(before)
    try:
        COMPACT.write_text("1")  # they need memory in one piece, which is scarce on a host that has run for long
        NODE.write_text(str(wanted))
    except OSError as error:
        said = f"{HUGE_PAGES} = {wanted} (is {before}): {error.strerror}, set it on the container's host"
        return Reservation(before, f"the kernel does not take: {said}")
    got = _count("Total")
    if got >= wanted:
        return Reservation(before)
    NODE.write_text(str(before))
    return Reservation(
        before,
        f"only {got} of {wanted} huge pages could be had, memory is too fragmented: the server starts without them "
        "(huge_pages = try), after a reboot they are there",
    )


def undo(made: Reservation) -> None:
    """Go back to what was reserved before."""
    if _count("Total") > made.before:
        NODE.write_text(str(made.before))


def idle(wanted: int) -> str:
    """Say what is reserved and used by nobody now that the server runs, or nothing. It may be meant for another program."""
    total = _count("Total")
    keep = pages_to_keep(total, _count("Free") - _count("Rsvd"), wanted)
    if keep >= total or not os.access(NODE, os.W_OK):  # a container sees its host's, which are not its to give
        return ""
    return (
        f"{total - keep} of {total} huge pages are reserved and used by nobody: a reboot gives them back, and so does "
        f"sysctl -w {HUGE_PAGES}={keep}"
    )


def _count(which: str) -> int:
    found = re.search(rf"^HugePages_{which}:\s+(\d+)$", MEMINFO.read_text(), re.MULTILINE)
    return int(found.group(1)) if found else 0
