"""A role's defaults and its argument spec name the same variables, with the same values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_spec import KEYS
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_plan import AUDIT_KEYS
from ansible_collections.pgstead.ops.plugins.modules import audit, check_constraints, indexes, row_security, views

ROLES = Path(__file__).resolve().parents[2] / "roles"
_TAKEN = re.compile(r"\b([a-z]\w+) \| default\(((?!omit)[^)]+)\)")
NAMES = sorted(path.name for path in ROLES.glob("*") if path.is_dir())


class Loader(yaml.SafeLoader):
    """Reads what Ansible adds to YAML (!vault, !unsafe) as the plain text it stands for."""


Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_scalar(node))


def load(path: Path) -> dict[str, Any]:
    """Give the mapping of a YAML file, an empty one for a file of comments."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Loader) or {}


def defaults_of(role: str) -> dict[str, Any]:
    path = ROLES / role / "defaults"
    files = [path / "main.yml"] if (path / "main.yml").is_file() else sorted((path / "main").glob("*.yml"))
    found: dict[str, Any] = {}
    for file in files:
        found |= load(file)
    return found


def options_of(role: str) -> dict[str, Any]:
    return load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})


def public(variables: dict[str, Any], role: str) -> set[str]:
    return {name for name in variables if not name.startswith(f"{role}__")}


def walk(options: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """List every option, nested ones too, with the path by which an inventory reaches it."""
    found = []
    for name, option in options.items():
        found.append((path + name, option))
        found += walk(option.get("options", {}), f"{path}{name}.")
    return found


def test_there_are_roles() -> None:
    """The parametrised tests below would be skipped, not failed, without any."""
    assert NAMES


@pytest.mark.parametrize("role", NAMES)
def test_every_role_has_an_argument_spec(role: str) -> None:
    assert (ROLES / role / "meta" / "argument_specs.yml").is_file()


@pytest.mark.parametrize("role", NAMES)
def test_defaults_and_argument_spec_name_the_same_variables(role: str) -> None:
    options = options_of(role)
    # What an inventory must give has no default.
    required = {name for name, option in options.items() if option.get("required")}
    assert public(defaults_of(role), role) | required == set(options)


@pytest.mark.parametrize("role", NAMES)
def test_internal_variables_are_not_inputs(role: str) -> None:
    assert [name for name in options_of(role) if name.startswith(f"{role}__")] == []


@pytest.mark.parametrize("role", NAMES)
def test_a_default_in_the_argument_spec_is_the_one_in_defaults(role: str) -> None:
    defaults = defaults_of(role)
    stated = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert stated == {name: defaults.get(name) for name in stated}


@pytest.mark.parametrize("role", NAMES)
def test_what_a_role_takes_for_anothers_default_is_that(role: str) -> None:
    """Where role backup is not there to say so, and where it is, the server must get the same settings."""
    theirs: dict[str, Any] = {}
    for other in NAMES:
        theirs |= {name: value for name, value in defaults_of(other).items() if name.startswith(f"{other}_")}
    files = [file for part in ("vars", "tasks") for file in (ROLES / role / part).rglob("*.yml")]
    taken = [found for file in files for found in _TAKEN.findall(file.read_text(encoding="utf-8"))]
    wrong = {name: text for name, text in taken if name in theirs and yaml.safe_load(text) != theirs[name]}
    assert wrong == {}


@pytest.mark.parametrize("role", NAMES)
def test_every_option_has_a_type_and_a_description(role: str) -> None:
    bare = [path for path, option in walk(options_of(role)) if not (option.get("type") and option.get("description"))]
    assert bare == []


@pytest.mark.parametrize("module", [indexes, check_constraints, views], ids=["indexes", "check_constraints", "views"])
def test_what_the_inventory_declares_is_what_the_module_takes(module: Any) -> None:
    """The items pass through the role as they are, so the role's description of them is the module's."""
    kind = module.__name__.rpartition(".")[2]

    declared = options_of("postgresql")["pgstead_databases"]["options"][kind]
    assert shape(declared["options"]) == shape(module.ARGUMENTS[kind]["options"])


def shape(options: dict[str, Any]) -> dict[str, Any]:
    kept = ("type", "elements", "required", "default", "choices")
    return {name: {key: option[key] for key in kept if key in option} for name, option in options.items()}


def test_declared_row_security_is_what_the_module_takes() -> None:
    declared = options_of("postgresql")["pgstead_databases"]["options"]["row_security"]["options"]
    taken = row_security.ARGUMENTS
    assert shape(declared["context"]["options"]) == shape(taken["context"]["options"])
    assert shape(declared["tables"]["options"]) == shape(taken["tables"]["options"])


def test_declared_audit_is_what_the_module_takes() -> None:
    declared = shape(options_of("postgresql")["pgstead_databases"]["options"]["audit"]["options"])
    declared.pop("tables")  # names, or what the module takes
    assert {AUDIT_KEYS[key]: what for key, what in declared.items()} == {
        word: what for word, what in shape(audit.ARGUMENTS).items() if word in AUDIT_KEYS.values() and word != "tables"
    }
    assert set(audit.ARGUMENTS["tables"]["options"]) == set(KEYS)


def test_the_schema_role_finds_the_keys_of_databases_where_it_looks() -> None:
    path = ROLES / "schema" / "../postgresql/meta/argument_specs.yml"
    assert "indexes" in load(path)["argument_specs"]["main"]["options"]["pgstead_databases"]["options"]
