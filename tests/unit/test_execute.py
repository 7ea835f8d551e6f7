"""What is sent to the server around a change."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Change, Mode
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Executor, Limits
from ansible_collections.pgstead.ops.plugins.module_utils._pg.watch import Sight


class Recorder:
    """Stands in for a connection, its cursor and a watcher: keeps what is executed."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def cursor(self) -> Any:
        return nullcontext(SimpleNamespace(execute=self.sent.append))

    def watching(self, *_what: object) -> Any:
        return nullcontext(Sight())


@pytest.mark.parametrize(("mode", "most"), [(Mode.TRANSACTION, "250ms"), (Mode.SCAN, "0")])
def test_no_change_waits_for_a_lock_without_end(mode: Mode, most: str) -> None:
    recorder: Any = Recorder()
    change = Change("index", QualifiedName("public", "t"), "i", "drop", "AccessExclusiveLock", mode, None)
    Executor(recorder, recorder, Limits(lock_timeout_ms=250), lambda _seconds: None).carry_out(
        change, ["DROP INDEX i"], "''"
    )
    (sent,) = recorder.sent
    assert sent == (
        f"BEGIN; SET LOCAL lock_timeout = '250ms'; SET LOCAL statement_timeout = '{most}'; "
        "SET LOCAL search_path = ''; DROP INDEX i; COMMIT"
    )
