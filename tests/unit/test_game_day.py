"""What a game day comes to."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.game_day import checks, phases
from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_probe import Check

MARKER = Check("marker", "postgres", "passed", "m is the newest one", 0.0)


def test_the_phases_add_up_to_the_time_until_a_client_was_served() -> None:
    found = phases(1000.0, 1090.5, 1130.0, {"prepare": 1.0, "fetch": 20.25, "recover": 4.0, "settle": 2.0})
    assert found == {"provision": 90.5, "fetch": 20.25, "recover": 4.0, "serve": 15.25}
    assert sum(found.values()) == 130.0


def test_a_restore_that_was_cut_off_while_it_recovered_does_not_know_for_how_long() -> None:
    found = phases(1000.0, 1090.5, 1130.0, {"fetch": 20.25})
    assert found == {"provision": 90.5, "fetch": 20.25, "recover": 0.0, "serve": 19.25}


@pytest.mark.parametrize(
    ("databases", "differing", "statuses"),
    [
        (["shop"], [], {"served": "passed", "access": "passed", "marker": "passed"}),
        (["shop"], ["roles"], {"served": "passed", "access": "failed", "marker": "passed"}),
        ([], [], {"served": "could_not_run", "access": "passed", "marker": "passed"}),
    ],
)
def test_what_was_looked_at(databases: list[str], differing: list[str], statuses: dict[str, str]) -> None:
    assert {check.check: check.status for check in checks(databases, differing, MARKER)} == statuses
