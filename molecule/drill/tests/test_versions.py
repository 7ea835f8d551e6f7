"""A bucket that is emptied by somebody who has its keys: proven before it happens, and recovered from after it did."""

from __future__ import annotations

import json
from typing import Any

import pytest
import testinfra

from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, check_schema, play

from .conftest import Pair
from .test_drills import newest, run

KEY = "3"  # the versioned repository's number
BACKREST = "runuser -u postgres -- pgbackrest --stanza=pgstead-drill-trixie --repo=" + KEY


def labels(pair: Pair) -> list[str]:
    """Return the backups of the versioned repository, oldest first."""
    (found,) = json.loads(pair.primary.host.check_output(f"{BACKREST} info --output=json"))
    return [one["label"] for one in found["backup"]]


def test_a_drill_restores_what_has_expired_since(versioned: Pair) -> None:
    pair = versioned
    before = labels(pair)
    pair.primary.host.check_output(f"{BACKREST} --type=full backup")
    for label in (label for label in before if label.endswith("F")):
        pair.primary.host.check_output(f"{BACKREST} --set={label} expire")
    assert not set(before) & set(labels(pair))
    pair.primary.host.check_output("pgstead run recovery_marker")  # every repository must lead to the newest one
    entry = run(pair, "drill_full")
    assert entry["status"] == "ok", entry["reason"]
    record = newest(pair)
    check_schema(record, "evidence")
    (step,) = [one for one in record["facts"]["steps"] if one["name"] == "versions"]
    assert step["backup"] in before
    found = {check["check"]: check["words"] for check in step["checks"]}
    assert f"{len(before)} of {len(before)} backups have expired since" in found["versions"]
    assert set(found) == {"versions", "versions state", "checksums"}


def test_an_emptied_bucket_brings_everything_back(versioned: Pair, store: Any) -> None:
    pair = versioned
    pair.primary.sql("SET ROLE shop_owner; CREATE TABLE told AS SELECT 'archived' AS what", "shop")
    pair.primary.host.check_output("pgstead run recovery_marker")  # it sees its segment arrive
    at = pair.primary.sql("SELECT date_trunc('second', clock_timestamp() AT TIME ZONE 'UTC') + interval '1 second'")
    pair.primary.sql("SELECT pg_sleep_until(date_trunc('second', clock_timestamp()) + interval '2 seconds')")
    pair.primary.sql("INSERT INTO told VALUES ('later')", "shop")
    store.check_output("python3 /root/versions.py empty")
    assert "missing stanza" in pair.primary.host.check_output(f"{BACKREST} info")

    asked = {"backup_restore_repository": int(KEY), "backup_restore_repository_time": f"{at}+00"}
    limit = ("--limit", pair.primary.name)
    predicted = play(*limit, "--check", playbook="pgstead.ops.restore", **asked)
    assert predicted.code == 0, predicted.output
    done = play(
        *limit,
        playbook="pgstead.ops.restore",
        backup_restore_overwrite=True,
        backup_restore_confirm=pair.primary.name,
        **asked,
    )
    assert done.code == 0, done.output
    assert pair.primary.sql("SELECT string_agg(what, ',') FROM told", "shop") == "archived"
    assert pair.primary.ask("SELECT current_user") == [("shop_app",)]
    # from now on it is a repository like any other
    assert len(labels(pair)) == 1
    pair.primary.host.check_output("pgstead run check_archiving")
    done = play(*limit, playbook="pgstead.ops.site")
    assert done.changed == {pair.primary.name: 0}, done.output


@pytest.mark.parametrize(
    ("at", "said"),
    [("2026-01-31 12:00:00", "has no zone"), ("2026-01-31 12:00:00+00", "needs pgBackRest 2.54")],
)
def test_what_cannot_be_asked_for_is_refused(at: str, said: str) -> None:
    """Debian 12's pgBackRest cannot read versions."""
    old = "pgstead-drill-bookworm"
    refused = play(
        "--limit",
        old,
        playbook="pgstead.ops.restore",
        backup_restore_repository=2,
        backup_restore_repository_time=at,
        backup_restore_confirm=old,
        backup_restore_overwrite=True,
    )
    assert refused.code != 0
    assert said in " ".join(refused.output.split())
    assert testinfra.get_host(f"docker://{old}").service(f"postgresql@{VERSIONS[old]}-main").is_running
