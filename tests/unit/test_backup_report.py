"""A survey of all repositories: faults by repository, and the 3-2-1 rule of what really exists."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Held
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_job import (
    BackupSettings,
    RepositoryName,
    settings,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_report import (
    Place,
    Report,
    Surveyed,
    conclude_verify,
    report,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_spec import read

from .backup_world import NOW, SPEC, backup, wal

NEAR = RepositoryName(1, "near", "posix", False, "/b", "")
AWAY = RepositoryName(2, "away", "s3", True, "/b", "s3.example.org")
DISK, STORE = Place("disk 2", "it lies on a disk of this host"), Place("object store s3.example.org")
FRESH, STALE = backup("fresh", hours=1), backup("stale", hours=27)


def told() -> BackupSettings:
    spec, _problems = read(SPEC)
    assert spec is not None
    return settings(spec.job(()), makes=False)


def judge(near: Any = None, away: Any = None, places: Any = None) -> Report:
    surveyed = [
        Surveyed(NEAR, Held(1, backups=(FRESH,), wal=(wal(1), wal(9))), 9),
        Surveyed(AWAY, Held(2, backups=(FRESH,), wal=(wal(1), wal(9))), 9),
    ]
    for one, change in zip(surveyed, (near, away), strict=True):
        for name, value in (change or {}).items():
            setattr(one, name, value)
    return report(told(), surveyed, {1: DISK, 2: STORE} | (places or {}), "disk 1", NOW)


def test_all_is_well() -> None:
    found = judge()
    assert (found.faults, found.rule.kept) == ((), True)
    assert conclude_verify(found).status == "ok"
    assert conclude_verify(found).facts["repositories"][0]["backups"] == 1
    data = found.as_data()["repositories"][1]
    assert data["newest"] == {"full": {"label": "fresh", "age_seconds": 3600}, "diff": None, "incr": None}
    assert data["backups"][0]["stopped"] == "2026-03-15T11:00:00Z"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"held": Held(2, "has no stanza db1")}, "away: has no stanza db1"),
        ({"held": Held(2)}, "away: there is no good backup in it"),
        (
            {"held": Held(2, backups=(STALE,))},
            "away: its newest good backup, stale, is 27.0 h old; the objective is 26 h",
        ),
        ({"faults": ["WAL is missing"]}, "away: WAL is missing"),
    ],
)
def test_a_fault_names_its_repository_and_takes_it_out_of_the_rule(change: dict[str, Any], fault: str) -> None:
    found = judge(away=change)
    assert found.faults == (fault,)
    assert found.rule.missing[:2] == ("2 of 3 copies", "none off-site")
    verdict = conclude_verify(found)
    assert (verdict.status, verdict.reason) == ("failed", fault)


def test_a_lost_repository_is_not_said_to_be_old_as_well() -> None:
    found = judge(near={"held": Held(1, "is lost")}, away={"faults": ["verify found something"], "held": Held(2)})
    assert found.faults == (
        "near: is lost",
        "away: there is no good backup in it",
        "away: verify found something",
    )


@pytest.mark.parametrize(
    ("places", "missing"),
    [
        ({1: Place("disk 1")}, "near does not count: it lies on the same disk as the cluster"),
        ({2: Place("object store localhost", "localhost is this host")}, "none off-site"),
    ],
)
def test_where_repositories_really_lie(places: dict[int, Place], missing: str) -> None:
    found = judge(places=places)
    assert found.faults == ()
    assert missing in found.rule.missing
    verdict = conclude_verify(found)
    assert verdict.status == "warning"
    assert verdict.reason.startswith("3-2-1 is not kept (")
