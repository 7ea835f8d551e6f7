# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a rebuild of this host needs besides its data, laid into the data directory: every backup then has it.

/etc/postgresql lies outside of the data directory on Debian, so that no physical backup has it. A copy inside is
encrypted, stored, kept and expired with the backup that it belongs to, whatever makes that backup.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._core.errors import HostError

PLACE = "pgstead"
_LARGEST_BYTES = 2**20

Run = Callable[[Sequence[str]], tuple[int, str, str]]


def save(data_directory: Path, paths: Sequence[Path], facts: Mapping[str, Any]) -> int:
    """Bring the copy up to date and return how many files it has. Raises HostError.

    What has not changed is not written again: an incremental backup then has nothing to store.
    """
    if not (data_directory / "PG_VERSION").exists():
        raise HostError(f"{data_directory} is not a cluster: nothing was kept beside it")
    place = data_directory / PLACE
    try:
        wanted = {
            str(file.relative_to("/")): file.read_bytes()
            for path in paths
            for file in _files(path)
            if file.stat().st_size <= _LARGEST_BYTES
        }
        wanted["facts.json"] = (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()
        for file in _files(place):
            if str(file.relative_to(place)) not in wanted:
                file.unlink()
        for name, content in wanted.items():
            _write(place / name, content)
    except OSError as error:
        raise HostError(
            f"{error.filename} cannot be kept beside the backup: {error.strerror}. Playbook pgstead.ops.backup_setup lets "
            "postgres read it"
        ) from error
    return len(wanted)


def _files(path: Path) -> list[Path]:
    """Return the regular files below a path, without following links."""
    if path.is_file():
        return [path]
    found = []
    for directory, _directories, names in os.walk(path, onerror=_raise):
        found += [Path(directory, name) for name in sorted(names)]
    return [file for file in found if file.is_file() and not file.is_symlink()]


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    new.replace(path)


def facts(run: Run, data_directory: Path) -> dict[str, Any]:
    """Return what to know of this host to build another one like it. Raises HostError."""
    code, out, err = run(["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n"])
    if code != 0:
        raise HostError(f"dpkg-query failed: {err.strip()}")
    wanted = ("postgresql", "pgbackrest", "pgbouncer", "python3-psycopg2", "libc6", "libicu")
    packages = dict(line.split(" ", 1) for line in out.splitlines() if line.startswith(wanted))
    tablespaces = {link.name: str(link.readlink()) for link in sorted((data_directory / "pg_tblspc").glob("*"))}
    release = Path("/etc/os-release").read_text()
    return {
        "operating_system": next(
            (line.split("=", 1)[1].strip('"') for line in release.splitlines() if line.startswith("PRETTY_NAME=")), ""
        ),
        "packages": packages,
        "data_directory": str(data_directory),
        "tablespaces": tablespaces,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "processors": os.cpu_count(),
    }
