"""The probe says proven for tenants that are apart, and fails for each way in which they are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import NotIsolated, SpecError

from .conftest import Server
from .test_modules import call

TABLES = """
CREATE ROLE shop_owner; CREATE ROLE shop_app LOGIN; CREATE ROLE other_owner;
GRANT USAGE, CREATE ON SCHEMA public TO shop_owner; GRANT CREATE, TEMPORARY ON DATABASE tenants TO shop_owner;
SET ROLE shop_owner;
CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL, total numeric NOT NULL,
                     doubled numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE TABLE notes (id int PRIMARY KEY, owner uuid NOT NULL, body text);
INSERT INTO orders (user_id, total) SELECT i % 5, i FROM generate_series(1, 100) i;
INSERT INTO notes SELECT i, md5((i % 3)::text)::uuid, 'x' FROM generate_series(1, 30) i;
CREATE TABLE parts (id int NOT NULL, user_id bigint NOT NULL, total numeric) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (50);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (200);
INSERT INTO parts SELECT i, i % 5, i FROM generate_series(1, 120) i;
CREATE TABLE docs (id int PRIMARY KEY, tenant varchar(9) NOT NULL, body text);
INSERT INTO docs VALUES (1, 'acme-corp', 'secret'), (2, 'other', 'x');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, notes, parts, docs TO shop_app;
"""
CONTEXT = {"user": "app.user_id", "role": "app.user_role"}
SECURITY = {
    "session_role": "shop_owner",
    "context": CONTEXT,
    "application_roles": ["shop_app"],
    "tables": [
        {"name": "orders", "owner_column": "user_id", "admin_role": "admin"},
        {"name": "notes", "owner_column": "owner"},
        {"name": "parts", "owner_column": "user_id"},
        {"name": "docs", "owner_column": "tenant"},
    ],
}
PROBE: dict[str, Any] = {
    "context": CONTEXT,
    "application_role": "shop_app",
    "tables": [
        {"name": "orders", "owner_column": "user_id", "admin_role": "admin"},
        {"name": "notes", "owner_column": "owner"},
        {"name": "parts", "owner_column": "user_id"},
        {"name": "docs", "owner_column": "tenant"},
    ],
    "probes": 100,
}


@pytest.fixture
def tenants(server: Server) -> Iterator[Server]:
    server.run("CREATE DATABASE tenants")
    server.run(TABLES, database="tenants")
    assert call(server, "row_security", {"login_db": "tenants", **SECURITY}).changed
    yield server
    server.run(
        "DROP DATABASE tenants WITH (FORCE)", "DROP ROLE shop_owner", "DROP ROLE shop_app", "DROP ROLE other_owner",
        "DROP ROLE IF EXISTS bypasser", "DROP ROLE IF EXISTS reporting",
    )  # fmt: skip


def probe(server: Server, **changes: Any) -> Any:
    return call(server, "row_security_probe", {"login_db": "tenants", **PROBE, **changes})


def test_tenants_that_are_apart_are_proven_to_be(tenants: Server) -> None:
    found = probe(tenants)
    assert not found.changed
    assert "none failed" in found.data["msg"]
    assert {check["status"] for check in found.data["checks"]} == {"passed"}
    asked = {(check["object"], check["question"]) for check in found.data["checks"] if check["way"] == "direct"}
    assert ("public.orders", "rows seen as admin") in asked
    assert ("public.notes", "rows seen without a context") in asked
    assert len(asked) >= 2 * (2 * 6 + 2)


def test_the_probe_leaves_the_rows_as_they_were(tenants: Server) -> None:
    tenants.run("CREATE TABLE before AS SELECT id, user_id, xmin::text AS x FROM orders", database="tenants")
    probe(tenants)
    tenants.run(
        "DO $$ BEGIN ASSERT (SELECT count(*) = 100 AND bool_and(o.xmin::text = b.x AND o.user_id = b.user_id)"
        " FROM orders o JOIN before b USING (id)); END $$",
        database="tenants",
    )


OWN = "user_id = (SELECT NULLIF(current_setting('app.user_id', true), '')::bigint)"
SESSION_WIDE = """
CREATE OR REPLACE FUNCTION set_user_context(user_id text, user_role text DEFAULT NULL) RETURNS void LANGUAGE sql AS
$$ SELECT set_config('app.user_id', coalesce(user_id, ''), false), set_config('app.user_role', '', false) $$
"""
LEAKS = """
CREATE FUNCTION all_orders() RETURNS SETOF orders LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM orders';
GRANT EXECUTE ON FUNCTION all_orders() TO shop_app
"""


SET = "NULLIF(current_setting('app.user_id', true), '') IS NOT NULL"
FRESH = """
CREATE POLICY i ON orders FOR INSERT TO shop_app WITH CHECK (true);
CREATE POLICY fresh ON orders AS RESTRICTIVE FOR INSERT WITH CHECK (total = 0)
"""
CUT = "tenant = (SELECT NULLIF(current_setting('app.user_id', true), '')::varchar(9))"
WALL = "ALTER TABLE parts_1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"

TOLD_OF_TRIGGERS = """
CREATE TABLE lines (id int, order_id int); GRANT INSERT ON lines TO shop_app;
CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN UPDATE orders SET total = total + 1 WHERE id = NEW.order_id; RETURN NEW; END $$;
CREATE TRIGGER t AFTER INSERT ON lines FOR EACH ROW EXECUTE FUNCTION total()
"""
APPLICATION_ALONE = f"""
CREATE POLICY a ON orders USING (true); CREATE POLICY t ON orders AS RESTRICTIVE TO shop_app USING ({OWN});
CREATE VIEW v AS SELECT * FROM orders; ALTER VIEW v OWNER TO shop_owner; GRANT SELECT, DELETE ON v TO shop_app
"""
SOME_OF_ALL = f"""
REVOKE UPDATE ON orders FROM shop_app; GRANT UPDATE (total) ON orders TO shop_app; DROP POLICY orders_owner ON orders;
CREATE POLICY r ON orders FOR SELECT TO shop_app USING ({OWN});
CREATE POLICY u ON orders FOR UPDATE TO shop_app USING (total <= 10)
"""
# its rights are not the application's until it says SET ROLE, in every version
REPORTING = """
ALTER ROLE shop_app NOINHERIT; CREATE ROLE reporting; GRANT reporting TO shop_app; GRANT USAGE ON SCHEMA public TO reporting;
"""


def definer(body: str, owner: str = "postgres") -> str:
    """Return statements that make a function with somebody else's rights."""
    function = (
        f"CREATE FUNCTION leak() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN ({body}); END $$"
    )
    return f"{function}; ALTER FUNCTION leak() OWNER TO {owner}"


def hole(command: str) -> str:
    """Return a statement that opens all rows to a command."""
    return f"CREATE POLICY hole ON orders FOR {command} TO shop_app USING (true)"


@pytest.mark.parametrize(
    ("mutation", "words"),
    [
        ("DROP POLICY orders_owner ON orders", "sees its rows"),
        ("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY", "forced on the owner"),
        ("ALTER TABLE orders DISABLE ROW LEVEL SECURITY", "sees foreign rows"),
        ("ALTER ROLE shop_app BYPASSRLS", "has BYPASSRLS"),
        ("ALTER ROLE shop_app SUPERUSER", "is a superuser"),
        ("GRANT shop_owner TO shop_app", "is a member of shop_owner"),
        ("ALTER TABLE orders OWNER TO shop_app", "owns the table"),
        ("CREATE VIEW v AS SELECT * FROM orders; GRANT SELECT ON v TO shop_app", "public.v"),
        ("CREATE VIEW v AS SELECT total FROM orders; GRANT SELECT ON v TO shop_app", "rows seen without a context"),
        ("CREATE VIEW w AS SELECT * FROM orders; CREATE VIEW v AS SELECT * FROM w; GRANT SELECT ON v TO shop_app", "public.v"),
        ("CREATE MATERIALIZED VIEW m AS SELECT * FROM orders; GRANT SELECT ON m TO shop_app", "materialised view"),
        (LEAKS, "all_orders()"),
        (f"DROP POLICY orders_owner ON orders; CREATE POLICY p ON orders TO shop_app USING ({OWN} OR true)", "sees foreign"),
        (f"DROP POLICY orders_owner ON orders; CREATE POLICY p ON orders TO shop_app USING ({OWN}) WITH CHECK (true)", "inserts"),
        ("CREATE POLICY hole ON orders FOR DELETE TO shop_app USING (true)", "foreign rows that tenant 0 deletes"),
        ("CREATE POLICY hole ON orders FOR UPDATE TO shop_app USING (true)", "foreign rows that tenant 0 updates"),
        ("CREATE POLICY hole ON orders FOR SELECT TO PUBLIC USING (true)", "without a context"),
        (SESSION_WIDE, "after a transaction with a context"),
        ("DELETE FROM notes", "0 tenants have rows"),
        ("REVOKE ALL ON notes FROM shop_app", "has no right on the table"),
        # partitions and children by their own names
        ("GRANT SELECT ON parts_1 TO shop_app", "public.parts_1 has no row security of its own"),
        ("GRANT SELECT (id) ON parts_1 TO shop_app", "public.parts_1 has no row security of its own"),
        ("GRANT TRUNCATE ON parts_1 TO PUBLIC", "public.parts_1 has no row security of its own"),
        ("CREATE TABLE kid () INHERITS (orders); GRANT INSERT ON kid TO shop_app", "public.kid has no row security of its own"),
        ("ALTER TABLE parts_1 OWNER TO shop_app", "shop_app owns the table"),
        (f"{WALL}; CREATE POLICY p ON parts_1 USING (true); GRANT SELECT ON parts_1 TO shop_app", "about which nothing was asked"),
        ("CREATE VIEW v AS SELECT * FROM parts_1; GRANT SELECT ON v TO shop_app", "public.v"),
        ("CREATE MATERIALIZED VIEW m AS SELECT * FROM parts_1; GRANT SELECT ON m TO shop_app", "materialised view"),
        (definer("SELECT count(*) FROM parts_1"), "leak()"),
        # rights on columns, and rights that row security does not hold
        ("GRANT TRUNCATE ON orders TO shop_app", "has TRUNCATE, which row security does not hold"),
        ("GRANT TRIGGER ON orders TO shop_app", "has TRIGGER, which row security does not hold"),
        (f"REVOKE UPDATE ON orders FROM shop_app; GRANT UPDATE (total) ON orders TO shop_app; {hole('UPDATE')}",
         "foreign rows that tenant 0 changes"),
        (f"REVOKE SELECT ON orders FROM shop_app; GRANT SELECT (id, user_id) ON orders TO shop_app; {hole('SELECT')}",
         "tenant 0 sees foreign rows"),
        (f"REVOKE SELECT ON orders FROM shop_app; GRANT SELECT (id) ON orders TO shop_app; {hole('SELECT')}", "rows that tenant 0 sees"),
        # views through which something is written, of which single columns are read, or that show no owner
        ("CREATE VIEW v AS SELECT * FROM orders; GRANT DELETE ON v TO shop_app", "may write through it"),
        (f"CREATE VIEW v AS SELECT * FROM orders WHERE {OWN}; GRANT SELECT, INSERT ON v TO shop_app", "may write through it"),
        ("CREATE VIEW v AS SELECT * FROM orders; GRANT SELECT (id, user_id) ON v TO shop_app", "tenant 0 sees foreign rows"),
        (f"CREATE VIEW v AS SELECT id FROM orders WHERE {SET}; GRANT SELECT ON v TO shop_app", "whose rows it shows"),
        # functions, however they name it
        (definer("SELECT count(*) FROM ORDERS"), "leak()"),
        ("CREATE VIEW v AS SELECT * FROM orders; " + definer("SELECT count(*) FROM v"), "leak()"),
        ("CREATE POLICY mig ON orders TO shop_owner USING (true); " + definer("SELECT count(*) FROM orders", "shop_owner"), "leak()"),
        ("CREATE ROLE bypasser BYPASSRLS; GRANT bypasser TO shop_app", "may become bypasser"),
        (f"DROP POLICY docs_owner ON docs; CREATE POLICY p ON docs TO shop_app USING ({CUT})", "whose name only begins with acme-corp"),
        (TOLD_OF_TRIGGERS, "and a trigger calls it"),
        ("CREATE SCHEMA inner_room; " + definer("SELECT count(*) FROM orders").replace("leak()", "inner_room.leak()")
         + "; CREATE VIEW v AS SELECT inner_room.leak() AS n; GRANT SELECT ON v TO shop_app", "inner_room.leak()"),
        # policies that hold the application alone hold no view of the owner
        (APPLICATION_ALONE, "may write through it"),
        # some of the own rows and some foreign ones, less than the own ones all together
        (SOME_OF_ALL, "foreign rows that tenant 0 changes"),
        # nobody in particular
        (f"CREATE POLICY n ON orders FOR DELETE TO shop_app USING (NOT ({SET}))", "rows that somebody deletes without a context"),
        (f"CREATE POLICY n ON orders FOR UPDATE TO shop_app USING (NOT ({SET}))", "rows that somebody updates with an empty context"),
        (f"CREATE POLICY n ON orders FOR INSERT TO shop_app WITH CHECK (NOT ({SET}))", "somebody inserts a row without a context"),
        # roles that it may become, and what roles may do besides
        (REPORTING + "CREATE POLICY rep ON orders TO reporting USING (true)", "reporting on public.orders"),
        (REPORTING + "GRANT TRUNCATE ON orders TO reporting", "reporting on public.orders"),
        (REPORTING + "CREATE VIEW v AS SELECT * FROM orders; GRANT SELECT ON v TO reporting", "reporting on public.v"),
        ("ALTER ROLE shop_app REPLICATION", "has REPLICATION"),
        ("CREATE ROLE bypasser REPLICATION; GRANT bypasser TO shop_app", "may become bypasser"),
        ("GRANT pg_read_server_files TO shop_app", "is a member of pg_read_server_files"),
    ],
)  # fmt: skip
def test_each_mutation_makes_the_probe_fail(tenants: Server, mutation: str, words: str) -> None:
    tenants.run(mutation, database="tenants")
    with pytest.raises(NotIsolated) as caught:
        probe(tenants)
    assert words in str(caught.value)
    assert "isolation NOT proven" in str(caught.value)
    tenants.run(
        "ALTER ROLE shop_app NOSUPERUSER NOBYPASSRLS NOREPLICATION INHERIT",
        "ALTER TABLE orders OWNER TO shop_owner",
        database="tenants",
    )


def test_a_refusal_by_another_rule_proves_nothing(tenants: Server) -> None:
    tenants.run(FRESH, database="tenants")
    with pytest.raises(NotIsolated, match="another rule refuses both, and nothing is proven"):
        probe(tenants)


SOUND = {
    "partitions that are had through their parent only": f"{WALL}; GRANT ALL ON parts_1 TO shop_app; REVOKE TRUNCATE, TRIGGER ON parts_1 FROM shop_app",
    "partitions out of reach": "CREATE SCHEMA far; ALTER TABLE parts_1 SET SCHEMA far; GRANT SELECT ON far.parts_1 TO shop_app",
    "new rows only": "REVOKE ALL ON notes FROM shop_app; GRANT INSERT ON notes TO shop_app",
    "single columns": "REVOKE UPDATE, INSERT ON orders FROM shop_app; GRANT UPDATE (total), INSERT (user_id, total) ON orders TO shop_app",
    "nobody inserts": "DROP POLICY notes_owner ON notes; CREATE POLICY n ON notes FOR SELECT TO shop_app USING"
    " (owner = (SELECT NULLIF(current_setting('app.user_id', true), '')::uuid))",
    "names that mean something to others": 'ALTER TABLE orders ADD COLUMN "tax %s %" numeric; ALTER TABLE notes RENAME body TO "a(b$"',
    "functions that name others": definer("SELECT count(*) FROM orders_of_old")
    + "; CREATE TABLE orders_of_old (id int)",
    "a role that it may become, with nothing of its own": REPORTING + "GRANT SELECT, UPDATE ON orders TO reporting",
    "a function for triggers that none calls": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
    " $$ BEGIN PERFORM count(*) FROM orders; RETURN NEW; END $$",
    "only administrators insert": "DROP POLICY orders_owner ON orders; DROP POLICY orders_admin ON orders;"
    f" CREATE POLICY r ON orders FOR SELECT TO shop_app USING ({OWN});"
    " CREATE POLICY a ON orders TO shop_app USING (current_setting('app.user_role', true) = 'admin')",
}


@pytest.mark.parametrize("case", SOUND)
def test_what_is_sound_is_no_finding(tenants: Server, case: str) -> None:
    tenants.run(SOUND[case], database="tenants")
    assert "none failed" in probe(tenants).data["msg"]


def test_users_who_own_the_row_that_they_are(tenants: Server) -> None:
    """The owner column is an identity: it can neither be chosen nor given away, and still the probe asks what it can."""
    users = {"name": "users", "owner_column": "id"}
    tenants.run(
        "SET ROLE shop_owner; CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);"
        " INSERT INTO users (name) VALUES ('a'), ('b'); GRANT SELECT, INSERT, UPDATE, DELETE ON users TO shop_app",
        database="tenants",
    )
    call(tenants, "row_security", {"login_db": "tenants", **SECURITY, "tables": [users]})
    found = probe(tenants, tables=[users])
    assert {"tenant 1 inserts a row of 2", "foreign rows that tenant 1 changes"} < {
        c["question"] for c in found.data["checks"]
    }


def test_a_parent_without_row_security_is_a_way_to_its_partitions(tenants: Server) -> None:
    part = {"name": "parts_1", "owner_column": "user_id"}
    tenants.run(
        f"DROP POLICY parts_owner ON parts; ALTER TABLE parts DISABLE ROW LEVEL SECURITY; {WALL};"
        f" CREATE POLICY p ON parts_1 TO shop_app USING ({OWN}); GRANT SELECT ON parts_1 TO shop_app",
        database="tenants",
    )
    with pytest.raises(NotIsolated, match=r"public\.parts has no row security of its own"):
        probe(tenants, tables=[part])


def test_a_restrictive_policy_that_leaves_some_own_rows_alone_is_no_finding(tenants: Server) -> None:
    tenants.run("CREATE POLICY few ON orders AS RESTRICTIVE FOR UPDATE USING (total < 10)", database="tenants")
    assert "none failed" in probe(tenants).data["msg"]


def test_a_trusted_function_is_no_finding(tenants: Server) -> None:
    tenants.run(LEAKS, database="tenants")
    assert "none failed" in probe(tenants, trusted_functions=["public.all_orders()"]).data["msg"]


def test_an_invoker_view_is_proven_like_its_table(tenants: Server) -> None:
    if tenants.version < 15:
        statement = "CREATE VIEW v AS SELECT * FROM orders; ALTER VIEW v OWNER TO shop_owner"  # held by FORCE
    else:
        statement = "CREATE VIEW v WITH (security_invoker) AS SELECT * FROM orders"
    tenants.run(statement, "GRANT SELECT ON v TO shop_app", database="tenants")
    if tenants.version < 15:
        # the owner is held, and no policy is for it: the view shows nothing, to anybody
        assert {c["status"] for c in probe(tenants).data["checks"] if c["object"] == "public.v"} == {"passed"}
        return
    checks = [check for check in probe(tenants).data["checks"] if check["object"] == "public.v"]
    assert [check["status"] for check in checks] == ["passed"] * 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"application_role": "nobody_here"}, "role nobody_here does not exist"),
        ({"tables": [{"name": "order", "owner_column": "x"}]}, "did you mean public.orders"),
        ({"tables": [{"name": "orders", "owner_column": "x"}]}, "has no column x"),
        ({"tables": [{"name": "orders", "owner_column": "user_id", "tenants": ["1"]}]}, "give two that differ"),
        ({"context": {"user": "nodot"}}, "write app.user_id"),
    ],
)
def test_bad_input_is_refused_by_name(tenants: Server, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        probe(tenants, **changes)
