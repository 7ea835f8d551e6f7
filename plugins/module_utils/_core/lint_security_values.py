# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lint looks at in row security, views and audit: values only."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .names import QualifiedName
from .row_security import ObservedTable, Past
from .view import ObservedView

ROW_TRIGGER, TRUNCATE_TRIGGER = "pgstead_audit_row", "pgstead_audit_truncate"


@dataclass(frozen=True)
class PolicyColumn:
    """A column of its table that a policy reads."""

    name: str
    varchar: bool = False  # is compared as text, which an index on the column answers as well


@dataclass(frozen=True)
class Role:
    """A role as far as row security holds it; the owners are those of protected tables and their partitions."""

    name: str
    superuser: bool = False
    bypass: bool = False
    member_of: frozenset[str] = frozenset()  # owners that it can become
    acts_as: frozenset[str] = frozenset()  # owners whose rights it has without becoming them
    becomes: str = ""  # a superuser, or a role with BYPASSRLS, that it can become


@dataclass(frozen=True)
class Security:
    """Row security, those whom it is to hold, and what shows protected tables."""

    tables: Mapping[QualifiedName, ObservedTable] = field(default_factory=dict)
    columns: Mapping[tuple[QualifiedName, str], tuple[PolicyColumn, ...]] = field(default_factory=dict)  # by policy
    past: tuple[Past, ...] = ()  # below the tables whose row security is enabled
    per_row: frozenset[str] = frozenset()  # functions that policies call for each row
    grantees: Mapping[QualifiedName, frozenset[str]] = field(default_factory=dict)  # roles with a right, but the owner
    roles: Mapping[str, Role] = field(default_factory=dict)
    views: Mapping[QualifiedName, ObservedView] = field(default_factory=dict)
    reads: Mapping[QualifiedName, frozenset[QualifiedName]] = field(default_factory=dict)  # what a view is made of
    remote: Mapping[QualifiedName, QualifiedName] = field(default_factory=dict)  # foreign table → the one it shows
    invoker_views: bool = True  # PostgreSQL 15 and newer

    @cached_property
    def below(self) -> Mapping[QualifiedName, tuple[Past, ...]]:
        """Partitions and inheritance children of protected tables, with what protects them from there."""
        found: dict[QualifiedName, list[Past]] = {}
        for one in self.past:
            found.setdefault(one.table, []).append(one)
        return {table: tuple(ways) for table, ways in sorted(found.items())}


@dataclass(frozen=True)
class AuditTrigger:
    """A trigger that calls an audit's function; `enabled` is pg_trigger.tgenabled."""

    table: QualifiedName
    name: str
    enabled: str = "A"
    inherited: bool = False  # a partition has it from its parent


@dataclass(frozen=True)
class AuditPartition:
    """One partition of an audit's log; None is a bound without end."""

    name: QualifiedName
    lower: datetime.date | None = None
    upper: datetime.date | None = None
    default: bool = False
    bytes: int = 0


@dataclass(frozen=True)
class Audit:
    """The triggers and logs of module audit, and what the collection has noted of it."""

    triggers: tuple[AuditTrigger, ...] = ()
    logs: Mapping[QualifiedName, tuple[AuditPartition, ...]] = field(default_factory=dict)
    noted: frozenset[QualifiedName] = frozenset()  # tables that it was attached to
    notes_unread: bool = False  # this role may not read them
