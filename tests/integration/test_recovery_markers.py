"""Heartbeat and recovery markers on real servers: made once, closed to others, kept small, refused on a standby."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import recovery_marker as job
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import IsStandby, PermissionDenied
from ansible_collections.pgstead.ops.plugins.module_utils._core.wal import lsn
from ansible_collections.pgstead.ops.plugins.module_utils._pg import ledger, recovery, recovery_marker
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, execute, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.heartbeat import beat, beats, opened
from ansible_collections.pgstead.ops.plugins.module_utils._pg.recovery_marker import KEPT, lay, markers, present
from ansible_collections.pgstead.ops.plugins.module_utils._pg.recovery_tables import prepare, there
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import LOCK_CLASS, LOCK_OWN_TABLES
from ansible_collections.pgstead.ops.plugins.plugin_utils.agent_archive import build

from .conftest import USER, Server, first_and_last

PRELOADED = "shared_preload_libraries = 'pg_stat_statements, auto_explain'"
CONFIG = Config(USER, "/x", "/x", 5432, 5, {}, "/x")
OLD = "INSERT INTO pgstead.heartbeat SELECT clock_timestamp() + {} * interval '1 minute', '0/0'"


@pytest.fixture
def place(server: Server) -> Iterator[Target]:
    """A server that was never written to."""
    server.run("DROP SCHEMA IF EXISTS pgstead CASCADE")
    yield server.target
    server.run("DROP SCHEMA IF EXISTS pgstead CASCADE")


def ask(place: Target, sql: str) -> Any:
    with connect(place) as connection:
        return rows(connection, sql)[0][0]


def test_a_beat_is_written_after_what_it_says(place: Target) -> None:
    before = ask(place, "SELECT pg_current_wal_insert_lsn()::text")
    with opened(place) as connection:
        beat(connection)
        between = ask(place, "SELECT pg_current_wal_insert_lsn()::text")
        beat(connection)
    first, second = beats(place)
    assert lsn(before) <= first.lsn < lsn(between) <= second.lsn < lsn(ask(place, "SELECT pg_current_wal_lsn()::text"))
    assert first.at < second.at


def test_beats_go_after_two_hours_also_those_of_a_clock_that_was_ahead(server: Server, place: Target) -> None:
    with opened(place) as connection:
        beat(connection)
        server.run(*(OLD.format(minutes) for minutes in (-121, -119, 119, 121)))
        beat(connection)
    now = ask(place, "SELECT clock_timestamp()")
    assert [round((one.at - now) / timedelta(minutes=1)) for one in beats(place)] == [-119, 0, 0, 119]


def test_tables_are_closed_to_others_and_say_what_they_are(server: Server, place: Target) -> None:
    with opened(place):
        pass
    server.run("CREATE ROLE passer_by")
    try:
        for role, allowed in (("passer_by", False), ("pg_monitor", True)):
            for table in ("heartbeat", "recovery_marker"):
                assert ask(place, f"SELECT has_table_privilege('{role}', 'pgstead.{table}', 'SELECT')") is allowed
                assert not ask(place, f"SELECT has_table_privilege('{role}', 'pgstead.{table}', 'INSERT')")
                assert ask(place, f"SELECT obj_description('pgstead.{table}'::regclass)").startswith("Written by ")
            assert ask(place, f"SELECT has_schema_privilege('{role}', 'pgstead', 'USAGE')") is allowed
    finally:
        server.run("DROP ROLE passer_by")


def test_many_may_begin_at_once(server: Server, place: Target) -> None:
    for _ in range(5):
        server.run("DROP SCHEMA IF EXISTS pgstead CASCADE")
        at_once = threading.Barrier(4)

        def begin(number: int, at_once: threading.Barrier = at_once) -> None:
            with connect(place) as connection:
                at_once.wait()
                (ledger.prepare if number % 2 else prepare)(connection)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(begin, range(4))) == [None] * 4


def test_who_begins_waits_for_another_who_has_not_finished(server: Server, place: Target) -> None:
    """IF NOT EXISTS alone would meet the other's schema, and fail."""
    lock = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {LOCK_OWN_TABLES})"
    waiting = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK_OWN_TABLES} AND NOT granted"
    with connect(place) as other, connect(place) as ours, ThreadPoolExecutor(1) as pool:
        execute(other, f"BEGIN; {lock}; CREATE SCHEMA pgstead")
        begun = pool.submit(prepare, ours)
        try:
            while not ask(place, waiting):
                assert not begun.done(), begun.exception()
        finally:
            execute(other, "COMMIT")
        begun.result(30)
        assert there(ours, "heartbeat")


@pytest.mark.parametrize(
    "made",
    [
        ["CREATE SCHEMA pgstead AUTHORIZATION somebody"],
        [
            "CREATE SCHEMA pgstead",
            "CREATE TABLE pgstead.heartbeat ()",
            "ALTER TABLE pgstead.heartbeat OWNER TO somebody",
        ],
    ],
)
def test_what_somebody_else_owns_is_not_written_to(server: Server, place: Target, made: list[str]) -> None:
    """A trigger of theirs would run with the rights of a superuser."""
    server.run("CREATE ROLE somebody", *made)
    try:
        with pytest.raises(PermissionDenied, match="belongs to somebody, who is no superuser"), opened(place):
            pass
        with pytest.raises(PermissionDenied):
            lay(place, "estimate")
    finally:
        server.run("DROP SCHEMA pgstead CASCADE", "DROP ROLE somebody")


def test_nothing_is_read_where_there_is_nothing(server: Server, place: Target) -> None:
    assert (beats(place), markers(place), present(place, "x")) == ((), (), (False, False))
    server.run("CREATE SCHEMA pgstead")
    assert (beats(place), markers(place), present(place, "x")) == ((), (), (False, False))


def test_a_marker_has_its_coordinates(place: Target) -> None:
    before = ask(place, "SELECT clock_timestamp()")
    laid = lay(place, "estimate")
    (marker,) = markers(place)
    assert marker.complete
    assert (marker.name, marker.time, marker.lsn) == (laid.name, laid.time, laid.lsn)
    assert before < marker.laid_at < laid.time < ask(place, "SELECT clock_timestamp()")
    assert laid.name == f"pgstead-{marker.laid_at:%Y%m%dT%H%M%SZ}"
    assert present(place, laid.name) == (True, True)
    after = ask(place, "SELECT laid_at FROM pgstead.recovery_marker WHERE part = 'after'")
    assert after > laid.time
    assert ask(place, f"SELECT pg_walfile_name('{laid.lsn}'::pg_lsn - 1)") <= laid.segment
    assert laid.segment < ask(place, "SELECT pg_walfile_name(pg_create_restore_point('x'))")


def test_markers_laid_at_once_have_names_of_their_own(place: Target) -> None:
    with ThreadPoolExecutor(3) as pool:
        laid = list(pool.map(lay, [place] * 3, ["estimate"] * 3))
    found = markers(place)
    assert len({one.name for one in laid}) == 3
    assert {(one.name, one.time, one.lsn) for one in laid} == {(one.name, one.time, one.lsn) for one in found}
    assert [one.laid_at for one in found] == sorted((one.laid_at for one in found), reverse=True)


def test_the_newest_hundred_are_kept(server: Server, place: Target) -> None:
    lay(place, "estimate")
    server.run(
        "INSERT INTO pgstead.recovery_marker (name, part, laid_at) SELECT 'old-' || i, part, now() - i * interval '1 day' "
        "FROM generate_series(1, 120) i, unnest('{before,after}'::text[]) part",
        "INSERT INTO pgstead.recovery_marker (name, part, laid_at) VALUES ('torn', 'after', now())",
    )
    laid = lay(place, "estimate")
    names = [one.name for one in markers(place)]
    assert (len(names), names[0], names[-1]) == (KEPT, laid.name, "old-98")
    assert ask(place, "SELECT count(*) FROM pgstead.recovery_marker") == 2 * KEPT


@pytest.fixture
def filled(server: Server, place: Target) -> Iterator[Target]:
    """Databases with a table that was analysed and one that never was, one that lets nobody in, and a template."""
    made = ("marked", "closed", "form")
    server.run(*(f"CREATE DATABASE {name}" for name in made))
    server.run(
        "CREATE TABLE known AS SELECT generate_series(1, 500) AS id",
        'CREATE TABLE "Fresh" WITH (autovacuum_enabled = off) AS SELECT generate_series(1, 7) AS id',
        "CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS id",
        "ANALYZE known",
        "CREATE EXTENSION pgcrypto",
        database="marked",
    )
    server.run("ALTER DATABASE closed ALLOW_CONNECTIONS false", "ALTER DATABASE form IS_TEMPLATE true")
    yield place
    server.run("ALTER DATABASE form IS_TEMPLATE false", *(f"DROP DATABASE {name} WITH (FORCE)" for name in made))


BOTH = {"public.known": 500, "public.Fresh": 7}


@pytest.mark.parametrize(
    ("method", "small", "counts", "estimates"),
    [
        ("estimate", recovery_marker.SMALL_BYTES, BOTH, {}),
        ("estimate", 0, {}, {"public.known": 500}),  # nobody knows how many rows the other has
        ("exact", 0, BOTH, {}),
    ],
)
def test_what_a_restore_must_have_is_in_the_marker(  # noqa: PLR0917
    filled: Target,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    small: int,
    counts: dict[str, int],
    estimates: dict[str, int],
) -> None:
    monkeypatch.setattr(recovery_marker, "SMALL_BYTES", small)
    laid = lay(filled, method)
    manifest = markers(filled)[0].manifest
    assert manifest["method"] == method
    assert (manifest["counts"]["marked"], manifest["estimates"]["marked"]) == (counts, estimates)
    assert not any(table.startswith("pgstead.") for table in manifest["counts"]["postgres"])
    assert {"closed", "form", "template0", "template1"}.isdisjoint(manifest["counts"])
    assert set(manifest["extensions"]["marked"]) == {"plpgsql", "pgcrypto"}
    assert "postgres" in manifest["roles"]
    assert not [role for role in manifest["roles"] if role.startswith("pg_")]
    assert laid.tables == sum(len(each) for each in manifest["counts"].values())


def test_counting_takes_no_lock_that_a_writer_waits_for(filled: Target, server: Server) -> None:
    with connect(replace(filled, database="marked")) as writer:
        rows(writer, "BEGIN; INSERT INTO known VALUES (0); SELECT 1")
        lay(filled, "exact")
    assert markers(filled)[0].manifest["counts"]["marked"]["public.known"] == 500


@contextmanager
def restarted(server: Server, *settings: str) -> Iterator[None]:
    """Have other settings for a moment."""
    server.configure("\n".join([PRELOADED, *settings]))
    server.control("-m", "fast", "restart")
    try:
        yield
    finally:
        server.configure(PRELOADED)
        server.control("-m", "immediate", "restart")


@pytest.fixture
def run(place: Target, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Run the job on this server, with little patience."""
    monkeypatch.setattr(job, "target", lambda _config, _database: place)
    monkeypatch.setattr(job, "PATIENCE_SECONDS", 3.0)
    return lambda: job.run(CONFIG, {"counts": "estimate"})


def test_the_job_waits_for_the_archive(server: Server, run: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "PATIENCE_SECONDS", 30.0)
    with restarted(server, "archive_mode = on", "archive_command = '/bin/true'"):
        found = run()
        assert found.status == "ok", found.reason
        assert found.facts["segment"] <= recovery.last_archived(server.target)
        assert found.facts["archived_seconds"] is not None


@first_and_last
@pytest.mark.parametrize("command", ["sleep 30", "/bin/false"])
def test_archiving_that_hangs_or_fails_is_a_failure_in_time(
    server: Server, place: Target, run: Callable[[], Any], command: str
) -> None:
    with restarted(server, "archive_mode = on", f"archive_command = '{command}'"):
        found = run()
        assert found.status == "failed"
        assert f"{found.facts['segment']} was not archived within 3 s" in found.reason
        assert found.facts["archived_seconds"] is None
        assert markers(place)[0].complete


def test_a_standby_has_its_primarys(server: Server, place: Target, run: Callable[[], Any]) -> None:
    """The same cluster, started as a standby without a primary, and promoted again."""
    laid = lay(place, "estimate")
    server.control("-m", "fast", "stop")
    server.command("touch", str(server.data / "standby.signal"))
    server.control("start")
    try:
        assert run().status == "skipped"
        with pytest.raises(IsStandby), opened(place):
            pass
        assert [one.name for one in markers(place)] == [laid.name]
    finally:
        server.control("promote")


@pytest.fixture
def agent(server: Server, place: Target, tmp_path: Path) -> Iterator[list[str]]:
    """The command as a host has it; the roles of host and server have one name there."""
    server.run(f"CREATE ROLE {USER} SUPERUSER LOGIN")
    archive, configuration = tmp_path / "pgstead", tmp_path / "agent.json"
    archive.write_bytes(build().content)
    told = {"user": USER, "state_directory": "/x", "socket_directory": place.socket_directory, "port": place.port}
    told |= {"history_lines": 1, "metrics_directory": "/x", "notifications": None, "jobs": {}}
    configuration.write_text(json.dumps(told))
    configuration.chmod(0o644)
    yield [sys.executable, "-I", str(archive), "heartbeat", "--config", str(configuration)]
    server.run("DROP SCHEMA IF EXISTS pgstead CASCADE", f"DROP ROLE {USER}")


def beaten(place: Target, least: int) -> None:
    deadline = time.monotonic() + 30
    while len(beats(place)) < least:
        assert time.monotonic() < deadline, "there is no beat"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_ends_with_success_when_asked(place: Target, agent: list[str], number: signal.Signals) -> None:
    process = subprocess.Popen(agent)
    try:
        beaten(place, 1)
        process.send_signal(number)
        assert process.wait(5) == 0
    finally:
        process.kill()


def test_the_service_ends_also_while_the_server_does_not_answer(place: Target, agent: list[str]) -> None:
    with opened(place) as connection:
        rows(connection, "BEGIN; LOCK TABLE pgstead.heartbeat; SELECT 1")
        process = subprocess.Popen(agent)
        try:
            deadline = time.monotonic() + 30
            while not ask(place, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert time.monotonic() < deadline, "it does not wait"
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
        finally:
            process.kill()


@first_and_last
def test_the_service_outlives_its_server(server: Server, place: Target, agent: list[str]) -> None:
    process = subprocess.Popen(agent)
    try:
        beaten(place, 1)
        server.control("-m", "immediate", "restart")
        beaten(place, 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        process.kill()
