"""Which time a versioned repository is read for, and what is said where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Held
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_job import Copy
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._host import drill
from ansible_collections.pgstead.ops.plugins.module_utils._host.drill_preflight import Looked
from ansible_collections.pgstead.ops.plugins.module_utils._host.drill_versions import past
from ansible_collections.pgstead.ops.plugins.module_utils._host.pgbackrest import PgBackRest

from .backup_world import NOW, backup

COPY = Copy(3, "store", offsite=True, versions_seconds=30 * 86400)
NEW = backup("new", hours=2)
EARLIEST = "--repo-target-time=2026-02-14 12:00:00+00"
BEFORE_NEW = "--repo-target-time=2026-03-15 09:59:00+00"
EMPTY: list[Any] = []
FIRST = f"{1:08X}{0:016X}"


def info(*labels: str) -> list[Any]:
    """Return what pgBackRest says of repository 3 with these backups."""
    told = {
        "type": "full",
        "timestamp": {"start": 1_700_000_000, "stop": 1_700_000_060},
        "info": {"size": 1, "repository": {"delta": 1}},
        "archive": {"start": FIRST, "stop": FIRST},
        "database": {"repo-key": 3, "id": 1},
    }
    repository = {"key": 3, "status": {"code": 0, "message": "ok"}}
    db = {"repo-key": 3, "id": 1, "version": "17", "system-id": 1}
    stanza = {
        "name": "db1",
        "repo": [repository],
        "db": [db],
        "archive": [],
        "backup": [{**told, "label": label} for label in labels],
    }
    return [{**stanza, "status": {"lock": {"backup": {"held": False}}}}]


def engine(answers: dict[str, list[Any]], version: str = "2.55.1") -> PgBackRest:
    """Return an engine which answers as the repository was at a time."""

    def run(words: Sequence[str]) -> tuple[int, str, str]:
        if words[-1] == "version":
            return 0, f"pgBackRest {version}\n", ""
        asked = next(word for word in words if word.startswith("--repo-target-time"))
        assert "--repo=3" in words
        if "repo-ls" in words:
            return 0, "{}", ""
        return 0, json.dumps(answers[asked]), ""

    return PgBackRest(run, "db1", (3,))


def looked(*backups: Any) -> Looked:
    return Looked(COPY, Held(3, backups=backups), {})


@pytest.mark.parametrize(
    ("answers", "option", "label"),
    [
        ({EARLIEST: info("old"), BEFORE_NEW: EMPTY}, EARLIEST, "old"),
        ({EARLIEST: EMPTY, BEFORE_NEW: info("middle")}, BEFORE_NEW, "middle"),
        ({EARLIEST: info(), BEFORE_NEW: info("middle")}, BEFORE_NEW, "middle"),
    ],
    ids=["as long ago as versions are kept", "no stanza then", "no backup then"],
)
def test_it_is_read_for_the_earliest_time_with_a_backup(answers: dict[str, list[Any]], option: str, label: str) -> None:
    found = past(engine(answers), looked(NEW), NOW)
    assert (found.engine.options, [one.label for one in found.backups]) == ((option,), [label])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            lambda: engine({}, "2.45"),
            "pgBackRest 2.45 of this host cannot read versions of a store: that needs pgBackRest 2.54",
        ),
        (
            lambda: engine({EARLIEST: EMPTY, BEFORE_NEW: EMPTY}),
            "repository store has no backup as it was at 2026-03-15",
        ),
    ],
)
def test_what_cannot_be_read_is_named(made: Callable[[], PgBackRest], said: str) -> None:
    with pytest.raises(HostError, match=said):
        past(made(), looked(NEW), NOW)


def test_a_backup_of_then_without_its_wal_is_not_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be restored, would open, and would be of an earlier time."""
    monkeypatch.setattr(drill, "_restore", lambda *_words, **_how: pytest.fail("it was restored"))
    work: Any = SimpleNamespace(now=lambda: NOW, server=SimpleNamespace(data=tmp_path))
    before = past(engine({EARLIEST: info("old")}), looked(NEW), NOW)
    with pytest.raises(SpecError, match="repository 3 has no archived WAL"):
        drill._as_it_was(work, before, looked(NEW), {})


def test_a_time_is_looked_at_without_a_backup_of_now() -> None:
    found = past(engine({EARLIEST: info("old")}), looked(), NOW)
    assert found.at == NOW - timedelta(days=29)
