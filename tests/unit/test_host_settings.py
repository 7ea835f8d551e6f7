"""Host files and kernel values: applied, refused, or only foretold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._host import files, host_settings
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome


@pytest.fixture(autouse=True)
def _anybody_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chown", lambda *_args: None)
    monkeypatch.setattr(files, "_user", lambda _number: "root")
    monkeypatch.setattr(files, "_group", lambda _number: "root")


def apply(base: Path, *, check: bool = False, **values: Any) -> Outcome:
    params = {
        "files": [{"path": str(base / "sysctl.d/pg.conf"), "content": "x = 1\n"}],
        "sysctl": {},
        "sys": {str(base / name): value for name, value in values.items()},
    }
    return host_settings.run(params, Context(lambda _argv: (0, "", ""), check))


def test_converge(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    (tmp_path / "b").write_text("2\n")
    first = apply(tmp_path, a=5, b="2")
    assert first.changed
    assert first.data["applied"] == [{"name": str(tmp_path / "a"), "before": "1", "after": "5"}]
    assert [entry["after"] for entry in first.diff] == ["x = 1\n"]
    assert (tmp_path / "a").read_text() == "5"
    assert apply(tmp_path, a=5, b="2") == Outcome(False, {"applied": [], "refused": []}, [], [])


def test_check_mode_foretells_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    found = apply(tmp_path, check=True, a=5)
    assert found.changed
    assert found.data["applied"] == [{"name": str(tmp_path / "a"), "before": "1", "after": "5"}]
    assert (tmp_path / "a").read_text() == "1\n"
    assert not (tmp_path / "sysctl.d").exists()


@pytest.mark.parametrize("check", [True, False])
def test_a_refusal_is_a_warning_not_a_change(check: bool, tmp_path: Path) -> None:
    apply(tmp_path)
    (tmp_path / "folder").mkdir()
    found = apply(tmp_path, check=check, folder=5)
    assert not found.changed
    assert found.data["applied"] == []
    (refused,) = found.data["refused"]
    assert refused.startswith(f"{tmp_path}/folder = 5 (is absent): ")
    assert len(found.warnings) == 1
    assert refused in found.warnings[0]


def test_a_choice_in_brackets_is_what_is_in_force(tmp_path: Path) -> None:
    apply(tmp_path)
    (tmp_path / "thp").write_text("always madvise [never]\n")
    assert not apply(tmp_path, thp="never").changed
    assert apply(tmp_path, check=True, thp="always").data["applied"][0]["before"] == "never"


@pytest.mark.parametrize(("read", "value", "changed"), [
    ("1024\t65000\n", "1024 65000", False),
    ("4096\t131072\t6291456\n", "4096  131072 6291456", False),
    ("1024\t65001\n", "1024 65000", True),
    ("102465000\n", "1024 65000", True),
])  # fmt: skip
def test_values_of_several_fields_settle(
    read: str, value: str, changed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives them back with tabs."""
    node = tmp_path / "range"
    node.write_text(read)
    monkeypatch.setattr(host_settings, "_node", lambda _name: node)
    wanted = {"files": [], "sysctl": {"net.ipv4.ip_local_port_range": value}, "sys": {}}
    found = host_settings.run(wanted, Context(lambda _argv: (0, "", ""), False))
    assert (found.changed, found.warnings) == (changed, [])


def test_a_value_that_is_given_back_with_tabs_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, given = tmp_path / "range", iter(["32768\t60999", "1024\t65000"])
    node.touch()
    monkeypatch.setattr(host_settings, "_node", lambda _name: node)
    monkeypatch.setattr(host_settings, "_read", lambda _path: next(given))
    wanted = {"files": [], "sysctl": {"net.ipv4.ip_local_port_range": "1024 65000"}, "sys": {}}
    found = host_settings.run(wanted, Context(lambda _argv: (0, "", ""), False))
    assert (found.changed, found.warnings) == (True, [])


@pytest.mark.parametrize(("kibibytes", "changed"), [("1", True), ("0", False)])
def test_strictness_counts_the_kibibytes_that_are_declared(
    kibibytes: str, changed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they are in force, the ratio reads 0, as if nothing could be promised."""
    nodes = {name: tmp_path / name for name in ("vm.overcommit_kbytes", "vm.overcommit_memory", "vm.overcommit_ratio")}
    for name, node in nodes.items():
        node.write_text(kibibytes if name == "vm.overcommit_kbytes" else "0")
    sizes = {"MemTotal": 100, "SwapTotal": 0, "Hugetlb": 0, "Committed_AS": 10}
    monkeypatch.setattr(host_settings, "meminfo", sizes.__getitem__)
    monkeypatch.setattr(host_settings, "_node", nodes.__getitem__)
    wanted = {"files": [], "sysctl": {"vm.overcommit_kbytes": kibibytes, "vm.overcommit_memory": "2"}, "sys": {}}
    assert host_settings.run(wanted, Context(lambda _argv: (0, "", ""), False)).changed is changed


@pytest.mark.parametrize(("promised", "words"), [(10, []), (99, ["none could start"])])
def test_strictness_that_would_break_the_host_is_refused(
    promised: int, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "overcommit"
    node.write_text("90\n")  # the ratio in force, read at the same place
    sizes = {"MemTotal": 100, "SwapTotal": 0, "Hugetlb": 0, "Committed_AS": promised}
    monkeypatch.setattr(host_settings, "meminfo", sizes.__getitem__)
    monkeypatch.setattr(host_settings, "_node", lambda _name: node)
    params = {"files": [], "sysctl": {"vm.overcommit_memory": "2"}, "sys": {}}
    found = host_settings.run(params, Context(lambda _argv: (0, "", ""), False))
    assert found.changed is not bool(words)
    assert all(word in found.data["refused"][0] for word in words)
    assert node.read_text().strip() == ("90" if words else "2")


def test_names_below_proc(tmp_path: Path) -> None:
    name = "kernel.no_such_value_here"
    found = host_settings.run({"files": [], "sysctl": {name: 1}, "sys": {}}, Context(lambda _argv: (0, "", ""), True))
    assert not found.changed
    assert found.data["refused"][0].startswith(f"{name} = 1 (is absent): ")
