# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backup repositories as the inventory declares them, in pgBackRest's options (pgbackrest.org/configuration.html)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .errors import Problem
from .units import parse_duration_ms

MOST_REPOSITORIES = 256
LEAST_PASSPHRASE = 20
# pgBackRest's names without the prefix repoN-TYPE-, by type; a name that ends with * is a secret, ! must be given
_OPTIONS: Mapping[str, Sequence[str]] = {
    "posix": (),
    "s3": (
        *("bucket!", "endpoint!", "region!", "key*", "key_secret*", "token*", "key_type", "role", "uri_style"),
        *("kms_key_id", "requester_pays"),
    ),
    "azure": ("account!", "container!", "key*", "key_type", "endpoint", "uri_style"),
    "gcs": ("bucket!", "key*", "key_type", "endpoint"),  # key: with key_type token, the token itself
    "sftp": (
        *("host!", "host_user!", "host_port", "private_key_file!", "public_key_file", "host_key_hash_type!"),
        *("host_key_check_type", "host_fingerprint", "known_host", "private_key_passphrase*"),
    ),
}
TYPES = tuple(_OPTIONS)
_STORAGE = ("host", "port", "ca_file", "ca_path", "verify_tls", "upload_chunk_size")
_COMMON = ("name", "type", "path", "offsite", "versions_kept", "cipher_type", "cipher_passphrase", "options", "storage")
VERSIONED = ("s3", "azure", "gcs")  # types of which pgBackRest can read versions
CIPHERS = ("aes-256-cbc", "none")
_USUAL_HOSTS: Mapping[str, str] = {"azure": "blob.core.windows.net", "gcs": "storage.googleapis.com"}
# The options that say where a repository is, by type; an account of SFTP may have a root of its own.
_LOCATES: Mapping[str, Sequence[str]] = {
    "posix": (),
    "s3": ("bucket", "endpoint"),
    "azure": ("account", "container", "endpoint"),
    "gcs": ("bucket", "endpoint"),
    "sftp": ("host", "host-port", "host-user"),
}
_HOSTS = ("endpoint", "host")
# The first version that has it.
SINCE: Mapping[str, tuple[int, int]] = {"sftp": (2, 46), "block": (2, 46), "target_time": (2, 54)}


@dataclass(frozen=True)
class Repository:
    """One repository: `key` is pgBackRest's number; options and secrets are its own names with values."""

    key: int
    name: str
    type: str
    path: str
    offsite: bool
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    versions_kept: timedelta | None = None  # how long the store keeps what was overwritten or deleted

    @property
    def host(self) -> str:
        """Return the name of the store's host, as far as it is declared; empty for a directory."""
        told = self.options.get("storage-host") or self.options.get(f"{self.type}-endpoint")
        return told or self.options.get("sftp-host") or _USUAL_HOSTS.get(self.type, "")


def repositories(raw: Any, where: str = "backup_repositories") -> tuple[tuple[Repository, ...], list[Problem]]:
    """Read the declared repositories; the first one is repo1. Returns them with everything that is wrong."""
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        return (), [Problem(where, f"is a {type(raw).__name__}, not a list of repositories")]
    if len(raw) > MOST_REPOSITORIES:
        return (), [Problem(where, f"has {len(raw)} repositories; pgBackRest takes {MOST_REPOSITORIES}")]
    found, problems = [], []
    for position, item in enumerate(raw):
        place = f"{where}[{position}]"
        wrong = _faults(item, place)
        problems += wrong
        if not wrong:
            found.append(_repository(position + 1, item))
    problems += [
        Problem(where, f"two repositories {what}: {text!r}")
        for what, texts in (
            ("have one name", [one.name for one in found]),
            ("are one place", [_place(one) for one in found]),
        )
        for text in _twice(texts)
    ]
    return tuple(found), problems


def _place(one: Repository) -> str:
    usual = {"endpoint": _USUAL_HOSTS.get(one.type, ""), "host-port": "22"}
    told = {name: one.options.get(f"{one.type}-{name}") or usual.get(name, "") for name in _LOCATES[one.type]}
    where = [f"{name}={value.lower() if name in _HOSTS else value}" for name, value in told.items()]
    return " ".join([one.type, posixpath.normpath(f"/{one.path.lstrip('/')}"), *where])


def _twice(texts: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [text for text in texts if text in seen or seen.add(text)]  # type: ignore[func-returns-value]


def _faults(item: Any, where: str) -> list[Problem]:
    if not isinstance(item, Mapping):
        return [Problem(where, "is not a mapping")]
    problems = [
        Problem(f"{where}.{key}", f"is unknown; known are {', '.join(_COMMON)}") for key in item if key not in _COMMON
    ]
    name, kind, path = str(item.get("name") or ""), item.get("type"), str(item.get("path") or "")
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", name):
        problems.append(Problem(f"{where}.name", f"{name!r} is not a short name: small letters, digits, - and _"))
    if not isinstance(kind, str) or kind not in _OPTIONS:
        return [*problems, Problem(f"{where}.type", f"{kind!r} is not one of {', '.join(TYPES)}")]
    if not re.fullmatch(r"/[^\s]*", path):
        problems.append(Problem(f"{where}.path", f"{path!r} is not an absolute path without blanks"))
    return [
        *problems,
        *_version_faults(item, kind, where),
        *_option_faults(item, kind, where),
        *_cipher_faults(item, where),
    ]


def _version_faults(item: Mapping[str, Any], kind: str, where: str) -> list[Problem]:
    if item.get("versions_kept") is None:
        return []
    place = f"{where}.versions_kept"
    if kind not in VERSIONED:
        return [Problem(place, f"is for {', '.join(VERSIONED)}: no versions can be read of {kind}")]
    try:
        kept = _kept(item)
        return [] if kept and kept > timedelta(0) else [Problem(place, f"{item['versions_kept']!r} is no time")]
    except ValueError as error:
        return [Problem(place, str(error))]
    except OverflowError:
        return [Problem(place, f"{item['versions_kept']!r} is too long a time")]


def _kept(item: Mapping[str, Any]) -> timedelta | None:
    """Read how long versions are kept. Raises ValueError, OverflowError."""
    raw = item.get("versions_kept")
    return None if raw is None else timedelta(seconds=int(parse_duration_ms(str(raw), "s") / 1000))


def _option_faults(item: Mapping[str, Any], kind: str, where: str) -> list[Problem]:
    options, storage = item.get("options") or {}, item.get("storage") or {}
    shapeless = [
        Problem(f"{where}.{place}", f"is a {type(value).__name__}, not a mapping")
        for place, value in (("options", options), ("storage", storage))
        if not isinstance(value, Mapping)
    ]
    if shapeless:
        return shapeless
    known = [name.rstrip("!*") for name in _OPTIONS[kind]]
    problems = [
        Problem(f"{where}.options.{key}", f"is no option of {kind}; there are {', '.join(known) or 'none'}")
        for key in options
        if key not in known
    ]
    problems += [
        Problem(f"{where}.storage.{key}", f"is unknown; known are {', '.join(_STORAGE)}")
        for key in storage
        if key not in _STORAGE
    ]
    problems += [
        Problem(f"{where}.options.{name[:-1]}", f"is missing: {kind} needs it")
        for name in _OPTIONS[kind]
        if name.endswith("!") and not str(options.get(name[:-1]) or "").strip()
    ]
    for place, mapping in (("options", options), ("storage", storage)):
        problems += [
            Problem(f"{where}.{place}.{key}", "has a line break")
            for key, value in mapping.items()
            if re.search(r"[\r\n]", str(value))
        ]
    return problems


def _cipher_faults(item: Mapping[str, Any], where: str) -> list[Problem]:
    cipher, passphrase = item.get("cipher_type") or CIPHERS[0], str(item.get("cipher_passphrase") or "")
    if cipher not in CIPHERS:
        return [Problem(f"{where}.cipher_type", f"{cipher!r} is not one of {', '.join(CIPHERS)}")]
    if cipher == "none":
        what = "is given, but cipher_type is none: remove one of them"
        return [Problem(f"{where}.cipher_passphrase", what)] if passphrase else []
    if len(passphrase) < LEAST_PASSPHRASE or passphrase != passphrase.strip() or re.search(r"[\r\n]", passphrase):
        what = (
            f"must have at least {LEAST_PASSPHRASE} characters, no line break, and no blank at either end (openssl rand "
            "-base64 48 makes one). Keep it elsewhere too: without it no backup can be read"
        )
        return [Problem(f"{where}.cipher_passphrase", what)]
    return []


def _repository(key: int, item: Mapping[str, Any]) -> Repository:
    kind = str(item["type"])
    hidden = {name[:-1] for name in _OPTIONS[kind] if name.endswith("*")}
    options: dict[str, str] = {"type": kind, "path": str(item["path"])}
    secrets: dict[str, str] = {}
    for name, value in (item.get("options") or {}).items():
        if value is not None:
            (secrets if name in hidden else options)[f"{kind}-{name.replace('_', '-')}"] = _text(value)
    for name, value in (item.get("storage") or {}).items():
        if value is not None:
            options[f"storage-{name.replace('_', '-')}"] = _text(value)
    cipher = str(item.get("cipher_type") or CIPHERS[0])
    if cipher != "none":
        options["cipher-type"], secrets["cipher-pass"] = cipher, str(item["cipher_passphrase"])
    offsite = str(item.get("offsite") or "no").lower() in ("true", "yes", "on", "1")
    return Repository(key, str(item["name"]), kind, str(item["path"]), offsite, options, secrets, _kept(item))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "y" if value else "n"
    return str(value)


def version_of(text: str) -> tuple[int, int]:
    """Return (2, 55) of a Debian package version or of what `pgbackrest version` prints. Raises ValueError."""
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None:
        raise ValueError(f"{text!r} has no version of pgBackRest")
    return int(match[1]), int(match[2])
