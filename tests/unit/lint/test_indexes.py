"""What the lint says of indexes, as tables of cases: what shows it, and what comes near and does not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import lint_indexes
from ansible_collections.pgstead.ops.plugins.module_utils._core.foreign_key import ForeignKey
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import Fix, Rules
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.schema_export import KeyParts

from .made import EXT, MB, P1, P2, P21, P, T, database, index

PARENT = QualifiedName("app", "p_a_idx")
DESC = (KeyParts("a", descending=True, nulls_first=True),)


def objects(check: Any, *made: Any, **more: Any) -> list[str]:
    return [found.object for found in check(database(*made, **more), Rules())]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (index("i", "a"), index("j", "a"), ["public.j"]),
        (index("i", "a"), index("j", "a", scans=5), ["public.j"]),  # on each server the same one
        (index("i", "a"), index("j", "a", unique=True), ["public.i"]),
        (index("i", "a"), index("j", "a", replica_identity=True, unique=True), ["public.i"]),
        (index("i", "a"), index("j", "a", clustered=True), ["public.i"]),
        (index("i", "a"), index("j", "a", unique=True, constraint="j"), ["public.i"]),
        (index("i", "a"), index("j", "a", unique=True, referenced_by=("k",)), ["public.i"]),
        (index("i", "a"), index("j", "a", parts={"storage": ("fillfactor=70",)}), ["public.j"]),
        (index("i", "a", parts={"include": ("b", "c")}), index("j", "a", parts={"include": ("c", "b")}), ["public.j"]),
        (index("i", "a"), index("j", "b"), []),
        (index("i", "a", "b"), index("j", "b", "a"), []),
        (index("i", "a"), index("j", keys=DESC), []),
        (index("i", "a"), index("j", "a", method="hash"), []),
        (index("i", "a"), index("j", "a", parts={"predicate": "b > 0"}), []),
        (index("i", "a"), index("j", keys=(KeyParts("a", opclass="text_pattern_ops"),)), []),
        (index("i", "a"), index("j", keys=(KeyParts("a", collation="C"),)), []),
        (index("i", "a"), index("j", "a", parts={"include": ("b",)}), []),
        (index("i", "a"), index("j", "a", valid=False), []),
        (index("i", "a"), index("pgstead_new_1", "a"), []),
        (index("i", "a"), index("j", "a", table=P1), []),
        (index("i", "a", table=EXT), index("j", "a", table=EXT), []),
    ],
)
def test_duplicates(one: Any, other: Any, expected: list[str]) -> None:
    assert objects(lint_indexes.duplicate_index, one, other) == expected


@pytest.mark.parametrize("protected", [{"unique": True}, {"unique": True, "constraint": "c"}, {"clustered": True}])
def test_of_two_that_something_needs_a_person_chooses(protected: dict[str, Any]) -> None:
    (found,) = lint_indexes.duplicate_index(
        database(index("i", "a", unique=True, constraint="i"), index("j", "a", **protected)), Rules()
    )
    assert (found.object, found.fixes, found.declaration) == ("public.j", (), {})
    assert "a person has to decide" in found.detail


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ((index("i", "a"), index("j", "a", scans=5)), []),
        ((index("i", "a"), index("j", "a")), ["public.i", "public.j"]),
        (
            (
                index("p_a_idx", "a", table=P),
                index("p_a_idx1", "a", table=P),
                index("p_1_a_idx", "a", table=P1, parent=PARENT),
                index("p_1_a_idx1", "a", table=P1, parent=QualifiedName("app", "p_a_idx1"), scans=5),
            ),
            [],
        ),
        ((index("wide", "a", "b"), index("narrow", "a", scans=5)), ["public.wide"]),
    ],
)
def test_what_a_duplicate_is_read_for_counts_for_the_one_that_stays(made: Any, expected: list[str]) -> None:
    """Who drops both that is called a duplicate and what is called unused has one left."""
    assert objects(lint_indexes.unused_index, *made) == expected
    gone = {*expected, *objects(lint_indexes.duplicate_index, *made), *objects(lint_indexes.overlapping_index, *made)}
    read = {str(one.key) for one, _, scans in made if scans}
    assert not read or len(gone) < len(made)


def test_a_duplicate_goes_by_sql_or_by_module() -> None:
    (found,) = lint_indexes.duplicate_index(database(index("i", "a"), index("j", "a")), Rules())
    assert found.fixes == (Fix("drop_index", QualifiedName("public", "j")),)
    assert found.declaration == {"indexes": [{"table": "t", "name": "j", "state": "absent"}]}
    assert found.bytes == 10 * MB


@pytest.mark.parametrize(("schema", "expected"), [("public", "t"), ("app", "public.t")])
def test_names_are_written_as_the_inventory_would(schema: str, expected: str) -> None:
    (found,) = lint_indexes.duplicate_index(database(index("i", "a"), index("j", "a")), Rules(schema))
    assert found.declaration["indexes"][0]["table"] == expected


def test_a_partitioned_duplicate_goes_without_concurrently_and_its_parts_are_not_named() -> None:
    made = (
        index("p_a_idx", "a", table=P),
        index("p_a_idx1", "a", table=P),
        index("p_1_a_idx", "a", table=P1, parent=PARENT),
        index("p_1_a_idx1", "a", table=P1, parent=QualifiedName("app", "p_a_idx1")),
    )
    (found,) = lint_indexes.duplicate_index(database(*made), Rules())
    assert found.fixes == (Fix("drop_partitioned_index", QualifiedName("app", "p_a_idx1")),)
    assert found.declaration == {"indexes": [{"table": "app.p", "name": "p_a_idx1", "state": "absent"}]}
    assert found.bytes == 3 * MB


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (index("i", "a"), index("j", "a", "b"), ["public.i"]),
        (index("i", "a"), index("j", "a", "b", unique=True), ["public.i"]),
        (index("i", "a", parts={"include": ("b",)}), index("j", "a", "b"), ["public.i"]),
        (index("i", "a"), index("j", "a", parts={"include": ("b",)}), ["public.i"]),
        (index("i", "a", parts={"predicate": "p"}), index("j", "a", "b", parts={"predicate": "p"}), ["public.i"]),
        (index("i", keys=DESC), index("j", keys=(*DESC, KeyParts("b"))), ["public.i"]),
        (index("i", "a"), index("j", "b", "a"), []),
        (index("i", "a"), index("j", keys=(*DESC, KeyParts("b"))), []),
        (index("i", "a", parts={"include": ("c",)}), index("j", "a", "b"), []),
        (index("i", "a", parts={"predicate": "p"}), index("j", "a", "b"), []),
        (index("i", "a"), index("j", "a", "b", parts={"predicate": "p"}), []),
        (index("i", "a"), index("j", "a", "b", method="gist"), []),
        (index("i", "a"), index("j", "a", "b", valid=False), []),
        (index("i", "a", unique=True), index("j", "a", "b"), []),
        (index("i", "a", unique=True, constraint="i"), index("j", "a", "b"), []),
        (index("i", "a", replica_identity=True), index("j", "a", "b"), []),
        (index("i", "a", referenced_by=("f",)), index("j", "a", "b"), []),
        (index("i", "a"), index("j", "a"), []),
        # the wider one is what nobody reads
        (index("i", "a", scans=9), index("j", "a", "b"), []),
        (index("i", "a", scans=9), index("j", "a", "b", scans=1), ["public.i"]),
        (index("i", "a", scans=9), index("j", "a", "b", unique=True), ["public.i"]),
    ],
)
def test_beginnings_of_others(one: Any, other: Any, expected: list[str]) -> None:
    assert objects(lint_indexes.overlapping_index, one, other) == expected


KEY = ForeignKey(T, "t_a_fkey", ("a",), (2,))


@pytest.mark.parametrize(
    ("made", "more", "expected"),
    [
        ([index("i", "a")], {}, ["public.i"]),
        ([index("i", "a")], {"statistics_days": 14.0}, ["public.i"]),
        ([index("i", "a")], {"statistics_days": 13.9}, []),
        ([index("i", "a")], {"statistics_days": None}, []),
        ([index("i", "a")], {"standby": True}, []),
        ([index("i", "a", scans=1)], {}, []),
        ([index("i", "a", unique=True)], {}, []),
        ([index("i", "a", constraint="i")], {}, []),
        ([index("i", "a", replica_identity=True)], {}, []),
        ([index("i", "a", clustered=True)], {}, []),
        ([index("i", "a", valid=False)], {}, []),
        ([index("i", "a", table=EXT)], {}, []),
        ([index("i", "a")], {"foreign_keys": (KEY,)}, []),
        ([index("i", "a", "b")], {"foreign_keys": (KEY,)}, []),
        ([index("i", "b", "a")], {"foreign_keys": (KEY,)}, ["public.i"]),
        ([index("i", "a", method="brin")], {"foreign_keys": (KEY,)}, ["public.i"]),
        ([index("i", "a", parts={"predicate": "b > 0"})], {"foreign_keys": (KEY,)}, ["public.i"]),
        ([index("i", "a", table=P1)], {"foreign_keys": (ForeignKey(P, "f", ("a",), (2,)),)}, []),
    ],
)
def test_unused(made: list[Any], more: dict[str, Any], expected: list[str]) -> None:
    assert objects(lint_indexes.unused_index, *made, **more) == expected


@pytest.mark.parametrize(("scans", "expected"), [(0, ["app.p_a_idx"]), (1, [])])
def test_a_partitioned_index_is_used_where_any_of_its_parts_is(scans: int, expected: list[str]) -> None:
    made = (
        index("p_a_idx", "a", table=P),
        index("p_1_a_idx", "a", table=P1, parent=PARENT),
        index("p_2_a_idx", "a", table=P2, parent=PARENT),
        index("p_2_1_a_idx", "a", table=P21, parent=QualifiedName("app", "p_2_a_idx"), scans=scans),
    )
    assert objects(lint_indexes.unused_index, *made) == expected


def test_a_partitions_index_that_its_parents_waits_for_is_not_unused() -> None:
    waiting = index("p_a_idx", "a", table=P, valid=False)
    assert objects(lint_indexes.unused_index, waiting, index("mine", "a", table=P1)) == []
    assert objects(lint_indexes.unused_index, waiting, index("mine", "b", table=P1)) == ["app.mine"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ""),
        ({"statistics_days": 3.2}, "reads are counted for 3 days; 14 are needed"),
        ({"statistics_days": None}, "nobody knows"),
        ({"standby": True}, "standby"),
    ],
)
def test_why_use_cannot_be_judged(more: dict[str, Any], words: str) -> None:
    said = lint_indexes.statistics_too_young(database(**more), Rules())
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("made", "more", "expected"),
    [
        (index("i", "a", valid=False), {}, ["reindex"]),
        (index("i", "a", valid=False, unique=True), {}, ["reindex"]),
        (index("i_ccnew", "a", valid=False), {}, ["drop_index"]),
        (index("i_ccold2", "a", valid=False), {}, ["drop_index"]),
        (index("pgstead_new_1", "a", valid=False), {}, ["drop_index"]),
        (index("pgstead_new_1", "a"), {}, ["drop_index"]),
        (index("pgstead_old_1", "a"), {}, ["drop_index"]),
        (index("pgstead_new_1", "a", table=P), {}, ["drop_partitioned_index"]),
        (index("i", "a"), {}, None),
        (index("i_ccnew", "a"), {}, None),
        (index("i", "a", valid=False, builder=7), {}, None),
        (index("pgstead_new_1", "a", valid=False, builder=7), {}, None),
        (index("pgstead_new_1", "a", table=P1, parent=PARENT), {}, None),
        (index("pgstead_new_1", "a"), {"running": True}, None),
        (index("i", "a", valid=False), {"running": True}, ["reindex"]),
        (index("i", "a", valid=False), {"hidden_builds": True}, None),
        (index("pgstead_new_1", "a"), {"hidden_builds": True}, None),
        (index("i", "a", valid=False, table=P), {}, None),
        (index("i", "a", valid=False, table=EXT), {}, None),
    ],
)
def test_leftovers_of_builds(made: Any, more: dict[str, Any], expected: list[str] | None) -> None:
    found = list(lint_indexes.invalid_index(database(made, **more), Rules()))
    assert [[fix.action for fix in each.fixes] for each in found] == ([] if expected is None else [expected])


def test_an_invalid_index_is_declared_again_and_a_leftover_is_not_to_be() -> None:
    made = (index("i", "a", valid=False, unique=True), index("i_ccnew", "a", valid=False), index("pgstead_old_1", "a"))
    declared = {found.object: found.declaration for found in lint_indexes.invalid_index(database(*made), Rules())}
    assert declared == {
        "public.i": {"indexes": [{"table": "t", "name": "i", "columns": ["a"], "unique": True}]},
        "public.i_ccnew": {"indexes": [{"table": "t", "name": "i_ccnew", "state": "absent"}]},
        "public.pgstead_old_1": {},  # the modules accept no such name
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [({}, ""), ({"running": True}, "a run of this collection"), ({"hidden_builds": True}, "pg_monitor")],
)
def test_why_leftovers_cannot_be_judged(more: dict[str, Any], words: str) -> None:
    said = lint_indexes.builds_unseen(database(**more), Rules())
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            [index("p_a_idx", "a", table=P, valid=False)],
            [
                ("create_index", "app.p_1", "p_1_a_idx"),
                ("attach_index", "app.p_a_idx", ""),
                ("create_index_only", "app.p_2", "p_2_a_idx"),
                ("create_index", "app.p_2_1", "p_2_1_a_idx"),
                ("attach_index", "app.p_2_a_idx", ""),
                ("attach_index", "app.p_a_idx", ""),
            ],
        ),
        (
            [
                index("p_a_idx", "a", table=P, valid=False),
                index("mine", "a", table=P1, parts={"storage": ("fillfactor=70",)}),
                index("p_2_x", "a", table=P2, parent=PARENT, valid=False),
            ],
            [
                ("attach_index", "app.p_a_idx", ""),
                ("create_index", "app.p_2_1", "p_2_1_x_idx"),
                ("attach_index", "app.p_2_x", ""),
            ],
        ),
        (
            [
                index("p_a_idx", "a", table=P, valid=False),
                index("p_1_a_idx", "b", table=P1),
                index("p_2_x", "a", table=P2, parent=PARENT),
            ],
            [("create_index", "app.p_1", "p_1_5d70cd_idx"), ("attach_index", "app.p_a_idx", "")],
        ),
        (
            [
                index("p_a_idx", "a", table=P, valid=False),
                index("p_2_x", "a", table=P2, parent=PARENT, valid=False),
                index("p_2_1_x", "a", table=P21, parent=QualifiedName("app", "p_2_x"), valid=False),
            ],
            [],
        ),
        # its constraint is what the partitions lack
        ([index("p_pkey", "a", table=P, valid=False, unique=True, constraint="p_pkey")], []),
    ],
)
def test_what_partitions_lack(made: list[Any], expected: list[tuple[str, str, str]]) -> None:
    (found,) = lint_indexes.unattached_partition_index(database(*made), Rules())
    assert [(fix.action, str(fix.on), fix.name) for fix in found.fixes] == expected
    assert bool(found.declaration) == bool(expected)
    assert bool(expected) != ("a person has to decide" in found.detail)


@pytest.mark.parametrize(
    "made",
    [
        index("p_a_idx", "a", table=P),
        index("p_2_a_idx", "a", table=P2, parent=PARENT, valid=False),
        index("i", "a", valid=False),
        index("pgstead_new_1", "a", table=P, valid=False),
    ],
)
def test_whole_trees_and_their_branches_are_not_named(made: Any) -> None:
    assert objects(lint_indexes.unattached_partition_index, made) == []
