"""Inventory values read as leniently as Ansible reads them."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import inventory


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ("", ()),
        ("a", ("a",)),
        (" a, b ,,c", ("a", "b", "c")),
        ([], ()),
        (["a,b", 1], ("a,b", "1")),
        (("a",), ("a",)),
        (5, ("5",)),
    ],
)
def test_strings(value: object, expected: tuple[str, ...]) -> None:
    assert inventory.strings(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(None, None), ("", None), (0, 0), ("7", 7), (-1, -1)])
def test_number(value: object, expected: int | None) -> None:
    assert inventory.number(value) == expected


@pytest.mark.parametrize("value", ["many", "1.5", "5 MB"])
def test_number_refuses(value: object) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        inventory.number(value)


@pytest.mark.parametrize(("listened", "waits"), [
    ((), False),
    (("*",), False),
    (("localhost",), False),
    (("127.0.0.1", "::1", "0.0.0.0", "::"), False),
    (("127.0.0.1", "10.0.0.5"), True),
    (("2001:db8::5",), True),
    (("db.example.org",), True),
])  # fmt: skip
def test_what_waits_for_the_network(listened: tuple[str, ...], waits: bool) -> None:
    assert inventory.waits_for_network(listened) is waits
