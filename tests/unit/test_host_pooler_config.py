"""What is in force in PgBouncer against what is written."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import (
    ConfigurationRefused,
    ConnectionFailed,
    StatementFailed,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.hidden import FILE
from ansible_collections.pgstead.ops.plugins.module_utils._host import pooler_config
from ansible_collections.pgstead.ops.plugins.module_utils._host.pooler_config import PoolerApplier
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context

TEXT = """;; managed
[databases]
port = 1
shop = host=/var/run/postgresql
[pgbouncer]
; why
listen_port = 6432
pool_mode = transaction
logfile =
query_timeout = 30
[peers]
1 = host=/run/pgbouncer-1
pool_mode = session
"""
IN_FORCE = {"listen_port": "6432", "pool_mode": "transaction", "logfile": "", "query_timeout": "30.000", "other": "x"}


@pytest.mark.parametrize(
    ("written", "shown", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("", "", True),
        ("30", "30.0", True),
        ("3", "30", False),
        ("0", "", False),
        ("on", "1", False),
        ("a b", "a", False),
    ],
)
def test_same(written: str, shown: str, expected: bool) -> None:
    assert pooler_config.same(written, shown) is expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ()),
        ({"listen_port": "6433"}, ("listen_port",)),
        ({"pool_mode": "session", "query_timeout": "31"}, ("pool_mode", "query_timeout")),
        ({"other": "y"}, ()),
    ],
)
def test_mismatches(changed: dict[str, str], expected: tuple[str, ...]) -> None:
    assert pooler_config.mismatches(TEXT, IN_FORCE | changed) == expected


def test_a_setting_that_pgbouncer_does_not_show() -> None:
    shown = {name: value for name, value in IN_FORCE.items() if name != "pool_mode"}
    assert pooler_config.mismatches(TEXT, shown) == ("pool_mode",)


def test_an_empty_value_is_compared_too() -> None:
    assert pooler_config.mismatches("[pgbouncer]\nlogfile = \n", {"logfile": "/var/log/x"}) == ("logfile",)


OLD, NEW = 6432, 6433
ONE, SEVERAL = ("pgbouncer.service",), ("pgbouncer@1.service", "pgbouncer@2.service")


class Host:
    """Units of a host and their consoles: one that is started makes a socket for the port of its file."""

    def __init__(self, base: Path) -> None:
        self.base, self.done, self.running = base, list[str](), set[str]()
        self.failing = set[str]()
        self.outdated = False  # a unit's file is newer than what systemd has read

    def directory(self, unit: str) -> Path:
        return self.base / unit.removesuffix(".service")

    def file(self, unit: str) -> Path:
        return self.base / f"{unit}.ini"

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        verb, units = argv[1], [word for word in argv if word.endswith(".service")]
        if argv[0] != "systemctl" or verb in ("daemon-reload", "is-enabled"):
            self.outdated &= verb != "daemon-reload"
            return 0, "", ""
        told = {
            "is-active": "",
            "list-units": "".join(f"{unit} loaded\n" for unit in self.running),
            "show": "no\nyes\n" if self.outdated else "no\nno\n",
        }
        if verb in told:
            return (3 if verb == "is-active" and units[0] not in self.running else 0), told[verb], ""
        self.done.append(" ".join([verb, *units]))
        for unit in units:
            self.stop(unit)
            if verb in ("start", "restart"):
                if unit in self.failing:
                    return 1, "", "Job failed."
                self.start(unit)
        return 0, "", ""

    def start(self, unit: str) -> None:
        self.running.add(unit)
        self.directory(unit).mkdir(exist_ok=True)
        text = self.file(unit).read_text()
        path = self.directory(unit) / f".s.PGSQL.{text.rpartition('listen_port = ')[2].strip()}"
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))

    def stop(self, unit: str) -> None:
        self.running.discard(unit)
        self.close(unit)

    def close(self, unit: str) -> None:
        for path in self.directory(unit).glob(".s.PGSQL.*"):
            path.unlink()

    def show_config(self, console: Any) -> Mapping[str, str]:
        self.reach(console)
        return {"listen_port": str(console.port)}

    def reach(self, console: Any) -> None:
        if not Path(console.socket_directory, f".s.PGSQL.{console.port}").exists():
            raise ConnectionFailed(f"nothing listens on {console.port}")

    def drain(self, console: Any) -> None:
        """As PgBouncer 1.23 does: the socket goes at once, the process when its last client has."""
        self.reach(console)
        unit = f"{Path(console.socket_directory).name}.service"
        self.done.append(f"drain {unit}")
        self.stop(unit)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path)
    monkeypatch.setattr(pooler_config, "LOADED", tmp_path / "loaded")
    monkeypatch.setattr(pooler_config, "POOLER_MARKER", tmp_path / "marker")
    monkeypatch.setattr(pooler_config, "USER", "root")
    monkeypatch.setattr(pooler_config, "START_SECONDS", 0.1)
    monkeypatch.setattr(pooler_config, "DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(pooler_config, "has_driver", lambda: True)
    monkeypatch.setattr(PoolerApplier, "_prove", lambda _self, _process: None)
    monkeypatch.setattr(PoolerApplier, "_deaf", lambda _self, _process: False)
    for name in ("show_config", "drain"):
        monkeypatch.setattr(pooler_config.pooler_admin, name, getattr(found, name))
    monkeypatch.setattr(pooler_config.pooler_admin, "reload", found.reach)
    return found


def content(port: int) -> str:
    return f"[pgbouncer]\nlisten_port = {port}\n"


def applier(host: Host, units: Sequence[str], port: int, *, check_mode: bool = False) -> PoolerApplier:
    processes = [
        {
            "unit": unit,
            "path": str(host.file(unit)),
            "socket_directory": str(host.directory(unit)),
            "content": content(port),
        }
        for unit in units
    ]
    return PoolerApplier(Context(host.run, check_mode), processes, {}, port, (1, 24))


def serving(host: Host, units: Sequence[str]) -> None:
    """Have units serve on the old port, as an earlier run left them."""
    for unit in units:
        host.file(unit).write_text(content(OLD))
        host.start(unit)


def test_a_new_port_reaches_each_process_while_it_has_the_old(host: Host) -> None:
    serving(host, SEVERAL)
    assert applier(host, SEVERAL, NEW).apply().changed
    assert host.done == [f"{verb} {unit}" for unit in SEVERAL for verb in ("drain", "restart")]
    assert not applier(host, SEVERAL, NEW).apply().changed


def test_units_that_were_written_are_read(host: Host) -> None:
    """By the run that wrote them, which said so, or by the next one where it was cut off."""
    serving(host, SEVERAL)
    applier(host, SEVERAL, OLD).apply()
    host.outdated = True
    assert not applier(host, SEVERAL, OLD, check_mode=True).apply().changed
    assert host.outdated
    assert not applier(host, SEVERAL, OLD).apply().changed
    assert not host.outdated


def test_a_renewed_certificate_is_proven_before_it_is_loaded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """PgBouncer keeps the old one, says nothing to who reloads it, and does not start with the new one."""
    certificate = host.base / "server.crt"
    certificate.write_text("old")
    text = f"[pgbouncer]\nclient_tls_cert_file = {certificate}\nlisten_port = {OLD}\n"
    shown = {"listen_port": str(OLD), "client_tls_cert_file": str(certificate)}
    monkeypatch.setattr(pooler_config.pooler_admin, "show_config", lambda _console: shown)
    host.file(ONE[0]).write_text(text)
    host.start(ONE[0])
    pooler = applier(host, ONE, OLD)
    pooler.processes = [{**pooler.processes[0], "content": text}]
    assert pooler.apply().changed
    assert not pooler.apply().changed
    pooler.actions.clear()
    os.utime(certificate, (1, 1))

    def refuse(_self: PoolerApplier, _process: Mapping[str, Any]) -> None:
        raise ConfigurationRefused("it may not be read")

    with monkeypatch.context() as once:
        once.setattr(PoolerApplier, "_prove", refuse)
        with pytest.raises(ConfigurationRefused, match="it may not be read"):
            pooler.apply()
    assert pooler.actions == []
    assert pooler.apply().data["actions"] == [f"reload {ONE[0]}"]


@pytest.mark.parametrize(("before", "declared", "differs"), [
    ('"postgres" ""\n"shop" "s3cret"\n', '"postgres" ""\n', True),
    (None, '"postgres" ""\n', True),
    ('"postgres" ""\n', '"postgres" ""\n', False),
])  # fmt: skip
def test_no_password_in_the_diff_of_a_pooler(before: str | None, declared: str, differs: bool, host: Host) -> None:
    """Neither of userlist.txt, to which a person added it, nor of a database's line."""
    serving(host, ONE)
    path = host.base / "userlist.txt"
    if before is not None:
        pooler_config.write(pooler_config.Wanted(path, before, "root", "root", 0o640))
    host.file(ONE[0]).write_text(f"[databases]\nshop = host=db password=s3cret\n{content(OLD)}")
    pooler = applier(host, ONE, OLD, check_mode=True)
    pooler.shared = {str(path): declared}
    found = pooler.apply()
    assert found.changed
    assert "s3cret" not in str(found)
    (ini, *others) = found.diff
    assert "shop = host=db password=(not shown" in ini["before"]
    assert [(entry["before"], entry["after"]) for entry in others] == ([("", FILE)] if differs else [])


@pytest.mark.parametrize("check_mode", [True, False])
def test_one_that_was_left_draining_is_started_anew(host: Host, *, check_mode: bool) -> None:
    serving(host, SEVERAL)
    assert applier(host, SEVERAL, NEW).apply().changed
    host.done.clear()
    host.close(SEVERAL[1])  # its last client has not left: the unit is active, the socket gone
    outcome = applier(host, SEVERAL, NEW, check_mode=check_mode).apply()
    assert outcome.data["actions"] == [f"restart {SEVERAL[1]}"]
    assert host.done == ([] if check_mode else [f"restart {SEVERAL[1]}"])


def test_a_host_without_the_driver_restarts_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    serving(host, ONE)
    monkeypatch.setattr(pooler_config, "has_driver", lambda: False)
    host.close(ONE[0])
    with pytest.raises(ConnectionFailed):
        applier(host, ONE, OLD).decide()


def test_one_that_has_its_socket_and_does_not_answer_is_a_persons_to_restart(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may serve clients, who would be cut."""

    def hangs(_console: Any) -> Any:
        raise ConnectionFailed("timeout expired")

    serving(host, ONE)
    monkeypatch.setattr(pooler_config.pooler_admin, "show_config", hangs)
    with pytest.raises(ConnectionFailed, match="timeout expired"):
        applier(host, ONE, OLD).decide()


def test_several_serve_on_where_one_does_not_start(host: Host) -> None:
    """Debian's own file is there for it, and is nothing to serve with."""
    serving(host, SEVERAL)
    host.file(ONE[0]).write_text("; Debian's own\n")
    host.failing = set(ONE)
    with pytest.raises(ConfigurationRefused, match=r"start pgbouncer.service failed: .* the previous files are back"):
        applier(host, ONE, OLD).apply()
    assert host.running == set(SEVERAL)
    assert host.done[-2:] == [f"stop {ONE[0]}", f"start {' '.join(SEVERAL)}"]
    assert host.file(ONE[0]).read_text() == "; Debian's own\n"


def test_what_served_is_started_whatever_else_fails(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the first failure is said first."""
    serving(host, SEVERAL)
    host.failing = set(ONE)

    def full(_before: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pooler_config, "restore", full)
    with pytest.raises(
        ConfigurationRefused, match=r"(?s)^systemctl start .*taking it back failed too: .*No space left"
    ):
        applier(host, ONE, OLD).apply()
    assert host.running == set(SEVERAL)


def test_a_reload_that_is_refused_is_taken_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    serving(host, ONE)
    refusals = ["RELOAD failed, see logs"]

    def reload(_console: Any) -> None:
        if refusals:
            raise StatementFailed(refusals.pop())

    monkeypatch.setattr(pooler_config.pooler_admin, "reload", reload)
    changed = applier(host, ONE, OLD)
    changed.processes[0]["content"] += "\n[databases]\n"
    with pytest.raises(ConfigurationRefused, match="see logs — the previous files are back"):
        changed.apply()
    assert host.file(ONE[0]).read_text() == content(OLD)
