# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How dumps are named where they are stored, and what a directory of them says about each.

`<host>/<cluster>/<database>/<UTC time>-<database>.tar.age` (or `.tar.gpg`), with `….json`, its manifest, beside it. A
manifest comes last, so a dump that has one was complete when it was uploaded. Names sort by time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

STAMP = "%Y%m%dT%H%M%SZ"
ARCHIVES = {"age": ".tar.age", "gpg": ".tar.gpg"}
MANIFEST, PARTIAL = ".json", ".partial"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-(.+?)(\.tar\.age|\.tar\.gpg|\.json)(\.partial)?")


@dataclass(frozen=True)
class Stored:
    """A dump as a directory shows it; `archive` is empty where only its manifest is there."""

    stem: str
    taken: datetime
    archive: str
    manifest: bool

    @property
    def complaint(self) -> str:
        """Say which half of it is missing, or return nothing."""
        if not self.archive:
            return f"{self.stem}: its archive is missing, only the manifest is there"
        return "" if self.manifest else f"{self.stem}: its manifest is missing, only the archive is there"


def folder(name: str) -> str:
    """Return a database's (or host's, cluster's) name as one that every store takes: ASCII, nothing hidden, no separator."""
    text = quote(name, safe="")
    return f"%2E{text[1:]}" if text.startswith(".") else text


def stem(database: str, taken: datetime) -> str:
    """Return a dump's name without endings."""
    return f"{taken.astimezone(UTC):{STAMP}}-{folder(database)}"


def stored(names: Iterable[str], database: str) -> list[Stored]:
    """Return the dumps of a database among the names of a directory, oldest first; other names are nobody's business."""
    found: dict[str, tuple[str, bool]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if not match or match[2] != folder(database) or match[4] or _time(match[1]) is None:
            continue
        own = f"{match[1]}-{match[2]}"
        archive, manifest = found.get(own, ("", False))
        found[own] = (archive, True) if match[3] == MANIFEST else (name, manifest)
    times = {own: _time(own.partition("-")[0]) for own in found}
    return [Stored(own, taken, *found[own]) for own, taken in sorted(times.items()) if taken]


def partial(names: Iterable[str], database: str) -> list[str]:
    """Return what uploads of this database left that were cut off."""
    matches = ((name, _NAME.fullmatch(name)) for name in names)
    return sorted(name for name, match in matches if match and match[4] and match[2] == folder(database))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
