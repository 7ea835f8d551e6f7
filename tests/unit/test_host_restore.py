"""A restore's decisions on a host: what would be lost, what an earlier one left, and why a server did not come up."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import Reach, Target
from ansible_collections.pgstead.ops.plugins.module_utils._host import poolers, restore, restore_work
from ansible_collections.pgstead.ops.plugins.module_utils._host.pgbackrest import PgBackRest
from ansible_collections.pgstead.ops.plugins.module_utils._host.restore_wal import keep_unarchived
from ansible_collections.pgstead.ops.plugins.module_utils._host.restore_work import Restore, served
from ansible_collections.pgstead.ops.plugins.module_utils._host.server_log import ServerLog
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context

SEGMENT = "000000010000000000000005"
NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


class Host:
    """A host by its answers: the state of the cluster's files, and what systemd says to `start`."""

    def __init__(self) -> None:
        self.state, self.starts, self.asked = "shut down", True, list[str]()

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        self.asked.append(" ".join(argv))
        if any(word.endswith("pg_controldata") for word in argv):
            return 0, f"Database cluster state:               {self.state}\n", ""
        if argv[:2] == ["systemctl", "start"] and not self.starts:
            return 1, "", "Job failed."
        return 0, "", ""


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Host) -> Restore:
    monkeypatch.setattr(restore_work, "STATES", tmp_path / "states")
    monkeypatch.setattr(restore, "STATES", tmp_path / "states")
    (tmp_path / "states").mkdir()
    data = tmp_path / "main"
    (data / "pg_wal/archive_status").mkdir(parents=True)
    (data / "global").mkdir()
    (data / "global/pg_control").touch()
    told = {"version": 17, "cluster": "main", "data_directory": str(data), "port": 5432, "mode": "delta", "set": ""}
    told |= {"overwrite": False, "repository_time": "", "timeline": "", "pause_seconds": 1, "timeout_seconds": 1}
    engine = PgBackRest(host.run, "db1", (1,))
    return Restore(Context(host.run, False), told, engine, engine)


def ready(work: Restore, *names: str) -> None:
    for name in names:
        (work.data / f"pg_wal/archive_status/{name}.ready").touch()


@pytest.mark.parametrize(
    ("told", "running", "said"),
    [
        ({"type": "time"}, True, f"1 segments of WAL, from {SEGMENT} on, .* would be lost: mend archiving.*runs again"),
        (
            {"overwrite": True, "type": "time"},
            True,
            "mend archiving",
        ),  # who replaces a running server knows nothing of it
        ({"type": "time"}, False, "start it so that it archives"),
        ({"overwrite": True, "type": "time"}, False, ""),
        ({"mode": "aside", "type": "latest"}, True, "mend archiving"),
        ({"mode": "aside", "type": "latest"}, False, "start it so that it archives"),
        ({"mode": "aside", "type": "time"}, True, ""),  # they are kept
        ({"mode": "aside", "repository_time": "2026-03-15 00:00:00+00", "type": "latest"}, True, ""),
    ],
)
def test_wal_that_is_in_no_repository(
    work: Restore, host: Host, told: dict[str, Any], running: bool, said: str
) -> None:
    ready(work, SEGMENT, "00000002.history")
    changed = Restore(work.context, {**work.params, **told}, work.engine, work.live)
    if not said:
        keep_unarchived(changed, Target(changed.params["type"]), running=running)
        return
    with pytest.raises(HostError, match=said):
        keep_unarchived(changed, Target(changed.params["type"]), running=running)
    assert any("systemctl start postgresql@17-main" in line for line in host.asked) is running


@pytest.mark.parametrize(
    ("state", "mode", "said"),
    [
        ("shut down", "delta", ""),
        ("shut down in recovery", "delta", ""),
        ("in production", "delta", "the server was not shut down"),
        ("shutting down", "delta", "the server was not shut down"),
        ("in production", "aside", ""),
    ],
)
def test_a_server_that_crashed_is_not_written_over(work: Restore, host: Host, state: str, mode: str, said: str) -> None:
    host.state = state
    changed = Restore(work.context, {**work.params, "mode": mode}, work.engine, work.live)
    if said:
        with pytest.raises(HostError, match=said):
            keep_unarchived(changed, Target("time"), running=False)
    else:
        keep_unarchived(changed, Target("time"), running=False)


def test_what_goes_on_is_not_asked_again(work: Restore) -> None:
    ready(work, SEGMENT)
    work.state_file.write_text('{"aside": ""}')
    keep_unarchived(work, Target("time"), running=False)


@pytest.mark.parametrize(("segments", "refused"), [((SEGMENT,), False), ((), True)])
def test_what_the_server_calls_archived_must_be_there(
    work: Restore, monkeypatch: pytest.MonkeyPatch, segments: tuple[str, ...], refused: bool
) -> None:
    monkeypatch.setattr(restore, "archive_all", lambda _work, _wanted: (SEGMENT, True))
    found = Reach(1, (), segments)
    monkeypatch.setattr(restore, "reach", lambda *_told: (Target("latest"), found))
    if not refused:
        assert restore._prepare(work, Target("latest"), running=True)[1] == found
        return
    with pytest.raises(HostError, match=f"says that {SEGMENT} is archived, but repository 1 does not have it"):
        restore._prepare(work, Target("latest"), running=True)


def test_a_stale_file_of_a_server_is_none(work: Restore) -> None:
    path = work.data / "postmaster.pid"
    for text in ("", "nonsense\n", f"{os.getpid()}\n/var/lib\n", "4194305\n"):
        path.write_text(text)
        assert not served(work)
    with subprocess.Popen(["sleep", "60"], cwd=work.data) as there:
        path.write_text(f"{there.pid}\n")
        assert served(work)
        there.kill()


@pytest.mark.parametrize(
    ("asked", "said"), [("name X", ""), ("latest", "restore, to name X, had been cut off .* for latest")]
)
def test_what_was_cut_off_after_the_server_was_open_is_finished(
    work: Restore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str, said: str
) -> None:
    opened = {"target": "name X", "backup": "B", "repository": 1, "stopped_at": "there", "aside": ""}
    work.state_file.write_text(json.dumps({"aside": "", "open": opened}))
    forgotten: list[Any] = []
    monkeypatch.setattr(poolers, "WAITING", tmp_path / "paused")
    monkeypatch.setattr(poolers, "consoles", list)
    monkeypatch.setattr(restore.recovery, "forget_recovery", forgotten.append)
    monkeypatch.setattr(restore, "archives", lambda _work: True)
    if said:
        with pytest.raises(HostError, match=said):
            restore._finish(work, opened, asked)
    else:
        assert restore._finish(work, opened, asked) == {"archived": True}
    assert len(forgotten) == 1
    assert not work.state_file.exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["FATAL:  recovery ended before configured recovery target was reached"], "the target lies beyond the WAL"),
        ([], "systemctl start postgresql@17-main failed: Job failed"),
    ],
)
def test_a_server_that_ends_while_it_is_started_says_why(
    work: Restore, host: Host, lines: list[str], said: str
) -> None:
    class Log(ServerLog):
        def lines(self) -> list[str]:
            return lines

    host.starts = False
    with pytest.raises(HostError, match=said):
        restore._recover(work, Log(17, "main"))
