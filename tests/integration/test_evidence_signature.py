"""Evidence signed by minisign itself: what fits, and what does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import evidence
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host.evidence import keep
from ansible_collections.pgstead.ops.plugins.module_utils._host.evidence_manifest import seal, verify

pytestmark = pytest.mark.usefixtures("dump_tools")


def key(directory: Path, name: str) -> tuple[Path, str]:
    """Make a key without a password; return the secret one's file and the text of the public one."""
    secret, public = directory / f"{name}.key", directory / f"{name}.pub"
    subprocess.run(["minisign", "-G", "-W", "-s", secret, "-p", public], check=True, capture_output=True)
    return secret, public.read_text().splitlines()[1]


def record(directory: Path, day: int) -> Path:
    started = f"2026-11-{day}T03:30:00Z"
    return Path(keep(evidence.record("trial", "d1", started=started, seconds=1, status="ok", facts={}), directory))


def test_signed_manifests_fit_their_key_alone(tmp_path: Path) -> None:
    directory, (secret, public) = tmp_path / "evidence", key(tmp_path, "own")
    seal(record(directory, 10))  # before there was a key
    made = [seal(record(directory, day), secret) for day in (11, 12)]
    assert [path.with_suffix(".sha256.minisig").exists() for path in made] == [True, True]
    assert verify(directory, public) == []
    _other, foreign = key(tmp_path, "other")
    assert [each.partition(" does not fit")[0] for each in verify(directory, foreign)] == [
        f"the signature of {path.name}" for path in made
    ]


def test_what_was_made_to_fit_without_the_key_is_noticed(tmp_path: Path) -> None:
    """The newest record is replaced, its manifest as well: no later one vouches for it, but its signature does."""
    directory, (secret, public) = tmp_path / "evidence", key(tmp_path, "own")
    seal(record(directory, 11), secret)
    path = record(directory, 12)
    manifest = seal(path, secret)
    manifest.unlink()
    path.write_text(path.read_text() + "\n")
    seal(path)
    assert verify(directory) == []
    assert [each.partition(":")[0] for each in verify(directory, public)] == [
        f"the signature of {manifest.name} does not fit"
    ]
    manifest.with_suffix(".sha256.minisig").unlink()
    assert verify(directory, public) == [f"{manifest.name} is not signed, and older ones are"]


def test_a_key_with_a_password_signs_nothing_and_does_not_wait_for_one(tmp_path: Path) -> None:
    secret = tmp_path / "locked.key"
    argv = ["minisign", "-G", "-s", secret, "-p", tmp_path / "locked.pub"]
    subprocess.run(argv, input=b"word\nword\n", check=True, capture_output=True)
    with pytest.raises(HostError, match=r"must have no password \(minisign -G -W\)"):
        seal(record(tmp_path / "evidence", 11), secret)
    assert not list((tmp_path / "evidence").glob("*.sha256*"))
