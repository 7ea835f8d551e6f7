"""pgBackRest's configuration, as it is rendered."""

from __future__ import annotations

import configparser
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import backup_config
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_config import Option
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_plan import engine, secrets_text
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_spec import BackupSpec, read

from .backup_world import PASSPHRASE, SPEC, STORE

BOTH = SPEC | {"repositories": [*SPEC["repositories"], STORE]}


def spec(**more: Any) -> BackupSpec:
    found, problems = read(BOTH | more)
    assert problems == []
    assert found is not None
    return found


def ini(text: str) -> configparser.ConfigParser:
    """Read as pgBackRest does: a value ends with its line, and a name is in a section once."""
    parser = configparser.ConfigParser(delimiters=("=",), comment_prefixes=("#",), interpolation=None, strict=True)
    parser.read_string(text)
    return parser


def rendered(version: tuple[int, int] = (2, 55), **more: Any) -> configparser.ConfigParser:
    declared = spec(**more)
    return ini(
        backup_config.render(
            backup_config.sections(engine(declared, version), declared.repositories), "A heading.\nTwo."
        )
    )


def test_the_options_that_backups_depend_on() -> None:
    found = rendered()
    assert found.sections() == ["global", "global:archive-get", "db1"]
    assert {name: found["global"][name] for name in ("lock-path", "expire-auto", "archive-async", "repo2-type")} == {
        "lock-path": "/run/pgbackrest",
        "expire-auto": "n",
        "archive-async": "y",
        "repo2-type": "s3",
    }
    for key in (1, 2):
        assert found["global"][f"repo{key}-cipher-type"] == "aes-256-cbc"
        assert found["global"][f"repo{key}-retention-full"] == "9999999"
        assert found["global"][f"repo{key}-retention-archive"] == "9999999"
    assert dict(found["db1"])["pg1-path"] == "/var/lib/postgresql/17/main"


@pytest.mark.parametrize(("version", "block"), [((2, 45), False), ((2, 46), True), ((2, 55), True), ((3, 0), True)])
def test_what_a_version_does_not_know_is_left_out(version: tuple[int, int], block: bool) -> None:
    assert ("repo1-block" in rendered(version)["global"]) is block


@pytest.mark.parametrize(("queue_max", "there"), [("", False), ("50 GiB", True)])
def test_wal_is_dropped_only_where_that_is_asked_for(queue_max: str, there: bool) -> None:
    assert ("archive-push-queue-max" in rendered(queue_max=queue_max)["global"]) is there


def test_secrets_are_in_their_own_file_and_nowhere_else() -> None:
    declared = spec()
    text = backup_config.render(backup_config.sections(engine(declared, (2, 55)), declared.repositories), "")
    for secret in (PASSPHRASE, "SECRET1", "SECRET2"):
        assert secret not in text
        assert secret not in repr(declared)
    found = ini(secrets_text(BOTH))
    assert dict(found["global"]) == {
        "repo1-cipher-pass": PASSPHRASE,
        "repo2-cipher-pass": f"{PASSPHRASE} #2;=",
        "repo2-s3-key": "SECRET1",
        "repo2-s3-key-secret": "SECRET2",
    }
    assert secrets_text(BOTH | {"processes": 0}) == ""


def test_a_reason_is_said_once_for_a_row_of_options() -> None:
    found = backup_config.render(
        {"global": [Option("a", "1", "why"), Option("b", "2", "why"), Option("c", "3")]}, "Head"
    )
    assert found == "# Head\n\n[global]\n# why\na=1\nb=2\nc=3\n"


def test_what_postgresql_is_told() -> None:
    found = backup_config.fragment("db1", 300)
    assert found.settings["archive_command"][0] == "pgbackrest --stanza=db1 archive-push %p"
    assert found.settings["archive_timeout"][0] == "300s"


def test_values_of_one_option_are_one_line() -> None:
    """A line break in a value would be an option of its own: none gets this far."""
    declared = spec()
    found = replace(engine(declared, (2, 55)), data_directory="/data")
    lines = backup_config.render(backup_config.sections(found, declared.repositories), "").splitlines()
    assert all(line.startswith(("#", "[")) or "=" in line for line in lines if line)
