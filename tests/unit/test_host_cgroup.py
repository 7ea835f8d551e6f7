"""Limits of control groups, version 1 and 2, on a made-up /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._host import cgroup

V1 = "12:cpuset:/\n5:cpu,cpuacct:{0}\n4:memory:{0}\n1:name=systemd:/\n0::/\n"
V2 = "0::{0}\n"
UNLIMITED_V1 = str((1 << 63) - 4096)
MB = 1024**2
UNIT = "postgresql@17-main"
SLICE = "system.slice/system-postgresql.slice"


@pytest.fixture(autouse=True)
def _eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


def make(root: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    base, proc = root / "cgroup", root / "membership"
    base.mkdir()
    proc.write_text(membership)
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return base, proc


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        (V2.format("/"), {}, None),
        (V2.format("/"), {"memory.max": "max"}, None),
        (V2.format("/"), {"memory.max": ""}, None),
        (V2.format("/"), {"memory.max": str(64 * MB)}, 64 * MB),
        (V2.format("/a/b"), {"a/b/memory.max": str(64 * MB), "a/memory.max": "max"}, 64 * MB),
        (V2.format("/a/b"), {"a/b/memory.max": "max", "a/memory.max": str(32 * MB)}, 32 * MB),
        (V2.format("/a/b"), {"a/b/memory.max": str(64 * MB), "a/memory.max": str(32 * MB)}, 32 * MB),
        (V2.format("/a/b"), {"a/b/memory.max": str(64 * MB), "a/memory.max": str(128 * MB)}, 64 * MB),
        (V2.format("/a/b"), {"a/b/x": "", "memory.max": str(16 * MB)}, 16 * MB),
        (V2.format("/a"), {"a/x": "", "b/memory.max": str(MB)}, None),  # a neighbour's
        (V2.format("/docker/x"), {"memory.max": str(48 * MB)}, 48 * MB),  # seen from inside its own namespace
        (V2.format("/../../x"), {"memory.max": str(48 * MB)}, 48 * MB),
        (V1.format("/"), {"memory/memory.limit_in_bytes": UNLIMITED_V1}, None),
        (V1.format("/"), {"memory/memory.limit_in_bytes": "-1"}, None),
        (V1.format("/"), {"memory/memory.limit_in_bytes": str(64 * MB)}, 64 * MB),
        (
            V1.format("/a"),
            {"memory/a/memory.limit_in_bytes": UNLIMITED_V1, "memory/memory.limit_in_bytes": str(8 * MB)},
            8 * MB,
        ),
        (V1.format("/a"), {"memory/a/memory.limit_in_bytes": str(4 * MB), "memory.max": str(MB)}, 4 * MB),
        ("1:name=systemd:/\n0::/a\n", {"a/memory.max": str(2 * MB)}, 2 * MB),
        ("", {"memory.max": str(2 * MB)}, 2 * MB),
        (V2.format("/init.scope"), {"init.scope/memory.max": str(MB), "memory.max": str(8 * MB)}, 8 * MB),
        (V2.format("/init.scope"), {"user.slice/memory.max": str(MB), "init.scope/x": ""}, None),  # of sessions
        (V2.format("/init.scope"), {"system.slice/memory.max": str(3 * MB)}, 3 * MB),
        (V2.format("/init.scope"), {f"{SLICE}/memory.max": str(3 * MB), "system.slice/memory.max": "max"}, 3 * MB),
        (V2.format("/"), {f"{SLICE}/{UNIT}.service/memory.max": str(3 * MB)}, 3 * MB),
        (V2.format("/"), {f"{SLICE}/postgresql@16-old.service/memory.max": str(MB)}, None),
        (V2.format("/a/init.scope"), {f"a/{SLICE}/memory.max": str(3 * MB), f"{SLICE}/memory.max": str(MB)}, 3 * MB),
        (V1.format("/"), {f"memory/{SLICE}/{UNIT}.service/memory.limit_in_bytes": str(3 * MB)}, 3 * MB),
    ],
)
def test_memory_limit(membership: str, files: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    assert cgroup.memory_limit(UNIT, *make(tmp_path, membership, files)) == expected


def cfs(directory: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {f"cpu/{directory}cpu.cfs_quota_us": str(quota), f"cpu/{directory}cpu.cfs_period_us": str(period)}


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        (V2.format("/"), {}, 8),
        (V2.format("/"), {"cpu.max": "max 100000"}, 8),
        (V2.format("/"), {"cpu.max": "200000 100000"}, 2),
        (V2.format("/"), {"cpu.max": "200001 100000"}, 3),  # rounded up
        (V2.format("/"), {"cpu.max": "50000 100000"}, 1),
        (V2.format("/"), {"cpu.max": "0 100000"}, 1),
        (V2.format("/"), {"cpu.max": "1600000 100000"}, 8),
        (V2.format("/"), {"cpu.max": "nonsense"}, 8),
        (V2.format("/"), {"cpu.max": "100000 0"}, 8),
        (V2.format("/a/b"), {"a/b/cpu.max": "400000 100000", "a/cpu.max": "300000 100000"}, 3),
        (V2.format("/a/b"), {"a/b/cpu.max": "200000 100000", "a/cpu.max": "max 100000"}, 2),
        (V2.format("/elsewhere"), {"cpu.max": "500000 100000"}, 5),
        (V1.format("/"), cfs("", -1), 8),
        (V1.format("/"), cfs("", 150_000), 2),
        (V1.format("/a"), cfs("a/", 50_000, 10_000) | cfs("", 300_000), 3),
        (V1.format("/a"), cfs("a/", 50_000, 10_000) | cfs("", -1), 5),
        (V1.format("/"), cfs("", 100_000) | {"cpu.max": "300000 100000"}, 1),
    ],
)
def test_processors(membership: str, files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert cgroup.processors(UNIT, *make(tmp_path, membership, files)) == expected


def test_this_machine_can_be_read() -> None:
    limit = cgroup.memory_limit(UNIT)
    assert limit is None or limit > 0
    assert 1 <= cgroup.processors(UNIT) <= 8
