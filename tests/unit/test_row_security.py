"""Row security: shorthands, faults, and the one change a table needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.expression import constant_calls
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security import (
    Declared,
    Observed,
    ObservedPolicy,
    ObservedTable,
    Past,
    PolicyForm,
    Rules,
    open_partitions,
    plan,
    unsettled,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security_spec import (
    Context,
    Policy,
    Protected,
    Surroundings,
    context,
    protected_tables,
)

T = QualifiedName("public", "orders")
OURS = "managed by pgstead.ops.row_security"
CONTEXT = Context("app.user_id", "app.user_role", QualifiedName("public", "set_user_context"))
AROUND = Surroundings(CONTEXT, ("app",), {(T, "user_id"): "bigint", (T, "id"): "integer"}, "public")


def form(using: str = "(x = 1)", **what: Any) -> PolicyForm:
    base = {"command": "all", "permissive": True, "roles": frozenset({"app"}), "using": using, "check": using}
    return PolicyForm(**{**base, **what})


def declared(*policies: tuple[str, PolicyForm], absent: frozenset[str] = frozenset(), **what: Any) -> Declared:
    named = tuple(Policy(name, comment=what.get("comment")) for name, _ in policies)
    protected = Protected("tables[0]", T, named, what.get("force", True), what.get("present", True), absent=absent)
    return Declared(protected, tuple(found for _, found in policies))


def observed(*policies: ObservedPolicy, enabled: bool = True, forced: bool = True, made: Any = None) -> Observed:
    there = {T: ObservedTable(T, enabled, forced, policies)} if policies or enabled or forced else {}
    return Observed({T: Table(T, "r", "boss")}, there, made or {})


P = ("p", form())
MINE = ObservedPolicy("p", form(), OURS)
THEIRS = ObservedPolicy("q", form("(true)"))


@pytest.mark.parametrize(
    ("item", "there", "expected"),
    [
        (declared(P), observed(MINE), None),
        # without WITH CHECK, USING decides what may be written
        (declared(P), observed(ObservedPolicy("p", form(check=""), OURS)), None),
        (
            declared(("p", form(command="select", check=""))),
            observed(ObservedPolicy("p", form(command="select"), OURS)),
            ([("drop", "p"), ("create", "p")], None, None),
        ),
        (declared(P), observed(enabled=False, forced=False), ([("create", "p")], True, True)),
        (declared(P), observed(MINE, enabled=False), ([], True, None)),
        (declared(P), observed(MINE, forced=False), ([], None, True)),
        (declared(P, force=False), observed(MINE), ([], None, False)),
        (declared(("p", form("(x = 2)"))), observed(MINE), ([("drop", "p"), ("create", "p")], None, None)),
        (declared(("p", form(roles=frozenset({"b"})))), observed(MINE), ([("drop", "p"), ("create", "p")], None, None)),
        (declared(("p", form(permissive=False))), observed(MINE), ([("drop", "p"), ("create", "p")], None, None)),
        (declared(P, comment="why"), observed(MINE), ([("comment", "p")], None, None)),
        (declared(P), observed(MINE, THEIRS), None),
        (declared(P, absent=frozenset({"q"})), observed(MINE, THEIRS), ([("drop", "q")], None, None)),
        (declared(present=False), observed(MINE), ([("drop", "p")], False, False)),
        (declared(present=False), observed(MINE, THEIRS), ([("drop", "p")], None, None)),
        (declared(present=False), observed(enabled=False, forced=False), None),
    ],
)
def test_one_table(item: Declared, there: Observed, expected: Any) -> None:
    found = plan([item], there, Rules())
    if expected is None:
        assert found.changes == ()
        return
    (change,) = found.changes
    step = change.subject
    assert ([(verb, name) for verb, name, _ in step.policies], step.enable, step.force) == expected
    assert change.lock == "AccessExclusiveLock"


def test_the_difference_shows_the_table_before_and_after() -> None:
    found = plan([declared(("p", form("(x = 2)")), comment="why")], observed(MINE, enabled=False), Rules())
    (difference,) = found.differences
    assert difference.before == (
        "ALTER TABLE public.orders FORCE ROW LEVEL SECURITY\n"
        "CREATE POLICY p ON public.orders FOR ALL TO app USING ((x = 1)) WITH CHECK ((x = 1))\n"
    )
    assert difference.after == (
        "ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY\n"
        "ALTER TABLE public.orders FORCE ROW LEVEL SECURITY\n"
        "CREATE POLICY p ON public.orders FOR ALL TO app USING ((x = 2)) WITH CHECK ((x = 2))\n"
        "-- why\n"
    )


def test_holes_drift_and_what_nobody_declared_are_named() -> None:
    there = observed(THEIRS, made={(T, "p"): "2026-01-01"})
    found = plan([declared(P)], there, Rules())
    assert found.unmanaged == ("policy q on public.orders",)
    assert "opens rows beside" in found.warnings[0]
    assert found.drift == ("policy p on public.orders was there since 2026-01-01 and somebody dropped it",)


def test_purge_takes_only_what_was_made_here() -> None:
    there = observed(MINE, THEIRS)
    assert plan([], there, Rules()).changes == ()
    found = plan([], there, Rules(purge=True))
    (change,) = found.changes
    assert [(verb, name) for verb, name, _ in change.subject.policies] == [("drop", "p")]
    assert "and those whom its other policies let (q) sees or writes" in found.warnings[0]


def test_purge_widens_nothing_that_others_let_in() -> None:
    """Without a permissive policy that is not ours, a restrictive one narrows nothing."""
    narrow = ObservedPolicy("n", replace(form(), permissive=False), OURS)
    found = plan([], observed(MINE, narrow, THEIRS), Rules(purge=True))
    (change,) = found.changes
    assert [name for _, name, _ in change.subject.policies] == ["p"]
    stays = "policy n on public.orders is no longer declared, and stays"
    assert found.warnings[0].startswith(stays)
    again = plan([], observed(narrow, THEIRS), Rules(purge=True))
    assert (again.changes, len(again.warnings), again.warnings[0].startswith(stays)) == ((), 1, True)
    (alone,) = plan([], observed(MINE, narrow), Rules(purge=True)).changes
    assert [name for _, name, _ in alone.subject.policies] == ["p", "n"]


@pytest.mark.parametrize(
    ("enabled", "forced", "warned"),
    [
        (True, True, ["Nobody but superusers and roles with BYPASSRLS sees or writes its rows now"]),
        (True, False, ["Nobody but superusers, roles with BYPASSRLS and its owner sees or writes its rows now"]),
        (False, True, []),
    ],
)
def test_purge_opens_no_table(warned: list[str], *, enabled: bool, forced: bool) -> None:
    there = observed(MINE, enabled=enabled, forced=forced)
    found = plan([], there, Rules(purge=True))
    (change,), (difference,) = found.changes, found.differences
    assert (change.action, change.subject.enable, change.subject.force) == ("drop_policies", None, None)
    stays = [
        f"ALTER TABLE {T} {word} ROW LEVEL SECURITY\n" for word, on in (("ENABLE", enabled), ("FORCE", forced)) if on
    ]
    assert difference.after == "".join(stays)
    assert len(found.warnings) == len(warned)
    for words, said in zip(warned, found.warnings, strict=True):
        assert said.startswith(f"{T} is no longer declared")
        assert words in said
        assert said.endswith("or with state: absent to open it")
    after = observed(enabled=enabled, forced=forced)
    assert plan([], after, Rules(purge=True)) == Plan()
    assert plan([declared(present=False)], after, Rules(purge=True)).warnings == ()


def test_settled_texts_are_one_definition() -> None:
    item, there = declared(("p", form("(x=1)"))), observed(MINE)
    assert unsettled([item], there) == {(T, "(x=1)"), (T, "(x = 1)")}
    assert plan([item], there, Rules(settled={"(x=1)": "s", "(x = 1)": "s"})).changes == ()


def spec(**what: Any) -> tuple[tuple[Protected, ...], list[str]]:
    found, problems = protected_tables([{"name": "orders", **what}], AROUND)
    return found, [problem.what for problem in problems]


def test_shorthands_become_policies_that_fail_closed() -> None:
    ((found,), problems) = spec(owner_column="user_id", admin_role="it's")
    assert problems == []
    owner, admin = found.policies
    mine = "user_id = (SELECT NULLIF(pg_catalog.current_setting('app.user_id', true), '')::bigint)"
    assert (owner.name, owner.roles, owner.using, owner.check) == ("orders_owner", ("app",), mine, mine)
    assert admin.using == "(SELECT NULLIF(pg_catalog.current_setting('app.user_role', true), '')) = 'it''s'"


def test_shorthands_of_a_long_name_are_two_policies_that_the_server_keeps() -> None:
    name = "ä" + "x" * 61
    around = Surroundings(CONTEXT, ("app",), {(QualifiedName("public", name), "user_id"): "bigint"}, "public")
    item = {"name": name, "owner_column": "user_id", "admin_role": "admin"}
    ((found,), problems) = protected_tables([item], around)
    assert problems == ()
    owner, admin = (policy.name for policy in found.policies)
    assert (owner[-15:], admin[-6:]) == ("_0e219a05_owner", "_admin")
    assert [len(name.encode()) for name in (owner, admin)] == [63, 63]


ONE, TWO, DEEP = (QualifiedName("app", f"p_{name}") for name in ("1", "2", "2_1"))
TOP = QualifiedName("app", "p")


def test_what_is_open_below_a_table_is_said_once_with_what_lasts() -> None:
    past = (
        Past(TOP, ONE, False, ("b",)),
        Past(TOP, TWO, True, ("c",)),
        Past(TOP, DEEP, False, ("a", "b")),
        Past(T, QualifiedName("public", "kid"), False),
    )
    (said,) = open_partitions(past, [TOP, T])
    assert said.startswith("row security of app.p does not hold a, b by the names of what is below it")
    assert "(app.p_1, app.p_2_1): ALTER TABLE app.p_1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY" in said
    # what is declared itself will have row security of its own
    assert open_partitions(past, [TOP, ONE, DEEP]) == ()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"name": "p"}, "give using"),
        ({"name": "p", "using": "true", "command": "truncate"}, "is not one of"),
        ({"name": "p", "using": "a)"}, "closes nothing"),
        ({"name": "x" * 64, "using": "true"}, "longer than 63 bytes"),
        ({"name": "p", "using": "true", "restrictive": True}, "only restrictive"),
        ({"name": "p", "using": "x = current_setting('a.b')"}, "without NULLIF"),
        ({"name": "p", "using": "x = CURRENT_SETTING ('a.b', true)"}, "without NULLIF"),
    ],
)
def test_policies_that_would_not_do_are_refused(policy: dict[str, Any], words: str) -> None:
    assert words in spec(policies=[policy])[1][0]


def test_a_check_follows_using_where_rows_are_written() -> None:
    for command, expected in (("all", "true"), ("update", "true"), ("select", ""), ("delete", "")):
        ((found,), _problems) = spec(policies=[{"name": "p", "using": "true", "command": command}])
        assert found.policies[0].check == expected, command


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, (None, 0)),
        ({"user": "app.u"}, (Context("app.u", "", QualifiedName("public", "set_user_context")), 0)),
        ({"user": "app.u", "function": "auth.be"}, (Context("app.u", "", QualifiedName("auth", "be")), 0)),
        ({"user": "u"}, (Context("u", "", QualifiedName("public", "set_user_context")), 1)),
        ({"user": "app.u", "role": "a b"}, (Context("app.u", "a b", QualifiedName("public", "set_user_context")), 1)),
    ],
)
def test_context(raw: Any, expected: tuple[Any, int]) -> None:
    found, problems = context(raw, "public")
    assert (found, len(problems)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(user_id = ( SELECT f() AS f))", ()),
        ("(user_id = f())", ("f",)),
        ("(user_id = app.f('x'::text, true))", ("app.f",)),
        ("(user_id = f(user_id))", ()),
        ("(user_id = (NULLIF(current_setting('a.b'::text, true), ''::text))::integer)", ("current_setting",)),
        ("(lower(status) = 'f()'::text)", ()),
        ('(x = "My"."F"(1))', ('"My"."F"',)),
        ("(id IN ( SELECT g.id FROM g WHERE (g.a = f())))", ()),
        ("(x = ANY (ARRAY['a'::text]))", ()),
    ],
)
def test_calls_that_one_call_would_do_for(text: str, expected: tuple[str, ...]) -> None:
    assert tuple(name for name in constant_calls(text) if name.upper() not in ("NULLIF", "ANY")) == expected
