"""Certificates as openssl makes them."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._host import certificate

NAMES = "subjectAltName=DNS:db1,DNS:*.example.org,IP:192.0.2.7,IP:2001:db8::7"
NEW = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-subj",
    "/CN=db1",
    "-days",
    "10",
]


def run(argv: Sequence[str]) -> tuple[int, str, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make three pairs: named, plain (no names), locked (the key needs a passphrase)."""
    base = tmp_path_factory.mktemp("tls")
    for name, more in (
        ("named", ["-nodes", "-addext", NAMES]),
        ("plain", ["-nodes"]),
        ("locked", ["-passout", "pass:secret"]),
    ):
        code, _out, err = run([*NEW, "-keyout", str(base / f"{name}.key"), "-out", str(base / f"{name}.crt"), *more])
        assert code == 0, err
    (base / "text").write_text("not a certificate\n")
    return base


@pytest.fixture(autouse=True)
def no_server_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no account of the server's, as on a bare host, whatever this machine has."""
    monkeypatch.setattr(certificate, "SERVER", "nobody-of-this-name")


def test_a_good_pair(made: Path) -> None:
    found = certificate.observe(run, str(made / "named.crt"), str(made / "named.key"))
    assert found["error"] == ""
    assert found["names"] == ["DNS:db1", "DNS:*.example.org", "IP:192.0.2.7", "IP:2001:db8::7"]
    assert abs(found["not_after"] - time.time() - 10 * 86400) < 300


def test_a_pair_without_names(made: Path) -> None:
    found = certificate.observe(run, str(made / "plain.crt"), str(made / "plain.key"))
    assert (found["error"], found["names"]) == ("", [])


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("none.crt", "named.key", "none.crt does not exist"),
        ("named.crt", "none.key", "none.key does not exist"),
        (".", "named.key", "does not exist"),
        ("named.crt", "plain.key", "cannot be used"),
        ("text", "named.key", "text with"),
        ("named.crt", "text", "cannot be used"),
        ("locked.crt", "locked.key", "needs a passphrase"),
    ],
)
def test_bad_pairs(cert: str, key: str, said: str, made: Path) -> None:
    found = certificate.observe(run, str(made / cert), str(made / key))
    assert said in found["error"]
    assert (found["not_after"], found["names"]) == (0.0, [])


def test_openssl_that_fails(made: Path) -> None:
    found = certificate.observe(lambda _argv: (1, "", "no way\n"), str(made / "named.crt"), str(made / "named.key"))
    assert found["error"] == f"{made}/named.crt cannot be read: no way"


def test_openssl_is_there() -> None:
    assert shutil.which("openssl")


@pytest.mark.parametrize(
    ("owner", "mode", "readable", "said"),
    [
        (0, 0o640, True, ""),
        (0, 0o600, True, ""),
        (0, 0o660, True, "has mode 0660"),
        (0, 0o644, True, "has mode 0644"),
        (0, 0o600, False, "/c cannot be read by"),
        (105, 0o600, True, ""),
        (105, 0o400, True, ""),
        (105, 0o640, True, "has mode 0640"),
        (1000, 0o600, True, "belongs to neither root nor"),
    ],
)
def test_what_the_server_would_not_take(
    owner: int, mode: int, readable: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root reads all of these."""
    seen = SimpleNamespace(stat=lambda: SimpleNamespace(st_uid=owner, st_mode=0o100000 | mode))
    monkeypatch.setattr(certificate.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=105))
    monkeypatch.setattr(certificate, "Path", lambda _path: seen)
    found = certificate._refused_by_server(lambda _argv: (0 if readable else 1, "", ""), "/c", "/k")
    assert said in found
    assert bool(said) == bool(found)


def test_a_key_that_the_server_would_not_take_is_an_error(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=105))
    (made / "named.key").chmod(0o666)
    found = certificate.observe(run, str(made / "named.crt"), str(made / "named.key"))
    (made / "named.key").chmod(0o600)
    assert "the server refuses it" in found["error"]
