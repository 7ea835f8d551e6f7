"""Every module says the same in its documentation, its examples and its argument spec."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
WITHOUT_RESULTS = {"backup_config"}
PREFIX = "ansible_collections.pgstead.ops.plugins.modules."


def load(name: str) -> Any:
    return importlib.import_module(PREFIX + name)


def shape(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """Keep what documentation (`nested`: suboptions) and argument spec (options) have in common."""
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": option.get("required", False),
            "default": option.get("default"),
            "choices": option.get("choices"),
            "options": shape(option.get(nested) or {}, nested),
        }
        for name, option in options.items()
    }


def fragment_options(name: str) -> dict[str, Any]:
    """Return the options of a shared part of the documentation: `namespace.collection.file[.part]`."""
    file, _, part = name.removeprefix("pgstead.ops.").partition(".")
    fragment = importlib.import_module(f"ansible_collections.pgstead.ops.plugins.doc_fragments.{file}")
    return yaml.safe_load(getattr(fragment.ModuleDocFragment, part.upper() or "DOCUMENTATION")).get("options") or {}


@pytest.mark.parametrize("name", MODULES)
def test_documentation_equals_argument_spec(name: str) -> None:
    module = load(name)
    documented = yaml.safe_load(module.DOCUMENTATION)
    assert documented["module"] == name
    options = documented["options"]
    for fragment in documented["extends_documentation_fragment"]:
        options |= fragment_options(fragment)
    assert shape(options, "suboptions") == shape(module.ARGUMENTS, "options")
    assert yaml.safe_load(module.RETURN) or name in WITHOUT_RESULTS


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_accepted_by_the_argument_spec(name: str) -> None:
    module = load(name)
    tasks = [task for task in yaml.safe_load(module.EXAMPLES) if f"pgstead.ops.{name}" in task]
    assert tasks
    for task in tasks:
        arguments = task[f"pgstead.ops.{name}"]
        filled = {key: _rendered(name, key) if _is_template(value) else value for key, value in arguments.items()}
        assert ArgumentSpecValidator(module.ARGUMENTS).validate(filled).error_messages == [], task["name"]


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{{")


RENDERED: dict[tuple[str, str], Any] = {
    ("server_config", "files"): {"postgresql.conf": "", "pg_hba.conf": "", "pg_ident.conf": ""},
    ("backup_config", "configuration"): "[global]",
    ("backup_config", "secrets"): "[global]",
    ("backup_info", "settings"): {},
}


def _rendered(module: str, option: str) -> Any:
    """Stand in for the options whose examples are variables."""
    return RENDERED[module, option]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_in_an_action_group(name: str) -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert sum(name in members for members in groups.values()) == 1


@pytest.mark.parametrize("name", MODULES)
def test_no_result_has_a_key_that_means_something_to_ansible(name: str) -> None:
    """A list under `skipped`, for one, makes Ansible take the whole task for skipped."""
    returned = set(yaml.safe_load(load(name).RETURN) or ())
    assert returned & {"skipped", "failed", "unreachable", "results", "exception", "warnings", "deprecations"} == set()
