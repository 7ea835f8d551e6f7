"""What the lint says of row security: policies, the columns they compare, and roles that they do not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import lint_indexes
from ansible_collections.pgstead.ops.plugins.module_utils._core import lint_row_security as checks
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_security_values import PolicyColumn, Role, Security
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import Found, Observed, Rules
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security import (
    ObservedPolicy,
    ObservedTable,
    Past,
    PolicyForm,
)
from ansible_collections.pgstead.ops.plugins.module_utils._pg.lint_fix import statements

from .made import EXT, P1, P2, P21, TABLES, P, T, database, index

MINE = "(a = ( SELECT (NULLIF(current_setting('app.u'::text, true), ''::text))::bigint AS \"nullif\"))"
RULES = Rules()


def policy(name: str = "p", using: str = MINE, **what: Any) -> ObservedPolicy:
    form = {"command": "all", "permissive": True, "roles": frozenset({"app"}), "using": using, "check": ""}
    return ObservedPolicy(name, PolicyForm(**{**form, **what}))


def protected(*policies: ObservedPolicy, enabled: bool = True, forced: bool = True, **what: Any) -> Observed:
    """Return a database in which T (or `table`) has row security."""
    table = what.pop("table", T)
    columns = tuple(PolicyColumn(name, name == "v") for name in "abcv")
    security = Security(
        tables={table: ObservedTable(table, enabled, forced, policies)},
        columns={(table, one.name): columns for one in policies},
        **{name: what.pop(name) for name in ("roles", "grantees", "per_row", "past") if name in what},
    )
    return database(*what.pop("indexes", ()), security=security, **what)


def said(check: Callable[[Observed, Rules], Iterator[Found]], observed: Observed, rules: Rules = RULES) -> list[str]:
    return [found.object for found in check(observed, rules)]


def below(*past: Past, table: QualifiedName = P) -> Observed:
    return protected(policy(), table=table, past=past)


@pytest.mark.parametrize(
    ("observed", "expected", "words"),
    [
        (below(Past(P, P1, False, ("app", "public"))), ["app.p_1"], "policies of app.p do not hold app, public here"),
        # one finding, however many tables above have row security
        (
            below(Past(P, P21, False, ("app",)), Past(P2, P21, False, ("app", "b"))),
            ["app.p_2_1"],
            "policies of app.p, app.p_2 do not hold app, b here",
        ),
        (below(Past(P, P2, False, ("b",)), Past(P, P1, False, ("a",))), ["app.p_1", "app.p_2"], "do not hold a here"),
        (below(Past(P, P1, False)), [], ""),
        (below(Past(P, P1, True, ("app",))), [], ""),
        (below(Past(EXT, P1, False, ("app",)), table=EXT), [], ""),
    ],
)
def test_what_is_open_below_a_protected_table(observed: Observed, expected: list[str], words: str) -> None:
    found = list(checks.partition_bypasses_row_security(observed, RULES))
    assert [one.object for one in found] == expected
    for one in found[:1]:
        assert words in one.detail
        name = QualifiedName(*one.path).sql
        assert statements(one.fixes) == (
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
        )


RESTRICTIVE = policy("r", permissive=False)
ITEM = {"name": "p", "roles": ["app"], "using": MINE}


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (protected(policy()), []),
        (protected(policy(), enabled=False), ["row_security_disabled"]),
        (protected(policy(), enabled=False, forced=False), ["row_security_disabled"]),
        (protected(), ["row_security_without_policy"]),
        (protected(forced=False), ["row_security_without_policy"]),
        (protected(policy(), forced=False), ["row_security_not_forced"]),
        (protected(RESTRICTIVE), ["row_security_only_restrictive"]),
        (protected(RESTRICTIVE, policy()), []),
        (protected(RESTRICTIVE, enabled=False), ["row_security_disabled", "row_security_only_restrictive"]),
        (protected(enabled=False), []),
        (protected(policy(), enabled=False, table=EXT), []),
        # below a protected table, to let nobody in is the remedy
        (protected(table=P1, past=(Past(P, P1, True, ("app",)),)), []),
    ],
)
def test_tables(observed: Observed, expected: list[str]) -> None:
    names = [name for name in dir(checks) if name.startswith("row_security_")]
    assert [name for name in sorted(names) if said(getattr(checks, name), observed)] == expected


@pytest.mark.parametrize(
    ("check", "observed", "sql", "item"),
    [
        (
            checks.row_security_disabled,
            protected(policy(), enabled=False, forced=False),
            ["ALTER TABLE public.t ENABLE ROW LEVEL SECURITY", "ALTER TABLE public.t FORCE ROW LEVEL SECURITY"],
            {"name": "t", "policies": [ITEM]},
        ),
        (
            checks.row_security_disabled,
            protected(policy(), enabled=False),
            ["ALTER TABLE public.t ENABLE ROW LEVEL SECURITY"],
            {"name": "t", "policies": [ITEM]},
        ),
        (checks.row_security_disabled, protected(RESTRICTIVE, enabled=False), [], None),
        (
            checks.row_security_not_forced,
            protected(policy(), forced=False),
            ["ALTER TABLE public.t FORCE ROW LEVEL SECURITY"],
            {"name": "t", "policies": [ITEM]},
        ),
        # what module row_security would refuse is no remedy
        (
            checks.row_security_not_forced,
            protected(policy(using="(a = f())"), forced=False, per_row=frozenset({"f"})),
            ["ALTER TABLE public.t FORCE ROW LEVEL SECURITY"],
            None,
        ),
        (
            checks.policy_setting_without_nullif,
            protected(policy(using="(a = ( SELECT (current_setting('app.u'::text))::bigint AS x))"), forced=False),
            [
                (
                    "ALTER POLICY p ON public.t USING ((a = ( SELECT (NULLIF(current_setting('app.u'::text, true), ''::text))"
                    "::bigint AS x)))"
                )
            ],
            {
                "name": "t",
                "force": False,
                "policies": [{**ITEM, "using": MINE.replace('"nullif"', "x")}],
            },
        ),
        (
            checks.policy_setting_without_nullif,
            protected(policy(using="(a = ( SELECT (current_setting('app.u'::text))::bigint AS x))"), enabled=False),
            [
                (
                    "ALTER POLICY p ON public.t USING ((a = ( SELECT (NULLIF(current_setting('app.u'::text, true), ''::text))"
                    "::bigint AS x)))"
                )
            ],
            None,
        ),
        (checks.policy_setting_without_nullif, protected(policy(using="(b = current_setting(a))")), [], None),
    ],
)
def test_remedies(check: Any, observed: Observed, sql: list[str], item: Any) -> None:
    (found,) = check(observed, Rules())
    assert list(statements(found.fixes)) == sql
    assert found.declaration == ({"row_security": {"tables": [item]}} if item else {})
    assert sql or "a person has to" in found.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINE, ("a",)),
        ("(( SELECT f() AS f) = a)", ("a",)),
        ("(a = app.tenant())", ("a",)),
        ('(a = "My"."F"())', ("a",)),
        ("((v)::text = CURRENT_USER)", ("v",)),
        ("((a)::text = ( SELECT f() AS f))", ()),  # an index on a number does not answer this
        ("(a = ANY (app.tenants()))", ("a",)),
        ("(a = ANY (ARRAY[1, 2]))", ()),
        ("(a = 7)", ()),
        ("((v)::text = 'f()'::text)", ()),
        ("((v)::text = ('x'::character varying(10))::text)", ()),
        ("(a = abs(b))", ()),
        ("((a + 1) = f())", ()),
        ("(a <> f())", ()),
        ("(a IN ( SELECT m.a FROM m WHERE (m.b = f())))", ()),
        ("(EXISTS ( SELECT 1 FROM m WHERE ((m.c = t.c) AND (m.b = f()))))", ()),
        ("((a = f()) AND (b = g()))", ("a", "b")),
        ("true", ()),
        ("", ()),
    ],
)
def test_columns_that_a_session_asks_for(text: str, expected: tuple[str, ...]) -> None:
    columns = tuple(PolicyColumn(name, name == "v") for name in "abcv")
    assert checks.session_columns(text, columns) == expected


BOTH = policy(using="((a = f()) AND (b = g()))")
EITHER = policy(using="((a = f()) OR (b = g()))")


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (protected(policy()), ["public.t.a"]),
        (protected(policy(), enabled=False), []),
        (protected(policy(), indexes=[index("i", "a", "b")]), []),
        (protected(policy(), indexes=[index("i", "b", "a")]), ["public.t.a"]),
        (protected(policy(), indexes=[index("i", "a", parts={"predicate": "b > 0"})]), ["public.t.a"]),
        (protected(policy(), indexes=[index("i", "a", valid=False)]), ["public.t.a"]),
        (protected(policy(), indexes=[index("i", "a", method="hash")]), []),
        (protected(policy(), indexes=[index("i", "a", method="brin")]), ["public.t.a"]),
        (protected(BOTH, indexes=[index("i", "b")]), []),
        (protected(BOTH), ["public.t.a", "public.t.b"]),
        (protected(EITHER, indexes=[index("i", "b")]), ["public.t.a"]),
        (protected(policy(), policy("q"), RESTRICTIVE), ["public.t.a"]),
        (protected(policy(using="", check=MINE, command="insert")), []),
    ],
)
def test_columns_without_an_index(observed: Observed, expected: list[str]) -> None:
    assert said(checks.policy_column_without_index, observed) == expected


def test_the_index_of_a_policy_column() -> None:
    (found,) = checks.policy_column_without_index(protected(policy()), Rules())
    assert statements(found.fixes) == (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_a_rls_idx ON public.t USING btree (a)",
    )
    assert found.declaration == {"indexes": [{"table": "t", "name": "t_a_rls_idx", "columns": ["a"]}]}
    taken = protected(policy(), indexes=[index("t_a_rls_idx", "a", valid=False)])
    (found,) = checks.policy_column_without_index(taken, Rules())
    assert [fix.name for fix in found.fixes] == ["t_a_91409a_rls_idx"]


def test_the_index_of_a_partitioned_table_is_made_part_by_part() -> None:
    (found,) = checks.policy_column_without_index(protected(policy(), table=P), Rules())
    assert [(fix.action, fix.on) for fix in found.fixes if fix.action != "attach_index"] == [
        ("create_index_only", P),
        ("create_index", P1),
        ("create_index_only", P2),
        ("create_index", P21),
    ]
    assert found.declaration["indexes"][0]["table"] == "app.p"
    far = protected(policy(), table=P, tables={**TABLES, P21: Table(P21, "f", "o", parent=P2)})
    (found,) = checks.policy_column_without_index(far, Rules())
    assert (found.fixes, found.declaration) == ((), {})
    assert "a person has to decide" in found.detail


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        (MINE, False),
        ("true", False),
        ("(a = (current_setting('app.u'::text, true))::bigint)", True),
        ("(a = (NULLIF(current_setting('app.u'::text), ''::text))::bigint)", True),  # raises where it was never set
        ("(COALESCE(current_setting('app.u'::text, true), ''::text) = v)", True),
        ("(current_setting('role'::text) = v)", False),  # always set
        ("(current_setting(v) = v)", True),
        ("(NULLIF(current_setting(v, true), ''::text) = v)", False),
        ("(my.current_setting('app.u'::text) = v)", False),
    ],
)
def test_settings_that_are_not_set(text: str, bad: bool) -> None:
    assert said(checks.policy_setting_without_nullif, protected(policy(using=text))) == (["public.t.p"] if bad else [])


ASKED = "current_setting('app.u'::text, true)"
SAFE = f"NULLIF({ASKED}, ''::text)"
BARE = f"(a = ({ASKED})::bigint)"


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (BARE, True),
        (f"(({ASKED} IS NULL) OR {BARE})", False),
        (f"(((({ASKED})::bigint) IS NOT NULL) AND {BARE})", False),
        (f"(( SELECT {ASKED} AS current_setting) IS NULL)", False),
        (f"(COALESCE({ASKED}, ''::text) = v)", False),
        (f"(v = COALESCE(lower({ASKED}), 'a'::text))", False),
        (f"(a IS DISTINCT FROM ({ASKED})::bigint)", False),
        (f"(NOT (a IS DISTINCT FROM ({ASKED})::bigint))", False),
        (f"((v = {ASKED}) IS NOT FALSE)", False),
        (f"CASE WHEN (v = {ASKED}) THEN false ELSE true END", False),
        ("(NULLIF(current_setting('app.u'::text), ''::text) IS NULL)", False),  # raises now, and would be open
        # what is asked of something else stays as it is
        (f"((b IS NULL) AND {BARE})", True),
        (f"((COALESCE(b, 1) = 1) AND {BARE})", True),
        (f"(a = ( SELECT ({ASKED})::bigint AS x WHERE (b IS NULL)))", True),
        (f"(({SAFE} IS NOT NULL) AND {BARE})", True),
        (f"((v <> '(a IS NULL'::text) AND {BARE})", True),
        (f'(("x)" = 1) AND {BARE})', True),
    ],
)
def test_null_is_not_put_where_null_opens(text: str, mended: bool) -> None:
    (found,) = checks.policy_setting_without_nullif(protected(policy(using=text)), RULES)
    assert bool(found.fixes) == mended
    assert mended or ("open without a context" in found.detail and found.declaration == {})


def test_no_declaration_rewrites_a_policy_that_a_person_has_to() -> None:
    """Neither does that of the policy beside it."""
    by_hand = policy("q", using=f"({ASKED} IS NULL)")
    one, other = checks.policy_setting_without_nullif(protected(policy(using=BARE), by_hand), RULES)
    assert (bool(one.fixes), one.declaration, other.fixes) == (True, {}, ())


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (policy(using="true"), "seen and written"),
        (policy(using="true", command="select"), "seen"),
        (policy(using="true", check="(a = 1)"), "seen"),
        (policy(using="", check="true", command="insert"), "written"),
        (policy(using="((a = 1) OR true)"), "seen and written"),
        (policy(using="(true OR (a = 1))"), "seen and written"),
        (policy(using="((a = 1) AND ((b = 2) OR true))"), ""),
        (policy(using="(a IS TRUE)"), ""),
        (policy(using="true", permissive=False), ""),
        (policy(), ""),
    ],
)
def test_policies_that_are_always_true(one: ObservedPolicy, words: str) -> None:
    found = list(checks.policy_always_true(protected(one), Rules()))
    assert [f"may be {words} by app," in each.detail for each in found] == ([True] if words else [])


ROLES = {
    "app": Role("app"),
    "root": Role("root", superuser=True, member_of=frozenset({"o"})),
    "backup": Role("backup", bypass=True),
    "deployer": Role("deployer", member_of=frozenset({"o"})),
    "riser": Role("riser", becomes="backup"),
    "o": Role("o", member_of=frozenset({"o"}), acts_as=frozenset({"o"})),
}
NAMED = policy(roles=frozenset({"app", "deployer", "o", "public"}))


@pytest.mark.parametrize(
    ("observed", "named", "expected"),
    [
        (protected(policy(), roles=ROLES), (), []),
        (protected(NAMED, roles=ROLES), (), ["public.deployer"]),
        (protected(policy(), roles=ROLES, grantees={T: frozenset({"app", "backup", "root"})}), (), ["public.backup"]),
        (protected(policy(roles=frozenset({"root"})), roles=ROLES), (), ["public.root"]),
        (protected(policy(roles=frozenset({"riser"})), roles=ROLES), (), ["public.riser"]),
        (protected(NAMED, roles=ROLES), ("app",), []),
        (protected(policy(), roles=ROLES), ("o", "root", "gone"), ["public.o", "public.root"]),
        (protected(policy(), enabled=False, roles=ROLES), ("o",), []),
    ],
)
def test_application_roles(observed: Observed, named: tuple[str, ...], expected: list[str]) -> None:
    rules = Rules(application_roles=named)
    assert said(checks.application_role_bypasses_row_security, observed, rules) == expected


def test_a_role_that_can_become_one_that_nothing_holds_is_told_which() -> None:
    observed = protected(policy(roles=frozenset({"riser"})), roles=ROLES)
    (found,) = checks.application_role_bypasses_row_security(observed, RULES)
    assert found.detail.startswith(
        "it is a member of backup, which is a superuser or has BYPASSRLS: policies of public.t"
    )


def test_one_role_is_one_finding_however_many_tables_there_are() -> None:
    tables = {name: ObservedTable(name, True, True, (policy(),)) for name in (P, P1, P2, P21)}
    observed = database(security=Security(tables=tables, roles=ROLES))
    (found,) = checks.application_role_bypasses_row_security(observed, Rules(application_roles=("deployer",)))
    assert found.object == "app.deployer"
    assert found.detail.startswith(
        "it is a member of o, the owner: policies of app.p, app.p_1, app.p_2 and 1 other tables do not hold this role"
    )


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (protected(policy(), indexes=[index("i", "a", "b"), index("j", "b")]), ["public.j"]),
        (protected(policy(), enabled=False, indexes=[index("i", "a")]), []),
        (protected(policy(), table=P, indexes=[index("i", "a", table=P1)]), []),
    ],
)
def test_an_index_that_a_policy_needs_is_not_called_unused(observed: Observed, expected: list[str]) -> None:
    assert said(lint_indexes.unused_index, observed) == expected
