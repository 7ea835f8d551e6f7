# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SQL dumps of earlier systems: gzip, encrypted with openssl's AES-CBC, which notices no change of a single bit.

What can be known of one is that it could be decrypted, that gzip's checksum holds, and that pg_dump came to its end.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

from .._core.errors import HostError
from .._pg.connection import Target
from .dump_archive import CHUNK
from .dump_programs import Programs
from .dump_take import reach

_END, _TAIL_BYTES = b"\n-- PostgreSQL database dump complete\n", 4096
_ELSEWHERE = re.compile(rb"^(\\c(onnect)?\s|CREATE DATABASE |DROP DATABASE |ALTER DATABASE )")
_ROWS = re.compile(rb"COPY .* FROM stdin;$")


def open_sql(archive: Path, passphrase: Path, path: Path, programs: Programs) -> None:
    """Decrypt and decompress a dump into a file. Raises HostError where it is not whole."""
    argv = ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-salt", "-pass", f"file:{passphrase}"]
    with archive.open("rb") as stream, programs.started(argv, stdin=stream, stdout=-1, own=True) as running:
        assert running.process.stdout is not None
        unzip = zlib.decompressobj(wbits=31)
        try:
            with programs.writing():
                opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(opened, "wb") as target:
                    while chunk := running.process.stdout.read(CHUNK):
                        target.write(unzip.decompress(chunk))
                    target.write(unzip.flush())
        except zlib.error as error:
            what = "with this passphrase it is no gzip file, or it was changed"
            raise HostError(f"{archive}: {what}: {error}") from error
        running.finish()
    if not unzip.eof:
        raise HostError(f"{archive} is cut off: its gzip stream does not end. Take another dump")
    with programs.writing():
        _refuse_part(archive, path)


def _refuse_part(archive: Path, path: Path) -> None:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        if _END not in stream.read():
            raise HostError(f"{archive} is cut off: it does not end with pg_dump's last line. Take another dump")
        stream.seek(0)
        rows = False  # of a table, which may hold any words
        for line in stream:
            if not rows and _ELSEWHERE.match(line):
                words = line.decode(errors="replace").strip()[:80]
                raise HostError(
                    f"{archive} would change other databases than the side database: {words!r}. Restore it by hand, on a "
                    "server of its own"
                )
            rows = line != b"\\.\n" if rows else bool(_ROWS.match(line))


def restore_sql(path: Path, target: Target, binaries: Path, programs: Programs) -> None:
    """Run a dump in SQL, all of it or nothing."""
    words = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={path}"]
    programs.run([str(binaries / "psql"), *reach(target), *words])
