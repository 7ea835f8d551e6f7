"""Row security compared by definition, changed in one transaction, refused where it would not protect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError, ViolatingRows
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import quote, short_hash
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, execute, rows

from .conftest import USER, Server
from .test_modules import call
from .test_schema_interruptions import killed_after_one_step

TABLES = """
CREATE ROLE shop_owner; CREATE ROLE shop_app LOGIN; CREATE ROLE onlooker;
GRANT USAGE, CREATE ON SCHEMA public TO shop_owner; GRANT CREATE, TEMPORARY ON DATABASE rows TO shop_owner;
SET ROLE shop_owner;
CREATE TABLE orders (id int PRIMARY KEY, user_id bigint NOT NULL, status varchar(10));
CREATE TABLE parts (id int, tenant uuid NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts DEFAULT;
CREATE FUNCTION whoami() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT 1::bigint';
CREATE TABLE old (PRIMARY KEY (id)) INHERITS (orders);
CREATE VIEW shown AS SELECT * FROM orders;
"""
CONTEXT = {"user": "app.user_id", "role": "app.user_role"}
DECLARED: dict[str, Any] = {
    "session_role": "shop_owner",
    "context": CONTEXT,
    "application_roles": ["shop_app"],
    "tables": [
        {
            "name": "orders",
            "owner_column": "user_id",
            "admin_role": "admin",
            "policies": [
                {"name": "readers", "command": "select", "roles": ["onlooker"], "using": "status in ('open', 'paid')"},
                {"name": "not_closed", "restrictive": True, "command": "update", "using": "status <> 'closed'"},
            ],
        },
        {"name": "parts", "owner_column": "tenant"},
    ],
}


@pytest.fixture
def shop(server: Server) -> Iterator[Server]:
    server.run("CREATE DATABASE rows")
    server.run(TABLES, database="rows")
    yield server
    server.run("DROP DATABASE rows WITH (FORCE)", "DROP ROLE shop_owner", "DROP ROLE shop_app", "DROP ROLE onlooker")


def declare(server: Server, *, check: bool = False, **changes: Any) -> Any:
    return call(server, "row_security", {"login_db": "rows", **DECLARED, **changes}, check=check)


def place(server: Server) -> Target:
    return Target(server.target.socket_directory, server.target.port, "rows", system_user=USER)


def test_check_mode_predicts_what_applying_does_and_then_nothing_is_left(shop: Server) -> None:
    predicted = declare(shop, check=True)
    done = declare(shop)
    assert [step["action"] for step in done.data["plan"]] == [
        "context",
        *["build", "adopt"],
        *["create_only", "build", "attach"],
        *["protect", "protect"],
    ]
    assert predicted.diff == done.diff
    again = declare(shop)
    assert (again.changed, again.diff, again.warnings) == (False, [], ())


NOBODY = "00000000-0000-0000-0000-000000000000"
SOMEBODY = "11111111-1111-1111-1111-111111111111"


def counted(connection: Any, *tables: str) -> list[int]:
    return [rows(connection, f"SELECT count(*) FROM {name}")[0][0] for name in tables]


def test_what_is_open_by_its_own_name_is_named(shop: Server) -> None:
    """Default privileges give the application rights on every new partition."""
    declare(shop)
    shop.run(
        "GRANT SELECT ON parts, parts_1 TO shop_app; GRANT INSERT ON parts_1 TO PUBLIC; GRANT SELECT (id) ON old TO shop_app",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')",
        "ALTER TABLE parts_2 OWNER TO onlooker",
        f"INSERT INTO parts VALUES (1, '{NOBODY}', '2026-01-01')",
        database="rows",
    )
    with connect(place(shop)) as connection:
        execute(connection, "SET ROLE shop_app")
        assert counted(connection, "parts", "parts_1") == [0, 1]
    for check in (True, False):
        found = declare(shop, check=check)
        assert [warning.partition(": ALTER")[0] for warning in found.warnings] == [
            f"row security of public.{top} does not hold {roles} by the names of what is below it, to which they have rights "
            f"({names})"
            for top, roles, names in (
                ("orders", "shop_app", "public.old"),
                ("parts", "onlooker, public, shop_app", "public.parts_1, public.parts_2"),
            )
        ]
        assert not found.changed


def test_what_is_said_against_it_holds_and_keeps_the_way_through_the_table_above(shop: Server) -> None:
    declare(shop)
    shop.run(
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')",
        "GRANT ALL ON orders, old, parts, parts_1, parts_2 TO shop_app",
        f"INSERT INTO parts VALUES (1, '{NOBODY}', '2026-01-01')",
        *(
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
            for name in ("old", "parts_1", "parts_2")
        ),
        database="rows",
    )
    found = declare(shop)
    assert (found.warnings, found.changed) == ((), False)
    with connect(place(shop)) as connection:
        execute(connection, "SET ROLE shop_app")
        execute(connection, "BEGIN")
        rows(connection, f"SELECT set_user_context('{SOMEBODY}')")
        execute(connection, f"INSERT INTO parts VALUES (2, '{SOMEBODY}', '2026-01-01')")
        assert counted(connection, "parts", "parts_1", "parts_2") == [1, 0, 0]
        execute(connection, "UPDATE parts SET at = '2030-05-05'")
        execute(connection, "COMMIT")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security policy"):
            execute(connection, f"INSERT INTO parts_1 VALUES (3, '{SOMEBODY}', '2026-01-01')")
        execute(connection, "RESET ROLE")
        assert counted(connection, "parts", "parts_1", "parts_2") == [2, 1, 1]


def test_a_long_name_is_changed_once(shop: Server) -> None:
    name = "ä" + "x" * 61
    shop.run(f'SET ROLE shop_owner; CREATE TABLE "{name}" (id int PRIMARY KEY, user_id bigint)', database="rows")
    tables = [{"name": name, "owner_column": "user_id", "admin_role": "admin"}]
    assert declare(shop, tables=tables).changed
    again = declare(shop, tables=tables)
    assert (again.changed, again.diff, again.warnings) == (False, [], ())


def test_a_run_killed_after_any_step_is_continued_with_the_next(shop: Server) -> None:
    def left() -> list[tuple[str, str]]:
        return [(step["action"], step["object"]) for step in declare(shop, check=True).data["plan"]]

    steps = left()
    assert len(steps) == 8
    while steps:
        killed_after_one_step(lambda tables: declare(shop, tables=tables), DECLARED["tables"])
        assert left() == steps[1:]
        steps = steps[1:]
    assert not declare(shop).changed


def test_differently_spelt_policies_are_the_same(shop: Server) -> None:
    declare(shop)
    tables = [dict(DECLARED["tables"][0]), DECLARED["tables"][1]]
    tables[0]["policies"] = [
        {"name": "readers", "command": "select", "roles": ["onlooker"], "using": "orders.status IN ('open','paid')"},
        {"name": "not_closed", "restrictive": True, "command": "update", "using": "status != 'closed'::text"},
    ]
    assert declare(shop, tables=tables, check=True).diff == []
    # the text that a dump would have: one deparse further
    with connect(place(shop)) as connection:
        ((text,),) = rows(connection, "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'readers'")
    shop.run(
        f"DROP POLICY readers ON orders; CREATE POLICY readers ON orders FOR SELECT TO onlooker USING ({text})",
        database="rows",
    )
    assert declare(shop, check=True).diff == []


@pytest.mark.parametrize(
    ("drift", "actions"),
    [
        ("DROP POLICY orders_owner ON orders", ["protect"]),
        ("ALTER POLICY readers ON orders USING (true)", ["protect"]),
        ("ALTER POLICY readers ON orders TO PUBLIC", ["protect"]),
        ("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY", ["protect"]),
        ("ALTER TABLE orders DISABLE ROW LEVEL SECURITY", ["protect"]),
        ("DROP INDEX orders_user_id_rls_idx", ["build", "adopt"]),
        ("DROP FUNCTION set_user_context", ["context"]),
        ("ALTER FUNCTION set_user_context RESET search_path", ["context"]),
        ("CREATE INDEX ON orders (user_id, id)", []),
    ],
)
def test_drift_is_healed(shop: Server, drift: str, actions: list[str]) -> None:
    declare(shop)
    shop.run(drift, database="rows")
    done = declare(shop)
    assert [step["action"] for step in done.data["plan"]] == actions
    assert not declare(shop).changed
    assert bool(done.data["drift"]) == ("DROP POLICY" in drift or "DROP INDEX" in drift)


def test_an_index_of_somebody_else_keeps_the_name_of_ours(shop: Server) -> None:
    theirs = "CREATE UNIQUE INDEX orders_user_id_rls_idx ON orders (user_id) WHERE user_id IS NULL"
    shop.run(theirs, database="rows")
    predicted = declare(shop, check=True)
    done = declare(shop)
    assert predicted.diff == done.diff
    with connect(place(shop)) as connection:
        kept = rows(
            connection, "SELECT indisunique FROM pg_index WHERE indexrelid = 'orders_user_id_rls_idx'::regclass"
        )
        made = rows(connection, "SELECT indexname FROM pg_indexes WHERE tablename = 'orders' ORDER BY 1")
    assert kept == [(True,)]
    assert f"orders_user_id_{short_hash('orders_user_id_rls_idx')[:6]}_rls_idx" in [name for (name,) in made]
    assert not declare(shop).changed


def test_a_policy_that_nobody_declared_is_named_as_a_hole(shop: Server) -> None:
    declare(shop)
    shop.run("CREATE POLICY hole ON orders USING (true)", database="rows")
    found = declare(shop)
    assert not found.changed
    assert found.data["unmanaged"] == ["policy hole on public.orders"]
    assert "opens rows beside" in found.warnings[0]
    tables = [
        {**DECLARED["tables"][0], "policies": [{"name": "hole", "state": "absent"}, *DECLARED["tables"][0]["policies"]]}
    ]
    assert declare(shop, tables=[*tables, DECLARED["tables"][1]]).changed


def test_absent_takes_back_what_was_made_and_leaves_the_rest(shop: Server) -> None:
    declare(shop)
    shop.run("CREATE POLICY theirs ON orders USING (true)", database="rows")
    for table, enabled in (("orders", True), ("parts", False)):
        assert declare(shop, tables=[{"name": table, "state": "absent"}]).changed
        assert not declare(shop, tables=[{"name": table, "state": "absent"}]).changed
        with connect(place(shop)) as connection:
            found = rows(
                connection,
                "SELECT relrowsecurity, ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid) FROM pg_class c"
                " WHERE oid = %s::regclass",
                (table,),
            )
        assert found == [(enabled, ["theirs"] if enabled else [])]


def test_purge_takes_tables_that_are_no_longer_declared(shop: Server) -> None:
    declare(shop)
    one = [DECLARED["tables"][0]]
    assert not declare(shop, tables=one).changed
    shop.run(
        "GRANT SELECT ON parts TO shop_app", f"INSERT INTO parts VALUES (1, '{NOBODY}', '2026-01-01')", database="rows"
    )
    predicted, done = (declare(shop, tables=one, purge=True, check=check) for check in (True, False))
    assert (predicted.diff, predicted.warnings) == (done.diff, done.warnings)
    assert [warning.partition(":")[0] for warning in done.warnings] == ["public.parts is no longer declared"]
    again = declare(shop, tables=one, purge=True)
    assert (again.changed, again.diff, again.warnings) == (False, [], ())
    assert what_is_left(shop) == [(True, True, [])]
    with connect(place(shop)) as connection:
        for role in ("shop_app", "shop_owner"):
            execute(connection, f"SET ROLE {role}")
            assert counted(connection, "parts") == [0]
    opened = [*one, {"name": "parts", "state": "absent"}]
    assert declare(shop, tables=opened, purge=True).changed
    assert not declare(shop, tables=opened, purge=True).changed
    assert what_is_left(shop) == [(False, False, [])]


def what_is_left(server: Server) -> list[Any]:
    with connect(place(server)) as connection:
        return rows(
            connection,
            "SELECT relrowsecurity, relforcerowsecurity, ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid)"
            " FROM pg_class c WHERE oid = 'parts'::regclass",
        )


def test_the_context_holds_for_one_transaction_and_raises_outside_of_one(shop: Server) -> None:
    declare(shop)
    with connect(place(shop)) as connection:
        with pytest.raises(psycopg2.errors.NoActiveSqlTransaction, match="outside a transaction"):
            rows(connection, "SELECT set_user_context('7', 'admin')")
        execute(connection, "BEGIN")
        rows(connection, "SELECT set_user_context('7', 'admin')")
        setting = "SELECT current_setting('app.user_id'), current_setting('app.user_role')"
        assert rows(connection, setting) == [("7", "admin")]
        execute(connection, "COMMIT")
        assert rows(connection, setting) == [("", "")]


def test_a_context_function_may_have_any_name(shop: Server) -> None:
    name = 'it\'s 100% "odd"'
    context = {**CONTEXT, "function": '"' + name.replace('"', '""') + '"'}
    assert declare(shop, context=context).changed
    assert not declare(shop, context=context).changed
    with connect(place(shop)) as connection:
        call_it = f"SELECT public.{quote(name)}('7', 'admin')"
        with pytest.raises(psycopg2.errors.NoActiveSqlTransaction) as caught:
            rows(connection, call_it)
        assert caught.value.diag.message_primary == (
            f"{name} was called outside a transaction: its settings would not last"
        )
        execute(connection, "BEGIN")
        rows(connection, call_it)
        assert rows(connection, "SELECT current_setting('app.user_id')") == [("7",)]


def policy(**what: Any) -> list[dict[str, Any]]:
    return [{"name": "orders", "policies": [{"name": "p", **what}]}]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"application_roles": ["shop_owner"]}, "role shop_owner owns the table"),
        ({"application_roles": ["postgres"]}, "role postgres is a superuser"),
        ({"application_roles": ["nobody_here"]}, "role nobody_here does not exist"),
        ({"tables": policy(using="true", restrictive=True)}, "only restrictive policies"),
        ({"tables": policy(using="user_id = current_setting('a.b')::int")}, "without NULLIF"),
        ({"tables": policy(using="user_id = NULLIF(current_setting('a.b', true), '')::int")}, "called for each row"),
        ({"tables": policy(using="user_id = whoami()")}, r"write \(SELECT public.whoami"),
        ({"tables": policy(using="nope = 1")}, 'policy p: column "nope" does not exist'),
        ({"tables": policy(using="user_id = ")}, "syntax error"),
        ({"tables": policy(using="true); DROP TABLE orders; --")}, "closes nothing"),
        ({"tables": policy(with_check="true", command="select")}, "nothing is written"),
        ({"tables": policy(using="true", command="insert")}, "there is no row yet"),
        ({"tables": policy()}, "give using, with_check or both"),
        ({"tables": [{"name": "orders"}]}, "no policy at all"),
        ({"tables": [{"name": "shown", "policies": [{"name": "p", "using": "true"}]}]}, "is a view"),
        ({"tables": [{"name": "order", "policies": [{"name": "p", "using": "true"}]}]}, "did you mean public.orders"),
        ({"tables": [{"name": "orders", "owner_column": "nope"}]}, "has no column nope"),
        ({"tables": [DECLARED["tables"][1], DECLARED["tables"][1]]}, "protects the same table"),
        ({"context": None}, "need the context"),
        ({"context": {"user": "app"}}, "write app.user_id"),
    ],
)
def test_what_would_not_protect_is_refused_before_anything_changes(
    shop: Server, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        declare(shop, **changes)
    with connect(place(shop)) as connection:
        assert rows(connection, "SELECT polname FROM pg_policy") == []


def test_all_that_is_wrong_is_reported_together(shop: Server) -> None:
    tables = [*policy(using="nope = 1"), {"name": "parts", "policies": [{"name": "q", "using": "missing()"}]}]
    with pytest.raises(SpecError) as caught:
        declare(shop, tables=tables)
    assert len(caught.value.problems) == 2


def test_members_of_the_owner_are_refused(shop: Server) -> None:
    shop.run("GRANT shop_owner TO shop_app")
    with pytest.raises(SpecError, match="is a member of shop_owner, which owns the table"):
        declare(shop)


def test_a_constraint_on_a_protected_table_is_validated_although_its_owner_sees_no_row(shop: Server) -> None:
    shop.run("INSERT INTO orders VALUES (1, 1, 'open')", database="rows")
    declare(shop)
    wanted = [{"table": "orders", "name": "c", "expression": "id > 0"}]
    arguments = {"login_db": "rows", "session_role": "shop_owner", "check_constraints": wanted}
    done = call(shop, "check_constraints", arguments)
    assert [step["action"] for step in done.data["plan"]] == ["add", "validate"]
    assert "row security hides rows of public.orders" in done.warnings[0]
    wanted[0]["expression"] = "id > 1"
    with pytest.raises(ViolatingRows, match="rows contradict it"):
        call(shop, "check_constraints", arguments)


def test_a_policy_without_check_is_the_one_whose_check_is_using(shop: Server) -> None:
    declare(shop)
    text = "status IN ('open', 'paid') OR status = 'x'"
    shop.run(f"CREATE POLICY bare ON orders TO onlooker USING ({text})", database="rows")
    more = {"name": "bare", "roles": ["onlooker"], "using": text}
    tables = [{**DECLARED["tables"][0], "policies": [*DECLARED["tables"][0]["policies"], more]}, DECLARED["tables"][1]]
    assert declare(shop, tables=tables).diff == []
