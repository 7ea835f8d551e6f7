# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plans as filters: the same pure functions, for templates and for people who ask "why this value?"."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.pgstead.ops.plugins.module_utils._core import backup_spec, job, notify_spec, scram
from ansible_collections.pgstead.ops.plugins.module_utils._core import databases as db
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_plan import plan_agent
from ansible_collections.pgstead.ops.plugins.module_utils._core.agent_units import units
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_plan import plan_backup, secrets_text
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_spec import plan_drills
from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_plan import plan_dumps
from ansible_collections.pgstead.ops.plugins.module_utils._core.kernel import kernel_values
from ansible_collections.pgstead.ops.plugins.module_utils._core.pooler_plan import plan_pooler
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_plan import plan_schema, summary
from ansible_collections.pgstead.ops.plugins.module_utils._core.server_plan import plan_server
from ansible_collections.pgstead.ops.plugins.module_utils._core.tuning import Resources
from ansible_collections.pgstead.ops.plugins.module_utils._core.tuning import tune as compute
from ansible_collections.pgstead.ops.plugins.module_utils._core.units import parse_size


def tune(
    memory: str | int,
    cpus: int,
    profile: str = "oltp",
    *,
    storage: str = "ssd",
    disk: str | int = 0,
    version: int = 17,
    connections: int | None = None,
) -> list[dict[str, str]]:
    """Return the settings computed for a host: name, value, reason, source."""
    try:
        resources = Resources(parse_size(memory), int(cpus), storage, parse_size(disk))
        return [asdict(setting) for setting in compute(resources, profile, int(version), connections)]
    except ValueError as error:
        raise AnsibleFilterError(f"pgstead.ops.tune: {error}") from error


def server_plan(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything the postgresql role needs to know."""
    return plan_server(spec, facts).as_data()


def kernel_plan(
    huge_pages: int | None, huge_page_bytes: int, overrides: Mapping[str, Any], *, alone: bool = True
) -> dict[str, Any]:
    """Return {sysctl: [..], sys: [..]} of values with reasons; `huge_pages` is what the proof measured."""
    sysctl, sys = kernel_values(huge_pages, int(huge_page_bytes), overrides, alone=alone)
    return {"sysctl": [asdict(value) for value in sysctl], "sys": [asdict(value) for value in sys]}


def pooler_plan(spec: Mapping[str, Any], facts: Mapping[str, Any], available: int | None = None) -> dict[str, Any]:
    """Return everything the pgbouncer role needs to know."""
    return plan_pooler(spec, facts, available).as_data()


def schema_plan(items: Sequence[Mapping[str, Any]], contents: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the calls of the schema modules, and what is wrong with them; `contents` has the texts of scripts by path."""
    return plan_schema(items, contents or {}).as_data()


def schema_summary(plan: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    """Return lines, database by database: what the calls of a plan came to."""
    return summary(plan, results)


def agent_plan(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything the agent role needs to know."""
    return plan_agent(spec).as_data()


def agent_units(shown: str, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return whether systemd has not read what is written (`reload`), and which units run with what was before (`restart`)."""
    return units(shown, files)


def agent_notifications(declared: Mapping[str, Any]) -> str:
    """Return the text of the file that tells the host's command who is told of jobs: it may hold secrets."""
    return notify_spec.content(declared)


def dump_plan(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything the backup role needs to know of dumps."""
    return plan_dumps(spec).as_data()


def agent_results(listed: Mapping[str, Any], version: str) -> dict[str, list[str]]:
    """Return lines about a host's jobs, and what is wrong with them; `listed` is what `pgstead list --json` said."""
    return job.assess(listed, version)


def backup_plan(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything the backup role needs to know, without secrets."""
    return plan_backup(spec, facts).as_data()


def backup_settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what modules and jobs are told of the declared backups: no secret, no option; empty without repositories."""
    declared, _problems = backup_spec.read(spec)
    return declared.job(backup_spec.host_files(declared)) if declared else {}


def backup_secrets(spec: Mapping[str, Any]) -> str:
    """Return the text of the file of secrets."""
    return secrets_text(spec)


def drill_plan(spec: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return everything the drill role needs to know; `hosts` are hostvars."""
    return plan_drills(spec, hosts).as_data()


def drill_configurations(spec: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the files that hold secrets, by path."""
    return {path: text for one in plan_drills(spec, hosts).clusters for path, text in one.texts.items()}


def login_secrets(items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the declared secret of each login role, by role."""
    found = db.databases(items, "C.UTF-8")
    return {role.name: role.password for database in found for role in database.logins if role.password}


def without_secrets(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the databases without the passwords of their roles: what may stand in results and logs."""
    bare = []
    for item in items:
        roles = {
            part: {key: value for key, value in (item.get(part) or {}).items() if key != "password"}
            for part in ("application_role", "readonly_role")
            if item.get(part)
        }
        bare.append({**item, **roles})
    return bare


def scram_verifier(password: str) -> str:
    """Return a SCRAM verifier of a password with a new salt, so that no statement carries the password itself."""
    return password if scram.is_verifier(password) else scram.verifier(password, secrets.token_bytes(16))


class FilterModule:
    """Filters of pgstead.ops."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "tune": tune,
            "server_plan": server_plan,
            "kernel_plan": kernel_plan,
            "pooler_plan": pooler_plan,
            "schema_plan": schema_plan,
            "schema_summary": schema_summary,
            "agent_plan": agent_plan,
            "agent_units": agent_units,
            "agent_notifications": agent_notifications,
            "dump_plan": dump_plan,
            "agent_results": agent_results,
            "backup_plan": backup_plan,
            "backup_settings": backup_settings,
            "backup_secrets": backup_secrets,
            "drill_plan": drill_plan,
            "drill_configurations": drill_configurations,
            "login_secrets": login_secrets,
            "without_secrets": without_secrets,
            "scram_verifier": scram_verifier,
        }
