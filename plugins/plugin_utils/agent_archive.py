# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's command as one file: a zip archive that Python runs, made of the collection's own packages.

Equal sources give equal bytes: names are sorted, times fixed, and nothing is compressed, for compressors differ.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.pgstead.ops.plugins.module_utils._core.version import VERSION

SOURCES = Path(__file__).resolve().parents[1] / "module_utils"
# Whole packages, and of _host what does not need Ansible
_HOST = (
    "__init__",
    "files",
    "lock",
    "programs",
    "pgbackrest",
    "host_copy",
    "storage",
    "backup_survey",
    "poolers",
    "dump_*",
    "evidence*",
    "drill*",
    "scratch_server",
    "recovery_probe",
    "restore_reach",
    "server_log",
    "service",
)
PACKAGES = ("_agent/*.py", "_core/*.py", "_pg/*.py", *(f"_host/{name}.py" for name in _HOST))
# isolated: neither the caller's environment nor the working directory decides what is imported
_INTERPRETER = b"#!/usr/bin/python3 -I\n"
_MAIN = """import sys

from pgstead._agent.command import main

sys.exit(main(sys.argv[1:], "{version}"))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Archive:
    """The command, and the version that it reports: the collection's, and a hash of the content."""

    version: str
    content: bytes = field(repr=False)


def build(sources: Path = SOURCES) -> Archive:
    """Make the archive of the packages in a directory."""
    files = {"pgstead/__init__.py": b""}
    for pattern in PACKAGES:
        files |= {f"pgstead/{path.relative_to(sources)}": path.read_bytes() for path in sources.glob(pattern)}
    version = f"{VERSION}+{_digest(files)}"
    return Archive(version, _INTERPRETER + _zip(files | {"__main__.py": _MAIN.format(version=version).encode()}))


def _digest(files: Mapping[str, bytes]) -> str:
    found = hashlib.sha256(_INTERPRETER + _MAIN.encode())
    for name, content in sorted(files.items()):
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:_HASH_DIGITS]


def _zip(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return stream.getvalue()
