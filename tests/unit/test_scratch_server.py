"""What a restored cluster is started with, and what its log tells."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.scratch_server import (
    ISOLATION,
    Spot,
    limits,
    moments,
    options,
)

CONTROLDATA = """\
Database system identifier:           7412345678901234567
max_connections setting:              250
max_worker_processes setting:         16
max_wal_senders setting:              10
max_prepared_xacts setting:           5
max_locks_per_xact setting:           128
track_commit_timestamp setting:       off
"""
SPOT = Spot("/d/data", "/d/files", "/d/socket", 5999)


def test_limits_are_those_of_the_server_that_was_backed_up() -> None:
    assert limits(CONTROLDATA) == {
        "max_connections": 250,
        "max_worker_processes": 16,
        "max_wal_senders": 10,
        "max_prepared_transactions": 5,
        "max_locks_per_transaction": 128,
    }


@pytest.mark.parametrize(
    ("version", "there"),
    [("1300", False), ("1700", False), ("1800", True), ("1901", True)],
    ids=["16", "17", "18", "19"],
)
def test_there_is_room_for_the_origins_of_all_subscriptions(version: str, *, there: bool) -> None:
    found = options(SPOT, f"pg_control version number:            {version}\n{CONTROLDATA}", {})
    assert found["max_replication_slots"] == "200"
    assert found.get("max_active_replication_origins") == ("200" if there else None)


@pytest.mark.parametrize("name", sorted(ISOLATION))
def test_nothing_that_is_asked_for_breaks_the_isolation(name: str) -> None:
    assert options(SPOT, CONTROLDATA, {name: "something"})[name] == ISOLATION[name]


def test_what_checks_need_can_be_asked_for() -> None:
    found = options(
        SPOT, CONTROLDATA, {"shared_preload_libraries": "timescaledb", "port": "5432", "max_connections": "300"}
    )
    assert (found["shared_preload_libraries"], found["port"], found["max_connections"]) == (
        "timescaledb",
        "5999",
        "300",
    )


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], (None, None)),
        (
            [
                "1763971200.100 LOG:  starting archive recovery",
                "1763971205.250 LOG:  redo done at 0/5000148 system usage: CPU: user: 0.00 s",
                "1763971206.750 LOG:  database system is ready to accept connections",
            ],
            (1763971205.25, 1763971206.75),
        ),
        (["LOG:  redo done at 0/5000148"], (None, None)),
    ],
)
def test_when_the_wal_was_replayed_and_when_the_server_was_open(
    lines: list[str], found: tuple[float | None, float | None]
) -> None:
    assert moments(lines) == found
