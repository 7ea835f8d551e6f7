"""Which materialised views are filled, in which order, and what a run of the job came to."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.refresh_job import (
    Kept,
    conclude,
    obstacle,
    ordered,
    refreshed,
)


def names(*texts: str) -> list[QualifiedName]:
    return [QualifiedName("public", text) for text in texts]


def above(**pairs: str) -> dict[QualifiedName, frozenset[QualifiedName]]:
    return {QualifiedName("public", low): frozenset(names(*high.split())) for low, high in pairs.items()}


@pytest.mark.parametrize(
    ("declared", "made_of_it", "expected"),
    [
        (names("b", "a"), above(), names("b", "a")),
        (names("b", "a"), above(a="b"), names("a", "b")),
        (names("c", "b", "a"), above(a="b", b="c"), names("a", "b", "c")),
        (names("c", "a"), above(a="plain", plain="c"), names("a", "c")),
        (names("d", "c", "b", "a"), above(a="b c", b="d", c="d"), names("a", "b", "c", "d")),
        (names("a"), above(a="b", b="c"), names("a")),
        ([], above(a="b"), []),
    ],
)
def test_a_view_comes_after_what_it_is_made_of(
    declared: list[QualifiedName],
    made_of_it: dict[QualifiedName, frozenset[QualifiedName]],
    expected: list[QualifiedName],
) -> None:
    found = ordered(declared, made_of_it)
    assert sorted(found) == sorted(expected)
    places = {name: place for place, name in enumerate(found)}
    assert all(places[low] < places[high] for low in expected for high in reached(low, made_of_it) if high in places), (
        found
    )


def reached(low: QualifiedName, made_of_it: dict[QualifiedName, frozenset[QualifiedName]]) -> set[QualifiedName]:
    found = set(made_of_it.get(low, ()))
    return found.union(*(reached(name, made_of_it) for name in found))


@pytest.mark.parametrize(
    ("populated", "unique", "stands_in_the_way"),
    [(True, True, False), (True, False, True), (False, False, False), (False, True, False)],
)
def test_a_view_that_is_read_needs_a_unique_index(populated: bool, unique: bool, stands_in_the_way: bool) -> None:
    assert bool(obstacle(Kept(names("v")[0], populated, unique))) is stands_in_the_way


FINE = {"views": {"public.sums": 0.1}, "missing": [], "blocked": []}


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        ({"shop": FINE}, "ok", "shop: 1 views filled anew"),
        ({"shop": FINE | {"missing": ["public.a", "public.b"]}}, "warning", "shop: public.a, public.b not there yet"),
        ({"shop": FINE | {"blocked": ["why"], "missing": ["x"]}, "b": FINE}, "failed", "shop: why"),
        ({"shop": {"error": "no server"}, "b": FINE}, "failed", "shop: no server"),
    ],
)
def test_the_verdict_over_databases(found: dict[str, Any], status: str, reason: str) -> None:
    verdict = conclude(found)
    assert (verdict.status, verdict.facts) == (status, {"databases": found})
    assert verdict.reason.startswith(reason)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "settings.databases"),
        ({"databases": []}, "at least one database"),
        ({"databases": [{"database": "a", "views": []}]}, "a list with at least one view"),
        ({"databases": [{"database": "a", "views": ["x", 7]}]}, "a list with at least one view"),
        ({"databases": [{"database": "a", "views": ["x"], "role": "b"}]}, "settings.databases[0].role"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as raised:
        refreshed(settings)
    assert said in str(raised.value)
