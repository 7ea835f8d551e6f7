"""Manifests of evidence: what sha256sum and we read in them, and each way in which evidence can be tampered with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import evidence
from ansible_collections.pgstead.ops.plugins.module_utils._core import evidence_manifest as manifests
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.evidence_manifest import Manifest, Previous
from ansible_collections.pgstead.ops.plugins.module_utils._host import evidence_manifest as host
from ansible_collections.pgstead.ops.plugins.module_utils._host.evidence import keep

from .drill_world import facts

A, B = "a" * 64, "b" * 64
FIRST, SECOND, THIRD = (f"202611{day}T033000Z-drill-db1" for day in (10, 17, 24))


def record(directory: Path, day: int, **changed: Any) -> Path:
    started = f"2026-11-{day}T03:30:00Z"
    entry = evidence.record("drill", "d1", started=started, seconds=1, status="ok", facts=facts(**changed))
    return Path(keep(entry, directory))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Three sealed records."""
    for day in (10, 17, 24):
        host.seal(record(tmp_path, day))
    return tmp_path


def sealed_again(directory: Path, stem: str) -> None:
    """Make a manifest that fits what lies there, as somebody would who changed it."""
    path = directory / f"{stem}.sha256"
    read = manifests.read(path.read_text())
    assert read is not None
    files = {name: subprocess.check_output(["sha256sum", directory / name], text=True)[:64] for name in read.files}
    path.write_text(Manifest(files, read.previous).text())


@pytest.mark.parametrize("before", [None, Previous("x.sha256", B)])
def test_what_is_written_is_read(before: Previous | None) -> None:
    made = Manifest({"x-drill-db1.json": A, "x-drill-db1.html": B}, before)
    assert manifests.read(made.text()) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{A}  x.json\n",
        f"# previous {A}  x.sha256\n",
        f"# previous {A[1:]}  x.sha256\n{A}  x.json\n",
        f"# the first manifest of its directory\n{A} x.json\n",
        f"# the first manifest of its directory\n{A}  ../x.json\n",
        f"# the first manifest of its directory\n{A}  x.json\n# more\n",
        f"# the first manifest of its directory\n{A}  x.json\n{B}  x.json\n",
    ],
)
def test_what_is_no_manifest(text: str) -> None:
    assert manifests.read(text) is None


def test_sha256sum_reads_it(kept: Path) -> None:
    argv = ["sha256sum", "--check", "--strict", *(f"{stem}.sha256" for stem in (FIRST, SECOND, THIRD))]
    done = subprocess.run(argv, cwd=kept, check=True, capture_output=True, text=True)
    assert done.stdout.count(": OK\n") == 6
    (kept / f"{SECOND}.html").write_text("changed")
    assert subprocess.run(argv, cwd=kept, check=False, capture_output=True).returncode == 1


def test_each_names_the_one_before(kept: Path) -> None:
    assert host.verify(kept) == []
    named = [manifests.read((kept / f"{stem}.sha256").read_text()).previous for stem in (FIRST, SECOND, THIRD)]
    assert [each and each.name for each in named] == [None, f"{FIRST}.sha256", f"{SECOND}.sha256"]


def test_a_clock_that_was_set_back_breaks_nothing(kept: Path) -> None:
    host.seal(record(kept, 12))
    host.seal(record(kept, 25))
    assert host.verify(kept) == []


def change(name: str) -> Callable[[Path], None]:
    def changed(directory: Path) -> None:
        path = directory / name
        path.write_text(path.read_text() + " ")

    return changed


def remove(pattern: str) -> Callable[[Path], None]:
    def removed(directory: Path) -> None:
        for path in directory.glob(pattern):
            path.unlink()

    return removed


def replace(directory: Path) -> None:
    """Change a record, and make the manifest fit."""
    change(f"{SECOND}.json")(directory)
    sealed_again(directory, SECOND)


def insert(directory: Path) -> None:
    """Put a record that never was between two others."""
    record(directory, 19)
    shutil.copy(directory / f"{SECOND}.sha256", directory / "20261119T033000Z-drill-db1.sha256")
    text = (directory / "20261119T033000Z-drill-db1.sha256").read_text().replace(SECOND, "20261119T033000Z-drill-db1")
    (directory / "20261119T033000Z-drill-db1.sha256").write_text(text)
    sealed_again(directory, "20261119T033000Z-drill-db1")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (change(f"{SECOND}.json"), f"{SECOND}.json was changed: it has another hash than in {SECOND}.sha256"),
        (change(f"{THIRD}.html"), f"{THIRD}.html was changed: it has another hash than in {THIRD}.sha256"),
        (remove(f"{FIRST}.html"), f"{FIRST}.html is missing: {FIRST}.sha256 names it"),
        (remove(f"{FIRST}.*"), f"{FIRST}.sha256 is missing: {SECOND}.sha256 was made after it"),
        (remove(f"{SECOND}.*"), f"{SECOND}.sha256 is missing: {THIRD}.sha256 was made after it"),
        (remove(f"{THIRD}.sha256"), f"{THIRD}.json has no manifest: {THIRD}.sha256 is missing"),
        (replace, f"{SECOND}.sha256 was replaced: {THIRD}.sha256 was made after another one of that name"),
        (insert, f"2 manifests say that they come right after {FIRST}.sha256: one of them was put there later"),
        (change(f"{THIRD}.sha256"), f"{THIRD}.sha256 is not a manifest: it was changed"),
        (remove("*.sha256"), "there is no manifest: nothing tells whether evidence was changed"),
        (remove("*"), "there is no manifest: nothing tells whether evidence was changed"),
    ],
)
def test_tampering_is_noticed(kept: Path, tamper: Callable[[Path], None], said: str) -> None:
    tamper(kept)
    assert host.verify(kept) == [said]


def test_a_chain_begun_again_is_noticed(kept: Path) -> None:
    for stem in (FIRST, SECOND):
        remove(f"{stem}.*")(kept)
    read = manifests.read((kept / f"{THIRD}.sha256").read_text())
    (kept / f"{THIRD}.sha256").write_text(Manifest(read.files, None).text())
    assert host.verify(kept) == []  # a whole chain that is shorter: only a signature, or a copy elsewhere, tells
    host.seal(record(kept, 25))
    (kept / f"{FIRST}.sha256").write_text(Manifest({f"{FIRST}.json": A, f"{FIRST}.html": A}, None).text())
    assert any("each say that they are the first" in each for each in host.verify(kept))


def test_a_manifest_of_other_files_is_none_of_the_records(kept: Path) -> None:
    path = kept / f"{THIRD}.sha256"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.endswith(".json")) + "\n")
    assert host.verify(kept) == [f"{THIRD}.sha256 does not name {THIRD}.json"]


def test_a_record_is_sealed_once(kept: Path) -> None:
    before = (kept / f"{SECOND}.sha256").read_text()
    with pytest.raises(HostError, match="is there already"):
        host.seal(kept / f"{SECOND}.json")
    assert (kept / f"{SECOND}.sha256").read_text() == before


def test_records_of_other_kinds_need_no_manifest(kept: Path) -> None:
    entry = evidence.record("restore", "d1", started="2026-11-25T00:00:00Z", seconds=1, status="ok", facts={})
    keep(entry, kept)
    assert host.verify(kept) == []


@pytest.mark.parametrize("suffix", [".json", ".html", ".sha256", ".sha256.minisig"])
def test_files_of_a_cluster_with_dots_belong_together(suffix: str) -> None:
    assert manifests.stem(f"20261110T033000Z-drill-db1.example.com{suffix}") == "20261110T033000Z-drill-db1.example.com"


def test_records_of_clusters_with_dots_are_as_others(tmp_path: Path) -> None:
    for day, name in ((10, "db1.example.com"), (10, "db1.example.org"), (11, "db1.example.org")):
        host.seal(record(tmp_path, day, cluster=name))
    assert host.verify(tmp_path) == []
    stem = "20261111T033000Z-drill-db1.example.org"
    (tmp_path / f"{stem}.sha256").unlink()
    assert host.verify(tmp_path) == [f"{stem}.json has no manifest: {stem}.sha256 is missing"]


def test_what_a_killed_run_left_is_found(kept: Path) -> None:
    left = [record(kept, day, cluster="db2") for day in (11, 12)]
    (kept / "20261113T033000Z-drill-db1.json").write_text("{}")  # without its page
    keep(evidence.record("restore", "d1", started="2026-11-25T00:00:00Z", seconds=1, status="ok", facts={}), kept)
    assert host.unsealed("drill", kept) == left


def test_where_there_is_nothing(tmp_path: Path) -> None:
    assert host.verify(tmp_path / "x") == [f"{tmp_path}/x is no directory: there is no evidence"]


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(mode)
    with pytest.raises(SpecError, match="others can read the secret"):
        host.seal(record(tmp_path / "e", 10), key)
    assert not list((tmp_path / "e").glob("*.sha256*"))


NAMES = [f"{stem}.sha256" for stem in (FIRST, SECOND, THIRD)]


@pytest.mark.parametrize(
    ("signed", "said"),
    [
        ({}, ["no manifest is signed"]),
        (dict.fromkeys(NAMES, ""), []),
        (dict.fromkeys(NAMES[1:], ""), []),
        (dict.fromkeys(NAMES[:2], ""), [f"{NAMES[2]} is not signed, and older ones are"]),
        ({NAMES[0]: "", NAMES[2]: ""}, [f"{NAMES[1]} is not signed, and older ones are"]),
        (
            {NAMES[1]: "Signature verification failed", NAMES[2]: ""},
            [f"the signature of {NAMES[1]} does not fit: Signature verification failed"],
        ),
    ],
)
def test_signatures(signed: dict[str, str], said: list[str]) -> None:
    kept = manifests.Kept(dict.fromkeys(NAMES), dict.fromkeys(NAMES, A))
    assert manifests.unsigned(kept, signed) == said
