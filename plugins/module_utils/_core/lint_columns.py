# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Columns: types that an expert would not choose again, serials, and sequences that run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from .lint_values import Fix, Found, Observed, Rules, Sequence, path

TYPE_LIMITS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}  # the first number that does not fit
NEAR, NEARER = 0.75, 0.9

_DECIDE = "The change rewrites the table under an exclusive lock, so a person has to decide on it"
_WHY = {
    "json": "keeps the text as it came and reads it anew for every query; jsonb can be indexed and compared, but keeps "
    "neither the order of keys nor a key given twice",
    "money": "has its currency and its digits from lc_monetary, a setting; numeric with a column for the currency does not",
    "bpchar": "is filled up with blanks, which count in LIKE and not in =; text with a CHECK of its length does the same "
    "without them",
    "timestamp": "says a time without saying where; timestamptz is the moment itself. Which time zone the values that are "
    "there mean has to be known first: AT TIME ZONE in the USING clause",
}


def _of_type(observed: Observed, base: str) -> Iterator[Found]:
    for column in observed.columns:
        if column.base == base:
            detail = f"{column.type} {_WHY[base]}. {_DECIDE}"
            yield Found(path(column.table, column.name), detail, bytes=observed.size(column.table))


def column_json(observed: Observed, _rules: Rules) -> Iterable[Found]:
    return _of_type(observed, "json")


def column_money(observed: Observed, _rules: Rules) -> Iterable[Found]:
    return _of_type(observed, "money")


def column_char(observed: Observed, _rules: Rules) -> Iterable[Found]:
    return _of_type(observed, "bpchar")


def column_timestamp(observed: Observed, _rules: Rules) -> Iterable[Found]:
    return _of_type(observed, "timestamp")


def column_serial(observed: Observed, _rules: Rules) -> Iterator[Found]:
    uses = Counter(sequence.name for sequence in observed.sequences)
    for sequence in observed.sequences:
        if not sequence.serial or sequence.table is None:
            continue
        why = (
            f"takes its numbers from {sequence.name} by a default, and whoever inserts needs a right on that as well; an "
            "identity column needs none, and its sequence cannot be lost or shared"
        )
        at = path(sequence.table, sequence.column)
        if uses[sequence.name] == 1 and _convertible(sequence, observed):
            fix = Fix("identity", sequence.table, sequence.column, other=sequence.name)
            yield Found(
                at,
                f"{why}. The change is short, takes an exclusive lock, and forgets rights on the old sequence",
                (fix,),
            )
        else:
            odd = "It can be NULL or is of a domain, its sequence has options or other users, or the table has partitions or children"
            yield Found(at, f"{why}. {odd}: a person has to write the change")


def _convertible(sequence: Sequence, observed: Observed) -> bool:
    """Whether a serial can become an identity column by the usual steps: nothing about it is out of the ordinary."""
    assert sequence.table
    never_null = sequence.column in observed.not_null.get(sequence.table, frozenset())
    simple = sequence.ordinary and sequence.plain_column and sequence.column_type in TYPE_LIMITS
    return simple and never_null and observed.tables[sequence.table].kind == "r"


def used_share(sequence: Sequence) -> float:
    """Return how much of its numbers a sequence has given, measured at what column and sequence can hold."""
    if sequence.last is None:
        return 0.0
    bound = TYPE_LIMITS.get(sequence.column_type, 2**63)
    if sequence.increment > 0:
        limit, used = min(sequence.maximum, bound - 1), sequence.last
    else:
        limit, used = -max(sequence.minimum, -bound), -sequence.last
    return max(used / limit, 0.0) if limit > 0 else 0.0


def sequence_near_limit(observed: Observed, _rules: Rules) -> Iterator[Found]:
    worst: dict[tuple[str, ...], Sequence] = {}
    for sequence in observed.sequences:
        key = path(sequence.name)
        if key not in worst or used_share(sequence) > used_share(worst[key]):
            worst[key] = sequence
    for at, sequence in worst.items():
        share = used_share(sequence)
        column_holds_all = sequence.maximum < TYPE_LIMITS.get(sequence.column_type, 2**63)
        if share >= NEAR and not (sequence.cycle and column_holds_all):
            yield _near(at, sequence, share, observed)


def _near(at: tuple[str, ...], sequence: Sequence, share: float, observed: Observed) -> Found:
    level = "error" if share >= NEARER else "warning"
    place = f"{sequence.table}.{sequence.column} ({sequence.column_type})" if sequence.table else "no column"
    detail = f"is at {sequence.last}, {share:.0%} of what is left room for; it feeds {place}"
    size = observed.size(sequence.table) if sequence.table else None
    roomy = TYPE_LIMITS.get(sequence.column_type, 2**63) > TYPE_LIMITS.get(sequence.type, 2**63)
    if sequence.ordinary and sequence.increment > 0 and roomy:
        whole = sequence.column_type if sequence.column_type in TYPE_LIMITS else "bigint"
        fix = Fix("sequence_type", sequence.name, text=whole)
        return Found(at, f"{detail}. The column holds more than the sequence gives", (fix,), bytes=size, level=level)
    decide = (
        "A larger type rewrites the table under an exclusive lock, and what refers to the column has to follow: a person has "
        "to decide how, and soon"
    )
    return Found(at, f"{detail}. {decide}", bytes=size, level=level)


def sequences_unreadable(observed: Observed, _rules: Rules) -> str:
    hidden = sorted({str(sequence.name) for sequence in observed.sequences if not sequence.readable})
    if not hidden:
        return ""
    some = ", ".join(hidden[:3]) + (f" and {len(hidden) - 3} others" if len(hidden) > 3 else "")
    return f"this role may not read {some}: pg_monitor is not enough, GRANT SELECT ON ALL SEQUENCES IN SCHEMA is"
