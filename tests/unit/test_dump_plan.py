"""What the inventory says of dumps becomes settings without a secret, and what is wrong is named without showing one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.filter.plans import FilterModule
from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_job import dump_job

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZGWGVSWjRrS0hGQ3BHNnVmY2t0 someone"
PGP = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----"
SHOP: dict[str, Any] = {"name": "the shop", "owner": "boss", "backup": {"dump": True}}
STORE = {
    "name": "offsite",
    "type": "s3",
    "path": "bucket/dumps",
    "offsite": True,
    "options": {"secret_access_key": "hush"},
}


def plan(*databases: dict[str, Any], **changed: Any) -> dict[str, Any]:
    spec = {
        "databases": list(databases or [SHOP]),
        "encryption": {"recipients": [RECIPIENT]},
        "remotes": [STORE],
        "retention": {},
        "environment": "production",
        "host": "db1.example.org",
        "cluster": "main",
    }
    return dict(FilterModule().filters()["dump_plan"](spec | changed))


def test_what_is_dumped_and_where() -> None:
    told = {"dump": "yes", "exclude_table_data": ["cache", "odd.t"], "jobs": "4", "count": "estimate"}
    data = plan(SHOP, {"name": "b", "backup": told}, {"name": "c"}, {"name": "d", "backup": {"dump": False}})
    assert data["problems"] == []
    assert data["settings"]["databases"] == [
        {"database": "the shop", "exclude_table_data": [], "jobs": 2, "count": "exact"},
        {"database": "b", "exclude_table_data": ["public.cache", "odd.t"], "jobs": 4, "count": "estimate"},
    ]
    assert data["settings"]["retention"] == {"hourly": 24, "daily": 720, "weekly": 2160, "monthly": 8784}
    assert data["places"]["the shop"] == {"offsite": "offsite:bucket/dumps/db1.example.org/main/the%20shop"}
    assert data["packages"] == ["age", "rclone", "zstd"]
    assert plan(encryption={"method": "gpg", "recipients": [PGP]})["packages"] == ["gnupg", "rclone", "zstd"]


def test_the_job_accepts_what_is_planned() -> None:
    job = dump_job(json.loads(json.dumps(plan()["settings"])))
    assert (job.host, job.remotes[0].name, job.databases[0].database) == ("db1.example.org", "offsite", "the shop")
    assert job.remotes[0].place("x", "y") == "offsite:bucket/dumps/x/y"
    assert job.keep["hourly"].days == 1


def test_secrets_are_in_the_configuration_of_rclone_and_nowhere_else() -> None:
    options = {"provider": "Minio", "secret_access_key": "hush hush", "env_auth": False}
    local = {"name": "disk", "type": "local", "path": "/mnt/dumps"}
    data = plan(remotes=[STORE | {"options": options}, local])
    assert data["rclone_config"] == (
        "[offsite]\ntype = s3\nprovider = Minio\nsecret_access_key = hush hush\nenv_auth = false\n\n"
        "[disk]\ntype = local\n\n"
    )
    assert "hush" not in json.dumps({key: value for key, value in data.items() if key != "rclone_config"})


@pytest.mark.parametrize("databases", [[{"name": "a"}], [SHOP | {"state": "absent"}], [{"name": "a", "backup": {}}]])
def test_without_a_database_to_dump_nothing_else_is_asked_for(databases: list[dict[str, Any]]) -> None:
    data = plan(*databases, encryption={}, remotes=[])
    assert (data["problems"], data["settings"], data["places"]) == ([], {"databases": []}, {})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"encryption": {}}, "backup_dump_encryption.recipients: is missing"),
        ({"encryption": {"method": "openssl", "recipients": ["x"]}}, "backup_dump_encryption.method: 'openssl' is not"),
        ({"encryption": {"recipients": ["AGE-SECRET-KEY-1SECRET"]}}, "recipients[0]: is a secret key, which must not"),
        ({"encryption": {"recipients": ["age1SECRET"]}}, "recipients[0]: is no public key of age"),
        ({"encryption": {"recipients": [RECIPIENT[:-1] + "q"]}}, "recipients[0]: is mistyped"),
        ({"encryption": {"recipients": [RECIPIENT.replace("z", "y", 1)]}}, "recipients[0]: is mistyped"),
        (
            {"encryption": {"method": "gpg", "recipients": [PGP.replace("PUBLIC", "PRIVATE")]}},
            "recipients[0]: is a secret key, which",
        ),
        ({"encryption": {"method": "gpg", "recipients": [RECIPIENT]}}, "recipients[0]: is no armoured public key"),
        ({"remotes": []}, "backup_dump_remotes: is missing"),
        ({"remotes": [STORE, STORE]}, "backup_dump_remotes[1].name: 'offsite' is there twice"),
        ({"remotes": [STORE | {"name": "x"}]}, "backup_dump_remotes[0].name: 'x': use two or more"),
        ({"remotes": [STORE | {"type": ""}]}, "backup_dump_remotes[0].type: '' is no storage system"),
        ({"remotes": [{"name": "disk", "type": "local", "path": "x"}]}, "[0].path: needs a directory in it"),
        ({"remotes": [STORE | {"path": "a\nb"}]}, "[0].path: needs a directory in it"),
        ({"remotes": [STORE | {"offsite": "maybe"}]}, "[0].offsite: 'maybe' is neither true nor false"),
        ({"remotes": [STORE | {"key": "SECRET"}]}, "backup_dump_remotes[0]: is not a mapping of name, type"),
        ({"remotes": [STORE | {"options": {"pass": "SECRET\n[x]"}}]}, "[0].options.pass: has a control character"),
        ({"remotes": [STORE | {"options": {"pass": "%(SECRET)s"}}]}, "[0].options.pass: has a control character, %("),
        ({"remotes": [STORE | {"options": {"Pass word": "SECRET"}}]}, "[0].options.Pass word: is no option of rclone"),
        ({"remotes": [STORE | {"options": ["SECRET"]}]}, "[0].options: is not a mapping"),
        ({"retention": {"daily": "soon"}}, "backup_dump_retention.daily: 'soon' is no duration"),
        ({"environment": "test"}, "pgstead_environment: 'test' is not one of"),
        ({"databases": [{"name": "a", "backup": True}]}, "pgstead_databases[0].backup: True is not a mapping"),
        ({"databases": [SHOP | {"backup": {"dump": 1, "x": 1}}]}, "pgstead_databases[0].backup.x: is unknown"),
        ({"databases": [SHOP | {"backup": {"dump": "perhaps"}}]}, "backup.dump: 'perhaps' is neither"),
        ({"databases": [SHOP | {"backup": {"dump": True, "jobs": 0}}]}, "backup.jobs: 0 is not a whole number"),
        ({"databases": [SHOP | {"backup": {"dump": True, "jobs": "few"}}]}, "backup.jobs: 'few' is not a whole"),
        ({"databases": [SHOP | {"backup": {"dump": True, "count": "no"}}]}, "backup.count: 'no' is not one of"),
        (
            {"databases": [SHOP | {"backup": {"dump": True, "exclude_table_data": ["a.b.c"]}}]},
            "backup.exclude_table_data: 'a.b.c' is not a name",
        ),
    ],
)
def test_what_cannot_be_is_named(changed: dict[str, Any], said: str) -> None:
    problems = plan(**changed)["problems"]
    assert any(said in problem for problem in problems), problems
    assert "SECRET" not in "".join(problems)


def test_keys_of_ssh_are_keys_of_age() -> None:
    assert plan(encryption={"recipients": [RECIPIENT, SSH]})["problems"] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"work_directory": "x"}, "settings.work_directory: 'x' is not an absolute path"),
        ({"more": 1}, "settings.more: is unknown"),
        ({"encryption": {"method": "none", "recipients": []}}, "settings.encryption.method: 'none' is not age or gpg"),
        ({"retention": {"hourly": -1}}, "settings.retention.hourly: -1 is not a whole number"),
        ({"remotes": [{"name": "x"}]}, "settings.remotes[0].type: is missing"),
        (
            {"databases": [{"database": "x", "exclude_table_data": [], "jobs": 99, "count": "exact"}]},
            "[0].jobs: 99 is not",
        ),
    ],
)
def test_settings_that_cannot_be_used(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match="settings") as raised:
        dump_job(plan()["settings"] | changed)
    assert type(raised.value).__name__ == "SpecError"
    assert said in str(raised.value)
