# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`pgstead_databases` as calls of the schema modules, kind by kind, and everything wrong with them before a server is asked.

What came of the calls is put together again by database, for the last line of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import migration
from .audit_spec import audit
from .check_constraint import check_constraints
from .errors import Problem
from .foreign_key import choice
from .index_spec import indexes
from .inventory import strings
from .row_security_spec import Surroundings, context, protected_tables
from .view_spec import views

Call = dict[str, Any]
Items = Sequence[Mapping[str, Any]]
Reader = Callable[[Items, str], tuple[Any, tuple[Problem, ...]]]

# lists of items, with what an item cannot do without
KINDS: Mapping[str, tuple[Reader, tuple[str, ...]]] = {
    "check_constraints": (check_constraints, ("table", "name")),
    "indexes": (indexes, ("table",)),
    "views": (views, ("name",)),
}
# all that is carried out: tables, what must hold in them, what is made of them, what makes them quick, who sees what,
# who did what
ORDER = ("migrations", "check_constraints", "views", "indexes", "foreign_key_indexes", "row_security", "audit")
MODES = ("create", "report")
# the inventory's words for the module's
AUDIT_KEYS = {
    "tables": "tables",
    "retention": "retention",
    "schema": "audit_schema",
    "mode": "mode",
    "ahead": "partitions_ahead",
    "readers": "readers",
}
FOREIGN_KEY_KEYS = {"mode": "report", "exclude": [], "minimum_size": "0MB"}


@dataclass(frozen=True)
class SchemaPlan:
    """The calls of each kind, in the inventory's order of databases; no `problems` means that a database may be touched."""

    migrations: tuple[Call, ...] = ()
    check_constraints: tuple[Call, ...] = ()
    indexes: tuple[Call, ...] = ()
    foreign_key_indexes: tuple[Call, ...] = ()
    views: tuple[Call, ...] = ()
    row_security: tuple[Call, ...] = ()
    audit: tuple[Call, ...] = ()
    probes: tuple[Call, ...] = ()  # what of it can be proven by behaviour
    databases: tuple[Call, ...] = ()
    problems: tuple[Problem, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return plain data for tasks."""
        found: dict[str, Any] = {kind: list(getattr(self, kind)) for kind in (*ORDER, "probes", "databases")}
        return found | {"problems": [str(problem) for problem in self.problems]}


@dataclass
class _Found:
    """What is collected database by database."""

    calls: dict[str, list[Call]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def call(self, kind: str, base: Call, **more: Any) -> None:
        self.calls.setdefault(kind, []).append({**base, **more})

    def blame(self, where: str, problems: Sequence[Problem]) -> None:
        self.problems += [Problem(f"{where}.{problem.where}", problem.what) for problem in problems]


def plan_schema(items: Items, contents: Mapping[str, str]) -> SchemaPlan:
    """Decide the calls for every database that is present. `contents` has the texts of scripts by path, where known."""
    found = _Found()
    for position, item in enumerate(items):
        if (item.get("state") or "present") != "present":
            continue
        where = f"pgstead_databases[{position}]"
        base = _base(item)
        found.call("databases", base, application_roles=_application_roles(item))
        _migration(found, where, item, base, contents)
        for kind in KINDS:
            _kind(found, where, kind, item.get(kind), base)
        _foreign_keys(found, where, item.get("foreign_key_indexes"), base)
        _row_security(found, where, item, base)
        _audit(found, where, item, base)
    calls = {kind: tuple(each) for kind, each in found.calls.items()}
    return SchemaPlan(**calls, problems=tuple(found.problems))


def _base(item: Mapping[str, Any]) -> Call:
    """Return what every call for a database has: where names are looked up, and as whom."""
    schemas = strings(item.get("schemas")) or ("public",)
    extensions = [raw for raw in item.get("extensions") or [] if isinstance(raw, Mapping)]
    homes = [str(extension["schema"]) for extension in extensions if extension.get("schema")]
    return {
        "database": str(item.get("name")),
        "role": str(item.get("owner")),
        "schema": schemas[0],
        "search_path": list(dict.fromkeys([*schemas, *homes, "public"])),
    }


def _migration(found: _Found, where: str, item: Mapping[str, Any], base: Call, contents: Mapping[str, str]) -> None:
    paths, command = strings(item.get("load_sql")), item.get("migrate_command") or None
    if paths and command:
        what = "and migrate_command exclude each other: one thing brings the application's schema up"
        found.problems.append(Problem(f"{where}.load_sql", what))
    if command:
        complaint = migration.command_problem(str(command))
        found.problems += [Problem(f"{where}.migrate_command", complaint)] if complaint else []
    texts = [{"name": path, "content": contents[path]} for path in paths if path in contents]
    found.blame(where, migration.scripts(texts, "load_sql ")[1])
    if paths or command:
        found.call("migrations", base, scripts=list(paths), command=command)


def _kind(found: _Found, where: str, kind: str, raw: Any, base: Call) -> None:
    """One list of one database."""
    read, needed = KINDS[kind]
    if raw is None:
        return
    if isinstance(raw, str) or not isinstance(raw, Sequence):
        found.problems.append(Problem(f"{where}.{kind}", f"{raw!r} is not a list"))
        return
    shapeless = [
        Problem(f"{kind}[{number}]", f"needs {' and '.join(needed)}")
        for number, one in enumerate(raw)
        if not isinstance(one, Mapping) or any(one.get(key) in (None, "") for key in needed)
    ]
    # positions would be wrong with some left out, and a faulty list is not carried out anyway
    found.blame(where, shapeless or read(raw, str(base["schema"]))[1])
    found.call(kind, base, declared=list(raw))


def _foreign_keys(found: _Found, where: str, raw: Any, base: Call) -> None:
    if raw is None:
        return
    place = f"{where}.foreign_key_indexes"
    told = {"mode": raw} if isinstance(raw, str) else raw
    if not isinstance(told, Mapping) or set(told) - set(FOREIGN_KEY_KEYS):
        found.problems.append(
            Problem(place, f"{raw!r} is neither create, report nor a mapping with {', '.join(FOREIGN_KEY_KEYS)}")
        )
        return
    full = {key: default if told.get(key) is None else told[key] for key, default in FOREIGN_KEY_KEYS.items()}
    if full["mode"] not in MODES:
        found.problems.append(Problem(place, f"{full['mode']!r} is not one of {', '.join(MODES)}"))
    if not isinstance(full["exclude"], list) or not all(
        isinstance(x, Mapping) and x.get("table") for x in full["exclude"]
    ):
        found.problems.append(
            Problem(f"{place}.exclude", "is a list of items with table, and constraint if not all of it")
        )
    else:
        found.blame(place, choice(full["exclude"], str(full["minimum_size"]), str(base["schema"]))[1])
    found.call("foreign_key_indexes", base, **full)


def _application_roles(item: Mapping[str, Any]) -> list[str]:
    name = (item.get("application_role") or {}).get("name")
    return [str(name)] if name else []


def _row_security(found: _Found, where: str, item: Mapping[str, Any], base: Call) -> None:
    raw = item.get("row_security")
    if raw is None:
        return
    place = f"{where}.row_security"
    if not isinstance(raw, Mapping) or not isinstance(raw.get("tables"), list):
        found.problems.append(Problem(place, "is a mapping with context and the list tables"))
        return
    tables = raw["tables"]
    nameless = [Problem(f"tables[{n}]", "needs name") for n, one in enumerate(tables) if not _named(one)]
    carried, problems = context(raw.get("context"), str(base["schema"]))
    roles = tuple(_application_roles(item))
    around = Surroundings(carried, roles, None, str(base["schema"]))
    found.blame(place, [*problems, *(nameless or protected_tables(tables, around)[1])])
    found.call("row_security", base, context=raw.get("context"), application_roles=list(roles), tables=tables)
    if nameless or problems or not roles:
        return
    keys = ("name", "owner_column", "admin_role")
    owned = [{key: one[key] for key in keys if one.get(key)} for one in tables if one.get("owner_column")]
    present = [one["name"] for one in tables if (one.get("state") or "present") == "present"]
    probed = [one for one in owned if one["name"] in present]
    if present:
        unproven = sorted(set(present) - {one["name"] for one in probed})
        asked = {"context": raw.get("context"), "tables": probed, "unproven": unproven}
        found.call("probes", base, application_role=roles[0], **asked)


def _audit(found: _Found, where: str, item: Mapping[str, Any], base: Call) -> None:
    raw = item.get("audit")
    if raw is None:
        return
    place = f"{where}.audit"
    if not isinstance(raw, Mapping) or not isinstance(raw.get("tables"), list) or set(raw) - set(AUDIT_KEYS):
        what = (
            f"is a mapping with the list tables, and of {', '.join(list(AUDIT_KEYS)[1:])} what differs from the default"
        )
        found.problems.append(Problem(place, what))
        return
    told = {AUDIT_KEYS[key]: value for key, value in raw.items() if value is not None}
    told["tables"] = [{"name": one} if isinstance(one, str) else one for one in raw["tables"]]
    # whose change it is says the context by which row security knows it
    protected = item.get("row_security")
    carried = (protected.get("context") if isinstance(protected, Mapping) else None) or {}
    carried = {key: carried[key] for key in ("user", "role") if carried.get(key)}
    declared, problems = audit({**told, "context": carried if carried.get("user") else None}, str(base["schema"]))
    if declared.schema in (strings(item.get("schemas")) or ("public",)):
        what = f"{declared.schema} is one of the database's schemas, in which the application has rights"
        problems = (*problems, Problem("schema", what))
    inverse = {word: key for key, word in AUDIT_KEYS.items()}
    renamed = [Problem(inverse.get(problem.where, problem.where), problem.what) for problem in problems]
    # a fault of the context is named where the context stands
    found.blame(place, [problem for problem in renamed if not problem.where.startswith("context.")])
    found.call("audit", base, context=carried if carried.get("user") else None, **told)


def _named(raw: Any) -> bool:
    """Whether an item and its policies have names."""
    return (
        isinstance(raw, Mapping)
        and bool(raw.get("name"))
        and all(isinstance(policy, Mapping) and policy.get("name") for policy in raw.get("policies") or ())
    )


def summary(plan: Mapping[str, Sequence[Mapping[str, Any]]], results: Mapping[str, Any]) -> list[str]:
    """Return what is to be said of each database; `results` has by kind what the task over its calls registered."""
    lines: dict[str, list[str]] = {}
    for kind in ORDER:
        done = {result["item"]["database"]: result for result in (results.get(kind) or {}).get("results") or ()}
        for call in plan.get(kind) or ():
            database = str(call["database"])
            lines.setdefault(database, []).extend(_said(kind, call, done.get(database) or {}))
    return [f"{database}: {line}" for database, said in lines.items() for line in said]


def _said(kind: str, call: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be said of one call; without a result it was left out."""
    words = kind.replace("_", " ")
    if kind == "migrations":
        name = "load_sql" if call["scripts"] else "migrate_command"
        yield f"{name}: {result['msg']}" if "msg" in result else f"{name} is left alone (schema_migrate)"
        return
    yield f"{words}: {result.get('msg', 'to be compared when that has run')}"
    yield from (f"{words}: {line}" for line in result.get("drift") or ())
    if result.get("unmanaged"):
        yield f"{words}: {len(result['unmanaged'])} that nobody declared are left alone"
    if result.get("missing") and call["mode"] == "report":
        yield f"{words}: without one are {', '.join(_key(key) for key in result['missing'])}"


def _key(key: Mapping[str, Any]) -> str:
    return f"{key['constraint']} of {key['table']} ({key['table_size']})"
