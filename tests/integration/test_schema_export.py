"""The export of views and row security: applied where it comes from, or to a copy, it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Server
from .test_modules import call

TABLES = """
CREATE SCHEMA app; CREATE SCHEMA "Odd.Schema"; CREATE SCHEMA audit;
CREATE TABLE orders (id int PRIMARY KEY, user_id bigint, status varchar(10), total numeric, late interval, at timestamptz,
                     doc jsonb);
CREATE TABLE app.users (id bigint PRIMARY KEY, email text, tenant uuid);
CREATE TABLE app.disabled (id int PRIMARY KEY); CREATE TABLE app.empty (id int PRIMARY KEY);
CREATE TABLE app.narrow (id int PRIMARY KEY); CREATE TABLE app.raising (id text PRIMARY KEY);
CREATE TABLE app.slow (id text PRIMARY KEY); CREATE TABLE app.mute (id int PRIMARY KEY);
CREATE TABLE app.parts (id int, tenant text, at date) PARTITION BY RANGE (at);
CREATE TABLE app.parts_1 PARTITION OF app.parts DEFAULT;
CREATE TABLE "Odd.Schema"."My ""Table" ("I d" bigint PRIMARY KEY, "select" text, "Own.er" bigint)
"""
MADE = r"""
CREATE VIEW open_orders WITH (security_barrier) AS SELECT * FROM orders WHERE status IN ('open', 'new');
CREATE VIEW late AS SELECT id, EXTRACT(epoch FROM late) AS seconds, late IS DISTINCT FROM '1 day' AS odd FROM orders;
CREATE VIEW app.summary AS SELECT u.email, count(*) AS n FROM app.users u JOIN open_orders o ON o.user_id = u.id
    LEFT JOIN late ON late.id = o.id GROUP BY u.email HAVING count(*) > 1 ORDER BY 2 DESC LIMIT 10;
CREATE VIEW app.who AS SELECT CURRENT_USER AS me, SESSION_USER AS them, CURRENT_DATE AS today, LOCALTIMESTAMP AS here,
    COALESCE(email, 'no;ne') AS email, GREATEST(id, 1) AS id, now() AS at, current_setting('a.b', true) AS b FROM app.users;
CREATE VIEW app.tree AS WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t;
CREATE VIEW app.ranked AS SELECT DISTINCT ON (user_id) user_id, row_number() OVER w AS nth, lag(total, 1) OVER w AS before,
    string_agg(status, ', ') FILTER (WHERE total > 0) OVER (PARTITION BY status) AS words, doc ->> 'a' AS a,
    at AT TIME ZONE 'Europe/Berlin' AS there, (doc -> 'list') @> '[1]' AS has, ARRAY[1, 2] AS list, ROW(id, status)::text AS pair
    FROM orders WINDOW w AS (PARTITION BY user_id ORDER BY at) ORDER BY user_id, nth;
CREATE VIEW app.spelt AS SELECT TRIM(BOTH 'x' FROM email) AS a, SUBSTRING(email FROM 2 FOR 3) AS b, POSITION('a' IN email) AS c,
    OVERLAY(email PLACING 'x' FROM 1) AS d, email LIKE '%a\_%' AS e, email SIMILAR TO 'a|b' AS f, E'a\nb\\' AS g,
    CASE WHEN id BETWEEN 1 AND 2 THEN 'x' ELSE NULL END AS h, id::text::varchar(3) AS i, NULLIF(id, 0) AS j,
    xmlelement(name a, id) AS k, (SELECT max(o.total) FROM orders o WHERE o.user_id = users.id) AS l FROM app.users;
CREATE VIEW app.both AS SELECT id FROM app.users UNION ALL SELECT id FROM orders EXCEPT SELECT 7;
CREATE VIEW app.crossed AS SELECT o.id, x.n FROM orders o, open_orders p, LATERAL generate_series(1, o.id) AS x(n)
    WHERE o.id = p.id AND EXISTS (SELECT FROM late WHERE late.id = o.id);
CREATE VIEW app.written WITH (security_barrier = off) AS SELECT id, email FROM app.users WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW "Odd.Schema"."V.w" ("Col ""1", "order") AS SELECT "I d", "select" FROM "Odd.Schema"."My ""Table"
    WHERE "select" <> 'it''s {{ this }}';
CREATE VIEW "Odd.Schema"."From" AS SELECT "Col ""1" FROM "Odd.Schema"."V.w";
CREATE MATERIALIZED VIEW sums WITH (fillfactor = 70) AS SELECT user_id, sum(total) AS total FROM open_orders GROUP BY user_id;
CREATE UNIQUE INDEX sums_user ON sums (user_id); CREATE INDEX sums_total ON sums (total DESC) WHERE total > 0;
CREATE MATERIALIZED VIEW app.of_sums AS SELECT count(*) AS n FROM sums;
COMMENT ON VIEW app.who IS E'It''s
who';

ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owners ON orders TO export_app
    USING (user_id = (SELECT NULLIF(current_setting('app.user_id', true), '')::bigint));
CREATE POLICY readers ON orders FOR SELECT USING (status IN ('open', 'paid'));
CREATE POLICY closed ON orders AS RESTRICTIVE FOR UPDATE TO export_app USING (status <> 'closed') WITH CHECK (total > 0);
CREATE POLICY added ON orders FOR INSERT TO export_app
    WITH CHECK (EXISTS (SELECT FROM app.users u WHERE u.id = orders.user_id));
CREATE POLICY gone ON orders FOR DELETE TO export_app, "Export Boss" USING (status = ANY ('{a,b}'));
COMMENT ON POLICY readers ON orders IS 'Everybody''s';
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY "P.q" ON app.users TO export_app USING (tenant = (SELECT NULLIF(current_setting('app.t', true), '')::uuid)
    OR EXISTS (SELECT FROM app.users o WHERE o.id = users.id AND o.email LIKE 'a%')) WITH CHECK (email IS NOT NULL);
ALTER TABLE app.parts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY wall ON app.parts TO export_app USING (tenant = (SELECT NULLIF(current_setting('app.t', true), '')));
ALTER TABLE "Odd.Schema"."My ""Table" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "it's ""my"" own" ON "Odd.Schema"."My ""Table" USING ("Own.er" > 0 AND "select" <> '{{ x }}')
"""
UNFIT = """
CREATE MATERIALIZED VIEW app.unfilled AS SELECT 1 AS one WITH NO DATA; CREATE VIEW app.late AS SELECT 1 AS one;
CREATE VIEW app.pgstead_new_1 AS SELECT 1 AS one;
CREATE POLICY p ON app.disabled USING (id > 0);
ALTER TABLE app.empty ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.narrow ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON app.narrow AS RESTRICTIVE USING (id > 0);
ALTER TABLE app.raising ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON app.raising USING (id = (SELECT current_setting('a.b')));
ALTER TABLE app.slow ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.slow USING (id = NULLIF(current_setting('a.b', true), ''));
ALTER TABLE app.mute ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON app.mute;
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE app.far (a int CONSTRAINT far_a CHECK (a > 0)) SERVER far;
ALTER TABLE app.mute ADD CONSTRAINT pgstead_new_a CHECK (id > 0);
CREATE FUNCTION set_user_context() RETURNS int LANGUAGE sql AS 'SELECT 1';
COMMENT ON FUNCTION set_user_context IS 'managed by pgstead.ops.row_security'
"""
HELPERS = """
CREATE TABLE audit.log (at timestamptz NOT NULL, what text, CHECK (what <> '')) PARTITION BY RANGE (at);
COMMENT ON TABLE audit.log IS 'managed by pgstead.ops.audit'; CREATE INDEX ON audit.log (what);
CREATE TABLE audit.log_default PARTITION OF audit.log DEFAULT; CREATE INDEX ON audit.log_default (at);
ALTER TABLE audit.log ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON audit.log USING (what > '')
"""
LEFT_OUT = {
    "materialised view app.unfilled: it is not filled, and module views would fill it",
    "view app.late: it has the name of public.late, which needs a task of its own: export its schema by itself",
    "view app.pgstead_new_1: 'pgstead_new_1' begins with pgstead_, which this collection uses while it fills a view",
    "fillfactor=70 of materialised view public.sums: module views has no storage parameters",
    "check constraint far_a on app.far: it is on a foreign table, which module check_constraints leaves alone",
    "check constraint pgstead_new_a on app.mute: it is left over from an interrupted run",
    "row security of app.disabled: it is disabled, and module row_security would enable it",
    "row security of app.empty: no policy at all: nobody but the owner would see a row",
    "row security of app.mute: policy p: give using, with_check or both",
    (
        "row security of app.narrow: only restrictive policies: nobody would see a row. At least one permissive policy has "
        "to allow it"
    ),
    (
        "row security of app.raising: policy p: current_setting() without NULLIF(current_setting('…', true), ''): once set "
        "in a session, an unset setting is an empty text, and not NULL"
    ),
    "row security of app.slow: policy p: current_setting() is called for each row",
    "function public.set_user_context: declare row_security.context",
}
NAMES = ("exported", "twin")
KINDS = ("check_constraints", "views", "indexes", "row_security")  # indexes of materialised views come after these


@pytest.fixture(scope="module")
def places(server: Server) -> Iterator[Server]:
    """Give a database with everything, and one that has only the tables."""
    server.run("CREATE ROLE export_app", 'CREATE ROLE "Export Boss"', *(f"CREATE DATABASE {name}" for name in NAMES))
    for name in NAMES:
        server.run(TABLES, database=name)
    newer = ["CREATE VIEW app.asked WITH (security_invoker = on, security_barrier = 1) AS SELECT id FROM app.users"]
    server.run(MADE, UNFIT, HELPERS, *(newer if server.version >= 15 else []), database="exported")
    yield server
    server.run(
        *(f"DROP DATABASE {name} WITH (FORCE)" for name in NAMES), "DROP ROLE export_app", 'DROP ROLE "Export Boss"'
    )


def export(server: Server, database: str = "exported", **options: Any) -> dict[str, Any]:
    return dict(call(server, "schema_export_info", {"login_db": database, **options}).data)


def apply(server: Server, database: str, kind: str, items: Any, *, check: bool = False) -> Any:
    arguments = items if kind == "row_security" else {kind: items}
    return call(server, kind, {"login_db": database, **arguments}, check=check)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_is_as_declared(places: Server, kind: str) -> None:
    items = export(places)["export"][kind]
    for check in (True, False):
        found = apply(places, "exported", kind, items, check=check)
        assert (found.changed, found.diff) == (False, [])


def test_a_copy_that_is_made_of_it_is_the_same(places: Server) -> None:
    """The texts of both may differ, for the server does not spell what it has read as it spelt it before."""
    first = export(places)["export"]
    for kind in KINDS:
        if kind != "check_constraints":
            assert apply(places, "twin", kind, first[kind]).changed, kind
        assert not apply(places, "twin", kind, first[kind]).changed, kind
    second = export(places, "twin")
    assert second["left_out"] == []
    for kind in KINDS:
        assert names(second["export"][kind]) == names(first[kind])
        found = apply(places, "exported", kind, second["export"][kind], check=True)
        assert (found.changed, found.diff) == (False, []), kind


def names(items: Any) -> list[str]:
    return [item["name"] for item in (items["tables"] if isinstance(items, dict) else items)]


def test_what_cannot_be_exported_is_named(places: Server) -> None:
    data = export(places)
    assert set(data["left_out"]) == LEFT_OUT
    assert len(data["left_out"]) == len(LEFT_OUT)
    views = 14 + (places.version >= 15)
    assert data["msg"] == f"2 indexes, 0 check constraints, {views} views, 4 protected tables, 0 audited tables"


def test_one_schema_can_be_exported_by_itself(places: Server) -> None:
    data = export(places, schemas=["app"])
    assert "app.late" in names(data["export"]["views"])
    assert names(data["export"]["row_security"]) == ["app.parts", "app.users"]
    assert all(item.startswith("app.") for item in names(data["export"]["views"]))
    assert not apply(places, "exported", "views", data["export"]["views"], check=True).changed
    here = export(places, schemas=["app"], schema="app")
    assert "late" in names(here["export"]["views"])


def test_what_is_not_a_default_is_said_and_nothing_else(places: Server) -> None:
    data = export(places)["export"]
    views = {item["name"]: item for item in data["views"]}
    assert {name for name, item in views.items() if item.get("materialized")} == {"sums", "app.of_sums"}
    assert views["open_orders"]["security_barrier"] is True
    assert views["app.who"]["comment"] == "It's\nwho"
    assert {key: value for key, value in views["app.written"].items() if key != "query"} == {
        "name": "app.written",
        "check_option": "cascaded",
    }
    if places.version >= 15:
        assert views["app.asked"]["security_invoker"] is True
    orders, *_ = [item for item in data["row_security"]["tables"] if item["name"] == "orders"]
    policies = {policy.pop("name"): policy for policy in orders["policies"]}
    assert "force" not in orders
    assert policies["readers"]["command"] == "select"
    assert (policies["readers"]["roles"], policies["readers"]["comment"]) == (["public"], "Everybody's")
    assert (policies["closed"]["restrictive"], policies["closed"]["with_check"]) == (True, "(total > (0)::numeric)")
    assert set(policies["owners"]) == {"roles", "using"}
    assert policies["gone"]["roles"] == ["Export Boss", "export_app"]
