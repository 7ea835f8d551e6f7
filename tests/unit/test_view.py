"""Options of views: one meaning however they were written."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.view import options_of


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([], ()),
        (["security_invoker=true"], (("security_invoker", "true"),)),
        (["security_invoker=on"], (("security_invoker", "true"),)),
        (["security_invoker=1", "security_barrier=Yes"], (("security_barrier", "true"), ("security_invoker", "true"))),
        (["security_invoker=false"], ()),
        (["security_invoker=OFF", "security_barrier=0"], ()),
        (["check_option=LOCAL"], (("check_option", "local"),)),
    ],
)
def test_options(written: list[str], expected: tuple[tuple[str, str], ...]) -> None:
    assert options_of(written) == expected
