"""Where the time of one module goes: run as a process of its own, `_schema_breakdown.py MODULE ARGUMENTS STARTED`.

Timers around whole functions, no profiler; each second is counted once, for the innermost timer. JSON on stderr.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

OPS = "ansible_collections.pgstead.ops.plugins."
TIMED = {
    "connect": ["psycopg2:connect"],
    "declarations": [
        "ansible.module_utils.basic:AnsibleModule.__init__",
        "{ops}module_utils._core.index_spec:indexes",
        "{ops}module_utils._core.check_constraint:check_constraints",
        "{module}:indexes",
        "{module}:check_constraints",
    ],
    "catalogue": [
        "{ops}module_utils._pg.engine:read_tables",
        "{ops}module_utils._pg.kinds_index:read_names",
        "{ops}module_utils._pg.index:read_indexes",
        "{ops}module_utils._pg.ledger:made",
        "{ops}module_utils._pg.foreign_key:read_foreign_keys",
        "{ops}module_utils._pg.foreign_key:read_serving",
        "{ops}module_utils._pg.check_constraint:read_checks",
        "{ops}module_utils._pg.check_constraint:read_others",
    ],
    "server's forms": ["{ops}module_utils._pg.kinds_index:answers", "{ops}module_utils._pg.kinds_check:answers"],
    "plan": [
        "{ops}module_utils._core.index_plan:plan",
        "{ops}module_utils._core.index_plan:check_all",
        "{ops}module_utils._core.index:unsettled",
        "{ops}module_utils._core.index:candidates",
        "{ops}module_utils._core.check_constraint:plan",
        "{ops}module_utils._core.check_constraint:check_all",
        "{ops}module_utils._core.foreign_key:uncovered",
    ],
    "exit": ["ansible.module_utils.basic:AnsibleModule.exit_json"],
}


class Timers:
    """Seconds by label, each counted once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.stack: list[str] = ["rest"]
        self.since = time.perf_counter()

    def switch(self, label: str | None) -> None:
        """Enter a label, or leave the innermost one."""
        now = time.perf_counter()
        self.seconds[self.stack[-1]] = self.seconds.get(self.stack[-1], 0.0) + now - self.since
        self.since = now
        if label is None:
            self.stack.pop()
        else:
            self.stack.append(label)

    def around(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its time counted."""

        def timed(*arguments: Any, **named: Any) -> Any:
            self.switch(label)
            try:
                return function(*arguments, **named)
            finally:
                self.switch(None)

        return timed


def main() -> None:
    """Import, wrap, run, report."""
    name, arguments, started = sys.argv[1:]
    seconds = {"interpreter": time.time() - float(started)}
    begun = time.perf_counter()
    module = importlib.import_module(f"{OPS}modules.{name}")
    seconds["imports"] = time.perf_counter() - begun
    timers = Timers()
    for label, places in TIMED.items():
        for place in places:
            path, _, attribute = place.format(ops=OPS, module=module.__name__).partition(":")
            owner: Any = importlib.import_module(path)
            *classes, last = attribute.split(".")
            for one in classes:
                owner = getattr(owner, one)
            if hasattr(owner, last):
                setattr(owner, last, timers.around(label, getattr(owner, last)))
    sys.argv = [name, arguments]
    with contextlib.suppress(SystemExit):
        module.main()
    timers.switch(None)
    print(json.dumps(seconds | timers.seconds), file=sys.stderr)


if __name__ == "__main__":
    main()
