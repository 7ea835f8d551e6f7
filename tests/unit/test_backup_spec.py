"""Physical backups as the inventory declares them."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations, product
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import backup_job
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_spec import COMPRESSIONS, host_files, read
from ansible_collections.pgstead.ops.plugins.module_utils._core.baseline import ENVIRONMENTS

from .backup_world import PASSPHRASE, SPEC, STORE

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
        ({"processes": "\N{ARABIC-INDIC DIGIT THREE}"}, "backup_processes"),
        ({"queue_max": "\N{ARABIC-INDIC DIGIT THREE}GB"}, "backup_archive_queue_max"),
        ({"retention": {"hourly": 0, "daily": 0}}, "backup_retention.daily"),
        ({"retention": {"daily": "200y"}}, "backup_retention.daily"),
        ({"retention": {"hourly": "200y"}}, "backup_retention.hourly"),
        ({"retention": {"daily": "\N{ARABIC-INDIC DIGIT THREE}d"}}, "backup_retention.daily"),
        ({"retention": "30d"}, "backup_retention"),
        ({"retention": ["30d"]}, "backup_retention"),
        ({"objectives": "26h"}, "backup_objectives"),
        ({"objectives": {"age": "500ms"}}, "backup_objectives.age"),
        ({"objectives": {"age": "80000d"}}, "backup_objectives.age"),
        ({"objectives": {"age": "1e30d"}}, "backup_objectives.age"),
        ({"objectives": {"age": "1e400d"}}, "backup_objectives.age"),
        ({"objectives": {"age": "-1e30d"}}, "backup_objectives.age"),
        ({"objectives": {"archive": 0.5}}, "backup_objectives.archive"),
        ({"version": "abc"}, "postgresql_version"),
        ({"port": "x"}, "postgresql_port"),
        ({"port": 65536}, "postgresql_port"),
        ({"data_directory": "main"}, "postgresql_data_directory"),
        ({"data_directory": "/main\nrepo1-path=/"}, "postgresql_data_directory"),
    ],
)
def test_what_is_refused(change: dict[str, Any], where: str) -> None:
    found, problems = read(SPEC | change)
    assert found is None
    assert [problem.where for problem in problems] == [where]


VALUES: dict[str, tuple[Any, ...]] = {
    "environment": ENVIRONMENTS,
    "retention": (
        *(None, {}, "30d", {"weekly": "9999y"}, {"hourly": 0}, {"daily": 0}, {"hourly": 0, "daily": 0}),
        *({"daily": "100y"}, {"daily": "101y"}, {"hourly": "9999y"}, {"hourly": 0, "daily": "1h"}),
    ),
    "objectives": tuple(
        {name: value}
        for name in ("age", "archive")
        for value in (0, 0.5, "999ms", "1s", "1.9", "36600d", "36601d", "1e30d", "1us", "-1h")
    ),
    "data_directory": (None, "", "main", "/main", "/"),
    "version": (15, "17", "abc", 0),
    "port": (1, "5432", 0, "x"),
    "repositories": (SPEC["repositories"], [STORE], [*SPEC["repositories"], STORE]),
}


@pytest.mark.parametrize("changed", list(combinations(VALUES, 2)), ids="-".join)
def test_whatever_is_accepted_the_job_takes(changed: tuple[str, str]) -> None:
    accepted = 0
    for values in product(*(VALUES[name] for name in changed)):
        found, problems = read(SPEC | dict(zip(changed, values, strict=True)))
        assert (found is None) == bool(problems)
        if found is not None:
            accepted += 1
            files = host_files(found)
            told = backup_job.settings(found.made("full", files), makes=True)
            assert (told.wal, told.keep) == (found.wal_window, found.keep)
            backup_job.settings(found.job(files), makes=False)
    assert accepted > 0


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
