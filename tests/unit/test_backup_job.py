"""What jobs of backups are told, and what their runs came to."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Backup, Held, Holdings
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_job import (
    Made,
    age_fault,
    conclude_backup,
    new_backup,
    settings,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_spec import host_files, read
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

from .backup_world import NOW, SPEC, backup

HOUR = timedelta(hours=1)


def told() -> dict[str, Any]:
    spec, _problems = read(SPEC)
    assert spec is not None
    return copy.deepcopy(spec.made("diff", host_files(spec)))


def test_what_the_role_writes_is_what_the_job_reads() -> None:
    found = settings(told(), makes=True)
    assert (found.kind, found.keys, found.repository(1).name, found.age) == ("diff", (1,), "local", 26 * HOUR)
    assert found.keep["daily"] == timedelta(days=30)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "copy"}, "settings.kind: 'copy' is not one of full, diff, incr"),
        ({"keep": {"daily": -1}}, "settings.keep"),
        ({"keep": None}, "settings.keep"),
        ({"stanza": " "}, "settings.stanza"),
        ({"repositories": []}, "settings.repositories: [] is not a list with at least one repository"),
        ({"repositories": [{"key": 0}]}, "settings.repositories[0].key: 0 is not a whole number from 1 to 256"),
        ({"repositories": ["local"]}, "settings.repositories[0]: is not a mapping"),
        ({"wal_seconds": True}, "settings.wal_seconds"),
        ({"data_directory": "main"}, "settings.data_directory: 'main' is not an absolute path"),
        ({"objectives": {"age_seconds": 0, "archive_seconds": 1}}, "settings.objectives.age_seconds"),
        ({"objectives": []}, "settings.objectives"),
        ({"passphrase": "x"}, "settings.passphrase: is unknown"),
    ],
)
def test_settings_that_cannot_be_used(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as raised:
        settings(told() | change, makes=True)
    assert words in str(raised.value)


def test_a_job_that_makes_none_has_no_kind() -> None:
    with pytest.raises(SpecError, match=r"settings\.keep: is unknown.*settings\.kind: is unknown"):
        settings(told(), makes=False)


OLD, NEW, BAD = backup("old", hours=5), backup("new", hours=1), backup("bad", hours=1, good=False)


def holdings(*backups: Backup, fault: str = "") -> Holdings:
    other = Held(2, backups=(backup("elsewhere", hours=0, repository=2),))
    return Holdings("db1", (Held(1, fault, backups), other))


@pytest.mark.parametrize(
    ("before", "after", "expected", "words"),
    [
        (holdings(OLD), holdings(OLD, NEW), NEW, ""),
        (holdings(), holdings(NEW), NEW, ""),
        (holdings(OLD), holdings(NEW), NEW, ""),
        (holdings(OLD), holdings(OLD), None, "but there is none"),
        (holdings(), holdings(), None, "but there is none"),
        (
            holdings(OLD),
            holdings(OLD, BAD),
            BAD,
            "pages with wrong checksums were found in the cluster while bad was made",
        ),
        (holdings(OLD), holdings(fault="has no stanza db1"), None, "but its repository has no stanza db1"),
        (holdings(OLD), Holdings("db1"), None, "but its repository is not among the repositories"),
    ],
)
def test_what_pgbackrest_says_is_looked_at(before: Holdings, after: Holdings, expected: Any, words: str) -> None:
    made, fault = new_backup(before, after, 1)
    assert made == expected
    assert words in fault
    assert bool(fault) is bool(words)


def test_a_run_is_as_good_as_its_worst_repository() -> None:
    good, bad = Made("near", 1.23456, NEW, ["old"]), Made("far", error="a disk is full")
    found = conclude_backup([good], "full")
    assert (found.status, found.reason) == ("ok", "near: new, 1 expired")
    found = conclude_backup([good, bad], "full")
    assert (found.status, found.reason) == ("failed", "far: a disk is full")
    assert found.facts["repositories"]["near"]["label"] == "new"
    assert found.facts["repositories"]["near"]["seconds"] == 1.235
    assert found.facts["repositories"]["far"] == {"seconds": 0.0, "expired": [], "error": "a disk is full"}


@pytest.mark.parametrize(
    ("backups", "words"),
    [
        ([NEW], ""),
        ([backup("edge", hours=2)], ""),
        ([OLD], "its newest good backup, old, is 5.0 h old; the objective is 2 h"),
        ([OLD, BAD], "its newest good backup, old, is 5.0 h old"),
        ([BAD], "there is no good backup in it"),
        ([], "there is no good backup in it"),
    ],
)
def test_ages(backups: list[Backup], words: str) -> None:
    found = age_fault(backups, NOW, 2 * HOUR)
    assert found.startswith(words)
    assert bool(found) is bool(words)
