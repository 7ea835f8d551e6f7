"""A database with every fault, and the lint as a module is called."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.pgstead.ops.plugins.module_utils._pg import ledger
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, execute
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context
from ansible_collections.pgstead.ops.plugins.modules import schema_lint_info

from .conftest import USER, Server
from .lint_fixtures import CASES as CASES_OF_TABLES
from .lint_fixtures_security import NO_ROLES, ROLES, SECURITY_CASES

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


@contextmanager
def faulty_database(server: Server) -> Iterator[None]:
    """Have a database `lint` with every fault and every twin."""
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
    yield
    server.run("DROP DATABASE lint WITH (FORCE)", f"DROP ROLE {MONITOR}", *NO_ROLES)
