# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which restores a drill makes, from which repository, in which order.

The newest state comes first: it has the markers that say where the others are to end. Repositories and kinds of targets
take turns from drill to drill, so that no copy is the one that nobody ever tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROFILES = ("quick", "full")
TARGETS = ("time", "name", "lsn")
NEWEST = "latest"
VERSIONS = "versions"  # of the store: the newest state as the repository had it at an earlier time


@dataclass(frozen=True)
class Step:
    """One restore: to what kind of target, from the repository with this key."""

    kind: str
    repository: int


def steps(profile: str, repositories: Sequence[int], turn: int, versioned: Sequence[int] = ()) -> tuple[Step, ...]:
    """Return the restores of a drill; `turn` is how many were made before it.

    A quick one restores the newest state and goes back to one target, by delta, from another repository where there is
    one. A full one goes to every kind of target, tries every repository, and what stores keep of those in `versioned`.
    """
    count = len(repositories)
    if profile == "quick":
        # the kind moves on when every repository has had it
        kind = TARGETS[turn // count % len(TARGETS)]
        return (Step(NEWEST, repositories[turn % count]), Step(kind, repositories[(turn + 1) % count]))
    kinds = [NEWEST, *TARGETS]
    kinds += ["lsn"] * (count - len(kinds))
    found = [Step(kind, repositories[(turn + place) % count]) for place, kind in enumerate(kinds)]
    return (*found, *(Step(VERSIONS, key) for key in versioned))
