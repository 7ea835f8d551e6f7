"""pgstead_databases become calls of the schema modules; what is wrong is named with its place; results become lines."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.filter.plans import FilterModule
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_plan import plan_schema, summary
from ansible_collections.pgstead.ops.plugins.module_utils._core.server_plan import plan_server

CHECK = {"table": "orders", "name": "positive", "expression": "total >= 0"}
INDEX = {"table": "orders", "columns": ["user_id"]}


def problems(database: dict[str, Any], contents: dict[str, str] | None = None) -> list[str]:
    found = plan_schema([{"name": "first", "owner": "o"}, {"name": "shop", "owner": "o", **database}], contents or {})
    return [str(problem) for problem in found.problems]


def test_a_database_becomes_one_call_of_each_kind() -> None:
    shop = {
        "name": "shop",
        "owner": "boss",
        "schemas": ["app", "public"],
        "extensions": ["pg_trgm", {"name": "btree_gist", "schema": "tools"}, {"name": "bloom"}],
        "load_sql": ["a.sql", "b.sql"],
        "indexes": [INDEX],
        "check_constraints": [CHECK],
        "foreign_key_indexes": "create",
    }
    plain = {"name": "plain", "owner": "o", "migrate_command": "/opt/migrate 1.2", "indexes": []}
    gone = {"name": "gone", "owner": "o", "state": "absent", "load_sql": ["x.sql"], "indexes": "nonsense"}
    data = FilterModule().filters()["schema_plan"]([shop, gone, plain, {"name": "bare", "owner": "o"}])
    base = {
        "database": "shop",
        "role": "boss",
        "schema": "app",
        "search_path": ["app", "public", "tools"],
    }
    other = {"database": "plain", "role": "o", "schema": "public", "search_path": ["public"]}
    assert data == {
        "problems": [],
        "migrations": [
            {**base, "scripts": ["a.sql", "b.sql"], "command": None},
            {**other, "scripts": [], "command": "/opt/migrate 1.2"},
        ],
        "check_constraints": [{**base, "declared": [CHECK]}],
        "indexes": [{**base, "declared": [INDEX]}, {**other, "declared": []}],
        "views": [],
        "row_security": [],
        "audit": [],
        "probes": [],
        "databases": [{**one, "application_roles": []} for one in (base, other, {**other, "database": "bare"})],
        "foreign_key_indexes": [{**base, "mode": "create", "exclude": [], "minimum_size": "0MB"}],
    }


def test_what_is_audited_takes_its_context_from_row_security() -> None:
    shop = {
        "name": "shop",
        "owner": "boss",
        "row_security": {"context": {"user": "app.user", "function": "be"}, "tables": []},
        "audit": {
            "tables": ["orders", {"name": "users", "redacted_columns": ["email"]}],
            "retention": "2 years",
            "ahead": 4,
        },
    }
    bare = {"name": "bare", "owner": "o", "audit": {"tables": [], "schema": "trail", "mode": None, "readers": ["a"]}}
    data = FilterModule().filters()["schema_plan"]([shop, bare])
    assert data["problems"] == []
    base = {"database": "shop", "role": "boss", "schema": "public", "search_path": ["public"]}
    assert data["audit"] == [
        {
            **base,
            "context": {"user": "app.user"},
            "tables": [{"name": "orders"}, {"name": "users", "redacted_columns": ["email"]}],
            "retention": "2 years",
            "partitions_ahead": 4,
        },
        {
            **base,
            "database": "bare",
            "role": "o",
            "context": None,
            "tables": [],
            "audit_schema": "trail",
            "readers": ["a"],
        },
    ]


def test_what_can_be_proven_of_row_security_is_told_apart() -> None:
    context = {"user": "app.user"}
    tables = [
        {"name": "orders", "owner_column": "user_id", "admin_role": "admin", "force": True},
        {"name": "notes", "policies": [{"name": "p", "using": "true"}]},
        {"name": "old", "owner_column": "x", "state": "absent"},
    ]
    row_security = {"context": {**context, "role": "app.role"}, "tables": tables}
    shop = {"name": "shop", "owner": "boss", "application_role": {"name": "app"}, "row_security": row_security}
    data = FilterModule().filters()["schema_plan"]([shop])
    assert data["problems"] == []
    (call,) = data["row_security"]
    assert (call["application_roles"], call["tables"]) == (["app"], tables)
    assert [one["application_roles"] for one in data["databases"]] == [["app"]]  # the lint asks whom it is to hold
    (probe,) = data["probes"]
    assert probe["application_role"] == "app"
    assert probe["tables"] == [{"name": "orders", "owner_column": "user_id", "admin_role": "admin"}]
    assert probe["unproven"] == ["notes"]


def test_policies_that_are_written_out_need_no_context() -> None:
    """That is what the lint proposes."""
    tables = [{"name": "notes", "policies": [{"name": "p", "using": "id > 0"}]}]
    shop = {"name": "shop", "owner": "boss", "application_role": {"name": "app"}, "row_security": {"tables": tables}}
    data = FilterModule().filters()["schema_plan"]([shop])
    assert data["problems"] == []
    (probe,) = data["probes"]
    assert (probe["context"], probe["tables"], probe["unproven"]) == (None, [], ["notes"])


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ({"load_sql": ["a"], "migrate_command": "b"}, ["load_sql: and migrate_command exclude each other"]),
        ({"migrate_command": "run 'it"}, ["migrate_command: \"run 'it\": No closing quotation"]),
        ({"indexes": {"table": "t"}}, ["indexes: {'table': 't'} is not a list"]),
        ({"indexes": "{{ nothing }}"}, ["indexes: '{{ nothing }}' is not a list"]),
        ({"indexes": ["orders", {"columns": ["a"]}]}, ["indexes[0]: needs table", "indexes[1]: needs table"]),
        ({"check_constraints": [{"table": "t", "name": None}]}, ["check_constraints[0]: needs table and name"]),
        (
            {"indexes": [INDEX, {"table": "orders"}], "check_constraints": [CHECK, CHECK, {**CHECK, "expression": "a)"}]},
            ["check_constraints[1] (positive):", "check_constraints[2] (positive):", "indexes[1] (orders): columns is empty"],
        ),
        ({"row_security": ["orders"]}, ["row_security: is a mapping with context and the list tables"]),
        ({"row_security": {"tables": [{"owner_column": "x"}]}}, ["row_security.tables[0]: needs name"]),
        (
            {"row_security": {"tables": [{"name": "t", "owner_column": "x"}]}},
            ["row_security.tables[0] (t): owner_column and admin_role need the context"],
        ),
        ({"audit": ["orders"]}, ["audit: is a mapping with the list tables"]),
        ({"audit": {"tables": "orders"}}, ["audit: is a mapping with the list tables"]),
        ({"audit": {"tables": [], "keep": "1 year"}}, ["audit: is a mapping with the list tables"]),
        (
            {"audit": {"tables": [{"nam": "t"}, "t", {"name": "t", "hide": ["a"]}, "t"], "ahead": 1, "retention": "1 day"}},
            [
                "audit.ahead: 1: at least 2 months",
                "audit.retention: '1 day' is no time",
                "audit.tables[0]: needs name",
                "audit.tables[2] (t): hide: an audited table has",
                "audit.tables[3] (t): tables[1] declares the same table",
            ],
        ),
        ({"audit": {"tables": [], "schema": "pg_x"}}, ["audit.schema: 'pg_x' is not a schema for the log"]),
        ({"schemas": ["app", "log"], "audit": {"tables": [], "schema": "log"}}, ["audit.schema: log is one of the database's"]),
        (
            {"audit": {"tables": ["t"]}, "row_security": {"context": {"user": "x"}, "tables": []}},
            ["row_security.context.user: 'x' is not a setting"],
        ),
        ({"views": [{"query": "SELECT 1"}]}, ["views[0]: needs name"]),
        ({"foreign_key_indexes": "always"}, ["foreign_key_indexes: 'always' is not one of create, report"]),
        ({"foreign_key_indexes": ["create"]}, ["foreign_key_indexes: ['create'] is neither create, report nor a mapping"]),
        ({"foreign_key_indexes": {"made": "create"}}, ["foreign_key_indexes: {'made': 'create'} is neither"]),
        ({"foreign_key_indexes": {"exclude": ["t"]}}, ["foreign_key_indexes.exclude: is a list of items with table"]),
        ({"foreign_key_indexes": {"exclude": [{"table": "a.b.c"}]}}, ["foreign_key_indexes.exclude[0]: 'a.b.c' is not a name"]),
        ({"foreign_key_indexes": {"minimum_size": "8mb"}}, ["foreign_key_indexes.minimum_size: '8mb' has no size unit"]),
        ({"foreign_key_indexes": {"mode": None, "exclude": [{"table": "t"}], "minimum_size": "8MB"}}, []),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(database: dict[str, Any], said: list[str]) -> None:
    found = problems(database)
    assert len(found) == len(said), found
    for problem, words in zip(found, said, strict=True):
        assert problem.startswith(f"pgstead_databases[1].{words}")


def test_scripts_are_read_before_one_of_them_runs() -> None:
    contents = {"/a.sql": "SELECT 1;\nCOMMIT;", "/b.sql": "SELECT '"}
    assert problems({"load_sql": ["/a.sql", "/b.sql", "/not-read.sql"]}, contents) == [
        (
            "pgstead_databases[1].load_sql /a.sql: line 2: COMMIT is for transactions, and all scripts together are one "
            "already: leave it out"
        ),
        "pgstead_databases[1].load_sql /b.sql: line 1: a quotation mark is not closed",
    ]


def test_provisioning_refuses_it_too(spec: dict[str, Any], facts: dict[str, Any]) -> None:
    """A host is not made for databases that the next play will refuse."""
    spec["databases"][0]["indexes"] = [{"table": "orders"}]
    found = [str(problem) for problem in plan_server(spec, facts).problems]
    assert len(found) == 1
    assert found[0].startswith("pgstead_databases[0].indexes[0] (orders): columns is empty")


def results(**told: Any) -> dict[str, Any]:
    return {"results": [{"item": {"database": "shop"}, **told}]}


def test_the_summary_goes_database_by_database() -> None:
    shop = {"database": "shop", "scripts": ["a.sql"], "command": None, "mode": "report"}
    other = {"database": "other", "scripts": [], "command": "migrate"}
    plan = {"migrations": [shop, other], "indexes": [shop], "check_constraints": [], "foreign_key_indexes": [shop]}
    found = {
        "migrations": results(msg="ran a.sql"),
        "indexes": results(msg="1 indexes changed in 2 steps", drift=["x was dropped"], unmanaged=["a", "b"]),
        "check_constraints": {"skipped": True},
        "foreign_key_indexes": results(
            msg="1 foreign keys have no index",
            missing=[{"table": "public.t", "constraint": "t_fkey", "table_size": "16 kB", "columns": ["a"]}],
        ),
    }
    assert summary(plan, found) == [
        "shop: load_sql: ran a.sql",
        "shop: indexes: 1 indexes changed in 2 steps",
        "shop: indexes: x was dropped",
        "shop: indexes: 2 that nobody declared are left alone",
        "shop: foreign key indexes: 1 foreign keys have no index",
        "shop: foreign key indexes: without one are t_fkey of public.t (16 kB)",
        "other: migrate_command is left alone (schema_migrate)",
    ]
    assert summary(plan, {"migrations": results(msg="would run a.sql")})[:3] == [
        "shop: load_sql: would run a.sql",
        "shop: indexes: to be compared when that has run",
        "shop: foreign key indexes: to be compared when that has run",
    ]
    assert summary({}, {}) == []
