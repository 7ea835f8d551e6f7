# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Directories in which dumps lie unencrypted for a while: for one user only, and gone afterwards, whatever happens."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._core.errors import HostError
from .._core.units import MB, human_size

_PREFIX = "work-"
FULL_BYTES = 64 * MB


@contextmanager
def working_directory(parent: Path, user: str, *, says_full: bool = True) -> Iterator[Path]:
    """Yield a new directory in `parent`, which only `user` (and root) can enter. What killed runs left is removed first. Errors
    then say that the disk is full, where it is.

    Raises HostError where the parent is missing, or open to others.
    """
    try:
        above = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise HostError(f"{parent}: {error.strerror}. Run playbook pgstead.ops.backup_setup, which makes it") from error
    try:
        status = os.fstat(above)
        if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid(), _number(user)):
            mode = stat.S_IMODE(status.st_mode)
            raise HostError(f"{parent} has mode {mode:04o}, owner {status.st_uid}: it must be {user}'s, with mode 0700")
        fcntl.flock(above, fcntl.LOCK_EX)  # for a moment: nobody takes a directory for left that is just being made
        _clean(parent)
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
    finally:
        os.close(above)
    try:
        give(made, user)
        yield made
    except HostError as error:
        raise HostError(f"{error}{_shortage(parent) if says_full else ''}", error.data) from error
    except OSError as error:
        shortage = _shortage(parent) if says_full else ""
        raise HostError(f"{error.filename or made}: {error.strerror}{shortage}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def give(path: Path, user: str) -> None:
    """Make a user the owner, where the caller may."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(user)
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _shortage(parent: Path) -> str:
    """Say that the disk is full, where it is: programs that fail then do not always say it."""
    free = shutil.disk_usage(parent).free
    return f". The disk is full: {human_size(free)} are free in {parent}" if free < FULL_BYTES else ""


def _number(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise HostError(f"operating system user {user!r} does not exist on this host") from None


def _clean(parent: Path) -> None:
    """Remove the directories that nobody holds any more."""
    for path in parent.glob(f"{_PREFIX}*"):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(path)
        finally:
            os.close(handle)
