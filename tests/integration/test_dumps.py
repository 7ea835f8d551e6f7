"""Databases are dumped as they were at one moment, encrypted, and stored whole; old ones go, and the last one stays."""

from __future__ import annotations

import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_name import stem
from ansible_collections.pgstead.ops.plugins.module_utils._host import dump_take
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target

from .dump_world import COUNTS, DATABASE, World, database, directory, looked_at, remote, restored, surveyed

one_major = pytest.mark.parametrize("server", [15], indirect=True)


# one whose pg_dump knows zstd, and one whose does not; test_dump_restore.py dumps and restores on each major
@pytest.mark.parametrize("server", [14, 18], indirect=True)
def test_a_dump_is_whole_encrypted_and_described(world: World) -> None:
    excluded = database(exclude_table_data=["cache", "log"])
    facts = world.facts(
        databases=[excluded], remotes=[remote(name, world.directory / name) for name in ("here", "there")]
    )
    path, manifest = world.manifest()
    assert world.stored() == sorted([path.name, facts["file"]])
    assert re.fullmatch(r"\d{8}T\d{6}Z-the%20shop\.tar\.age", facts["file"])
    assert manifest["counts"] == {"method": "exact", "tables": COUNTS}
    assert manifest["excluded"] == ["public.cache", "public.log", "public.log_2025"]
    assert manifest["extensions"].keys() == {"plpgsql", "hstore"}
    assert manifest["database"] == DATABASE
    assert int(manifest["versions"]["pg_dump"].split(".")[0]) == world.server.version
    assert (facts["tables"], facts["rows"]) == (5, sum(COUNTS.values()))
    assert [facts["remotes"][name]["checked"] for name in ("here", "there")] == ["sha256", "sha256"]
    archive = (world.store / facts["file"]).read_bytes()
    assert archive.startswith(b"age-encryption.org/v1\n")
    assert {"globals.sql", "database.json", "dump/toc.dat"} <= set(manifest["files"])
    assert [entry["fault"] for entry in surveyed(world, "all")] == [""]
    assert world.left() == []


@one_major
def test_rows_are_dumped_and_counted_as_of_one_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go between the snapshot and the start of pg_dump, which sees them as the count does."""
    reached = dump_take.reach

    def disturbed(target: Target) -> list[str]:
        world.server.run("DELETE FROM orders", database=DATABASE)
        return reached(target)

    monkeypatch.setattr(dump_take, "reach", disturbed)
    assert world.facts()["rows"] == sum(COUNTS.values())
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(0,)]
    monkeypatch.undo()
    made = restored(world).data["restored_as"]
    assert world.ask(made, "SELECT count(*) FROM orders") == [(1000,)]


@one_major
def test_estimates_are_called_so(world: World) -> None:
    world.server.run("ANALYZE orders", database=DATABASE)
    assert world.facts(databases=[database(count="estimate")])["rows"] is None  # some were never looked at
    _path, manifest = world.manifest()
    assert manifest["counts"]["method"] == "estimate"
    assert (manifest["counts"]["tables"]["public.orders"], manifest["counts"]["tables"]["public.cache"]) == (1000, None)


@one_major
def test_a_table_to_exclude_that_is_not_there_is_a_warning(world: World) -> None:
    verdict = world.dump(databases=[database(exclude_table_data=["nothing"])])
    assert (verdict.status, verdict.reason) == (
        "warning",
        f"{DATABASE}: exclude_table_data: public.nothing is not there",
    )


@one_major
def test_a_store_without_a_dump_is_a_fault(world: World) -> None:
    """It may not be mounted, or be misspelt."""
    place = str(world.directory / "nowhere")
    assert looked_at(world, place)["faults"] == [f"here:{place} holds no whole dump of {DATABASE}"]
    world.facts()
    assert looked_at(world, str(world.store))["faults"] == []
    world.manifest()[0].unlink()
    assert len(looked_at(world, str(world.store))["faults"]) == 2


@one_major
def test_a_store_without_hashes_is_compared_by_a_sample(world: World) -> None:
    secret = subprocess.check_output(["rclone", "obscure", "a pass phrase"], text=True).strip()
    with (world.directory / "rclone.conf").open("a") as config:
        config.write(f"[vault]\ntype = crypt\nremote = {world.directory / 'there'}\npassword = {secret}\n")
    facts = world.facts(remotes=[remote("vault", Path("dumps"), kind="crypt")])
    assert facts["remotes"]["vault"]["checked"] == "sample"


def fake(world: World, taken: datetime) -> str:
    """Lay something that by its names is a whole dump of that time into the store."""
    name = stem(DATABASE, taken)
    for ending in (".tar.age", ".json"):
        (world.store / f"{name}{ending}").touch()
    return name


@one_major
def test_expired_dumps_go_and_nothing_else(world: World) -> None:
    first = world.facts()["file"].removesuffix(".tar.age")
    now = datetime.now(UTC)
    old, monthly = (fake(world, now - timedelta(days=days)) for days in (11, 400))
    yesterday = fake(world, now - timedelta(days=1, hours=2))
    strangers = [
        "notes.txt",
        f"{stem('shop', now - timedelta(days=99))}.json",
        f"{stem(DATABASE, now - timedelta(days=99))}.txt",
    ]
    for name in strangers:
        (world.store / name).touch()
    half = f"{stem(DATABASE, now - timedelta(days=50))}.tar.age"
    (world.store / half).touch()
    (world.store / f"{stem(DATABASE, now)}.tar.age.partial").touch()
    verdict = world.dump()
    assert verdict.status == "warning", verdict.reason
    assert (
        verdict.reason
        == f"{DATABASE}: here: {half.removesuffix('.tar.age')}: its manifest is missing, only the archive is there"
    )
    facts = verdict.facts["databases"][DATABASE]["remotes"]["here"]
    assert facts["expired"] == sorted([monthly, old, first] if first in facts["expired"] else [monthly, old])
    stems = {name.split(".")[0] for name in world.stored()}
    assert yesterday in stems
    assert not {old, monthly} & stems
    assert {*strangers, half} <= set(world.stored())
    assert not [name for name in world.stored() if name.endswith(".partial")]


@one_major
def test_a_run_without_a_dump_expires_nothing(world: World) -> None:
    world.facts()
    (only,) = list(world.store.glob("*.tar.age"))
    years_ago = stem(DATABASE, datetime.now(UTC) - timedelta(days=2000))
    for path in list(world.store.iterdir()):
        path.rename(world.store / path.name.replace(only.name.removesuffix(".tar.age"), years_ago))
    before = world.stored()
    missing = world.dump(databases=[database(database="gone")])
    assert missing.status == "failed"
    assert 'database "gone" does not exist' in missing.reason
    assert world.stored() == before


@one_major
def test_a_clock_that_is_behind_expires_nothing_and_is_named(world: World) -> None:
    directory(world.store.parents[1])
    directory(world.store.parent)
    directory(world.store)
    old, ahead = (fake(world, datetime.now(UTC) + timedelta(days=days)) for days in (-99, 3))
    verdict = world.dump()
    assert verdict.status == "failed"
    assert re.search(rf"remote here: the clock is behind: .* backup {ahead} ended at", verdict.reason)
    assert {f"{old}.json", f"{ahead}.json"} < set(world.stored())
    assert len(world.stored()) == 6


@one_major
def test_a_clock_that_is_far_ahead_expires_nothing_at_first(world: World) -> None:
    """By it every dump but the new one looks old. If the years have passed indeed, the run after the next says so."""
    directory(world.store.parents[1])
    directory(world.store.parent)
    directory(world.store)
    olds = [fake(world, datetime.now(UTC) - timedelta(days=days)) for days in (700, 701, 702)]
    verdict = world.dump()
    assert verdict.status == "failed"
    assert "remote here: 3 of 4 backups look expired" in verdict.reason
    assert {f"{old}.json" for old in olds} < set(world.stored())
    time.sleep(1)  # names are by second: one in the same would take the place of the first, and stand as alone
    assert set(olds) <= set(world.facts()["remotes"]["here"]["expired"])  # and the first, in the same hour
