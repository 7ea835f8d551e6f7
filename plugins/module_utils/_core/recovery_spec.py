# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What shall be proven of a restored instance, and everything wrong with the wish before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .errors import Problem
from .expression import TOKEN, comment_end
from .names import QualifiedName, parse
from .script import ScriptError, statements
from .settings import as_text

# Those of every database; the others name theirs.
EVERYWHERE = ("amcheck", "dump", "sequences", "invalid_indexes", "unvalidated_constraints")
SCHEMA = "public"
ANSWERS = ("value", "rows", "condition")  # of which a question has one
_READING = ("SELECT", "VALUES", "TABLE", "WITH")
_WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"})
_TOLERANCE = re.compile(r"(\d+)|(\d+(?:\.\d+)?)\s*%")
_CONDITION = re.compile(r"\s*(<=|>=|<>|!=|<|>|=)\s*(-?\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True)
class Amcheck:
    """How thoroughly pg_amcheck looks, and whether it may be lent the extension where that is missing."""

    heapallindexed: bool = True
    rootdescend: bool = False
    install_missing: bool = False
    jobs: int = 1


@dataclass(frozen=True)
class Canary:
    """Rows of a table that must be there, and others that must not; keys as texts."""

    database: str
    table: QualifiedName
    key: str
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counts:
    """Rows by table and database; they may differ by a number of rows, or by a part of what is expected."""

    rows: Mapping[str, Mapping[QualifiedName, int]] = field(default_factory=dict)
    tolerance: Decimal = Decimal(0)
    relative: bool = False  # the tolerance is in per cent

    def allowance(self, expected: int) -> Decimal:
        """Return by how many rows a table may differ."""
        return expected * self.tolerance / 100 if self.relative else self.tolerance

    @property
    def spoken(self) -> str:
        """The tolerance in words; nothing where there is none."""
        return f" (give or take {self.tolerance}{' %' if self.relative else ''})" if self.tolerance else ""


@dataclass(frozen=True)
class Extension:
    """An extension that must be in a database, in a version where one is named."""

    database: str
    name: str
    version: str = ""


@dataclass(frozen=True)
class Statement:
    """A question of the data's owner, the role that asks it, and one of: a value, all rows, a condition like `>= 100`."""

    name: str
    database: str
    sql: str
    role: str
    value: object = None
    rows: tuple[tuple[object, ...], ...] | None = None
    condition: str = ""


@dataclass(frozen=True)
class Wish:
    """Everything to prove. `checksums` is the data directory of a stopped cluster."""

    databases: tuple[str, ...] = ()  # of none, all
    checksums: str = ""
    amcheck: Amcheck | None = None
    everywhere: tuple[str, ...] = ()
    canary: tuple[Canary, ...] = ()
    counts: Counts | None = None
    roles: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    statements: tuple[Statement, ...] = ()

    def named(self) -> list[tuple[str, str]]:
        """Return the (check, database) pairs of what names its database itself, and of the cluster."""
        pairs = [("checksums", "")] if self.checksums else []
        pairs += [("roles", "")] if self.roles else []
        pairs += [("settings", "")] if self.settings else []
        pairs += [("canary", each.database) for each in self.canary]
        pairs += [("counts", database) for database in (self.counts.rows if self.counts else {})]
        pairs += [("extensions", each.database) for each in self.extensions]
        pairs += [(f"statement {each.name}", each.database) for each in self.statements]
        return list(dict.fromkeys(pairs))


def comparison(text: str) -> tuple[str, Decimal] | None:
    """Read `>= 100`; None for anything else."""
    match = _CONDITION.fullmatch(text)
    return (match[1], Decimal(match[2])) if match else None


def wish(databases: Sequence[str], raw: Mapping[str, Any], manifest: Any) -> tuple[Wish, tuple[Problem, ...]]:
    """Read a module's `databases` and `checks`; `manifest` is what its file holds. Returns every problem found."""
    statements, problems = questions(raw["statements"] or (), "checks.statements")
    found = Wish(
        databases=tuple(databases),
        checksums=str((raw["checksums"] or {}).get("data_directory") or ""),
        amcheck=_amcheck(raw["amcheck"], problems),
        everywhere=tuple(name for name in EVERYWHERE if raw[name]),
        canary=_canaries(raw["canary"] or (), problems),
        counts=_counts(raw["counts"], manifest, problems),
        roles=tuple(raw["roles"] or ()),
        extensions=tuple(
            Extension(each["database"], each["name"], each["version"] or "") for each in raw["extensions"] or ()
        ),
        settings={str(name): as_text(value) for name, value in (raw["settings"] or {}).items()},
        statements=statements,
    )
    if not (problems or found.named() or found.everywhere):
        problems.append(Problem("checks", "asks for nothing, which proves nothing: name at least one check"))
    return found, tuple(problems)


def _amcheck(raw: Mapping[str, Any] | None, problems: list[Problem]) -> Amcheck | None:
    if raw is None:
        return None
    if raw["jobs"] < 1:
        problems.append(Problem("checks.amcheck.jobs", f"{raw['jobs']}: at least one connection does the work"))
    return Amcheck(raw["heapallindexed"], raw["rootdescend"], raw["install_missing"], raw["jobs"])


def _canaries(items: Sequence[Mapping[str, Any]], problems: list[Problem]) -> tuple[Canary, ...]:
    found = []
    for position, item in enumerate(items):
        where = f"checks.canary[{position}]"
        present, absent = tuple(item["present"] or ()), tuple(item["absent"] or ())
        if not (present or absent):
            problems.append(Problem(where, "names no row: give present, absent or both"))
        both = sorted(set(present) & set(absent))
        problems += [Problem(where, f"row {key} cannot be present and absent") for key in both]
        table = _table(item["table"], where, problems)
        if table:
            found.append(Canary(item["database"], table, item["key"], present, absent))
    return tuple(found)


def _table(text: object, where: str, problems: list[Problem]) -> QualifiedName | None:
    try:
        return parse(str(text), SCHEMA)
    except ValueError as error:
        problems.append(Problem(where, str(error)))
        return None


def tolerance(text: str) -> tuple[Decimal, bool] | None:
    """Read `10` or `0.5%`: by how much counts may differ, and whether that is in per cent; None for anything else."""
    match = _TOLERANCE.fullmatch(text.strip())
    return (Decimal(match[1] or match[2]), bool(match[2])) if match else None


def _counts(raw: Mapping[str, Any] | None, manifest: Any, problems: list[Problem]) -> Counts | None:
    if raw is None:
        return None
    told, where = (raw["rows"], "checks.counts.rows") if raw["rows"] else (manifest, str(raw["manifest"]))
    allowed = tolerance(raw["tolerance"])
    if allowed is None:
        what = f"{raw['tolerance']!r} is neither a number of rows nor a part like 0.5%"
        problems.append(Problem("checks.counts.tolerance", what))
    if bool(raw["rows"]) == bool(raw["manifest"]):
        problems.append(Problem("checks.counts", "give either rows or manifest"))
        return None
    rows = _rows(told, where, problems)
    return Counts(rows, *allowed) if allowed else None


def _rows(raw: Any, where: str, problems: list[Problem]) -> dict[str, dict[QualifiedName, int]]:
    """Read {database: {table: rows}}."""
    found: dict[str, dict[QualifiedName, int]] = {}
    if not isinstance(raw, Mapping) or not raw:
        problems.append(Problem(where, "is not a mapping of databases to tables with their number of rows"))
        return found
    for database, tables in raw.items():
        if not isinstance(tables, Mapping) or not tables:
            problems.append(Problem(f"{where}.{database}", "is not a mapping of tables to their number of rows"))
            continue
        for name, count in tables.items():
            table = _table(name, f"{where}.{database}", problems)
            if not re.fullmatch(r"\d+", str(count)) or isinstance(count, bool):
                problems.append(Problem(f"{where}.{database}.{name}", f"{count!r} is not a number of rows"))
            elif table:
                found.setdefault(str(database), {})[table] = int(count)
    return found


def questions(items: Sequence[Mapping[str, Any]], where: str) -> tuple[tuple[Statement, ...], list[Problem]]:
    """Read the owner's questions, with everything that is wrong with them."""
    found: list[Statement] = []
    problems: list[Problem] = []
    for position, item in enumerate(items):
        place = f"{where}[{position}] ({item['name']})"
        faults = [*_answer_faults(item), *filter(None, [writes(item["sql"])])]
        if item["name"] in [each.name for each in found]:
            faults.append("has the name of another one")
        problems += [Problem(place, fault) for fault in faults]
        rows = None if item["rows"] is None else tuple(tuple(row) for row in item["rows"])
        words = (item["name"], item["database"], item["sql"], item["role"])
        found.append(Statement(*words, value=item["value"], rows=rows, condition=item["condition"] or ""))
    return tuple(found), problems


def _answer_faults(item: Mapping[str, Any]) -> list[str]:
    answers = [key for key in ANSWERS if item[key] is not None]
    found = []
    if len(answers) != 1:
        given = f"has {' and '.join(answers)}" if answers else "has no answer to compare with"
        found.append(f"{given}: give one of value, rows and condition")
    if item["condition"] is not None and not comparison(item["condition"]):
        found.append(f"condition {item['condition']!r} is not one like >= 100")
    return found


def question(sql: str) -> str:
    """Return a text that `writes` does not object to without its semicolon."""
    return statements(sql)[0].text


def writes(sql: str) -> str:
    """Say why a text is not one question, as far as its words tell; what functions do, the transaction refuses."""
    try:
        split = statements(sql)
    except ScriptError as error:
        return str(error)
    if len(split) != 1:
        return f"has {len(split)} statements: a check asks one question"
    first = next(iter(split[0].words), "")
    if first not in _READING:
        return f"begins with {first or 'no word'}, and may only ask: {', '.join(_READING)}"
    writing = _writing_word(split[0].text)
    return f"would write ({writing}): a check only asks" if writing else ""


def _writing_word(sql: str) -> str:
    """Return the word of a question that makes it a change: a change behind WITH, SELECT … INTO, or a row lock."""
    before, position, starts = "", 0, True
    while position < len(sql):
        match = TOKEN.match(sql, position)
        assert match
        kind, position = match.lastgroup, match.end()
        if kind == "comment":
            position = comment_end(sql, match.start())
        if kind in ("space", "comment"):
            continue
        word = match[0].upper() if kind == "word" else ""
        if word in _WRITING and (starts or before == "FOR"):
            return word if starts else f"FOR {word}"
        if word == "INTO" or (before == "FOR" and word in ("SHARE", "NO", "KEY")):
            return word if word == "INTO" else f"FOR {word}"
        starts = kind in ("open", "close")
        before = word
    return ""
