# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests beside evidence: made, signed with minisign, and checked."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from .._core import evidence_manifest as manifests
from .._core.errors import HostError
from .._core.evidence_manifest import PAGE, RECORD, SIGNATURE, SUFFIX, Kept, Manifest
from .dump_archive import refuse_open_key
from .files import Wanted, write
from .lock import lock
from .programs import run

_LOCK = ".manifests.lock"
_KEY = "the key that signs evidence"


def seal(record: Path, secret_key: Path | None = None) -> Path:
    """Write the manifest of a record and its page, signed where there is a key; return its path.

    Raises HostError where there is one already: what it vouches for is never changed. Raises SpecError where others could
    read the key.
    """
    if secret_key:
        refuse_open_key(_KEY, secret_key)
    target = record.with_suffix(SUFFIX)
    with lock(record.parent / _LOCK, wait=True):
        if target.exists():
            raise HostError(f"{target} is there already: a record is made once. Leave it, and make a new record")
        files = {path.name: _digest(path) for path in (record, record.with_suffix(PAGE))}
        text = Manifest(files, manifests.head(_look(record.parent, f"*{SUFFIX}"))).text()
        if secret_key:  # first: a manifest without its signature is never there
            _put(record.with_suffix(SIGNATURE), _signature(target.name, text, secret_key))
        _put(target, text)
    return target


def try_key(secret_key: Path) -> None:
    """Sign something with a key, and forget it. Raises HostError, SpecError."""
    refuse_open_key(_KEY, secret_key)
    _signature("trial", "trial\n", secret_key)


def unsealed(kind: str, directory: Path) -> list[Path]:
    """Return the records of a kind that this user has kept and not sealed, the oldest first: a run was killed in between, or
    its key could not be used. Others' records are theirs to seal.
    """
    return [
        path
        for path in sorted(directory.glob(f"*Z-{kind}-*{RECORD}"))
        if path.is_file()
        and path.stat().st_uid == os.geteuid()
        and path.with_suffix(PAGE).exists()
        and not path.with_suffix(SUFFIX).exists()
    ]


def verify(directory: Path, public_key: str = "") -> list[str]:
    """Say what is not as the manifests say; with minisign's public key (its text), also which signature is wrong."""
    if not directory.is_dir():
        return [f"{directory} is no directory: there is no evidence"]
    kept = _look(directory)
    found = manifests.faults(kept)
    if public_key:
        signed = {path.name.removesuffix(".minisig"): path for path in directory.glob(f"*{SIGNATURE}")}
        told = {name: _misfit(directory / name, path, public_key) for name, path in sorted(signed.items())}
        found += manifests.unsigned(kept, told)
    return found


def _look(directory: Path, names: str = "*") -> Kept:
    paths = sorted(path for path in directory.glob(names) if path.is_file() and not path.name.startswith("."))
    read = {path.name: manifests.read(path.read_text(errors="replace")) for path in paths if path.name.endswith(SUFFIX)}
    return Kept(read, {path.name: _digest(path) for path in paths})


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _put(path: Path, text: str) -> None:
    write(Wanted(path, text, str(os.geteuid()), str(os.getegid())))


def _signature(name: str, text: str, secret_key: Path) -> str:
    """Return the signature of a manifest, after it was checked with the key's own public half."""
    with tempfile.TemporaryDirectory(prefix="pgstead-") as work:
        signed, signature, public = Path(work, name), Path(work, "signature"), Path(work, "public")
        signed.write_text(text, encoding="utf-8")
        _minisign("-S", "-s", secret_key, "-m", signed, "-x", signature)
        _minisign("-R", "-s", secret_key, "-p", public)
        _minisign("-V", "-q", "-p", public, "-m", signed, "-x", signature)
        return signature.read_text(encoding="utf-8")


def _minisign(*words: str | Path) -> None:
    code, out, err = run(["minisign", *map(str, words)])
    if code:
        said = " ".join((err or out).split())
        hint = ": the key must have no password (minisign -G -W)" if "password" in said.lower() else ""
        raise HostError(f"minisign {words[0]} did not sign the manifest: {said or f'it returned {code}'}{hint}")


def _misfit(manifest: Path, signature: Path, public_key: str) -> str:
    code, out, err = run(["minisign", "-V", "-q", "-P", public_key, "-m", str(manifest), "-x", str(signature)])
    return " ".join((err or out).split()) or "minisign refuses it" if code else ""
