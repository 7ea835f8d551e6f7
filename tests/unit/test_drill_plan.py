"""Which restores a drill makes."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_plan import TARGETS, VERSIONS, Step, steps


def test_the_newest_state_comes_first_and_the_target_from_another_repository() -> None:
    assert steps("quick", [1, 2], 0) == (Step("latest", 1), Step("time", 2))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_repositories_take_turns_with_every_kind_of_target(count: int) -> None:
    keys = list(range(1, count + 1))
    drills = [steps("quick", keys, turn) for turn in range(3 * count)]
    assert {newest.repository for newest, _target in drills} == set(keys)
    assert {(target.kind, target.repository) for _newest, target in drills} == {(k, r) for k in TARGETS for r in keys}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_a_full_drill_has_every_kind_and_every_repository(count: int) -> None:
    keys = list(range(1, count + 1))
    found = steps("full", keys, 5)
    assert [one.kind for one in found[:4]] == ["latest", *TARGETS]
    assert {one.repository for one in found} == set(keys)
    assert len(found) == max(4, count)


def test_a_full_drill_goes_on_with_what_stores_keep_of_the_past() -> None:
    assert steps("full", [1, 2, 3], 0, (2, 3))[-2:] == (Step(VERSIONS, 2), Step(VERSIONS, 3))
    assert steps("quick", [1, 2, 3], 0, (2, 3)) == steps("quick", [1, 2, 3], 0)
