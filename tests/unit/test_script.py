"""Scripts are split where psql splits them, and what a transaction cannot hold is named with its line."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.migration import digest, one_of, scripts
from ansible_collections.pgstead.ops.plugins.module_utils._core.script import ScriptError, may_set, obstacle, statements
from ansible_collections.pgstead.ops.plugins.module_utils._host.migration import environment
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target

ROOT = Path(__file__).resolve().parents[2]
ATOMIC = "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 2 END; SELECT a; END"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" ;; -- nothing\n/* at ; all */", []),
        ("SELECT 1", [(1, "SELECT 1")]),
        ("SELECT 1;\n\nSELECT 2 ;", [(1, "SELECT 1"), (3, "SELECT 2 ")]),
        ("-- first\n/* and /* nested */ ; */\nSELECT\n 1;", [(3, "SELECT\n 1")]),
        (
            "SELECT ';', E'\\';', \";\", 'it''s;'; SELECT 2",
            [(1, "SELECT ';', E'\\';', \";\", 'it''s;'"), (1, "SELECT 2")],
        ),
        ("DO $$ BEGIN; END $$; DO $a1$ ; $$ ; $a1$;", [(1, "DO $$ BEGIN; END $$"), (1, "DO $a1$ ; $$ ; $a1$")]),
        ("SELECT a$b; SELECT $1", [(1, "SELECT a$b"), (1, "SELECT $1")]),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            [(1, "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)"), (1, "SELECT 3")],
        ),
        (f"{ATOMIC};\nSELECT 1", [(1, ATOMIC), (2, "SELECT 1")]),
        (
            f"{ATOMIC.replace('CREATE', 'create or replace')}; SELECT 1",
            [(1, ATOMIC.replace("CREATE", "create or replace")), (1, "SELECT 1")],
        ),
        ("\\restrict abc\n\nSELECT 1;\n\\unrestrict abc\n", [(3, "SELECT 1")]),
    ],
)
def test_statements_end_where_psql_ends_them(text: str, found: list[tuple[int, str]]) -> None:
    assert [(statement.line, statement.text) for statement in statements(text)] == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1;\nSELECT 'a", "line 2: a quotation mark is not closed"),
        ('\n\nSELECT "a', "line 3: a quotation mark is not closed"),
        ("SELECT 1; /* and /* so */ on", "line 1: a comment"),
        ("SELECT 1;\n\\connect other", "line 2: .connect is for psql; only SQL works here"),
        ("SELECT 1 \\gset", "line 1: .gset is for psql"),
        ("SELECT 1 \\restrict a", "line 1: .restrict is for psql"),
        ("SELECT 1;\nSELECT '\0'", "line 2: holds a zero byte"),
    ],
)
def test_what_is_not_sql_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ScriptError, match=said):
        statements(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("commit", "COMMIT is for transactions"),
        ("END", "END is for transactions"),
        ("Abort", "ABORT is for transactions"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN is for transactions"),
        ("ROLLBACK", "ROLLBACK is for transactions"),
        ("ROLLBACK AND CHAIN", "ROLLBACK is for transactions"),
        ("START TRANSACTION", "START TRANSACTION"),
        ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
        ("COPY t (a) FROM stdin WITH (FORMAT csv)", "COPY from or to the client"),
        ("COPY t TO STDOUT", "COPY from or to the client"),
        ("ROLLBACK TO a", ""),
        ("ROLLBACK WORK TO SAVEPOINT a", ""),
        ("SAVEPOINT a", ""),
        ("PREPARE q AS SELECT 1", ""),
        ("COPY t FROM '/srv/rows.csv'", ""),
        ("SELECT 'COMMIT'", ""),
        (ATOMIC, ""),
        ("(SELECT 1)", ""),
        ("'torn'", ""),
    ],
)
def test_what_a_transaction_cannot_hold(text: str, said: str) -> None:
    (statement,) = statements(text)
    found = obstacle(statement)
    assert found.startswith(said) if said else found == ""


def test_scripts_tell_all_their_problems_and_run_once_for_the_same_content() -> None:
    items = [
        {"name": "a.sql", "content": "\ufeffSELECT 1;"},
        {"name": "b.sql", "content": "SELECT 1;"},
        {"name": "c.sql", "content": "SELECT 1;\nCOMMIT;\nROLLBACK;"},
        {"name": "d.sql", "content": "SELECT '"},
    ]
    found, problems = scripts(items, "here: ")
    assert found[0].sha256 == digest("SELECT 1;")
    assert [script.name for script in found] == ["a.sql", "c.sql"]
    assert [str(problem) for problem in problems] == [
        "here: c.sql: line 2: COMMIT is for transactions, and all scripts together are one already: leave it out",
        "here: d.sql: line 1: a quotation mark is not closed",
    ]


@pytest.mark.parametrize(
    ("items", "command", "said"),
    [
        (None, None, "give one of them"),
        ([{}], "migrate", "give one of them"),
        (None, " ", "command: is empty"),
        (None, "migrate 'up", "No closing quotation"),
        (None, "migrate up", ""),
        ([{}], None, ""),
    ],
)
def test_scripts_or_a_command(items: list[object] | None, command: str | None, said: str) -> None:
    problems = one_of(items, command)
    assert (said in str(problems[0])) if said else problems == ()


def test_the_example_is_read_whole() -> None:
    for path in (ROOT / "inventories/quickstart").rglob("*.sql"):
        text = path.read_text(encoding="utf-8")
        found = statements(text)
        lines = text.splitlines()
        assert all(lines[one.line - 1].startswith(one.text.split("\n")[0].split(";")[0]) for one in found)
        assert all(
            one.words[0] in {"CREATE", "INSERT", "UPDATE", "DROP", "ANALYZE", "SELECT", "DELETE"} for one in found
        )
        assert scripts([{"name": path.name, "content": text}])[1] == ()


def test_what_libpq_is_told() -> None:
    local = environment(Target("/run/postgresql", 5433, "shop"), "vending owner")
    assert local == {
        "PGHOST": "/run/postgresql",
        "PGPORT": "5433",
        "PGDATABASE": "shop",
        "PGUSER": "postgres",
        "PGOPTIONS": r"-c role=vending\ owner",
    }
    assert shlex.split(local["PGOPTIONS"]) == ["-c", "role=vending owner"]
    target = Target("", 5432, "shop", "boss", address="db1", password="secret", sslrootcert="/ca")
    assert environment(target, "") == {
        "PGHOST": "db1",
        "PGPORT": "5432",
        "PGDATABASE": "shop",
        "PGUSER": "boss",
        "PGSSLMODE": "verify-full",
        "PGPASSWORD": "secret",
        "PGSSLROOTCERT": "/ca",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET lock_timeout = 0", True),
        ("set local role a", True),
        ("RESET ALL", True),
        ("SELECT pg_catalog.set_config('lock_timeout', '0', false)", True),
        ("DO $$ BEGIN SET lock_timeout = 0; END $$", True),
        ("CALL p()", True),
        ("ALTER TABLE t SET (fillfactor = 70)", False),
        ("INSERT INTO t VALUES (1)", False),
    ],
)
def test_statements_that_may_change_a_setting(text: str, expected: bool) -> None:
    (statement,) = statements(text)
    assert may_set(statement) is expected
