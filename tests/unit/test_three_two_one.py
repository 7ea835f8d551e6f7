"""Three copies, two kinds of storage, one off-site: of what exists."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.three_two_one import Copy, rule

CLUSTER = Copy("the cluster", "disk 1")
LOCAL = Copy("local", "disk 2")
AWAY = Copy("away", "object store s3", offsite=True)


@pytest.mark.parametrize(
    ("copies", "missing"),
    [
        ([CLUSTER, LOCAL, AWAY], []),
        ([CLUSTER, AWAY, Copy("b", "object store s3", offsite=True)], []),
        ([CLUSTER, AWAY], ["2 of 3 copies"]),
        ([CLUSTER, LOCAL, Copy("c", "disk 3")], ["none off-site"]),
        ([CLUSTER, Copy("b", "disk 1"), Copy("c", "disk 1", offsite=True)], ["all on one kind of storage (disk 1)"]),
        ([CLUSTER], ["1 of 3 copies", "all on one kind of storage (disk 1)", "none off-site"]),
        ([], ["0 of 3 copies", "all on one kind of storage (none)", "none off-site"]),
        (
            [CLUSTER, LOCAL, Copy("away", "s3", offsite=True, fault="it is lost")],
            ["2 of 3 copies", "none off-site", "away does not count: it is lost"],
        ),
        ([CLUSTER, LOCAL, AWAY, Copy("more", "s3", fault="it is lost")], []),
    ],
)
def test_the_rule(copies: list[Copy], missing: list[str]) -> None:
    found = rule(copies)
    assert list(found.missing) == missing
    assert found.kept is not bool(missing)


def test_what_is_counted() -> None:
    found = rule([CLUSTER, LOCAL, AWAY, Copy("x", "tape", offsite=True, fault="empty")])
    assert (found.copies, found.kinds, found.offsite) == (3, 3, 1)
