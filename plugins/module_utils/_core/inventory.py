# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read inventory values as leniently as Ansible does: its validation accepts texts for lists and numbers, unchanged."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from .errors import Problem


def strings(value: object) -> tuple[str, ...]:
    """Return a list of texts; a single text is split at commas, as Ansible's own type `list` does."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Iterable):
        return tuple(str(item) for item in value)
    return (str(value),)


def number(value: object) -> int | None:
    """Return an integer, or None for nothing. Raises ValueError for a text that is not one."""
    return None if value in (None, "") else int(str(value))


def addresses(variable: str, found: Iterable[str]) -> list[Problem]:
    """Check addresses to listen on: each is *, an IP address or a host name."""
    return [
        Problem(variable, f"{address!r} is neither *, an IP address nor a host name")
        for address in found
        if not re.fullmatch(r"\*|[A-Za-z0-9_.:%-]+", address)
    ]


def waits_for_network(listened: Iterable[str]) -> bool:
    """Say whether one of these addresses to listen on may be the host's only once its network is up."""
    return any(not _always_there(address) for address in listened)


def _always_there(address: str) -> bool:
    if address in ("*", "localhost"):
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False  # a name is resolved, by a file or over the network
    return parsed.is_loopback or parsed.is_unspecified
