"""The built tarball holds what users need and nothing else, installs, and runs by its full name from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

# What ansible-galaxy loads, and what people read. Everything else in the repository is for those who work on it.
NEEDED = {"meta", "playbooks", "plugins", "roles"}
METADATA = {"FILES.json", "MANIFEST.json"}
READ = {"CHANGELOG.rst", "LICENSE", "README.md", "changelogs", "docs"}

SITE = "pgstead.ops.site"
INVENTORY = "[postgresql]\nhost-that-is-never-contacted\n"


def run(*command: str | Path, cwd: Path, collections: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of Ansible where it can see nothing of the checkout."""
    environment = {
        name: value
        for name, value in os.environ.items()
        # PYTHONPATH and the Ansible variables of scripts/setup lead to the checkout.
        if name != "PYTHONPATH" and not name.startswith(("ANSIBLE_", "PGSTEAD_"))
    }
    environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_HOME": str(cwd / ".ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=cwd,
        env=environment,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )


def succeeds(*command: str | Path, cwd: Path, collections: Path) -> str:
    result = run(*command, cwd=cwd, collections=collections)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("build")
    succeeds("ansible-galaxy", "collection", "build", ROOT, "--output-path", target, cwd=target, collections=target)
    (built,) = target.glob("pgstead-ops-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path in which the tarball is the only collection."""
    path = tmp_path_factory.mktemp("installed")
    succeeds(
        "ansible-galaxy",
        "collection",
        "install",
        tarball,
        "--no-deps",
        "--offline",
        "-p",
        path,
        cwd=path,
        collections=path,
    )
    return path


@pytest.fixture(scope="module")
def bare(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path in which the collection is only what Ansible loads."""
    path = tmp_path_factory.mktemp("bare")
    source = installed / "ansible_collections" / "pgstead" / "ops"
    target = path / "ansible_collections" / "pgstead" / "ops"
    target.mkdir(parents=True)
    shutil.copy(source / "MANIFEST.json", target)
    for name in sorted(NEEDED):
        shutil.copytree(source / name, target / name)
    return path


@pytest.fixture(params=["installed", "bare"])
def collections(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "hosts.ini").write_text(INVENTORY, encoding="utf-8")
    return tmp_path


def test_tarball_holds_what_users_need_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    top = {name.split("/")[0] for name in names}
    assert top >= NEEDED | METADATA | {"CHANGELOG.rst", "LICENSE", "README.md"}
    assert top <= NEEDED | METADATA | READ
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_manifest_says_what_it_depends_on(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        manifest = archive.extractfile("MANIFEST.json")
        assert manifest is not None
        info = json.load(manifest)["collection_info"]
    assert (info["namespace"], info["name"]) == ("pgstead", "ops")
    assert info["license"] == ["GPL-3.0-or-later"]
    assert set(info["dependencies"]) == {"community.crypto", "community.postgresql"}


def test_without_the_collection_the_playbook_is_not_found(empty: Path) -> None:
    """The other tests mean something: no copy of the collection is found by accident."""
    result = run("ansible-playbook", SITE, "-i", "hosts.ini", "--syntax-check", cwd=empty, collections=empty)
    assert result.returncode != 0


def test_site_passes_the_syntax_check_by_its_full_name(collections: Path, empty: Path) -> None:
    succeeds("ansible-playbook", SITE, "-i", "hosts.ini", "--syntax-check", cwd=empty, collections=collections)


def test_site_lists_its_tasks_by_its_full_name(collections: Path, empty: Path) -> None:
    listing = succeeds("ansible-playbook", SITE, "-i", "hosts.ini", "--list-tasks", cwd=empty, collections=collections)
    assert "pattern" in listing or "play #1" in listing
    assert "TAGS:" in listing


def test_every_module_documents_itself(collections: Path, empty: Path) -> None:
    modules = sorted(
        f"pgstead.ops.{path.stem}"
        for path in (ROOT / "plugins" / "modules").glob("*.py")
        if not path.name.startswith("_")
    )
    assert modules, "there is no module at all"
    text = succeeds("ansible-doc", "--json", "-t", "module", *modules, cwd=empty, collections=collections)
    assert set(json.loads(text)) == set(modules)
