"""Views compared by definition, replaced or rebuilt with all that hangs on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, rows

from .conftest import USER, Server
from .test_modules import call
from .test_schema_interruptions import killed_after_one_step

TABLES = """
CREATE ROLE onlooker; CREATE ROLE viewer;
CREATE TABLE orders (id int PRIMARY KEY, user_id int, total numeric, status varchar(10));
INSERT INTO orders SELECT i, i % 10, i, 'open' FROM generate_series(1, 100) i;
"""
VIEWS: list[dict[str, Any]] = [
    {"name": "late", "query": "SELECT id, user_id FROM public.open_orders WHERE id < 50"},
    {
        "name": "open_orders",
        "query": "SELECT id, user_id FROM orders WHERE status IN ('open', 'new')",
        "security_barrier": True,
        "comment": "What is to do",
    },
    {"name": "sums", "query": "SELECT user_id, count(*) AS n FROM open_orders GROUP BY user_id", "materialized": True},
]


@pytest.fixture
def shop(server: Server) -> Iterator[Server]:
    server.run("CREATE DATABASE views")
    server.run(TABLES, database="views")
    yield server
    server.run("DROP DATABASE views WITH (FORCE)", "DROP ROLE onlooker", "DROP ROLE viewer")


def declare(server: Server, views: list[dict[str, Any]], *, check: bool = False, **options: Any) -> Any:
    return call(server, "views", {"login_db": "views", "views": views, **options}, check=check)


def actions(found: Any) -> list[tuple[str, str]]:
    return [(step["action"], step["object"]) for step in found.data["plan"]]


def ask(server: Server, sql: str) -> list[tuple[Any, ...]]:
    with connect(Target(server.target.socket_directory, server.target.port, "views", system_user=USER)) as connection:
        return rows(connection, sql)


def changed(number: int, **what: Any) -> list[dict[str, Any]]:
    return [{**view, **what} if place == number else view for place, view in enumerate(VIEWS)]


def test_views_are_made_in_an_order_that_works_and_then_left_alone(shop: Server) -> None:
    predicted = declare(shop, VIEWS, check=True)
    done = declare(shop, VIEWS)
    assert {name for _action, name in actions(done)} == {"open_orders", "late", "sums"}
    assert actions(done)[0] == ("create", "open_orders")
    assert predicted.diff == done.diff
    assert not declare(shop, VIEWS).changed


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, user_id FROM orders WHERE status::text = ANY ((ARRAY['open'::varchar, 'new'::varchar])::text[])",
        "select orders.id, orders.user_id from public.orders where (status in ('open','new'));",
    ],
)
def test_differently_spelt_queries_are_the_same(shop: Server, query: str) -> None:
    declare(shop, VIEWS)
    assert declare(shop, changed(1, query=query), check=True).diff == []


def test_a_restored_definition_is_no_drift(shop: Server) -> None:
    declare(shop, VIEWS)
    ((text,),) = ask(shop, "SELECT pg_get_viewdef('open_orders')")
    shop.run(f"CREATE OR REPLACE VIEW open_orders WITH (security_barrier) AS {text}", database="views")
    assert not declare(shop, VIEWS).changed


def test_a_further_column_replaces_in_place(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("GRANT SELECT ON open_orders TO onlooker", database="views")
    again = changed(1, query=VIEWS[1]["query"].replace("user_id", "user_id, total"))
    predicted, done = declare(shop, again, check=True), declare(shop, again)
    assert actions(done) == [("replace", "open_orders")]
    assert predicted.diff == done.diff
    assert ask(shop, "SELECT has_table_privilege('onlooker', 'open_orders', 'SELECT')") == [(True,)]
    assert ask(shop, "SELECT reloptions FROM pg_class WHERE relname = 'open_orders'") == [(["security_barrier=true"],)]


def test_changed_columns_rebuild_with_rights_comments_owners_and_indexes(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run(
        "CREATE UNIQUE INDEX sums_user ON sums (user_id)",
        "GRANT SELECT ON late TO onlooker WITH GRANT OPTION",
        "GRANT SELECT ON sums TO PUBLIC",
        "ALTER VIEW late OWNER TO viewer",
        "GRANT CREATE ON SCHEMA public TO viewer",
        database="views",
    )
    again = changed(1, query="SELECT user_id, id FROM orders WHERE status IN ('open', 'new')")
    predicted, done = declare(shop, again, check=True), declare(shop, again)
    assert actions(done) == [("rebuild", "open_orders")]
    assert predicted.diff == done.diff
    assert not declare(shop, again).changed
    assert ask(shop, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'late'") == [("viewer",)]
    assert ask(shop, "SELECT has_table_privilege('onlooker', 'late', 'SELECT WITH GRANT OPTION')") == [(True,)]
    assert ask(shop, "SELECT has_table_privilege('onlooker', 'sums', 'SELECT')") == [(True,)]
    assert ask(shop, "SELECT indisunique FROM pg_index WHERE indexrelid = 'sums_user'::regclass") == [(True,)]
    assert "What is to do" in ask(shop, "SELECT obj_description('open_orders'::regclass)")[0][0]


def test_a_materialised_view_changes_places(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("CREATE INDEX sums_n ON sums (n)", "GRANT SELECT ON sums TO onlooker", database="views")
    again = changed(2, query="SELECT user_id, count(*) AS n FROM open_orders GROUP BY user_id HAVING count(*) > 0")
    predicted, done = declare(shop, again, check=True), declare(shop, again)
    assert actions(done) == [("fill", "sums"), ("swap", "sums")]
    assert predicted.diff == done.diff
    assert not declare(shop, again).changed
    assert ask(shop, "SELECT count(*) FROM sums") == [(10,)]
    assert ask(shop, "SELECT relname FROM pg_class WHERE relname LIKE 'pgstead%' AND relkind IN ('m', 'i')") == []
    assert ask(shop, "SELECT has_table_privilege('onlooker', 'sums', 'SELECT'), 'sums_n'::regclass::text") == [
        (True, "sums_n")
    ]


def test_an_interrupted_filling_is_done_again(shop: Server) -> None:
    declare(shop, VIEWS)
    again = changed(2, query="SELECT user_id, count(*) + 0 AS n FROM open_orders GROUP BY user_id")
    (fill, _swap) = declare(shop, again, check=True).data["plan"]
    shop.run(*fill["sql"], database="views")
    assert actions(declare(shop, again)) == [("fill", "sums"), ("swap", "sums")]
    assert not declare(shop, again).changed


NARROWER = "SELECT user_id, id FROM orders WHERE status IN ('open', 'new')"
SUMS = "SELECT user_id, count(*) + 0 AS n FROM orders GROUP BY user_id"


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        ([], VIEWS, {"create"}),
        (VIEWS, changed(1, query=NARROWER), {"rebuild"}),
        (VIEWS, [{"name": "late", "state": "absent"}, VIEWS[1], {**VIEWS[2], "query": SUMS}], {"drop", "fill", "swap"}),
        (VIEWS, [{**VIEWS[0], "comment": "why"}, {**VIEWS[1], "security_barrier": False}], {"comment", "options"}),
    ],
)
def test_a_run_killed_after_any_step_is_finished_by_those_that_follow(
    shop: Server, before: list[dict[str, Any]], after: list[dict[str, Any]], steps: set[str]
) -> None:
    declare(shop, before)
    left = actions(declare(shop, after, check=True))
    seen = {action for action, _ in left}
    assert seen == steps
    while left:
        killed_after_one_step(lambda items: declare(shop, items), after)
        following = actions(declare(shop, after, check=True))
        if left[0][0] == "fill":
            # rows that were computed before are not shown as today's
            assert following == left
            break
        assert sorted(following) == sorted(left[1:])  # in another order, where they do not need each other
        left = following
    declare(shop, after)
    assert not declare(shop, after).changed
    assert ask(shop, "SELECT relname FROM pg_class WHERE relname LIKE 'pgstead%' AND relkind IN ('v', 'm', 'i')") == []


@pytest.mark.parametrize(
    ("number", "what", "action"),
    [
        (1, {"security_barrier": False}, "options"),
        (1, {"check_option": "local"}, "options"),
        (1, {"comment": "another"}, "comment"),
        (1, {"comment": ""}, "comment"),
    ],
)
def test_options_and_comments(shop: Server, number: int, what: dict[str, Any], action: str) -> None:
    declare(shop, VIEWS)
    done = declare(shop, changed(number, **what))
    assert actions(done) == [(action, "open_orders")]
    assert not declare(shop, changed(number, **what)).changed


def test_an_unfilled_materialised_view_is_filled(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("REFRESH MATERIALIZED VIEW sums WITH NO DATA", database="views")
    assert actions(declare(shop, VIEWS)) == [("refresh", "sums")]
    assert not declare(shop, VIEWS).changed


def test_what_was_dropped_is_healed_and_reported(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("DROP VIEW late", database="views")
    done = declare(shop, VIEWS)
    assert actions(done) == [("create", "late")]
    assert len(done.data["drift"]) == 1


def test_absent_and_purge(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("CREATE VIEW theirs AS SELECT 1 AS one", database="views")
    gone = declare(shop, [{"name": view["name"], "state": "absent"} for view in VIEWS])
    assert {name for _action, name in actions(gone)} == {"late", "open_orders", "sums"}
    declare(shop, VIEWS)
    purged = declare(shop, [VIEWS[1]], purge=True)
    assert sorted(actions(purged)) == [("drop", "late"), ("drop", "sums")]
    assert ask(shop, "SELECT one FROM theirs") == [(1,)]


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ([{"name": "orders", "query": "SELECT 1"}], "is a table"),
        ([{"name": "v", "query": "SELECT nope"}], 'column "nope" does not exist'),
        ([{"name": "v", "query": "SELECT 1; DROP TABLE orders"}], "semicolon"),
        ([{"name": "v"}], "query is missing"),
        ([{"name": "v", "query": "SELECT 1"}, {"name": "v", "query": "SELECT 2"}], "declares the same view"),
        ([{"name": "v", "query": "SELECT 1", "materialized": True, "security_barrier": True}], "no such options"),
        ([{"name": "v", "query": "SELECT * FROM w"}, {"name": "w", "query": "SELECT * FROM v"}], "does not exist"),
    ],
)
def test_bad_views_are_refused_by_name(shop: Server, views: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        declare(shop, views)
    assert ask(shop, "SELECT count(*) FROM pg_views WHERE schemaname = 'public'") == [(0,)]


def test_a_view_that_somebody_made_of_it_keeps_columns(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("CREATE VIEW theirs AS SELECT user_id FROM late", database="views")
    with pytest.raises(SpecError, match=r"public\.theirs is made of it, and not declared here"):
        declare(shop, changed(1, query="SELECT id FROM orders WHERE status = 'open'"))
    with pytest.raises(SpecError, match="cannot be dropped"):
        declare(shop, [{"name": "late", "state": "absent"}])


def test_what_would_go_with_a_view_is_named_instead(shop: Server) -> None:
    """An application writes through the trigger: without it, it would write past it."""
    declare(shop, VIEWS)
    shop.run(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER instead INSTEAD OF INSERT ON late FOR EACH ROW EXECUTE FUNCTION nothing()",
        "CREATE RULE quiet AS ON DELETE TO late DO INSTEAD NOTHING",
        "ALTER VIEW late ALTER user_id SET DEFAULT 7",
        database="views",
    )
    said = "default of column user_id, rule quiet, trigger instead: take that off before"
    for check in (True, False):
        with pytest.raises(
            SpecError, match=rf"cannot lose or change columns: public\.late is made again, without {said}"
        ):
            declare(shop, changed(1, query="SELECT user_id, id FROM orders WHERE status = 'open'"), check=check)
    more = changed(1, query="SELECT id, user_id, total FROM orders WHERE status = 'open'")
    assert actions(declare(shop, more)) == [("replace", "open_orders")]


def test_purged_views_go_in_an_order_that_works(shop: Server) -> None:
    chain = [{"name": "a", "query": "SELECT 1 AS one"}, {"name": "b", "query": "SELECT one FROM a"}]
    declare(shop, [*VIEWS, *chain])
    shop.run("CREATE VIEW theirs AS SELECT one FROM b", database="views")
    with pytest.raises(SpecError, match=r"no longer declared.*cannot be dropped: public\.theirs is made of it"):
        declare(shop, VIEWS, check=True, purge=True)
    shop.run("DROP VIEW theirs", database="views")
    assert actions(declare(shop, VIEWS, purge=True)) == [("drop", "b"), ("drop", "a")]


def test_a_materialised_view_below_others_takes_its_time(shop: Server) -> None:
    """What keeps a change of the catalogue short is no limit to a query."""
    slow = "SELECT id, user_id FROM orders WHERE pg_sleep(0.005) IS NOT NULL"
    below = {"name": "below", "query": slow, "materialized": True}
    above = {"name": "above", "query": "SELECT user_id FROM below"}
    declare(shop, [below, above])
    again = [{**below, "query": f"{slow} AND id > 1"}, above]
    done = declare(shop, again, lock_timeout="300ms")
    assert actions(done) == [("rebuild", "below")]
    assert ask(shop, "SELECT count(*) FROM above") == [(99,)]


def test_a_view_that_is_to_go_is_not_made_again(shop: Server) -> None:
    declare(shop, VIEWS)
    again = changed(1, query="SELECT user_id, id FROM orders WHERE status = 'open'")
    done = declare(shop, [{"name": "late", "state": "absent"}, *again[1:]])
    assert actions(done) == [("drop", "late"), ("rebuild", "open_orders")]


def test_a_column_with_the_name_of_a_declared_view_stays_a_column(shop: Server) -> None:
    """FROM and JOIN are words of functions and operators, too."""
    shop.run("ALTER TABLE orders ADD late interval", database="views")
    query = "SELECT id, EXTRACT(epoch FROM late) AS a, late IS DISTINCT FROM late AS b FROM orders"
    again = [*VIEWS, {"name": "timed", "query": query}]
    declare(shop, again)
    assert not declare(shop, again).changed


def test_a_part_of_a_query_with_the_name_of_a_declared_view_stays_that_part(shop: Server) -> None:
    query = "WITH late AS (SELECT id FROM orders WHERE id > 3), sums(n) AS MATERIALIZED (SELECT 1) SELECT late.id FROM late, sums"
    again = [*VIEWS, {"name": "parts", "query": query}]
    declare(shop, again)
    assert not declare(shop, again).changed


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]], ids=str)
def test_a_further_column_reaches_every_view_that_shows_all(shop: Server, order: list[int]) -> None:
    shop.run("CREATE TABLE wide (id int); INSERT INTO wide VALUES (1)", database="views")
    views = [
        {"name": "v", "query": "SELECT * FROM wide"},
        {"name": "w", "query": "SELECT * FROM v WHERE id > 0"},
        {"name": "x", "query": "SELECT * FROM public.w"},
        {"name": "few", "query": "SELECT id FROM x"},
    ]
    declared = [views[number] for number in order]
    declare(shop, declared)
    shop.run("ALTER TABLE wide ADD b int", database="views")
    predicted, done = declare(shop, declared, check=True), declare(shop, declared)
    assert actions(done) == actions(predicted) == [("replace", "v"), ("replace", "w"), ("replace", "x")]
    assert predicted.diff == done.diff
    assert not declare(shop, declared).changed
    # a new view, made of one that gets a further column at the same time
    shop.run("ALTER TABLE wide ADD c int", database="views")
    more = [{"name": "new", "query": "SELECT c FROM x"}, *declared]
    predicted, done = declare(shop, more, check=True), declare(shop, more)
    assert actions(done) == actions(predicted)
    assert sorted(actions(done)) == [("create", "new"), *(("replace", name) for name in "vwx")]
    assert not declare(shop, more).changed


@pytest.mark.parametrize("value", ["on", "1", "yes"])
def test_an_option_is_the_same_however_it_was_written(shop: Server, value: str) -> None:
    declare(shop, VIEWS)
    shop.run(f"ALTER VIEW open_orders SET (security_barrier = {value})", database="views")
    assert not declare(shop, VIEWS).changed
    shop.run("ALTER VIEW late SET (security_barrier = off)", database="views")
    assert not declare(shop, VIEWS).changed


def test_storage_of_a_materialised_view_is_left_alone(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("ALTER MATERIALIZED VIEW sums SET (fillfactor = 70)", database="views")
    assert not declare(shop, VIEWS).changed


def test_a_materialised_view_that_row_security_empties_is_named(shop: Server) -> None:
    shop.run(
        "CREATE ROLE holder",
        "GRANT ALL ON SCHEMA public TO holder",
        "ALTER TABLE orders OWNER TO holder",
        "CREATE MATERIALIZED VIEW sums AS SELECT user_id, count(*) AS n FROM orders GROUP BY user_id",
        "ALTER MATERIALIZED VIEW sums OWNER TO holder",
        database="views",
    )
    view = {"name": "sums", "query": "SELECT user_id, count(*) AS n FROM orders GROUP BY user_id", "materialized": True}
    try:
        assert declare(shop, [view]).warnings == ()
        shop.run("ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", database="views")
        found = declare(shop, [view])
        assert (found.changed, len(found.warnings)) == (False, 1)
        assert "no policy of public.orders is for role holder, as which public.sums is filled" in found.warnings[0]
        shop.run("CREATE POLICY all_rows ON orders FOR SELECT TO PUBLIC USING (true)", database="views")
        assert declare(shop, [view]).warnings == ()
    finally:
        shop.run("REASSIGN OWNED BY holder TO postgres", "DROP OWNED BY holder", "DROP ROLE holder", database="views")
