# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an audit trigger is told by its arguments, and what they remember of the table that they were made for.

In this order, for the recorder in audit_source.py reads them by their numbers: mode, primary key, columns left out, hidden
columns, what to show for redacted ones, the settings with the application's user and role; of a partitioned table, or
behind empty texts, schema and name; where columns are hidden, all columns, and by which numbers the hidden ones are known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .audit_spec import Audit, Audited
from .names import QualifiedName

SCHEMA, TABLE, NUMBERS = 7, 8, 10
_HIDDEN = 3
_DIGITS = re.compile(r"[0-9]+( [0-9]+)*", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """The columns of a table with their numbers, those of its primary key in its order, and what is computed.

    A restored dump numbers columns anew: numbers are worth something together with the table's oid.
    """

    numbers: Mapping[str, int]
    key: tuple[str, ...] = ()
    oid: int = 0
    virtual: tuple[str, ...] = ()  # generated, and not stored: no trigger knows their values
    computed: tuple[tuple[str, str], ...] = ()  # a stored generated column, and one that it is computed from


def arguments(item: Audited, declared: Audit, columns: Columns, *, partitioned: bool) -> tuple[str, ...]:
    """Return what the trigger tells the function; a partitioned table's name too, for its rows come from partitions."""
    mask = json.dumps(dict.fromkeys(item.redacted, "***"), ensure_ascii=False)
    left_out = (*item.excluded, *(name for name in columns.virtual if name not in item.hidden))
    lists = [_array(names) for names in (columns.key, left_out, item.hidden)]
    told = ("full" if item.full else "changed", *lists, mask, declared.user_setting, declared.role_setting)
    name = (item.table.schema, item.table.name) if partitioned else ("", "")
    if item.hidden:
        numbers = " ".join(
            str(number) for number in (columns.oid, *(columns.numbers.get(one, 0) for one in item.hidden))
        )
        return (*told, *name, _array(sorted(columns.numbers)), numbers)
    return (*told, *name) if partitioned else told


def _array(names: Sequence[str]) -> str:
    """Return names as the text of an SQL array."""
    quoted = ('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names)
    return "{" + ",".join(quoted) + "}"


def names_in(array: str) -> list[str]:
    """Return the names in the text of an SQL array, all of them quoted: JSON escapes the same two characters."""
    return list(json.loads(f"[{array[1:-1]}]", strict=False))


def moved(item: Audited, columns: Columns, told: Sequence[str]) -> Iterator[str]:
    """Name the columns that were hidden under another name, and would be shown now. Names alone do not say that."""
    numbers = told[NUMBERS].split(" ") if len(told) > NUMBERS and _DIGITS.fullmatch(told[NUMBERS]) else ["0"]
    if int(numbers[0]) != columns.oid:
        return
    names = {number: name for name, number in columns.numbers.items()}
    for former, number in zip(names_in(told[_HIDDEN]), numbers[1:], strict=False):
        name = names.get(int(number), former)
        if name != former and name not in item.hidden:
            lost = "is another one than the hidden one, which" if former in columns.numbers else "was hidden, and"
            yield f"column {former} {lost} is now {name}: hide {name} too (redacted_columns or excluded_columns)"


def uncovered(item: Audited, columns: Columns) -> Iterator[str]:
    """Name the columns whose values would tell what hidden ones hold."""
    for name, source in columns.computed:
        if source in item.hidden and name not in item.hidden:
            yield f"column {name} is computed from the hidden column {source}: hide {name} too"


def under_its_name(told: tuple[str, ...], table: QualifiedName) -> tuple[str, ...]:
    """Return arguments that name a table, if they name one, with the name that it has."""
    if len(told) <= TABLE or not told[SCHEMA]:
        return told
    return (*told[:SCHEMA], table.schema, table.name, *told[TABLE + 1 :])
