# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Params in, exit_json or fail_json out: the only place that knows AnsibleModule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule

from ._core.errors import PgsteadError


class Command(Protocol):
    """Runs a program without a shell, and returns its exit code, output and errors."""

    def __call__(
        self, argv: Sequence[str], environment: Mapping[str, str] | None = None, directory: str | None = None
    ) -> tuple[int, str, str]: ...


@dataclass(frozen=True)
class Context:
    """What a job may use of its surroundings: commands, and whether it may change anything."""

    run: Command
    check_mode: bool
    log: Callable[[str], None] = lambda _line: None  # into the journal of the machine that the module runs on


@dataclass(frozen=True)
class Outcome:
    """What a job did, or would do in check mode. `diff` holds before/after pairs with headers."""

    changed: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    diff: Sequence[Mapping[str, str]] = ()
    warnings: Sequence[str] = ()


Job = Callable[[Mapping[str, Any], Context], Outcome]


def run(argument_spec: Mapping[str, Any], job: Job) -> None:
    """Run a job as an Ansible module that supports check mode and diff mode."""
    module = AnsibleModule(argument_spec=dict(argument_spec), supports_check_mode=True)

    def command(
        argv: Sequence[str], environment: Mapping[str, str] | None = None, directory: str | None = None
    ) -> tuple[int, str, str]:
        words = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C", **(environment or {})}
        # every word is meant as it is, also what pgBackRest hands on to a shell
        told: dict[str, Any] = {"use_unsafe_shell": False, "expand_user_and_vars": False}
        code, out, err = module.run_command(list(argv), environ_update=words, cwd=directory, **told)
        return code, out, err

    try:
        outcome = job(module.params, Context(command, module.check_mode, module.log))
    except PgsteadError as error:
        module.fail_json(msg=str(error), **error.data)
    for warning in outcome.warnings:
        module.warn(warning)
    result = {"changed": outcome.changed, **outcome.data}
    if module._diff and outcome.diff:  # noqa: SLF001 - Ansible has no public name for diff mode
        result["diff"] = list(outcome.diff)
    module.exit_json(**result)
