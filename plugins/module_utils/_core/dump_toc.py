# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which entries of a dump's table of contents a restore of single tables takes: all structure, and the rows of these.

Foreign keys and the rows of materialised views stay out: they need rows that are not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from .errors import Problem, SpecError
from .names import QualifiedName, parse

_ROWS = re.compile(r"\d+; \d+ \d+ (TABLE DATA|MATERIALIZED VIEW DATA|FK CONSTRAINT) ")


def wanted(texts: Iterable[str], manifest: Mapping[str, Any]) -> tuple[QualifiedName, ...]:
    """Read names of tables. Raises SpecError for those whose rows a dump, by its manifest, does not have."""
    there, without = frozenset(manifest["counts"]["tables"]), frozenset(manifest["excluded"])
    problems, found = [], []
    for text in texts:
        try:
            name = parse(text, "public")
        except ValueError as error:
            problems.append(Problem("tables", str(error)))
            continue
        if str(name) not in there:
            what = (
                f"{name} is not in the dump, which has {len(there)} tables; of a partitioned one, name the partitions"
            )
            problems.append(Problem("tables", what))
        elif str(name) in without:
            what = f"the rows of {name} were left out of the dump (exclude_table_data): take an older dump, or a physical backup"
            problems.append(Problem("tables", what))
        found.append(name)
    if problems:
        raise SpecError(problems)
    return tuple(found)


def subscriptions(listing: str) -> tuple[str, ...]:
    """Return the logical subscriptions in what pg_restore --list printed."""
    return tuple(
        sorted(match[1] for match in re.finditer(r"^\d+; \d+ \d+ SUBSCRIPTION - (.+) \S+$", listing, re.MULTILINE))
    )


def _key_comments(listing: str) -> frozenset[str]:
    """Return, as pg_restore --list prints them, the entries of comments on foreign keys; names may have spaces in them."""
    found = set()
    for match in re.finditer(r"^\d+; \d+ \d+ FK CONSTRAINT (.+)$", listing, re.MULTILINE):
        words = match[1].split(" ")
        for first, second, third in combinations(range(1, len(words)), 3):
            parts = (words[:first], words[first:second], words[second:third], words[third:])
            schema, table, name, owner = (" ".join(part) for part in parts)
            found.add(f" COMMENT {schema} CONSTRAINT {name} ON {table} {owner}")
    return frozenset(found)


def chosen(listing: str, tables: Iterable[QualifiedName]) -> str:
    """Return what pg_restore --list printed, without the entries that are not to be restored."""
    comments = _key_comments(listing)
    rows = tuple(f" TABLE DATA {table.schema} {table.name} " for table in tables)
    return "".join(
        f"{line}\n"
        for line in listing.splitlines()
        if not line.startswith(";")
        and (not _ROWS.match(line) or any(words in line for words in rows))
        and line[line.find(" COMMENT ") :] not in comments
    )
