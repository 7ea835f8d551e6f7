"""The quickstart's example database: its declarations fit its SQL, as far as can be seen without a server."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.module_utils._core.check_constraint import check_constraints
from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import Index, indexes
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security_spec import (
    Surroundings,
    context,
    protected_tables,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.view_spec import views

INVENTORY = Path(__file__).resolve().parents[2] / "inventories" / "quickstart"
VARIABLES = INVENTORY / "group_vars" / "postgresql"
INDEX_KEYS = {
    *("table", "columns", "name", "method", "unique", "nulls_not_distinct", "include", "where"),
    *("storage_parameters", "comment", "state"),
}
CHECK_KEYS = {"table", "name", "expression", "validated", "comment", "state"}


def read(name: str) -> Any:
    return yaml.safe_load((VARIABLES / name).read_text(encoding="utf-8"))


SHOP = read("main.yml")["pgstead_databases"][0]
SCRIPTS = [Path(path.replace("{{ inventory_dir }}", str(INVENTORY))) for path in SHOP["load_sql"]]
SCHEMA, DATA = (re.sub(r"--.*", "", path.read_text(encoding="utf-8")) for path in SCRIPTS)
TABLES = dict(re.findall(r"^CREATE TABLE (\w+) \(\n(.*?)^\)", SCHEMA, re.MULTILINE | re.DOTALL))
INDEXES = read("shop_indexes.yml")["shop_indexes"]
CHECKS = read("shop_checks.yml")["shop_checks"]
# materialised views have indexes as well; their columns, written as in a table
KEPT = {
    view["name"]: "".join(f", {column.split()[-1].rpartition('.')[2]} " for column in select.split(","))
    for view in read("shop_security.yml")["shop_views"]
    if view.get("materialized")
    for select in re.findall(r"^SELECT (.*?) FROM ", " ".join(view["query"].split()))
}
FOUND, PROBLEMS = indexes(INDEXES, "public")


def repeated(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def test_the_entry_takes_its_declarations_from_the_files_beside_it() -> None:
    assert SHOP["indexes"] == "{{ shop_indexes }}"
    assert SHOP["check_constraints"] == "{{ shop_checks }}"
    assert SHOP["foreign_key_indexes"] == "create"


def test_it_is_large_enough_to_look_around_in() -> None:
    assert len(TABLES) >= 25
    assert len(INDEXES) >= 40
    assert len(CHECKS) >= 50
    assert len(re.findall(r"\bREFERENCES\b", SCHEMA)) >= 35
    assert len(re.findall(r"\bPARTITION OF\b", SCHEMA)) >= 4


def test_protected_tables_and_views_fit_the_schema() -> None:
    raw = read("shop_security.yml")
    carried, problems = context(raw["shop_row_security"]["context"], "public")
    assert problems == ()
    around = Surroundings(carried, ("shop_app",), None, "public")
    found, faults = protected_tables(raw["shop_row_security"]["tables"], around)
    assert faults == ()
    for table in found:
        assert re.search(rf"\b{table.owner_column}\b", TABLES[table.table.name]), table.table
    assert views(raw["shop_views"], "public")[1] == ()


def test_every_table_has_a_primary_key_and_rows() -> None:
    assert [name for name, body in TABLES.items() if "PRIMARY KEY" not in body] == []
    assert set(re.findall(r"^INSERT INTO (\w+)", DATA, re.MULTILINE)) == set(TABLES)


@pytest.mark.parametrize(("items", "allowed"), [(INDEXES, INDEX_KEYS), (CHECKS, CHECK_KEYS)], ids=["indexes", "checks"])
def test_items_have_known_keys_and_existing_tables(items: list[dict[str, Any]], allowed: set[str]) -> None:
    """A comma in an unquoted expression makes a key of what follows it."""
    assert {key for item in items for key in item} <= allowed
    assert [item for item in items if any(value is None for value in item.values())] == []
    assert {item["table"] for item in items} <= {*TABLES, *KEPT}


def test_the_modules_would_accept_them() -> None:
    assert PROBLEMS == ()
    assert check_constraints(CHECKS, "public")[1] == ()


def test_names_are_unique_and_short_enough() -> None:
    names, checks = [index.name for index in FOUND], [check["name"] for check in CHECKS]
    constraints = [f"{table}_pkey" for table in TABLES]
    assert repeated(names + constraints + list(TABLES)) == []
    assert repeated(checks) == []
    assert [name for name in names + checks if len(name.encode()) > 63] == []


@pytest.mark.parametrize("index", FOUND, ids=lambda index: index.name)
def test_an_index_is_over_columns_of_its_table(index: Index) -> None:
    columns = [*(column.name for column in index.columns if column.name), *index.include]
    body = (TABLES | KEPT)[index.table.name]
    assert [name for name in columns if not re.search(rf"(^|, ) *{name} ", body, re.MULTILINE)] == []


def test_what_the_modules_declare_is_not_in_the_sql() -> None:
    assert not re.search(r"\b(CHECK|INDEX)\b", SCHEMA + DATA)


@pytest.mark.parametrize("text", [SCHEMA, DATA], ids=["schema", "data"])
def test_the_sql_is_for_a_driver_and_one_transaction(text: str) -> None:
    """Neither psql's own commands, nor control of transactions, nor owners; no % for the driver to replace."""
    assert not re.search(r"^\s*(\\|BEGIN\b|COMMIT\b|COPY\b|SET\b|VACUUM\b)|\bOWNER\b|%", text, re.MULTILINE)


def test_the_sql_is_read_alike_under_every_encoding() -> None:
    assert [path.name for path in SCRIPTS if not path.read_bytes().isascii()] == []


def test_the_rows_are_the_same_every_time() -> None:
    clocks = r"\b(now|random|gen_random_uuid|clock_timestamp|current_timestamp|current_date|localtimestamp)\b"
    assert not re.search(clocks, DATA, re.IGNORECASE)
