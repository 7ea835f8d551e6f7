"""An object store that refuses, or does not answer: named, and in the other repository the backup is made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_config import Option

from .world import NEAR, THIRD, World

SECRET = "the secret of a store"
QUICK = Option("io-timeout", "0.1", "it would be a minute")
PATIENT = Option("io-timeout", "10", "it is to answer")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and its certificate."""
    path = tmp_path_factory.mktemp("store") / "localhost.pem"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"]
    argv = [*new, "-subj", "/CN=localhost", "-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(argv, check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@contextmanager
def store(kind: str, certificate: Path) -> Iterator[dict[str, Any]]:
    """Have such a store listen, and return it as the inventory has it."""
    argv = [sys.executable, str(Path(__file__).with_name("store.py")), kind, str(certificate)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        try:
            assert run.stdout
            options = {
                "bucket": "backups",
                "endpoint": "localhost",
                "region": "eu-1",
                "key": "someone",
                "uri_style": "path",
            }
            yield {
                "type": "s3",
                "options": {**options, "key_secret": SECRET},
                "storage": {"port": int(run.stdout.readline()), "verify_tls": False},
            }
        finally:
            run.kill()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("silent", "The store does not answer"), ("refusing", "The store refused the request")],
    ids=["silent", "refusing"],
)
def test_a_store_of_no_use_is_named(world: World, certificate: Path, kind: str, words: str) -> None:
    with store(kind, certificate) as raw:
        third = world.repository("store", Path("/pgbackrest"), **raw)
        with world.third(third, QUICK if kind == "silent" else PATIENT):
            verdict = world.job("full", third)
            near, away = world.engine(NEAR, THIRD).info().held
    assert verdict.status == "failed"
    assert verdict.reason.startswith("store: cannot be used: "), "the store was not named"
    assert words in verdict.reason, "what is wrong with the store was not named"
    assert "near" not in verdict.reason
    assert verdict.facts["repositories"]["near"]["label"] == world.newest(NEAR).label
    assert (near.fault, away.backups) == ("", ())
    assert away.fault.startswith("cannot be used: ")
    assert SECRET not in verdict.as_json()
