"""The host's command as one file: the same bytes for the same sources, and nothing of Ansible in it."""

from __future__ import annotations

import io
import json
import os
import pwd
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.lookup import agent_archive as lookup
from ansible_collections.pgstead.ops.plugins.module_utils._core.version import VERSION
from ansible_collections.pgstead.ops.plugins.plugin_utils.agent_archive import SOURCES, build

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
BUILT = build()
NAMES = zipfile.ZipFile(io.BytesIO(BUILT.content)).namelist()

# Every module of the archive, in a Python for which there is no Ansible.
IMPORT_ALL = """
import importlib, sys

class NoAnsible:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ansible", "ansible_collections"):
            raise ImportError(f"{name} is not on a host")

sys.meta_path.insert(0, NoAnsible())
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
print(sys.modules["pgstead._agent.command"].__file__)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    path = tmp_path / "pgstead"
    path.write_bytes(BUILT.content)
    return path


def run(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", *argv], cwd=cwd, check=False, text=True, capture_output=True, timeout=60
    )


def test_the_version_is_the_collections() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == VERSION
    release, _, digest = BUILT.version.partition("+")
    assert release == VERSION
    assert len(digest) == 12


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    """Wherever they lie, whenever they were written, in whatever order the file system lists them."""
    copy = tmp_path / "copy"
    for path in sorted(SOURCES.rglob("*.py"), reverse=True):
        target = copy / path.relative_to(SOURCES)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o600)
        os.utime(target, (1, 1))
    (copy / "_core" / "__pycache__").mkdir()
    (copy / "_core" / "__pycache__" / "job.cpython-311.pyc").write_bytes(b"left by an import")
    assert build(copy) == BUILT
    (copy / "_core" / "job.py").write_text("SCHEMA = 2\n")
    changed = build(copy)
    assert changed.version != BUILT.version
    assert changed.content != BUILT.content


def test_nothing_in_it_depends_on_where_it_was_built() -> None:
    with zipfile.ZipFile(io.BytesIO(BUILT.content)) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.compress_type, entry.create_system) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED, 3)
    }
    assert str(ROOT).encode() not in BUILT.content


def test_it_imports_without_ansible(installed: Path, tmp_path: Path) -> None:
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in NAMES]
    modules.remove("__main__")
    assert {"pgstead._core.job", "pgstead._pg.connection", "pgstead._host.files"} <= set(modules)
    done = run("-c", IMPORT_ALL, installed, *modules, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))


def test_the_interpreter_is_the_hosts_own() -> None:
    assert BUILT.content.startswith(b"#!/usr/bin/python3 -I\nPK")


def test_it_says_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed, "version", cwd=tmp_path).stdout == f"{BUILT.version}\n"
    assert json.loads(run(installed, "version", "--json", cwd=tmp_path).stdout) == {"version": BUILT.version}


def test_it_runs_a_job_and_keeps_what_came_of_it(installed: Path, tmp_path: Path) -> None:
    settings = {"database": "shop", "role": "o", "schema": "audit", "retention_months": None, "ahead": 3}
    job = {"schedule": "17 3 * * *", "deadline_seconds": 30, "settings": {"databases": [settings]}}
    config: dict[str, Any] = {
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "state_directory": str(tmp_path),
        "socket_directory": str(tmp_path),
        "port": 5432,
        "history_lines": 5,
        "metrics_directory": str(tmp_path / "metrics"),
        "notifications": None,
        "jobs": {"audit_partitions": job},
    }
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(config))
    path.chmod(0o644)
    done = run(installed, "run", "audit_partitions", "--config", path, "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    entry = json.loads(done.stdout)
    assert (entry["job"], entry["status"], entry["version"]) == ("audit_partitions", "failed", BUILT.version)
    assert "cannot connect to" in entry["reason"]
    assert json.loads((tmp_path / "audit_partitions.json").read_text()) == entry
    metrics = (tmp_path / "metrics" / "pgstead_audit_partitions.prom").read_text()
    assert 'pgstead_job_exit_code{job="audit_partitions"} 1\n' in metrics
    listed = run(installed, "list", "--config", path, cwd=tmp_path)
    assert (listed.returncode, "failed" in listed.stdout) == (0, True)


def test_the_lookup_gives_one_file_for_all_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    first, second = (lookup.LookupModule().run([]) for _ in range(2))
    assert first == second == [{"path": str(tmp_path / f"pgstead-{BUILT.version}"), "version": BUILT.version}]
    assert Path(first[0]["path"]).read_bytes() == BUILT.content
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(lookup.AnsibleError, match="takes no arguments"):
        lookup.LookupModule().run(["x"])


def examples() -> list[dict[str, Any]]:
    """Return the documented tasks that change no host and ask none."""
    texts = [
        lookup.EXAMPLES,
        *(
            yaml.safe_load((ROOT / f"plugins/filter/{name}.yml").read_text(encoding="utf-8"))["EXAMPLES"]
            for name in ("agent_plan", "agent_results")
        ),
    ]
    return [task for text in texts for task in yaml.safe_load(text) if "ansible.builtin.debug" in task]


def test_the_examples_run(tmp_path: Path) -> None:
    reported = {"version": BUILT.version, "host": "db1", "jobs": [], "undelivered": []}
    variables = {"pgstead_databases": [], "listed": {"stdout": json.dumps(reported)}}
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": examples()}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8", "ANSIBLE_STDOUT_CALLBACK": "default"}
    done = subprocess.run(
        [BIN / "ansible-playbook", "play.yml", "-i", "localhost,", "-c", "local"],
        cwd=tmp_path,
        env=environment,
        check=False,
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(examples()) == 3
    assert BUILT.version in done.stdout
