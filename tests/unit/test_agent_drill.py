"""The job of drills: what earlier runs left goes, and its verdict is told whatever becomes of its evidence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._agent import drill as job
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_config import Config
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_spec import plan_drills
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._core.job import Verdict
from ansible_collections.pgstead.ops.plugins.module_utils._host import drill_record
from ansible_collections.pgstead.ops.plugins.module_utils._host.evidence_manifest import verify

from .drill_world import facts

NAMES = ("db1", "db2.example.com")
CONFIG = Config("postgres", "/s", "/t", 1, 5, {}, "/p")


def raw(directory: Path) -> dict[str, Any]:
    """Return the job's settings of two clusters, below a directory."""
    spec = {
        "host": "drill1",
        "clusters": [{"source": name, "repositories": ["near"]} for name in NAMES],
        "directory": str(directory / "drill"),
        "port": 1,
        "rto_objective": "1h",
        "rpo_objective": "1h",
        "tolerance": "1%",
        "signing_key": "",
        "beside_production": False,
    }
    repository = {"name": "near", "type": "posix", "path": "/r", "cipher_passphrase": "a passphrase of tests only"}
    plan = plan_drills(spec, {name: {"backup_repositories": [repository]} for name in NAMES})
    assert plan.problems == ()
    return {**plan.job("quick"), "evidence": str(directory / "evidence")}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Settings of a job whose drills find what they should."""
    monkeypatch.setattr(job, "drill", lambda _told, source, _turn, _now: facts(cluster=source.cluster, history=[]))
    # pytest's own directories may have names too long for a socket's path
    with TemporaryDirectory(dir="/tmp") as name:
        (Path(name) / "drill").mkdir()
        yield raw(Path(name))


def left(told: dict[str, Any], name: str, *, mark: bool = True) -> Path:
    """Leave what a drill that was cut off leaves of a cluster."""
    place = Path(told["directory"], name)
    (place / "data").mkdir(parents=True)
    (place / "data/rows").write_text("secret")
    if mark:
        (place / "drill").touch()
    return place


def run(told: dict[str, Any]) -> Verdict:
    return job.run(CONFIG, told)


@pytest.mark.parametrize("work", [run, lambda told: job.clean(CONFIG, told)], ids=["begin", "end"])
def test_what_is_left_goes_whether_its_cluster_is_declared_or_not(told: dict[str, Any], work: Any) -> None:
    gone = [left(told, name) for name in (*NAMES, "undeclared")]
    others = left(told, "others", mark=False)
    Path(told["directory"], "link").symlink_to(gone[0])
    work(told)
    assert [path.exists() for path in gone] == [False, False, False]
    assert (others / "data/rows").exists()


def test_what_cannot_be_removed_is_told_after_the_rest_has_gone(told: dict[str, Any]) -> None:
    left(told, "db1", mark=False)
    gone = left(told, "undeclared")
    with pytest.raises(HostError, match="was not made by a drill"):
        job.clean(CONFIG, told)
    assert not gone.exists()


def test_a_verdict_is_told_although_its_evidence_cannot_be_kept(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = drill_record.seal

    def fail(path: Path, key: Path | None = None) -> Path:
        if "db1" in path.name:
            raise HostError("minisign has no key")
        return seal(path, key)

    monkeypatch.setattr(drill_record, "seal", fail)
    verdict = run(told)
    first, second = (verdict.facts["clusters"][name] for name in NAMES)
    assert (verdict.status, first["status"], second["status"]) == ("failed", "failed", "ok")
    assert "recovered in" in first["summary"]
    assert first["summary"].endswith("its evidence could not be kept whole: minisign has no key")
    assert (first["recovery_time_seconds"], first["evidence"]) == (113.2, None)
    assert second["evidence"]


def test_the_next_run_seals_what_a_killed_one_kept(told: dict[str, Any]) -> None:
    directory, begun = Path(told["evidence"]), datetime(2026, 3, 1, tzinfo=UTC)
    left = Path(drill_record.keep(drill_record.judgement(facts(), [], begun=begun, seconds=1).entry, directory))
    assert run(told).status == "ok"
    assert left.with_suffix(".sha256").exists()
    assert verify(directory) == []
