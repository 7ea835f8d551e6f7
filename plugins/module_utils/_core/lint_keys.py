# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys and constraints: foreign keys without an index or of another type, tables without a key, rows nobody has checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from .check_constraint import ObservedCheck
from .foreign_key import ENDING, ForeignKey, indexes_for, uncovered
from .index import ObservedIndex
from .index_spec import Index
from .lint_tree import planted, with_free_name
from .lint_values import Fix, Found, Mismatch, Observed, Rules, Unvalidated, path
from .names import QualifiedName, derive
from .schema_export import IndexParts, KeyParts, check_item

READS_PER_DAY = 10  # a nightly dump or report reads a table whole, and no index would help it
KINDS = {"f": "foreign key", "n": "NOT NULL constraint"}


def foreign_key_without_index(observed: Observed, _rules: Rules) -> Iterator[Found]:
    bare: dict[QualifiedName, list[ForeignKey]] = {}
    for key in uncovered(observed.foreign_keys, observed.serving, frozenset()):
        bare.setdefault(key.table, []).append(key)
    for key in chain.from_iterable(bare.values()):
        if observed.facts_of(key.table).extension:
            continue
        fixes = planted(_index_for(_widest(key, bare[key.table]), observed), observed)
        detail = (
            f"no index of {key.table} begins with {', '.join(key.columns)}: a delete or key change of the other table reads "
            "this one whole"
        )
        if not fixes:
            detail += "; it has foreign partitions, which have no index: a person has to decide"
        declaration: Mapping[str, Any] = {"foreign_key_indexes": "create"} if fixes else {}
        yield Found(path(key.table, key.name), detail, fixes, declaration, observed.size(key.table))


def _widest(key: ForeignKey, bare: Sequence[ForeignKey]) -> ForeignKey:
    """Return the longest key of the table that begins with these columns: its index will serve both."""
    wider = [other for other in bare if set(other.numbers[: len(key.numbers)]) == set(key.numbers)]
    return max(wider, key=lambda other: len(other.numbers))


def _index_for(key: ForeignKey, observed: Observed) -> Index:
    """Return the index a key needs."""
    (index,) = indexes_for([key])
    return with_free_name(index, ENDING, observed)


def foreign_key_type_mismatch(observed: Observed, _rules: Rules) -> Iterator[Found]:
    grouped: dict[tuple[QualifiedName, str], list[Mismatch]] = {}
    for mismatch in observed.mismatches:
        grouped.setdefault((mismatch.table, mismatch.constraint), []).append(mismatch)
    for (table, name), pairs in grouped.items():
        words = ", ".join(
            f"{pair.column} is {pair.type}, {pair.other_table}.{pair.other_column} is {pair.other_type}"
            for pair in pairs
        )
        detail = (
            f"{words}: values may fit one column and not the other, and comparing them can keep an index from being used. "
            "Changing a type rewrites the table under an exclusive lock, so a person has to decide which, and when"
        )
        yield Found(path(table, name), detail, bytes=observed.size(table))


def table_without_primary_key(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for name, facts in sorted(observed.facts.items()):
        if facts.primary_key or facts.extension or observed.tables[name].parent:
            continue
        index = _key_to_be(name, observed)
        why = "rows cannot be told apart, and logical replication cannot find what to update"
        if index:
            fix = Fix("primary_key", name, _key_name(name, observed), other=index.key)
            detail = f"{why}; the unique index {index.name} on columns that are never NULL can become its primary key"
            yield Found(path(name), detail, (fix,), bytes=observed.size(name))
        else:
            detail = f"{why}; a person has to decide which columns are the key, or add one"
            yield Found(path(name), detail, bytes=observed.size(name))


def _key_to_be(table: QualifiedName, observed: Observed) -> ObservedIndex | None:
    """Return a unique index that can be made the primary key as it is; a partitioned table cannot take one."""
    if observed.tables[table].kind == "p":
        return None
    never_null = observed.not_null.get(table, frozenset())
    for index in observed.by_table.get(table, ()):
        parts = observed.parts[index.key]
        if index.valid and index.form.unique and not index.constraint and _plain(parts, never_null):
            return index
    return None


def _plain(parts: IndexParts, never_null: frozenset[str]) -> bool:
    """Whether an index is what PRIMARY KEY USING INDEX accepts: default order and operators, no condition, no NULL."""
    simple = all(key == KeyParts(key.name) and key.name in never_null for key in parts.keys)
    return simple and parts.method == "btree" and not parts.predicate and not parts.nulls_not_distinct


def _key_name(table: QualifiedName, observed: Observed) -> str:
    name = derive([table.name], "pkey")
    return derive([table.name, "primary"], "pkey") if QualifiedName(table.schema, name) in observed.indexes else name


def missing_index_candidate(observed: Observed, rules: Rules) -> Iterator[Found]:
    """Tables that are read whole again and again; partitions count together."""
    days = max(observed.statistics_days or 0, 1)
    totals: dict[QualifiedName, list[float]] = {}
    for name, facts in observed.facts.items():
        if not facts.extension:
            whole = facts.rows_read / facts.rows if facts.rows else facts.scans
            reads, read_bytes = totals.setdefault(observed.root(name), [0, 0])
            size = observed.tables[name].bytes
            totals[observed.root(name)] = [max(reads, whole), read_bytes + whole * size]
    for name, (reads, read_bytes) in sorted(totals.items()):
        if reads / days >= READS_PER_DAY and read_bytes >= rules.sequential_bytes:
            detail = (
                f"was read whole {int(reads)} times in {int(days)} days, {read_bytes / 1024**3:.0f} GB in all: some frequent "
                "query finds no index. Which one says pg_stat_statements; a person has to decide on the columns"
            )
            yield Found(path(name), detail, bytes=observed.size(name))


def constraint_not_validated(observed: Observed, rules: Rules) -> Iterator[Found]:
    for check in sorted(observed.checks, key=lambda check: check.key):
        if not check.validated and check.enforced and not check.inherited:
            yield _unvalidated_check(check, observed, rules)
    for constraint in observed.unvalidated:
        yield _unvalidated(constraint, observed)


_WHY = "holds for new rows only; those that were there before were never looked at. Validating reads the table, writes go on"


def _unvalidated_check(check: ObservedCheck, observed: Observed, rules: Rules) -> Found:
    # left by an interrupted run, or on a foreign table: the modules accept no such name, and no such table
    table = observed.tables.get(check.table)
    own = check.name.startswith("pgstead_") or (table is not None and table.kind not in "rp")
    item = {} if own else {"check_constraints": [check_item(replace(check, validated=True), rules.default_schema)]}
    fix = Fix("validate", check.table, check.name)
    return Found(path(check.table, check.name), f"this CHECK {_WHY}", (fix,), item, observed.size(check.table))


def _unvalidated(found: Unvalidated, observed: Observed) -> Found:
    fix = Fix("validate", found.table, found.name)
    detail = f"this {KINDS.get(found.kind, 'constraint')} {_WHY}"
    return Found(path(found.table, found.name), detail, (fix,), bytes=observed.size(found.table))
