"""Errors carry everything that is wrong."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import errors


def test_a_problem_reads_where_then_what() -> None:
    assert str(errors.Problem("postgresql_port", "is taken")) == "postgresql_port: is taken"


def test_a_spec_error_tells_all_problems_together() -> None:
    problems = [errors.Problem("a", "is wrong"), errors.Problem("b", "too")]
    error = errors.SpecError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "a: is wrong; b: too"


@pytest.mark.parametrize(
    "kind", [errors.HostError, errors.ConfigurationRefused, errors.ConnectionFailed, errors.SpecError]
)
def test_the_shell_catches_every_kind(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.PgsteadError)
