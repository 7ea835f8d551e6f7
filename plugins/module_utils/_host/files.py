# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write files whole and atomically, with an owner and a mode, and take them back."""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """A file as it shall be."""

    path: Path
    content: str = field(repr=False)
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644


@dataclass(frozen=True)
class Found:
    """A file as it is; None where there is none."""

    content: str | None
    owner: str = ""
    group: str = ""
    mode: int = 0


def look(path: Path) -> Found:
    """Read a file with its owner, group and mode."""
    try:
        text = path.read_bytes().decode(errors="surrogateescape")  # bytes: line ends come back as they were
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Found(None)
    return Found(text, _user(status.st_uid), _group(status.st_gid), status.st_mode & 0o7777)


def differing(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Return those that must be written."""
    return [
        file
        for file in wanted
        if (found := look(file.path)) != Found(file.content, file.owner, file.group, file.mode) or found.content is None
    ]


def diff(wanted: Sequence[Wanted]) -> list[dict[str, str]]:
    """Return before/after pairs of the files that must be written."""
    return [
        {
            "before": look(file.path).content or "",
            "after": file.content,
            "before_header": str(file.path),
            "after_header": str(file.path),
        }
        for file in differing(wanted)
    ]


def make_directory(path: Path, owner: str, group: str, mode: int) -> None:
    """Make a directory that others than root must reach, or make it so: what is made along the way has root's umask."""
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    path.chmod(mode)


def write(file: Wanted) -> None:
    """Put a file in place atomically: a reader sees the old one or the new one, never a part."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(file.content.encode(errors="surrogateescape"))
            stream.flush()
            os.fsync(stream.fileno())
        # an owner that `look` could only give as a number has no name
        owner = int(file.owner) if file.owner.isdigit() else pwd.getpwnam(file.owner).pw_uid
        group = int(file.group) if file.group.isdigit() else grp.getgrnam(file.group).gr_gid
        os.chown(name, owner, group)
        Path(name).chmod(file.mode)
        Path(name).replace(file.path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def restore(before: Mapping[Path, Found]) -> None:
    """Put files back as `look` found them; remove those that were not there."""
    for path, found in before.items():
        if found.content is None:
            path.unlink(missing_ok=True)
        else:
            write(Wanted(path, found.content, found.owner, found.group, found.mode))


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
