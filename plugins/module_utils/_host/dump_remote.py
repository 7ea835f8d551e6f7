# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where dumps are stored, by way of rclone: nothing has its name before it is whole, and no secret is in an argument."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._core.dump_name import PARTIAL
from .._core.errors import HostError
from .dump_archive import CHUNK
from .dump_programs import Programs

LOOK_SECONDS, TRANSFER_SECONDS = 300.0, 4 * 3600.0
# a store that does not answer is given up within minutes
_BOUNDS = [
    "--contimeout",
    "15s",
    "--timeout",
    "60s",
    "--retries",
    "3",
    "--retries-sleep",
    "2s",
    "--low-level-retries",
    "3",
]
_HASHES = ("sha256", "sha1", "md5")  # in order of trust
_NO_DIRECTORY = "directory not found"


@dataclass(frozen=True)
class Store:
    """One directory as rclone names it (`offsite:backups/db1/main/shop`)."""

    place: str
    config: Path
    programs: Programs

    def names(self) -> list[str]:
        """Return the names of the files in it; none where it does not exist yet. Raises HostError."""
        try:
            found = self._rclone("lsjson", "--files-only", "--no-modtime", "--no-mimetype", self.place)
        except HostError as error:
            if _NO_DIRECTORY in str(error):
                return []
            raise
        return [str(entry["Name"]) for entry in json.loads(found)]

    def stat(self, name: str, *, hashes: bool = False) -> Mapping[str, Any] | None:
        """Return size and, as far as the store has them, hashes of a file; None where it is missing."""
        options = ["--hash"] if hashes else []
        try:
            found = self._rclone(
                "lsjson", "--stat", "--no-mimetype", *options, f"{self.place}/{name}", seconds=TRANSFER_SECONDS
            )
        except HostError as error:
            if _NO_DIRECTORY in str(error) or "object not found" in str(error):
                return None
            raise
        entry = json.loads(found)
        return entry if isinstance(entry, dict) and not entry.get("IsDir") else None

    def read(self, name: str) -> str:
        """Return the text of a small file."""
        return self._rclone("cat", f"{self.place}/{name}").decode(errors="replace")

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file here."""
        self._rclone("copyto", f"{self.place}/{name}", str(path), seconds=TRANSFER_SECONDS)

    def remove(self, name: str) -> None:
        """Delete one file."""
        self._rclone("deletefile", f"{self.place}/{name}")

    def upload(self, path: Path, name: str, digests: Mapping[str, Any]) -> str:
        """Store a file, and compare what arrived with it before it gets its name. Return how that was compared.

        `digests` is size and hashes by name. Raises HostError.
        """
        waiting = f"{name}{PARTIAL}"
        self._rclone("copyto", str(path), f"{self.place}/{waiting}", seconds=TRANSFER_SECONDS)
        checked = self._compared(path, waiting, digests)
        self._rclone("moveto", f"{self.place}/{waiting}", f"{self.place}/{name}", seconds=TRANSFER_SECONDS)
        return checked

    def _compared(self, path: Path, name: str, digests: Mapping[str, Any]) -> str:
        arrived = self.stat(name, hashes=True)
        if arrived is None or arrived["Size"] != digests["size"]:
            size = "nothing" if arrived is None else f"{arrived['Size']} bytes"
            raise HostError(f"{self.place}/{name}: the upload was cut off: {size} arrived of {digests['size']} bytes")
        theirs = {str(kind).lower().replace("-", ""): value for kind, value in (arrived.get("Hashes") or {}).items()}
        for kind in _HASHES:
            if theirs.get(kind):
                if theirs[kind] != digests[kind]:
                    raise HostError(f"{self.place}/{name}: what arrived is not what was sent: its {kind} is another")
                return kind
        with path.open("rb") as stream:
            for offset in (0, max(0, digests["size"] - CHUNK)):
                stream.seek(offset)
                bounds = ["--offset", str(offset), "--count", str(CHUNK)]
                if self._rclone("cat", *bounds, f"{self.place}/{name}") != stream.read(CHUNK):
                    raise HostError(f"{self.place}/{name}: what arrived is not what was sent, from byte {offset} on")
        return "sample"

    def _rclone(self, verb: str, *words: str, seconds: float = LOOK_SECONDS) -> bytes:
        argv = ["rclone", verb, "--config", str(self.config), "--ask-password=false", *_BOUNDS, *words]
        try:
            return self.programs.run(argv, seconds)
        except HostError as error:
            raise HostError(f"{self.place}: {error}") from error
