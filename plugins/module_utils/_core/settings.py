# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which settings a server gets: computed, from fragments, from the inventory; merged, checked, told apart by effect."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from . import catalogue
from .errors import Problem
from .tuning import Setting

# Settings with a variable of their own, or that the collection's contracts fix: an override would silently lose to
# them, or break what other roles rely on.
RESERVED = {
    "archive_command": "set by the backup role's fragment",
    "archive_library": "archiving is done by archive_command",
    "archive_mode": "always on, so that backups never need a restart",
    "config_file": "the file is rendered at a fixed place",
    "data_directory": "use postgresql_data_directory",
    "external_pid_file": "the service unit relies on it",
    "fsync": "a server that may lose data is not a production server",
    "full_page_writes": "a server that may lose data is not a production server",
    "hba_file": "use postgresql_hba_lines",
    "ident_file": "use postgresql_ident_lines",
    "listen_addresses": "use postgresql_listen_addresses",
    "max_connections": "use postgresql_max_connections, which the memory budget and the pools are checked against",
    "password_encryption": "scram-sha-256 is the only method",
    "port": "use postgresql_port",
    "shared_preload_libraries": "use postgresql_preload_libraries",
    "ssl": "always on",
    "ssl_cert_file": "use postgresql_tls",
    "ssl_key_file": "use postgresql_tls",
    "unix_socket_directories": "local jobs and PgBouncer rely on it",
    "wal_level": "replica, or logical by a fragment",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")


@dataclass(frozen=True)
class Fragment:
    """Settings that another role needs: {name: (value, reason)}, computed from the inventory alone."""

    name: str
    settings: Mapping[str, tuple[str, str]]


def as_text(value: object) -> str:
    """Write an inventory value as postgresql.conf text: YAML's booleans become on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def merge(
    computed: Sequence[Setting], fragments: Sequence[Fragment], overrides: Mapping[str, object]
) -> tuple[tuple[Setting, ...], tuple[Problem, ...]]:
    """Lay fragments over computed settings, and the inventory's overrides over both; report conflicts and bans."""
    merged = {setting.name.lower(): setting for setting in computed}
    owners: dict[str, Setting] = {}
    problems: list[Problem] = []
    for fragment in fragments:
        for name, (value, reason) in fragment.settings.items():
            key = name.lower()
            setting = Setting(name, value, reason, f"fragment {fragment.name}")
            if key in owners and owners[key].value != value:
                problems.append(
                    Problem(
                        f"fragment {fragment.name}",
                        f"{name} = {value} contradicts {owners[key].source}, which needs {owners[key].value}",
                    )
                )
            owners[key] = merged[key] = setting
    for name, raw in overrides.items():
        key, value = str(name).lower(), as_text(raw)
        where = f"postgresql_settings.{name}"
        if key in RESERVED:
            problems.append(Problem(where, f"cannot be set here: {RESERVED[key]}"))
        elif not _NAME.fullmatch(str(name)):
            problems.append(Problem(where, "is not a setting's name"))
        elif not isinstance(raw, (str, int, float)):
            problems.append(Problem(where, "needs a value: a text, a number or a boolean"))
        elif key in owners and owners[key].value != value:
            problems.append(Problem(where, f"contradicts {owners[key].source}, which needs {owners[key].value}"))
        else:
            before = merged.get(key, Setting(str(name), value, ""))
            was = f"; computed was {before.value}" if key in merged and before.value != value else ""
            merged[key] = replace(before, value=value, reason=f"postgresql_settings{was}", source="inventory")
    return tuple(merged.values()), tuple(problems)


def check(settings: Sequence[Setting], version: int, libraries: Sequence[str]) -> tuple[Problem, ...]:
    """Check every setting against the catalogue of the major version; name the variable that brought it."""
    problems = []
    for setting in settings:
        found = catalogue.complaint(version, setting.name, setting.value, tuple(libraries))
        if "\n" in setting.value or "\0" in setting.value:
            found = "has a line break"
        if found:
            where = "postgresql_settings" if setting.source == "inventory" else setting.source
            problems.append(Problem(f"{where}.{setting.name}", found))
    return tuple(problems)


def needs_restart(names: Sequence[str], version: int) -> tuple[str, ...]:
    """Return those of `names` that only a restart applies (settings of unknown libraries are taken as reloadable)."""
    known = catalogue.parameters(version)
    return tuple(name for name in names if name.lower() in known and known[name.lower()].needs_restart)


def literal(value: str) -> str:
    """Quote a value for postgresql.conf; numbers and plain words stay bare."""
    if re.fullmatch(r"[+-]?\d+(\.\d+)?([a-zA-Z]+)?|[A-Za-z]+", value):
        return value if re.fullmatch(r"[A-Za-z]+|[+-]?\d+(\.\d+)?", value) else f"'{value}'"
    return quoted(value)


def quoted(value: str) -> str:
    """Quote a value for postgresql.conf."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


_LINE = re.compile(r"^\s*([A-Za-z_][\w.$]*)\s*(?:=\s*|\s+)(?:'((?:[^']|'')*)'|([^\s#]+))", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """Read `name = value` lines of a configuration text back (the last one wins), names in lower case."""
    found = {}
    for name, inner, bare in _LINE.findall(text):
        found[name.lower()] = inner.replace("''", "'").replace("\\\\", "\\") if inner else bare
    return found


def without(text: str, names: Container[str]) -> str:
    """Return a configuration text without the lines of some settings (in lower case)."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not ((found := _LINE.match(line)) and found[1].lower() in names))


def for_scratch(altered: str) -> str:
    """Return what ALTER SYSTEM left in postgresql.auto.conf, as another data directory can prove it.

    Files that are named without a path lie in the cluster's own directory: those lines are left out, comments too.
    """
    kept = {
        name: value
        for name, value in parse(altered).items()
        if not (name.endswith(("_file", "_directory", "_dir", "keyfile")) and not value.startswith("/"))
    }
    return "".join(f"{name} = {quoted(value)}\n" for name, value in kept.items())


def without_libraries(text: str, libraries: Sequence[str]) -> str:
    """Return a configuration text that does not preload `libraries`."""
    loaded = [name.strip() for name in parse(text).get("shared_preload_libraries", "").split(",")]
    kept = ", ".join(name for name in loaded if name and name not in libraries)
    return f"{text}\nshared_preload_libraries = '{kept}'\n" if set(loaded) & set(libraries) else text


def changed_names(before: str, after: str) -> tuple[str, ...]:
    """Return the names whose value differs between two configuration texts."""
    old, new = parse(before), parse(after)
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))
