"""A setup of backups on a host: what is written, and what is made anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._host import backup_config
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context

REPOSITORIES = [{"key": 1, "name": "local"}, {"key": 2, "name": "store"}]
PARAMS: dict[str, Any] = {"state": "present", "version": 17, "cluster": "main", "stanza": "db1"}
PARAMS |= {"configuration": "[db1]\n", "secrets": "[global]\n", "repositories": REPOSITORIES}
LOST = {"name": "db1", "status": {"code": 0, "lock": {"backup": {"held": False}}}, "archive": [], "backup": []}


def told(*codes: int) -> str:
    """Return what pgbackrest info says of repositories that are as these codes say: 0 good, 1 without a stanza."""
    repositories = [
        {"key": number, "status": {"code": code, "message": "said"}} for number, code in enumerate(codes, 1)
    ]
    there = [{"id": 1, "repo-key": one["key"], "system-id": 7, "version": "17"} for one in repositories]
    return json.dumps([{**LOST, "repo": repositories, "db": there}])


@pytest.mark.parametrize(("check", "proven"), [(False, True), (True, False)])
@pytest.mark.parametrize(("codes", "changed"), [((0, 0), False), ((0, 1), True)])
def test_a_repository_that_was_lost_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, codes: tuple[int, int], changed: bool, check: bool, proven: bool
) -> None:
    """With nothing to write: every message of it says that this mends it."""
    asked, written = [], []

    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        assert "info" in argv
        return 0, told(*codes), ""

    monkeypatch.setattr(backup_config, "differing", lambda _files: [])
    monkeypatch.setattr(backup_config, "_prove", lambda params, _context: asked.append(params["stanza"]))
    monkeypatch.setattr(backup_config, "write", lambda file: written.append(Path(file.path).name))
    outcome = backup_config.run(PARAMS, Context(run, check))
    assert outcome.changed is changed
    assert asked == (["db1"] if changed and proven else [])
    assert written == (["pgbackrest.conf", "secrets.conf", "17-main.json"] if asked else [])
