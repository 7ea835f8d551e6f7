# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What hangs on a view and its columns: what one that is made again gets back, and what it cannot get back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .index import ObservedIndex

Grant = tuple[str, str, bool]  # (role, or nothing for PUBLIC; privilege; with grant option)


@dataclass(frozen=True)
class Column:
    """What hangs on one column; what is the default is empty."""

    name: str
    type: str
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    statistics: int | None = None
    options: tuple[str, ...] = ()  # name=value
    storage: str = ""
    compression: str = ""


@dataclass(frozen=True)
class Kept:
    """What hangs on one view, besides its owner, its comment and the rights of others.

    `given` are the roles to which a view that is made in its place has rights by default (ALTER DEFAULT PRIVILEGES).
    """

    given: tuple[str, ...] = ()
    own: tuple[str, ...] | None = None  # rights of its owner, where some were revoked
    columns: tuple[Column, ...] = ()  # those on which something hangs
    extras: tuple[str, ...] = ()  # what is not made again: triggers, rules, defaults of columns …
    method: str = ""  # of a materialised view, where it is not what this session would take: its access method
    tablespace: str = ""
    indexes: tuple[ObservedIndex, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()  # (index, column that its definition names)


def fitting(kept: Kept, types: Mapping[str, str], materialized: bool) -> Kept:
    """Return what a view with columns of these types can have of it."""
    stays = [column for column in kept.columns if column.name in types]
    if not materialized:
        bare = tuple(Column(column.name, column.type, column.comment, column.grants) for column in stays)
        return Kept(kept.given, kept.own, bare)
    same = [
        column if types[column.name] == column.type else replace(column, storage="", compression="") for column in stays
    ]
    return replace(kept, columns=tuple(same))


def in_the_way(kept: Kept, types: Mapping[str, str], materialized: bool) -> tuple[str, ...]:
    """Name what would go with a view that is made again with columns of these types: somebody relies on it."""
    rights = [
        f"rights on column {column.name}" for column in kept.columns if column.grants and column.name not in types
    ]
    if not materialized:
        return (*kept.extras, *rights)
    away: dict[str, list[str]] = {}
    for index, column in kept.needs:
        if column not in types:
            away.setdefault(index, []).append(column)
    return (*kept.extras, *rights, *(f"index {index} on {', '.join(columns)}" for index, columns in away.items()))


def lost(kept: Kept, types: Mapping[str, str], materialized: bool) -> tuple[str, ...]:
    """Name what goes because what is declared cannot have it."""
    if not materialized:
        return (
            *(f"index {index.name}" for index in kept.indexes),
            *([f"tablespace {kept.tablespace}"] if kept.tablespace else []),
            *([f"access method {kept.method}"] if kept.method else []),
            *(f"settings of column {c.name}" for c in kept.columns if c.name in types and _settings(c)),
        )
    return tuple(
        f"{what} of column {column.name}"
        for column in kept.columns
        if types.get(column.name, column.type) != column.type
        for what, value in (("storage", column.storage), ("compression", column.compression))
        if value
    )


def _settings(column: Column) -> bool:
    return bool(column.statistics is not None or column.options or column.storage or column.compression)
