"""CHECK constraints of real servers: added without a scan under a strong lock, replaced without a gap, compared by text."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg2 import errors as refusals

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import PgsteadError, SpecError, ViolatingRows

from .schema import Database, Item, actions, interrupted, round_trip

STATE = """
SELECT conrelid::regclass::text, conname, convalidated, connoinherit FROM pg_constraint
WHERE contype = 'c' AND conislocal AND conrelid <> 0 ORDER BY 1, 2
"""


def check(expression: str, name: str = "c", table: str = "orders", **words: Any) -> Item:
    return {"table": table, "name": name, "expression": expression, **words}


def state(db: Database) -> list[tuple[Any, ...]]:
    return db.rows(STATE)


def comment(db: Database, name: str = "c", table: str = "orders") -> str:
    ((text,),) = db.rows(
        "SELECT coalesce(obj_description(oid, 'pg_constraint'), '') FROM pg_constraint"
        f" WHERE conname = '{name}' AND conrelid = '{table}'::regclass"
    )
    return str(text)


ITEMS = [
    check("total >= 0", "plain", comment="It's\nwhat \\ holds"),
    check("status IN ('open', 'closed')", "words"),
    check("total > 1000", "later", validated=False),
    check("id > 0", "here_only", no_inherit=True),
    check("(total > 0 OR note IS NOT NULL) -- either", "with a comment"),
    check("length(code) < 100 AND tags <> '{a,b}'", "Ключ"),
    check("created_at > timestamptz '2001-01-01 00:00:00+00'", "x" * 63),
    check("id > 0", "events_id", "events"),
    check("note NOT LIKE '%x%' AND note <> $$it's 100% $$", "percent"),
    check('"select" > 0', "odd", '"Odd ""Name"""'),
]


def test_every_option_comes_back_as_it_was_declared(db: Database) -> None:
    db.run('CREATE TABLE "Odd ""Name""" ("select" int)')
    applied = round_trip(db.checks, ITEMS)
    assert actions(applied) == [
        action for item in ITEMS for action in ("add", "validate") if action == "add" or item.get("validated", True)
    ]
    found = {name: (validated, no_inherit) for _, name, validated, no_inherit in state(db)}
    assert found == {item["name"]: (item.get("validated", True), item.get("no_inherit", False)) for item in ITEMS}
    for difference, item in zip(applied.plan.differences, ITEMS, strict=True):
        assert difference.before == ""
        assert item["name"] in difference.object
        assert item["name"] in difference.after
    assert comment(db, "plain") == "It's\nwhat \\ holds\nmanaged by pgstead.ops.check_constraints"
    with pytest.raises(refusals.CheckViolation):
        db.run("INSERT INTO events_02_a VALUES (0, '2026-02-02', 'a')")


SPELT = [
    ("total>=(0)", "total >= 0"),
    ("status = ANY (ARRAY['a','b']::varchar[])", "status::text = any(array['a','b']::varchar[]::text[])"),
    ("STATUS in ('a', 'b')", "status IN ('a','b')"),
    ("total BETWEEN 1 AND 2", "total >= 1 and total <= 2"),
    ("note IS NOT NULL", "(note is not null)"),
    ("day > '2020-01-01'", "day > date '2020-01-01'"),
]


def test_the_same_in_other_words_is_no_change(db: Database) -> None:
    items = []
    for number, (theirs, ours) in enumerate(SPELT):
        db.run(f"CREATE TABLE again_{number} (LIKE orders, CONSTRAINT c CHECK ({theirs}))")
        items.append(check(ours, table=f"again_{number}"))
    assert db.checks(items).plan.differences == ()


def test_a_definition_that_a_dump_writes_in_another_way_is_the_same(db: Database) -> None:
    item = check("status IN ('open','closed')")
    round_trip(db.checks, [item])
    for _ in range(2):
        ((text,),) = db.rows("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'c'")
        db.run("ALTER TABLE orders DROP CONSTRAINT c", f"ALTER TABLE orders ADD CONSTRAINT c {text}")
        assert actions(db.checks([item])) == []


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"expression": "total >= -1"}, ["add", "validate", "swap"]),
        ({"no_inherit": True}, ["add", "validate", "swap"]),
        ({"expression": "total > 1000", "validated": False}, ["add", "swap"]),
        ({"comment": "other"}, ["comment"]),
        ({"validated": False}, []),  # what is validated stays so
        ({"state": "absent"}, ["drop"]),
    ],
)
def test_drift_of_any_attribute_is_put_right(db: Database, change: Item, steps: list[str]) -> None:
    first = check("total >= 0", comment="kept")
    round_trip(db.checks, [first])
    ((before,),) = db.rows("SELECT oid FROM pg_constraint WHERE conname = 'c'")
    applied = round_trip(db.checks, [{**first, **change}])
    assert actions(applied) == steps
    assert len(applied.plan.differences) == bool(steps)
    assert (db.rows("SELECT oid FROM pg_constraint WHERE conname = 'c'") == [(before,)]) == (steps in ([], ["comment"]))
    assert db.left_behind() == []


def test_something_holds_all_the_time_while_a_constraint_is_replaced(db: Database) -> None:
    round_trip(db.checks, [check("total >= 0")])
    changed = [check("total >= 0 AND total < 1000")]
    for after in (0, 1, 1):  # each run takes up what the one before has left
        with interrupted(after=after), pytest.raises(PgsteadError):
            db.checks(changed)
        with pytest.raises(refusals.CheckViolation):
            db.run("INSERT INTO orders (id, total, code) VALUES (-1, -1, '')")
    assert actions(round_trip(db.checks, changed)) == ["swap"]  # what was added and validated is taken up
    assert db.left_behind() == []


@pytest.mark.parametrize("wanted", [check("total >= 0"), check("", state="absent"), check("total < 5000")])
def test_a_declaration_that_is_taken_back_leaves_nothing(db: Database, wanted: Item) -> None:
    round_trip(db.checks, [check("total >= 0")])
    with interrupted(after=1), pytest.raises(PgsteadError):
        db.checks([check("total < 1000")])
    round_trip(db.checks, [wanted])
    assert db.left_behind() == []


def test_not_valid_is_validated_when_it_is_asked_for(db: Database) -> None:
    db.run("ALTER TABLE orders ADD CONSTRAINT c CHECK (total >= 0) NOT VALID")
    assert actions(round_trip(db.checks, [check("total >= 0", validated=False)])) == []
    applied = round_trip(db.checks, [check("total >= 0")])
    assert (actions(applied), "NOT VALID" in applied.plan.differences[0].before) == (["validate"], True)
    assert comment(db) == ""  # it was somebody else's and stays so


def test_a_constraint_that_is_not_enforced_is_replaced(db: Database) -> None:
    if db.server.version < 18:
        with pytest.raises((refusals.SyntaxError, refusals.FeatureNotSupported)):
            db.run("ALTER TABLE orders ADD CONSTRAINT c CHECK (total >= 0) NOT ENFORCED")
        return
    db.run("ALTER TABLE orders ADD CONSTRAINT c CHECK (total >= 0) NOT ENFORCED")
    assert actions(round_trip(db.checks, [check("total >= 0")])) == ["add", "validate", "swap"]
    assert db.rows("SELECT conenforced FROM pg_constraint WHERE conname = 'c'") == [(True,)]
    assert db.left_behind() == []


def test_rows_that_contradict_are_counted_and_named_before_anything_is_done(db: Database) -> None:
    db.run("UPDATE events SET id = -id WHERE id < 3", "INSERT INTO orders SELECT * FROM orders LIMIT 0")
    items = [check("total > 7", "big"), check("id > 0", "positive", "events"), check("note = 'n'", "fine")]
    for check_mode in (True, False):
        with pytest.raises(ViolatingRows) as caught:
            db.checks(items, check_mode=check_mode)
        big, positive = caught.value.data["violations"]
        assert big.startswith(
            "check_constraints[0] (big): 7 rows of public.orders contradict it, among them (id) = (1)"
        )
        assert positive.startswith("check_constraints[1] (positive): 2 rows of public.events contradict it")
    assert state(db) == []
    round_trip(db.checks, [{**item, "validated": False} for item in items])
    assert [validated for _, _, validated, _ in state(db)] == [False, False, False]
    db.run("UPDATE events SET id = -id WHERE id < 0")
    assert actions(round_trip(db.checks, items[1:])) == ["validate", "validate"]


def test_an_expression_that_fails_on_a_row_is_named_before_anything_is_done(db: Database) -> None:
    db.run("UPDATE orders SET note = 'seven' WHERE id = 7", "UPDATE orders SET total = 0 WHERE id = 8")
    items = [check("total >= 0", "fine"), check("note::int > 0", "number"), check("1 / total > 0", "share")]
    for check_mode in (True, False):
        with pytest.raises(ViolatingRows, match="Nothing was changed") as caught:
            db.checks(items, check_mode=check_mode)
        said = str(caught.value)
        assert "check_constraints[1] (number): its expression fails on a row of public.orders: invalid input" in said
        assert "check_constraints[2] (share): its expression fails on a row of public.orders: division by zero" in said
        assert "(fine)" not in said
    assert state(db) == []


def test_a_constraint_of_one_table_alone_looks_at_its_own_rows(db: Database) -> None:
    db.run("CREATE TABLE base (id int); CREATE TABLE derived () INHERITS (base); INSERT INTO derived VALUES (-1)")
    round_trip(db.checks, [check("id > 0", table="base", no_inherit=True)])
    with pytest.raises(ViolatingRows, match=r"1 rows of public\.base"):
        db.checks([check("id > 0", table="base")])


def test_an_expression_that_takes_the_whole_row_is_compared_on_the_table_itself(db: Database) -> None:
    db.run("CREATE FUNCTION fine(orders) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.total > 0; END'")
    assert actions(round_trip(db.checks, [check("fine(orders)")])) == ["add", "validate"]
    assert actions(round_trip(db.checks, [check("fine(orders) AND id > 0")])) == ["add", "validate", "swap"]
    with pytest.raises(ViolatingRows, match="200 rows"):
        db.checks([check("NOT fine(orders)")])
    with pytest.raises(SpecError, match=r"function fine\(text\) does not exist"):
        db.checks([check("fine(note)")])


def test_a_partitioned_parent_hands_its_constraint_down(db: Database) -> None:
    round_trip(db.checks, [check("id >= 0", table="events")])
    inherited = "SELECT count(*) FROM pg_constraint WHERE conname = 'c' AND coninhcount > 0 AND convalidated"
    assert db.rows(inherited) == [(4,)]
    assert actions(round_trip(db.checks, [check("id > 0", table="events")])) == ["add", "validate", "swap"]
    assert db.rows(inherited) == [(4,)]
    assert db.checks([check("id > 0", table="events_01")]).plan.changes == ()  # it has it from above
    assert actions(round_trip(db.checks, [check("", table="events", state="absent")])) == ["drop"]
    assert db.rows(inherited) == [(0,)]


def test_a_purge_takes_what_was_ours_only_and_the_rest_is_named(db: Database) -> None:
    db.run("ALTER TABLE orders ADD CONSTRAINT theirs CHECK (id > 0)")
    items = [check("total >= 0", "one"), check("total >= 0", "two"), check("id > 0", table="events")]
    round_trip(db.checks, items)
    kept = db.checks(items[:1])
    assert (actions(kept), kept.plan.unmanaged) == ([], ("theirs on public.orders",))
    applied = round_trip(db.checks, items[:1], purge=True)
    assert actions(applied) == ["drop", "drop"]
    assert [name for _, name, _, _ in state(db)] == ["one", "theirs"]


def test_what_a_migration_dropped_is_healed_and_reported(db: Database) -> None:
    items = [check("total >= 0")]
    round_trip(db.checks, items)
    db.run("ALTER TABLE orders DROP CONSTRAINT c")
    report = db.checks(items)
    assert (actions(report), len(report.plan.drift)) == (["add", "validate"], 1)
    assert report.plan.drift[0].startswith("check constraint c on public.orders was there since ")
    assert db.checks(items).plan.drift == ()


REFUSED: list[tuple[Item, str]] = [
    (check("id > 0", table="ordres"), "table public.ordres does not exist; did you mean public.orders?"),
    (check("usr > 0", "a"), 'column "usr" does not exist'),
    (check("total >", "b"), "syntax error"),
    (check("lower(total) = ''", "d"), "function lower(numeric) does not exist"),
    (check("(SELECT true)", "e"), "cannot use subquery in check constraint"),
    (check("id", "f"), "must be type boolean"),
    (check("id > 0", "orders_pkey"), "public.orders has a constraint of another kind with this name"),
    (check("id > 0", "g", "open_orders"), "public.open_orders is a view, which cannot carry this"),
    (check("id > 0", "h", "events", no_inherit=True), "a partitioned table cannot have a NO INHERIT constraint"),
    (check("id > 1", "i", "events"), ""),
    (check("id > 1", "i", "events_01"), "public.events is the parent of public.events_01 and has the same at"),
    (check("id > 2", "above", "events_01"), "public.events_01 inherits it from its parent: declare it there"),
    (check("", "above", "events_02_a", state="absent"), "public.events_02_a inherits it from its parent"),
    (check("id > 1", "j", "events"), ""),
    (check("id > 2", "j", "events_01"), "public.events is the parent of public.events_01 and has another j at"),
]


def test_everything_that_cannot_be_is_named_at_once_and_nothing_is_done(db: Database) -> None:
    db.run("ALTER TABLE events ADD CONSTRAINT above CHECK (id > 0)")
    before = state(db)
    with pytest.raises(SpecError) as caught:
        db.checks([item for item, _ in REFUSED])
    said = {problem.where.split(" ")[0]: problem.what for problem in caught.value.problems}
    for number, (_, words) in enumerate(REFUSED):
        assert words in said.pop(f"check_constraints[{number}]", ""), (number, caught.value)
    assert said == {}
    assert state(db) == before


def test_names_and_expressions_are_looked_at_before_the_server_is_asked(db: Database) -> None:
    items = [check("id > 0"), check("id > 1"), check("", "d"), check("true); DROP TABLE orders; --", "e")]
    with pytest.raises(SpecError) as caught:
        db.checks(items)
    assert [problem.where for problem in caught.value.problems] == [
        "check_constraints[1] (c)",
        "check_constraints[2] (d)",
        "check_constraints[3] (e)",
    ]
