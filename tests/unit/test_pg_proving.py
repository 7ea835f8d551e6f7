"""The server's own words, out of its noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConfigurationRefused
from ansible_collections.pgstead.ops.plugins.module_utils._pg import proving
from ansible_collections.pgstead.ops.plugins.module_utils._pg.proving import Prover, server_words

STAGED = Path("/var/lib/pgstead/stage/17-main")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '2026-01-02 UTC [1] LOG:  unrecognized configuration parameter "x" in file "/var/lib/pgstead/stage/17-main/postgresql.conf"\n',
            '2026-01-02 UTC [1] LOG:  unrecognized configuration parameter "x" in file "postgresql.conf"',
        ),
        (
            "t [1] LOG:  starting PostgreSQL 17\nt [1] LOG:  listening on x\nt [1] FATAL:  no lock\nHINT:  help\nnoise\n",
            "t [1] FATAL:  no lock | HINT:  help",
        ),
        ("t [1] LOG:  starting PostgreSQL 17\n", "t [1] LOG:  starting PostgreSQL 17"),
        ("something else\n", "something else"),
        ("", "no message"),
    ],
)
def test_server_words(text: str, expected: str) -> None:
    assert server_words(text, STAGED) == expected


@pytest.mark.parametrize(("altered", "told"), [
    ("", ""),
    (
        "shared_buffers = '900GB'\nwork_mem = '1MB'\n",
        " — postgresql.auto.conf counts, too: somebody set shared_buffers, work_mem by ALTER SYSTEM",
    ),
])  # fmt: skip
def test_what_was_altered_counts_and_is_named(altered: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "global").mkdir()
    for name in ("global/pg_control", "complete"):
        (tmp_path / name).touch()
    (tmp_path / "postgresql.auto.conf").write_text("work_mem = '1TB'  # of the proof before\n")

    def refuse(_argv: Sequence[str]) -> tuple[int, str, str]:
        assert (tmp_path / "postgresql.auto.conf").read_text() == altered
        return 1, "", "t [1] FATAL:  too much\n"

    with pytest.raises(ConfigurationRefused) as caught:
        Prover(refuse, 17, tmp_path, altered).prove(STAGED, 8 * 1024**3, 2 * 1024**2)
    assert str(caught.value) == f"the server refuses the new configuration: t [1] FATAL:  too much{told}"


@pytest.mark.parametrize(
    ("number", "works_in", "stopped"),
    [("7", "scratch", True), ("7", "real", False), ("7", "", False), ("none", "scratch", False)],
)
def test_only_a_server_of_the_scratch_cluster_is_stopped(
    number: str, works_in: str, stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot, the number that a cut-off proof noted may be that of the real server."""
    scratch, process = tmp_path / "scratch", tmp_path / "proc/7"
    for place in (scratch, tmp_path / "real", process):
        place.mkdir(parents=True)
    if works_in:
        (process / "cwd").symlink_to(tmp_path / works_in)
    (scratch / "postmaster.pid").write_text(f"{number}\n{scratch}\n")
    monkeypatch.setattr(proving, "PROCESSES", tmp_path / "proc")
    asked: list[str] = []

    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        asked.append(" ".join(argv))
        scratch.mkdir(exist_ok=True)
        return 0, "", ""

    Prover(run, 17, scratch).prepare()
    assert any("immediate stop" in line for line in asked) is stopped
    assert any("initdb" in line for line in asked)
    assert not (scratch / "postmaster.pid").exists()
