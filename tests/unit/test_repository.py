"""Repositories as the inventory declares them: what they become, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.repository import (
    TYPES,
    VERSIONED,
    repositories,
    version_of,
)

from .backup_world import PASSPHRASE

BASE = {"name": "one", "path": "/backups", "cipher_passphrase": PASSPHRASE}
OPTIONS: dict[str, dict[str, Any]] = {
    "posix": {},
    "s3": {"bucket": "b", "endpoint": "s3.example.org", "region": "eu-1", "key": "SECRET1", "key_secret": "SECRET2"},
    "azure": {"account": "a", "container": "c", "key": "SECRET1"},
    "gcs": {"bucket": "b", "key": "/etc/pgbackrest/gcs.json"},
    "sftp": {
        "host": "backup.example.org",
        "host_user": "pgbackrest",
        "private_key_file": "/k",
        "host_key_hash_type": "sha256",
        "private_key_passphrase": "SECRET1",
    },
}
HOSTS = {
    "posix": "",
    "s3": "s3.example.org",
    "azure": "blob.core.windows.net",
    "gcs": "storage.googleapis.com",
    "sftp": "backup.example.org",
}


def declared(kind: str = "posix", **more: Any) -> dict[str, Any]:
    return {**BASE, "type": kind, "options": OPTIONS[kind], **more}


@pytest.mark.parametrize("kind", TYPES)
def test_every_type(kind: str) -> None:
    (found,), problems = repositories([declared(kind)])
    assert problems == []
    assert (found.key, found.type, found.host) == (1, kind, HOSTS[kind])
    assert found.options["cipher-type"] == "aes-256-cbc"
    assert found.secrets["cipher-pass"] == PASSPHRASE
    assert "SECRET" not in str(found.options), "a secret is among the options"
    assert {value for value in OPTIONS[kind].values() if "SECRET" in value} <= set(found.secrets.values())


@pytest.mark.parametrize("kind", TYPES)
def test_no_secret_is_in_what_python_shows_of_a_repository(kind: str) -> None:
    found = repr(repositories([declared(kind)]))
    assert "SECRET" not in found
    assert PASSPHRASE not in found


@pytest.mark.parametrize(
    ("kind", "more", "secrets"),
    [
        ("gcs", {"key": "ya29.SECRET1", "key_type": "token"}, {"gcs-key": "ya29.SECRET1"}),
        ("gcs", {}, {"gcs-key": "/etc/pgbackrest/gcs.json"}),
        ("s3", {"token": "SECRET3"}, {"s3-key": "SECRET1", "s3-key-secret": "SECRET2", "s3-token": "SECRET3"}),
        ("azure", {"key_type": "sas"}, {"azure-key": "SECRET1"}),
        ("sftp", {}, {"sftp-private-key-passphrase": "SECRET1"}),
    ],
)
def test_what_is_secret(kind: str, more: dict[str, str], secrets: dict[str, str]) -> None:
    (found,), problems = repositories([declared(kind, options={**OPTIONS[kind], **more})])
    assert problems == []
    assert found.secrets == {"cipher-pass": PASSPHRASE, **secrets}
    assert not set(secrets) & set(found.options)


def test_order_gives_the_number_and_values_become_words() -> None:
    second = declared("s3", name="two", offsite=True, storage={"port": 9000, "verify_tls": False, "host": "proxy"})
    second["options"] = {**OPTIONS["s3"], "requester_pays": True, "uri_style": None}
    (one, two), problems = repositories([declared(cipher_type="none", cipher_passphrase=""), second])
    assert problems == []
    assert (one.key, one.offsite, one.secrets) == (1, False, {})
    assert (two.key, two.offsite, two.host) == (2, True, "proxy")
    assert two.options["storage-verify-tls"] == "n"
    assert two.options["storage-port"] == "9000"
    assert two.options["s3-requester-pays"] == "y"
    assert "s3-uri-style" not in two.options


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"nam": "x"}, "nam"),
        ({"name": "One"}, "name"),
        ({"name": ""}, "name"),
        ({"type": "cifs"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["posix"]}, "type"),
        ({"path": "backups"}, "path"),
        ({"path": "/back ups"}, "path"),
        ({"path": "/backups\nrepo1-cipher-type=none"}, "path"),
        ({"options": {"bucket": "b"}}, "options.bucket"),
        ({"storage": {"ports": 1}}, "storage.ports"),
        ({"storage": {"ca_file": "/x\n[global]"}}, "storage.ca_file"),
        ({"cipher_type": "aes-128-cbc"}, "cipher_type"),
        ({"cipher_type": "none"}, "cipher_passphrase"),
        ({"cipher_passphrase": None}, "cipher_passphrase"),
        ({"cipher_passphrase": "x" * 19}, "cipher_passphrase"),
        ({"cipher_passphrase": f" {PASSPHRASE}"}, "cipher_passphrase"),
        ({"cipher_passphrase": f"{PASSPHRASE}\nrepo2-path=/"}, "cipher_passphrase"),
    ],
)
def test_what_is_refused_and_where(change: dict[str, Any], where: str) -> None:
    found, problems = repositories([declared() | change])
    assert found == ()
    assert [problem.where for problem in problems] == [f"backup_repositories[0].{where}"]
    assert all(PASSPHRASE not in str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("s3", "bucket"),
        ("s3", "endpoint"),
        ("s3", "region"),
        ("azure", "account"),
        ("gcs", "bucket"),
        ("sftp", "host_user"),
    ],
)
def test_what_a_type_needs(kind: str, missing: str) -> None:
    options = {name: value for name, value in OPTIONS[kind].items() if name != missing}
    for given in (options, {**options, missing: " "}):
        _found, problems = repositories([declared(kind, options=given)])
        assert [str(problem) for problem in problems] == [
            f"backup_repositories[0].options.{missing}: is missing: {kind} needs it"
        ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"name": "one"}, "not a list of repositories"),
        ("one", "not a list of repositories"),
        (["one"], "backup_repositories[0]: is not a mapping"),
        ([declared(), declared(path="/other")], "two repositories have one name: 'one'"),
        ([declared(), declared(name="two")], "two repositories are one place: 'posix /backups'"),
        ([declared("s3"), declared("s3", name="two")], "two repositories are one place"),
        ([{}] * 257, "has 257 repositories; pgBackRest takes 256"),
        ([declared(options="bucket")], "backup_repositories[0].options: is a str, not a mapping"),
        ([declared(storage=["port"])], "backup_repositories[0].storage: is a list, not a mapping"),
    ],
)
def test_what_is_wrong_with_the_list(raw: Any, words: str) -> None:
    _found, problems = repositories(raw)
    assert words in "; ".join(str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("posix", {"path": "/backups/"}),
        ("posix", {"path": "//backups"}),
        ("posix", {"path": "/a/../backups/."}),
        ("s3", {"path": "/backups/"}),
        ("s3", {"uri_style": "path"}),
        ("s3", {"key_type": "auto", "role": "r"}),
        ("s3", {"kms_key_id": "k"}),
        ("s3", {"region": "eu-2"}),
        ("s3", {"endpoint": "S3.example.org"}),
        ("azure", {"key_type": "sas"}),
        ("azure", {"endpoint": "blob.core.windows.net"}),
        ("gcs", {"key_type": "token", "key": "t"}),
        ("sftp", {"host_port": 22}),
        ("sftp", {"private_key_file": "/other", "host_key_check_type": "none"}),
    ],
)
def test_what_says_nothing_of_the_place_makes_no_other(kind: str, change: dict[str, Any]) -> None:
    options = {name: value for name, value in change.items() if name != "path"}
    second = declared(kind, name="two", path=change.get("path", "/backups"), options={**OPTIONS[kind], **options})
    _found, problems = repositories([declared(kind), second])
    assert ["two repositories are one place" in problem.what for problem in problems] == [True]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("s3", {"endpoint": "s3.example.com"}),
        ("s3", {"bucket": "B"}),
        ("azure", {"account": "b"}),
        ("azure", {"container": "d"}),
        ("gcs", {"bucket": "c"}),
        ("sftp", {"host": "other.example.org"}),
        ("sftp", {"host_port": 23}),
        ("sftp", {"host_user": "other"}),
    ],
)
def test_one_path_in_two_places(kind: str, options: dict[str, Any]) -> None:
    second = declared(kind, name="two", options={**OPTIONS[kind], **options})
    assert repositories([declared(kind), second])[1] == []


def test_one_path_in_two_buckets_is_two_places() -> None:
    other = {**OPTIONS["s3"], "bucket": "c"}
    _found, problems = repositories([declared("s3"), declared("s3", name="two", options=other)])
    assert problems == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2.55.1-1", (2, 55)), ("pgBackRest 2.45", (2, 45)), ("2.100", (2, 100)), ("2.59.1-1.pgdg13+1", (2, 59))],
)
def test_versions(text: str, expected: tuple[int, int]) -> None:
    assert version_of(text) == expected


@pytest.mark.parametrize("text", ["", "2", "(none)"])
def test_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="has no version of pgBackRest"):
        version_of(text)


@pytest.mark.parametrize("kind", VERSIONED)
def test_how_long_a_store_keeps_versions(kind: str) -> None:
    (found,), problems = repositories([declared(kind, versions_kept="30d")])
    assert (found.versions_kept, problems) == (timedelta(days=30), [])
    assert "versions" not in str(found.options), "pgBackRest has no such option"


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("posix", "30d", "is for s3, azure, gcs: no versions can be read of posix"),
        ("s3", "0", "'0' is no time"),
        ("s3", "a month", "'a month'"),
        ("s3", "-1d", "'-1d'"),
        ("s3", "1e30d", "'1e30d' is too long a time"),
    ],
)
def test_versions_that_cannot_be(kind: str, text: str, said: str) -> None:
    found, (problem,) = repositories([declared(kind, versions_kept=text)])
    assert found == ()
    assert problem.where == "backup_repositories[0].versions_kept"
    assert said in problem.what
