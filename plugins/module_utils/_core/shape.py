# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a mapping read from a file must hold: its keys, each with a test and with words for what is accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import Problem

Key = tuple[Callable[[Any], bool], str]


def whole(low: int, high: int) -> Key:
    """Accept a whole number in a range."""
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
        f"a whole number from {low} to {high}",
    )


TEXT: Key = (lambda value: isinstance(value, str) and bool(value.strip()), "a text")
PATH: Key = (lambda value: isinstance(value, str) and value.startswith("/"), "an absolute path")
MAPPING: Key = (lambda value: isinstance(value, Mapping), "a mapping")


def texts(what: str) -> Key:
    """Accept a list of texts, at least one."""
    accepts, _words = TEXT
    return (
        lambda value: isinstance(value, list) and bool(value) and all(accepts(each) for each in value),
        f"a list with at least one {what}",
    )


def or_nothing(key: Key) -> Key:
    """Accept null as well."""
    accepts, words = key
    return (lambda value: value is None or accepts(value), f"{words}, or null")


def faults(raw: Any, keys: Mapping[str, Key], where: str) -> list[Problem]:
    """Return everything wrong with a mapping that must have exactly these keys."""
    if not isinstance(raw, Mapping):
        return [Problem(where, "is not a mapping")]
    unknown = [Problem(f"{where}.{name}", f"is unknown; known are {', '.join(keys)}") for name in set(raw) - set(keys)]
    missing = [
        Problem(f"{where}.{name}", f"is missing: give {words}") for name, (_, words) in keys.items() if name not in raw
    ]
    wrong = [
        Problem(f"{where}.{name}", f"{raw[name]!r} is not {words}")
        for name, (accepts, words) in keys.items()
        if name in raw and not accepts(raw[name])
    ]
    return [*sorted(unknown, key=str), *missing, *wrong]


def each_of(
    raw: Mapping[str, Any], key: str, what: str, keys: Mapping[str, Key], where: str
) -> tuple[list[Mapping[str, Any]], list[Problem]]:
    """Return the mappings of a list that is all there is in `raw`, and everything wrong with it."""
    some: Key = (lambda value: isinstance(value, list) and bool(value), f"a list with at least one {what}")
    problems = faults(raw, {key: some}, where)
    items = raw.get(key)
    listed = items if isinstance(items, list) else []
    for position, item in enumerate(listed):
        problems += faults(item, keys, f"{where}.{key}[{position}]")
    return listed, problems
