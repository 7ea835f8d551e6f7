"""The probe says proven of an instance that is whole, and fails for each thing that can be wrong with one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import NotRecovered, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._host import recovery_probe as host

from . import recovery_world
from .conftest import Server
from .recovery_world import DATABASE, WHOLE, answers, call, copied, file_of, flip, found


@pytest.fixture(scope="module")
def stopped(server: Server) -> Iterator[Server]:
    with recovery_world.cluster(server) as made:
        yield made


def test_an_instance_that_is_whole_is_proven_and_left_as_it_was(restored: Server) -> None:
    before = answers(restored, "SELECT nspname FROM pg_namespace ORDER BY 1")
    outcome = call(restored, WHOLE)
    assert not outcome.changed
    assert outcome.data["msg"] == "recovery proven: 11 checks, all passed"
    assert {(each["check"], each["database"]) for each in outcome.data["checks"]} == {
        ("roles", ""),
        ("settings", ""),
        *((name, DATABASE) for name in WHOLE if name not in ("roles", "settings", "statements")),
        ("statement orders have customers", DATABASE),
    }
    assert {each["status"] for each in outcome.data["checks"]} == {"passed"}
    assert all(set(each) == {"check", "database", "status", "words", "seconds"} for each in outcome.data["checks"])
    assert answers(restored, "SELECT nspname FROM pg_namespace ORDER BY 1") == before
    assert answers(restored, "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == [(0,)]


INVALID = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_note'::regclass"


@pytest.mark.parametrize(
    ("mutation", "check", "words"),
    [
        ("DELETE FROM orders WHERE user_id = 1; DELETE FROM users WHERE id = 1", "canary", "row 1 must be present"),
        ("INSERT INTO users (email) VALUES ('late')", "canary", "row 51 must be absent from public.users, and is there"),
        ("DROP TABLE users CASCADE", "canary", "does not exist"),
        ("ALTER TABLE users RENAME id TO number", "canary", "public.users has no column id"),
        ("DELETE FROM orders WHERE id = 7", "counts", "public.orders has 1999 rows, and must have 2000"),
        ("DROP TABLE orders", "counts", "public.orders is not there, and must have 2000 rows"),
        ("SELECT setval('orders_id_seq', 1999)", "sequences", "orders_id_seq gives 2000 next"),
        ("ALTER TABLE users ALTER id RESTART 50", "sequences", "public.users_id_seq gives 50 next"),
        ("SELECT setval('down', -4)", "sequences", "public.down gives -5 next"),
        ("DROP EXTENSION pgcrypto", "extensions", "extension pgcrypto is missing"),
        (INVALID, "invalid_indexes", "public.orders_note is invalid"),
        ("ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID", "unvalidated_constraints", "public.orders has never"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey; DELETE FROM users WHERE id = 9", "statement orders have customers",
         "answers 40, and must answer 0"),
        ("DROP TABLE users CASCADE", "statement orders have customers", "does not exist"),
    ],
    ids=[
        "row gone",
        "row too many",
        "table gone",
        "key gone",
        "row fewer",
        "counted table gone",
        "serial behind",
        "identity behind",
        "downward behind",
        "extension",
        "index",
        "constraint",
        "answer",
        "question's table gone",
    ],
)  # fmt: skip
def test_each_mutation_fails_its_check(restored: Server, mutation: str, check: str, words: str) -> None:
    restored.run("SET allow_system_table_mods = on; " + mutation, database=DATABASE)
    with pytest.raises(NotRecovered, match="recovery NOT proven") as caught:
        call(restored, {name: what for name, what in WHOLE.items() if name not in ("dump", "amcheck")})
    (verdict,) = [each for each in caught.value.data["checks"] if each["check"] == check]
    assert (verdict["status"], words in verdict["words"]) == ("failed", True), verdict
    assert f"failed: {check} of {DATABASE}: " in str(caught.value)


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ({"roles": ["gone"]}, "role gone is missing"),
        ({"settings": {"work_mem": "1GB"}}, "work_mem is '4MB', and must be '1GB'"),
        ({"settings": {"no.such": 1}}, "the server knows no setting no.such"),
        ({"extensions": [{"database": DATABASE, "name": "pgcrypto", "version": "0.1"}]}, "must have 0.1"),
        ({"sequences": True, "databases": ["nowhere"]}, 'database "nowhere" does not exist'),
    ],
)
def test_what_is_missing_fails(restored: Server, checks: dict[str, Any], words: str) -> None:
    options = {"databases": checks["databases"]} if "databases" in checks else {}
    ((status, told),) = found(restored, {k: v for k, v in checks.items() if k != "databases"}, **options).values()
    assert (status, words in told) == ("failed", True), told


def asked(sql: str, role: str = "restored_reader", **answer: Any) -> dict[str, Any]:
    return {"statements": [{"name": "q", "database": DATABASE, "sql": sql, "role": role, **answer}]}


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT count(*) FROM orders;", {"value": 2000}),
        ("SELECT count(*) FROM orders -- all", {"condition": ">= 2000"}),
        ("SELECT sum(total) / 4.0 FROM orders", {"value": 500250.0}),
        ("SELECT true", {"value": True}),
        ("SELECT date '2025-03-01'", {"value": "2025-03-01"}),
        ("VALUES (1, NULL, 'a%s'), (2, false, '')", {"rows": [[1, None, "a%s"], [2, False, ""]]}),
        ("WITH few AS (SELECT id FROM users WHERE id < 3) SELECT id FROM few ORDER BY id", {"rows": [[1], [2]]}),
        ("SELECT id FROM users WHERE false", {"rows": []}),
        ("SELECT current_user", {"value": "restored_reader"}),
        ("SELECT current_setting('transaction_read_only')", {"value": "on"}),
    ],
)
def test_the_owners_questions_with_the_right_answer(restored: Server, sql: str, answer: dict[str, Any]) -> None:
    assert found(restored, asked(sql, **answer))["statement q"][0] == "passed"


@pytest.mark.parametrize(
    ("sql", "answer", "status", "words"),
    [
        ("SELECT count(*) FROM orders", {"value": 1}, "failed", "answers 2000, and must answer 1"),
        ("SELECT count(*) FROM orders", {"condition": "< 2000"}, "failed", "answers 2000, and must be < 2000"),
        ("SELECT NULL::int", {"condition": ">= 0"}, "failed", "answers null"),
        ("SELECT id FROM users ORDER BY id", {"rows": [[1]]}, "failed", "and must answer [(1)]"),
        ("SELECT 1, 2", {"value": 1}, "failed", "must answer one value"),
        ("SELECT gone FROM users", {"value": 1}, "failed", "does not exist"),
        ("SELECT nextval('down')", {"value": 1}, "could_not_run", "permission denied"),
        ("SELECT 1/0", {"value": 1}, "could_not_run", "DivisionByZero, see PostgreSQL's log"),
    ],
)
def test_the_owners_questions_without(
    restored: Server, sql: str, answer: dict[str, Any], status: str, words: str
) -> None:
    found_status, told = found(restored, asked(sql, **answer))["statement q"]
    assert (found_status, words in told) == (status, True), told


def test_an_answer_that_fails_on_a_row_shows_nothing_of_it(restored: Server) -> None:
    """It goes into evidence."""
    restored.run("CREATE TABLE patients AS SELECT 'Jane Roe' AS age", database=DATABASE)
    question = asked("SELECT count(*) FROM patients WHERE age::int > 0", value=1, role="postgres")
    status, told = found(restored, question)["statement q"]
    assert (status, "Roe" in told) == ("could_not_run", False), told


def test_a_function_that_writes_is_stopped_by_the_transaction(restored: Server) -> None:
    restored.run(
        "CREATE FUNCTION sly() RETURNS bigint LANGUAGE sql AS 'DELETE FROM orders; SELECT 1::bigint'", database=DATABASE
    )
    status, told = found(restored, asked("SELECT sly()", role="postgres", value=1))["statement q"]
    assert (status, "read-only transaction" in told) == ("could_not_run", True), told
    assert answers(restored, "SELECT count(*) FROM orders") == [(2000,)]


def test_a_question_that_writes_is_refused_before_anything_runs(restored: Server) -> None:
    checks = {**asked("WITH gone AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM gone", value=1), "dump": True}
    with pytest.raises(SpecError, match=r"checks.statements\[0\] \(q\): would write \(DELETE\)"):
        call(restored, checks)


def test_row_security_hides_nothing_from_counts_and_holds_for_questions(restored: Server) -> None:
    restored.run(
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY",
        "CREATE POLICY few ON users TO restored_reader USING (id <= 3)",
        "CREATE ROLE restored_login LOGIN IN ROLE restored_reader",
        database=DATABASE,
    )
    assert found(restored, asked("SELECT count(*) FROM users", value=3))["statement q"][0] == "passed"
    counts = {"counts": {"rows": {DATABASE: {"users": 3}}}}
    assert found(restored, counts)["counts"][0] == "failed"
    status, told = found(restored, counts, login_user="restored_login")["counts"]
    assert (status, "row-level security" in told) == ("could_not_run", True), told
    restored.run("DROP ROLE restored_login")


def test_a_question_that_takes_too_long_could_not_run(restored: Server) -> None:
    status, told = found(restored, asked("SELECT pg_sleep(5)", value=""), timeout="50ms")["statement q"]
    assert (status, "statement timeout" in told) == ("could_not_run", True), told


def test_counts_from_a_file_with_a_tolerance(restored: Server, tmp_path: Path) -> None:
    manifest = tmp_path / "counts.json"
    manifest.write_text(json.dumps({DATABASE: {"orders": 1990}}))
    counts = {"manifest": str(manifest), "tolerance": "1%"}
    assert found(restored, {"counts": counts})["counts"][0] == "passed"
    assert found(restored, {"counts": counts | {"tolerance": "9"}})["counts"][0] == "failed"
    with pytest.raises(SpecError, match="cannot be read as JSON"):
        call(restored, {"counts": {"manifest": str(tmp_path / "gone.json")}})


def test_without_an_extension_amcheck_could_not_run(restored: Server) -> None:
    for options in ({}, {"check_mode": True}):
        how = {"install_missing": bool(options)}
        status, told = found(restored, {"amcheck": how}, **options)["amcheck"]
        assert (status, "amcheck is not installed" in told) == ("could_not_run", True), told


def test_an_extension_that_is_there_stays(restored: Server) -> None:
    restored.run("CREATE EXTENSION amcheck", database=DATABASE)
    assert found(restored, {"amcheck": {"install_missing": True, "rootdescend": True}})["amcheck"][0] == "passed"
    assert answers(restored, "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == [(1,)]


def test_a_lent_extension_that_a_killed_run_left_is_taken_back(restored: Server) -> None:
    restored.run("CREATE SCHEMA pgstead_amcheck; CREATE EXTENSION amcheck SCHEMA pgstead_amcheck", database=DATABASE)
    assert found(restored, {"amcheck": {"install_missing": True}})["amcheck"][0] == "passed"
    assert answers(restored, "SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstead_amcheck'") == [(0,)]


def test_amcheck_is_lent_where_databases_are_read_only_and_guard_their_schema(restored: Server) -> None:
    restored.run(
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'",
        "CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no()",
        f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on",
        database=DATABASE,
    )
    status, told = found(restored, {"amcheck": {"install_missing": True}})["amcheck"]
    assert status == "passed", told
    assert answers(restored, "SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstead_amcheck'") == [(0,)]


def without_index(restored: Server, index: str, statement: str) -> None:
    """Change a table behind the back of an index."""
    ready = "SET allow_system_table_mods = on; UPDATE pg_index SET indisready = {} WHERE indexrelid = '{}'::regclass"
    restored.run(ready.format(False, index), statement, ready.format(True, index), database=DATABASE)


def test_a_row_that_its_index_lacks_is_found_by_amcheck_alone(restored: Server) -> None:
    without_index(restored, "orders_note", "INSERT INTO orders (user_id, total) VALUES (1, 1)")
    verdicts = found(restored, {"amcheck": {"install_missing": True}, "dump": True})
    assert verdicts["dump"][0] == "passed"
    assert (verdicts["amcheck"][0], "orders_note" in verdicts["amcheck"][1]) == ("failed", True), verdicts
    quick = {"install_missing": True, "heapallindexed": False}
    assert found(restored, {"amcheck": quick})["amcheck"][0] == "passed"


def test_rows_are_read_from_the_table_whatever_its_index_says(restored: Server) -> None:
    without_index(restored, "users_pkey", "INSERT INTO users (email) VALUES ('unseen')")
    restored.run("VACUUM ANALYZE users", "ALTER DATABASE restored SET enable_seqscan = off", database=DATABASE)
    canary = {"database": DATABASE, "table": "users", "key": "id", "present": ["51"]}
    verdicts = found(restored, {"canary": [canary], "counts": {"rows": {DATABASE: {"users": 51}}}})
    assert {status for status, _told in verdicts.values()} == {"passed"}, verdicts


def test_a_missing_program_and_a_missing_server_could_not_run(restored: Server, tmp_path: Path) -> None:
    checks = {name: WHOLE[name] for name in ("dump", "amcheck")}
    for _status, told in (verdicts := found(restored, checks, binaries=str(tmp_path))).values():
        assert f"{tmp_path}/pg_" in told
    assert {status for status, _told in verdicts.values()} == {"could_not_run"}
    verdicts = found(restored, WHOLE, login_port=1)
    assert {status for status, _told in verdicts.values()} == {"could_not_run"}
    assert len(verdicts) == 11
    everywhere = found(restored, {"dump": True, "sequences": True}, login_port=1, databases=[])
    assert {status for status, _told in everywhere.values()} == {"could_not_run"}


@pytest.mark.parametrize(
    ("kind", "kept", "asked_for"),
    [
        ("uuid", "0b5a2c5e-0000-4000-8000-00000000000a", "0B5A2C5E-0000-4000-8000-00000000000A"),
        ("text", "it's 100%", "it's 100%"),
        ("odd", "(1,x)", "(1,x)"),
        ("date", "2025-03-01", "2025-03-01"),
    ],
)
def test_keys_of_any_type(restored: Server, kind: str, kept: str, asked_for: str) -> None:
    literal = kept.replace("'", "''")
    restored.run(
        "CREATE TYPE odd AS (n int, t text)",
        f"CREATE TABLE keys (k) AS SELECT '{literal}'::{kind}",
        database=DATABASE,
    )
    canary = {"database": DATABASE, "table": "keys", "key": "k", "present": [asked_for]}
    assert found(restored, {"canary": [canary]})["canary"][0] == "passed"
    assert found(restored, {"canary": [canary | {"present": [], "absent": [asked_for]}]})["canary"][0] == "failed"


def test_a_key_that_is_none_of_the_columns_type_could_not_run(restored: Server) -> None:
    canary = {"database": DATABASE, "table": "users", "key": "id", "present": ["x"]}
    assert found(restored, {"canary": [canary]})["canary"][0] == "could_not_run"


def test_all_databases_where_none_is_named(restored: Server) -> None:
    checked = call(restored, {"sequences": True}, databases=[]).data["checks"]
    places = [each["database"] for each in checked]
    assert {"postgres", DATABASE, "restored_model"} <= set(places)
    assert "template1" not in places


@pytest.mark.parametrize("name", ["with space", "a=b", "quo'te", "back\\slash", "postgresql://x"])
def test_databases_of_any_name(restored: Server, name: str) -> None:
    quoted = '"' + name + '"'
    restored.run(f"CREATE DATABASE {quoted}")
    verdicts = found(restored, {"dump": True, "amcheck": {"install_missing": True}}, databases=[name])
    restored.run(f"DROP DATABASE {quoted}")
    assert {status for status, _told in verdicts.values()} == {"passed"}, verdicts


def checksums(copy: Server) -> tuple[str, str]:
    return found(copy, {"checksums": {"data_directory": str(copy.data)}}, databases=[])["checksums"]


def test_checksums_of_a_stopped_cluster(stopped: Server) -> None:
    status, told = checksums(stopped)
    assert status == "passed"
    assert told.endswith("blocks have the right checksum")


def test_checksums_of_what_cannot_be_read_could_not_run(stopped: Server, tmp_path: Path) -> None:
    with copied(stopped) as copy:
        copy.control("start")
        status, told = checksums(copy)
        assert (status, "must be shut down" in told) == ("could_not_run", True), told
        copy.control("-m", "immediate", "stop")
        status, told = checksums(copy)
        assert (status, "must be shut down" in told) == ("could_not_run", True), told
    with copied(stopped) as copy:
        copy.command(str(copy.clients / "pg_checksums"), "--disable", "-D", str(copy.data))
        status, told = checksums(copy)
        assert (status, "not enabled" in told) == ("could_not_run", True), told
    elsewhere = replace(stopped, directory=tmp_path)
    assert checksums(elsewhere)[0] == "could_not_run"


def damaged(stopped: Server, copy: Server, relation: str, page: int, offset: int) -> None:
    with copied(stopped) as running:
        running.control("start")
        path = file_of(running, relation)
    flip(copy.data / path, page, offset)


def test_a_damaged_table_page(stopped: Server) -> None:
    with copied(stopped) as copy:
        damaged(stopped, copy, "orders", 3, 5000)
        status, told = checksums(copy)
        assert (status, "1 blocks have a wrong checksum" in told) == ("failed", True), told
        copy.control("start")
        verdicts = found(copy, {name: WHOLE[name] for name in ("dump", "counts", "amcheck")})
        assert {name: status for name, (status, _told) in verdicts.items()} == {
            "dump": "failed",
            "counts": "failed",
            "amcheck": "failed",
        }, verdicts


def test_a_damaged_index_page(stopped: Server) -> None:
    with copied(stopped) as copy:
        damaged(stopped, copy, "orders_note", 2, 5000)
        status, told = checksums(copy)
        assert (status, "1 blocks have a wrong checksum" in told) == ("failed", True), told
        copy.control("start")
        verdicts = found(copy, {name: WHOLE[name] for name in ("dump", "counts", "amcheck")})
        assert (verdicts["dump"][0], verdicts["counts"][0]) == ("passed", "passed")
        assert (verdicts["amcheck"][0], "orders_note" in verdicts["amcheck"][1]) == ("failed", True), verdicts


def test_a_program_is_ended_at_its_limit(restored: Server) -> None:
    directory = restored.directory / "endless"
    directory.mkdir(mode=0o755)
    program = directory / "pg_dump"
    program.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    programs = host.Programs(recovery_world.run, restored.target, str(directory), 100)
    with pytest.raises(host.CouldNotRun, match="pg_dump was ended at its limit of 1 s"):
        programs.call(lambda: restored.version, "pg_dump")
    shutil.rmtree(directory)
