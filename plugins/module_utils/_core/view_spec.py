# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Views as the inventory declares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Problem
from .expression import complaint
from .names import QualifiedName, parse

CHECK_OPTIONS = ("local", "cascaded")


@dataclass(frozen=True)
class View:
    """One declared view; `position` says where in the list, for messages."""

    position: str
    name: QualifiedName
    query: str
    materialized: bool = False
    options: tuple[tuple[str, str], ...] = ()
    comment: str | None = None
    present: bool = True
    refresh: bool = False  # by the scheduled job; no part of the definition


def views(items: Sequence[Mapping[str, Any]], schema: str) -> tuple[tuple[View, ...], tuple[Problem, ...]]:
    """Turn the inventory's list into values, with every problem found; a faulty item is left out of the values."""
    found: list[View] = []
    problems: list[Problem] = []
    seen: dict[QualifiedName, str] = {}
    for number, item in enumerate(items):
        position = f"views[{number}]"
        where = f"{position} ({item.get('name')})"
        try:
            made = _view(position, item, schema)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        if made.name in seen:
            problems.append(Problem(where, f"{seen[made.name]} declares the same view"))
        seen.setdefault(made.name, position)
        found.append(made)
    return tuple(found), tuple(problems)


def _view(position: str, item: Mapping[str, Any], schema: str) -> View:
    name = parse(str(item["name"]), schema)
    query = str(item.get("query") or "").strip().rstrip(";").strip()
    present = (item.get("state") or "present") == "present"
    materialized = bool(item.get("materialized"))
    if name.name.startswith("pgstead_"):
        raise ValueError(f"{name.name!r} begins with pgstead_, which this collection uses while it fills a view")
    if present and not query:
        raise ValueError("query is missing: what the view shows")
    fault = complaint(query)
    if fault:
        raise ValueError(f"query: {fault}")
    options = _options(item)
    if materialized and options:
        raise ValueError(f"{', '.join(name for name, _ in options)}: a materialised view has no such options")
    refresh = bool(item.get("refresh"))
    if refresh and not materialized:
        raise ValueError("refresh is for materialised views: any other shows what is in its tables now")
    comment = None if item.get("comment") is None else str(item["comment"])
    return View(position, name, query, materialized, options, comment, present, refresh)


def _options(item: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return reloptions by name, in the words of the catalogue."""
    found = [(key, "true") for key in ("security_barrier", "security_invoker") if item.get(key)]
    check_option = str(item.get("check_option") or "").lower()
    if check_option and check_option not in CHECK_OPTIONS:
        raise ValueError(f"check_option {check_option!r} is not one of {', '.join(CHECK_OPTIONS)}")
    return tuple(sorted([*found, *([("check_option", check_option)] if check_option else [])]))
