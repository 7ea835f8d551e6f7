"""The lookup function in databases that are there, and in those that will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConnectionFailed, DatabaseMissing
from ansible_collections.pgstead.ops.plugins.module_utils._host import pooler_auth
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context

ASKED: dict[str, Any] = {"port": 5432, "databases": ["shop", "new"]}


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has shop, where nothing is to do, and not new."""
    (tmp_path / ".s.PGSQL.5432").touch()
    monkeypatch.setattr(pooler_auth, "SOCKETS", str(tmp_path))

    def steps(target: Any) -> list[str]:
        if target.database == "new":
            raise DatabaseMissing('database "new" does not exist')
        return []

    monkeypatch.setattr(pooler_auth.pooler_auth, "steps", steps)
    monkeypatch.setattr(pooler_auth.pooler_auth, "install", steps)


def context(*, check_mode: bool) -> Context:
    return Context(lambda _argv: (0, "", ""), check_mode)


def test_check_mode_predicts_it_for_a_database_that_will_be_made() -> None:
    outcome = pooler_auth.run(ASKED, context(check_mode=True))
    assert outcome.changed
    assert outcome.data["statements"][0] == "CREATE SCHEMA IF NOT EXISTS pgbouncer"
    assert outcome.data["statements"][-1] == 'GRANT CONNECT ON DATABASE "new" TO pgbouncer_auth'
    assert not pooler_auth.run(ASKED | {"databases": ["shop"]}, context(check_mode=True)).changed


def test_a_run_needs_the_database() -> None:
    with pytest.raises(DatabaseMissing):
        pooler_auth.run(ASKED, context(check_mode=False))


def test_check_mode_still_says_that_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_target: Any) -> list[str]:
        raise ConnectionFailed("no pg_hba.conf entry")

    monkeypatch.setattr(pooler_auth.pooler_auth, "steps", closed)
    with pytest.raises(ConnectionFailed):
        pooler_auth.run(ASKED, context(check_mode=True))
