"""A long build can be followed: which phase it is in, and for whom it waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import LockNotAcquired
from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import indexes
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, execute, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.engine import Options, converge
from ansible_collections.pgstead.ops.plugins.module_utils._pg.execute import Limits
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_index import Indexes

from .conftest import USER, Server

ITEM = {"table": "watched", "columns": ["id"]}


@pytest.fixture
def target(server: Server) -> Iterator[Target]:
    server.run("CREATE DATABASE watching")
    server.run("CREATE TABLE watched (id int)", database="watching")
    yield Target(server.target.socket_directory, server.target.port, "watching", system_user=USER)
    server.run("DROP DATABASE watching WITH (FORCE)")


def test_phase_and_blockers_are_logged_while_a_build_waits(target: Target) -> None:
    lines: list[str] = []
    seen = threading.Event()

    def log(line: str) -> None:
        lines.append(line)
        if "waiting for" in line:
            seen.set()

    with connect(target) as writer:
        execute(writer, "BEGIN; INSERT INTO watched VALUES (1)")
        release = threading.Thread(target=lambda: (seen.wait(30), execute(writer, "COMMIT")))
        release.start()
        declared, _ = indexes([ITEM], "public")
        # the writer is younger than the lock timeout: it is met by the build, not by the look before it
        report = converge(Indexes(declared), Options(target, limits=Limits(lock_timeout_ms=60_000), log=log))
        release.join()
    assert [change.action for change, _, _ in report.steps] == ["build", "adopt"]
    (line,) = [line for line in lines if "waiting for writers before build" in line][:1]
    assert "build watched_id_idx on public.watched" in line
    assert "INSERT INTO watched VALUES (1)" in line


def test_a_build_that_waits_too_long_is_cancelled_names_its_blocker_and_leaves_nothing(target: Target) -> None:
    declared, _ = indexes([ITEM], "public")
    with connect(target) as writer:
        execute(writer, "BEGIN; INSERT INTO watched VALUES (1)")
        limits = Limits(lock_timeout_ms=60_000, build_wait_seconds=0.5)
        with pytest.raises(LockNotAcquired, match="INSERT INTO watched") as caught:
            converge(Indexes(declared), Options(target, limits=limits))
        execute(writer, "COMMIT")
    assert caught.value.data["applied"] == []
    assert converge(Indexes(declared), Options(target)).plan.changes
    with connect(target) as connection:
        left = rows(connection, "SELECT relname FROM pg_class WHERE relname LIKE 'pgstead%' AND relkind = 'i'")
    assert left == []
