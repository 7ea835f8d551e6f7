"""The example inventories are ones that the plans accept, for every host, as they are resolved by Ansible itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.module_utils._core.pooler_plan import plan_pooler
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_plan import plan_schema
from ansible_collections.pgstead.ops.plugins.module_utils._core.server_plan import plan_server

ROOT = Path(__file__).resolve().parents[2]
INVENTORIES = sorted(path.name for path in (ROOT / "inventories").iterdir() if path.is_dir())
BIN = Path(sys.executable).parent
GB = 1024**3

# A bare Debian 13 host with 8 GB, as pgstead.ops.server_info describes it.
FACTS: dict[str, Any] = {
    "distribution": {"id": "debian", "version": "13", "name": "Debian GNU/Linux 13 (trixie)"},
    "systemd": True,
    "epoch": 1_800_000_000.0,
    "hostname": "db1",
    "hostname_resolves": True,
    "fqdn": "db1.example.com",
    "addresses": ["10.20.0.5"],
    "foreign_addresses": False,
    "tls": {"error": "/etc/pgstead/tls/server.crt does not exist on the host", "not_after": 0.0, "names": []},
    "missing_directories": ["/etc/pgbouncer"],
    "memory": {"host_bytes": 8 * GB, "cgroup_bytes": None, "planned_bytes": None, "huge_page_bytes": 2 * 1024**2},
    "cpus": 4,
    "disks": {"data": {"mount": "/var/lib", "size": 100 * GB, "free": 90 * GB, "storage": "ssd"}},
    "packages": {
        name: {"installed": "", "candidate": candidate}
        for name, candidate in {
            "postgresql-17": "17.6-0+deb13u1",
            "postgresql-client-17": "17.6-0+deb13u1",
            "python3-psycopg2": "2.9.10-1",
            "python3-cryptography": "43.0.0-3",
            "ssl-cert": "1.1.3",
            "pgbouncer": "1.24.1-1",
        }.items()
    },
    "majors_available": [17],
    "pooler_configuration": "absent",
    "clusters": [],
    "archiving": {},
    "data_directory_state": "absent",
    "listening_ports": [22],
    "capabilities": {"sys_resource": True},
    "limits": {"nofile": 524288},
}


def ansible(*arguments: str, state: Path) -> str:
    environment = os.environ | {"PGSTEAD_STATE": str(state), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    result = subprocess.run(
        [str(BIN / "ansible"), *arguments], env=environment, check=False, text=True, capture_output=True, timeout=120
    )
    assert result.returncode == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def with_vault(name: str, target: Path) -> Path:
    """Copy an inventory, and fill in its vault as an engineer would."""
    inventory = Path(shutil.copytree(ROOT / "inventories" / name, target / name))
    for example in inventory.rglob("vault.yml.example"):
        secrets = yaml.safe_load(example.read_text(encoding="utf-8"))
        filled = {secret: f"not-a-secret-{number}" for number, secret in enumerate(secrets)}
        example.with_name("vault.yml").write_text(yaml.safe_dump(filled), encoding="utf-8")
    return inventory


@cache
def hosts(name: str) -> dict[str, dict[str, Any]]:
    """Return the variables of our roles that an inventory gives each host, resolved; no host is contacted."""
    ours = "selectattr('key', 'match', '(postgresql|pgbouncer|pgstead)_')"
    message = f"msg={{{{ hostvars[inventory_hostname] | dict2items | {ours} | items2dict | to_json }}}}"
    with TemporaryDirectory() as target:
        inventory = with_vault(name, Path(target))
        said = ansible("all", "-i", str(inventory), "-m", "ansible.builtin.debug", "-a", message, state=Path(target))
    found = re.findall(r"^(\S+) \| SUCCESS => (\{.*?^\})", said, re.MULTILINE | re.DOTALL)
    return {host: json.loads(json.loads(answer)["msg"]) for host, answer in found}


def spec(role: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Return what the role hands to its plan: its internal spec, with these variables over its defaults."""
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    internal = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8"))
    known = defaults | variables
    found = {}
    for key, template in internal[f"{role}__spec"].items():
        variable = re.fullmatch(r"\{\{ (\w+) \}\}", template) if isinstance(template, str) else None
        found[key] = known.get(variable.group(1)) if variable else None
    return found


def test_there_are_examples() -> None:
    assert {"quickstart", "single"} <= set(INVENTORIES)


@pytest.mark.parametrize("name", INVENTORIES)
def test_server_and_pools_are_accepted(name: str) -> None:
    assert hosts(name)
    for host, variables in hosts(name).items():
        server = plan_server(spec("postgresql", variables), FACTS)
        assert [str(problem) for problem in server.problems] == [], host
        pooler = plan_pooler(spec("pgbouncer", variables), FACTS, server.available_connections)
        assert [str(problem) for problem in pooler.problems] == [], host
        assert server.available_connections is not None
        assert 0 < pooler.demand <= server.available_connections, host


@pytest.mark.parametrize("name", INVENTORIES)
def test_pools_are_accepted_on_debian_12_too(name: str) -> None:
    """Its PgBouncer 1.18 looks secrets up in every database."""
    packages = FACTS["packages"] | {"pgbouncer": {"installed": "", "candidate": "1.18.0-1+deb12u1"}}
    for host, variables in hosts(name).items():
        available = plan_server(spec("postgresql", variables), FACTS).available_connections
        pooler = plan_pooler(spec("pgbouncer", variables), FACTS | {"packages": packages}, available)
        assert [str(problem) for problem in pooler.problems] == [], host
        assert pooler.users


@pytest.mark.parametrize("name", INVENTORIES)
def test_an_example_says_what_it_is_for(name: str) -> None:
    """Environment and profile decide most values: an example does not leave them to the defaults."""
    for variables in hosts(name).values():
        assert {"pgstead_environment", "postgresql_profile"} <= set(variables)


def test_the_single_example_shows_two_databases_in_three_environments() -> None:
    found = hosts("single").values()
    assert {variables["pgstead_environment"] for variables in found} == {"production", "staging", "development"}
    assert {len(variables["pgstead_databases"]) for variables in found} == {2}


def test_an_unfilled_vault_is_refused_by_name() -> None:
    """What the engineer forgot is said before a host is touched."""
    variables = json.loads(json.dumps(next(iter(hosts("single").values()))))
    for database in variables["pgstead_databases"]:
        database["application_role"]["password"] = ""
    problems = [str(problem) for problem in plan_server(spec("postgresql", variables), FACTS).problems]
    assert len(problems) == 2
    assert problems[0].startswith("pgstead_databases[0].application_role.password: is missing")


def test_what_the_single_example_has_as_a_comment_is_accepted_too() -> None:
    """Whoever takes the comment signs away finds a schema that works."""
    lines = (ROOT / "inventories/single/group_vars/all/main.yml").read_text(encoding="utf-8").splitlines()
    keys = "migrate_command|check_constraints|indexes|foreign_key_indexes"
    taken = [line.replace("# ", "", 1) for line in lines if re.match(rf"    # ((?:{keys}):|  - )", line)]
    found = yaml.safe_load("\n".join(taken))
    assert set(found) == set(keys.split("|"))
    assert [str(problem) for problem in plan_schema([{"name": "shop", "owner": "o", **found}], {}).problems] == []
