# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit trail as the inventory declares it: which tables, what of their rows is not written down, who may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .audit_partition import DEFAULT_AHEAD, LEAST_AHEAD, retention_months
from .errors import Problem
from .inventory import number, strings
from .names import QualifiedName, parse, unusable
from .row_security_spec import context

MODES = ("changed", "full")
STATES = ("present", "absent")
KEYS = ("name", "state", "mode", "excluded_columns", "redacted_columns")
DEFAULT_SCHEMA = "audit"
TABLE = "log"


@dataclass(frozen=True)
class Audited:
    """One table; `excluded` columns are never looked at, of `redacted` ones it is written that they changed."""

    position: str
    table: QualifiedName
    full: bool = False
    excluded: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    present: bool = True

    @property
    def where(self) -> str:
        """Where it is declared, for messages."""
        return f"{self.position} ({self.table})"

    @property
    def hidden(self) -> tuple[str, ...]:
        """The columns whose values are in no log."""
        return (*self.excluded, *self.redacted)


@dataclass(frozen=True)
class Audit:
    """What is declared of a database's audit trail; the settings carry the application's user and role."""

    schema: str = DEFAULT_SCHEMA
    tables: tuple[Audited, ...] = ()
    ahead: int = DEFAULT_AHEAD
    readers: tuple[str, ...] = ()
    user_setting: str = ""
    role_setting: str = ""
    table: str = TABLE

    @property
    def log(self) -> QualifiedName:
        return QualifiedName(self.schema, self.table)

    @property
    def recorder(self) -> QualifiedName:
        """The function that the triggers call."""
        return QualifiedName(self.schema, "record_change")

    @property
    def trail(self) -> QualifiedName:
        """The function that shows what happened to one record."""
        return QualifiedName(self.schema, "trail")


def audit(raw: Mapping[str, Any], schema: str) -> tuple[Audit, tuple[Problem, ...]]:
    """Read the declaration, with every problem found; `schema` has the tables that are named without one."""
    home = str(raw.get("audit_schema") or DEFAULT_SCHEMA)
    carried, problems = context(raw.get("context"), schema)
    found = [*_of_the_log(raw, home), *problems]
    mode = str(raw.get("mode") or MODES[0])
    tables, faults = _tables(raw.get("tables") or (), schema, home, mode)
    declared = Audit(
        schema=home,
        tables=tables,
        ahead=_ahead(raw),
        readers=tuple(dict.fromkeys(strings(raw.get("readers")))),
        user_setting=carried.user if carried else "",
        role_setting=carried.role if carried else "",
    )
    return declared, (*found, *faults)


def _ahead(raw: Mapping[str, Any]) -> int:
    """Return how many months are made ahead of time; what is no number counts as too few."""
    try:
        told = number(raw.get("partitions_ahead"))
    except ValueError:
        return -1
    return DEFAULT_AHEAD if told is None else told


def _of_the_log(raw: Mapping[str, Any], home: str) -> list[Problem]:
    problems = []
    fault = unusable(home)
    if fault or home.startswith("pg_") or home in ("information_schema", "public", "pgstead"):
        what = fault or f"{home!r} is not a schema for the log: it gets one of its own, for example audit"
        problems.append(Problem("audit_schema", what))
    if raw.get("mode") not in (None, *MODES):
        problems.append(Problem("mode", f"{raw['mode']!r} is not one of {', '.join(MODES)}"))
    if _ahead(raw) < LEAST_AHEAD:
        what = f"{raw['partitions_ahead']}: at least {LEAST_AHEAD} months are made ahead of time"
        problems.append(Problem("partitions_ahead", what))
    if raw.get("retention") not in (None, ""):
        try:
            retention_months(str(raw["retention"]))
        except ValueError as error:
            problems.append(Problem("retention", str(error)))
    return problems


def _tables(items: Sequence[Any], schema: str, home: str, mode: str) -> tuple[tuple[Audited, ...], list[Problem]]:
    found: list[Audited] = []
    problems: list[Problem] = []
    seen: dict[QualifiedName, str] = {}
    for count, raw in enumerate(items):
        item = {"name": raw} if isinstance(raw, str) else raw
        position = f"tables[{count}]"
        if not isinstance(item, Mapping) or not item.get("name"):
            problems.append(Problem(position, "needs name"))
            continue
        where = f"{position} ({item['name']})"
        try:
            made = _table(position, item, schema, mode)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        if made.table in seen:
            problems.append(Problem(where, f"{seen[made.table]} declares the same table"))
        seen.setdefault(made.table, position)
        problems += [Problem(where, what) for what in _faults(made, home)]
        found.append(made)
    return tuple(found), problems


def _table(position: str, item: Mapping[str, Any], schema: str, mode: str) -> Audited:
    unknown = sorted(set(item) - set(KEYS))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: an audited table has {', '.join(KEYS)}")
    for key, accepted in (("state", STATES), ("mode", MODES)):
        if item.get(key) not in (None, *accepted):
            raise ValueError(f"{key} {item[key]!r} is not one of {', '.join(accepted)}")
    return Audited(
        position=position,
        table=parse(str(item["name"]), schema),
        full=(item.get("mode") or mode) == "full",
        excluded=tuple(dict.fromkeys(strings(item.get("excluded_columns")))),
        redacted=tuple(dict.fromkeys(strings(item.get("redacted_columns")))),
        present=item.get("state") != "absent",
    )


def _faults(made: Audited, home: str) -> list[str]:
    both = sorted(set(made.excluded) & set(made.redacted))
    found = [f"column {name} is both excluded and redacted: it is left out, or shown as changed" for name in both]
    if made.table.schema == home:
        found.append("is in the schema of the log itself, where every entry would make another")
    return found
