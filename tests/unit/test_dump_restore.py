"""What a restore is asked for, and how it names what it makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_restore import (
    Request,
    Side,
    beside,
    check,
    continues,
    is_beside,
    roles,
    setting_values,
    side,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

NOW = datetime(2026, 3, 15, 1, 27, tzinfo=UTC)


def request(**changed: Any) -> Request:
    told: dict[str, Any] = {
        "database": "shop",
        "state": "restored",
        "path": "",
        "remote": "offsite:dumps/shop",
        "name": "latest",
        "format": "pgstead",
        "identity_file": "/root/key",
        "passphrase_file": "",
        "tables": (),
        "jobs": 2,
        "swap_wait": 30.0,
    }
    return Request(**told | changed)


OLD = {
    "format": "openssl",
    "remote": "",
    "path": "/srv/x.sql.gz.enc",
    "passphrase_file": "/root/p",
    "identity_file": "",
}


@pytest.mark.parametrize("changed", [{}, {"state": "swapped"}, {"remote": "", "path": "/x.tar.gpg"}, OLD])
def test_what_can_be_asked_for(changed: dict[str, Any]) -> None:
    check(request(**changed))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"database": ""}, "database: '' is not a name"),
        ({"database": "postgres"}, "database: postgres is the server's own"),
        ({"path": "/x.tar.age"}, "path: give either path, or remote"),
        ({"remote": ""}, "path: give either path, or remote"),
        ({"remote": "", "path": "/x.tar"}, "path: /x.tar ends in none of .tar.age, .tar.gpg"),
        ({"identity_file": ""}, "identity_file: is missing"),
        ({"jobs": 0}, "jobs: 0: there is at least one"),
        ({"swap_wait": 0.0}, "swap_wait: 0 s is no time to wait"),
        ({"state": "swapped", "tables": ("a",)}, "tables: some tables' rows are restored into a side database only"),
        (OLD | {"passphrase_file": ""}, "passphrase_file: is missing"),
        (OLD | {"path": "", "remote": "x:"}, "path: is missing: an openssl-encrypted dump is read from a file"),
        (OLD | {"tables": ("a",)}, "tables: a dump in SQL is restored whole"),
    ],
)
def test_what_contradicts_itself(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as raised:
        check(request(**changed))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ("shop", "shop_restored_20260315T012700Z"),
        ("x" * 63, f"{'x' * 37}_restored_20260315T012700Z"),
        ("ö" * 31, f"{'ö' * 18}_restored_20260315T012700Z"),
    ],
)
def test_names_of_side_databases_are_never_too_long(database: str, expected: str) -> None:
    assert beside(database, "restored", NOW) == expected
    assert len(expected.encode()) <= 63


def test_names_of_side_databases_are_free() -> None:
    """Of two restores in one second, and of two databases whose long names begin alike."""
    first = beside("x" * 63, "restored", NOW)
    assert beside("x" * 62, "restored", NOW, {first}) == f"{'x' * 37}_restored_20260315T012701Z"
    assert beside("shop", "before", NOW, {first}) == "shop_before_20260315T012700Z"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop_restored_20260315T012700Z", True),
        ("shop_before_20260315T012700Z", False),
        ("shop2_restored_20260315T012700Z", False),
        ("shop_restored_20261315T012700Z", False),
        ("shop_restored_20260315T012700Z2", False),
        ("shop", False),
    ],
)
def test_names_of_side_databases_are_recognised(name: str, expected: bool) -> None:
    assert is_beside("shop", "restored", name) is expected
    assert is_beside("x" * 63, "restored", beside("x" * 63, "restored", NOW))


def test_markers_are_read_as_they_were_written() -> None:
    made = Side("x", 'a "b"', "ready", "f.tar.age")
    assert side("x", made.marker) == made
    assert [side("x", text) for text in ("", "{}", "[]", "null", '{"of": "a"}')] == [None] * 5


@pytest.mark.parametrize(
    ("name", "stored", "expected"),
    [
        ("work_mem", "7MB", ("7MB",)),
        ("app.motto", "a, b", ("a, b",)),
        ("search_path", '"$user", public', ("$user", "public")),
        ("search_path", 'a,"b ""c"", d" , e', ("a", 'b "c", d', "e")),
        ("search_path", "", ("",)),
        ("search_path", '""', ("",)),
        ("Session_Preload_Libraries", "a, b", ("a", "b")),
    ],
)
def test_stored_settings_as_literals_of_set(name: str, stored: str, expected: tuple[str, ...]) -> None:
    assert setting_values(name, stored) == expected


def test_roles_that_a_database_needs() -> None:
    told = {
        "owner": "boss",
        "settings": [{"role": ""}, {"role": "reader"}],
        "grants": [{"grantee": ""}, {"grantee": "app"}, {"grantee": "boss"}],
    }
    assert roles(told) == ["app", "boss", "reader"]
    assert roles(told | {"grants": None}) == ["boss", "reader"]


DUMP = "20260315T012700Z-shop.tar.age"


@pytest.mark.parametrize(
    ("changed", "left", "expected"),
    [
        ({}, {}, True),  # whatever the latest is by now
        ({"name": DUMP}, {}, True),
        ({"name": DUMP.removesuffix(".tar.age")}, {}, True),
        ({"name": "20260301T012700Z-shop"}, {}, False),
        ({"remote": "", "path": f"/root/{DUMP}"}, {}, True),
        ({"remote": "", "path": "/root/other.tar.age"}, {}, False),
        ({"state": "restored"}, {}, False),
        ({}, {"touched": True}, False),
        ({}, {"stage": "ready"}, False),
        ({}, {"stage": "restoring"}, False),
        ({}, {"stage": "unswapped"}, True),
        ({}, {"stage": "unswapped", "dump": "20260301T012700Z-shop.tar.age"}, False),  # there is a newer one
        ({"name": DUMP}, {"stage": "unswapped"}, True),
        ({"name": DUMP}, {"stage": "unswapped", "touched": True}, False),
        (OLD, {"dump": "x.sql.gz.enc"}, True),
        (OLD, {"dump": "x.sql.gz.enc", "stage": "unswapped"}, False),  # another file may have that name by now
    ],
)
def test_what_of_an_earlier_run_is_swapped_in(changed: dict[str, Any], left: dict[str, Any], expected: bool) -> None:
    told = {"name": "side", "of": "shop", "stage": "swapping", "dump": DUMP} | left
    assert continues(request(**{"state": "swapped"} | changed), Side(**told), lambda: DUMP) is expected
