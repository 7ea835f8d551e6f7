"""Physical backups as the inventory declares them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_spec import COMPRESSIONS, host_files, read
from ansible_collections.pgstead.ops.plugins.module_utils._core.baseline import ENVIRONMENTS

from .backup_world import PASSPHRASE, SPEC

DAYS = {"production": 30, "staging": 14, "development": 7}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment(environment: str) -> None:
    found, problems = read(SPEC | {"environment": environment})
    assert problems == []
    assert found is not None
    assert found.wal_window.days == DAYS[environment]
    assert found.data_directory == "/var/lib/postgresql/17/main"


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_every_compression_has_a_usual_level(kind: str) -> None:
    found, problems = read(SPEC | {"compression": {"type": kind}})
    assert problems == []
    assert found is not None
    low, high = COMPRESSIONS[kind]
    assert low <= found.compression_level <= high


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"environment": "prod"}, "pgstead_environment"),
        ({"stanza": "a b"}, "backup_stanza"),
        ({"stanza": "global"}, "backup_stanza"),
        ({"stanza": "global:archive-push"}, "backup_stanza"),
        ({"stanza": "-a"}, "backup_stanza"),
        ({"retention": {"yearly": "1y"}}, "backup_retention.yearly"),
        ({"compression": {"type": "bz2"}}, "backup_compression.type"),
        ({"compression": {"level": 20}}, "backup_compression.level"),
        ({"compression": {"type": "none", "level": 1}}, "backup_compression.level"),
        ({"compression": "zst"}, "backup_compression"),
        ({"objectives": {"age": "soon"}}, "backup_objectives.age"),
        ({"objectives": {"archive": "0"}}, "backup_objectives.archive"),
        ({"queue_max": "many"}, "backup_archive_queue_max"),
        ({"queue_max": "1GB\nrepo1-path=/"}, "backup_archive_queue_max"),
        ({"archive_timeout": 9}, "backup_archive_timeout"),
        ({"archive_timeout": 3601}, "backup_archive_timeout"),
        ({"archive_timeout": True}, "backup_archive_timeout"),
        ({"processes": "two"}, "backup_processes"),
        ({"processes": 0}, "backup_processes"),
    ],
)
def test_what_is_refused(change: dict[str, Any], where: str) -> None:
    found, problems = read(SPEC | change)
    assert found is None
    assert [problem.where for problem in problems] == [where]


def test_everything_wrong_is_said_at_once() -> None:
    _found, problems = read(SPEC | {"stanza": "", "processes": 0, "retention": {"daily": "x"}})
    assert [problem.where for problem in problems] == ["backup_retention.daily", "backup_stanza", "backup_processes"]


@pytest.mark.parametrize("nothing", [[], None, ()])
def test_without_repositories_there_are_no_backups(nothing: Any) -> None:
    assert read(SPEC | {"repositories": nothing}) == (None, [])


def test_jobs_are_told_no_secret() -> None:
    found, _problems = read(SPEC | {"objectives": {"age": "2h", "archive": None}})
    assert found is not None
    assert found.age == timedelta(hours=2)
    assert found.archive_age == timedelta(minutes=15)
    told = found.made("full", host_files(found))
    assert PASSPHRASE not in str(told)
    assert PASSPHRASE not in repr(found)
    assert told["repositories"] == [
        {"key": 1, "name": "local", "type": "posix", "offsite": False, "path": "/var/lib/pgbackrest", "host": ""}
    ]
    assert told["host_files"][0] == "/etc/postgresql/17/main"
