"""What community.postgresql is called for: nothing on a converged server, everything on an empty one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import access, scram
from ansible_collections.pgstead.ops.plugins.module_utils._core.access import (
    Observed,
    ObservedDatabase,
    ObservedRole,
    ObservedSchema,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.databases import databases

WANTED = databases(
    [
        {
            "name": "shop",
            "owner": "boss",
            "application_role": {
                "name": "app",
                "password": "correct horse",
                "connection_limit": 20,
                "lock_timeout": "5s",
            },
            "readonly_role": {"name": "read", "password": "battery staple"},
            "schemas": ["public", "sales"],
            "extensions": ["pg_trgm", {"name": "citext", "schema": "public", "version": "1.6"}],
            "connection_limit": 50,
        }
    ],
    "C.UTF-8",
)
SECRETS = {
    name: scram.verifier(word, b"salt", 1) for name, word in (("app", "correct horse"), ("read", "battery staple"))
}
RIGHTS = {
    ("app", "table"): frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
    ("app", "sequence"): frozenset({"USAGE", "SELECT"}),
    ("read", "table"): frozenset({"SELECT"}),
    ("read", "sequence"): frozenset({"SELECT"}),
}
USAGE = frozenset({("boss", "USAGE"), ("boss", "CREATE"), ("app", "USAGE"), ("read", "USAGE")})
SCHEMAS = {
    "public": ObservedSchema("boss", USAGE, RIGHTS, {}),
    "sales": ObservedSchema("boss", USAGE, RIGHTS, {}),
}
ROLES = {
    "postgres": ObservedRole(True, True, True, -1, {}),
    "boss": ObservedRole(False, False, True, -1, {}),
    "app": ObservedRole(True, False, True, 20, {"lock_timeout": "5s", "search_path": "sales"}, SECRETS["app"]),
    "read": ObservedRole(True, False, True, -1, {"default_transaction_read_only": "on"}, SECRETS["read"]),
    "watcher": ObservedRole(True, False, True, -1, {"statement_timeout": "30s"}),
}
SHOP = ObservedDatabase(
    "boss",
    "UTF8",
    "C.UTF-8",
    50,
    frozenset(
        {("boss", "CONNECT"), ("app", "CONNECT"), ("app", "TEMPORARY"), ("read", "CONNECT"), ("watcher", "CONNECT")}
    ),
    SCHEMAS,
    {"pg_trgm": ("public", "1.6"), "citext": ("public", "1.6"), "plpgsql": ("pg_catalog", "1.0")},
)
CONVERGED = Observed(
    ROLES, frozenset({("pg_monitor", "watcher")}), {"shop": SHOP, "postgres": replace(SHOP, owner="postgres")}
)


def plan(observed: Observed) -> dict[str, list[dict[str, Any]]]:
    """Return the kinds that have something to do."""
    return {kind: steps for kind, steps in access.plan(WANTED, "watcher", observed).items() if steps}


def with_role(name: str, **changed: Any) -> Observed:
    return replace(CONVERGED, roles=ROLES | {name: replace(ROLES[name], **changed)})


def with_database(**changed: Any) -> Observed:
    return replace(CONVERGED, databases=dict(CONVERGED.databases) | {"shop": replace(SHOP, **changed)})


def with_schema(name: str, **changed: Any) -> Observed:
    return with_database(schemas=SCHEMAS | {name: replace(SCHEMAS[name], **changed)})


def test_nothing_to_do_on_a_converged_server() -> None:
    steps = access.plan(WANTED, "watcher", CONVERGED)
    assert tuple(steps) == access.KINDS
    assert plan(CONVERGED) == {}
    assert access.findings(WANTED, CONVERGED) == ()


def test_everything_on_an_empty_server() -> None:
    steps = access.plan(WANTED, "watcher", Observed())
    assert [(role["name"], role["role_attr_flags"].split(",")[0], role["set_password"]) for role in steps["roles"]] == [
        ("boss", "NOLOGIN", False),
        ("app", "LOGIN", True),
        ("read", "LOGIN", True),
        ("watcher", "LOGIN", False),
    ]
    assert steps["memberships"] == [{"group": "pg_monitor", "member": "watcher"}]
    assert steps["databases"] == [
        {"name": "shop", "owner": "boss", "encoding": "UTF8", "locale": "C.UTF-8", "connection_limit": 50}
    ]
    assert steps["schemas"] == [{"database": "shop", "name": name, "owner": "boss"} for name in ("public", "sales")]
    assert [(e["name"], e["schema"], e["version"]) for e in steps["extensions"]] == [
        ("pg_trgm", "", ""),
        ("citext", "public", "1.6"),
    ]
    revoked = [(step["type"], step["privileges"]) for step in steps["privileges"] if step["state"] == "absent"]
    assert revoked == [("database", "CONNECT,TEMPORARY"), ("schema", "CREATE,USAGE")]
    # 3 on the database; in each of 2 schemas for each of 2 roles: usage, default tables, default sequences
    assert len(steps["privileges"]) - len(revoked) == 3 + 2 * 2 * 3


def test_no_privileged_role_is_ever_asked_for() -> None:
    for role in access.plan(WANTED, "watcher", Observed())["roles"]:
        assert role["role_attr_flags"].split(",")[1:] == [
            "NOSUPERUSER",
            "NOCREATEDB",
            "NOCREATEROLE",
            "NOREPLICATION",
            "NOBYPASSRLS",
            "INHERIT",
        ]


def test_no_secret_in_plan_or_repr() -> None:
    text = repr(access.plan(WANTED, "watcher", Observed())) + repr(CONVERGED) + repr(WANTED)
    assert "SCRAM" not in text
    assert "correct horse" not in text
    assert "battery staple" not in text


@pytest.mark.parametrize(
    ("name", "changed", "set_password"),
    [
        ("boss", {"login": True}, False),
        ("boss", {"privileged": True}, False),
        ("boss", {"inherit": False}, False),
        ("boss", {"connection_limit": 5}, False),
        ("app", {"login": False}, False),
        ("app", {"privileged": True}, False),
        ("app", {"inherit": False}, False),
        ("app", {"connection_limit": -1}, False),
        ("app", {"parameters": {}}, False),
        ("app", {"parameters": {"lock_timeout": "6s"}}, False),
        ("app", {"secret": None}, True),
        ("app", {"secret": SECRETS["read"]}, True),
        ("app", {"secret": "md5" + "0" * 32}, True),
        ("read", {"parameters": {"default_transaction_read_only": "off"}}, False),
        ("watcher", {"login": False}, False),
        ("watcher", {"parameters": {"statement_timeout": "0"}}, False),
    ],
)
def test_a_drifted_role_is_the_only_step(name: str, changed: dict[str, Any], set_password: bool) -> None:
    steps = plan(with_role(name, **changed))
    assert list(steps) == ["roles"]
    (role,) = steps["roles"]
    assert (role["name"], role["set_password"]) == (name, set_password)


def test_a_role_step_says_everything_about_it() -> None:
    (role,) = plan(with_role("app", connection_limit=-1))["roles"]
    assert role["connection_limit"] == 20
    # what somebody else set on the role is kept
    assert role["parameters"] == {"lock_timeout": "5s", "search_path": "sales"}


def test_a_timeout_that_left_the_inventory_leaves_the_role() -> None:
    seen = with_role("app", parameters={"lock_timeout": "5s", "statement_timeout": "9s", "search_path": "sales"})
    (role,) = plan(seen)["roles"]
    assert role["parameters"] == {"lock_timeout": "5s", "search_path": "sales"}


def test_a_role_without_a_declared_password_is_not_compared() -> None:
    bare = databases([{"name": "shop", "owner": "boss", "application_role": {"name": "app"}}], "C.UTF-8")
    seen = with_role("app", connection_limit=-1, secret=None, parameters={})
    assert access.plan(bare, "watcher", seen)["roles"] == []


def test_a_missing_membership() -> None:
    observed = replace(CONVERGED, memberships=frozenset({("pg_monitor", "app")}))
    assert plan(observed) == {"memberships": [{"group": "pg_monitor", "member": "watcher"}]}


def test_a_drifted_database() -> None:
    steps = plan(with_database(connection_limit=-1))
    assert list(steps) == ["databases"]
    assert (steps["databases"][0]["owner"], steps["databases"][0]["connection_limit"]) == ("boss", 50)


def test_what_another_owner_gives_by_default_the_new_one_does_not() -> None:
    """One run is enough: what the catalogue has is of the owner that was."""
    steps = plan(with_database(owner="postgres"))
    assert list(steps) == ["databases", "privileges"]
    assert {(s["type"], s["schema"], s["roles"], s["objects"], s["target_roles"]) for s in steps["privileges"]} == {
        ("default_privs", schema, role, kind, "boss")
        for schema in ("public", "sales")
        for role in ("app", "read")
        for kind in ("TABLES", "SEQUENCES")
    }


def test_encoding_and_locale_are_said_not_changed() -> None:
    observed = with_database(encoding="LATIN1", locale="de_DE")
    assert plan(observed) == {}
    (found,) = access.findings(WANTED, observed)
    assert all(word in found for word in ("shop", "LATIN1", "de_DE", "UTF8", "C.UTF-8"))
    # nor asked of the server together with what can be changed, which would fail the run
    (asked,) = plan(replace(observed, databases={"shop": replace(observed.databases["shop"], connection_limit=7)}))[
        "databases"
    ]
    assert (asked["encoding"], asked["locale"], asked["connection_limit"]) == ("LATIN1", "de_DE", 50)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ({("app", "shop"): {"lock_timeout": "0"}}, ["role app has lock_timeout = 0 in database shop, where the inventory says 5s"]),
        ({("app", "other"): {"lock_timeout": "1min"}}, ["ALTER ROLE app IN DATABASE other RESET lock_timeout"]),
        ({("read", "shop"): {"default_transaction_read_only": "off"}}, ["role read has default_transaction_read_only = off"]),
        ({("app", "shop"): {"lock_timeout": "5s", "work_mem": "1GB"}}, []),
        ({("somebody", "shop"): {"lock_timeout": "0"}}, []),
    ],
)  # fmt: skip
def test_what_is_set_for_a_role_in_one_database_wins_and_is_said(
    inside: dict[tuple[str, str], dict[str, str]], said: list[str]
) -> None:
    observed = replace(CONVERGED, inside=inside)
    assert plan(observed) == {}
    found = access.findings(WANTED, observed)
    assert len(found) == len(said)
    assert all(words in line for words, line in zip(said, found, strict=True))


def privilege(**more: str) -> dict[str, Any]:
    return {"database": "shop", "state": "present"} | more


DATABASE: dict[str, str] = {"type": "database", "objects": "shop"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda: with_database(acl=SHOP.acl | {("", "CONNECT")}),
            privilege(roles="PUBLIC", privileges="CONNECT", state="absent", **DATABASE),
        ),
        (
            lambda: with_database(acl=SHOP.acl - {("app", "TEMPORARY")}),
            privilege(roles="app", privileges="TEMPORARY", **DATABASE),
        ),
        (
            lambda: with_database(acl=SHOP.acl - {("read", "CONNECT")}),
            privilege(roles="read", privileges="CONNECT", **DATABASE),
        ),
        (
            lambda: with_database(acl=SHOP.acl - {("watcher", "CONNECT")}),
            privilege(roles="watcher", privileges="CONNECT", **DATABASE),
        ),
        (
            lambda: with_schema("public", acl=USAGE | {("", "CREATE")}),
            privilege(roles="PUBLIC", privileges="CREATE", type="schema", objects="public", state="absent"),
        ),
        (
            lambda: with_schema("sales", acl=USAGE - {("read", "USAGE")}),
            privilege(roles="read", privileges="USAGE", type="schema", objects="sales"),
        ),
        (
            lambda: with_schema("sales", defaults=RIGHTS | {("app", "table"): frozenset({"SELECT", "INSERT"})}),
            privilege(
                roles="app",
                privileges="UPDATE,DELETE",
                type="default_privs",
                objects="TABLES",
                schema="sales",
                target_roles="boss",
            ),
        ),
        (
            lambda: with_schema("public", defaults={key: RIGHTS[key] for key in RIGHTS if key != ("read", "sequence")}),
            privilege(
                roles="read",
                privileges="SELECT",
                type="default_privs",
                objects="SEQUENCES",
                schema="public",
                target_roles="boss",
            ),
        ),
        (
            lambda: with_schema("sales", lacking={("app", "table"): frozenset({"DELETE"})}),
            privilege(
                roles="app",
                privileges="SELECT,INSERT,UPDATE,DELETE",
                type="table",
                objects="ALL_IN_SCHEMA",
                schema="sales",
            ),
        ),
        (
            lambda: with_schema("sales", lacking={("read", "sequence"): frozenset({"SELECT"})}),
            privilege(roles="read", privileges="SELECT", type="sequence", objects="ALL_IN_SCHEMA", schema="sales"),
        ),
    ],
)
def test_a_single_drifted_privilege(change: Callable[[], Observed], expected: dict[str, Any]) -> None:
    assert plan(change()) == {"privileges": [expected]}


def test_rights_that_are_not_ours_are_left_alone() -> None:
    assert plan(with_schema("sales", lacking={("read", "table"): frozenset({"INSERT"})})) == {}
    assert plan(with_schema("sales", acl=USAGE | {("", "USAGE")})) == {}


def test_a_missing_schema() -> None:
    steps = plan(with_database(schemas={"public": SCHEMAS["public"]}))
    assert steps["schemas"] == [{"database": "shop", "name": "sales", "owner": "boss"}]
    assert {step["schema"] for step in steps["privileges"] if "schema" in step} == {"sales"}


@pytest.mark.parametrize(("name", "owner"), [("sales", "app"), ("public", "postgres"), ("public", "pg_database_owner")])
def test_a_schema_of_another_owner(name: str, owner: str) -> None:
    assert plan(with_schema(name, owner=owner)) == {"schemas": [{"database": "shop", "name": name, "owner": "boss"}]}


def test_public_is_closed_where_it_is_not_used_either() -> None:
    other = [replace(WANTED[0], schemas=("sales",))]
    observed = with_schema("public", acl=frozenset({("", "USAGE"), ("", "CREATE")}))
    steps = access.plan(other, "watcher", observed)
    assert [(s["roles"], s["privileges"], s["state"]) for s in steps["privileges"]] == [
        ("PUBLIC", "CREATE,USAGE", "absent")
    ]
    assert access.plan(other, "watcher", CONVERGED)["privileges"] == []


def test_a_public_that_somebody_dropped_is_not_closed() -> None:
    other = [replace(WANTED[0], schemas=("sales",))]
    observed = with_database(schemas={"sales": SCHEMAS["sales"]})
    assert access.plan(other, "watcher", observed)["privileges"] == []
    new = [s["objects"] for s in access.plan(other, "watcher", Observed())["privileges"] if s["state"] == "absent"]
    assert new == ["shop", "public"]


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ({"pg_trgm": ("public", "1.6")}, "citext"),
        ({"citext": ("public", "1.6")}, "pg_trgm"),
        ({"pg_trgm": ("any", "9"), "citext": ("public", "1.5")}, "citext"),
        ({"pg_trgm": ("any", "9"), "citext": ("sales", "1.6")}, "citext"),
    ],
)
def test_extensions(extensions: dict[str, tuple[str, str]], expected: str) -> None:
    steps = plan(with_database(extensions=extensions))
    assert [(kind, step["name"]) for kind in steps for step in steps[kind]] == [("extensions", expected)]


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        (
            replace(CONVERGED, memberships=CONVERGED.memberships | {("boss", "app")}),
            "role app is a member of the owner boss",
        ),
        (with_database(owner="read"), "role read owns database shop"),
    ],
)
def test_findings(observed: Observed, said: str) -> None:
    (found,) = access.findings(WANTED, observed)
    assert found.startswith(said)
