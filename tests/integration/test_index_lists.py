"""Lists whose items meet, and trees that PostgreSQL leaves half valid: what the pure tests foresee, on real servers."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

from .schema import Database, Item, actions, interrupted, on, orders, round_trip

COMMENTS = "SELECT obj_description('{}'::regclass)"


def test_two_items_with_one_definition_rename_one_index(db: Database) -> None:
    round_trip(db.indexes, [orders("day", name="former")])
    applied = round_trip(db.indexes, [orders("day", name="one"), orders("day", name="other")])
    assert actions(applied) == ["rename", "build", "adopt"]


def test_two_items_whose_partitions_indexes_would_have_one_name(db: Database) -> None:
    applied = round_trip(db.indexes, [on("events", "id", name="events_x"), on("events", "kind", name="x")])
    assert actions(applied).count("attach") == 6
    assert db.left_behind() == []


def test_a_nameless_item_does_not_rely_on_what_another_replaces(db: Database) -> None:
    db.run("CREATE INDEX theirs ON orders (day)")
    applied = round_trip(db.indexes, [orders("day"), orders("note", name="theirs")])
    assert actions(applied) == ["build", "adopt", "build", "swap", "drop"]


def test_a_nameless_item_whose_name_is_taken_is_served_by_another_index(db: Database) -> None:
    db.run("CREATE INDEX orders_day_idx ON users (email)", "CREATE INDEX theirs ON orders (day)")
    assert round_trip(db.indexes, [orders("day")]).steps == ()


def test_a_partitioned_index_that_lacks_nothing_any_more_becomes_valid(db: Database) -> None:
    item = on("events", "id", name="tree")
    with pytest.raises(Exception, match="broken off"), interrupted(after=3):
        db.indexes([item])  # the first partition's index is attached
    db.run("DROP TABLE events_02")
    assert actions(round_trip(db.indexes, [item])) == ["attach"]
    assert db.left_behind() == []


@pytest.mark.parametrize("after", range(1, 8))
def test_a_half_grown_replacement_of_a_third_definition(db: Database, after: int) -> None:
    first, second, third = (on("events", *columns, name="tree") for columns in (["id"], ["kind"], ["kind", "id"]))
    round_trip(db.indexes, [first])
    with pytest.raises(Exception, match="broken off"), interrupted(after=after):
        db.indexes([second])
    round_trip(db.indexes, [third])
    assert db.left_behind() == []


def test_a_comment_that_changed_while_a_tree_was_half_grown(db: Database) -> None:
    with pytest.raises(Exception, match="broken off"), interrupted(after=4):
        db.indexes([on("events", "id", name="tree", comment="old")])
    round_trip(db.indexes, [on("events", "id", name="tree", comment="new")])
    assert db.rows(COMMENTS.format("tree")) == [("new\nmanaged by pgstead.ops.indexes",)]


@pytest.mark.parametrize(("told", "kept"), [({}, "why\n"), ({"comment": ""}, ""), ({"comment": "new"}, "new\n")])
def test_comments_of_what_is_replaced_or_renamed(db: Database, told: Item, kept: str) -> None:
    items = [orders("day", name="a"), orders("note", name="b"), on("events", "id", name="tree")]
    round_trip(db.indexes, [{**item, "comment": "why"} for item in items])
    changed = [orders("code", name="a"), orders("note", name="c"), on("events", "kind", name="tree")]
    applied = round_trip(db.indexes, [{**item, **told} for item in changed])
    assert {"swap", "rename", "swap_tree"} <= set(actions(applied))
    for name in ("a", "c", "tree"):
        assert db.rows(COMMENTS.format(name)) == [(f"{kept}managed by pgstead.ops.indexes",)]


def test_an_empty_comment_of_a_replaced_constraint(db: Database) -> None:
    item = {"table": "orders", "name": "positive", "expression": "total > 0", "comment": "why"}
    round_trip(db.checks, [item])
    round_trip(db.checks, [item | {"expression": "total >= 0", "comment": ""}])
    found = db.rows("SELECT obj_description(oid) FROM pg_constraint WHERE conname = 'positive'")
    assert found == [("managed by pgstead.ops.check_constraints",)]


def test_a_table_whose_name_begins_like_those_of_builds(db: Database) -> None:
    db.run("CREATE TABLE pgstead_orders (a int, b int)")
    assert actions(round_trip(db.indexes, [on("pgstead_orders", "a")])) == ["build", "adopt"]
    assert round_trip(db.indexes, [on("pgstead_orders", "a")], purge=True).steps == ()


@pytest.mark.parametrize(
    "text",
    [
        "true --\r); DROP TABLE users CASCADE; SELECT (true",
        "$a1$ ' $a1$ <> ''); DROP TABLE users CASCADE; SELECT ('a'",
        "E'a'\n'\\'' <> ''); DROP TABLE users CASCADE; SELECT ($$'$$",
    ],
)
def test_no_expression_leaves_its_parentheses(db: Database, text: str) -> None:
    with pytest.raises(SpecError):
        db.checks([{"table": "orders", "name": "evil", "expression": text}])
    with pytest.raises(SpecError):
        db.indexes([orders("id", where=text)])
    assert db.rows("SELECT count(*) FROM users") == [(10,)]


def test_strings_that_go_on_and_tags_with_digits(db: Database) -> None:
    text = "note <> E'a\\''\n  'b\\'' AND code <> $a1$ ' $a1$ AND note <> '\\' -- that is all"
    round_trip(db.checks, [{"table": "orders", "name": "odd", "expression": text}])
    round_trip(db.indexes, [orders("id", where=text, name="odd")])
