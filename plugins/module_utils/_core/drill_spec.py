# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recovery drills as the inventory declares them: whose backups are restored here, and everything wrong with that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from . import backup_config, backup_plan, backup_spec
from .backup_spec import BackupSpec
from .drill_job import settings as read_job
from .drill_plan import PROFILES
from .dump_plan import DumpPlan, plan_dumps
from .errors import Problem, SpecError
from .recovery_spec import ANSWERS
from .schema_plan import plan_schema
from .units import parse_duration_ms

CONFIGURATIONS = "/etc/pgstead/drill"
EVIDENCE = "/var/lib/pgstead/evidence"
PROGRAMS = "/usr/lib/postgresql"
LONGEST_SOCKET = 107
_ITEM = (
    "source",
    "repositories",
    "dump_identity_file",
    "settings",
    "statements",
    "tolerance",
    "rto_objective",
    "rpo_objective",
)
# What role backup takes where the source's inventory says nothing; the same words as its defaults.
_USUAL: Mapping[str, Any] = {
    "backup_repositories": [],
    "backup_processes": 2,
    "backup_retention": {},
    "backup_objectives": {},
    "pgstead_environment": "production",
    "postgresql_version": 17,
    "postgresql_cluster_name": "main",
    "pgstead_databases": [],
    "backup_dump_encryption": {},
    "backup_dump_remotes": [],
    "backup_dump_retention": {},
}


@dataclass(frozen=True)
class Drilled:
    """One cluster: the job's settings of it, and pgBackRest's configuration, which holds secrets."""

    job: Mapping[str, Any]
    spec: BackupSpec
    configuration: str
    rclone_config: str  # secrets, too; empty where no dumps are restored
    packages: tuple[str, ...] = ()  # that dumps need

    @property
    def texts(self) -> dict[str, str]:
        """Return the files that hold secrets, by path."""
        found = {str(self.job["configuration"]): self.configuration}
        return found | ({self.job["dumps"]["rclone_config"]: self.rclone_config} if self.rclone_config else {})


@dataclass(frozen=True)
class DrillPlan:
    """What a drill host needs. No `problems` means that it may be touched."""

    clusters: tuple[Drilled, ...] = ()
    directory: str = ""
    port: int = 0
    signing_key: str | None = None
    problems: tuple[Problem, ...] = ()

    def job(self, profile: str) -> dict[str, Any]:
        """Return what the job of a profile is told; nothing where nothing is drilled."""
        if not self.clusters:
            return {}
        found = [dict(one.job) for one in self.clusters]
        return {
            "profile": profile,
            "evidence": EVIDENCE,
            "signing_key": self.signing_key,
            "directory": self.directory,
            "port": self.port,
            "clusters": found,
        }

    def as_data(self) -> dict[str, Any]:
        """Return plain data for tasks, without secrets."""
        return {
            "majors": sorted({one.spec.version for one in self.clusters}),
            "configurations": [
                {"name": one.job["cluster"], "path": path} for one in self.clusters for path in one.texts
            ],
            "sources": [one.job["cluster"] for one in self.clusters],
            "dump_packages": sorted({name for one in self.clusters for name in one.packages}),
            "signing_packages": ["minisign"] if self.clusters and self.signing_key else [],
            "jobs": {f"drill_{profile}": self.job(profile) for profile in PROFILES},
            "problems": [str(problem) for problem in self.problems],
        }


def plan_drills(spec: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]]) -> DrillPlan:
    """Decide. `spec` has host, clusters, directory, port, rto_objective, rpo_objective, beside_production, tolerance and
    signing_key; `hosts` are the variables of the inventory's hosts, by name.
    """
    problems: list[Problem] = []
    items = spec["clusters"] or []
    found = [
        _Reader(spec, item, hosts, f"drill_clusters[{place}]", problems).cluster() for place, item in enumerate(items)
    ]
    names = [str(item.get("source")) for item in items if isinstance(item, Mapping)]
    problems += [Problem("drill_clusters", f"{name} is there twice") for name in names if names.count(name) > 1][:1]
    plan = DrillPlan(
        tuple(one for one in found if one),
        str(spec["directory"]),
        int(spec["port"]),
        str(spec["signing_key"]) if spec["signing_key"] else None,
        tuple(problems),
    )
    if not problems and plan.clusters:
        try:
            read_job(plan.job("quick"))
        except SpecError as error:
            return replace(plan, problems=tuple(error.problems))
    return plan


def objective_seconds(raw: str) -> int:
    """Read `15min`, `2h`, or `15m`, as everybody writes it, besides what PostgreSQL does. Raises ValueError."""
    found = int(parse_duration_ms(re.sub(r"(?<=\d)\s*m$", "min", raw.strip()), "s") / 1000)
    if found < 1:
        raise ValueError(f"{raw!r} is no time")
    return found


@dataclass(frozen=True)
class _Reader:
    """Reads one item of drill_clusters; problems are collected."""

    spec: Mapping[str, Any]
    item: Any
    hosts: Mapping[str, Mapping[str, Any]]
    where: str
    problems: list[Problem]

    def problem(self, place: str, what: str) -> None:
        self.problems.append(Problem(f"{self.where}{place}", what))

    def cluster(self) -> Drilled | None:
        item = self.item
        if not isinstance(item, Mapping) or set(item) - set(_ITEM) or not item.get("source"):
            self.problem("", f"is not a mapping of {', '.join(_ITEM)} with at least source")
            return None
        name = str(item["source"])
        if name not in self.hosts:
            self.problem(".source", f"{name} is no host of this inventory")
            return None
        socket = f"{self.spec['directory']}/{name}/socket/.s.PGSQL.{self.spec['port']}"
        if len(socket.encode()) > LONGEST_SOCKET:
            what = f"{socket} is longer than the {LONGEST_SOCKET} bytes that a socket's path may have"
            self.problems.append(Problem("drill_directory", f"{what}: name a shorter one"))
            return None
        there = self.hosts[name]
        told = {**_USUAL, **{key: there[key] for key in (*_USUAL, "backup_stanza", "backup_dump_host") if key in there}}
        before = len(self.problems)
        listed = self.chosen(told["backup_repositories"], name)
        if len(self.problems) > before:
            return None
        declared, wrong = backup_spec.read(_backup(told, listed, name))
        self.problems.extend(replace(each, where=f"{self.where} ({name}).{each.where}") for each in wrong)
        if declared is None:
            return None
        for one in declared.repositories:
            if one.type == "posix" and _overlap(one.path, str(self.spec["directory"])):
                what = f"{self.spec['directory']} and repository {one.name} of {name} ({one.path}) lie in each other: drills remove theirs"
                self.problems.append(Problem("drill_directory", what))
        configuration = _configuration(declared, f"{self.spec['directory']}/{name}")
        dumps, plan = self.dumps(told, name)
        job = {**self.job(told, declared, name), "dumps": dumps}
        return Drilled(job, declared, configuration, plan.rclone_config, plan.packages)

    def dumps(self, told: Mapping[str, Any], name: str) -> tuple[dict[str, Any] | None, DumpPlan]:
        """Return what the job is told of dumps, and the plan of them; nothing without a key that opens them."""
        nothing = DumpPlan({"databases": []}, "", (), ())
        key = self.item.get("dump_identity_file")
        if not key:
            return None, nothing
        near = self.spec["host"] == name
        remotes = [
            one
            for one in told["backup_dump_remotes"]
            if near or not isinstance(one, Mapping) or one.get("type") != "local"
        ]
        plan = plan_dumps(
            {
                "databases": told["pgstead_databases"],
                "encryption": told["backup_dump_encryption"],
                "remotes": remotes,
                "retention": told["backup_dump_retention"],
                "environment": told["pgstead_environment"],
                "host": told.get("backup_dump_host") or name,
                "cluster": told["postgresql_cluster_name"],
            }
        )
        self.problems.extend(replace(each, where=f"{self.where} ({name}).{each.where}") for each in plan.problems)
        if plan.problems:
            return None, nothing
        if not plan.settings["databases"]:
            self.problem(".dump_identity_file", f"{name} declares no dumps that {self.spec['host']} could restore")
            return None, nothing
        offsite = {remote["name"]: remote["offsite"] for remote in plan.settings["remotes"]}
        stored = [
            {"database": database, "remote": remote, "place": place, "offsite": offsite[remote]}
            for database, places in plan.places.items()
            for remote, place in places.items()
        ]
        path = f"{CONFIGURATIONS}/{name}-rclone.conf"
        return {"rclone_config": path, "identity_file": str(key), "stored": stored}, plan

    def chosen(self, listed: Any, name: str) -> list[Any]:
        """Return the repositories to restore from: those that are named, or all that can be reached from this host."""
        there = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, Sequence) else []
        if self.item.get("repositories"):
            known = {str(one.get("name")): one for one in there}
            for each in self.item["repositories"]:
                if each not in known:
                    said = ", ".join(known) or "none"
                    self.problem(".repositories", f"{name} declares no repository {each}; there are {said}")
            return [known[each] for each in self.item["repositories"] if each in known]
        found = [one for one in there if self.spec["host"] == name or one.get("type") != "posix"]
        if not found:
            what = f"{name} declares no repository that {self.spec['host']} could reach: a posix one is a directory of {name}"
            self.problem("", f"{what}. Mount it here, and name it in repositories")
        return found

    def job(self, told: Mapping[str, Any], declared: BackupSpec, name: str) -> dict[str, Any]:
        """Return the cluster's part of the job's settings (_core/drill_job.py reads it)."""
        return {
            "cluster": name,
            "stanza": declared.stanza,
            "version": declared.version,
            "configuration": f"{CONFIGURATIONS}/{name}.conf",
            "programs": PROGRAMS,
            "repositories": [
                {
                    "key": one.key,
                    "name": one.name,
                    "offsite": one.offsite,
                    "versions_seconds": int(one.versions_kept.total_seconds()) if one.versions_kept else None,
                }
                for one in declared.repositories
            ],
            "objectives": {
                "recovery_time_seconds": self.seconds("rto_objective"),
                "recovery_point_seconds": self.seconds("rpo_objective"),
                "age_seconds": int(declared.age.total_seconds()),
            },
            "wal_seconds": int(declared.wal_window.total_seconds()),
            "beside_production": bool(self.spec["beside_production"]),
            "settings": dict(self.item.get("settings") or {}),
            "tolerance": str(self.item.get("tolerance") or self.spec["tolerance"]),
            "statements": [{**dict.fromkeys(ANSWERS), **each} for each in self.item.get("statements") or []],
            "row_security": _protected(told["pgstead_databases"]),
        }

    def seconds(self, name: str) -> int:
        """Return an objective."""
        own = self.item.get(name)
        place, raw = (f"{self.where}.{name}", own) if own else (f"drill_{name}", self.spec[name])
        try:
            return objective_seconds(str(raw))
        except ValueError as error:
            self.problems.append(Problem(place, str(error)))
            return 1


def _overlap(one: str, other: str) -> bool:
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first.is_relative_to(second) or second.is_relative_to(first)


def _protected(databases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is to be asked of row security, by database; whether it can be declared so, role schema says."""
    return [
        {
            "database": one["database"],
            "schema": one["schema"],
            "role": one["application_role"],
            "context": one["context"],
            "tables": one["tables"],
        }
        for one in plan_schema(databases, {}).probes
        if one["tables"]
    ]


def _backup(told: Mapping[str, Any], listed: Sequence[Any], name: str) -> dict[str, Any]:
    return {
        "repositories": list(listed),
        "stanza": told.get("backup_stanza") or name,
        "processes": told["backup_processes"],
        "retention": told["backup_retention"],
        "objectives": told["backup_objectives"],
        "archive_timeout": backup_spec.LEAST_ARCHIVE_SECONDS,  # nothing is archived here
        "environment": told["pgstead_environment"],
        "version": told["postgresql_version"],
        "cluster_name": told["postgresql_cluster_name"],
        "port": 1,
    }


def _configuration(declared: BackupSpec, directory: str) -> str:
    """Return pgBackRest's configuration for restores only: whatever it locks, logs or spools is in the drill's own directory,
    for `restore` empties its stanza's spool.
    """
    made = backup_config.restoring(
        declared.stanza, declared.processes, f"{directory}/data", f"{directory}/pgbackrest", declared.repositories
    )
    return backup_config.render(made, f"{backup_plan.HEADING.replace('role backup', 'role drill')}\nIt holds secrets.")
