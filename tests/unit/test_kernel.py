"""Kernel values and file limits."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import kernel

PAGE = 2 * 1024**2


def values(huge_pages: int | None = None, **overrides: object) -> dict[str, str]:
    found, _ = kernel.kernel_values(huge_pages, PAGE, {name.replace("__", "."): v for name, v in overrides.items()})
    assert all(value.reason for value in found)
    return {value.name: value.value for value in found}


def test_defaults() -> None:
    assert values() == {
        "vm.overcommit_memory": "2",
        "vm.overcommit_ratio": "90",
        "vm.swappiness": "1",
        "vm.dirty_background_bytes": str(64 * 1024**2),
        "vm.dirty_bytes": str(512 * 1024**2),
    }


def test_transparent_huge_pages_are_off() -> None:
    _, (found,) = kernel.kernel_values(None, PAGE, {})
    assert (found.name, found.value) == ("/sys/kernel/mm/transparent_hugepage/enabled", "never")
    assert found.reason


@pytest.mark.parametrize(("pages", "expected"), [(None, None), (0, None), (511, None), (512, "512"), (2200, "2200")])
def test_huge_pages_from_one_gigabyte(pages: int | None, expected: str | None) -> None:
    assert values(pages).get("vm.nr_hugepages") == expected


def test_huge_pages_wait_for_the_servers_start() -> None:
    found, _ = kernel.kernel_values(2200, PAGE, {})
    assert [value.name for value in found if not value.now] == ["vm.nr_hugepages"]
    declared, _ = kernel.kernel_values(2200, PAGE, {"vm.nr_hugepages": 3000})
    assert all(value.now for value in declared)


def test_the_ratio_is_set_before_it_counts() -> None:
    assert list(values())[:2] == ["vm.overcommit_ratio", "vm.overcommit_memory"]


def test_clusters_that_share_a_host_share_its_huge_pages() -> None:
    found, _ = kernel.kernel_values(2200, PAGE, {}, alone=False)
    assert "vm.nr_hugepages" not in {value.name for value in found}
    declared, _ = kernel.kernel_values(2200, PAGE, {"vm.nr_hugepages": 3000}, alone=False)
    assert [value.value for value in declared if value.name == "vm.nr_hugepages"] == ["3000"]


@pytest.mark.parametrize(("promised", "swap", "huge", "fits"), [
    (8, 0, 0, True),
    (9, 0, 0, False),
    (9, 1, 0, True),
    (8, 0, 2, False),
])  # fmt: skip
def test_strict_overcommit_must_leave_room(promised: int, swap: int, huge: int, fits: bool) -> None:
    sizes = {"MemTotal": 10, "SwapTotal": swap, "Hugetlb": huge, "Committed_AS": promised}
    found = kernel.strictness_problem({name: size * 1024**3 for name, size in sizes.items()}, 90)
    assert (found == "") is fits
    assert fits or f"promised {promised}.0 GB" in found


@pytest.mark.parametrize(("total", "unused", "wanted", "kept"), [
    (100, 0, 100, 100),
    (100, 60, 40, 40),
    (100, 60, 30, 40),  # somebody else's
    (0, 0, 0, 0),
])  # fmt: skip
def test_pages_that_somebody_uses_are_kept(total: int, unused: int, wanted: int, kept: int) -> None:
    assert kernel.pages_to_keep(total, unused, wanted) == kept


def test_overrides() -> None:
    found = values(2200, vm__swappiness=10, vm__nr_hugepages=0, net__core__somaxconn="4096", kernel__x=True)
    assert found["vm.swappiness"] == "10"
    assert found["vm.nr_hugepages"] == "0"
    assert found["net.core.somaxconn"] == "4096"
    assert found["kernel.x"] == "on"
    assert len(found) == 8


@pytest.mark.parametrize(("declared", "gone", "place"), [
    ("vm.overcommit_kbytes", "vm.overcommit_ratio", 0),  # before vm.overcommit_memory: the kernel counts with it
    ("vm.dirty_background_ratio", "vm.dirty_background_bytes", 3),
    ("vm.dirty_ratio", "vm.dirty_bytes", 4),
])  # fmt: skip
def test_of_twins_that_zero_each_other_only_the_declared_one_is_set(declared: str, gone: str, place: int) -> None:
    found, _ = kernel.kernel_values(None, PAGE, {declared: 5})
    names = [value.name for value in found]
    assert gone not in names
    assert names.index(declared) == place
    assert len(names) == 5
    both, _ = kernel.kernel_values(None, PAGE, {declared: 5, gone: 6})
    assert {value.name: value.value for value in both}.items() >= {declared: "5", gone: "6"}.items()


@pytest.mark.parametrize(("kibibytes", "fits"), [(0, True), (7 * 1024**2, False), (9 * 1024**2, True)])
def test_kibibytes_that_may_be_promised_count_instead_of_the_ratio(kibibytes: int, fits: bool) -> None:
    sizes = {"MemTotal": 10, "SwapTotal": 0, "Hugetlb": 0, "Committed_AS": 8}
    found = kernel.strictness_problem({name: size * 1024**3 for name, size in sizes.items()}, 90, kibibytes)
    assert (found == "") is fits


def test_an_override_names_its_variable() -> None:
    found, _ = kernel.kernel_values(None, PAGE, {"vm.swappiness": 10})
    assert [value.reason for value in found if value.name == "vm.swappiness"] == ["postgresql_kernel_settings"]


@pytest.mark.parametrize(
    ("limit", "may_raise", "expected"),
    [(1024, True, 65536), (1024, False, 1024), (65537, False, 65536), (2**30, True, 65536)],
)
def test_open_files(limit: int, may_raise: bool, expected: int) -> None:
    assert kernel.open_files(limit, may_raise) == expected
