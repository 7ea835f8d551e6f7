"""The lint against real servers: each fault is found and its twin is not, whoever asks and whatever else goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import LockNotAcquired, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_checks import CHECKS
from ansible_collections.pgstead.ops.plugins.module_utils._pg import lint as reading
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, execute, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import LOCK_CLASS, LOCK_SCHEMA

from .conftest import USER, Server
from .lint_fixtures import Case
from .lint_world import BOLD, CASES, MONITOR, faulty_database, found, lint
from .test_modules import examples


@pytest.fixture(scope="module")
def faulty(server: Server) -> Iterator[Server]:
    with faulty_database(server):
        yield server


@pytest.fixture(scope="module")
def said(faulty: Server) -> dict[str, dict[str, Any]]:
    """Give all findings, as the superuser gets them."""
    data = lint(faulty, "lint", **BOLD)
    assert data["not_checked"] == {}
    return found(data)


def test_every_check_has_a_case() -> None:
    assert [case.check for case in CASES] == [check.key for check in CHECKS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.check)
def test_a_fault_is_found_and_its_twin_is_not(server: Server, said: dict[str, dict[str, Any]], case: Case) -> None:
    bad, good = case.schemas
    expected = [f"{bad}.{name}" for name in case.objects] if server.version >= case.since else []
    objects = sorted(finding["object"] for finding in said.values() if finding["check"] == case.check)
    assert [name for name in objects if name.startswith(f"{bad}.")] == sorted(expected)
    assert [name for name in objects if name.startswith(f"{good}.")] == []


def test_levels_follow_how_near_a_sequence_is(said: dict[str, dict[str, Any]]) -> None:
    levels = {key.rsplit(".", 1)[1]: finding["level"] for key, finding in said.items() if "near_limit:" in key}
    assert levels == {"t_id_seq": "error", "m": "error", "n": "warning", "u": "warning", "d": "warning"}


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("security_definer_without_search_path", {"p(OUT n integer)": "error", "q()": "warning"}),
        ("materialized_view_over_row_security", {"m": "warning", "n": "error"}),
        ("audit_trigger_disabled", {"a.pgstead_audit_row": "error", "a.pgstead_audit_truncate": "warning"}),
        ("audit_partition_horizon", {"log": "error", "trail": "error"}),
    ],
)
def test_levels_follow_what_may_come_of_it(
    said: dict[str, dict[str, Any]], check: str, expected: dict[str, str]
) -> None:
    assert {name: said[f"{check}:{check}_bad.{name}"]["level"] for name in expected} == expected


def test_a_monitoring_role_without_rights_sees_the_same(faulty: Server, said: dict[str, dict[str, Any]]) -> None:
    """It reads all but what sequences have given, and says so."""
    data = lint(faulty, "lint", MONITOR, **BOLD)
    assert list(data["not_checked"]) == ["sequence_near_limit"]
    assert "pg_monitor is not enough" in data["not_checked"]["sequence_near_limit"]
    expected = {key: value for key, value in said.items() if value["check"] != "sequence_near_limit"}
    assert found(data) == expected
    faulty.run(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA sequence_near_limit_bad TO {MONITOR}", database="lint")
    data = lint(faulty, "lint", MONITOR, schemas=["sequence_near_limit_bad"], checks=["sequence_near_limit"])
    assert len(data["findings"]) == 5


def test_it_is_one_read_only_transaction_that_reads_no_users_row(faulty: Server) -> None:
    faulty.run(f"ALTER ROLE {MONITOR} SET log_statement = 'all'")
    log = faulty.directory / "log"
    before = log.stat().st_size
    lint(faulty, "lint", MONITOR)
    # another test may have the server log everybody's statements: what follows is not the lint's
    with log.open(encoding="utf-8") as file:
        file.seek(before)
        text = file.read()
    faulty.run(f"ALTER ROLE {MONITOR} RESET log_statement")
    statements = [part.strip() for part in text.split("LOG:  statement:")[1:]]
    assert statements[0].startswith("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    assert statements[-1].startswith("ROLLBACK")
    assert len(statements) < 40  # few bulk reads, not some for each table
    assert all(part.startswith(("SELECT", "WITH")) for part in statements[1:-1])
    assert "_bad" not in text


def test_suppressions_and_choices(faulty: Server) -> None:
    (day,) = ("2020-01-31",)
    data = lint(
        faulty,
        "lint",
        checks=["column_json", "column_money", "column_char"],
        levels={"column_char": "error"},
        suppressions=[
            {"key": "column_json:*", "reason": "known", "expires": "2999-12-31"},
            {"key": "column_money:column_money_bad.t.m", "reason": "was to go", "expires": day},
            {"key": "column_char:public.gone", "reason": "long gone"},
            {"key": "duplicate_index:x", "reason": "not looked at"},
        ],
    )
    assert [(f["key"], f["level"]) for f in data["findings"]] == [
        ("column_char:column_char_bad.t.x", "error"),
        ("column_money:column_money_bad.t.m", "warning"),
        ("suppression_expired:column_money:column_money_bad.t.m", "warning"),
    ]
    assert [(f["key"], f["reason"]) for f in data["suppressed"]] == [("column_json:column_json_bad.t.j", "known")]
    assert data["unused_suppressions"] == [{"key": "column_char:public.gone", "reason": "long gone", "expires": None}]
    assert data["counts"] == {"error": 1, "warning": 2, "info": 0}
    assert data["table"].splitlines()[1].split() == ["error", "column_char:column_char_bad.t.x", "0", "kB", "decide"]


def test_the_application_can_be_named(faulty: Server) -> None:
    place = {
        "checks": ["application_role_bypasses_row_security"],
        "schemas": ["application_role_bypasses_row_security_bad"],
    }
    for roles, expected in (
        (["lint_app"], []),
        (["lint_owner"], ["it is the owner"]),
        (["lint_app", "lint_member"], ["it is a member of lint_owner, the owner"]),
        (["postgres"], ["it is a superuser"]),
    ):
        data = lint(faulty, "lint", application_roles=roles, **place)
        assert [finding["detail"].split(":")[0] for finding in data["findings"]] == expected
    with pytest.raises(SpecError, match="application_roles: there is no role nobody_here"):
        lint(faulty, "lint", application_roles=["lint_app", "nobody_here"])


def test_young_statistics_say_nothing_of_use(faulty: Server) -> None:
    data = lint(faulty, "lint", checks=["unused_index"], minimum_size={"unused_index": "0MB"})
    assert data["findings"] == []
    assert "14 are needed" in data["not_checked"]["unused_index"]


def test_what_cannot_be_asked_is_named(faulty: Server) -> None:
    with pytest.raises(SpecError, match="there is no schema nowhere"):
        lint(faulty, "lint", schemas=["nowhere"])
    with pytest.raises(SpecError, match="did you mean duplicate_index"):
        lint(faulty, "lint", checks=["duplicate_indexes"])


def test_a_table_that_is_locked_is_not_waited_for_without_end(faulty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BEGIN", reading._BEGIN.replace("'5s'", "'100ms'"))
    with connect(Target(str(faulty.directory), faulty.target.port, "lint", system_user=USER)) as other:
        execute(other, "BEGIN; LOCK TABLE column_char_bad.t")
        with pytest.raises(LockNotAcquired, match="locked exclusively"):
            lint(faulty, "lint")


def test_an_index_that_is_being_built_is_not_called_a_failure(faulty: Server) -> None:
    """Another role's build is seen by pg_monitor, not by others, which then say what they could not look at."""
    place = Target(str(faulty.directory), faulty.target.port, "lint", system_user=USER)
    faulty.run("CREATE ROLE lint_nobody LOGIN")
    with connect(place) as holder, connect(place) as builder:
        execute(holder, "BEGIN; INSERT INTO invalid_index_good.t VALUES (1)")
        thread = threading.Thread(target=_build, args=(builder,))
        thread.start()
        try:
            wait_for(place, "SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid > 0")
            for user in ("postgres", MONITOR):
                data = lint(faulty, "lint", user, checks=["invalid_index"], schemas=["invalid_index_good"])
                assert (data["findings"], data["not_checked"]) == ([], {})
            data = lint(faulty, "lint", "lint_nobody", checks=["invalid_index"])
            assert data["findings"] == []
            assert "use a member of pg_monitor" in data["not_checked"]["invalid_index"]
        finally:
            execute(holder, "ROLLBACK")
            thread.join()
    faulty.run("DROP INDEX invalid_index_good.built", database="lint")
    faulty.run("DROP ROLE lint_nobody")


def _build(connection: Any) -> None:
    execute(connection, "CREATE INDEX CONCURRENTLY built ON invalid_index_good.t (b)")


def wait_for(place: Target, query: str) -> None:
    with connect(place) as connection:
        deadline = time.monotonic() + 20
        while not rows(connection, query):
            assert time.monotonic() < deadline, query
            time.sleep(0.05)


def test_what_a_run_has_half_built_is_left_to_it(faulty: Server) -> None:
    with connect(Target(str(faulty.directory), faulty.target.port, "lint", system_user=USER)) as other:
        execute(other, f"SELECT pg_advisory_lock({LOCK_CLASS}, {LOCK_SCHEMA})")
        data = lint(faulty, "lint", checks=["invalid_index"])
    assert sorted(found(data)) == [
        "invalid_index:invalid_index_bad.t_a_idx",
        "invalid_index:invalid_index_bad.t_pkey_ccnew1",
    ]
    assert "a run of this collection" in data["not_checked"]["invalid_index"]


def test_a_standby_can_be_asked_and_says_nothing_of_use(faulty: Server) -> None:
    signal = faulty.data / "standby.signal"
    faulty.control("-m", "fast", "stop")
    signal.touch()
    try:
        faulty.control("start")
        data = lint(faulty, "lint", MONITOR, **BOLD)
    finally:
        signal.unlink()
        faulty.control("-m", "fast", "restart")
    assert "standby" in data["not_checked"]["unused_index"]
    checks = {finding["check"] for finding in data["findings"]}
    assert "unused_index" not in checks
    assert checks >= {"duplicate_index", "invalid_index", "foreign_key_without_index", "column_serial"}


def test_the_documented_examples_run(server: Server) -> None:
    server.run("CREATE DATABASE shop")
    tasks = examples("schema_lint_info")
    assert len(tasks) == 2
    for task in tasks:
        chosen = {name: value for name, value in task.items() if not name.startswith(("login_", "system_"))}
        data = lint(server, task["login_db"], **chosen)
        left = f"; not checked: {', '.join(sorted(data['not_checked']))}" if data["not_checked"] else ""
        assert (data["findings"], data["score"], data["msg"]) == (
            [],
            100,
            f"score 100: 0 errors, 0 warnings, 0 info in 0 tables{left}",
        )
    server.run("DROP DATABASE shop")
