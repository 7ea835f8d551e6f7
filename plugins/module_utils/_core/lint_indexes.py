# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes that are there: twice, for nothing, broken, or not on every partition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .index import ObservedIndex
from .lint_row_security import serves_a_policy
from .lint_tree import grown, wanted_by
from .lint_values import OWN_LEFTOVERS, REINDEX_LEFTOVER, Fix, Found, Observed, Rules, path
from .names import QualifiedName, table_text
from .relation import ancestors
from .schema_export import IndexParts, index_item


def protection(index: ObservedIndex) -> str:
    """Say what would be lost with an index besides its speed, or return an empty text."""
    if index.bound:
        return f"it stands behind {index.bound}"
    if index.parent:
        return f"it is part of index {index.parent}"
    reasons = {"it is unique": index.form.unique, "it is the replica identity": index.replica_identity}
    reasons["the table is clustered on it"] = index.clustered
    return next((reason for reason, holds in reasons.items() if holds), "")


def _definition(parts: IndexParts) -> tuple[Any, ...]:
    """What makes two indexes answer the same queries; uniqueness and storage do not count."""
    return parts.method, parts.keys, frozenset(parts.include), parts.predicate


def _sound(observed: Observed) -> Iterator[tuple[QualifiedName, list[ObservedIndex]]]:
    """Yield the finished indexes of each table that is not an extension's."""
    for table, indexes in observed.by_table.items():
        if not observed.facts_of(table).extension:
            yield table, [i for i in indexes if i.valid and not i.name.startswith(OWN_LEFTOVERS)]


def absent(index: ObservedIndex, rules: Rules) -> Mapping[str, Any]:
    """Return the declaration that an index is not to be there."""
    item = {"table": table_text(index.table, rules.default_schema), "name": index.name, "state": "absent"}
    return {"indexes": [item]}


def dropped(index: ObservedIndex, observed: Observed) -> tuple[Fix, ...]:
    """Return the step that drops an index; that of a partitioned table cannot be dropped concurrently."""
    partitioned = index.table in observed.tables and observed.tables[index.table].kind == "p"
    return (Fix("drop_partitioned_index" if partitioned else "drop_index", index.key),)


def duplicate_index(observed: Observed, rules: Rules) -> Iterator[Found]:
    for table, indexes in _sound(observed):
        groups: dict[tuple[Any, ...], list[ObservedIndex]] = {}
        for index in indexes:
            groups.setdefault(_definition(observed.parts[index.key]), []).append(index)
        for group in groups.values():
            yield from _doubles(table, group, observed, rules)


def _doubles(table: QualifiedName, group: list[ObservedIndex], observed: Observed, rules: Rules) -> Iterator[Found]:
    """Keep what something else needs, then the first by name, whatever a server read: the finding's name is the same on each."""
    ranked = sorted(group, key=lambda i: (not i.bound, not protection(i), i.name))
    kept, others = ranked[0], [index for index in ranked[1:] if not index.parent]
    for index in others:
        reason = protection(index)
        at = path(index.key)
        size = observed.size(table)
        if reason:
            decide = f"{reason}, so a person has to decide which of the two goes"
            yield Found(at, f"has the same definition as {kept.name} of {table}; {decide}", bytes=size)
        else:
            detail = f"has the same definition as {kept.name} of {table}: every write pays for both"
            yield Found(at, detail, dropped(index, observed), absent(index, rules), size)


def overlapping_index(observed: Observed, rules: Rules) -> Iterator[Found]:
    for table, indexes in _sound(observed):
        trees = [index for index in indexes if observed.parts[index.key].method == "btree"]
        for index in trees:
            wider = next((other for other in trees if _covers(other, index, observed)), None)
            if wider and not protection(index):
                detail = (
                    f"is the beginning of {wider.name} of {table}, which answers the same queries; a smaller index reads "
                    "fewer pages, so look at both under load first if this one is read much"
                )
                fixes = dropped(index, observed)
                yield Found(path(index.key), detail, fixes, absent(index, rules), observed.size(table))


def _covers(other: ObservedIndex, index: ObservedIndex, observed: Observed) -> bool:
    """Whether another index can stand in for this one, and will be there when this one is gone."""
    mine, theirs = observed.parts[index.key], observed.parts[other.key]
    if mine.predicate != theirs.predicate or _definition(mine) == _definition(theirs):
        return False
    if theirs.keys[: len(mine.keys)] != mine.keys:
        return False
    if not set(mine.include) <= {*theirs.include, *(key.name for key in theirs.keys)}:
        return False
    # the wider one would itself be called unused: dropping both would leave nothing
    unread = not _reads(other, observed) and not protection(other)
    return not (unread and _reads(index, observed))


def unused_index(observed: Observed, rules: Rules) -> Iterator[Found]:
    days = observed.statistics_days
    if days is None or days < rules.unused_index_days or observed.standby:
        return
    for table, indexes in _sound(observed):
        for index in indexes:
            serves = _serves_a_key(index, observed) or serves_a_policy(index, observed)
            if protection(index) or serves or _awaited(index, observed) or _reads(index, observed):
                continue
            detail = (
                f"no query has read it for {int(days)} days; look at the standbys' own statistics, and for an index that is "
                "younger than that or only used at the end of a quarter, before it goes"
            )
            fixes = dropped(index, observed)
            yield Found(path(index.key), detail, fixes, absent(index, rules), observed.size(table))


def _serves_a_key(index: ObservedIndex, observed: Observed) -> bool:
    """Whether a foreign key of the table, or of one above it, finds its rows by this index: deletes do not count it."""
    parts = observed.parts[index.key]
    places = (index.table, *ancestors(index.table, observed.tables))
    names = [key.name for key in parts.keys]
    wanted = [key.columns for place in places for key in observed.keys_of.get(place, ())]
    fits = any(set(names[: len(columns)]) == set(columns) for columns in wanted)
    return fits and parts.method in ("btree", "hash") and not parts.predicate


def _awaited(index: ObservedIndex, observed: Observed) -> bool:
    """Whether a partitioned index above has the same definition, and so can take this one in."""
    mine = _definition(observed.parts[index.key])
    above = [other for table in ancestors(index.table, observed.tables) for other in observed.by_table.get(table, ())]
    return any(not other.valid and _definition(observed.parts[other.key]) == mine for other in above)


def _reads(index: ObservedIndex, observed: Observed) -> int:
    """How often queries were answered by an index or by one of the same definition: it stands in for a duplicate that goes."""
    mine = _definition(observed.parts[index.key])
    same = [i for i in observed.by_table[index.table] if i.valid and _definition(observed.parts[i.key]) == mine]
    return sum(_scans(one, observed) for one in same)


def _scans(index: ObservedIndex, observed: Observed) -> int:
    """How often an index was read, on all partitions."""
    below = [index.key]
    for name in below:  # grows while it is read
        below += [part.key for part in observed.attached.get(name, ())]
    return sum(observed.index_scans.get(name, 0) for name in below)


def statistics_too_young(observed: Observed, rules: Rules) -> str:
    days = observed.statistics_days
    if observed.standby:
        return "this is a standby: its statistics do not say what the primary reads"
    if days is None:
        return "nobody knows since when the server counts reads"
    if days < rules.unused_index_days:
        return f"reads are counted for {int(days)} days; {rules.unused_index_days} are needed (unused_index_days)"
    return ""


def invalid_index(observed: Observed, rules: Rules) -> Iterator[Found]:
    for _, index in sorted(observed.indexes.items()):
        own = index.name.startswith(OWN_LEFTOVERS)
        partitioned = index.table in observed.tables and observed.tables[index.table].kind == "p"
        if index.builder or index.parent or observed.facts_of(index.table).extension:
            continue
        if own:
            if not observed.running and not observed.hidden_builds:
                yield _own_leftover(index, observed)
        elif not index.valid and not partitioned and not observed.hidden_builds:
            yield _invalid(index, observed, rules)


def _own_leftover(index: ObservedIndex, observed: Observed) -> Found:
    detail = (
        f"was left on {index.table} by a run that was interrupted: the next run with the same declaration finishes or drops "
        "it; drop it by hand only if nobody declares it any more"
    )
    return Found(path(index.key), detail, dropped(index, observed), bytes=observed.size(index.table))


def _invalid(index: ObservedIndex, observed: Observed, rules: Rules) -> Found:
    size = observed.size(index.table)
    if REINDEX_LEFTOVER.fullmatch(index.name):
        detail = (
            f"was left on {index.table} by a REINDEX CONCURRENTLY that failed: writes pay for it, no query reads it"
        )
        return Found(path(index.key), detail, dropped(index, observed), absent(index, rules), size)
    unique = "; if rows contradict its uniqueness, they have to be put right first" if index.form.unique else ""
    detail = f"its build on {index.table} failed or was interrupted: writes pay for it, no query reads it{unique}"
    item = {} if index.bound else {"indexes": [index_item(index, observed.parts[index.key], rules.default_schema)]}
    return Found(path(index.key), detail, (Fix("reindex", index.key),), item, size)


def builds_unseen(observed: Observed, _rules: Rules) -> str:
    if observed.hidden_builds:
        return "an index is being built, and this role may not see which: use a member of pg_monitor"
    if observed.running:
        return "a run of this collection changes the database right now: what it has half-built is not looked at"
    return ""


def unattached_partition_index(observed: Observed, rules: Rules) -> Iterator[Found]:
    for _, index in sorted(observed.indexes.items()):
        partitioned = index.table in observed.tables and observed.tables[index.table].kind == "p"
        if index.valid or not partitioned or index.parent or index.name.startswith(OWN_LEFTOVERS):
            continue
        parts = observed.parts[index.key]
        fixes = () if index.bound else grown(index.key, index.table, wanted_by(index, parts), observed)
        item = {"indexes": [index_item(index, parts, rules.default_schema)]} if fixes else {}
        detail = f"not every partition of {index.table} has it, so it counts as invalid"
        if not fixes:
            detail += "; its partitions need a constraint, have a broken index or can have none: a person has to decide"
        yield Found(path(index.key), detail, fixes, item, observed.size(index.table))
