"""What the lint proposes, carried out: it mends what it came with, and breaks nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from .conftest import Server, first_and_last
from .lint_world import BOLD, MONITOR, faulty_database, found, lint
from .test_modules import call


@pytest.fixture(scope="module")
def faulty(server: Server) -> Iterator[Server]:
    with faulty_database(server):
        yield server


@pytest.fixture(scope="module")
def said(faulty: Server) -> dict[str, dict[str, Any]]:
    """Give all findings, as the superuser gets them."""
    data = lint(faulty, "lint", **BOLD)
    assert data["not_checked"] == {}
    return found(data)


@pytest.fixture
def copy(faulty: Server) -> Iterator[Server]:
    """Give a copy of the faulty database, to be mended."""
    faulty.run("CREATE DATABASE mended TEMPLATE lint")
    yield faulty
    faulty.run("DROP DATABASE mended WITH (FORCE)")


def arguments_of(kind: str, value: Any) -> dict[str, Any]:
    """Return what the role schema makes of a key of pgstead_databases."""
    if kind == "foreign_key_indexes":
        return {"mode": value}
    return dict(value) if kind == "row_security" else {kind: value}


def mend(server: Server, finding: dict[str, Any]) -> None:
    """Apply a finding's YAML by the modules that know its keys, as the role schema would."""
    for kind, value in yaml.load(finding["remediation_yaml"], Loader=Inventory).items():
        arguments = arguments_of(kind, value)
        assert call(server, kind, {"login_db": "mended", **arguments}).changed, finding["key"]
        assert not call(server, kind, {"login_db": "mended", **arguments}).changed, finding["key"]


class Inventory(yaml.SafeLoader):
    """Reads what Ansible adds to YAML."""


Inventory.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@first_and_last
def test_its_own_yaml_applied_by_our_modules_mends_what_it_came_with(
    copy: Server, said: dict[str, dict[str, Any]]
) -> None:
    mendable = {key: finding for key, finding in said.items() if finding["remediation_yaml"]}
    assert {finding["check"] for finding in mendable.values()} == {
        "foreign_key_without_index",
        "constraint_not_validated",
        "duplicate_index",
        "overlapping_index",
        "unused_index",
        "invalid_index",
        "unattached_partition_index",
        "row_security_disabled",
        "row_security_not_forced",
        "policy_column_without_index",
        "policy_setting_without_nullif",
        *(["view_bypasses_row_security", "view_without_security_invoker"] if copy.version >= 15 else []),
    }
    for key, finding in mendable.items():
        choice = {"checks": [finding["check"]], "schemas": [f"{finding['check']}_bad"], **BOLD}
        # `create` is for all foreign keys at once
        if finding["object"].startswith(choice["schemas"][0]) and key in found(lint(copy, "mended", **choice)):
            mend(copy, finding)
            assert key not in found(lint(copy, "mended", **choice)), key


def test_its_own_sql_mends_what_it_came_with(copy: Server, said: dict[str, dict[str, Any]]) -> None:
    for key, finding in said.items():
        if finding["remediation_sql"]:
            copy.run(*finding["remediation_sql"], database="mended")
        else:
            assert "a person has to" in finding["detail"].lower(), key
    left = found(lint(copy, "mended", **BOLD))
    assert sorted(key for key in left if key in said and said[key]["remediation_sql"]) == []
    # nothing that was right is wrong now, but for the indexes that nothing has read yet
    assert {key for key in left if key not in said and left[key]["check"] != "unused_index"} == set()
    copy.run(
        "INSERT INTO column_serial_bad.t DEFAULT VALUES",
        'INSERT INTO column_serial_bad."T 2" DEFAULT VALUES',
        "DO $$ BEGIN ASSERT (SELECT array_agg(id ORDER BY id) FROM column_serial_bad.t) = '{1,2}'; END $$",
        "INSERT INTO column_serial_bad.child DEFAULT VALUES",
        "SELECT nextval('column_serial_bad.clients_id_seq')",  # the name by which others know it
        "SELECT security_definer_without_search_path_bad.f('a')",
        database="mended",
    )  # fmt: skip


ODD = """
CREATE SCHEMA "Odd.Schema"; CREATE TABLE "Odd.Schema"."My ""Table" ("I d" bigint PRIMARY KEY, "select" bigint, b int);
CREATE TABLE "Odd.Schema"."Other" ("I d" bigint PRIMARY KEY, "to" bigint REFERENCES "Odd.Schema"."My ""Table");
CREATE INDEX "I.x" ON "Odd.Schema"."My ""Table" ("select" DESC); CREATE INDEX "J.x" ON "Odd.Schema"."My ""Table" ("select" DESC);
ALTER TABLE "Odd.Schema"."My ""Table" ADD CONSTRAINT "C.k" CHECK ("select" > 0) NOT VALID;
CREATE TABLE "Odd.Schema"."No Key" (a int NOT NULL); CREATE UNIQUE INDEX "U.x" ON "Odd.Schema"."No Key" (a);
CREATE TYPE "Odd.Schema"."Ty.pe" AS ENUM ('a');
CREATE FUNCTION "Odd.Schema"."F.n"("My Arg" "Odd.Schema"."Ty.pe") RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE TABLE "Odd.Schema"."Wa.ll" ("I d" bigint PRIMARY KEY, "wh.o" name);
ALTER TABLE "Odd.Schema"."Wa.ll" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "P.q" ON "Odd.Schema"."Wa.ll" USING ("wh.o" = CURRENT_USER);
CREATE VIEW "Odd.Schema"."V.w" AS SELECT "I d" FROM "Odd.Schema"."Wa.ll" WHERE "I d" > 0
"""
ODD_KEYS = [
    'constraint_not_validated:"Odd.Schema"."My ""Table"."C.k"',
    'duplicate_index:"Odd.Schema"."J.x"',
    'foreign_key_without_index:"Odd.Schema".Other.Other_to_fkey',
    'policy_column_without_index:"Odd.Schema"."Wa.ll"."wh.o"',
    'row_security_not_forced:"Odd.Schema"."Wa.ll"',
    'security_definer_without_search_path:"Odd.Schema".F.n("My Arg" "Odd.Schema"."Ty.pe")',
    'table_without_primary_key:"Odd.Schema".No Key',
    'view_bypasses_row_security:"Odd.Schema"."V.w"',
]


@pytest.mark.parametrize("way", ["remediation_yaml", "remediation_sql"])
def test_odd_names_are_kept(server: Server, way: str) -> None:
    server.run("CREATE DATABASE mended")
    server.run(ODD, database="mended")
    data = found(lint(server, "mended", schemas=["Odd.Schema"]))
    assert sorted(data) == ODD_KEYS
    for finding in data.values():
        if way == "remediation_sql":
            server.run(*finding[way], database="mended")
        elif finding[way]:
            mend(server, finding)
    left = found(lint(server, "mended", schemas=["Odd.Schema"]))
    assert sorted(left) == [key for key in ODD_KEYS if not data[key][way]]
    server.run("DROP DATABASE mended")


# (from which major on, statements, keys found)
NEWER: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (
        15,
        "CREATE TABLE n (a int NOT NULL); CREATE UNIQUE INDEX n_idx ON n (a) NULLS NOT DISTINCT",
        ("table_without_primary_key:public.n",),
    ),
    (
        18,
        """CREATE TABLE v (id int PRIMARY KEY, a int); ALTER TABLE v ADD CONSTRAINT v_a NOT NULL a NOT VALID;
        CREATE TABLE w (a int); ALTER TABLE w ADD CONSTRAINT w_a NOT NULL a NOT VALID; CREATE UNIQUE INDEX ON w (a)""",
        (
            "constraint_not_validated:public.v.v_a",
            "constraint_not_validated:public.w.w_a",
            "table_without_primary_key:public.w",
        ),
    ),
    (
        18,
        """CREATE TABLE e (id int PRIMARY KEY, a int CHECK (a > 0) NOT ENFORCED, b int REFERENCES e NOT ENFORCED)""",
        (),
    ),
)


def test_what_newer_majors_have(server: Server) -> None:
    server.run("CREATE DATABASE newer")
    known = [(text, keys) for major, text, keys in NEWER if server.version >= major]
    for text, _ in known:
        server.run(text, database="newer")
    data = found(lint(server, "newer"))
    assert sorted(data) == sorted(key for _, keys in known for key in keys)
    for key, finding in data.items():
        # an index that PRIMARY KEY USING INDEX would refuse is not proposed
        assert bool(finding["remediation_sql"]) == key.startswith("constraint_not_validated"), key
        server.run(*finding["remediation_sql"], database="newer")
    assert [key for key in found(lint(server, "newer")) if key.startswith("constraint")] == []
    server.run("DROP DATABASE newer")


def test_notes_that_may_not_be_read_are_a_check_that_was_not_made(copy: Server) -> None:
    copy.run("REVOKE SELECT ON pgstead.made FROM pg_monitor", database="mended")
    data = lint(copy, "mended", MONITOR, checks=["audit_trigger_missing"])
    assert list(data["not_checked"]) == ["audit_trigger_missing"]
    assert "GRANT SELECT ON pgstead.made" in data["not_checked"]["audit_trigger_missing"]
    # what the catalogue says by itself is still said
    assert list(found(data)) == ["audit_trigger_missing:audit_trigger_missing_bad.b.pgstead_audit_truncate"]
