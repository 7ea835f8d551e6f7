"""What is in force in PgBouncer against what is written."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._host import pooler_config

TEXT = """;; managed
[databases]
port = 1
shop = host=/var/run/postgresql
[pgbouncer]
; why
listen_port = 6432
pool_mode = transaction
logfile =
query_timeout = 30
[peers]
1 = host=/run/pgbouncer-1
pool_mode = session
"""
IN_FORCE = {"listen_port": "6432", "pool_mode": "transaction", "logfile": "", "query_timeout": "30.000", "other": "x"}


@pytest.mark.parametrize(
    ("written", "shown", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("", "", True),
        ("30", "30.0", True),
        ("3", "30", False),
        ("0", "", False),
        ("on", "1", False),
        ("a b", "a", False),
    ],
)
def test_same(written: str, shown: str, expected: bool) -> None:
    assert pooler_config.same(written, shown) is expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ()),
        ({"listen_port": "6433"}, ("listen_port",)),
        ({"pool_mode": "session", "query_timeout": "31"}, ("pool_mode", "query_timeout")),
        ({"other": "y"}, ()),
    ],
)
def test_mismatches(changed: dict[str, str], expected: tuple[str, ...]) -> None:
    assert pooler_config.mismatches(TEXT, IN_FORCE | changed) == expected


def test_a_setting_that_pgbouncer_does_not_show() -> None:
    shown = {name: value for name, value in IN_FORCE.items() if name != "pool_mode"}
    assert pooler_config.mismatches(TEXT, shown) == ("pool_mode",)


def test_an_empty_value_is_compared_too() -> None:
    assert pooler_config.mismatches("[pgbouncer]\nlogfile = \n", {"logfile": "/var/log/x"}) == ("logfile",)
