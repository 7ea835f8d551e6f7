# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where evidence lies on a host."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._core import evidence
from .files import Wanted, write

DIRECTORY = Path("/var/lib/pgstead/evidence")


def records(kind: str, directory: Path = DIRECTORY) -> list[dict[str, Any]]:
    """Return the records of a kind, the oldest first; what cannot be read as one is left out."""
    found = []
    for path in sorted(directory.glob(f"*-{kind}*.json")):
        with suppress(OSError, ValueError):
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry.get("kind") == kind:
                found.append(entry)
    return found


def keep(entry: Mapping[str, Any], directory: Path = DIRECTORY) -> str:
    """Write a record as JSON and as a page; return the JSON's path."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    path = directory / f"{evidence.file_stem(entry)}.json"
    owner, group = str(os.geteuid()), str(os.getegid())
    write(Wanted(path.with_suffix(".html"), evidence.as_page(entry), owner, group))
    write(Wanted(path, evidence.as_json(entry), owner, group))
    return str(path)
