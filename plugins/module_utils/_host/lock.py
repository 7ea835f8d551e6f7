# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks that end with the processes that hold them, however those end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._core.errors import HostError

_LOCKS = Path("/proc/locks")


@contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[str | None]:
    """Hold a lock file. Yields None when it is ours, else who holds it: a process id, as far as it is known. Raises
    HostError.
    """
    # A forked child holds it too: a job that outlives its supervisor is still running.
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        what = f"cannot be locked: {error.strerror}. Its directory must be there and belong to the jobs' user"
        raise HostError(f"{path} {what}: run playbook pgstead.ops.agent") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        else:
            with suppress(OSError):  # it is only told to others: a full disk keeps nobody from working
                os.ftruncate(handle, 0)
                os.write(handle, f"{os.getpid()}\n".encode())
            yield None
    finally:
        os.close(handle)


def held(path: Path) -> bool:
    """Say whether a process holds a lock, without touching it: whoever tried it would keep others from it meanwhile."""
    try:
        holder, inode = path.read_text(encoding="utf-8").strip(), path.stat().st_ino
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return False
    return any(line.split()[1:2] == ["FLOCK"] and f" {holder} " in line and f":{inode} " in line for line in lines)
