"""One look at a host, which here is a directory."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.preflight import Expectation, verdict
from ansible_collections.pgstead.ops.plugins.module_utils._core.server_plan import instance_of
from ansible_collections.pgstead.ops.plugins.module_utils._host import facts

DATA = "/var/lib/postgresql/17/main"
TCP = """  sl  local_address rem_address   st tx_queue
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000
   1: 0100007F:9C40 0100007F:1538 01 00000000:00000000
"""
TCP6 = (
    "  sl  local_address st\n   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0\n"
)
POLICY = """postgresql-17:
  Installed: (none)
  Candidate: 17.6-0+deb13u1
  Version table:
     17.6-0+deb13u1 500
postgresql-15:
  Installed: 15.9-1
  Candidate: (none)
  Version table:
pgbouncer:
  Installed: 1.24.1-1
  Candidate: 1.24.1-1
  Version table:
"""
ADDRESSES = """2: eth0    inet 192.0.2.7/24 brd 192.0.2.255 scope global eth0
2: eth0    inet6 2001:db8::7/64 scope global
"""
FILES = {
    "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
    "/run/systemd/system/x": "",
    "/proc/meminfo": "MemTotal:       16315416 kB\nMemFree: 1 kB\nHugepagesize:       2048 kB\n",
    "/proc/net/tcp": TCP,
    "/proc/net/tcp6": TCP6,
    "/proc/1/status": "CapInh:\t0\nCapEff:\t000001ffffffffff\n",
    "/proc/1/limits": "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n",
}


def run(argv: Sequence[str]) -> tuple[int, str, str]:
    if argv[0] == "apt-cache":
        return 0, POLICY, ""
    return (0, ADDRESSES, "") if argv[0] == "ip" else (127, "", "no such command")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a host below tmp_path and let the module see only that."""
    for name, text in FILES.items():
        put(tmp_path, name, text)
    monkeypatch.setattr(facts, "Path", lambda name: tmp_path / str(name).lstrip("/"))
    monkeypatch.setattr(facts, "CONFIGURATIONS", tmp_path / "etc/postgresql")
    monkeypatch.setattr(facts, "MARKERS", tmp_path / "var/lib/pgstead/clusters")
    monkeypatch.setattr(facts, "RESOURCES", tmp_path / "etc/pgstead/resources.json")
    monkeypatch.setattr(facts, "POOLER_MARKER", tmp_path / "var/lib/pgstead/pooler/managed")
    monkeypatch.setattr(facts, "memory_limit", lambda unit: {"postgresql@17-main": 4096}[unit])
    monkeypatch.setattr(facts, "processors", lambda unit: {"postgresql@17-main": 3}[unit])
    return tmp_path


def put(root: Path, name: str, text: str) -> None:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def observe() -> dict[str, Any]:
    return facts.observe(run, (17, "main"), DATA, ("/none.crt", "/none.key"), ["/proc", "/missing"])


def test_a_bare_host(root: Path) -> None:
    found = observe()
    assert found["distribution"] == {"id": "debian", "version": "13", "name": "Debian GNU/Linux 13 (trixie)"}
    assert found["systemd"] is True
    assert found["memory"] == {
        "host_bytes": 16315416 * 1024,
        "cgroup_bytes": 4096,
        "planned_bytes": None,
        "huge_page_bytes": 2 * 1024**2,
    }
    assert found["foreign_addresses"] is False
    assert found["cpus"] == 3
    assert found["addresses"] == ["192.0.2.7", "2001:db8::7"]
    assert found["listening_ports"] == [22, 5432]
    assert found["pooler_configuration"] == "absent"
    assert found["dpkg_interrupted"] is False
    assert found["capabilities"] == {"sys_resource": True}
    assert found["limits"] == {"nofile": 524288}
    assert found["missing_directories"] == ["/missing"]
    assert found["data_directory_state"] == "absent"
    assert found["clusters"] == []
    assert found["tls"]["error"] == "/none.crt does not exist on the host"
    disk = found["disks"]["data"]
    assert disk["mount"] == str(root)
    assert 0 < disk["free"] <= disk["size"]


def test_what_the_settings_in_force_were_computed_from(root: Path) -> None:
    put(root, "/etc/pgstead/resources.json", '{"memory_bytes": 5}\n')
    assert observe()["memory"]["planned_bytes"] == 5


@pytest.mark.parametrize(
    ("family", "text", "expected"), [("ipv4", "1", True), ("ipv6", "1", True), ("ipv4", "0", False)]
)
def test_addresses_that_come_later(family: str, text: str, expected: bool, root: Path) -> None:
    put(root, f"/proc/sys/net/{family}/ip_nonlocal_bind", f"{text}\n")
    assert observe()["foreign_addresses"] is expected


def test_packages(root: Path) -> None:
    found = observe()
    assert found["packages"]["postgresql-17"] == {"installed": "", "candidate": "17.6-0+deb13u1"}
    assert found["packages"]["pgbouncer"] == {"installed": "1.24.1-1", "candidate": "1.24.1-1"}
    assert found["packages"]["python3-psycopg2"] == {"installed": "", "candidate": ""}
    assert "postgresql-15" not in found["packages"]
    assert found["majors_available"] == [17]


def test_what_is_seen_can_be_judged(root: Path, spec: dict[str, Any]) -> None:
    """The shape of the facts is the one that preflight reads."""
    found = observe()
    found["memory"]["cgroup_bytes"] = None
    found["hostname_resolves"] = True
    wheres = {problem.where for problem in verdict(found, Expectation(instance_of(spec), False, None))}
    assert wheres <= {"postgresql_port", "disk"}
    assert "postgresql_port" in wheres


def test_every_major_is_asked_for(root: Path) -> None:
    asked: list[str] = []

    def listen(argv: Sequence[str]) -> tuple[int, str, str]:
        asked.extend(argv)
        return run(argv)

    facts.observe(listen, (17, "main"), DATA, ("/c", "/k"), [])
    majors = [f"postgresql-{major}" for major in range(14, 19)]
    assert [word for word in asked if word.startswith("postgresql-1") and word != "postgresql-17-pgaudit"] == majors
    assert "postgresql-17-pgaudit" in asked
    assert "pgbouncer" in asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\nVERSION_CODENAME=forky\n", ("debian", "14", "unknown")),
        ('PRETTY_NAME="Ubuntu 24.04"\nID=ubuntu\nVERSION_ID="24.04"\n', ("ubuntu", "24.04", "Ubuntu 24.04")),
        ("ID=debian\nVERSION_CODENAME=sid\n", ("debian", "", "unknown")),
        ("", ("", "", "unknown")),
    ],
)
def test_distributions(text: str, expected: tuple[str, str, str], root: Path) -> None:
    put(root, "/etc/os-release", text)
    found = observe()["distribution"]
    assert (found["id"], found["version"], found["name"]) == expected


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ("", (5432, "", 100)),
        ("port = 5433\ndata_directory = '/srv/pg'\nmax_connections = 40\n", (5433, "/srv/pg", 40)),
        ("port 5433\nmax_connections '40'\n", (5433, "", 40)),
        ("#port = 5433\n # max_connections = 40\n", (5432, "", 100)),
        ("superuser_reserved_connections = 3\n  port='6000'\n", (6000, "", 100)),
    ],
)
def test_clusters(conf: str, expected: tuple[int, str, int], root: Path) -> None:
    put(root, "/etc/postgresql/17/main/postgresql.conf", conf)
    put(root, "/etc/postgresql/15/old/postgresql.conf", "")
    put(root, "/etc/postgresql/16/half/pg_hba.conf", "")
    put(root, "/var/lib/pgstead/clusters/17-main.json", "{}")
    old, main = facts.clusters()
    assert (old["version"], old["name"], old["managed"]) == ("15", "old", False)
    assert (main["version"], main["name"], main["managed"]) == ("17", "main", True)
    assert (main["port"], main["data_directory"], main["max_connections"]) == expected


@pytest.mark.parametrize(("file", "expected"), [("", "empty"), ("PG_VERSION", "occupied")])
def test_data_directory(file: str, expected: str, root: Path) -> None:
    (root / DATA.lstrip("/")).mkdir(parents=True)
    if file:
        put(root, f"{DATA}/{file}", "17\n")
    assert observe()["data_directory_state"] == expected


def test_a_host_that_may_little(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "/proc/1/status", "CapEff:\t00000000a80425fb\n")
    put(root, "/proc/1/limits", "Max open files            1024                 unlimited            files\n")
    put(root, "/etc/apt/sources.list.d/x.sources", "")
    for name in ("proc/net/tcp", "proc/net/tcp6", "run/systemd/system/x"):
        (root / name).unlink()
    (root / "run/systemd/system").rmdir()

    def fail(*args: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    found = facts.observe(lambda _argv: (127, "", ""), (17, "main"), DATA, ("/c", "/k"), [])
    assert found["capabilities"] == {"sys_resource": False}
    assert found["limits"] == {"nofile": 2**30}
    assert found["listening_ports"] == found["addresses"] == found["majors_available"] == []
    assert found["systemd"] is found["hostname_resolves"] is False


@pytest.mark.parametrize(("flag", "expected"), [("1\n", "hdd"), ("0\n", "ssd"), (None, "ssd")])
@pytest.mark.parametrize("place", ["queue", "../queue"])
def test_storage(flag: str | None, expected: str, place: str, root: Path) -> None:
    device = root.stat().st_dev
    node = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"
    (root / node.lstrip("/")).mkdir(parents=True)
    if flag:
        put(root, f"{node}/{place}/rotational", flag)
    assert observe()["disks"]["data"]["storage"] == expected


@pytest.mark.parametrize(
    ("text", "marked", "conffiles", "expected"),
    [
        ("mine\n", False, "", "foreign"),
        ("mine\n", False, " {path} 00000000000000000000000000000000\n", "foreign"),
        ("package\n", False, " /etc/default/pgbouncer {md5}\n", "foreign"),
        ("package\n", False, " {path} {md5}\n", "pristine"),
        ("mine\n", True, "", "managed"),
    ],
)
def test_whose_pooler(text: str, marked: bool, conffiles: str, expected: str, root: Path) -> None:
    put(root, "/etc/pgbouncer/pgbouncer.ini", text)
    if marked:
        put(root, "/var/lib/pgstead/pooler/managed", "")
    sums = {"path": root / "etc/pgbouncer/pgbouncer.ini", "md5": hashlib.md5(text.encode()).hexdigest()}

    def ask(argv: Sequence[str]) -> tuple[int, str, str]:
        return (0, conffiles.format(**sums), "") if argv[0] == "dpkg-query" else run(argv)

    assert facts.observe(ask, (17, "main"), DATA, ("/c", "/k"), [])["pooler_configuration"] == expected


def test_an_interrupted_dpkg(root: Path) -> None:
    put(root, "/var/lib/dpkg/updates/0001", "")
    assert observe()["dpkg_interrupted"] is True


def test_a_cut_off_creation_is_ours(root: Path) -> None:
    put(root, f"{DATA}/base/1", "")
    put(root, "/var/lib/pgstead/clusters/17-main.json", json.dumps({"data_directory": str(root / DATA.lstrip("/"))}))
    assert observe()["data_directory_state"] == "ours"
