"""The lint against real servers: each fault is found and its twin is not, and what is proposed mends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import LockNotAcquired, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_checks import CHECKS
from ansible_collections.pgstead.ops.plugins.module_utils._pg import ledger
from ansible_collections.pgstead.ops.plugins.module_utils._pg import lint as reading
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, execute, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import LOCK_CLASS, LOCK_SCHEMA
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context
from ansible_collections.pgstead.ops.plugins.modules import schema_lint_info

from .conftest import USER, Server
from .lint_fixtures import CASES as CASES_OF_TABLES
from .lint_fixtures import Case
from .lint_fixtures_security import NO_ROLES, ROLES, SECURITY_CASES
from .test_modules import call, examples

CASES = (*CASES_OF_TABLES, *SECURITY_CASES)
MONITOR = "lint_monitor"
# young statistics, small tables and few reads are what a test has
BOLD = {
    "unused_index_days": 0,
    "missing_index_reads": "1MB",
    "minimum_size": {"unused_index": "0MB", "missing_index_candidate": "0MB"},
}


def lint(server: Server, database: str, user: str = "postgres", **arguments: Any) -> dict[str, Any]:
    """Call the module as a role; whatever it says, it changes nothing."""
    target = server.target
    place = {"login_unix_socket": target.socket_directory, "login_port": target.port, "system_user": USER}
    given = {"login_db": database, "login_user": user, **place, **arguments}
    result = ArgumentSpecValidator(schema_lint_info.ARGUMENTS).validate(given)
    assert result.error_messages == []
    outcome = schema_lint_info.job(result.validated_parameters, Context(lambda _argv: (1, "", ""), False))
    assert not outcome.changed
    return dict(outcome.data)


def found(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the findings by key."""
    by_key = {finding["key"]: finding for finding in data["findings"]}
    assert len(by_key) == len(data["findings"])
    return by_key


def make(server: Server, database: str, schema: str, text: str) -> None:
    """Run a case's statements; one that must fail begins with an exclamation mark."""
    with connect(Target(server.target.socket_directory, server.target.port, database, system_user=USER)) as connection:
        execute(connection, f"CREATE SCHEMA {schema}")
        for statement in filter(None, (part.strip() for part in text.format(s=schema).split(";"))):
            if statement.startswith("!"):
                with pytest.raises(psycopg2.Error):
                    execute(connection, statement[1:])
            else:
                execute(connection, statement)


@pytest.fixture(scope="module")
def faulty(server: Server) -> Iterator[Server]:
    """Give a database with every fault and every twin."""
    server.run("CREATE DATABASE lint", f"CREATE ROLE {MONITOR} LOGIN", f"GRANT pg_monitor TO {MONITOR}", *ROLES)
    server.run(ledger._CREATE, database="lint")
    for case in (case for case in CASES if case.since <= server.version):
        for schema, text in zip(case.schemas, (case.bad, case.good), strict=True):
            make(server, "lint", schema, text)
    read = {"missing_index_candidate:missing_index_candidate_bad.t"}
    deadline = time.monotonic() + 20
    while not read <= set(found(lint(server, "lint", checks=["missing_index_candidate"], **BOLD))):
        assert time.monotonic() < deadline, "the statistics have not arrived"
        time.sleep(0.2)
    yield server
    server.run("DROP DATABASE lint WITH (FORCE)", f"DROP ROLE {MONITOR}", *NO_ROLES)


@pytest.fixture(scope="module")
def said(faulty: Server) -> dict[str, dict[str, Any]]:
    """Give all findings, as the superuser gets them."""
    data = lint(faulty, "lint", **BOLD)
    assert data["not_checked"] == {}
    return found(data)


@pytest.fixture
def copy(faulty: Server) -> Iterator[Server]:
    """Give a copy of the faulty database, to be mended."""
    faulty.run("CREATE DATABASE mended TEMPLATE lint")
    yield faulty
    faulty.run("DROP DATABASE mended WITH (FORCE)")


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
    assert levels == {"t_id_seq": "error", "m": "error", "n": "warning", "u": "warning"}


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
    assert len(data["findings"]) == 4


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


def arguments_of(kind: str, value: Any) -> dict[str, Any]:
    """Return what the role schema makes of a key of pgstead_databases."""
    if kind == "foreign_key_indexes":
        return {"mode": value}
    return dict(value) if kind == "row_security" else {kind: value}


def mend(server: Server, finding: dict[str, Any]) -> None:
    """Apply a finding's YAML by the modules that know its keys, as the role schema would."""
    for kind, value in yaml.load(finding["remediation_yaml"], Loader=Inventory).items():
        arguments = arguments_of(kind, value)
        assert call(server, kind, {"login_db": "mended", **arguments}).changed, finding["key"]
        assert not call(server, kind, {"login_db": "mended", **arguments}).changed, finding["key"]


class Inventory(yaml.SafeLoader):
    """Reads what Ansible adds to YAML."""


Inventory.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def test_its_own_yaml_applied_by_our_modules_mends_what_it_came_with(
    copy: Server, said: dict[str, dict[str, Any]]
) -> None:
    mendable = {key: finding for key, finding in said.items() if finding["remediation_yaml"]}
    assert {finding["check"] for finding in mendable.values()} == {
        "foreign_key_without_index",
        "constraint_not_validated",
        "duplicate_index",
        "overlapping_index",
        "unused_index",
        "invalid_index",
        "unattached_partition_index",
        "row_security_disabled",
        "row_security_not_forced",
        "policy_column_without_index",
        "policy_setting_without_nullif",
        *(["view_bypasses_row_security", "view_without_security_invoker"] if copy.version >= 15 else []),
    }
    for key, finding in mendable.items():
        choice = {"checks": [finding["check"]], "schemas": [f"{finding['check']}_bad"], **BOLD}
        # `create` is for all foreign keys at once
        if finding["object"].startswith(choice["schemas"][0]) and key in found(lint(copy, "mended", **choice)):
            mend(copy, finding)
            assert key not in found(lint(copy, "mended", **choice)), key


def test_its_own_sql_mends_what_it_came_with(copy: Server, said: dict[str, dict[str, Any]]) -> None:
    for key, finding in said.items():
        if finding["remediation_sql"]:
            copy.run(*finding["remediation_sql"], database="mended")
        else:
            assert "a person has to" in finding["detail"].lower(), key
    left = found(lint(copy, "mended", **BOLD))
    assert sorted(key for key in left if key in said and said[key]["remediation_sql"]) == []
    # nothing that was right is wrong now, but for the indexes that nothing has read yet
    assert {key for key in left if key not in said and left[key]["check"] != "unused_index"} == set()
    copy.run(
        "INSERT INTO column_serial_bad.t DEFAULT VALUES",
        'INSERT INTO column_serial_bad."T 2" DEFAULT VALUES',
        "DO $$ BEGIN ASSERT (SELECT array_agg(id ORDER BY id) FROM column_serial_bad.t) = '{1,2}'; END $$",
        "SELECT security_definer_without_search_path_bad.f('a')",
        database="mended",
    )  # fmt: skip


ODD = """
CREATE SCHEMA "Odd.Schema"; CREATE TABLE "Odd.Schema"."My ""Table" ("I d" bigint PRIMARY KEY, "select" bigint, b int);
CREATE TABLE "Odd.Schema"."Other" ("I d" bigint PRIMARY KEY, "to" bigint REFERENCES "Odd.Schema"."My ""Table");
CREATE INDEX "I.x" ON "Odd.Schema"."My ""Table" ("select" DESC); CREATE INDEX "J.x" ON "Odd.Schema"."My ""Table" ("select" DESC);
ALTER TABLE "Odd.Schema"."My ""Table" ADD CONSTRAINT "C.k" CHECK ("select" > 0) NOT VALID;
CREATE TABLE "Odd.Schema"."No Key" (a int NOT NULL); CREATE UNIQUE INDEX "U.x" ON "Odd.Schema"."No Key" (a);
CREATE TYPE "Odd.Schema"."Ty.pe" AS ENUM ('a');
CREATE FUNCTION "Odd.Schema"."F.n"("My Arg" "Odd.Schema"."Ty.pe") RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE TABLE "Odd.Schema"."Wa.ll" ("I d" bigint PRIMARY KEY, "wh.o" name);
ALTER TABLE "Odd.Schema"."Wa.ll" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "P.q" ON "Odd.Schema"."Wa.ll" USING ("wh.o" = CURRENT_USER);
CREATE VIEW "Odd.Schema"."V.w" AS SELECT "I d" FROM "Odd.Schema"."Wa.ll" WHERE "I d" > 0
"""
ODD_KEYS = [
    'constraint_not_validated:"Odd.Schema"."My ""Table"."C.k"',
    'duplicate_index:"Odd.Schema"."J.x"',
    'foreign_key_without_index:"Odd.Schema".Other.Other_to_fkey',
    'policy_column_without_index:"Odd.Schema"."Wa.ll"."wh.o"',
    'row_security_not_forced:"Odd.Schema"."Wa.ll"',
    'security_definer_without_search_path:"Odd.Schema".F.n("My Arg" "Odd.Schema"."Ty.pe")',
    'table_without_primary_key:"Odd.Schema".No Key',
    'view_bypasses_row_security:"Odd.Schema"."V.w"',
]


@pytest.mark.parametrize("way", ["remediation_yaml", "remediation_sql"])
def test_odd_names_are_kept(server: Server, way: str) -> None:
    server.run("CREATE DATABASE mended")
    server.run(ODD, database="mended")
    data = found(lint(server, "mended", schemas=["Odd.Schema"]))
    assert sorted(data) == ODD_KEYS
    for finding in data.values():
        if way == "remediation_sql":
            server.run(*finding[way], database="mended")
        elif finding[way]:
            mend(server, finding)
    left = found(lint(server, "mended", schemas=["Odd.Schema"]))
    assert sorted(left) == [key for key in ODD_KEYS if not data[key][way]]
    server.run("DROP DATABASE mended")


# (from which major on, statements, keys found)
NEWER: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (
        15,
        "CREATE TABLE n (a int NOT NULL); CREATE UNIQUE INDEX n_idx ON n (a) NULLS NOT DISTINCT",
        ("table_without_primary_key:public.n",),
    ),
    (
        18,
        """CREATE TABLE v (id int PRIMARY KEY, a int); ALTER TABLE v ADD CONSTRAINT v_a NOT NULL a NOT VALID;
        CREATE TABLE w (a int); ALTER TABLE w ADD CONSTRAINT w_a NOT NULL a NOT VALID; CREATE UNIQUE INDEX ON w (a)""",
        (
            "constraint_not_validated:public.v.v_a",
            "constraint_not_validated:public.w.w_a",
            "table_without_primary_key:public.w",
        ),
    ),
    (
        18,
        """CREATE TABLE e (id int PRIMARY KEY, a int CHECK (a > 0) NOT ENFORCED, b int REFERENCES e NOT ENFORCED);
        CREATE INDEX ON e (b)""",
        (),
    ),
)


def test_what_newer_majors_have(server: Server) -> None:
    server.run("CREATE DATABASE newer")
    known = [(text, keys) for major, text, keys in NEWER if server.version >= major]
    for text, _ in known:
        server.run(text, database="newer")
    data = found(lint(server, "newer"))
    assert sorted(data) == sorted(key for _, keys in known for key in keys)
    for key, finding in data.items():
        # an index that PRIMARY KEY USING INDEX would refuse is not proposed
        assert bool(finding["remediation_sql"]) == key.startswith("constraint_not_validated"), key
        server.run(*finding["remediation_sql"], database="newer")
    assert [key for key in found(lint(server, "newer")) if key.startswith("constraint")] == []
    server.run("DROP DATABASE newer")


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


def test_notes_that_may_not_be_read_are_a_check_that_was_not_made(copy: Server) -> None:
    copy.run("REVOKE SELECT ON pgstead.made FROM pg_monitor", database="mended")
    data = lint(copy, "mended", MONITOR, checks=["audit_trigger_missing"])
    assert list(data["not_checked"]) == ["audit_trigger_missing"]
    assert "GRANT SELECT ON pgstead.made" in data["not_checked"]["audit_trigger_missing"]
    # what the catalogue says by itself is still said
    assert list(found(data)) == ["audit_trigger_missing:audit_trigger_missing_bad.b.pgstead_audit_truncate"]


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
