# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log of a server, as far as it lies on this host: whole, or from a moment on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class ServerLog:
    """The files of a cluster's log; `begin` is how long each was at the moment from which on they are read."""

    version: int
    cluster: str
    begin: Mapping[Path, int] = field(default_factory=dict)

    def files(self) -> list[Path]:
        """Return the files, the one written last at the end."""
        title = f"{self.version}-{self.cluster}"
        directory = Path("/var/log/postgresql")
        found = [*(directory / title).glob("postgresql-*"), directory / f"postgresql-{title}.log"]
        return sorted((path for path in found if path.is_file()), key=lambda path: path.stat().st_mtime)

    def here(self) -> ServerLog:
        """Return the log from now on."""
        return replace(self, begin={path: path.stat().st_size for path in self.files()})

    def lines(self) -> list[str]:
        """Return the lines; a file that was truncated meanwhile is read from its begin."""
        found: list[str] = []
        for path in self.files():
            with path.open("rb") as stream:
                size = path.stat().st_size
                stream.seek(self.begin.get(path, 0) if size >= self.begin.get(path, 0) else 0)
                found += stream.read().decode(errors="replace").splitlines()
        return found
