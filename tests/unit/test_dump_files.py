"""Names of dumps, their manifests, and the table of contents: what is whole, what is not, and what a restore takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import dump_manifest
from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_job import conclude
from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_name import folder, partial, stem, stored
from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_toc import chosen, subscriptions, wanted
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName

TAKEN = datetime(2026, 3, 15, 1, 27, tzinfo=UTC)
STEM = "20260315T012700Z-shop"


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ("shop", "shop"),
        ("the shop", "the%20shop"),
        ("../up", "%2E./up".replace("/", "%2F")),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/b", "a%2Fb"),
        ("100%", "100%25"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("db1.example.org", "db1.example.org"),
    ],
)
def test_every_database_has_a_directory_of_its_own(database: str, expected: str) -> None:
    assert folder(database) == expected


def test_names_are_in_utc_and_sort_by_time() -> None:
    assert stem("shop", TAKEN.astimezone(timezone(timedelta(hours=9)))) == STEM
    assert stem("shop", TAKEN) < stem("shop", TAKEN + timedelta(days=300))


def test_what_a_directory_says_of_its_dumps() -> None:
    names = [
        f"{STEM}.tar.age",
        f"{STEM}.json",
        "20260314T012700Z-shop.json",
        "20260313T012700Z-shop.tar.gpg",
        "20260312T012700Z-shop.tar.age.partial",
        "20260312T012700Z-shop2.tar.age",
        "20261399T012700Z-shop.tar.age",
        "notes.json",
        "20260312T012700Z-shop.tar",
    ]
    found = stored(names, "shop")
    assert [(each.stem[:8], each.archive, each.manifest) for each in found] == [
        ("20260313", "20260313T012700Z-shop.tar.gpg", False),
        ("20260314", "", True),
        ("20260315", f"{STEM}.tar.age", True),
    ]
    assert found[-1].taken == TAKEN
    assert [each.complaint.partition(": ")[2] for each in found] == [
        "its manifest is missing, only the archive is there",
        "its archive is missing, only the manifest is there",
        "",
    ]
    assert partial(names, "shop") == ["20260312T012700Z-shop.tar.age.partial"]


def body(**changed: Any) -> dict[str, Any]:
    told = {
        "database": "shop",
        "host": "db1",
        "cluster": "main",
        "taken": TAKEN.isoformat(),
        "lsn": "0/1",
        "seconds": 1.5,
        "bytes": 10,
        "versions": {},
        "encoding": "UTF8",
        "locale": {},
        "extensions": {"hstore": "1.8", "plpgsql": "1.0"},
        "compression": "pg_dump",
        "counts": {"method": "exact", "tables": {"public.a": 3, "public.b": 0, "public.c": 9}},
        "excluded": ["public.c"],
        "roles": ["boss"],
        "files": {"globals.sql": {"size": 1, "sha256": "aa"}, "dump/toc.dat": {"size": 2, "sha256": "bb"}},
        "archive": {"name": f"{STEM}.tar.age", "size": 100, "sha256": "cc"},
    }
    return told | changed


def written(**changed: Any) -> str:
    return dump_manifest.as_json(dump_manifest.seal(body(**changed)))


def test_a_manifest_is_read_as_it_was_written() -> None:
    first = {key: value for key, value in body().items() if key != "roles"}  # manifests of the first release
    for told in (body(), first):
        text = dump_manifest.as_json(dump_manifest.seal(told))
        found = dump_manifest.read(text, STEM, "shop")
        assert {key: value for key, value in found.items() if key not in ("schema", "sha256")} == told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (written()[:-20], "is cut off or was changed: it is not JSON"),
        ("[]", "has schema None, and this release reads 1"),
        (written().replace('"schema": 1', '"schema": 2'), "has schema 2, and this release reads 1"),
        (written().replace('"public.a": 3', '"public.a": 2'), "was changed after it was written"),
        (json.dumps({k: v for k, v in json.loads(written()).items() if k != "counts"}), "was changed after it was"),
        (written(database="other"), "is that of another dump"),
        (
            written(archive={"name": "20250315T012700Z-shop.tar.age", "size": 1, "sha256": ""}),
            "is that of another dump",
        ),
    ],
)
def test_a_manifest_that_is_not_what_was_written(text: str, said: str) -> None:
    with pytest.raises(HostError, match=said):
        dump_manifest.read(text, STEM, "shop")


@pytest.mark.parametrize(
    ("size", "sha256", "said"),
    [
        (100, "cc", ""),
        (100, "", ""),
        (99, "cc", "was cut off: it has 99 bytes"),
        (101, "cc", "is too long: it has 101 bytes"),
        (100, "dd", "was changed: its SHA-256 is dd, and the manifest says cc"),
    ],
)
def test_an_archive_against_its_manifest(size: int, sha256: str, said: str) -> None:
    found = dump_manifest.archive_fault(body(), size, sha256)
    assert said in found if said else found == ""


def test_the_files_of_a_dump_against_its_manifest() -> None:
    files = body()["files"]
    assert dump_manifest.tree_faults(body(), files) == []
    spoilt = {"dump/toc.dat": {"size": 2, "sha256": "b0"}, "dump/1.dat": {"size": 0, "sha256": ""}}
    assert dump_manifest.tree_faults(body(), spoilt) == [
        "globals.sql is missing",
        "dump/1.dat is not in the manifest",
        "dump/toc.dat was changed",
    ]


@pytest.mark.parametrize(
    ("changed", "found", "tables", "expected"),
    [
        ({}, {"public.a": 3, "public.b": 0, "public.c": 0}, [], []),
        ({}, {"public.a": 2, "public.c": 0}, [], ["public.a: 3 rows", "public.b: 0 rows were dumped, no table"]),
        ({}, {"public.a": 2, "public.b": 0}, ["public.b"], []),
        ({"counts": {"method": "estimate", "tables": {"public.a": 3}}}, {"public.a": 2}, [], []),
    ],
)
def test_row_counts_after_a_restore(
    changed: dict[str, Any], found: dict[str, int], tables: list[str], expected: list[str]
) -> None:
    faults = dump_manifest.count_faults(body(**changed), found, frozenset(tables))
    assert len(faults) == len(expected)
    assert all(fault.startswith(words) for fault, words in zip(faults, expected, strict=True))


def test_extensions_after_a_restore() -> None:
    assert dump_manifest.extension_notes(body(), {"hstore": "1.8", "plpgsql": "1.0", "more": "1"}) == ([], [])
    assert dump_manifest.extension_notes(body(), {"plpgsql": "2.0"}) == (
        ["extension hstore is missing"],
        ["extension plpgsql is 2.0 here, and was 1.0"],
    )


LISTING = """;
; Archive created at 2026-03-15 01:27:00 UTC
;
6; 2615 16385 SCHEMA - odd boss
216; 1259 16391 TABLE public orders boss
217; 1259 16392 TABLE odd Odd table boss
219; 1259 16399 MATERIALIZED VIEW public totals boss
3370; 0 16391 TABLE DATA public orders boss
3371; 0 16392 TABLE DATA odd Odd table boss
3372; 0 16392 TABLE DATA public orders_old boss
3226; 2606 16397 CONSTRAINT public orders orders_pkey boss
3228; 2606 16404 FK CONSTRAINT public orders orders_user_fkey boss
3374; 0 0 COMMENT public CONSTRAINT orders_user_fkey ON orders boss
3375; 0 0 COMMENT public CONSTRAINT orders_pkey ON orders boss
3229; 2606 16405 FK CONSTRAINT odd Odd table of a b the boss
3376; 0 0 COMMENT odd CONSTRAINT of a b ON Odd table the boss
3373; 0 16399 MATERIALIZED VIEW DATA public totals boss
3380; 0 0 SEQUENCE SET public orders_id_seq boss
"""


def test_all_structure_and_the_rows_of_some_tables() -> None:
    kept = chosen(LISTING, [QualifiedName("odd", "Odd table"), QualifiedName("public", "orders")])
    assert [line.split(";")[0] for line in kept.splitlines()] == [
        "6",
        "216",
        "217",
        "219",
        "3370",
        "3371",
        "3226",
        "3375",
        "3380",
    ]
    assert [line.split(";")[0] for line in chosen(LISTING, []).splitlines()] == [
        "6",
        "216",
        "217",
        "219",
        "3226",
        "3375",
        "3380",
    ]


def test_tables_that_a_dump_does_not_have() -> None:
    manifest = {
        "counts": {"tables": dict.fromkeys(["public.orders", "odd.Odd table", "public.cache"])},
        "excluded": ["public.cache"],
    }
    assert wanted(["orders", "odd.Odd table"], manifest) == (
        QualifiedName("public", "orders"),
        QualifiedName("odd", "Odd table"),
    )
    with pytest.raises(
        SpecError, match=r"tables: public\.x is not in the dump, which has 3 tables.*; tables: 'a\.b\.c'"
    ):
        wanted(["x", "a.b.c"], manifest)
    with pytest.raises(SpecError, match=r"the rows of public\.cache were left out of the dump"):
        wanted(["cache"], manifest)


def test_subscriptions_are_known_by_the_table_of_contents() -> None:
    more = "3381; 6100 16450 SUBSCRIPTION - far away postgres\n3382; 0 0 COMMENT - SUBSCRIPTION x postgres\n"
    assert subscriptions(LISTING + more) == ("far away",)
    assert subscriptions(LISTING) == ()


def test_tables_whose_rows_are_not_in_a_dump_are_named() -> None:
    manifest = {"counts": {"tables": {"a.b": 7, "a.c": None}}, "excluded": ["a.c", "a.b", "a.parent"]}
    (note,) = dump_manifest.excluded_note(manifest)
    assert note.endswith("are empty: a.b (7 rows then), a.c (0 rows then)")
    assert dump_manifest.excluded_note(manifest | {"excluded": []}) == []


FINE = {"bytes": 5_000_000, "remotes": {"here": {}, "there": {}}, "warnings": (), "blocked": ()}


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        (FINE, "ok", "shop: 4.8 MB to here, there"),
        (FINE | {"warnings": ("a", "b")}, "warning", "shop: a, b"),
        (FINE | {"warnings": ("a",), "blocked": ("remote x: gone",)}, "failed", "shop: remote x: gone"),
        ({"error": "no server"}, "failed", "shop: no server"),
    ],
)
def test_the_verdict(facts: dict[str, Any], status: str, reason: str) -> None:
    found = conclude({"shop": facts})
    assert (found.status, found.reason) == (status, reason)
