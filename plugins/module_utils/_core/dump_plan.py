# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the inventory says of dumps, as the job's settings and rclone's configuration, and everything wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .dump_job import COUNTS, METHODS, MOST_JOBS, Remote
from .dump_name import folder
from .errors import Problem
from .inventory import number, strings
from .names import parse
from .retention import BY_ENVIRONMENT, tiers

PROGRAMS = "/usr/lib/postgresql"
WORK_DIRECTORY = "/var/lib/pgstead/dumps"
RCLONE_CONFIG = "/etc/pgstead/rclone.conf"
PACKAGES = {"age": ("age", "rclone", "zstd"), "gpg": ("gnupg", "rclone", "zstd")}
DEFAULT_JOBS = 2
# of an inventory that declares no place for dumps
NO_DUMPS: Mapping[str, Any] = {
    "encryption": {},
    "remotes": [],
    "retention": {},
    "environment": "production",
    "host": "localhost",
    "cluster": "main",
}
_BACKUP_KEYS = ("dump", "exclude_table_data", "jobs", "count")
_REMOTE_KEYS = ("name", "type", "path", "options", "offsite")
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}
_SSH = re.compile(r"ssh-(ed25519|rsa) AAAA[A-Za-z0-9+/=]+( [^\n]*)?")
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


@dataclass(frozen=True)
class DumpPlan:
    """The job's settings, without a secret; rclone's configuration, with them. Without databases, there is no job."""

    settings: Mapping[str, Any]
    rclone_config: str = field(repr=False)
    packages: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def places(self) -> dict[str, dict[str, str]]:
        """Where the dumps of each database are, by remote, as rclone names it."""
        told = self.settings
        return {
            item["database"]: {
                remote["name"]: Remote(**remote).place(told["host"], told["cluster"], folder(item["database"]))
                for remote in told["remotes"]
            }
            for item in told["databases"]
        }

    def as_data(self) -> dict[str, Any]:
        """Return plain data for tasks."""
        return {
            "settings": self.settings,
            "rclone_config": self.rclone_config,
            "packages": list(self.packages),
            "places": self.places,
            "problems": [str(problem) for problem in self.problems],
        }


def plan_dumps(spec: Mapping[str, Any]) -> DumpPlan:
    """Decide what is dumped. `spec` has databases, encryption, remotes, retention, environment, host and cluster."""
    problems: list[Problem] = []
    databases = _databases(problems, spec["databases"])
    settings: dict[str, Any] = {"databases": databases}
    if not databases:
        return DumpPlan(settings, "", (), tuple(problems))
    encryption = _encryption(problems, spec["encryption"] or {})
    environment = str(spec["environment"])
    keep: dict[str, timedelta] = {}
    if environment in BY_ENVIRONMENT:
        keep, wrong = tiers(spec["retention"] or {}, environment, "backup_dump_retention")
        problems += wrong
    else:
        what = f"{environment!r} is not one of {', '.join(BY_ENVIRONMENT)}"
        problems.append(Problem("pgstead_environment", what))
    remotes, config = _remotes(problems, spec["remotes"] or [])
    settings |= {
        "host": folder(str(spec["host"])),
        "cluster": folder(str(spec["cluster"])),
        "programs": PROGRAMS,
        "work_directory": WORK_DIRECTORY,
        "rclone_config": RCLONE_CONFIG,
        "encryption": encryption,
        "remotes": remotes,
        "retention": {tier: int(time.total_seconds() // 3600) for tier, time in keep.items()},
    }
    return DumpPlan(settings, config, PACKAGES.get(encryption["method"], ()), tuple(problems))


def _databases(problems: list[Problem], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for position, item in enumerate(items):
        backup, where = item.get("backup"), f"pgstead_databases[{position}].backup"
        if backup is None or (item.get("state") or "present") != "present":
            continue
        if not isinstance(backup, Mapping):
            problems.append(Problem(where, f"{backup!r} is not a mapping"))
            continue
        problems += [
            Problem(f"{where}.{key}", f"is unknown; known are {', '.join(_BACKUP_KEYS)}")
            for key in sorted(set(backup) - set(_BACKUP_KEYS))
        ]
        count = str(backup.get("count") or "exact")
        if count not in COUNTS:
            problems.append(Problem(f"{where}.count", f"{count!r} is not one of {', '.join(COUNTS)}"))
        found.append(
            {
                "database": str(item.get("name")),
                "exclude_table_data": _tables(problems, f"{where}.exclude_table_data", backup),
                "jobs": _jobs(problems, f"{where}.jobs", backup.get("jobs")),
                "count": count,
                "dump": _truth(problems, f"{where}.dump", backup.get("dump")),
            }
        )
    return [{key: value for key, value in entry.items() if key != "dump"} for entry in found if entry["dump"]]


def _tables(problems: list[Problem], where: str, backup: Mapping[str, Any]) -> list[str]:
    names = []
    for text in strings(backup.get("exclude_table_data")):
        try:
            names.append(str(parse(text, "public")))
        except ValueError as error:
            problems.append(Problem(where, str(error)))
    return names


def _jobs(problems: list[Problem], where: str, raw: Any) -> int:
    try:
        found = number(DEFAULT_JOBS if raw is None else raw)
    except ValueError:
        found = None
    if found is None or isinstance(raw, bool) or not 1 <= found <= MOST_JOBS:
        problems.append(Problem(where, f"{raw!r} is not a whole number from 1 to {MOST_JOBS}"))
        return DEFAULT_JOBS
    return found


def _truth(problems: list[Problem], where: str, raw: Any) -> bool:
    found = False if raw is None else _TRUTHS.get(str(raw).lower())
    if found is None:
        problems.append(Problem(where, f"{raw!r} is neither true nor false"))
    return bool(found)


def _encryption(problems: list[Problem], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return whom dumps are encrypted to. What is refused is not shown: it may be a secret key, by mistake."""
    where = "backup_dump_encryption"
    method = str(raw.get("method") or "age")
    recipients = [text.strip() for text in _listed(raw.get("recipients"))]
    if method not in METHODS:
        problems.append(Problem(f"{where}.method", f"{method!r} is not one of {', '.join(METHODS)}"))
    if not recipients:
        what = "is missing: give at least one public key, whose secret key is kept away from this host (age-keygen)"
        problems.append(Problem(f"{where}.recipients", what))
    complain = _gpg_complaint if method == "gpg" else _age_complaint
    for position, text in enumerate(recipients):
        if complaint := complain(text):
            problems.append(Problem(f"{where}.recipients[{position}]", complaint))
    return {"method": method, "recipients": recipients}


def _listed(raw: Any) -> list[str]:
    return [raw] if isinstance(raw, str) else [str(each) for each in raw or []]


def _age_complaint(text: str) -> str:
    if text.upper().startswith("AGE-SECRET-KEY"):
        return "is a secret key, which must not be where the dumps are made: give the public one, age1…"
    if _SSH.fullmatch(text):
        return ""
    if not re.fullmatch(rf"age1[{_BECH32}]{{58}}", text):
        return "is no public key of age: age1 and 58 characters, or ssh-ed25519 …, or ssh-rsa …"
    return "" if _bech32_holds(text) else "is mistyped: the check characters of this age key do not fit the others"


def _bech32_holds(text: str) -> bool:
    prefix, _, data = text.rpartition("1")
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check == 1


def _gpg_complaint(text: str) -> str:
    if "PRIVATE KEY" in text:
        return "is a secret key, which must not be where the dumps are made: give the public one (gpg --armor --export)"
    whole = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
    held = text.startswith(whole[0]) and text.endswith(whole[1])
    return "" if held else f"is no armoured public key: from {whole[0]} to {whole[1]} (gpg --armor --export)"


def _remotes(problems: list[Problem], items: Sequence[Any]) -> tuple[list[dict[str, Any]], str]:
    found, config, seen = [], "", set()
    if not items:
        problems.append(Problem("backup_dump_remotes", "is missing: give at least one place for the dumps"))
    for position, item in enumerate(items):
        where = f"backup_dump_remotes[{position}]"
        if not isinstance(item, Mapping) or set(item) - set(_REMOTE_KEYS):
            problems.append(Problem(where, f"is not a mapping of {', '.join(_REMOTE_KEYS)}"))
            continue
        name, kind, path = (str(item.get(key) or "") for key in ("name", "type", "path"))
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]+", name):
            problems.append(Problem(f"{where}.name", f"{name!r}: use two or more letters, digits, _ and -"))
        if name in seen:
            problems.append(Problem(f"{where}.name", f"{name!r} is there twice"))
        seen.add(name)
        if not re.fullmatch(r"[a-z0-9]+", kind):
            problems.append(Problem(f"{where}.type", f"{kind!r} is no storage system of rclone, as local, s3 or sftp"))
        if not re.fullmatch(r"[^\x00-\x1f\x7f]+", path) or (kind == "local" and not path.startswith("/")):
            problems.append(Problem(f"{where}.path", "needs a directory in it, for local an absolute one"))
        offsite = _truth(problems, f"{where}.offsite", item.get("offsite"))
        found.append({"name": name, "type": kind, "path": path, "offsite": offsite})
        config += f"[{name}]\ntype = {kind}\n{_options(problems, f'{where}.options', item.get('options'))}\n"
    return found, config


def _options(problems: list[Problem], where: str, raw: Any) -> str:
    """Return lines of rclone's configuration; a value that is refused is not shown."""
    if not isinstance(raw or {}, Mapping):
        problems.append(Problem(where, "is not a mapping of rclone's options"))
        return ""
    lines = ""
    for key, value in (raw or {}).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not re.fullmatch(r"[a-z0-9_]+", str(key)) or key == "type":
            problems.append(Problem(f"{where}.{key}", "is no option of rclone: small letters, digits and _"))
        # what rclone's reader would take for quotation, a reference or another line
        if re.search(r"[\x00-\x1f\x7f]|%\(|^[\"`]|^\s|\s$", text):
            what = (
                "has a control character, %(, or a quotation mark or blank at its end: rclone would read another value"
            )
            problems.append(Problem(f"{where}.{key}", what))
        lines += f"{key} = {text}\n"
    return lines
