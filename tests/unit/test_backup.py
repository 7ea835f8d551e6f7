"""What pgbackrest info says, read: several repositories, each with its own fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Holdings, newest, parse
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError

from .backup_world import backup, wal

OK = {"code": 0, "message": "ok"}


def entry(label: str, key: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "archive": {"start": wal(2), "stop": wal(3)},
        "database": {"id": 1, "repo-key": key},
        "error": False,
        "info": {"size": 3000, "delta": 2000, "repository": {"size": 300, "delta": 200}},
        "label": label,
        "lsn": {"start": "0/2000028", "stop": "0/3000050"},
        "prior": None,
        "reference": None,
        "timestamp": {"start": 1_800_000_000, "stop": 1_800_000_060},
        "type": "full",
    } | more


def stanza(**more: Any) -> dict[str, Any]:
    lock = {"backup": {"held": False}}
    return {
        "name": "db1",
        "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "17-1", "min": wal(1), "max": wal(9)}],
        "backup": [entry("20270115-080000F")],
        "db": [{"id": 1, "repo-key": 1, "system-id": 7_500_000_000_000_000_001, "version": "17"}],
        "repo": [{"key": 1, "status": OK}],
        "status": {**OK, "lock": lock},
    } | more


def read(*stanzas: dict[str, Any], keys: tuple[int, ...] = (1,)) -> Holdings:
    return parse(json.dumps(stanzas), "db1", keys)


def test_a_repository_that_is_whole() -> None:
    found = read(stanza())
    (held,) = found.held
    assert (found.busy, held.fault, held.archive, held.wal) == (False, "", "17-1", (wal(1), wal(9)))
    assert held.system_id == 7_500_000_000_000_000_001
    (one,) = found.backups
    assert (one.kind, one.size, one.stored, one.needs, one.good) == ("full", 3000, 200, frozenset(), True)
    assert (one.wal, one.lsn) == ((wal(2), wal(3)), ("0/2000028", "0/3000050"))
    assert f"{one.stopped:%Y-%m-%d %H:%M:%S%z}" == "2027-01-15 08:01:00+0000"


def test_every_repository_has_its_own_backups_and_cluster() -> None:
    """Repository 2 was made before an upgrade, whose archive is the current one; 3 is not configured."""
    raw = stanza(
        repo=[{"key": 1, "status": OK}, {"key": 2, "status": OK}],
        backup=[entry("A"), entry("B", 2), entry("C", 2, error=True)],
        db=[
            *stanza()["db"],
            {"id": 9, "repo-key": 2, "system-id": 2, "version": "16"},
            {"id": 10, "repo-key": 2, "system-id": 3, "version": "17"},
        ],
        archive=[
            *stanza()["archive"],
            {"database": {"id": 9, "repo-key": 2}, "id": "16-9", "min": wal(1), "max": wal(99)},
            {"database": {"id": 10, "repo-key": 2}, "id": "17-10", "min": None, "max": None},
        ],
    )
    one, two, three = read(raw, keys=(1, 2, 3)).held
    assert [backup.label for backup in one.backups] == ["A"]
    assert [(backup.label, backup.good) for backup in two.backups] == [("B", True), ("C", False)]
    assert (two.archive, two.wal, two.system_id) == ("17-10", None, 3)
    assert three.fault.startswith("is not among what pgbackrest info reports")


def test_what_an_incremental_backup_is_made_upon() -> None:
    (one,) = read(stanza(backup=[entry("I", type="incr", prior="D", reference=["F", "D"])])).backups
    assert one.needs == {"F", "D"}


def test_another_backup_is_under_way() -> None:
    status = {**OK, "lock": {"backup": {"held": True}}}
    assert read(stanza(status=status)).busy is True


CRYPTO = "[CryptoError] cipher header invalid\nHINT: is or was the repo encrypted?"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"code": 2, "message": "no valid backups"}, ""),
        (
            {"code": 1, "message": "missing stanza path"},
            "has no stanza db1: run playbook pgstead.ops.backup_setup, which makes it, and a full backup. If it had",
        ),
        ({"code": 3, "message": "missing stanza data"}, "has no stanza db1"),
        ({"code": 99, "message": CRYPTO}, "cannot be decrypted: its cipher_passphrase is not the one"),
        ({"code": 99, "message": "[FormatError] invalid checksum, \x8f\x03garbage"}, "cannot be decrypted"),
        (
            {"code": 99, "message": "[HostConnectError] unable to\n get address"},
            "cannot be used: [HostConnectError] unable to get",
        ),
        ({"code": 4, "message": "different across repos"}, "cannot be used"),
    ],
)
def test_a_fault_of_one_repository(status: dict[str, Any], words: str) -> None:
    two = {"key": 2, "status": status}
    db = [*stanza()["db"], {**stanza()["db"][0], "repo-key": 2}]
    one, other = read(stanza(repo=[{"key": 1, "status": OK}, two], db=db), keys=(1, 2)).held
    assert one.fault == ""
    assert len(one.backups) == 1
    assert other.fault.startswith(words)
    assert bool(other.fault) is bool(words)
    assert other.backups == ()
    assert other.fault.isprintable()


@pytest.mark.parametrize("stanzas", [[], [stanza(name="db2")], [stanza(db=[])]])
def test_no_stanza(stanzas: list[dict[str, Any]]) -> None:
    found = read(*stanzas, keys=(1,))
    assert [held.fault.split(":")[0] for held in found.held] == ["has no stanza db1"]
    assert (found.backups, found.busy) == ((), False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ERROR: [031]",
        "{}",
        '{"db1": 1}',
        "[1]",
        "null",
        '[{"name": "db1"}]',
        json.dumps([stanza(backup=[{"label": "A"}])]),
        json.dumps([stanza(db=[{"id": "x", "repo-key": 1}])]),
        json.dumps([stanza(backup=[entry("A", timestamp={"start": 0, "stop": 10**20})])]),
        json.dumps([stanza()])[:-20],
    ],
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    if text == '{"db1": 1}':
        text = json.dumps({"db1": stanza()})
    with pytest.raises(HostError, match="pgbackrest info says what is not understood"):
        parse(text, "db1", (1,))


def test_what_was_not_decrypted_is_quoted_as_it_is() -> None:
    """pgBackRest lays the bytes of a file with another key into its JSON, control characters and all."""
    status = {"code": 99, "message": "[CryptoError] unable to flush\ninvalid text '@@'"}
    text = json.dumps([stanza(repo=[{"key": 1, "status": status}])]).replace("@@", "\x01\ufffd\x1b[2J\x7f")
    (held,) = parse(text, "db1", (1,)).held
    assert held.fault.startswith("cannot be decrypted")
    assert held.fault.isprintable()


def test_the_newest_good_one() -> None:
    found = [
        backup("full", "full", 30),
        backup("diff", "diff", 20),
        backup("bad", "full", 1, good=False),
        backup("far", "full", 10, repository=2),
    ]
    names = [
        newest(found),
        newest(found, repository=1),
        newest(found, repository=1, kind="full"),
        newest(found, kind="incr"),
    ]
    assert [one and one.label for one in names] == ["far", "diff", "full", None]
    assert newest([]) is None
