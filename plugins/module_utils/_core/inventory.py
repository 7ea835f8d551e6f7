# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read inventory values as leniently as Ansible does: its validation accepts texts for lists and numbers, unchanged."""

from __future__ import annotations

from collections.abc import Iterable


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
