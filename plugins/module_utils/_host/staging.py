# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Configuration files between rendering and applying: staged, proven, and remembered as proven by their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from .._core.errors import ConfigurationRefused
from .._pg.proving import Proof, Prover
from .files import Wanted, differing, make_directory, write

ROOT = Path("/var/lib/pgstead")
NAMES = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")


@dataclass(frozen=True)
class Stage:
    """The staging directory of one cluster."""

    version: int
    cluster: str

    @property
    def directory(self) -> Path:
        return ROOT / "stage" / f"{self.version}-{self.cluster}"

    @property
    def _record(self) -> Path:
        return self.directory / "proof.json"

    def files(self, texts: Mapping[str, str], directory: Path | None = None) -> list[Wanted]:
        return [Wanted((directory or self.directory) / name, texts[name], "root", "postgres", 0o640) for name in NAMES]

    def proof(self, texts: Mapping[str, str], surroundings: str) -> Proof | None:
        """Return the proof of exactly these texts in exactly these surroundings (server package, memory), if any."""
        if differing(self.files(texts)) or not self._record.exists():
            return None
        found = json.loads(self._record.read_text())
        if found.pop("digest", "") != digest(texts, surroundings):
            return None
        return Proof(**found)

    def require(self, texts: Mapping[str, str], surroundings: str) -> Proof:
        """Return the proof, or refuse: nothing unproven is ever applied."""
        found = self.proof(texts, surroundings)
        if found is None:
            raise ConfigurationRefused(
                "these files have not been proven on this host: run the proof (state: proven) first"
            )
        return found

    def prove(self, texts: Mapping[str, str], surroundings: str, prover: Prover, memory: tuple[int, int]) -> Proof:
        """Stage, prove and remember. `memory` is (bytes that may be used, bytes of a huge page)."""
        self._directory()
        self._record.unlink(missing_ok=True)
        for file in differing(self.files(texts)):
            write(file)
        proof = prover.prove(self.directory, *memory)
        record = json.dumps(asdict(proof) | {"digest": digest(texts, surroundings)}) + "\n"
        write(Wanted(self._record, record))
        return proof

    def rehearse(self, texts: Mapping[str, str], prover: Prover, memory: tuple[int, int]) -> Proof:
        """Prove in a directory that is thrown away: check mode leaves nothing on the host."""
        with TemporaryDirectory(prefix="pgstead-") as name:
            base = Path(name)
            base.chmod(0o755)
            for file in self.files(texts, base):
                write(file)
            return replace(prover, scratch=base / "scratch").prove(base, *memory)

    def _directory(self) -> None:
        for place in (ROOT, self.directory.parent):
            make_directory(place, "root", "root", 0o755)
        make_directory(self.directory, "root", "postgres", 0o750)


def digest(texts: Mapping[str, str], surroundings: str) -> str:
    """Return a hash over texts and surroundings."""
    parts = [surroundings, *(f"{name}\0{texts[name]}" for name in NAMES)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
