"""pgaudit: what may be declared, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import server_plan, statement_audit

Data = dict[str, Any]


@pytest.mark.parametrize(
    ("classes", "complaint"),
    [
        ([], ""),
        (["ddl", "role"], ""),
        (["all", "-misc"], ""),
        (["ddl", "dml"], "'dml' is not one of read, write, function"),
        (["DDL"], "'DDL' is not one of"),
        (["--ddl"], "'--ddl' is not one of"),
        (["-misc", "-read"], "only takes classes out"),
    ],
)
def test_classes(classes: list[str], complaint: str) -> None:
    found = [str(problem) for problem in statement_audit.problems(classes)]
    assert len(found) == bool(complaint)
    assert all(text.startswith("postgresql_audit_statements") and complaint in text for text in found)


def test_nothing_declared_leaves_pgaudit_out(spec: Data, facts: Data) -> None:
    data = server_plan.plan_server(spec, facts).as_data()
    assert "pgaudit" not in str(data)
    assert data["libraries_to_come"] == []


@pytest.mark.parametrize(("installed", "to_come"), [("", ["pgaudit"]), ("17.0-1", [])])
def test_declared_classes_bring_package_library_and_settings(
    spec: Data, facts: Data, installed: str, to_come: list[str]
) -> None:
    facts["packages"]["postgresql-17-pgaudit"]["installed"] = installed
    data = server_plan.plan_server(spec | {"audit_statements": ["ddl", "-misc"]}, facts).as_data()
    values = {setting["name"]: setting["value"] for setting in data["settings"]}
    assert data["problems"] == []
    assert values["shared_preload_libraries"] == "pg_stat_statements, auto_explain, pgaudit"
    assert values["pgaudit.log"] == "ddl, -misc"
    assert values["pgaudit.log_parameter"] == "off"
    assert ("postgresql-17-pgaudit" in data["packages"]) == bool(to_come)
    assert data["libraries_to_come"] == to_come


def test_an_override_wins_and_says_what_was_computed(spec: Data, facts: Data) -> None:
    told = {"audit_statements": ["ddl"], "settings": {"pgaudit.log_catalog": True}}
    settings = {s.name: s for s in server_plan.plan_server(spec | told, facts).settings}
    assert settings["pgaudit.log_catalog"].value == "on"


def test_a_package_that_no_source_has_is_named(spec: Data, facts: Data) -> None:
    facts["packages"]["postgresql-17-pgaudit"]["candidate"] = ""
    (problem,) = server_plan.plan_server(spec | {"audit_statements": ["ddl"]}, facts).as_data()["problems"]
    assert problem.startswith("postgresql-17-pgaudit: is not in this host's package sources")
    declared = spec | {"audit_statements": ["ddl"], "repository": {"uri": "https://example.org"}}
    assert server_plan.plan_server(declared, facts).problems == ()
