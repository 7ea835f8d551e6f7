"""A playbook that was cut off between a unit's file and systemd is made up for by the next one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.filter.plans import FilterModule

BEGAN = datetime(2026, 1, 2, 12, 0, 5, tzinfo=UTC).timestamp()
SYSTEMD = "/etc/systemd/system"


def block(name: str, *, reload: str = "no", began: str = "Fri 2026-01-02 12:00:05 UTC") -> str:
    return f"Id={name}\nActiveEnterTimestamp={began}\nNeedDaemonReload={reload}\n"


def asked(*blocks: str, **files: float) -> dict[str, Any]:
    places = {"timer": f"{SYSTEMD}/pgstead-a.timer", "service": f"{SYSTEMD}/pgstead-a.service"}
    places |= {"beat": f"{SYSTEMD}/pgstead-heartbeat.service", "config": "/etc/pgstead/agent.json"}
    places |= {"program": "/usr/lib/pgstead/pgstead"}
    found = [{"path": places[name], "mtime": BEGAN + after} for name, after in files.items()]
    return FilterModule().filters()["agent_units"]("\n".join(blocks), found)


TIMER, SERVICE, HEARTBEAT = "pgstead-a.timer", "pgstead-a.service", "pgstead-heartbeat.service"


@pytest.mark.parametrize(("states", "expected"), [(["no", "no"], False), (["no", "yes"], True), (["yes", "no"], True)])
def test_units_that_systemd_has_not_read(states: list[str], expected: bool) -> None:
    found = asked(*(block(name, reload=state) for name, state in zip((TIMER, SERVICE), states, strict=True)))
    assert found == {"reload": expected, "restart": []}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"timer": -60.0, "service": -60.0, "beat": -60.0, "config": -60.0, "program": -60.0}, []),
        ({"timer": 0.9, "beat": 0.9}, []),  # written in the second of the start: systemd shows no fractions
        ({"timer": 60.0}, [TIMER]),
        ({"service": 60.0}, []),  # it begins anew at each run
        ({"beat": 60.0}, [HEARTBEAT]),
        ({"config": 60.0}, [HEARTBEAT]),
        ({"program": 60.0}, [HEARTBEAT]),
    ],
)
def test_units_that_are_older_than_what_they_are_made_of(files: dict[str, float], expected: list[str]) -> None:
    blocks = (block(TIMER), block(SERVICE), block(HEARTBEAT))
    assert asked(*blocks, **files) == {"reload": False, "restart": expected}


def test_what_does_not_run_needs_no_restart() -> None:
    for began in ("", "n/a"):
        assert asked(block(TIMER, began=began), timer=60.0)["restart"] == []
    assert asked() == {"reload": False, "restart": []}
