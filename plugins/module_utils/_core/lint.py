# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lint: which checks are made, which findings are suppressed and until when, and what it all comes to."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .columns import aligned
from .errors import Problem
from .lint_checks import CHECKS
from .lint_values import LEVELS, Check, Finding, Found, Observed, Rules, dotted
from .units import human_size, parse_size

EXPIRED = "suppression_expired"
WEIGHTS = {"error": 10, "warning": 3, "info": 1}
SMALL_SCHEMA = 10  # tables; below that a finding weighs no more
NAMES = tuple(check.key for check in CHECKS)


@dataclass(frozen=True)
class Suppression:
    """Findings that somebody has looked at and accepts; the last day it holds is `expires`."""

    key: str
    reason: str
    expires: datetime.date | None = None

    def matches(self, key: str) -> bool:
        return key.startswith(self.key[:-1]) if self.key.endswith("*") else key == self.key

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and self.expires < today


@dataclass(frozen=True)
class Settings:
    """What a caller chose."""

    checks: frozenset[str] = frozenset(NAMES)
    schemas: frozenset[str] = frozenset()  # all where none is named
    suppressions: tuple[Suppression, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class Report:
    """What a lint says."""

    findings: tuple[Finding, ...]
    suppressed: tuple[tuple[Finding, Suppression], ...]
    unused: tuple[Suppression, ...]
    not_checked: Mapping[str, str]
    tables: int

    @property
    def counts(self) -> dict[str, int]:
        return {level: sum(finding.level == level for finding in self.findings) for level in LEVELS}

    @property
    def score(self) -> int:
        """100 without findings; each takes its weight, and in a large schema its share of it, rounded against it."""
        weight = sum(WEIGHTS[level] * count for level, count in self.counts.items())
        lost = -(-weight * SMALL_SCHEMA // max(self.tables, SMALL_SCHEMA))
        return max(100 - lost, 0)


def settings(params: Mapping[str, Any]) -> tuple[Settings, tuple[Problem, ...]]:
    """Read what the caller chose, with every problem found."""
    problems: list[Problem] = []
    for option in ("checks", "exclude_checks", "levels", "minimum_size"):
        problems += [_unknown(option, str(name)) for name in params[option] if str(name) not in _accepted(option)]
    for name, level in params["levels"].items():
        if level not in LEVELS:
            problems.append(Problem(f"levels.{name}", f"{level!r} is not one of {', '.join(LEVELS)}"))
    floors = {}
    for name, text in params["minimum_size"].items():
        floors[name] = _size(f"minimum_size.{name}", text, problems)
    if params["unused_index_days"] < 0:
        problems.append(Problem("unused_index_days", f"{params['unused_index_days']} is negative"))
    rules = Rules(
        params["schema"],
        params["unused_index_days"],
        _size("missing_index_reads", params["missing_index_reads"], problems),
        tuple(params["application_roles"]),
    )
    chosen = frozenset(params["checks"] or NAMES) - frozenset(params["exclude_checks"])
    suppressions = _suppressions(params["suppressions"], problems)
    found = Settings(chosen, frozenset(params["schemas"]), suppressions, dict(params["levels"]), floors, rules)
    return found, tuple(problems)


def _accepted(option: str) -> tuple[str, ...]:
    return (*NAMES, EXPIRED) if option == "levels" else NAMES


def _unknown(option: str, name: str) -> Problem:
    alike = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"; did you mean {alike[0]}?" if alike else f": use one of {', '.join(NAMES)}"
    return Problem(option, f"there is no check {name}{hint}")


def _size(where: str, text: Any, problems: list[Problem]) -> int:
    try:
        size = parse_size(str(text))
    except ValueError as error:
        problems.append(Problem(where, str(error)))
        return 0
    if size < 0:
        problems.append(Problem(where, f"{text} is negative: use 0 for every table"))
    return size


def _suppressions(items: Sequence[Mapping[str, Any]], problems: list[Problem]) -> tuple[Suppression, ...]:
    found = []
    for number, item in enumerate(items):
        where, key = f"suppressions[{number}]", str(item["key"]).strip()
        reason, expires = str(item["reason"]).strip(), str(item.get("expires") or "")
        if not reason:
            problems.append(Problem(where, "reason is empty: say why the finding is accepted"))
        if not key or "*" in key[:-1]:
            problems.append(Problem(where, f"{key!r}: give a finding's key, or its beginning and one * at the end"))
        try:
            last_day = datetime.date.fromisoformat(expires) if expires else None
        except ValueError:
            problems.append(Problem(where, f"expires {expires!r} is not a day: write YYYY-MM-DD"))
            continue
        found.append(Suppression(key, reason, last_day))
    return tuple(found)


def lint(observed: Observed, chosen: Settings) -> Report:
    """Make the chosen checks, and lay the suppressions over what they say."""
    checks = [check for check in CHECKS if check.key in chosen.checks]
    blind = {check.key: check.blind(observed, chosen.rules) for check in checks}
    not_checked = {name: reason for name, reason in blind.items() if reason}
    everything = [finding for check in checks for finding in _findings(check, observed, chosen)]
    holding = [s for s in chosen.suppressions if not s.expired(observed.today)]
    suppressed, left = [], []
    for finding in everything:
        by = next((s for s in holding if s.matches(finding.key)), None)
        if by:
            suppressed.append((finding, by))
        else:
            left.append(finding)
    made = frozenset(check.key for check in checks) - frozenset(not_checked)
    unused = [s for s in holding if _looked(s, made, chosen.schemas) and not any(s.matches(f.key) for f in everything)]
    left += [_expired(s, chosen) for s in chosen.suppressions if s not in holding]
    tables = [t for t in observed.tables.values() if t.kind in "rp" and not t.parent and _wanted(t.name.schema, chosen)]
    ordered = sorted(left, key=lambda finding: (LEVELS.index(finding.level), finding.key))
    return Report(tuple(ordered), tuple(suppressed), tuple(unused), not_checked, len(tables))


def _wanted(schema: str, chosen: Settings) -> bool:
    return not chosen.schemas or schema in chosen.schemas


def _findings(check: Check, observed: Observed, chosen: Settings) -> Iterable[Finding]:
    floor = chosen.floors.get(check.key, check.floor)
    for found in check.find(observed, chosen.rules):
        small = found.bytes is not None and found.bytes < floor
        if _wanted(found.path[0], chosen) and not small:
            level = chosen.levels.get(check.key) or found.level or check.level
            yield _finding(check, found, level)


def _finding(check: Check, found: Found, level: str) -> Finding:
    key = f"{check.key}:{found.object}"
    made = Finding(key, check.key, level, check.categories, found.object, found.detail)
    return replace(made, fixes=found.fixes, declaration=found.declaration, bytes=found.bytes)


def _expired(suppression: Suppression, chosen: Settings) -> Finding:
    level = chosen.levels.get(EXPIRED, "warning")
    detail = (
        f"held until {suppression.expires} ({suppression.reason}): a person has to look at what it hid, and mend that, give "
        "it another day, or delete it"
    )
    return Finding(f"{EXPIRED}:{suppression.key}", EXPIRED, level, ("maintenance",), suppression.key, detail)


def _looked(suppression: Suppression, made: frozenset[str], schemas: frozenset[str]) -> bool:
    """Whether what a suppression means was looked at in full, so that matching nothing says something about it."""
    key = suppression.key.removesuffix("*")
    check, colon, rest = key.partition(":")
    if not colon:
        meant = {name for name in NAMES if name.startswith(check)}
        return meant <= made and not schemas
    if check not in NAMES:
        return True
    return check in made and (not schemas or any(rest.startswith(f"{dotted(schema)}.") for schema in schemas))


def as_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as a result has it, without its remedies."""
    return {
        "key": finding.key,
        "check": finding.check,
        "level": finding.level,
        "categories": list(finding.categories),
        "object": finding.object,
        "detail": finding.detail,
        "table_size": None if finding.bytes is None else human_size(finding.bytes),
        "table_bytes": finding.bytes,
    }


def suppression_data(suppression: Suppression) -> dict[str, Any]:
    """Return a suppression as a result has it."""
    expires = None if suppression.expires is None else suppression.expires.isoformat()
    return {"key": suppression.key, "reason": suppression.reason, "expires": expires}


def text_table(findings: Sequence[Finding]) -> str:
    """Return the findings as a table for a terminal: level, key, size of the table, and how it is put right."""
    rows = [("level", "finding", "table", "fix")]
    for finding in findings:
        size = "" if finding.bytes is None else human_size(finding.bytes)
        ways = [word for word, there in (("yaml", finding.declaration), ("sql", finding.fixes)) if there]
        rows.append((finding.level, finding.key, size, ", ".join(ways) or "decide"))
    return "\n".join(aligned(rows))


def message(report: Report) -> str:
    """Say in one line what was found."""
    words = ", ".join(
        f"{count} {level}{'s' if count != 1 and level != 'info' else ''}" for level, count in report.counts.items()
    )
    more = f", {len(report.suppressed)} suppressed" if report.suppressed else ""
    # a score over fewer checks is not the same score
    more += f"; not checked: {', '.join(sorted(report.not_checked))}" if report.not_checked else ""
    return f"score {report.score}: {words} in {report.tables} tables{more}"
