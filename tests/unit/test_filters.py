"""The plans as filters."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.pgstead.ops.plugins.filter import plans
from ansible_collections.pgstead.ops.plugins.module_utils._core import scram

FILTERS = plans.FilterModule().filters()


def test_tune_explains_itself() -> None:
    rows = {
        row["name"]: row
        for row in FILTERS["tune"]("16GB", "8", profile="analytics", disk="1TB", version="18", connections=20)
    }
    assert rows["shared_buffers"]["value"] == "4GB"
    assert rows["max_connections"]["value"] == "20"
    assert rows["max_wal_size"]["value"] == "32GB"
    assert "io_method" in rows
    assert all(set(row) == {"name", "value", "reason", "source"} and row["reason"] for row in rows.values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("16gb", 8), "B, kB, MB, GB, TB"),
        (("-4GB", 8), "above 0"),
        (("16GB", 0), "above 0"),
        (("16GB", 8, "webscale"), "oltp, analytics"),
        ({"storage": "tape"}, "ssd, hdd, network"),
        ({"disk": "1 disk"}, "B, kB, MB, GB, TB"),
        ({"connections": 0}, "at least 1"),
    ],
)
def test_tune_refuses(arguments: tuple[Any, ...] | dict[str, Any], said: str) -> None:
    positional, named = (("16GB", 8), arguments) if isinstance(arguments, dict) else (arguments, {})
    with pytest.raises(AnsibleFilterError, match=rf"pgstead.ops.tune: .*{said}"):
        FILTERS["tune"](*positional, **named)


def test_plans_are_plain_data(spec: dict[str, Any], pooler_spec: dict[str, Any], facts: dict[str, Any]) -> None:
    server = FILTERS["server_plan"](spec, facts)
    pooler = FILTERS["pooler_plan"](pooler_spec, facts, server["available_connections"])
    assert server["problems"] == pooler["problems"] == []
    assert FILTERS["pooler_plan"](pooler_spec, facts, 5)["problems"]


def test_kernel_plan() -> None:
    found = FILTERS["kernel_plan"](2048, "2097152", {"vm.swappiness": 5})
    values = {row["name"]: row["value"] for row in found["sysctl"]}
    assert (values["vm.nr_hugepages"], values["vm.swappiness"]) == ("2048", "5")
    assert [row["value"] for row in found["sys"]] == ["never"]


def test_secrets_and_the_rest_part(database: dict[str, Any]) -> None:
    other = {"name": "b", "owner": "o", "application_role": {"name": "no_secret"}}
    absent = database | {"state": "absent", "application_role": {"name": "gone", "password": "never seen"}}
    assert FILTERS["login_secrets"]([database, other, absent]) == {
        "shop_app": "correct horse",
        "shop_read": "battery staple",
    }
    bare = FILTERS["without_secrets"]([database, other])
    assert "password" not in str(bare)
    assert bare[0]["application_role"] == {"name": "shop_app", "statement_timeout": "30s"}
    assert bare[0]["extensions"] == ["pg_trgm"]
    assert bare[1] == other
    assert database["application_role"]["password"] == "correct horse"


def test_scram_verifier() -> None:
    one, two = (FILTERS["scram_verifier"]("pässwörd") for _ in range(2))
    assert one != two
    assert scram.matches("pässwörd", one)
    assert FILTERS["scram_verifier"](one) == one
