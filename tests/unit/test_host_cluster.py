"""A Debian cluster is made once, and starts at boot; one that was cut off is made anew, unless somebody may have used it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host import cluster
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(cluster, "MARKERS", tmp_path / "markers")
    monkeypatch.setattr(cluster, "CONFIGURATIONS", tmp_path / "etc")
    monkeypatch.setattr(cluster, "write", lambda wanted: wanted.path.write_text(wanted.content))
    (tmp_path / "markers").mkdir()
    return {
        "version": 17,
        "name": "of-no-host",
        "data_directory": str(tmp_path / "data"),
        "port": 5432,
        "locale": "C.UTF-8",
        "encoding": "UTF8",
        "data_checksums": True,
    }


def cut_off(params: dict[str, Any], *files: str) -> Path:
    """Leave a creation half done, with these files in the data directory."""
    (cluster.MARKERS / "17-of-no-host.json").write_text(json.dumps({"state": "creating"}))
    data = Path(params["data_directory"])
    data.mkdir()
    for name in files:
        (data / name).touch()
    return data


def created(argv: Sequence[str]) -> tuple[int, str, str]:
    """Make one as where createcluster.conf says that clusters are started by hand."""
    assert argv[0] == "pg_createcluster" or list(argv[:2]) == ["systemctl", "is-enabled"]
    if argv[0] == "pg_createcluster":
        path = cluster.CONFIGURATIONS / "17/of-no-host/start.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("manual\n")
    return 0, "", ""


def test_one_that_was_cut_off_is_made_anew(params: dict[str, Any]) -> None:
    data = cut_off(params, "PG_VERSION")
    assert cluster.run(params, Context(created, True)).changed
    assert (data / "PG_VERSION").exists()
    assert cluster.run(params, Context(created, False)).changed
    assert not data.exists()
    assert (cluster.CONFIGURATIONS / "17/of-no-host/start.conf").read_text() == "auto\n"
    assert not cluster.run(params, Context(created, False)).changed


@pytest.mark.parametrize("check_mode", [False, True])
def test_one_that_has_served_since_is_left_alone(params: dict[str, Any], check_mode: bool) -> None:
    """A reboot starts it, between pg_createcluster and our mark."""
    data = cut_off(params, "PG_VERSION", "postmaster.opts")
    with pytest.raises(HostError, match="it may hold data by now"):
        cluster.run(params, Context(created, check_mode))
    assert (data / "PG_VERSION").exists()


def test_somebody_elses_is_left_alone(params: dict[str, Any]) -> None:
    data = Path(params["data_directory"])
    data.mkdir()
    (data / "x").touch()
    with pytest.raises(HostError, match="is not ours"):
        cluster.run(params, Context(created, False))


@pytest.mark.parametrize(("text", "enabled", "left", "right"), [
    ("# Automatic startup configuration\n\nauto\n", True, "# Automatic startup configuration\n\nauto\n", True),
    ("auto # as installed\n", True, "auto # as installed\n", True),
    (None, True, None, True),
    ("\n", True, "auto\n", False),
    ("auto\nmanual\n", True, "auto\n", False),
    ("# was: auto\nmanual\n", True, "auto\n", False),
    ("disabled\n", True, "auto\n", False),
    ("auto\n", False, "auto\n", False),
    ("manual\n", False, "auto\n", False),
])  # fmt: skip
def test_it_starts_at_boot(
    params: dict[str, Any], text: str | None, enabled: bool, left: str | None, right: bool
) -> None:
    (cluster.MARKERS / "17-of-no-host.json").write_text(json.dumps({"state": "complete"}))
    path = cluster.CONFIGURATIONS / "17/of-no-host/start.conf"
    path.parent.mkdir(parents=True)
    if text is not None:
        path.write_text(text)
    units = {"postgresql.service"} if enabled else set[str]()

    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        assert argv[0] == "systemctl"
        if argv[1] == "enable":
            units.add(argv[2])
        return (0 if argv[-1] in units else 1), "", ""

    def there() -> str | None:
        return path.read_text() if path.exists() else None

    assert cluster.run(params, Context(run, True)).changed is not right
    assert (there(), bool(units)) == (text, enabled), "check mode touches nothing"
    assert cluster.run(params, Context(run, False)).changed is not right
    assert (there(), units) == (left, {"postgresql.service"})
    assert not cluster.run(params, Context(run, False)).changed
