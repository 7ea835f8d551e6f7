"""tune(): every value accepted, every value explained, the budget holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import catalogue
from ansible_collections.pgstead.ops.plugins.module_utils._core import tuning as t
from ansible_collections.pgstead.ops.plugins.module_utils._core.units import GB, MB, TB, parse_size

HOST = t.Resources(16 * GB, 8, "ssd", 200 * GB)
HOSTS = [
    t.Resources(memory, cpus, storage, disk)
    for memory, cpus, storage, disk in [
        (512 * MB, 1, "ssd", 10 * GB),
        (512 * MB, 64, "hdd", 0),
        (1 * GB, 1, "hdd", 20 * GB),
        (2 * GB, 2, "ssd", 1 * GB),
        (4 * GB, 2, "network", 100 * GB),
        (16 * GB, 8, "ssd", 200 * GB),
        (64 * GB, 16, "ssd", 2 * TB),
        (256 * GB, 32, "network", 8 * TB),
        (512 * GB, 64, "ssd", 64 * TB),
    ]
]


def values(resources: t.Resources = HOST, profile: str = "oltp", version: int = 17, **more: Any) -> dict[str, str]:
    return {setting.name: setting.value for setting in t.tune(resources, profile, version, **more)}


def check(resources: t.Resources, profile: str, version: int) -> None:
    settings = t.tune(resources, profile, version)
    assert len({setting.name for setting in settings}) == len(settings)
    for setting in settings:
        assert setting.reason
        assert catalogue.complaint(version, setting.name, setting.value) is None, setting
    found = {setting.name: setting.value for setting in settings}
    spent = t.budget(found, resources, profile)
    assert spent.complaint() is None
    assert spent.total <= 0.8 * resources.memory_bytes
    assert parse_size(found["work_mem"]) >= 64 * 1024
    assert parse_size(found["min_wal_size"]) < parse_size(found["max_wal_size"])
    workers = [
        found[name] for name in ("max_parallel_workers_per_gather", "max_parallel_workers", "max_worker_processes")
    ]
    assert sorted(workers, key=int) == workers
    for name in ("max_parallel_workers_per_gather", "max_parallel_maintenance_workers"):
        assert int(found[name]) + 1 <= resources.cpus, "more processes than processors"


@pytest.mark.parametrize("version", range(14, 19))
@pytest.mark.parametrize("profile", t.PROFILES)
@pytest.mark.parametrize("resources", HOSTS, ids=lambda r: f"{r.memory_bytes // MB}MB-{r.cpus}cpu-{r.storage}")
def test_table_of_hosts(resources: t.Resources, profile: str, version: int) -> None:
    check(resources, profile, version)


@given(
    st.builds(
        t.Resources,
        st.integers(512 * MB, 512 * GB),
        st.integers(1, 64),
        st.sampled_from(t.STORAGES),
        st.integers(0, 100 * TB),
    ),
    st.sampled_from(t.PROFILES),
    st.integers(14, 18),
)
def test_any_host(resources: t.Resources, profile: str, version: int) -> None:
    check(resources, profile, version)


@pytest.mark.parametrize(
    ("memory", "profile", "expected"),
    [
        # (0.8 × memory − shared − wal_buffers − maintenance − workers × vacuum) / (connections × nodes), rounded down
        (512 * MB, "oltp", ("150", "128MB", "384MB", "1MB", "32MB", "16MB")),
        (16 * GB, "oltp", ("150", "4GB", "12GB", "33MB", "1GB", "256MB")),
        (16 * GB, "analytics", ("50", "4GB", "12GB", "44MB", "1GB", "256MB")),
        (16 * GB, "mixed", ("100", "4GB", "12GB", "33MB", "1GB", "256MB")),
        (16 * GB, "development", ("50", "2GB", "12GB", "84MB", "1GB", "256MB")),
        (512 * GB, "oltp", ("150", "64GB", "384GB", "1GB", "2GB", "1GB")),
    ],
)
def test_memory(memory: int, profile: str, expected: tuple[str, ...]) -> None:
    found = values(t.Resources(memory, 8 if memory > GB else 1, "ssd", 0), profile)
    names = (
        "max_connections",
        "shared_buffers",
        "effective_cache_size",
        "work_mem",
        "maintenance_work_mem",
        "autovacuum_work_mem",
    )
    assert tuple(found[name] for name in names) == expected


@pytest.mark.parametrize(
    ("disk", "profile", "max_wal", "min_wal"),
    [
        (0, "oltp", "4GB", "512MB"),
        (1 * GB, "oltp", "256MB", "80MB"),
        (20 * GB, "oltp", "2GB", "256MB"),
        (1 * TB, "oltp", "16GB", "2GB"),
        (1 * TB, "analytics", "32GB", "4GB"),
        (1 * TB, "mixed", "16GB", "2GB"),
        (1 * TB, "development", "1GB", "128MB"),
    ],
)
def test_wal(disk: int, profile: str, max_wal: str, min_wal: str) -> None:
    found = values(t.Resources(16 * GB, 8, "ssd", disk), profile)
    assert (found["max_wal_size"], found["min_wal_size"]) == (max_wal, min_wal)


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("ssd", ("1.1", "200", "100", "2000")),
        ("hdd", ("4.0", "2", "2", "300")),
        ("network", ("1.1", "100", "100", "2000")),
    ],
)
def test_storage(storage: str, expected: tuple[str, ...]) -> None:
    found = values(t.Resources(16 * GB, 8, storage, 0))
    names = (
        "random_page_cost",
        "effective_io_concurrency",
        "maintenance_io_concurrency",
        "autovacuum_vacuum_cost_limit",
    )
    assert tuple(found[name] for name in names) == expected


@pytest.mark.parametrize(
    ("cpus", "profile", "expected"),
    [
        (1, "oltp", ("8", "2", "0", "0", "3")),
        (2, "oltp", ("8", "2", "1", "1", "3")),
        (2, "analytics", ("8", "2", "1", "1", "3")),
        (3, "oltp", ("8", "3", "2", "2", "3")),
        (4, "oltp", ("8", "4", "2", "2", "3")),
        (8, "oltp", ("16", "8", "4", "4", "4")),
        (8, "analytics", ("16", "8", "7", "4", "4")),
        (64, "oltp", ("128", "64", "8", "8", "8")),
    ],
)
def test_workers(cpus: int, profile: str, expected: tuple[str, ...]) -> None:
    found = values(t.Resources(16 * GB, cpus), profile)
    names = (
        "max_worker_processes",
        "max_parallel_workers",
        "max_parallel_workers_per_gather",
        "max_parallel_maintenance_workers",
        "autovacuum_max_workers",
    )
    assert tuple(found[name] for name in names) == expected


@pytest.mark.parametrize(("cpus", "expected"), [(1, 3), (7, 3), (8, 4), (16, 5), (40, 8), (64, 8)])
def test_vacuum_workers(cpus: int, expected: int) -> None:
    assert t.vacuum_workers(t.Resources(GB, cpus)) == expected


@pytest.mark.parametrize("version", range(14, 19))
def test_versions(version: int) -> None:
    found = values(version=version)
    assert found["wal_compression"] == ("lz4" if version >= 15 else "on")
    assert ("io_method" in found) is (version >= 18)


@pytest.mark.parametrize(
    ("profile", "expected"), [("oltp", "off"), ("analytics", "on"), ("mixed", "off"), ("development", "off")]
)
def test_jit(profile: str, expected: str) -> None:
    assert values(profile=profile)["jit"] == expected


def test_given_connections_share_the_same_memory() -> None:
    found = {setting.name: setting for setting in t.tune(HOST, connections=300)}
    assert found["max_connections"] == t.Setting("max_connections", "300", "postgresql_max_connections")
    assert found["work_mem"].value == "19MB"
    assert "300 connections" in found["work_mem"].reason


def test_one_connection_is_enough() -> None:
    assert values(connections=1)["max_connections"] == "1"


def test_reasons_name_the_host() -> None:
    found = {setting.name: setting.reason for setting in t.tune(HOST)}
    assert "25.0% of 16.0 GB" in found["shared_buffers"]
    assert "the smaller of 16.0 GB and 10% of the data disk (200.0 GB)" in found["max_wal_size"]
    assert "8 processors" in found["max_parallel_workers"]
    unknown = {setting.name: setting.reason for setting in t.tune(t.Resources(16 * GB, 8))}
    assert "4.0 GB (the disk's size is unknown)" in unknown["max_wal_size"]


@pytest.mark.parametrize(
    ("resources", "profile", "connections", "said"),
    [
        (HOST, "webscale", None, "oltp, analytics, mixed, development"),
        (t.Resources(GB, 1, "tape"), "oltp", None, "ssd, hdd, network"),
        (t.Resources(-GB, 1), "oltp", None, "above 0"),
        (t.Resources(GB, 0), "oltp", None, "above 0"),
        (t.Resources(GB, 1, "ssd", -1), "oltp", None, "above 0"),
        (HOST, "oltp", 0, "at least 1"),
        (HOST, "oltp", -5, "at least 1"),
    ],
)
def test_bad_input(resources: t.Resources, profile: str, connections: int | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        t.tune(resources, profile, 17, connections)


@pytest.mark.parametrize(
    ("given_values", "profile", "shared", "work", "maintenance"),
    [
        ({}, "oltp", 144 * MB, 432 * MB, 256 * MB),  # PostgreSQL's defaults
        ({"shared_buffers": "1GB", "wal_buffers": "64MB"}, "oltp", 1088 * MB, 432 * MB, 256 * MB),
        ({"shared_buffers": "16384", "wal_buffers": "2048"}, "oltp", 144 * MB, 432 * MB, 256 * MB),  # blocks
        ({"work_mem": "8MB", "max_connections": "50"}, "analytics", 144 * MB, 864 * MB, 256 * MB),
        ({"work_mem": "1MB", "max_connections": "10"}, "mixed", 144 * MB, 23 * MB, 256 * MB),
        ({"maintenance_work_mem": "1GB"}, "oltp", 144 * MB, 432 * MB, 4 * GB),
        ({"maintenance_work_mem": "1GB", "autovacuum_work_mem": "100MB"}, "oltp", 144 * MB, 432 * MB, 1324 * MB),
        ({"hash_mem_multiplier": "1"}, "oltp", 144 * MB, 400 * MB, 256 * MB),  # 8 processors add 8 x (multiplier - 1)
        ({"hash_mem_multiplier": "8"}, "oltp", 144 * MB, 624 * MB, 256 * MB),
        ({"autovacuum_max_workers": "5.0"}, "oltp", 144 * MB, 432 * MB, 384 * MB),
    ],
)
def test_budget(given_values: dict[str, str], profile: str, shared: int, work: int, maintenance: int) -> None:
    found = t.budget(given_values, HOST, profile)
    assert (found.shared, found.work, found.maintenance) == (shared, work, maintenance)
    assert found.total == shared + work + maintenance
    assert found.allowed == int(16 * GB * 0.8)


def test_the_edge_of_the_budget() -> None:
    assert t.Budget(50, 20, 10, 80, 100).complaint() is None
    assert t.Budget(50, 20, 11, 80, 100).complaint() is not None


def test_a_broken_budget_says_what_to_change() -> None:
    found = t.budget(values() | {"work_mem": "1GB"}, HOST, "oltp").complaint()
    assert found is not None
    for word in (
        "206.0 GB",
        "80% of 16.0 GB (12.8 GB)",
        "shared_buffers",
        "work_mem",
        "max_connections",
        "maintenance_work_mem",
    ):
        assert word in found


@given(st.integers(512 * MB, 64 * GB), st.integers(10, 20_000))
def test_too_many_connections_never_pass_unseen(memory: int, connections: int) -> None:
    resources = t.Resources(memory, 4)
    spent = t.budget(values(resources, connections=connections), resources, "oltp")
    assert (spent.complaint() is None) is (spent.total <= spent.allowed)
    assert spent.work >= connections * 64 * 1024
