# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""On what a directory really lies: which mount, and whether that is a disk of this host or somebody else's."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

# File systems whose bytes lie on another host.
_REMOTE = re.compile(r"nfs4?|cifs|smb3|ceph|glusterfs|lustre|afs|9p|virtiofs|fuse\.(?!fuse-overlayfs).+")


@dataclass(frozen=True)
class Storage:
    """Where a directory lies: the mount's source and type, its device number."""

    source: str
    type: str
    device: int

    @property
    def remote(self) -> bool:
        return _REMOTE.fullmatch(self.type) is not None

    @property
    def kind(self) -> str:
        """Return what counts as one kind of storage in the 3-2-1 rule."""
        return f"network file system {self.source}" if self.remote else f"disk {self.device}"


def storage(path: Path) -> Storage:
    """Look at a path, or at the nearest directory above it that exists."""
    there = path
    while not there.exists():
        there = there.parent
    device = there.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _dash, rest = line.partition(" - ")
        if fields.split()[2] == wanted:
            kind, source = rest.split()[:2]
            return Storage(source, kind, device)
    return Storage("unknown", "unknown", device)
