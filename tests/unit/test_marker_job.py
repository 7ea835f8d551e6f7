"""The job that lays recovery markers: its settings, and what is said of a run; and the service beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import heartbeat, recovery_marker
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConnectionFailed, IsStandby, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.marker_job import Laid, conclude, counts
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target

LAID = Laid(
    "pgstead-20261126T031700Z",
    datetime(2026, 11, 26, 3, 17, 0, 123456, UTC),
    "0/5000148",
    "000000010000000000000005",
    42,
)
CONFIG = Config("postgres", "/x", "/x", 5432, 5, {}, "/x")
PLACE = Target("/x", 5432)


def test_what_is_archived_is_ok_and_has_its_coordinates() -> None:
    found = conclude(LAID, 1.23456, 120)
    assert found.status == "ok"
    assert found.facts == {
        "name": "pgstead-20261126T031700Z",
        "time": "2026-11-26T03:17:00.123456+00:00",
        "lsn": "0/5000148",
        "segment": "000000010000000000000005",
        "archived_seconds": 1.235,
        "tables": 42,
    }


def test_what_is_not_archived_has_failed() -> None:
    found = conclude(LAID, None, 120)
    assert (found.status, found.facts["archived_seconds"]) == ("failed", None)
    assert "000000010000000000000005 was not archived within 120 s" in found.reason


@pytest.mark.parametrize("settings", [{}, {"counts": "guess"}, {"counts": None}, {"counts": "exact", "more": 1}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"settings\."):
        counts(settings)
    assert (counts({"counts": "exact"}), counts({"counts": "estimate"})) == ("exact", "estimate")


def test_a_standby_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_target: Target, _method: str) -> Laid:
        raise IsStandby("is a standby")

    monkeypatch.setattr(recovery_marker, "lay", refuse)
    found = recovery_marker.run(CONFIG, {"counts": "estimate"})
    assert (found.status, found.reason) == ("skipped", "this server is a standby: its primary lays the markers")


class Over(Exception):
    """The test has seen enough."""


def follow(monkeypatch: pytest.MonkeyPatch, *story: Exception | None) -> tuple[list[tuple[str, str]], list[float]]:
    """Return what is told, and the pauses, when each attempt to beat ends like this (None is well)."""
    told: list[tuple[str, str]] = []
    pauses: list[float] = []
    left: Iterator[Exception | None] = iter(story)

    @contextmanager
    def opened(_target: Target) -> Iterator[None]:
        yield

    def beat(_connection: None) -> None:
        try:
            outcome = next(left)
        except StopIteration:
            raise Over from None
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(heartbeat.heartbeat, "opened", opened)
    monkeypatch.setattr(heartbeat.heartbeat, "beat", beat)
    with pytest.raises(Over):
        heartbeat.keep_beating(PLACE, lambda *said: told.append(said), pauses.append)
    return told, pauses


def test_only_what_changes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, standby = ConnectionFailed("no such socket"), IsStandby("is a standby")
    told, pauses = follow(monkeypatch, None, None, lost, ConnectionFailed("starting up"), None, standby, standby, None)
    assert [status for status, _text in told] == ["ok", "failed", "ok", "skipped", "ok"]
    assert told[1][1].endswith("no such socket")
    assert pauses == [10, 10, 1, 2, 10, 10, 10, 10]


def test_a_server_that_is_away_is_tried_less_often_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = ConnectionFailed("no such socket")
    told, pauses = follow(monkeypatch, *[lost] * 7, None, lost)
    assert [status for status, _text in told] == ["failed", "ok", "failed"]
    assert pauses == [1, 2, 4, 8, 10, 10, 10, 10, 1]
