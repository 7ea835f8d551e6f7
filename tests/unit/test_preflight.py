"""One case for each reason not to touch a host."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import preflight
from ansible_collections.pgstead.ops.plugins.module_utils._core.baseline import Instance

MB = 1024**2
GB = 1024**3
DATA = "/var/lib/postgresql/17/main"
INSTANCE = Instance(17, "main", 5432, DATA, ("localhost",), "C.UTF-8", "/c", "/k")
OURS = {"version": "17", "name": "main", "port": 5432, "data_directory": DATA, "max_connections": 100, "managed": True}
Spoil = Callable[[dict[str, Any]], object]


def verdict(facts: dict[str, Any], *, repository: bool = False, epoch: float | None = None) -> list[str]:
    return [str(problem) for problem in preflight.verdict(facts, preflight.Expectation(INSTANCE, repository, epoch))]


def with_our_cluster(facts: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return facts | {"clusters": [OURS | changed], "listening_ports": [22, 5432], "data_directory_state": "occupied"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _facts: None,
        lambda f: f["distribution"].update(version="12"),
        lambda f: f["distribution"].update(version="12.9"),
        lambda f: f["distribution"].update(version="14"),
        lambda f: f["memory"].update(host_bytes=512 * MB),
        lambda f: f["disks"]["data"].update(free=GB),
        lambda f: f.update(disks={}),
        lambda f: f.update(data_directory_state="empty"),
        lambda f: f["clusters"].append(OURS | {"version": "15", "port": 5433, "managed": False}),
        lambda f: f["packages"].update({"postgresql-17": {"installed": "17.1", "candidate": ""}}),
    ],
)
def test_good_hosts(spoil: Spoil, facts: dict[str, Any]) -> None:
    spoil(facts)
    assert verdict(facts) == []


@pytest.mark.parametrize("changed", [{}, {"data_directory": ""}])
def test_our_own_cluster_is_no_obstacle(changed: dict[str, Any], facts: dict[str, Any]) -> None:
    found = with_our_cluster(facts, **changed)
    found["disks"]["data"]["free"] = 10 * MB  # a full disk must not keep anybody from repairing it
    assert verdict(found) == []


@pytest.mark.parametrize(
    ("spoil", "where", "said"),
    [
        (lambda f: f.update(systemd=False), "systemd", ["process 1"]),
        (lambda f: f["memory"].update(host_bytes=512 * MB - 1), "memory", ["512.0 MB"]),
        (lambda f: f["memory"].update(cgroup_bytes=256 * MB), "memory", ["256.0 MB", "512.0 MB"]),
        (lambda f: f["disks"]["data"].update(free=GB - 1), "disk", ["/var", "1.0 GB"]),
        (lambda f: f.update(hostname_resolves=False), "name resolution", ["db1", "/etc/hosts"]),
        (lambda f: f.update(listening_ports=[5432]), "postgresql_port", ["5432", "another program"]),
        (lambda f: f.update(data_directory_state="occupied"), "postgresql_data_directory", [DATA, "not empty"]),
        (
            lambda f: f["clusters"].append(OURS | {"managed": False}),
            "postgresql_cluster_name",
            ["17/main", "left alone"],
        ),
        (lambda f: f["clusters"].append(OURS | {"name": "other"}), "postgresql_port", ["5432", "17/other"]),
        (lambda f: f["clusters"].append(OURS | {"version": "15"}), "postgresql_port", ["5432", "15/main"]),
        (
            lambda f: f["clusters"].append(OURS | {"data_directory": "/srv"}),
            "postgresql_data_directory",
            [DATA, "/srv"],
        ),
        (
            lambda f: f["packages"].update({"postgresql-17": {"installed": "", "candidate": ""}}),
            "postgresql_version",
            ["17 is not", "they have: 17", "postgresql_repository"],
        ),
        (
            lambda f: f.update(packages={}, majors_available=[]),
            "postgresql_version",
            ["none (are the package lists read?)"],
        ),
        (lambda f: f.update(packages={}, majors_available=[14, 15]), "postgresql_version", ["they have: 14, 15"]),
    ],
)
def test_each_verdict(spoil: Spoil, where: str, said: list[str], facts: dict[str, Any]) -> None:
    spoil(facts)
    (found,) = verdict(facts)
    assert found.startswith(f"{where}: ")
    assert all(word in found for word in said)


@pytest.mark.parametrize(
    ("id_", "version"),
    [("debian", "11"), ("debian", ""), ("debian", "1"), ("ubuntu", "24.04"), ("ubuntu", "12"), ("rocky", "9")],
)
def test_another_distribution_is_the_only_thing_said(id_: str, version: str, facts: dict[str, Any]) -> None:
    facts |= {"distribution": {"id": id_, "version": version, "name": "Some Linux 1"}, "systemd": False, "packages": {}}
    (found,) = verdict(facts)
    assert found == "distribution: Some Linux 1 is not supported: use Debian 12 (bookworm), 13 (trixie), 14 (forky)"


@pytest.mark.parametrize(
    ("skew", "good"), [(None, True), (0, True), (60, True), (-60, True), (60.5, False), (-61, False)]
)
def test_clock(skew: float | None, good: bool, facts: dict[str, Any]) -> None:
    found = verdict(facts, epoch=None if skew is None else facts["epoch"] - skew)
    assert (found == []) is good
    if not good:
        assert found[0].startswith("clock: is ")
        assert f"{skew:+.0f} s" in found[0]


@pytest.mark.parametrize("declared", [True, False])
def test_a_declared_source_is_asked_before_a_major_is_refused(declared: bool, facts: dict[str, Any]) -> None:
    facts["packages"]["postgresql-17"] = {"installed": "", "candidate": ""}
    assert (verdict(facts, repository=declared) == []) is declared


def test_all_verdicts_come_together(facts: dict[str, Any]) -> None:
    facts |= {
        "systemd": False,
        "hostname_resolves": False,
        "listening_ports": [5432],
        "data_directory_state": "occupied",
        "packages": {},
    }
    facts["memory"]["host_bytes"] = MB
    facts["disks"]["data"]["free"] = MB
    assert [text.split(":")[0] for text in verdict(facts, epoch=0.0)] == [
        "systemd",
        "memory",
        "disk",
        "name resolution",
        "clock",
        "postgresql_port",
        "postgresql_data_directory",
        "postgresql_version",
    ]


@pytest.mark.parametrize(("cgroup", "expected"), [(None, 16 * GB), (4 * GB, 4 * GB), (64 * GB, 16 * GB)])
def test_memory_is_the_smaller_limit(cgroup: int | None, expected: int, facts: dict[str, Any]) -> None:
    facts["memory"]["cgroup_bytes"] = cgroup
    assert preflight.resources(facts, "auto").memory_bytes == expected


@pytest.mark.parametrize(("planned", "expected"), [
    (None, 16 * GB),
    (16 * GB + 12 * MB, 16 * GB + 12 * MB),  # another kernel keeps more for itself
    (16 * GB - 12 * MB, 16 * GB - 12 * MB),
    (16 * GB * 100 // 95, 16 * GB * 100 // 95),
    (16 * GB * 100 // 94, 16 * GB),
    (16 * GB * 100 // 106, 16 * GB),
    (8 * GB, 16 * GB),
])  # fmt: skip
def test_about_the_same_memory_is_the_same(planned: int | None, expected: int, facts: dict[str, Any]) -> None:
    facts["memory"]["planned_bytes"] = planned
    assert preflight.resources(facts, "auto").memory_bytes == expected


@pytest.mark.parametrize(("listen", "changed", "refused"), [
    (("*", "localhost", "db1.example.org"), {}, []),
    (("192.0.2.7", "127.0.0.1", "127.0.1.1", "::1", "0.0.0.0", "::", "2001:DB8:0::7"), {}, []),
    (("192.0.2.9", "2001:db8::9"), {}, ["192.0.2.9", "2001:db8::9"]),
    (("fe80::1",), {}, []),  # of which interface, only the server can tell
    (("192.0.2.9",), {"foreign_addresses": True}, []),
    (("192.0.2.9",), {"addresses": []}, []),  # nobody could tell
])  # fmt: skip
def test_addresses_are_the_hosts(
    listen: tuple[str, ...], changed: dict[str, Any], refused: list[str], facts: dict[str, Any]
) -> None:
    instance = dataclasses.replace(INSTANCE, listen_addresses=listen)
    found = preflight.verdict(facts | changed, preflight.Expectation(instance, False, None))
    assert [problem.where for problem in found] == ["postgresql_listen_addresses"] * len(refused)
    assert [problem.what.split()[0] for problem in found] == refused
    assert all("it has 192.0.2.7, 2001:db8::7" in problem.what for problem in found)


@pytest.mark.parametrize(
    ("storage", "disk", "expected"),
    [
        ("auto", {"storage": "hdd", "size": 5}, ("hdd", 5)),
        ("network", {"storage": "hdd", "size": 5}, ("network", 5)),
        ("auto", {}, ("ssd", 0)),
        ("auto", None, ("ssd", 0)),
    ],
)
def test_storage(storage: str, disk: dict[str, Any] | None, expected: tuple[str, int], facts: dict[str, Any]) -> None:
    facts["disks"] = {"data": disk}
    found = preflight.resources(facts, storage)
    assert (found.storage, found.data_disk_bytes) == expected
    assert found.cpus == 8
