"""Staged configuration: proven once, remembered by its hash, never applied unproven."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConfigurationRefused
from ansible_collections.pgstead.ops.plugins.module_utils._host import staging
from ansible_collections.pgstead.ops.plugins.module_utils._pg.proving import Proof

TEXTS = {"postgresql.conf": "port = 5432\n", "pg_hba.conf": "local all all peer\n", "pg_ident.conf": ""}
STAGE = staging.Stage(17, "main")
MEMORY = (8 * 1024**3, 2 * 1024**2)


@dataclass
class Prover:
    """Stands in for the server's binaries: records where it looked, refuses on demand."""

    refusal: str = ""
    scratch: Path = Path("scratch")
    seen: list[dict[str, str]] = field(default_factory=list)

    def prove(self, staged: Path, memory_bytes: int, huge_page_bytes: int) -> Proof:
        assert (memory_bytes, huge_page_bytes) == MEMORY
        self.seen.append({name: (staged / name).read_text() for name in staging.NAMES})
        if self.refusal:
            raise ConfigurationRefused(self.refusal)
        return Proof(512, huge_page_bytes)


@pytest.fixture(autouse=True)
def _this_user_is_root_and_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests run where neither exists."""
    user, group = (
        SimpleNamespace(pw_uid=os.geteuid(), pw_name="root"),
        SimpleNamespace(gr_gid=os.getegid(), gr_name="postgres"),
    )
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: user)
    monkeypatch.setattr(pwd, "getpwuid", lambda _number: user)
    monkeypatch.setattr(grp, "getgrnam", lambda _name: group)
    monkeypatch.setattr(grp, "getgrgid", lambda _number: group)
    monkeypatch.setattr(os, "chown", lambda *_args: None)
    monkeypatch.setattr(staging, "ROOT", tmp_path)


def prove(**changed: str) -> Prover:
    prover = Prover()
    STAGE.prove(TEXTS | changed, "17.6 8GB", prover, MEMORY)  # type: ignore[arg-type]
    return prover


def test_nothing_is_proven_at_first() -> None:
    assert STAGE.proof(TEXTS, "17.6 8GB") is None
    with pytest.raises(ConfigurationRefused, match="have not been proven"):
        STAGE.require(TEXTS, "17.6 8GB")


def test_the_prover_sees_the_staged_files_and_is_remembered(tmp_path: Path) -> None:
    assert prove().seen == [TEXTS]
    assert STAGE.directory == tmp_path / "stage/17-main"
    assert STAGE.directory.stat().st_mode & 0o777 == 0o750
    assert STAGE.proof(TEXTS, "17.6 8GB") == Proof(512, MEMORY[1])
    assert STAGE.require(TEXTS, "17.6 8GB") == Proof(512, MEMORY[1])


def test_the_servers_user_reaches_the_stage_whatever_the_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    before = os.umask(0o077)
    try:
        prove()
    finally:
        os.umask(before)
    assert [place.stat().st_mode & 0o777 for place in (tmp_path, STAGE.directory.parent, STAGE.directory)] == [
        0o755,
        0o755,
        0o750,
    ]


@pytest.mark.parametrize("name", staging.NAMES)
def test_other_texts_are_not_proven(name: str) -> None:
    prove()
    assert STAGE.proof(TEXTS | {name: TEXTS[name] + "# more\n"}, "17.6 8GB") is None


def test_other_surroundings_are_not_proven() -> None:
    prove()
    assert STAGE.proof(TEXTS, "17.7 8GB") is None


@pytest.mark.parametrize("name", staging.NAMES)
def test_a_touched_stage_is_not_proven(name: str) -> None:
    prove()
    (STAGE.directory / name).write_text("x")
    assert STAGE.proof(TEXTS, "17.6 8GB") is None


def test_a_refusal_forgets_the_earlier_proof() -> None:
    prove()
    with pytest.raises(ConfigurationRefused, match="bad line"):
        STAGE.prove(TEXTS, "17.6 8GB", Prover("bad line"), MEMORY)  # type: ignore[arg-type]
    assert STAGE.proof(TEXTS, "17.6 8GB") is None


def test_a_rehearsal_leaves_nothing(tmp_path: Path) -> None:
    proof: Any = STAGE.rehearse(TEXTS, Prover(), MEMORY)  # type: ignore[arg-type]
    assert proof == Proof(512, MEMORY[1])
    assert list(tmp_path.iterdir()) == []


def test_digest_tells_everything_apart() -> None:
    empty = dict.fromkeys(staging.NAMES, "")
    seen = {staging.digest(empty, ""), staging.digest(empty, "x")}
    seen |= {staging.digest(empty | {name: "x"}, "") for name in staging.NAMES}
    assert len(seen) == 5
    assert staging.digest(dict(reversed(TEXTS.items())), "s") == staging.digest(TEXTS, "s")
