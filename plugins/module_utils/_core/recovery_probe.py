# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the proof of a restored instance found: each check's verdict, and what they come to together.

A check that could not run proves nothing, and never counts as passed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from .names import QualifiedName
from .recovery_spec import Canary, Counts, Extension, Statement, comparison

PASSED, FAILED, COULD_NOT_RUN = "passed", "failed", "could_not_run"
Answer = tuple[str, str]  # status and words
MOST_NAMED = 5
MOST_SHOWN = 120  # characters of an answer that is not the expected one

# The data or the schema is not what it must be; any other error says nothing of them.
_TELLING_STATES = frozenset(
    [
        "3D000",  # no such database
        "3F000",  # no such schema
        "42P01",  # no such table
        "42703",  # no such column
        "42883",  # no such function
        "58030",  # a file cannot be read
        "58P01",  # a file is missing
        "XX000",  # what the server did not think possible: a missing chunk, a block beyond the end
        "XX001",  # damaged data
        "XX002",  # damaged index
    ]
)
_COMPARED: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_CHECKSUM_REMEDIES: Mapping[str, str] = {
    "must be shut down": ": stop it cleanly, or name the data directory of a stopped copy",
    "not enabled": ": nothing can be proven of its blocks; pg_checksums --enable gives them checksums while it is stopped",
}
_UNREADABLE_DUMP = ("connection to server", "server version mismatch", "permission denied", "lock timeout")


@dataclass(frozen=True)
class Check:
    """One check of one database (empty: of the cluster), as evidence keeps it."""

    check: str
    database: str
    status: str
    words: str
    seconds: float


@dataclass(frozen=True)
class Position:
    """A sequence, the column that it feeds, and the next value that it gives. `taken` says whether the column has that value;
    where there is no index to ask (None), `furthest` is how far the column's values have come.
    """

    sequence: QualifiedName
    column: str
    upward: bool
    next: int
    furthest: Decimal | None
    taken: bool | None = None


def answered(wrong: Sequence[str], right: str) -> Answer:
    """Return passed with the one sentence, or failed with the others."""
    return (FAILED, several(wrong)) if wrong else (PASSED, right)


def several(sentences: Sequence[str]) -> str:
    """Join sentences; of many, the first few stand for all."""
    more = len(sentences) - MOST_NAMED
    return "; ".join(sentences[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def refused(state: str | None, words: str) -> Answer:
    """Judge an error of the server by its SQLSTATE; None is a connection that was lost."""
    return FAILED if state in _TELLING_STATES else COULD_NOT_RUN, " ".join(words.split())


def canary(asked: Canary, found: Iterable[str]) -> Answer:
    """Judge which of a canary's keys were found."""
    there = set(found)
    wrong = [f"row {key} must be present in {asked.table}, and is not" for key in asked.present if key not in there]
    wrong += [f"row {key} must be absent from {asked.table}, and is there" for key in asked.absent if key in there]
    return answered(wrong, f"{asked.table}: {len(asked.present)} rows present, {len(asked.absent)} absent, as expected")


def counts(asked: Counts, expected: Mapping[QualifiedName, int], found: Mapping[QualifiedName, int | None]) -> Answer:
    """Judge numbers of rows; None is a table that is not there."""
    wrong = []
    for table, wanted in expected.items():
        rows = found[table]
        if rows is None:
            wrong.append(f"{table} is not there, and must have {wanted} rows")
        elif abs(rows - wanted) > asked.allowance(wanted):
            wrong.append(f"{table} has {rows} rows, and must have {wanted}{asked.spoken}")
    return answered(wrong, f"{len(expected)} tables have the recorded number of rows{asked.spoken}")


def sequences(found: Sequence[Position], subscribed: int = 0) -> Answer:
    """Judge whether the next value of every sequence is one that its column does not have yet. Of tables that a subscription
    fills, so many were left out: sequences are not replicated, and are behind on the primary, too.
    """
    wrong = [
        f"{each.sequence} gives {each.next} next, and {each.column} has it already" for each in found if each.taken
    ]
    wrong += [
        f"{each.sequence} gives {each.next} next, and {each.column} has come to {each.furthest} already"
        for each in found
        if each.furthest is not None and (each.next <= each.furthest if each.upward else each.next >= each.furthest)
    ]
    left = f"; {subscribed} of tables that a subscription fills were left out" if subscribed else ""
    return answered(wrong, f"{len(found)} sequences give what their columns do not have yet{left}")


def missing(kind: str, wanted: Sequence[str], found: Iterable[str]) -> Answer:
    """Judge whether all names of a kind are there."""
    there = set(found)
    return answered([f"{kind} {name} is missing" for name in wanted if name not in there], f"{len(wanted)} are there")


def extensions(wanted: Sequence[Extension], found: Mapping[str, str]) -> Answer:
    """Judge extensions; `found` maps names to versions."""
    wrong = []
    for each in wanted:
        if each.name not in found:
            wrong.append(f"extension {each.name} is missing")
        elif each.version and found[each.name] != each.version:
            wrong.append(f"extension {each.name} has version {found[each.name]}, and must have {each.version}")
    return answered(wrong, f"{len(wanted)} are there")


def settings(wanted: Mapping[str, str], found: Mapping[str, str | None]) -> Answer:
    """Judge settings as SHOW writes them."""
    wrong = [
        f"{name} is {found[name]!r}, and must be {value!r}"
        if found[name] is not None
        else f"the server knows no setting {name}"
        for name, value in wanted.items()
        if found[name] != value
    ]
    return answered(wrong, f"{len(wanted)} are as expected")


def statement(asked: Statement, found: Sequence[Sequence[str | None]]) -> Answer:
    """Judge the answer to the owner's question; values are the server's own texts, None is NULL."""
    if asked.rows is not None:
        if len(found) == len(asked.rows) and all(map(_same_row, asked.rows, found)):
            return PASSED, f"{len(found)} rows as expected"
        return FAILED, f"answers {_shown(found)}, and must answer {_shown(asked.rows)}"
    if len(found) != 1 or len(found[0]) != 1:
        return FAILED, f"answers {_shown(found)}, and must answer one value"
    value = found[0][0]
    if asked.condition:
        met = _meets(asked.condition, value)
        return (PASSED if met else FAILED), f"answers {_cell(value)}, and must be {asked.condition}"
    if same(asked.value, value):
        return PASSED, "answers as expected"
    return FAILED, f"answers {_cell(value)}, and must answer {_cell(asked.value)}"


def same(wanted: object, found: str | None) -> bool:
    """Say whether an inventory's value is what the server answered; numbers are compared as numbers."""
    if wanted is None or found is None:
        return wanted is found
    if isinstance(wanted, bool):
        return found in (("t", "true") if wanted else ("f", "false"))
    if isinstance(wanted, (int, float)):
        return _number(found) == Decimal(str(wanted))
    return str(wanted) == found


def _meets(condition: str, value: str | None) -> bool:
    read, number = comparison(condition), _number(value or "")
    return read is not None and number is not None and _COMPARED[read[0]](number, read[1])


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _same_row(wanted: Sequence[object], found: Sequence[str | None]) -> bool:
    return len(wanted) == len(found) and all(map(same, wanted, found))


def _shown(rows: Sequence[Sequence[object]]) -> str:
    return _cut("[" + ", ".join("(" + ", ".join(map(_cell, row)) + ")" for row in rows) + "]")


def _cell(value: object) -> str:
    return "null" if value is None else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def checksums(code: int, out: str, err: str) -> Answer:
    """Judge what pg_checksums --check printed."""
    bad, blocks = re.search(r"Bad checksums:\s+(\d+)", out), re.search(r"Blocks scanned:\s+(\d+)", out)
    if bad and int(bad[1]):
        complaints = [line.strip() for line in err.splitlines() if "checksum verification failed" in line]
        return FAILED, f"{bad[1]} blocks have a wrong checksum: {several(complaints)}"
    if code or not (bad and blocks and int(blocks[1])):
        said = last_words(err or out)
        return COULD_NOT_RUN, said + next((what for words, what in _CHECKSUM_REMEDIES.items() if words in said), "")
    return PASSED, f"{blocks[1]} blocks have the right checksum"


def amcheck(code: int, out: str, err: str) -> Answer:
    """Judge what pg_amcheck printed; it returns 2 where it found damage."""
    if "amcheck is not installed" in err:
        return COULD_NOT_RUN, "the extension amcheck is not installed in it: create it, or say install_missing"
    if code == 2:
        return FAILED, several([" ".join(block.split()) for block in _findings(out)])
    if code:
        return COULD_NOT_RUN, last_words(err or out)
    return PASSED, "tables and indexes hold together"


def _findings(out: str) -> list[str]:
    """Return what pg_amcheck said of each object: a line that is not indented, and those under it."""
    return [block for block in re.split(r"\n(?=\S)", out.strip()) if block]


def dump(code: int, err: str) -> Answer:
    """Judge how pg_dump to nowhere ended."""
    if not code:
        return PASSED, "every row was read"
    return (COULD_NOT_RUN if any(words in err for words in _UNREADABLE_DUMP) else FAILED), last_words(err)


def last_words(text: str) -> str:
    """Return the last lines of what a program said, as one."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or "it ended without a word"


def unasked(requested: Iterable[tuple[str, str]], checks: Sequence[Check]) -> list[Check]:
    """Return a check that could not run for each (check, database) nothing was asked about: silence is no proof."""
    asked = {(each.check, each.database) for each in checks}
    told = "nothing was asked: an error in pgstead"
    return [Check(name, place, COULD_NOT_RUN, told, 0.0) for name, place in requested if (name, place) not in asked]


def bad(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Return the checks that failed or could not run."""
    return tuple(each for each in checks if each.status != PASSED)


def summary(checks: Sequence[Check]) -> str:
    """Return what came of it: one line, and one more for each check that did not pass."""
    wrong = bad(checks)
    if not wrong:
        return f"recovery proven: {len(checks)} checks, all passed"
    failed = sum(each.status == FAILED for each in wrong)
    head = f"recovery NOT proven: {failed} checks failed and {len(wrong) - failed} could not run, of {len(checks)}"
    return "\n".join([head, *(f"{each.status}: {each.check}{_of(each)}: {each.words}" for each in wrong)])


def _of(each: Check) -> str:
    return f" of {each.database}" if each.database else ""
