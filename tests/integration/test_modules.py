"""The schema modules as Ansible calls them: their documented examples, foreign keys, and the export."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import ConnectionFailed, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome

from .conftest import USER, Server
from .test_schema_interruptions import killed_after_one_step

PREFIX = "ansible_collections.pgstead.ops.plugins.modules."
SHOP = """
CREATE TABLE users (id bigint PRIMARY KEY, email text, manager_id bigint REFERENCES users);
CREATE TABLE currencies (code text PRIMARY KEY);
CREATE TABLE orders (
    id bigint PRIMARY KEY, user_id bigint REFERENCES users, status varchar(10), created_at timestamptz, total numeric,
    metadata jsonb, currency text CONSTRAINT orders_currency_fkey REFERENCES currencies);
CREATE INDEX orders_old_idx ON orders (total);
INSERT INTO users SELECT i, i || '@example.org' FROM generate_series(1, 100) i;
INSERT INTO orders SELECT i, 1 + i % 100, 'open', timestamptz '2025-01-01' + i * interval '1 hour', i, '{}'
FROM generate_series(1, 1000) i;
CREATE ROLE shop_owner;
GRANT CREATE, TEMPORARY ON DATABASE shop TO shop_owner;
ALTER TABLE users OWNER TO shop_owner; ALTER TABLE orders OWNER TO shop_owner; ALTER TABLE currencies OWNER TO shop_owner;
GRANT USAGE, CREATE ON SCHEMA public TO shop_owner
"""


def place(server: Server, database: str = "shop") -> Target:
    return Target(server.target.socket_directory, server.target.port, database, system_user=USER)


@pytest.fixture
def shop(server: Server) -> Iterator[Server]:
    server.run("DROP DATABASE IF EXISTS shop WITH (FORCE)", "CREATE DATABASE shop")  # test_majors.py leaves one
    server.run(SHOP, database="shop")
    yield server
    server.run("DROP DATABASE shop WITH (FORCE)", "DROP ROLE shop_owner")


def call(server: Server, name: str, arguments: dict[str, Any], *, check: bool = False) -> Outcome:
    """Call a module's job as AnsibleModule would, on this server's socket."""
    module = importlib.import_module(PREFIX + name)
    target = server.target
    here = {
        "login_unix_socket": target.socket_directory,
        "login_port": target.port,
        "system_user": USER,
        "login_host": "",
        "login_user": "postgres",
    }
    result = ArgumentSpecValidator(module.ARGUMENTS).validate({"login_db": "shop", **arguments, **here})
    assert result.error_messages == []
    return module.job(result.validated_parameters, Context(lambda _argv: (1, "", ""), check))


def examples(name: str) -> list[dict[str, Any]]:
    module = importlib.import_module(PREFIX + name)
    tasks = yaml.safe_load(module.EXAMPLES)
    return [task[f"pgstead.ops.{name}"] for task in tasks if f"pgstead.ops.{name}" in task]


@pytest.mark.parametrize("name", ["indexes", "foreign_key_indexes", "check_constraints"])
def test_documented_examples_do_what_they_say_and_then_nothing(shop: Server, name: str) -> None:
    tasks = examples(name)
    assert tasks
    for arguments in tasks:
        arguments.pop("login_password", None)
        predicted = call(shop, name, arguments, check=True)
        done = call(shop, name, arguments)
        assert (predicted.changed, predicted.diff) == (done.changed, done.diff)
        assert [step["sql"] for step in predicted.data["plan"]] == [step["sql"] for step in done.data["plan"]]
        assert not call(shop, name, arguments).changed


def test_the_documented_export_is_accepted(shop: Server) -> None:
    (arguments,) = examples("schema_export_info")
    found = call(shop, "schema_export_info", arguments)
    assert found.data["export"]["foreign_key_indexes"] == "report"
    assert [item["name"] for item in found.data["export"]["indexes"]] == ["orders_old_idx"]


def test_foreign_keys_are_reported_then_given_indexes(shop: Server) -> None:
    report = call(shop, "foreign_key_indexes", {})
    assert not report.changed
    assert {item["constraint"] for item in report.data["missing"]} == {
        "users_manager_id_fkey",
        "orders_user_id_fkey",
        "orders_currency_fkey",
    }
    wanted = {"mode": "create", "exclude": [{"table": "orders", "constraint": "orders_currency_fkey"}]}
    predicted = call(shop, "foreign_key_indexes", wanted, check=True)
    done = call(shop, "foreign_key_indexes", wanted)
    assert predicted.diff == done.diff
    assert [item["before_header"] for item in done.diff] == [
        "index public.orders_user_id_fkey_idx",
        "index public.users_manager_id_fkey_idx",
    ]
    assert not call(shop, "foreign_key_indexes", wanted).changed
    assert [item["constraint"] for item in call(shop, "foreign_key_indexes", {}).data["missing"]] == [
        "orders_currency_fkey"
    ]


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX i ON orders (user_id) WHERE status = 'open'",
        "CREATE INDEX i ON orders (id, user_id)",
        "CREATE INDEX i ON orders USING brin (user_id)",
        "CREATE INDEX i ON orders ((user_id + 0))",
    ],
)
def test_an_index_that_does_not_serve_the_key_does_not_count(shop: Server, index: str) -> None:
    shop.run(index, database="shop")
    missing = {item["constraint"] for item in call(shop, "foreign_key_indexes", {}).data["missing"]}
    assert "orders_user_id_fkey" in missing


@pytest.mark.parametrize(
    "index", ["CREATE INDEX i ON orders (user_id, id)", "CREATE INDEX i ON orders USING hash (user_id)"]
)
def test_an_index_that_serves_the_key_counts(shop: Server, index: str) -> None:
    shop.run(index, database="shop")
    missing = {item["constraint"] for item in call(shop, "foreign_key_indexes", {}).data["missing"]}
    assert "orders_user_id_fkey" not in missing


def test_purge_takes_back_what_another_index_made_needless(shop: Server) -> None:
    call(shop, "foreign_key_indexes", {"mode": "create"})
    shop.run("CREATE INDEX better ON orders (user_id, status)", database="shop")
    assert not call(shop, "foreign_key_indexes", {"mode": "create"}).changed
    done = call(shop, "foreign_key_indexes", {"mode": "create", "purge": True})
    assert [(step["action"], step["object"]) for step in done.data["plan"]] == [("drop", "orders_user_id_fkey_idx")]
    assert call(shop, "foreign_key_indexes", {}).data["missing"] == []


def test_partitioned_foreign_keys_and_drift(shop: Server) -> None:
    shop.run(
        "CREATE TABLE lines (order_id bigint REFERENCES orders, at date) PARTITION BY RANGE (at)",
        "CREATE TABLE lines_1 PARTITION OF lines FOR VALUES FROM ('2025-01-01') TO ('2025-02-01')",
        "CREATE TABLE lines_2 PARTITION OF lines DEFAULT",
        database="shop",
    )
    done = call(shop, "foreign_key_indexes", {"mode": "create", "exclude": [{"table": "orders"}, {"table": "users"}]})
    assert [step["action"] for step in done.data["plan"]] == ["create_only", "build", "attach", "build", "attach"]
    assert [item["table"] for item in done.data["missing"]] == ["public.lines"]
    shop.run("DROP INDEX lines_order_id_fkey_idx", database="shop")
    healed = call(shop, "foreign_key_indexes", {"mode": "create", "exclude": [{"table": "orders"}, {"table": "users"}]})
    assert len(healed.data["drift"]) == 1
    assert healed.warnings == tuple(healed.data["drift"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"exclude": [{"table": "orders", "constraint": "gone"}]}, "public.orders has no foreign key gone"),
        ({"minimum_size": "huge"}, "minimum_size"),
        ({"lock_timeout": "soon"}, "lock_timeout"),
        ({"lock_timeout": "0"}, "above 0"),
        ({"lock_attempts": 0}, "at least one try"),
    ],
)
def test_bad_options_are_refused_by_name(shop: Server, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        call(shop, "foreign_key_indexes", arguments)


DECLARED = {"indexes": [{"table": "orders", "columns": ["user_id"]}]}


def test_without_tables_the_database_is_waiting(server: Server) -> None:
    server.run("CREATE DATABASE empty")
    found = call(server, "indexes", {"login_db": "empty", **DECLARED})
    server.run("DROP DATABASE empty")
    assert (found.changed, found.data["waiting"]) == (False, True)


def test_indexes_of_foreign_keys_killed_after_any_step_are_gone_on_with(shop: Server) -> None:
    def left() -> list[tuple[str, str]]:
        plan = call(shop, "foreign_key_indexes", {"mode": "create"}, check=True).data["plan"]
        return [(step["action"], step["object"]) for step in plan]

    steps = left()
    assert [action for action, _ in steps] == ["build", "adopt"] * 3
    while steps:
        killed_after_one_step(lambda _items: call(shop, "foreign_key_indexes", {"mode": "create"}), [])
        assert left() == steps[1:]
        steps = steps[1:]


def test_without_a_database_check_mode_says_what_would_follow(server: Server) -> None:
    found = call(server, "indexes", {"login_db": "later", **DECLARED}, check=True)
    assert (found.changed, found.data["msg"]) == (
        True,
        "1 indexes would follow: there is no database later to ask yet",
    )
    with pytest.raises(ConnectionFailed, match='database "later" does not exist'):
        call(server, "indexes", {"login_db": "later", **DECLARED})


def test_export_of_a_large_schema_applies_without_change_before_and_after_dump_and_restore(server: Server) -> None:
    server.run("CREATE DATABASE large", "CREATE DATABASE restored")
    tables = [
        f"CREATE TABLE t{i} (id bigint PRIMARY KEY, name varchar(20), n int, at timestamptz, doc jsonb, t{i}_ref int, "
        f"CONSTRAINT c{i} CHECK (name IN ('a', 'b') OR n BETWEEN 1 AND {i}), CHECK (n > 0 AND doc IS NOT NULL))"
        for i in range(120)
    ]
    indexes = [
        statement
        for i in range(120)
        for statement in (
            f"CREATE INDEX ON t{i} (name, at DESC NULLS LAST)",
            f"CREATE UNIQUE INDEX u{i} ON t{i} (lower(name)) INCLUDE (n) WHERE name IN ('a', 'b')",
            f"CREATE INDEX ON t{i} USING gin (doc jsonb_path_ops) WITH (fastupdate = off)",
            f'CREATE INDEX ON t{i} USING hash (name COLLATE "C" text_pattern_ops)',
        )
    ]
    server.run("; ".join(tables), "; ".join(indexes), database="large")
    server.restore("restored", server.dump("large"))
    found = call(server, "schema_export_info", {"login_db": "large"})
    assert (found.data["msg"], found.data["left_out"]) == (
        "480 indexes, 240 check constraints, 0 views, 0 protected tables, 0 audited tables",
        [],
    )
    for database in ("large", "restored"):
        for kind in ("indexes", "check_constraints"):
            again = call(server, kind, {"login_db": database, kind: found.data["export"][kind]}, check=True)
            assert (again.changed, again.diff) == (False, []), database
    server.run("DROP DATABASE large", "DROP DATABASE restored")
