"""A role that may not make every change of a plan is refused before the first, and told so in check mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import PermissionDenied
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import connect, rows

from .conftest import Server
from .test_modules import call

DATABASE = "rights"
TABLES = f"""
CREATE ROLE rights_app; CREATE ROLE rights_boss; CREATE ROLE rights_clerk; GRANT CREATE, TEMPORARY ON DATABASE {DATABASE} TO rights_clerk;
REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO rights_clerk, rights_boss;
CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO rights_clerk;
CREATE SCHEMA yard AUTHORIZATION rights_clerk; GRANT CREATE, USAGE ON SCHEMA yard TO rights_boss;
CREATE TABLE mine (id int PRIMARY KEY, a int); ALTER TABLE mine OWNER TO rights_clerk;
CREATE TABLE split (a int) PARTITION BY LIST (a); ALTER TABLE split OWNER TO rights_clerk;
CREATE TABLE closed.here (id int, a int); ALTER TABLE closed.here OWNER TO rights_clerk;
CREATE TABLE split_1 PARTITION OF split DEFAULT; ALTER TABLE split_1 OWNER TO rights_boss;
SET ROLE rights_boss;
CREATE TABLE theirs (id int PRIMARY KEY, a int); CREATE VIEW shown AS SELECT id FROM theirs;
CREATE TABLE yard.lent (a int); CREATE INDEX lent_a ON yard.lent (a);
GRANT SELECT, TRIGGER ON theirs, split_1 TO rights_clerk;
"""
SNAPSHOT = """
SELECT c.oid::regclass::text, pg_get_viewdef(c.oid), c.relrowsecurity FROM pg_class c WHERE c.oid >= 16384
UNION ALL SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conrelid >= 16384
UNION ALL SELECT nspname, '', false FROM pg_namespace
UNION ALL SELECT tgname, '', false FROM pg_trigger
ORDER BY 1, 2
"""


def index(table: str, **more: Any) -> dict[str, Any]:
    return {"table": table, "columns": ["a"], **more}


def check(table: str) -> dict[str, Any]:
    return {"table": table, "name": "positive", "expression": "a > 0"}


@pytest.fixture
def shop(server: Server) -> Iterator[Server]:
    server.run(f"CREATE DATABASE {DATABASE}")
    server.run(TABLES, database=DATABASE)
    yield server
    server.run(
        f"DROP DATABASE {DATABASE} WITH (FORCE)",
        "DROP ROLE rights_boss",
        "DROP ROLE rights_clerk",
        "DROP ROLE rights_app",
    )


def declare(server: Server, module: str, *, check: bool = False, **told: Any) -> Any:
    return call(server, module, {"login_db": DATABASE, "session_role": "rights_clerk", **told}, check=check)


def snapshot(server: Server) -> list[tuple[Any, ...]]:
    with connect(replace(server.target, database=DATABASE)) as connection:
        return rows(connection, SNAPSHOT)


VIEWS = [{"name": "a_new_one", "query": "SELECT 1 AS one"}, {"name": "shown", "query": "SELECT a FROM public.theirs"}]
LOCKED = [{"name": name, "owner_column": "a"} for name in ("mine", "theirs")]
NOT_MINE = "public.theirs belongs to rights_boss"
PART = "public.split_1 belongs to rights_boss"
NO_NAMES = "it has no CREATE in closed, where things get a name"
CASES = {
    "an index": ("indexes", {"indexes": [index("mine"), index("theirs")]}, NOT_MINE),
    "the name of an index": ("indexes", {"indexes": [index("mine"), index("closed.here")]}, NO_NAMES),
    "a partition": ("indexes", {"indexes": [index("mine"), index("split")]}, PART),
    "a constraint": ("check_constraints", {"check_constraints": [check("mine"), check("theirs")]}, NOT_MINE),
    "a constraint below": ("check_constraints", {"check_constraints": [check("mine"), check("split")]}, PART),
    "a view": ("views", {"views": VIEWS}, "public.shown belongs to rights_boss"),
    "the name of a view": ("views", {"views": [VIEWS[0], {**VIEWS[0], "name": "closed.other"}]}, NO_NAMES),
    "a policy": (
        "row_security",
        {"tables": LOCKED, "context": {"user": "app.user_id"}, "application_roles": ["rights_app"]},
        NOT_MINE,
    ),
    "a trigger": ("audit", {"tables": [{"name": "mine"}, {"name": "theirs"}]}, NOT_MINE),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_begun_that_would_be_refused_on_the_way(shop: Server, case: str) -> None:
    module, told, why = CASES[case]
    before = snapshot(shop)
    looked = declare(shop, module, check=True, **told)
    assert [
        line for line in looked.warnings if line.startswith("a run would be refused: role rights_clerk") and why in line
    ]
    with pytest.raises(PermissionDenied, match=f"role rights_clerk may not do this: .*{why}.*Nothing was changed"):
        declare(shop, module, **told)
    assert snapshot(shop) == before


def test_what_a_role_may_do_it_does(shop: Server) -> None:
    """A constraint needs no right to make names, and the owner of a schema may drop what is in it."""
    assert not declare(shop, "check_constraints", check=True, check_constraints=[check("closed.here")]).warnings
    assert declare(shop, "check_constraints", check_constraints=[check("closed.here")]).changed
    gone = [{**index("yard.lent"), "name": "lent_a", "state": "absent"}]
    assert declare(shop, "indexes", indexes=gone).changed
    assert not declare(shop, "indexes", indexes=gone).changed
    own = [VIEWS[0], {"name": "yard.mine", "query": "SELECT 1 AS one"}]
    assert declare(shop, "views", views=own).changed
    shop.run("GRANT rights_boss TO rights_clerk", database=DATABASE)
    assert declare(shop, "indexes", indexes=[index("mine"), index("theirs"), index("split")]).changed


def test_a_schema_for_notes_that_cannot_be_made_is_told_before(shop: Server) -> None:
    shop.run(f"REVOKE CREATE ON DATABASE {DATABASE} FROM rights_clerk", database=DATABASE)
    why = f"role rights_clerk cannot make the schema pgstead.* Grant it CREATE on the database {DATABASE}"
    (warning,) = declare(shop, "indexes", check=True, indexes=[index("mine")]).warnings
    assert warning.startswith("a run would be refused: role rights_clerk cannot make the schema pgstead")
    with pytest.raises(PermissionDenied, match=why):
        declare(shop, "indexes", indexes=[index("mine")])
