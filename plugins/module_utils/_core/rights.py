# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a role must be allowed for a plan, so that a run is refused before its first step and not in the middle.

PostgreSQL's own rules: who changes a table owns it; what gets a name in a schema needs CREATE there, too; an index or a
view is dropped by the schema's owner as well; and a CHECK goes down to what inherits from its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .names import QualifiedName
from .plan import Change

# to own a relation, also what inherits from it, also to have CREATE in its schema; to own it or its schema; CREATE alone
OWN, OWN_BELOW, NAME, DROP, MAKE = "own", "own below", "name", "drop", "make"
MOST_NAMED = 5  # in one sentence

# everything else of these kinds is for the owner alone
_NEEDS: Mapping[tuple[str, str], str] = {
    **{("index", each): NAME for each in ("build", "create_only", "rename", "adopt", "swap", "swap_tree")},
    **{("index", each): DROP for each in ("drop", "drop_tree")},
    ("check_constraint", "add"): OWN_BELOW,
    **{("view", each): NAME for each in ("create", "replace", "fill", "swap", "rebuild")},
    ("view", "drop"): DROP,
    ("row_security", "context"): MAKE,
}
# MAINTAIN does for these; and of the audit log's own things its observation says whose they are
_FREE = {"refresh", "analyze"}
_AUDIT_OWN = {"attach", "detach"}


@dataclass(frozen=True)
class Lack:
    """What a role may not do: change a relation of somebody else's, or (without an owner) make things in a schema."""

    schema: str
    relation: str = ""
    owner: str = ""


def needs(changes: Iterable[Change]) -> tuple[tuple[QualifiedName, str], ...]:
    """Return what has to be allowed, as (relation, need), each once."""
    return tuple(dict.fromkeys((change.table, need) for change in changes if (need := _need(change))))


def _need(change: Change) -> str:
    if change.action in _FREE or (change.kind == "audit" and change.action not in _AUDIT_OWN):
        return ""
    need = _NEEDS.get((change.kind, change.action), OWN)
    return OWN if need == OWN_BELOW and change.subject.no_inherit else need


def refusal(role: str, lacks: Sequence[Lack]) -> str:
    """Say what the role may not do, and what helps; an empty text where it lacks nothing."""
    if not lacks:
        return ""
    owners: dict[str, list[str]] = {}
    for lack in lacks:
        if lack.owner:
            owners.setdefault(lack.owner, []).append(str(QualifiedName(lack.schema, lack.relation)))
    reasons = [f"{_some(names)} belong{'s' * (len(names) == 1)} to {owner}" for owner, names in sorted(owners.items())]
    advice = ["act as the owner (session_role)"] if owners else []
    closed = sorted({lack.schema for lack in lacks if not lack.owner})
    if closed:
        reasons.append(f"it has no CREATE in {_some(closed)}, where things get a name")
        advice.append("grant CREATE on the schema to the role that acts")
    return f"role {role} may not do this: {'; '.join(reasons)}. What to do: {', and '.join(advice)}"


def _some(names: Sequence[str]) -> str:
    named = sorted(names)
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
