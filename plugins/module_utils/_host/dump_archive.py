# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A dump's files as one encrypted archive, and back: packed and encrypted as a stream, opened and hashed as a stream."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .._core.dump_job import Encryption
from .._core.errors import HostError, Problem, SpecError
from .dump_programs import Programs, Running
from .dump_work import working_directory

KEYS = Path("/run/pgstead-keys")  # in memory, and root's alone
CHUNK = 1024 * 1024
# what an archive may hold, whatever somebody may have put there
_MEMBER = re.compile(r"(dump/[A-Za-z0-9_]+(\.[a-z0-9]+)*|globals\.sql|database\.json)")


@dataclass(frozen=True)
class Key:
    """Files with a secret key of age or OpenPGP, and with its passphrase (empty: it has none)."""

    identity: Path
    passphrase: Path | None


def refuse_open_key(where: str, path: Path) -> None:
    """Raise SpecError where a file with a secret is missing, or others than its owner can read it."""
    try:
        status = path.stat()
    except OSError as error:
        raise SpecError([Problem(where, f"{path} cannot be read on the host: {error.strerror}")]) from error
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise SpecError([Problem(where, f"{path} has mode {mode:04o}: others can read the secret; chmod 0600 it")])


def digests(path: Path) -> dict[str, Any]:
    """Return size, sha256, and the hashes that other stores know (sha1, md5), in one pass."""
    known = {
        "sha256": hashlib.sha256(),
        "sha1": hashlib.sha1(usedforsecurity=False),
        "md5": hashlib.md5(usedforsecurity=False),
    }
    size = 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            for each in known.values():
                each.update(chunk)
    return {"size": size, **{name: each.hexdigest() for name, each in known.items()}}


def tree(directory: Path) -> dict[str, dict[str, Any]]:
    """Return {path: {size, sha256}} of the files of an opened dump."""
    found = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found[str(path.relative_to(directory))] = {"size": path.stat().st_size, "sha256": digest}
    return found


def pack(directory: Path, archive: Path, encryption: Encryption, work: Path, programs: Programs) -> None:
    """Write the files of a directory as an encrypted tar archive. Raises HostError."""
    argv = _encrypt(encryption, work)
    handle = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as target, programs.started(argv, stdin=-1, stdout=target) as running:
        assert running.process.stdin is not None
        try:
            with tarfile.open(fileobj=running.process.stdin, mode="w|", format=tarfile.PAX_FORMAT) as packed:
                for path in sorted(path for path in directory.rglob("*") if path.is_file()):
                    entry = tarfile.TarInfo(str(path.relative_to(directory)))
                    entry.size, entry.mode = path.stat().st_size, 0o600
                    with path.open("rb") as stream:
                        packed.addfile(entry, stream)
        except BrokenPipeError:
            running.finish()
            raise
        running.finish()


def unpack(archive: Path, directory: Path, key: Key, work: Path, programs: Programs) -> dict[str, dict[str, Any]]:
    """Open an encrypted archive into a new directory of the programs' user; return {path: {size, sha256}}.

    Raises HostError where the key does not fit, or the content is not whole.
    """
    with _decryption(archive, key, work, programs) as running:
        assert running.process.stdout is not None
        try:
            with programs.writing():
                directory.mkdir(mode=0o700)
                found = _extracted(running.process.stdout, directory)
        except (tarfile.TarError, EOFError) as error:
            running.finish()  # it knows more: a wrong key, for one
            raise HostError(f"{archive.name} holds no whole tar archive: {error}") from error
        running.finish()
    return found


def _extracted(stream: IO[bytes], directory: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with tarfile.open(fileobj=stream, mode="r|") as packed:
        for member in packed:
            if not member.isreg() or not _MEMBER.fullmatch(member.name) or member.name in found:
                raise HostError(f"the archive holds {member.name!r}, which no dump has: it was not made by pgstead")
            path, content = directory / member.name, packed.extractfile(member)
            assert content is not None
            path.parent.mkdir(mode=0o700, exist_ok=True)
            found[member.name] = _written(content, path)
    while stream.read(CHUNK):  # whoever encrypted it may have padded it; what follows is part of what is authenticated
        pass
    return found


def _written(content: IO[bytes], path: Path) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            size += target.write(chunk)
    return {"size": size, "sha256": digest.hexdigest()}


def _encrypt(encryption: Encryption, work: Path) -> list[str]:
    if encryption.method == "age":
        return ["age", "--encrypt", *(word for key in encryption.recipients for word in ("--recipient", key))]
    home = work / "gnupg"
    home.mkdir(mode=0o700)
    argv = [*_gpg(home), "--trust-model", "always", "--compress-algo", "none", "--encrypt"]
    for number, text in enumerate(encryption.recipients):
        path = home / f"recipient-{number}.asc"
        path.write_text(text + "\n", encoding="utf-8")
        argv += ["--recipient-file", str(path)]
    return argv


@contextmanager
def _decryption(archive: Path, key: Key, work: Path, programs: Programs) -> Iterator[Running]:
    """Yield a program that writes what is in an archive. It runs as the caller, who alone may read the key."""
    with archive.open("rb") as stream:
        if archive.name.endswith(".age"):
            argv = ["age", "--decrypt", "--identity", str(key.identity)]
            with programs.started(argv, stdin=stream, stdout=-1, own=True) as running:
                yield running
            return
        secret = ["--pinentry-mode", "loopback", "--passphrase-file", str(key.passphrase or os.devnull)]
        with _keyring(work) as home:
            try:
                programs.run([*_gpg(home), *secret, "--import", str(key.identity)], own=True)
                with programs.started(
                    [*_gpg(home), *secret, "--decrypt"], stdin=stream, stdout=-1, own=True
                ) as running:
                    yield running
            finally:
                programs.run(["gpgconf", "--homedir", str(home), "--kill", "all"], own=True)


@contextmanager
def _keyring(work: Path) -> Iterator[Path]:
    """Yield a directory for a secret key, of the caller alone: what a killed run left of one, the next run of root's removes, and
    another user's cannot be in the way of dumps.
    """
    if os.geteuid() == 0:
        KEYS.mkdir(mode=0o700, exist_ok=True)
        with working_directory(KEYS, "root", says_full=False) as home:
            yield home
    else:
        home = work / "gnupg"
        home.mkdir(mode=0o700)
        yield home


def _gpg(home: Path) -> list[str]:
    return ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet"]


def sizes(files: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes of files as `tree` gives them."""
    return sum(int(each["size"]) for each in files.values())
