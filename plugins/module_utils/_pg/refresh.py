# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fill materialised views anew while they are read, those first that others are made of. A scheduled job calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.errors import LockNotAcquired, PermissionDenied, StatementFailed, ViolatingRows
from .._core.names import QualifiedName
from .._core.plan import Change, Mode
from .._core.refresh_job import Kept, obstacle, ordered
from .._core.view import KIND
from .canonical import path_of
from .connection import Target, execute, rows
from .engine import spoken
from .execute import USUAL_LIMITS, Executor, Limits
from .held_views import held_views
from .session import onlooker, session
from .view import read_views
from .watch import Watcher

# What REFRESH … CONCURRENTLY asks for (is_usable_unique_index() of the server).
_KEPT = """
SELECT n.nspname, c.relname, c.relispopulated,
       EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
               JOIN pg_catalog.pg_am m ON m.oid = x.relam
               WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND m.amname = 'btree'
                 AND i.indpred IS NULL AND i.indexprs IS NULL)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm'
"""


@dataclass(frozen=True)
class RefreshReport:
    """What a run did: seconds by view, which views are not there, and in sentences what could not be done and why."""

    views: dict[str, float]
    missing: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()


def refresh(
    target: Target,
    names: Sequence[QualifiedName],
    limits: Limits = USUAL_LIMITS,
    pause: Callable[[float], None] = time.sleep,
) -> RefreshReport:
    """Fill the views anew. Raises PgsteadError where nothing could be done at all.

    The server runs each query as the view's owner, in a session that cannot change it. A run of the schema modules may
    go on beside it: they meet at the view's lock only.
    """
    with spoken(target), session(target) as connection, onlooker(target) as eyes:
        execute(connection, f"SET lock_timeout = '{limits.patience_ms}ms'")
        kept = {view.name: view for view in _kept(connection)}
        above = {name: view.dependants for name, view in read_views(connection).items()}
        executor = Executor(connection, Watcher(eyes, connection.get_backend_pid(), lambda _line: None), limits, pause)
        held = held_views(connection)
        blocked = []
        for name in ordered([name for name in names if name in kept], above):
            blocked += [
                why for why in (obstacle(kept[name]) or held.get(name) or _refused(executor, kept[name]),) if why
            ]
        return RefreshReport(
            {str(done.change.table): done.seconds for done in executor.done},
            tuple(str(name) for name in names if name not in kept),
            tuple(blocked),
        )


def _kept(connection: Any) -> Iterator[Kept]:
    for schema, name, populated, unique in rows(connection, _KEPT):
        yield Kept(QualifiedName(schema, name), populated, unique)


def _refused(executor: Executor, view: Kept) -> str:
    """Fill one view, or say why it could not be; the others are tried all the same."""
    how = " CONCURRENTLY" if view.populated else ""  # nobody can read one that was never filled
    lock = "ExclusiveLock" if view.populated else "AccessExclusiveLock"
    change = Change(KIND, view.name, view.name.name, "refresh", lock, Mode.SCAN, None)
    try:
        executor.carry_out(change, [f"REFRESH MATERIALIZED VIEW{how} {view.name.sql}"], path_of(view.name.schema, ()))
    except (LockNotAcquired, PermissionDenied, StatementFailed, ViolatingRows) as error:
        return f"{view.name}: {error}"
    return ""
