"""Appliers that take back: the server's by a signal where it lets nobody in, the pooler's with the units that it retired."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import (
    ConfigurationRefused,
    ConnectionFailed,
    HostError,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.hidden import NOT_SHOWN
from ansible_collections.pgstead.ops.plugins.module_utils._host import pooler_config, server_config
from ansible_collections.pgstead.ops.plugins.module_utils._host.pooler_config import PoolerApplier
from ansible_collections.pgstead.ops.plugins.module_utils._host.server_config import NAMES, Applier
from ansible_collections.pgstead.ops.plugins.module_utils._pg.serving import Serving
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context

UNIT = "pgbouncer@1.service"


class Units:
    """systemd as far as it is asked: which units run, and what was done with them."""

    def __init__(self, *running: str) -> None:
        self.running, self.asked = set(running), list[str]()

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        words = list(argv)
        if words[:2] == ["systemctl", "is-active"]:
            return (0 if words[-1] in self.running else 3), "", ""
        if words[:2] == ["systemctl", "is-enabled"]:
            return 0, "", ""
        if words[:2] == ["systemctl", "list-units"]:
            return 0, "".join(f"{unit} loaded\n" for unit in sorted({*self.running, UNIT})), ""
        if words[0] == "systemctl" and words[1] not in ("daemon-reload", "show"):
            self.asked.append(" ".join(words[1:]))
            for unit in words[2:]:
                (self.running.discard if words[1] == "stop" else self.running.add)(unit)
        return 0, "", ""


SERVING = Serving(1.0, (), ("max_connections", "Shared_Buffers"), {"shared_buffers": ("500GB", "1GB")})


@pytest.mark.parametrize(("policy", "pending", "due"), [
    ("needed", ("max_connections",), True),
    ("needed", ("shared_buffers",), False),
    ("always", ("shared_buffers",), False),
    ("never", ("max_connections",), False),
])  # fmt: skip
def test_somebodys_alter_system_restarts_nothing(policy: str, pending: tuple[str, ...], due: bool) -> None:
    applier = Applier(Context(Units().run, False), 17, "main", 5432, policy, dict.fromkeys(NAMES, ""))
    assert applier._restart_due(Serving(1.0, (), pending, SERVING.overridden), False) is due
    assert SERVING.ours == ("max_connections",)


@pytest.mark.parametrize(("overridden", "restart"), [
    ({}, True),
    ({"max_connections": ("200", "100")}, False),
    ({"work_mem": ("1MB", None)}, True),
])  # fmt: skip
def test_no_restart_is_predicted_for_what_somebody_overrides(
    overridden: dict[str, tuple[str, str | None]], restart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Applier, "directory", tmp_path)
    (tmp_path / "postgresql.conf").write_text("max_connections = 100\n")
    monkeypatch.setattr(server_config.serving, "read", lambda _target: Serving(1.0, (), (), overridden))
    texts = dict.fromkeys(NAMES, "") | {"postgresql.conf": "max_connections = 150\n"}
    applier = Applier(Context(Units("postgresql@17-main").run, True), 17, "main", 5432, "needed", texts)
    assert applier.predict().data["actions"] == ["reload", *(["restart"] if restart else [])]


@pytest.mark.parametrize(("name", "auto", "main", "words"), [
    ("work_mem", "1MB", "4MB", "work_mem = 1MB in postgresql.auto.conf overrides 4MB: "),
    ("jit", "off", None, "jit = off in postgresql.auto.conf overrides the default: "),
    ("primary_conninfo", "password=s3cret", None, f"primary_conninfo = {NOT_SHOWN} in postgresql.auto.conf overrides the default: "),
    ("restore_command", "s3cret", "s3cret2", f"restore_command = {NOT_SHOWN} in postgresql.auto.conf overrides {NOT_SHOWN}: "),
])  # fmt: skip
def test_what_alter_system_set_is_named_and_no_secret_shown(name: str, auto: str, main: str | None, words: str) -> None:
    applier = Applier(Context(Units().run, False), 17, "main", 5432, "needed", dict.fromkeys(NAMES, ""))
    (warning,) = applier._warnings(Serving(1.0, (), (), {name: (auto, main)}), ())
    assert warning == f"{words}ALTER SYSTEM RESET {name}, or declare it in postgresql_settings"


def test_the_diff_of_a_servers_files_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Applier, "directory", tmp_path)
    monkeypatch.setattr(server_config.service, "is_active", lambda _run, _unit: False)
    (tmp_path / "postgresql.conf").write_text("primary_conninfo = 'password=s3cret'\nwork_mem = 1MB\n")
    (tmp_path / "pg_hba.conf").write_text('host all all all ldap ldapbindpasswd="s3cret"\n')
    texts = dict.fromkeys(NAMES, "") | {"postgresql.conf": "work_mem = 4MB\n"}
    found = Applier(Context(Units().run, True), 17, "main", 5432, "needed", texts).predict()
    assert found.changed
    assert "s3cret" not in str(found)
    assert "work_mem = 1MB" in found.diff[0]["before"]


def test_rules_that_let_nobody_in_are_taken_back_by_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    units, answers = Units("postgresql@17-main"), list[Serving | Exception]()

    def closed(_target: Any) -> Serving:
        raise ConnectionFailed("no pg_hba.conf entry")

    def read(_target: Any) -> Serving:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(server_config.serving, "reload", closed)
    monkeypatch.setattr(server_config.serving, "read", read)
    applier = Applier(Context(units.run, False), 17, "main", 5432, "needed", dict.fromkeys(NAMES, ""))
    answers[:] = [ConnectionFailed("no pg_hba.conf entry"), SERVING]
    assert applier._reloaded(5432) == SERVING
    assert units.asked == ["reload postgresql@17-main"]
    answers[:] = [ConnectionFailed("no pg_hba.conf entry"), SERVING]
    assert applier._reached(5432) == SERVING


def tls_applier(base: Path) -> Applier:
    texts = dict.fromkeys(NAMES, "") | {
        "postgresql.conf": f"ssl_cert_file = '{base}/crt'\nssl_crl_file = '{base}/crl'\n"
    }
    return Applier(Context(Units("postgresql@17-main").run, False), 17, "main", 5432, "needed", texts)


@pytest.mark.parametrize("name", ["crt", "crl"])
def test_a_certificate_with_an_old_time_is_loaded(name: str, tmp_path: Path) -> None:
    """As `cp -p`, rsync, and a link to another one leave it."""
    applier, loaded = tls_applier(tmp_path), time.time() - 60
    assert not applier._stale(loaded)
    (tmp_path / name).write_text("x")
    os.utime(tmp_path / name, (1, 1))
    assert applier._stale(loaded)
    assert not applier._stale(time.time() + 60)


def test_files_are_taken_back_whatever_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full after the first of three files must not leave a new configuration beside old rules."""
    written = list[str]()

    def write(file: Any) -> None:
        if file.path.name == "pg_hba.conf":
            raise OSError(28, "No space left on device")
        written.append(file.path.name)
        file.path.write_text(file.content)

    monkeypatch.setattr(Applier, "directory", tmp_path)
    monkeypatch.setattr(server_config, "write", write)
    monkeypatch.setattr(server_config.serving, "read", lambda _target: SERVING)
    monkeypatch.setattr(server_config.serving, "reload", lambda _target: SERVING)
    applier = Applier(
        Context(Units("postgresql@17-main").run, False), 17, "main", 5432, "never", dict.fromkeys(NAMES, "#\n")
    )
    with pytest.raises(ConfigurationRefused, match="No space left on device — the previous files are back"):
        applier.apply()
    assert written == ["postgresql.conf"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rejecting", "reads"), [(True, 4), (False, 1)])
def test_a_server_that_replays_wal_is_waited_for(rejecting: bool, reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = [0.0], list[int]()

    def read(_target: Any) -> Serving:
        asked.append(1)
        clock[0] += server_config.START_SECONDS + 1
        if len(asked) < 4:
            raise ConnectionFailed("the database system is starting up")
        return SERVING

    monkeypatch.setattr(server_config.serving, "read", read)
    monkeypatch.setattr(server_config.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(server_config.time, "sleep", lambda _seconds: None)

    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        return (1 if rejecting and argv[0].endswith("pg_isready") else 2), "", ""

    applier = Applier(Context(run, False), 17, "main", 5432, "needed", dict.fromkeys(NAMES, ""))
    if rejecting:
        applier._wait_for_start()
    else:
        with pytest.raises(ConnectionFailed):
            applier._wait_for_start()
    assert len(asked) == reads


@pytest.fixture
def units() -> Units:
    return Units("pgbouncer.service")


@pytest.fixture
def pooler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: Units) -> PoolerApplier:
    """A pooler that is to run as two processes, and runs as one by another name."""
    monkeypatch.setattr(pooler_config, "LOADED", tmp_path / "loaded")
    monkeypatch.setattr(pooler_config, "USER", "root")
    monkeypatch.setattr(pooler_config, "POOLER_MARKER", tmp_path / "marker")
    monkeypatch.setattr(PoolerApplier, "_prove", lambda _self, _process: None)
    processes = [
        {"unit": f"pgbouncer@{number}.service", "path": str(tmp_path / f"{number}.ini"), "content": "[pgbouncer]\n"}
        for number in (1, 2)
    ]
    return PoolerApplier(Context(units.run, False), processes, {}, 6432, (1, 23))


def test_a_pooler_that_does_not_start_as_several_serves_on_as_one(
    pooler: PoolerApplier, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: PoolerApplier, process: Any) -> None:
        raise HostError(f"{process['unit']} does not answer")

    monkeypatch.setattr(PoolerApplier, "_verify", refused)
    with pytest.raises(ConfigurationRefused, match="the previous files are back"):
        pooler.apply()
    assert units.running == {"pgbouncer.service"}
    assert not any("disable" in line for line in units.asked)
    assert not Path(pooler.processes[0]["path"]).exists()


def test_a_file_that_somebody_changed_is_read_again(
    pooler: PoolerApplier, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHOW CONFIG does not show databases: the file tells that what is in force may be another's."""
    units.running = {process["unit"] for process in pooler.processes}
    monkeypatch.setattr(PoolerApplier, "_running", lambda _self, _process: None)
    monkeypatch.setattr(PoolerApplier, "_deaf", lambda _self, _process: False)
    monkeypatch.setattr(pooler_config.pooler_admin, "show_config", lambda _console: {})
    for file in pooler.wanted():
        pooler_config.write(file)
    for process in pooler.processes:
        pooler_config.write(pooler_config.Wanted(pooler_config.LOADED / process["unit"], pooler._fingerprint(process)))
    assert [action for _process, action in pooler.decide()] == ["", ""]
    Path(pooler.processes[1]["path"]).write_text("[databases]\nshop = host=elsewhere\n[pgbouncer]\n")
    assert [action for _process, action in pooler.decide()] == ["", "reload"]
