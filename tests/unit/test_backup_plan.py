"""What a host needs for its backups, from inventory and facts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_plan import plan_backup

from .backup_world import PASSPHRASE, SPEC, STORE

BOTH = SPEC | {"repositories": [*SPEC["repositories"], STORE]}
FACTS: dict[str, Any] = {"packages": {"pgbackrest": {"installed": "", "candidate": "2.55.1-1"}}, "archiving": {}}
SFTP = {
    "name": "other",
    "type": "sftp",
    "path": "/db1",
    "cipher_passphrase": PASSPHRASE,
    "options": {"host": "h", "host_user": "u", "private_key_file": "/k", "host_key_hash_type": "sha256"},
}


def test_a_plan_has_no_secret() -> None:
    found = plan_backup(BOTH, FACTS)
    data = found.as_data()
    assert data["problems"] == []
    assert data["repositories"] == [{"key": 1, "name": "local"}, {"key": 2, "name": "store"}]
    assert (data["packages"], data["directories"], data["stanza_made"]) == (
        ["pgbackrest"],
        ["/var/lib/pgbackrest"],
        False,
    )
    for secret in (PASSPHRASE, "SECRET1", "SECRET2"):
        assert secret not in str(data)
        assert secret not in repr(found)


@pytest.mark.parametrize(
    ("markers", "made"),
    [({}, False), ({"17-main": "db1"}, True), ({"17-main": "db2"}, False), ({"16-main": "db1"}, False)],
)
def test_the_marker_is_of_this_cluster_and_stanza(markers: dict[str, str], made: bool) -> None:
    assert plan_backup(SPEC, FACTS | {"archiving": markers}).stanza_made is made


@pytest.mark.parametrize(
    ("change", "seen", "words"),
    [
        ({"processes": 0}, {"candidate": "2.55.1-1"}, "backup_processes"),
        ({}, {}, "pgbackrest: is not in this host's package sources"),
        ({}, {"candidate": "", "installed": ""}, "pgbackrest: is not in this host's package sources"),
        ({"repositories": [SFTP]}, {"installed": "2.45-1", "candidate": "2.55.1-1"}, "sftp needs pgBackRest 2.46"),
        ({"repositories": [SFTP]}, {"candidate": "2.55.1-1"}, ""),
    ],
)
def test_what_a_host_cannot_have(change: dict[str, Any], seen: dict[str, str], words: str) -> None:
    found = plan_backup(SPEC | change, FACTS | {"packages": {"pgbackrest": seen}})
    assert [words in str(problem) for problem in found.problems] == ([True] if words else [])
