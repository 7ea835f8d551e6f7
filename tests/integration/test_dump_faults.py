"""What can happen to a dump on its way and where it lies: each is named, and none of it is restored."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent.run import run
from ansible_collections.pgstead.ops.plugins.module_utils._agent.supervise import within
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config, JobConfig
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict
from ansible_collections.pgstead.ops.plugins.module_utils._host import dump_take
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_remote import Store
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_work import give
from ansible_collections.pgstead.ops.plugins.module_utils._host.lock import lock
from ansible_collections.pgstead.ops.plugins.module_utils._pg import dump

from .conftest import USER
from .dump_world import COUNTS, DATABASE, World, database, key, remote, restored, surveyed

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def archive(world: World) -> Path:
    (found,) = world.store.glob("*.tar.*")
    return found


def _changed_count(world: World) -> None:
    path, manifest = world.manifest()
    manifest["counts"]["tables"]["public.orders"] = 1
    path.write_text(json.dumps(manifest))


def _another(world: World) -> None:
    """A manifest that is whole, under the name of another dump."""
    path, _manifest = world.manifest()
    for one in (path, archive(world)):
        one.rename(one.with_name(one.name.replace("20", "19", 1)))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


# what is done to a dump, what is said of it, and whether sizes and manifests show it without fetching the content
DAMAGES: list[tuple[Callable[[World], None], str, bool]] = [
    (lambda world: flip(archive(world)), r"\.tar\.age was changed: its SHA-256 is [0-9a-f]{64}, and", False),
    (lambda world: _cut(archive(world)), r"\.tar\.age was cut off: it has \d+ bytes, and the manifest says", True),
    (lambda world: archive(world).unlink(), "its archive is missing", True),
    (lambda world: world.manifest()[0].unlink(), "its manifest is missing", True),
    (_changed_count, "was changed after it was written", True),
    (lambda world: _cut(world.manifest()[0]), "is cut off or was changed: it is not JSON", True),
    (_another, "is that of another dump", True),
]


def test_a_damaged_dump_is_named_and_not_restored(world: World) -> None:
    world.facts()
    whole = {path: path.read_bytes() for path in world.store.iterdir()}
    for damage, said, seen_without_content in DAMAGES:
        damage(world)
        (by_content,) = surveyed(world, "all")
        assert re.search(said, by_content["fault"]), by_content
        if not seen_without_content:
            assert [entry["fault"] for entry in surveyed(world)] == [""]
        where = {"remote": "", "path": str(archive(world))} if len(list(world.store.iterdir())) == 2 else {}
        with pytest.raises(HostError, match=said):
            restored(world, **where)
        for path in list(world.store.iterdir()):
            path.unlink()
        for path, content in whole.items():
            path.write_bytes(content)
    assert [entry["fault"] for entry in surveyed(world, "all")] == [""]
    assert (world.databases(), world.left()) == ([DATABASE], [])


def test_a_wrong_key_is_named(world: World) -> None:
    world.facts()
    key(world.identity)
    with pytest.raises(HostError, match=r"age returned 1: .*no identity matched any of the recipients"):
        restored(world)
    world.identity.chmod(0o640)
    with pytest.raises(SpecError, match="identity has mode 0640: others can read the secret"):
        restored(world, check=True)
    assert (world.databases(), world.left()) == ([DATABASE], [])


def test_a_remote_that_fails_keeps_no_other_from_its_turn(world: World) -> None:
    with (world.directory / "rclone.conf").open("a") as config:
        config.write("[far]\ntype = webdav\nurl = http://127.0.0.1:9/\nvendor = other\n")
    remotes = [
        remote("unmounted", world.directory / "unmounted"),
        remote("unknown", world.directory, kind="s3"),
        remote("far", Path("dumps"), kind="webdav"),
        remote("here", world.directory / "here"),
    ]
    verdict = world.dump(remotes=remotes)
    assert verdict.status == "failed"
    assert f"remote unmounted: {world.directory / 'unmounted'} is not there: is it mounted?" in verdict.reason
    assert "remote unknown:" in verdict.reason
    assert "didn't find section in config file" in verdict.reason
    assert re.search(r"remote far: far:dumps/.*connection refused", verdict.reason)
    assert "remote here" not in verdict.reason
    assert [entry["fault"] for entry in surveyed(world)] == [""]
    assert not (world.directory / "unmounted").exists()


def test_an_upload_that_was_cut_off_is_never_taken_for_a_dump(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives is shorter than what was sent, as from a store that says yes to everything."""
    arrived = Store.stat

    def shorter(store: Store, name: str, *, hashes: bool = False) -> Any:
        _cut(world.store / name)
        return arrived(store, name, hashes=hashes)

    monkeypatch.setattr(Store, "stat", shorter)
    verdict = world.dump()
    assert verdict.status == "failed"
    assert re.search(r"the upload was cut off: \d+ bytes arrived of \d+ bytes", verdict.reason)
    assert [name.endswith(".tar.age.partial") for name in world.stored()] == [True]
    assert surveyed(world) == []
    monkeypatch.undo()
    world.facts()
    assert [entry["fault"] for entry in surveyed(world, "all")] == [""]
    assert len(world.stored()) == 2


def test_what_arrives_changed_is_never_taken_for_a_dump(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = Store.stat

    def other(store: Store, name: str, *, hashes: bool = False) -> Any:
        flip(world.store / name)
        return arrived(store, name, hashes=hashes)

    monkeypatch.setattr(Store, "stat", other)
    assert "what arrived is not what was sent: its sha256 is another" in world.dump().reason
    assert surveyed(world) == []


def test_a_full_disk_is_named_and_nothing_is_left(world: World) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    verdict = world.dump(full)
    assert verdict.status == "failed"
    assert "age returned 1: age: error: write /dev/stdout: file too large" in verdict.reason
    assert world.left() == []
    assert list((world.directory / "here").iterdir()) == []


def test_a_run_that_was_killed_leaves_nothing_to_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_take, "digests", lambda _path: os.kill(os.getpid(), signal.SIGKILL))
    verdict = world.dump()
    assert verdict.reason == "its process was ended from outside by SIGKILL"
    (left,) = world.left()
    assert (left.stat().st_mode & 0o777, (left / "tree/globals.sql").exists()) == (0o700, True)
    monkeypatch.undo()
    world.facts()
    assert world.left() == []


def test_a_second_job_at_once_is_skipped(world: World) -> None:
    where = world.server.target
    job = JobConfig("27 1 * * *", 60, world.settings())
    metrics = str(world.directory / "metrics")
    config = Config(USER, str(world.directory), where.socket_directory, where.port, 5, {"backup_dumps": job}, metrics)
    (world.directory / "backup_dumps.lock").touch()
    give(world.directory / "backup_dumps.lock", USER)

    def second() -> Verdict:
        entry = run("backup_dumps", config, "1")
        return Verdict(entry["status"], entry["reason"])

    with lock(world.directory / "backup_dumps.lock"):
        verdict = within(60, second)
    assert (verdict.status, verdict.reason.partition(" is running it ")[0]) == ("skipped", f"process {os.getpid()}")
    assert not world.store.exists()


def test_a_database_that_is_dropped_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dump fails; the next database has its turn."""
    counted = dump_take.counts
    world.server.run("CREATE DATABASE other")

    def dropping(connection: Any, *words: Any) -> Any:
        if connection.info.dbname == DATABASE:
            world.server.run(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')
        return counted(connection, *words)

    monkeypatch.setattr(dump_take, "counts", dropping)
    verdict = world.dump(databases=[database(), database(database="other")])
    assert verdict.status == "failed"
    assert re.match(rf"{DATABASE}: .*(the connection broke|pg_dump returned 1)", verdict.reason), verdict.reason
    assert "other" not in verdict.reason
    assert len(list((world.directory / "here/db1/main/other").iterdir())) == 2
    assert world.left() == []


def test_a_table_that_is_dropped_meanwhile(world: World) -> None:
    """It is in the snapshot and has no size any more; of a recovered database it is no part."""
    with dump.held(replace(world.server.target, database=DATABASE), ()) as (connection, _source):
        world.server.run("DROP TABLE cache", database=DATABASE)
        counted, _estimated = dump.counts_up_to(connection, math.inf, lambda: None, recovered=True)
        assert counted == {name: number for name, number in COUNTS.items() if name != "public.cache"}
        with pytest.raises(HostError, match=r"table public\.cache was dropped while it was to be dumped: run again"):
            dump.counts(connection, "exact", lambda: None)


def test_rows_that_are_not_all_there_are_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump that is whole by its hashes, of which the restored tables hold less."""
    counted = dump_take.counts
    monkeypatch.setattr(dump_take, "counts", lambda *words: {**counted(*words), "public.orders": 1001})
    world.facts()
    with pytest.raises(Exception, match=r"public\.orders: 1001 rows were dumped, 1000 are there") as raised:
        restored(world, state="swapped")
    assert type(raised.value).__name__ == "NotConverged"
    assert world.databases() == [DATABASE]
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(COUNTS["public.orders"],)]
