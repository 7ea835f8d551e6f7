# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything the postgresql role needs to know, from inventory and facts, in one value: problems, settings, lines.

"Which settings" is decided here. Who applies them (the role's own applier today, Patroni on a clustered host) is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from . import backup_config, catalogue, hba, statement_audit
from . import databases as db
from .backup_config import marker_name
from .baseline import DEFAULT_LIBRARIES, ENVIRONMENTS, Instance, baseline
from .certificate import CertificatePlan, plan_certificate
from .errors import Problem
from .hba import HbaLine, IdentLine
from .inventory import addresses, strings, waits_for_network
from .kernel import OPEN_FILES, open_files
from .preflight import Expectation, resources, verdict
from .schema_plan import plan_schema
from .settings import Fragment, as_text, check, literal, merge
from .tuning import PROFILES, STORAGES, Resources, Setting, budget, tune
from .units import parse_count

CERTIFICATE_DIRECTORY = "/etc/pgstead/tls"


@dataclass(frozen=True)
class ServerPlan:
    """The result. `budget` is in bytes, `packages` are the missing ones; no `problems` means the host may be touched."""

    instance: Instance
    resources: Resources
    settings: tuple[Setting, ...] = ()
    hba: tuple[HbaLine, ...] = ()
    ident: tuple[IdentLine, ...] = ()
    packages: tuple[str, ...] = ()
    libraries_to_come: tuple[str, ...] = ()  # preloaded ones that a missing package brings
    certificate: CertificatePlan | None = None
    open_files: int = OPEN_FILES
    waits_for_network: bool = False
    alone: bool = True  # no other cluster on the host
    budget: Mapping[str, int] = field(default_factory=dict)
    available_connections: int | None = None
    problems: tuple[Problem, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return plain data for templates: settings with their quoted `literal`, lines rendered."""
        return {
            "instance": asdict(self.instance)
            | {"configuration_directory": self.instance.configuration_directory, "unit": self.instance.unit},
            "resources": asdict(self.resources),
            "settings": [asdict(setting) | {"literal": literal(setting.value)} for setting in self.settings],
            "hba": [{"line": line.render(), "comment": line.comment} for line in self.hba],
            "ident": [line.render() for line in self.ident],
            "packages": list(self.packages),
            "libraries_to_come": list(self.libraries_to_come),
            "certificate": asdict(self.certificate) if self.certificate else None,
            "open_files": self.open_files,
            "waits_for_network": self.waits_for_network,
            "alone": self.alone,
            "budget": dict(self.budget),
            "available_connections": self.available_connections,
            "problems": [str(problem) for problem in self.problems],
        }


def instance_of(spec: Mapping[str, Any]) -> Instance:
    """Read the instance out of the role's variables (short names, see the role's vars/main.yml)."""
    version, name = int(spec["version"]), str(spec["cluster_name"])
    tls = spec.get("tls") or {}
    return Instance(
        version=version,
        name=name,
        port=int(spec["port"]),
        data_directory=str(spec.get("data_directory") or f"/var/lib/postgresql/{version}/{name}"),
        listen_addresses=strings(spec["listen_addresses"]),
        locale=str(spec["locale"]),
        tls_certificate=str(tls.get("certificate") or f"{CERTIFICATE_DIRECTORY}/server.crt"),
        tls_key=str(tls.get("key") or f"{CERTIFICATE_DIRECTORY}/server.key"),
    )


def _choices(spec: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(variable, f"{spec[key]!r} is not one of {', '.join(accepted)}")
        for variable, key, accepted in (
            ("postgresql_profile", "profile", PROFILES),
            ("pgstead_environment", "environment", ENVIRONMENTS),
            ("postgresql_storage", "storage", ("auto", *STORAGES)),
        )
        if spec[key] not in accepted
    ]
    if not catalogue.OLDEST <= int(spec["version"]) <= catalogue.NEWEST:
        accepted_majors = f"{catalogue.OLDEST} … {catalogue.NEWEST}"
        problems.append(Problem("postgresql_version", f"{spec['version']} is not one of {accepted_majors}"))
    if not 0 <= float(spec["sample_rate"]) <= 1:
        problems.append(Problem("postgresql_statement_sample_rate", f"{spec['sample_rate']} is not between 0 and 1"))
    if spec.get("max_connections") is not None and int(spec["max_connections"]) < 10:
        problems.append(Problem("postgresql_max_connections", f"{spec['max_connections']} is below 10"))
    if not re.fullmatch(r"[A-Za-z0-9_.]+", str(spec["cluster_name"])):
        problems.append(
            Problem("postgresql_cluster_name", "takes letters, digits, _ and . (it is part of paths and units)")
        )
    problems += addresses("postgresql_listen_addresses", strings(spec["listen_addresses"]))
    problems += statement_audit.problems(strings(spec["audit_statements"]))
    tls = spec.get("tls") or {}
    if bool(tls.get("certificate")) != bool(tls.get("key")):
        problems.append(Problem("postgresql_tls", "certificate and key belong together: give both, or neither"))
    return problems


def _fragments(items: Sequence[Mapping[str, Any]]) -> tuple[Fragment, ...]:
    return tuple(
        Fragment(
            str(item["name"]),
            {
                str(name): (as_text(body["value"]), str(body.get("reason") or ""))
                if isinstance(body, Mapping)
                else (as_text(body), f"needed by {item['name']}")
                for name, body in item["settings"].items()
            },
        )
        for item in items
    )


def _archiving(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[Fragment, ...]:
    """Return the fragment of backups, once there is a stanza to archive to."""
    declared = spec.get("backup") or {}
    stanza = facts["archiving"].get(marker_name(int(spec["version"]), str(spec["cluster_name"])))
    if not stanza or not declared.get("repositories"):
        return ()
    return (backup_config.fragment(stanza, int(declared["archive_timeout"])),)


def plan_server(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> ServerPlan:
    """Decide everything about a server. Raises nothing for bad input: it is all in `problems`."""
    instance = instance_of(spec)
    audited = strings(spec["audit_statements"])
    further = {statement_audit.LIBRARY: statement_audit.package(instance.version)} if audited else {}
    expected = Expectation(
        instance, bool(spec.get("repository")), facts.get("controller_epoch"), tuple(further.values())
    )
    problems = [*_choices(spec), *verdict(facts, expected)]
    usable = resources(facts, str(spec["storage"]) if spec["storage"] in STORAGES else "auto")
    if problems:
        # settings computed from refused input would only add noise
        return ServerPlan(instance, usable, problems=(*problems, *_databases(spec)))
    libraries = tuple(dict.fromkeys([*DEFAULT_LIBRARIES, *strings(spec["preload_libraries"]), *further]))
    connections = None if spec.get("max_connections") is None else int(spec["max_connections"])
    computed = (
        *baseline(instance, spec["environment"], libraries, float(spec["sample_rate"]), usable.data_disk_bytes),
        *tune(usable, spec["profile"], instance.version, connections),
        *(statement_audit.settings(audited) if audited else ()),
    )
    missing = {name for name, state in facts["packages"].items() if not state["installed"]}
    fragments = (*_archiving(spec, facts), *_fragments(spec["fragments"]))
    settings, conflicts = merge(computed, fragments, spec["settings"])
    problems += [*conflicts, *check(settings, instance.version, libraries), *_databases(spec)]
    own = hba.default_lines(strings(spec["client_networks"]), spec["monitoring_role"])
    declared = hba.declared_lines(spec["hba_lines"])
    problems += [*hba.check(declared, strings(spec["client_networks"]), own), *hba.check_ident(spec["ident_lines"])]
    problems += hba.check_patterns(declared, instance.version)
    certificate, unusable = plan_certificate(
        spec.get("tls") or {}, strings(spec["tls_names"]), int(spec["tls_renew_days"]), facts
    )
    problems += unusable
    memory: Mapping[str, int] = {}
    available = None
    if not problems:
        values = {setting.name.lower(): setting.value for setting in settings}
        spent = budget(values, usable, spec["profile"])
        complaint = spent.complaint()
        problems += [Problem("memory budget", complaint)] if complaint else []
        memory = asdict(spent) | {"total": spent.total}
        reserved = [("superuser_reserved_connections", "3"), ("reserved_connections", "0")]
        available = parse_count(values["max_connections"]) - sum(parse_count(values.get(*pair)) for pair in reserved)
        if available < 1:
            problems.append(Problem("postgresql_settings", "more connections are reserved than max_connections allows"))
    return ServerPlan(
        instance=instance,
        resources=usable,
        settings=settings,
        hba=hba.ordered(declared, own),
        ident=hba.ident_lines(spec["monitoring_role"], spec["ident_lines"]),
        packages=tuple(p for p in (*packages(instance.version), *further.values()) if p in missing),
        libraries_to_come=tuple(library for library, package in further.items() if package in missing),
        certificate=certificate,
        open_files=open_files(facts["limits"]["nofile"], facts["capabilities"]["sys_resource"]),
        waits_for_network=waits_for_network(instance.listen_addresses),
        alone=all((c["version"], c["name"]) == (str(instance.version), instance.name) for c in facts["clusters"]),
        budget=memory,
        available_connections=available,
        problems=tuple(problems),
    )


def packages(version: int) -> tuple[str, ...]:
    """Return the Debian packages of a server: the server, its client, the driver of our modules, the CA tools."""
    return (
        f"postgresql-{version}",
        f"postgresql-client-{version}",
        "python3-psycopg2",
        "python3-cryptography",
        "ssl-cert",
    )


def _databases(spec: Mapping[str, Any]) -> tuple[Problem, ...]:
    found = db.databases(spec["databases"], str(spec["locale"]), str(spec["encoding"]))
    # what only the schema role will use is refused here, too: before a host is touched is the best time
    return (*db.check(found, str(spec["monitoring_role"])), *plan_schema(spec["databases"], {}).problems)
