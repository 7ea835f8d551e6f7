"""What the inventory says of recovery drills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.module_utils._core import drill_spec
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_job import settings
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_spec import plan_drills

S3 = {
    "name": "store",
    "type": "s3",
    "path": "/backups",
    "offsite": True,
    "cipher_passphrase": "a passphrase of tests only",
    "options": {
        "bucket": "b",
        "endpoint": "s3.example",
        "region": "eu",
        "key": "AKIA",
        "key_secret": "a secret of tests only",
    },
}
NEAR = {"name": "near", "type": "posix", "path": "/srv/backup", "cipher_passphrase": "another one of tests only"}
DB1 = {"backup_repositories": [NEAR, S3], "backup_stanza": "shop", "postgresql_version": 16}
QUESTION = {"name": "orders", "database": "shop", "sql": "SELECT count(*) FROM orders", "role": "shop", "value": 1}


def spec(*clusters: Any, **more: Any) -> dict[str, Any]:
    usual = {
        "host": "drill1",
        "clusters": list(clusters),
        "directory": "/var/lib/pgstead/drill",
        "port": 5999,
        "rto_objective": "15min",
        "rpo_objective": "5min",
        "beside_production": False,
        "tolerance": "1%",
        "signing_key": "",
    }
    return usual | more


def test_everything_is_taken_from_the_source() -> None:
    plan = plan_drills(spec({"source": "db1", "statements": [QUESTION]}), {"db1": DB1})
    assert plan.problems == ()
    told = settings(plan.job("quick"))
    (source,) = told.clusters
    assert (source.cluster, source.stanza, source.version) == ("db1", "shop", 16)
    assert [(one.key, one.name, one.offsite) for one in source.repositories] == [(1, "store", True)]
    assert source.versioned == ()
    assert source.objectives == {"recovery_time_seconds": 900.0, "recovery_point_seconds": 300.0}
    assert source.statements[0].sql == QUESTION["sql"]
    (made,) = plan.clusters
    assert "repo1-s3-key-secret=a secret of tests only\n" in made.configuration
    assert "lock-path=/var/lib/pgstead/drill/db1/pgbackrest/lock\n" in made.configuration
    assert "pg1-path=/var/lib/pgstead/drill/db1/data\n" in made.configuration
    assert "archive-push" not in made.configuration


def test_a_store_that_keeps_versions_is_known_to_the_job() -> None:
    kept = [{**one, "versions_kept": "30d"} if one["type"] == "s3" else one for one in DB1["backup_repositories"]]
    plan = plan_drills(spec({"source": "db1"}), {"db1": {**DB1, "backup_repositories": kept}})
    (source,) = settings(plan.job("full")).clusters
    assert source.versioned == (1,)
    assert source.repository(1).versions_seconds == 30 * 86400


@pytest.mark.parametrize("directory", ["/backups/drill", "/backups", "/"])
def test_drills_and_repositories_lie_apart(directory: str) -> None:
    near = {"name": "near", "type": "posix", "path": "/backups", "cipher_type": "none"}
    plan = plan_drills(
        spec({"source": "db1"}, host="db1", beside_production=True, directory=directory),
        {"db1": {**DB1, "backup_repositories": [near]}},
    )
    assert [problem.where for problem in plan.problems] == ["drill_directory"]
    assert "repository near of db1 (/backups)" in plan.problems[0].what


def test_neither_tasks_nor_jobs_are_given_a_secret() -> None:
    plan = plan_drills(spec({"source": "db1"}), {"db1": DB1})
    assert "of tests only" not in str(plan.as_data())


def test_a_directory_of_the_source_is_for_the_source_itself() -> None:
    plan = plan_drills(spec({"source": "db1"}, host="db1", beside_production=True), {"db1": DB1})
    assert [one["name"] for one in plan.clusters[0].job["repositories"]] == ["near", "store"]


def test_the_row_security_of_the_source_is_asked_for() -> None:
    database = {
        "name": "shop",
        "owner": "shop_owner",
        "application_role": {"name": "shop_app"},
        "row_security": {"context": {"user": "app.user_id"}, "tables": [{"name": "orders", "owner_column": "user_id"}]},
    }
    plan = plan_drills(spec({"source": "db1"}), {"db1": {**DB1, "pgstead_databases": [database]}})
    assert plan.problems == ()
    (asked,) = plan.clusters[0].job["row_security"]
    assert (asked["database"], asked["role"], asked["tables"][0]["name"]) == ("shop", "shop_app", "orders")


@pytest.mark.parametrize("raw", ["15min", "15m", "900", "900s", " 15 m "])
def test_durations_as_people_write_them(raw: str) -> None:
    plan = plan_drills(spec({"source": "db1", "rto_objective": raw}), {"db1": DB1})
    assert plan.clusters[0].job["objectives"]["recovery_time_seconds"] == 900


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("db1", "drill_clusters[0]: is not a mapping"),
        ({"source": "db9"}, "drill_clusters[0].source: db9 is no host"),
        ({"source": "db1", "repositories": ["far"]}, "db1 declares no repository far; there are near, store"),
        ({"source": "db2"}, "db2 declares no repository that drill1 could reach"),
        ({"source": "db1", "rto_objective": "soon"}, "drill_clusters[0].rto_objective: 'soon' is not a number"),
        ({"source": "db1", "rpo_objective": "0s"}, "drill_clusters[0].rpo_objective: '0s' is no time"),
        ({"source": "db1", "tolerance": "some"}, "tolerance: 'some' is not rows"),
        ({"source": "db1", "statements": [{**QUESTION, "sql": "DELETE FROM orders"}]}, "begins with DELETE"),
        ({"source": "db1", "statements": [{**QUESTION, "value": None}]}, "no answer to compare with"),
        ({"source": "db1", "statements": [{"name": "orders"}]}, "statements[0].sql: is missing"),
    ],
)
def test_bad_input_is_refused_by_name(item: Any, words: str) -> None:
    hosts = {"db1": DB1, "db2": {"backup_repositories": [NEAR]}}
    plan = plan_drills(spec(item), hosts)
    assert any(words in str(problem) for problem in plan.problems), plan.problems


def test_a_socket_needs_a_short_path() -> None:
    plan = plan_drills(spec({"source": "db1"}, directory="/" + "d" * 90), {"db1": DB1})
    assert "name a shorter one" in str(plan.problems[0])


def test_a_source_is_drilled_once() -> None:
    plan = plan_drills(spec({"source": "db1"}, {"source": "db1"}), {"db1": DB1})
    assert [str(problem) for problem in plan.problems] == ["drill_clusters: db1 is there twice"]


def test_what_a_source_does_not_say_is_what_role_backup_takes() -> None:
    files = (Path(__file__).parents[2] / "roles/backup/defaults/main").glob("*.yml")
    usual = {name: value for file in files for name, value in yaml.safe_load(file.read_text()).items()}
    assert {name: usual[name] for name in drill_spec._USUAL} == drill_spec._USUAL


def test_nothing_declared_is_no_job() -> None:
    plan = plan_drills(spec(), {})
    assert (plan.problems, plan.job("quick")) == ((), {})
