"""`pgstead_databases` as values, and what can be wrong with it."""

from __future__ import annotations

from collections import UserString
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import databases as db
from ansible_collections.pgstead.ops.plugins.module_utils._core import scram

VERIFIER = scram.verifier("correct horse", b"salt")


def item(**changed: Any) -> dict[str, Any]:
    base = {
        "name": "shop",
        "owner": "shop_owner",
        "application_role": {"name": "shop_app", "password": "correct horse"},
    }
    return base | changed


def role(**changed: Any) -> dict[str, Any]:
    return item(application_role={"name": "shop_app", "password": "correct horse"} | changed)


def complaints(*items: Mapping[str, Any], monitoring: str = "watcher") -> list[str]:
    return [str(problem) for problem in db.check(db.databases(items, "C.UTF-8"), monitoring)]


def test_a_bare_entry_gets_defaults() -> None:
    (found,) = db.databases([{"name": "shop", "owner": "boss"}], "C.UTF-8")
    assert found == db.Database("shop", "boss", None, None, ("public",), (), "UTF8", "C.UTF-8", -1, db.Pool())
    assert found.logins == ()


def test_a_full_entry() -> None:
    entry = {
        "name": "shop",
        "owner": "boss",
        "application_role": {
            "name": "app",
            "password": "secret-1",
            "connection_limit": 0,
            "statement_timeout": "30s",
            "lock_timeout": 0,
            "idle_in_transaction_session_timeout": "",
        },
        "readonly_role": {"name": "read", "password": "secret-2", "connection_limit": 7},
        "schemas": ["sales", "stock"],
        "extensions": ["pg_trgm", {"name": "citext", "schema": "ext", "version": "1.6"}],
        "encoding": "LATIN1",
        "locale": "de_DE",
        "connection_limit": 50,
        "pool": {"size": 5, "reserve": 0, "mode": "session"},
    }
    (found,) = db.databases([entry], "C.UTF-8")
    assert found == db.Database(
        "shop",
        "boss",
        db.LoginRole("app", "secret-1", 0, (("lock_timeout", "0"), ("statement_timeout", "30s"))),
        db.LoginRole("read", "secret-2", 7, (("default_transaction_read_only", "on"),)),
        ("sales", "stock"),
        (db.Extension("pg_trgm"), db.Extension("citext", "ext", "1.6")),
        "LATIN1",
        "de_DE",
        50,
        db.Pool(5, 0, "session"),
    )
    assert [login.name for login in found.logins] == ["app", "read"]


def test_absent_entries_are_left_out() -> None:
    found = db.databases([item(state="absent"), item(name="kept", state="present")], "C")
    assert [database.name for database in found] == ["kept"]


def test_no_secret_in_a_repr() -> None:
    found = db.databases([item(readonly_role={"name": "r", "password": VERIFIER})], "C")
    assert "correct horse" not in repr(found)
    assert "SCRAM" not in repr(found)
    assert "shop_app" in repr(found)


def test_passwords_travel_apart() -> None:
    bare = db.databases(
        [item(application_role={"name": "app"}, readonly_role={"name": "read", "password": "kept-one"})], "C"
    )
    (found,) = db.with_passwords(bare, {"app": "given-one", "other": "x"})
    assert [login.password for login in found.logins] == ["given-one", "kept-one"]
    assert db.with_passwords(db.databases([{"name": "a", "owner": "b"}], "C"), {})[0].logins == ()


@pytest.mark.parametrize(
    "entry",
    [
        item(),
        item(name="Shop with spaces"),
        item(name="ü" * 31),
        role(password=VERIFIER),
        role(password="12345678"),
        role(password=UserString("vaulted in place")),  # Ansible's own texts need not be str
        role(password="md5 is only a word here"),
        role(connection_limit=0, statement_timeout="0", lock_timeout="5s", idle_in_transaction_session_timeout="1min"),
        item(pool={"size": 1, "reserve": 0, "mode": "statement"}, connection_limit=0),
        item(schemas=["app", "public"]),
        {"name": "shop", "owner": "boss"},
    ],
)
def test_good_entries(entry: dict[str, Any]) -> None:
    assert complaints(entry) == []


def test_databases_may_share_an_owner() -> None:
    assert complaints(item(), {"name": "other", "owner": "shop_owner"}) == []


@pytest.mark.parametrize(
    ("entry", "where", "said"),
    [
        (item(name=""), "name", "needs a name"),
        (item(name="a\x00b"), "name", "control characters"),
        (item(name="shop\n"), "name", "control characters"),
        (item(name='sh"op'), "name", "quotation marks"),
        (item(name="a,b"), "name", "commas"),
        (item(name="x" * 64), "name", "63 bytes"),
        (item(name="ü" * 32), "name", "63 bytes"),
        (item(name="template1"), "name", "keeps for itself"),
        (item(name="postgres"), "name", "keeps for itself"),
        (item(name="PgBouncer"), "name", "keeps for itself"),
        (item(name="pgb_auth"), "name", "keeps for itself"),
        (item(owner="postgres"), "owner", "keeps for itself"),
        (item(owner="PUBLIC"), "owner", "keeps for itself"),
        (item(owner="pg_monitor"), "owner", "keeps for itself"),
        (item(owner="watcher"), "owner", "postgresql_monitoring_role"),
        (role(name="pgbouncer_auth"), "application_role.name", "keeps for itself"),
        (role(name="shop_owner"), "application_role.name", "pgstead_databases[0].owner"),
        (role(name="watcher"), "application_role.name", "postgresql_monitoring_role"),
        (role(password=None), "application_role.password", "missing"),
        (role(password=""), "application_role.password", "missing"),
        (role(password="1234567"), "application_role.password", "8 characters"),
        (role(name="long_enough", password="long_enough"), "application_role.password", "or the name"),
        (role(password="md5" + "a" * 32), "application_role.password", "MD5"),
        (role(password="SCRAM-SHA-256$4096:AAAA$BBBB:CCCC"), "application_role.password", "not a valid one"),
        (role(password=VERIFIER + "\n"), "application_role.password", "not a valid one"),
        (role(password=1234567890), "application_role.password", "quotation marks"),
        (role(password=1.5), "application_role.password", "quotation marks"),
        (role(password=True), "application_role.password", "quotation marks"),
        (role(password=date(2026, 3, 15)), "application_role.password", "quotation marks"),
        (role(password=["correct", "horse"]), "application_role.password", "quotation marks"),
        (role(connection_limit=-2), "application_role.connection_limit", "-1 for no limit"),
        (role(statement_timeout="30 seconds"), "application_role.statement_timeout", "us, ms, s, min, h, d"),
        (role(lock_timeout="-5s"), "application_role.lock_timeout", "negative"),
        (
            role(idle_in_transaction_session_timeout="soon"),
            "application_role.idle_in_transaction_session_timeout",
            "soon",
        ),
        (item(readonly_role={"name": "r", "password": "short"}), "readonly_role.password", "8 characters"),
        (item(schemas=["pg_mine"]), "schemas", "keeps for itself"),
        (item(schemas=["information_schema"]), "schemas", "keeps for itself"),
        (item(schemas=["ok", "bad\tname"]), "schemas", "control characters"),
        (item(pool={"mode": "tx"}), "pool.mode", "transaction, session, statement"),
        (item(pool={"size": 0}), "pool.size", "at least 1"),
        (item(pool={"reserve": -1}), "pool.reserve", "negative"),
        (item(connection_limit=-2), "connection_limit", "-1 for no limit"),
    ],
)
def test_bad_entries_name_the_variable(entry: dict[str, Any], where: str, said: str) -> None:
    found = complaints(entry)
    assert len(found) == 1
    assert found[0].startswith(f"pgstead_databases[0].{where}: ")
    assert said in found[0]


@pytest.mark.parametrize("name", ["postgres", "pg_read_all_data", "", "x" * 64])
def test_bad_monitoring_role(name: str) -> None:
    (found,) = complaints(monitoring=name)
    assert found.startswith("postgresql_monitoring_role: ")


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (
            item(owner="o2", application_role=None),
            "pgstead_databases[1]: database 'shop' is already described at pgstead_databases[0]",
        ),
        (
            item(name="two"),
            "pgstead_databases[1].application_role.name: role 'shop_app' is already pgstead_databases[0].application_role",
        ),
        (
            item(name="two", owner="shop_app", application_role=None),
            "pgstead_databases[1].owner: 'shop_app' is also pgstead_databases[0].application_role",
        ),
        (
            item(name="two", application_role={"name": "shop_owner", "password": "battery staple"}),
            "pgstead_databases[1].application_role.name: role 'shop_owner' is already pgstead_databases[0].owner",
        ),
    ],
)
def test_duplicates_name_both_places(second: dict[str, Any], expected: str) -> None:
    assert complaints(item(), second) == [expected]


def test_one_role_in_two_parts() -> None:
    found = complaints(item(readonly_role={"name": "shop_app", "password": "battery staple"}))
    assert found == [
        "pgstead_databases[0].readonly_role.name: role 'shop_app' is already pgstead_databases[0].application_role"
    ]


def test_all_problems_come_together_and_tell_no_secret() -> None:
    found = complaints(
        role(name="pg_x", password="hunter2", connection_limit=-9),
        item(name="template0", owner="public", application_role={"name": "b", "password": "md5" + "f" * 32}),
        item(name="third", owner="o3", application_role={"name": "c", "password": 271828182}),
    )
    assert len(found) == 7
    assert not any("hunter2" in text or "ffff" in text or "2718" in text for text in found)


def test_texts_are_read_as_ansible_reads_them() -> None:
    entry = item(schemas="a, b", extensions="pg_trgm,citext", connection_limit="5", pool={"size": "7", "reserve": ""})
    (found,) = db.databases([entry], "C")
    assert found.schemas == ("a", "b")
    assert found.extensions == (db.Extension("pg_trgm"), db.Extension("citext"))
    assert (found.connection_limit, found.pool) == (5, db.Pool(7))


def test_problems_count_absent_entries_too() -> None:
    (found,) = complaints(item(state="absent"), {"name": "postgres", "owner": "boss"})
    assert found.startswith("pgstead_databases[1].name: ")
