"""The lint around its checks: choices, suppressions, score, table; and the YAML that it writes."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.module_utils._core.lint import (
    NAMES,
    Report,
    Settings,
    Suppression,
    lint,
    message,
    settings,
    text_table,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_checks import CHECKS
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import (
    LEVELS,
    Column,
    Finding,
    Found,
    Sequence,
    dotted,
    path,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_yaml import to_yaml
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName
from ansible_collections.pgstead.ops.plugins.module_utils._core.relation import Table

from .made import MB, TABLES, TODAY, P, T, database, index

DEFAULTS: dict[str, Any] = {
    "schema": "public",
    "schemas": [],
    "checks": [],
    "exclude_checks": [],
    "suppressions": [],
    "levels": {},
    "minimum_size": {},
    "unused_index_days": 14,
    "missing_index_reads": "10GB",
    "application_roles": [],
}


def chosen(**params: Any) -> Settings:
    found, problems = settings({**DEFAULTS, **params})
    assert problems == ()
    return found


def keys(report: Report) -> list[str]:
    return [finding.key for finding in report.findings]


DOUBLE = (index("i", "a", scans=1), index("j", "a", scans=1))
JSON = Column(P, "doc", "json", "json")
MONEY = Column(T, "price", "money", "money")


def test_the_registry_is_in_order() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(check.level in LEVELS and check.categories and check.title for check in CHECKS)


def test_findings_come_worst_first_then_by_key() -> None:
    made = (*DOUBLE, index("k", "b", valid=False))
    report = lint(database(*made, columns=(JSON, MONEY)), chosen())
    assert [(f.level, f.key) for f in report.findings] == [
        ("error", "invalid_index:public.k"),
        ("warning", "column_money:public.t.price"),
        ("warning", "duplicate_index:public.j"),
        ("info", "column_json:app.p.doc"),
    ]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"checks": ["column_json"]}, ["column_json:app.p.doc"]),
        ({"exclude_checks": ["column_json", "duplicate_index"]}, ["column_money:public.t.price"]),
        ({"checks": ["column_json", "column_money"], "exclude_checks": ["column_json"]}, ["column_money:public.t.price"]),
        ({"schemas": ["app"]}, ["column_json:app.p.doc"]),
        ({"schemas": ["other"]}, []),
        ({"checks": ["duplicate_index"], "minimum_size": {"duplicate_index": "10MB"}}, ["duplicate_index:public.j"]),
        ({"checks": ["duplicate_index"], "minimum_size": {"duplicate_index": "11MB"}}, []),
    ],
)  # fmt: skip
def test_what_is_looked_at(params: dict[str, Any], expected: list[str]) -> None:
    assert keys(lint(database(*DOUBLE, columns=(JSON, MONEY)), chosen(**params))) == expected


def test_an_unused_index_of_a_small_table_is_not_worth_a_word() -> None:
    small = {**TABLES, T: Table(T, "r", "o", bytes=MB - 1)}
    assert keys(lint(database(index("i", "a"), tables=small), chosen())) == []
    assert keys(lint(database(index("i", "a")), chosen())) == ["unused_index:public.i"]


def test_levels_can_be_chosen() -> None:
    full = Sequence(QualifiedName("public", "s"), "integer", 1, 1000, last=999)
    observed = database(columns=(JSON,), sequences=(full,))
    report = lint(observed, chosen(levels={"column_json": "error", "sequence_near_limit": "info"}))
    assert report.counts == {"error": 1, "warning": 0, "info": 1}
    assert lint(observed, chosen()).counts == {"error": 1, "warning": 0, "info": 1}


def suppress(*keys: str, expires: str = "", **params: Any) -> Settings:
    items = [{"key": key, "reason": "because", "expires": expires or None} for key in keys]
    return chosen(suppressions=items, **params)


@pytest.mark.parametrize(
    ("key", "left"),
    [
        ("column_json:app.p.doc", ["column_money:public.t.price"]),
        ("column_json:*", ["column_money:public.t.price"]),
        ("column_json:app.*", ["column_money:public.t.price"]),
        ("column_*", []),
        ("*", []),
        ("column_json:app.p", ["column_money:public.t.price", "column_json:app.p.doc"]),
    ],
)
def test_suppressions(key: str, left: list[str]) -> None:
    report = lint(database(columns=(JSON, MONEY)), suppress(key))
    assert keys(report) == left
    assert len(report.suppressed) == 2 - len(left)
    assert [s.key for s in report.unused] == ([key] if len(left) == 2 else [])


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("2026-11-20", []),  # the last day
        ("2026-11-19", ["column_json:app.p.doc", "suppression_expired:column_json:app.p.doc"]),
    ],
)
def test_suppressions_expire(expires: str, expected: list[str]) -> None:
    report = lint(database(columns=(JSON,)), suppress("column_json:app.p.doc", expires=expires))
    assert sorted(keys(report)) == expected
    assert report.unused == ()


def test_what_has_expired_is_not_suppressed_by_anything_and_has_a_level() -> None:
    params = {"levels": {"suppression_expired": "error"}}
    report = lint(database(), suppress("column_json:x", "*", expires="2020-01-01", **params))
    assert keys(report) == ["suppression_expired:*", "suppression_expired:column_json:x"]
    assert report.counts["error"] == 2


@pytest.mark.parametrize(
    ("key", "params", "more", "unused"),
    [
        ("column_json:app.gone", {}, {}, True),
        ("no_such_check:x", {"checks": ["column_json"]}, {}, True),
        ("column_money:x", {"checks": ["column_json"]}, {}, False),
        ("column_json:app.gone", {"schemas": ["app"]}, {}, True),
        ("column_json:app.*", {"schemas": ["app"]}, {}, True),
        ("column_json:app.gone", {"schemas": ["public"]}, {}, False),
        ("column_json:*", {"schemas": ["public"]}, {}, False),
        ("column_*", {}, {}, True),
        ("column_*", {"exclude_checks": ["column_json"]}, {}, False),
        ("unused_index:app.gone", {}, {}, True),
        # nobody can say yet whether it will match
        ("unused_index:app.gone", {}, {"statistics_days": 1.0}, False),
    ],
)
def test_a_suppression_is_unused_only_where_all_was_looked_at(
    key: str, params: dict[str, Any], more: dict[str, Any], unused: bool
) -> None:
    report = lint(database(**more), suppress(key, **params))
    assert [s.key for s in report.unused] == ([key] if unused else [])


def test_what_could_not_be_checked_is_said() -> None:
    report = lint(database(index("i", "a"), statistics_days=2.0, hidden_builds=True), chosen())
    assert sorted(report.not_checked) == ["invalid_index", "unattached_partition_index", "unused_index"]
    assert keys(report) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"checks": ["duplicate_indexes"]}, "checks: there is no check duplicate_indexes; did you mean duplicate_index?"),
        ({"exclude_checks": ["x"]}, "exclude_checks: there is no check x: use one of foreign_key_without_index"),
        ({"levels": {"column_json": "fatal"}}, "levels.column_json: 'fatal' is not one of error, warning, info"),
        ({"levels": {"json": "info"}}, "there is no check json"),
        ({"minimum_size": {"unused_index": "big"}}, "minimum_size.unused_index: 'big' is not a number"),
        ({"minimum_size": {"unused_index": "-1MB"}}, "negative"),
        ({"missing_index_reads": "1 apple"}, "missing_index_reads"),
        ({"unused_index_days": -1}, "unused_index_days"),
        ({"suppressions": [{"key": "a", "reason": " "}]}, "suppressions[0]: reason is empty"),
        ({"suppressions": [{"key": "a*b", "reason": "x"}]}, "one * at the end"),
        ({"suppressions": [{"key": "", "reason": "x"}]}, "give a finding's key"),
        ({"suppressions": [{"key": "a", "reason": "x", "expires": "soon"}]}, "expires 'soon' is not a day"),
    ],
)  # fmt: skip
def test_bad_choices_are_named(params: dict[str, Any], words: str) -> None:
    _, problems = settings({**DEFAULTS, **params})
    assert len(problems) == 1
    assert words in str(problems[0])


def test_every_bad_choice_is_named_at_once() -> None:
    _, problems = settings({**DEFAULTS, "checks": ["a", "b"], "levels": {"c": "d"}})
    assert len(problems) == 4


def finding(level: str, **more: Any) -> Finding:
    return Finding(f"c:{level}", "c", level, ("x",), level, "…", **more)


@pytest.mark.parametrize(
    ("errors", "warnings", "infos", "tables", "score"),
    [
        (0, 0, 0, 0, 100),
        (0, 0, 0, 500, 100),
        (1, 0, 0, 3, 90),
        (1, 1, 1, 10, 86),
        (1, 1, 1, 140, 99),
        (0, 0, 1, 5000, 99),
        (5, 20, 50, 140, 88),
        (50, 0, 0, 10, 0),
    ],
)
def test_score(errors: int, warnings: int, infos: int, tables: int, score: int) -> None:
    found = (finding("error"),) * errors + (finding("warning"),) * warnings + (finding("info"),) * infos
    assert Report(found, (), (), {}, tables).score == score


def test_the_message_and_the_table() -> None:
    found = (finding("error", bytes=3 * MB), finding("info", declaration={"a": "b"}))
    report = Report(found, ((finding("info"), Suppression("c:*", "x")),), (), {}, 4)
    assert message(report) == "score 89: 1 error, 0 warnings, 1 info in 4 tables, 1 suppressed"
    blind = Report((), (), (), {"unused_index": "statistics are young", "a": "standby"}, 4)
    assert message(blind) == "score 100: 0 errors, 0 warnings, 0 info in 4 tables; not checked: a, unused_index"
    assert text_table(found).splitlines() == [
        "level  finding  table   fix",
        "error  c:error  3.0 MB  decide",
        "info   c:info           yaml",
    ]
    assert text_table(()) == "level  finding  table  fix"


def test_tables_are_counted_in_the_chosen_schemas_without_partitions() -> None:
    assert lint(database(), chosen()).tables == 3
    assert lint(database(), chosen(schemas=["app"])).tables == 1


@pytest.mark.parametrize(
    ("name", "expected"), [("a", "a"), ("a b", "a b"), ("a.b", '"a.b"'), ('a"b', '"a""b"'), ("f(a x.y)", "f(a x.y)")]
)
def test_names_with_dots_are_told_apart(name: str, expected: str) -> None:
    assert dotted(name) == expected
    assert Found(path(T, name), "").object == f"public.t.{expected}"


class Inventory(yaml.SafeLoader):
    """Reads what Ansible adds to YAML."""


Inventory.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"foreign_key_indexes": "create"},
        {"a": "yes", "b": "on", "c": "null", "d": "1", "e": "1.5", "f": "", "g": "2026-01-01", "h": "~", "i": "No"},
        {"a": "x: y", "b": "# x", "c": "'", "d": '"', "e": "a\nb", "f": "- x", "g": "ünï\u2028 \x7f \x85 \ufeff 😀", "h": "\\d"},
        {"a": "{{ x }}", "b": "{% x %}", "c": "{# x", "d": "{x}"},
        {"a": True, "b": False, "c": 7},
        {"a": ["b", "c d"], "e": []},
        {"indexes": [{"table": "t", "columns": ["a", {"column": "b", "order": "desc"}], "storage_parameters": {"f": "7"}}]},
        {"indexes": [{"table": "t"}, {"table": "u", "state": "absent"}], "check_constraints": [{"expression": "a > 0"}]},
    ],
)  # fmt: skip
def test_yaml_is_read_as_it_was_meant(value: dict[str, Any]) -> None:
    text = to_yaml(value)
    assert yaml.load(text or "{}", Loader=Inventory) == value
    assert text.count("!unsafe") == (3 if "{#" in text else 0)


def test_yaml_fits_under_an_entry_of_the_inventory() -> None:
    item = {"table": "t", "name": "i", "state": "absent"}
    assert to_yaml({"indexes": [item]}) == "indexes:\n  - table: t\n    name: i\n    state: absent\n"


def test_the_documentation_has_every_check_with_its_level() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/schema-lint.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(" `"): line.split("|")[2].strip()
        for line in text.splitlines()
        if line.startswith("| `")
    }
    documented = {name: level.split(",")[0] for name, level in rows.items() if name in (*NAMES, "suppression_expired")}
    assert documented == {**{check.key: check.level for check in CHECKS}, "suppression_expired": "warning"}


def test_today_is_the_servers() -> None:
    assert datetime.date(2026, 11, 20) == TODAY == database().today
