# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which units run with what was there before: a playbook that was cut off has written files, and told systemd nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from .agent_plan import HEARTBEAT

# what the heartbeat is started with, besides its unit
_OF_THE_HEARTBEAT = ("agent.json", "pgstead")


def units(shown: str, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return whether systemd is to read its units anew (`reload`), and which of them are older than what they are made of
    (`restart`). `shown` is what `systemctl show` says of them in UTC: Id, NeedDaemonReload, ActiveEnterTimestamp; `files`
    have `path` and `mtime`.
    """
    changed = {PurePosixPath(each["path"]).name: float(each["mtime"]) for each in files}
    blocks = list(_blocks(shown))
    return {
        "reload": any(block.get("NeedDaemonReload") == "yes" for block in blocks),
        "restart": [block["Id"] for block in blocks if _outdated(block, changed)],
    }


def _blocks(shown: str) -> Iterator[dict[str, str]]:
    for text in shown.split("\n\n"):
        block = {key: value for key, _, value in (line.partition("=") for line in text.splitlines())}
        if block.get("Id"):
            yield block


def _outdated(block: Mapping[str, str], changed: Mapping[str, float]) -> bool:
    """Say whether a unit that runs began before one of its files was written. Within a second, nobody knows."""
    started, name = block.get("ActiveEnterTimestamp", "").split(), block["Id"]
    sources = {HEARTBEAT: (name, *_OF_THE_HEARTBEAT)}.get(name, (name,) if name.endswith(".timer") else ())
    if len(started) != 4 or not sources:  # it has never run
        return False
    _weekday, day, time, _zone = started
    began = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC).timestamp()
    return any(math.floor(changed[each]) > began for each in sources if each in changed)
