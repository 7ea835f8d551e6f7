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

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import Reach, Target
from ansible_collections.pgstead.ops.plugins.module_utils._host import poolers, restore, restore_work, service
from ansible_collections.pgstead.ops.plugins.module_utils._host.pgbackrest import PgBackRest
from ansible_collections.pgstead.ops.plugins.module_utils._host.restore_wal import keep_unarchived
from ansible_collections.pgstead.ops.plugins.module_utils._host.restore_work import (
    Restore,
    keep_state,
    served,
    was_open,
)
from ansible_collections.pgstead.ops.plugins.module_utils._host.server_log import ServerLog
from ansible_collections.pgstead.ops.plugins.module_utils._pg import recovery
from ansible_collections.pgstead.ops.plugins.module_utils._pg.recovery import State
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context

from .backup_world import backup

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
    told |= {"overwrite": False, "lose_wal": False, "drop_altered": [], "repository": 1, "type": "latest", "target": ""}
    told |= {"repository_time": "", "timeline": "", "stanza": "db1", "pause_seconds": 1, "timeout_seconds": 1}
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
            {"lose_wal": True, "type": "time"},
            True,
            "mend archiving",
        ),  # who replaces a running server knows nothing of it
        ({"type": "time"}, False, "start it so that it archives"),
        (
            {"overwrite": True, "type": "time"},
            False,
            "start it so that it archives",
        ),  # as every command of the docs has it
        ({"lose_wal": True, "type": "time"}, False, ""),
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
    ("state", "told", "said"),
    [
        ("shut down", ("delta", "time"), ""),
        ("shut down", ("aside", "latest"), ""),
        ("shut down in recovery", ("delta", "time"), ""),
        ("in production", ("delta", "time"), "the server was not shut down"),
        ("shutting down", ("delta", "time"), "the server was not shut down"),
        ("in production", ("aside", "time"), ""),
        ("in production", ("aside", "latest"), "the server was not shut down"),  # nor left out
    ],
)
def test_a_server_that_crashed_is_not_written_over(
    work: Restore, host: Host, state: str, told: tuple[str, str], said: str
) -> None:
    mode, kind = told
    host.state = state
    changed = Restore(work.context, {**work.params, "mode": mode}, work.engine, work.live)
    if said:
        with pytest.raises(HostError, match=said):
            keep_unarchived(changed, Target(kind), running=False)
    else:
        keep_unarchived(changed, Target(kind), running=False)


def test_what_goes_on_is_not_asked_again(work: Restore) -> None:
    ready(work, SEGMENT)
    work.state_file.write_text('{"aside": ""}')
    keep_unarchived(work, Target("time"), running=False)


BEFORE, ELSEWHERE = "000000010000000000000004", "000000020000000000000004"
SYSTEM = 7234567890123456789


@pytest.mark.parametrize(
    ("there", "told", "refused"),
    [
        (((SEGMENT,), True, SYSTEM), {}, False),
        (((), True, SYSTEM), {}, True),
        # somebody made archive_command one that says yes to everything
        (((BEFORE,), False, SYSTEM), {}, True),
        (((BEFORE,), False, SYSTEM), {"mode": "aside", "type": "latest"}, True),
        (((BEFORE,), False, SYSTEM), {"mode": "aside", "type": "time"}, False),  # it is kept
        (((BEFORE,), False, SYSTEM + 1), {}, False),  # a new host
        (((ELSEWHERE,), False, SYSTEM), {}, False),  # restored from it, and left alone
        (((BEFORE,), False, SYSTEM), {"timeline": "1"}, False),  # asked to leave it
    ],
)
def test_what_the_server_calls_archived_must_be_there(
    work: Restore,
    monkeypatch: pytest.MonkeyPatch,
    there: tuple[tuple[str, ...], bool, int],
    told: dict[str, str],
    refused: bool,
) -> None:
    segments, ours, system = there
    changed = Restore(work.context, {**work.params, **told}, work.engine, work.live)
    wanted = Target(changed.params["type"])
    monkeypatch.setattr(restore, "archive_all", lambda _work, _wanted: (SEGMENT, ours))
    monkeypatch.setattr(recovery, "state", lambda _place: State(False, False, 1, 2**24, 0, SEGMENT, system))
    found = Reach(1, (), segments, system_id=SYSTEM)
    monkeypatch.setattr(restore, "reach", lambda *_told: (wanted, found))
    if not refused:
        assert restore._prepare(changed, wanted, running=True)[1] == found
        return
    with pytest.raises(HostError, match=f"says that {SEGMENT} is archived, but repository 1 does not have it"):
        restore._prepare(changed, wanted, running=True)


def test_check_mode_counts_what_is_on_its_way(work: Restore, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(work, "000000010000000000000003", BEFORE)
    looking = Restore(Context(work.context.run, True), work.params, work.engine, work.live)
    monkeypatch.setattr(restore, "archive_all", lambda _work, _wanted: (SEGMENT, False))
    monkeypatch.setattr(recovery, "state", lambda _place: State(False, False, 1, 2**24, 0, SEGMENT, SYSTEM))
    there = Reach(1, (), ("000000010000000000000002",), NOW, system_id=SYSTEM)
    monkeypatch.setattr(restore, "reach", lambda *_told: (Target("latest"), there))
    _wanted, found = restore._prepare(looking, Target("latest"), running=True)
    assert [name[-1] for name in found.segments] == ["2", "3", "4", "5"]
    assert found.last_arrived is None


@pytest.mark.parametrize("place", ["main", "pg_wal"])
def test_what_lies_on_another_disk_is_not_moved_aside(work: Restore, tmp_path: Path, place: str) -> None:
    link = work.data if place == "main" else work.data / "pg_wal"
    link.rename(tmp_path / "disk")
    link.symlink_to(tmp_path / "disk")
    changed = Restore(work.context, {**work.params, "mode": "aside"}, work.engine, work.live)
    with pytest.raises(SpecError, match=f"{link} is a mount or a link, and cannot be moved aside: use .*delta"):
        restore._room(changed, backup("b", hours=1, at=10), unfinished=False)


def test_a_segment_is_asked_for_anew_after_a_minute(work: Restore, host: Host) -> None:
    """Archiving waits for longer: at the end of a timeline, pgBackRest itself can wait for what nobody fetches."""
    work.engine.restore("b", [])
    assert '--archive-timeout=60 --repo=1 archive-get %f "%p"' in host.asked[-1]


def test_a_stopped_standby_is_refused(work: Restore) -> None:
    (work.data / "standby.signal").touch()
    with pytest.raises(SpecError, match="is that of a standby: restore its primary"):
        restore._left(work, running=False)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"aside": "/a", "running": True}, {}),
        ({"aside": "/a", "begun": {}}, {}),  # it was taken back
        (
            {"aside": "/a", "begun": {"target": "latest"}},
            {
                "target": "latest",
                "stopped_at": "where its target was, for the run that waited was cut off",
                "aside": "/a",
            },
        ),
        ({"aside": "/a", "begun": {"target": "x"}, "open": {"target": "latest"}}, {"target": "latest"}),
    ],
)
def test_what_an_earlier_restore_came_to(state: dict[str, Any], expected: dict[str, Any]) -> None:
    assert was_open(state) == expected


@pytest.mark.parametrize(
    ("recovering", "overwrite", "outcome"),
    [
        (False, False, "finished"),
        (False, True, "finished"),  # as the same command says it again
        (True, True, "restored"),
    ],
)
def test_a_restore_whose_server_went_on_alone(
    work: Restore, monkeypatch: pytest.MonkeyPatch, recovering: bool, overwrite: bool, outcome: str
) -> None:
    keep_state(work, aside="", running=True, begun={"target": "latest", "phases": {"fetch": 2.0}})
    monkeypatch.setattr(restore, "resume_left", lambda: None)
    monkeypatch.setattr(service, "is_active", lambda _run, _unit: True)
    monkeypatch.setattr(recovery, "state", lambda _place: State(recovering, False, 2, 2**24, 0, SEGMENT, SYSTEM))
    (work.data / "recovery.signal").touch()
    done = []

    def finish(work: Restore, opened: dict[str, Any], _told: str) -> dict[str, Any]:
        done.append(("finished", opened["target"], work.phases))
        return {}

    monkeypatch.setattr(restore, "_finish", finish)
    monkeypatch.setattr(restore, "_witnessed", lambda _work, _data, _now, act: act())
    monkeypatch.setattr(restore, "_prepare", lambda _work, wanted, **_told: (wanted, Reach(1, ())))
    monkeypatch.setattr(restore, "choose", lambda *_told: backup("b", hours=1, at=10))
    monkeypatch.setattr(
        restore, "_restore", lambda *_told, **_more: done.append(("restored", "latest", {"fetch": 2.0}))
    )
    restore.run({**work.params, "overwrite": overwrite}, work.context)
    assert done == [(outcome, "latest", {"fetch": 2.0})]
    assert work.state_file.exists()  # it is theirs


def test_a_refusal_leaves_what_an_earlier_restore_noted(work: Restore, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_state(work, aside="", running=True)
    monkeypatch.setattr(restore, "resume_left", lambda: None)
    monkeypatch.setattr(service, "is_active", lambda _run, _unit: True)
    monkeypatch.setattr(recovery, "state", lambda _place: State(False, False, 1, 2**24, 0, SEGMENT, SYSTEM))
    with pytest.raises(SpecError, match="its databases would be replaced"):
        restore.run(work.params, work.context)
    assert work.state_file.exists()


@pytest.mark.parametrize("ran", [True, False])
def test_a_second_run_that_fails_brings_back_what_served_before_the_first(
    work: Restore, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: bool
) -> None:
    work.data.rename(tmp_path / "aside")
    keep_state(work, aside=str(tmp_path / "aside"), running=ran)
    monkeypatch.setattr(poolers, "WAITING", tmp_path / "paused")
    monkeypatch.setattr(poolers, "consoles", list)
    monkeypatch.setattr(restore.shutil, "chown", lambda *_told: None)
    monkeypatch.setattr(PgBackRest, "restore", lambda *_told: (_ for _ in ()).throw(HostError("no")))
    said = "is back and serving" if ran else "is back, and not running, as it was"
    with pytest.raises(HostError, match=said):
        restore._restore(work, Target("latest"), backup("b", hours=1, at=10), [], {}, running=False)
    assert any("systemctl start postgresql@17-main" in line for line in host.asked) is ran
    assert (work.data / "global/pg_control").exists()
    assert not work.state_file.exists()


def test_only_settings_of_a_name_are_taken_out(work: Restore) -> None:
    path = work.data / "postgresql.auto.conf"
    path.write_text("# by hand\nwork_mem = '8MB'\nrestore_command = 'x ''y'' z'\nRECOVERY_TARGET_TIME='2026'\n")
    path.chmod(0o600)
    restore._take_out(work, frozenset({"restore_command", "recovery_target_time"}))
    assert path.read_text() == "# by hand\nwork_mem = '8MB'\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_alter_system_set_counts_when_settings_are_compared(
    work: Restore, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "controldata", lambda _work: "max_connections setting:   500\n")
    with pytest.raises(HostError, match="max_connections is 100 here, but the server that was backed up had 500"):
        restore._fits(work)
    (work.data / "postgresql.auto.conf").write_text("max_connections = '500'\n")
    restore._fits(work)


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
    settings = work.data / "postgresql.auto.conf"
    settings.write_text("restore_command = 'x'\n")
    reloaded: list[Any] = []
    monkeypatch.setattr(poolers, "WAITING", tmp_path / "paused")
    monkeypatch.setattr(poolers, "consoles", list)
    monkeypatch.setattr(recovery, "left_behind", lambda _place: ("restore_command",))
    monkeypatch.setattr(recovery, "reload", reloaded.append)
    monkeypatch.setattr(restore, "archives", lambda _work: True)
    if said:
        with pytest.raises(HostError, match=said):
            restore._finish(work, opened, asked)
    else:
        assert restore._finish(work, opened, asked) == {"archived": True}
    assert (len(reloaded), settings.read_text()) == (1, "")
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
