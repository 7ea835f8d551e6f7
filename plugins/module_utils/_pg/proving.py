# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove configuration files with the server's own binaries, on a scratch cluster, before the real one sees them.

Two steps. `postgres -C` on the scratch directory with the staged files: unknown names, units, ranges, settings that
exclude each other, missing libraries and certificates, and the exact shared memory. Then a start of the scratch
cluster with the staged files (small buffers, no network): pg_hba.conf, pg_ident.conf and everything only a start tells.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._core.errors import ConfigurationRefused, HostError
from .._core.hidden import without_values
from .._core.settings import parse
from .._core.units import human_size

Run = Callable[[Sequence[str]], tuple[int, str, str]]
START_SECONDS = 60
PROCESSES = Path("/proc")
_NOISE = re.compile(r"^(?:HINT|DETAIL|CONTEXT|LOG|FATAL|ERROR|WARNING|PANIC):|\s(?:FATAL|ERROR|LOG|PANIC):\s")


@dataclass(frozen=True)
class Proof:
    """What the proof measured; `huge_pages` is None before PostgreSQL 15, which cannot tell."""

    huge_pages: int | None
    huge_page_bytes: int


@dataclass(frozen=True)
class Prover:
    """Runs the proofs of one major version as user postgres, on a scratch directory of its own.

    `altered` are the lines of the real cluster's postgresql.auto.conf, which a start reads after all others.
    """

    run: Run
    version: int
    scratch: Path
    altered: str = ""

    def _postgres(self, argv: Sequence[str]) -> tuple[int, str, str]:
        return self.run(["runuser", "-u", "postgres", "--", *argv])

    def _binary(self, name: str) -> str:
        return f"/usr/lib/postgresql/{self.version}/bin/{name}"

    def _files(self, staged: Path) -> list[str]:
        pairs = {
            "config_file": staged / "postgresql.conf",
            "hba_file": staged / "pg_hba.conf",
            "ident_file": staged / "pg_ident.conf",
            "data_directory": self.scratch,
            "external_pid_file": "",
        }
        return [word for name, value in pairs.items() for word in ("-c", f"{name}={value}")]

    def _running(self) -> bool:
        """Say whether the process that the scratch cluster names works in it.

        pg_ctl only asks whether there is one of that number. After a reboot it may be anybody's: the real server's, too.
        """
        try:
            number = int((self.scratch / "postmaster.pid").read_text().split("\n", 1)[0])
            return (PROCESSES / str(number) / "cwd").resolve() == self.scratch.resolve()
        except (ValueError, OSError):
            return False

    def prepare(self) -> None:
        """Make the scratch cluster, or make it anew where an interrupted proof left it in use."""
        if (self.scratch / "postmaster.pid").exists():
            if self._running():
                self._postgres([self._binary("pg_ctl"), "-D", str(self.scratch), "-m", "immediate", "stop"])
            shutil.rmtree(self.scratch)
        if (self.scratch / "global/pg_control").exists() and (self.scratch / "complete").exists():
            return
        if self.scratch.exists():
            shutil.rmtree(self.scratch)
        self.scratch.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.run(["install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", str(self.scratch)])
        argv = [self._binary("initdb"), "-D", str(self.scratch), "-A", "peer", "-E", "UTF8", "--locale=C", "-N"]
        code, out, err = self._postgres(argv)
        if code != 0:
            raise HostError(f"initdb of the scratch cluster {self.scratch} failed: {(err or out).strip()}")
        (self.scratch / "complete").touch()

    def prove(self, staged: Path, memory_bytes: int, huge_page_bytes: int) -> Proof:
        """Prove the three files in `staged`. Raises ConfigurationRefused with the server's own words."""
        self.prepare()
        (self.scratch / "postgresql.auto.conf").write_text(self.altered)
        name = "shared_memory_size_in_huge_pages" if self.version >= 15 else "shared_buffers"
        argv = [self._binary("postgres"), "-C", name, "-D", str(self.scratch), *self._files(staged)]
        code, out, err = self._postgres(argv)
        if code != 0:
            raise self._refused("the server refuses the new configuration", server_words(err, staged))
        pages = int(out.split()[-1]) if self.version >= 15 else None
        if pages is not None and pages * huge_page_bytes > memory_bytes:
            raise self._refused(
                f"the new configuration needs {human_size(pages * huge_page_bytes)} of shared memory",
                f"the host may use {human_size(memory_bytes)}: lower shared_buffers (postgresql_settings)",
            )
        self._start(staged)
        return Proof(pages, huge_page_bytes)

    def _start(self, staged: Path) -> None:
        harmless = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.scratch),
            "logging_collector": "off",
            "log_destination": "stderr",
            "shared_buffers": "16MB",
            "huge_pages": "off",
            "archive_mode": "off",
            "autovacuum": "off",
            "restart_after_crash": "off",
            "cluster_name": "pgstead-proof",
        }
        options = self._files(staged)
        options += [word for name, value in harmless.items() for word in ("-c", f"{name}={value}")]
        log = self.scratch / "proof.log"
        log.unlink(missing_ok=True)
        control = [self._binary("pg_ctl"), "-D", str(self.scratch), "-w", "-t", str(START_SECONDS)]
        quoted = " ".join(f"'{word}'" for word in options)
        code, out, err = self._postgres([*control, "-l", str(log), "-o", quoted, "start"])
        words = log.read_text(errors="replace") if log.exists() else out + err
        if code != 0:
            raise self._refused("the server does not start with the new files", server_words(words, staged))
        self._postgres([*control, "-m", "fast", "stop"])
        complaints = [line for line in words.splitlines() if "pg_ident.conf" in line or "pg_hba.conf" in line]
        if complaints:
            raise self._refused("the server refuses the new files", server_words("\n".join(complaints), staged))

    def _refused(self, what: str, words: str) -> ConfigurationRefused:
        names = ", ".join(parse(self.altered))
        told = f" — postgresql.auto.conf counts, too: somebody set {names} by ALTER SYSTEM" if names else ""
        return ConfigurationRefused(f"{what}: {words}{told}")


def server_words(text: str, staged: Path) -> str:
    """Keep the lines in which the server complains, with the staged path shortened to the file's name."""
    lines = [without_values(line.strip()) for line in text.splitlines() if _NOISE.search(line)]
    kept = [line for line in lines if not re.search(r"LOG:\s+(starting|listening|database system|redirecting)", line)]
    return " | ".join(kept or lines or [without_values(text.strip()) or "no message"]).replace(f"{staged}/", "")
