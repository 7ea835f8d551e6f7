"""What an audited table hides stays hidden when its columns change behind the declaration."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

from .audit_world import ORDERS, actions, ask, declare, entries, write
from .conftest import Server

SECRET = "4111-s3cret"
BOTH = {**ORDERS, "redacted_columns": ["card", "card_old"]}


def leaks(server: Server) -> int:
    ((count,),) = ask(server, f"SELECT count(*) FROM audit.log l WHERE l::text LIKE '%{SECRET}%'")
    return int(count)


def test_a_column_that_took_the_name_of_a_hidden_one_shows_nothing_of_it(trail: Server) -> None:
    write(trail, f"INSERT INTO orders (id, card) VALUES (1, '{SECRET}')")
    trail.run("ALTER TABLE orders RENAME card TO card_old; ALTER TABLE orders ADD card text", database="trail")
    write(
        trail,
        f"UPDATE orders SET note = 'x', card = '{SECRET}'",
        f"UPDATE orders SET card_old = '{SECRET}2'",
        f"INSERT INTO orders (id, card_old) VALUES (2, '{SECRET}')",
        "DELETE FROM orders",
    )
    hidden = {"card_old": "***"}
    _first, named, changed, inserted, *deleted = entries(trail)
    assert named[2:] == ({"note": None, "card": "***"}, {"note": "x", "card": "***"})
    assert changed[2:] == (hidden, hidden)
    assert [row["card_old"] for row in (inserted[3], *(old for *_, old, _new in deleted))] == ["***"] * 3
    assert leaks(trail) == 0
    for check in (True, False):
        with pytest.raises(
            SpecError, match="column card is another one than the hidden one, which is now card_old: hide"
        ):
            declare(trail, check=check)
    assert actions(declare(trail, tables=[BOTH])) == [("attach", "orders")]
    assert not declare(trail, tables=[BOTH]).changed
    write(trail, f"INSERT INTO orders (id, card, card_old) VALUES (3, '{SECRET}', '{SECRET}')")
    assert leaks(trail) == 0
    assert declare(trail, tables=[ORDERS]).changed  # whoever wants to see it may say so
    assert not declare(trail, tables=[ORDERS]).changed


@pytest.mark.parametrize(
    ("renamed", "tables", "words"),
    [
        (
            "RENAME card TO payment",
            [{"name": "orders", "excluded_columns": ["seen"]}],
            "card was hidden, and is now payment",
        ),
        (
            "RENAME card TO x; ALTER TABLE orders RENAME note TO card; ALTER TABLE orders RENAME x TO note",
            [ORDERS],
            "card is another one than the hidden one, which is now note",
        ),
        ("RENAME seen TO viewed; ALTER TABLE orders ADD seen int", [ORDERS], "seen is another one than the hidden one"),
    ],
)
def test_a_hidden_column_of_another_name_is_not_shown_unasked(
    trail: Server, renamed: str, tables: list[dict[str, Any]], words: str
) -> None:
    trail.run(f"ALTER TABLE orders {renamed}", database="trail")
    with pytest.raises(SpecError, match=words):
        declare(trail, tables=tables)


def test_a_new_column_is_redacted_until_the_next_run(trail: Server) -> None:
    trail.run("ALTER TABLE orders ADD colour text; ALTER TABLE lines ADD colour text", database="trail")
    write(trail, "INSERT INTO orders (id, colour) VALUES (1, 'red')", "INSERT INTO lines VALUES (1, 'a', 1, 'red')")
    assert [entries(trail, table)[0][3]["colour"] for table in ("orders", "lines")] == ["***", "red"]
    assert actions(declare(trail)) == [("attach", "orders")]
    write(trail, "UPDATE orders SET colour = 'blue'")
    assert entries(trail)[1][2:] == ({"colour": "red"}, {"colour": "blue"})


def test_partitions_whose_columns_stand_in_another_order(trail: Server) -> None:
    trail.run(
        "CREATE TABLE events_2 (gone int, kind text, day date NOT NULL, id int NOT NULL); ALTER TABLE events_2 DROP gone;"
        " ALTER TABLE events_2 OWNER TO shop_owner;"
        " ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        database="trail",
    )
    tables = [{"name": "events", "redacted_columns": ["kind"]}]
    assert declare(trail, tables=tables).changed
    assert not declare(trail, tables=tables).changed
    write(trail, f"INSERT INTO events VALUES (1, '2026-02-03', '{SECRET}'), (1, '2026-01-03', '{SECRET}')")
    expected = [{"id": 1, "day": f"2026-0{month}-03", "kind": "***"} for month in (2, 1)]
    assert [new for *_, new in entries(trail, "events")] == expected


OLDER = """CREATE OR REPLACE TRIGGER pgstead_audit_row AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION
    audit.record_change('changed', '{{"id"}}', '{{}}', '{{"{column}"}}', '{{"{column}": "***"}}', '', ''{name})"""


def test_triggers_of_an_earlier_version_record_until_they_are_made_anew(trail: Server) -> None:
    """The function is replaced first: between the two, what the old ones tell it has to be enough."""
    trail.run(OLDER.format(table="orders", column="card", name=""), database="trail")
    trail.run(OLDER.format(table="events", column="kind", name=", 'public', 'events'"), database="trail")
    write(trail, f"INSERT INTO orders (id, card) VALUES (1, '{SECRET}')")
    write(trail, f"INSERT INTO events VALUES (1, '2026-01-05', '{SECRET}')")
    assert (len(entries(trail)), len(entries(trail, "events")), leaks(trail)) == (1, 1, 0)
    assert actions(declare(trail)) == [("attach", "orders"), ("attach", "events")]


def test_what_is_computed_from_a_hidden_column_is_hidden_too(trail: Server) -> None:
    trail.run("ALTER TABLE orders ADD ending text GENERATED ALWAYS AS (right(card, 4)) STORED", database="trail")
    trail.run("ALTER TABLE orders ADD double numeric GENERATED ALWAYS AS (total * 2) STORED", database="trail")
    with pytest.raises(
        SpecError, match="column ending is computed from the hidden column card: hide ending too"
    ) as caught:
        declare(trail)
    assert len(caught.value.problems) == 1
    assert declare(trail, tables=[{**ORDERS, "redacted_columns": ["card", "ending"]}]).changed


@pytest.mark.parametrize("server", [18], indirect=True)  # the first that has them
def test_virtual_columns_are_left_out(trail: Server) -> None:
    """No trigger knows their values: nothing is better than a null that is none."""
    trail.run("ALTER TABLE lines ADD double int GENERATED ALWAYS AS (amount * 2) VIRTUAL", database="trail")
    trail.run("ALTER TABLE orders ADD ending text GENERATED ALWAYS AS (right(card, 4)) VIRTUAL", database="trail")
    assert actions(declare(trail)) == [("attach", "orders"), ("attach", "lines")]
    assert not declare(trail).changed
    write(trail, "INSERT INTO lines VALUES (1, 'a', 2)", "UPDATE lines SET amount = 3")
    write(trail, f"INSERT INTO orders (id, card) VALUES (1, '{SECRET}')")
    inserted, updated = entries(trail, "lines")
    assert inserted[3] == {"order_id": 1, "sku": "a", "amount": 2}
    assert updated[2:] == ({"amount": 2}, {"amount": 3})
    assert "ending" not in entries(trail)[0][3]
