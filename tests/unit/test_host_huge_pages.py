"""Huge pages, on a made-up /proc: all that are wanted, or none, and never those of somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._host import huge_pages
from ansible_collections.pgstead.ops.plugins.module_utils._host.huge_pages import Reservation


class Kernel:
    """Reserves as many pages as it finds memory for."""

    def __init__(self, total: int, possible: int, *, free: int = 0, reserved: int = 0, writable: bool = True) -> None:
        self.total, self.possible, self.free, self.reserved, self.writable = total, possible, free, reserved, writable
        self.written = list[int]()

    def count(self, which: str) -> int:
        return {"Total": self.total, "Free": self.free, "Rsvd": self.reserved}[which]

    def write_text(self, text: str) -> None:
        if not self.writable:
            raise OSError(30, "Read-only file system")
        self.written.append(int(text))
        self.total = min(int(text), self.possible)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    made = Kernel(100, 1000)
    monkeypatch.setattr(huge_pages, "NODE", made)
    monkeypatch.setattr(huge_pages, "COMPACT", tmp_path / "compact")
    monkeypatch.setattr(huge_pages, "_count", made.count)
    monkeypatch.setattr(huge_pages.os, "access", lambda node, _mode: node.writable)
    return made


def test_what_is_missing_is_reserved_and_can_be_undone(kernel: Kernel, tmp_path: Path) -> None:
    made = huge_pages.reserve(400)
    assert (made, kernel.total) == (Reservation(100), 400)
    assert (tmp_path / "compact").read_text() == "1"
    huge_pages.undo(made)
    assert kernel.total == 100


@pytest.mark.parametrize("wanted", [100, 60])
def test_what_is_there_is_left(wanted: int, kernel: Kernel) -> None:
    made = huge_pages.reserve(wanted)
    huge_pages.undo(made)
    assert (made, kernel.written) == (Reservation(100), [])


def test_a_part_is_given_back(kernel: Kernel) -> None:
    kernel.possible = 399
    made = huge_pages.reserve(400)
    assert "only 399 of 400" in made.warning
    assert kernel.total == 100


def test_a_containers_kernel_refuses(kernel: Kernel) -> None:
    kernel.writable = False
    assert "vm.nr_hugepages = 400 (is 100): Read-only file system" in huge_pages.reserve(400).warning


@pytest.mark.parametrize(("free", "reserved", "wanted", "said"), [
    (10, 10, 400, ""),
    (0, 0, 300, ""),
    (110, 10, 300, "100 of 400"),
    (60, 10, 300, "50 of 400"),  # 50 of the rest are another program's
])  # fmt: skip
def test_idle_pages_are_named(free: int, reserved: int, wanted: int, said: str, kernel: Kernel) -> None:
    kernel.total, kernel.free, kernel.reserved = 400, free, reserved
    assert huge_pages.idle(wanted)[: len(said)] == said
    assert bool(huge_pages.idle(wanted)) is bool(said)
    kernel.writable = False
    assert huge_pages.idle(wanted) == ""


def test_counts_of_this_kernel() -> None:
    assert all(huge_pages._count(which) >= 0 for which in ("Total", "Free", "Rsvd"))
