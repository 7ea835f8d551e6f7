"""The clusters of a drill's host: running, with a program that was replaced, and stopped."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._host import drill_beside


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with no processes and no configuration."""
    monkeypatch.setattr(drill_beside, "PROCESSES", tmp_path / "proc")
    monkeypatch.setattr(drill_beside, "CONFIGURED", tmp_path / "etc")
    return tmp_path


def data(host: Path, name: str, identifier: int, process: int | None = None) -> Path:
    """Make a data directory, with a server that runs in it."""
    place = host / name
    (place / "global").mkdir(parents=True)
    (place / "global/pg_control").write_bytes(struct.pack("=Q", identifier) + b"more")
    if process:
        (place / "postmaster.pid").write_text(f"{process}\n{place}\n")
    return place


def process(host: Path, number: int, cwd: Path, program: str = "/usr/lib/postgresql/17/bin/postgres") -> None:
    place = host / "proc" / str(number)
    place.mkdir(parents=True)
    (place / "cwd").symlink_to(cwd)
    (place / "exe").symlink_to(program)


def configured(host: Path, name: str, text: str) -> None:
    place = host / "etc/17" / name
    place.mkdir(parents=True)
    (place / "postgresql.conf").write_text(text)


@pytest.mark.parametrize("program", ["/usr/bin/postgres", "/usr/lib/postgresql/17/bin/postgres (deleted)"])
def test_a_running_server_is_found_whatever_became_of_its_program(host: Path, program: str) -> None:
    place = data(host, "one", 7, 100)
    process(host, 100, place, program)
    process(host, 101, place)  # its child
    process(host, 102, place, "/usr/bin/bash")
    assert list(drill_beside.clusters()) == [(place, 7, True)]


def test_a_stopped_one_is_found_by_its_configuration(host: Path) -> None:
    running, stopped = data(host, "one", 7, 100), data(host, "two", 8)
    process(host, 100, running)
    configured(host, "one", f"data_directory = '{running}'")
    configured(host, "two", f"port = 5433\ndata_directory '{stopped}' # there\n")
    configured(host, "gone", "data_directory = '/nowhere'")
    configured(host, "usual", "port = 1")
    assert list(drill_beside.clusters()) == [(running, 7, True), (stopped, 8, False)]


def test_what_cannot_be_read_hides_no_other(host: Path) -> None:
    broken, whole = data(host, "one", 7, 100), data(host, "two", 8, 101)
    (broken / "global/pg_control").unlink()
    process(host, 100, broken)
    process(host, 101, whole)
    (host / "proc/102").mkdir()
    assert list(drill_beside.clusters()) == [(whole, 8, True)]
