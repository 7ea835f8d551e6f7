"""An audit trail laid beside what is there: the log, its months, functions and rights, and the tables' triggers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import audit as core
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit import (
    ROW_TRIGGER,
    TRUNCATE_TRIGGER,
    Observed,
    ObservedTrigger,
    TriggerForm,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_log import (
    Guarded,
    Home,
    Log,
    Meddling,
    ObservedRoutine,
    Partition,
    Routine,
    check_log,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_partition import add_months, partition_name
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_spec import Audit, Audited
from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_told import Columns, arguments
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName, short_hash
from ansible_collections.pgstead.ops.plugins.module_utils._core.plan import Plan
from ansible_collections.pgstead.ops.tests.unit.schema_world import TABLES, q

OURS = "managed by pgstead.ops.audit"
TODAY = date(2026, 11, 25)
T = Audited("tables[0]", q("t"))
DECLARED = Audit(tables=(T,), ahead=2, readers=("auditor",), user_setting="app.user")
LOG = DECLARED.log
NEEDED = {"at": "timestamp with time zone", "record": "text"}
ROUTINES = {
    DECLARED.recorder: Routine("trigger", " BEGIN END ", ("search_path=pg_catalog",), True, "VOLATILE", "plpgsql"),
    DECLARED.trail: Routine("TABLE(at text)", " SELECT ", (), False, "STABLE", "sql"),
}
VERSION = short_hash(ROUTINES[DECLARED.recorder].text(DECLARED.recorder))
COLUMNS = {one.name: Columns({"id": 1, "a": 2, "b": 4}, ("id",), 77) for one in TABLES}


def months(*offsets: int) -> tuple[Partition, ...]:
    firsts = [add_months(TODAY, offset) for offset in offsets]
    return tuple(
        Partition(QualifiedName("audit", partition_name("log", first.year, first.month)), (first, add_months(first, 1)))
        for first in firsts
    )


DEFAULT = Partition(QualifiedName("audit", "log_default"), default=True)
RIGHTS = {"SCHEMA": {"USAGE", "CREATE"}, "TABLE": {"SELECT", "INSERT", "REFERENCES"}, "FUNCTION": {"EXECUTE"}}


def guarded(kind: str, name: str, needed: str = "", *more: tuple[str, str], owner: set[str] | None = None) -> Guarded:
    mine = {("boss", right) for right in (RIGHTS[kind] if owner is None else owner)}
    readers = {("auditor", needed)} if needed else set()
    return Guarded(kind, name, name, "boss", frozenset(mine | readers | set(more)), needed)


def home(**what: Any) -> Home:
    base: dict[str, Any] = {
        "schema": True,
        "marked": True,
        "log": Log("boss", True, NEEDED, ("at",), (*months(0, 1, 2), DEFAULT)),
        "routines": {name: ObservedRoutine(form, "boss") for name, form in ROUTINES.items()},
        "guarded": (guarded("SCHEMA", "audit", "USAGE"), guarded("TABLE", "audit.log", "SELECT")),
        "today": TODAY,
        "actor": "boss",
        "owner": "boss",
    }
    return Home(**{**base, **what})


EMPTY = home(schema=False, marked=False, log=None, routines={}, guarded=())


def forms(item: Audited = T, *, partitioned: bool = False, **what: Any) -> dict[str, TriggerForm]:
    told = arguments(item, DECLARED, COLUMNS[item.table], partitioned=partitioned)
    return {
        name: replace(TriggerForm(kind, DECLARED.recorder, told), **what)
        for name, kind in ((ROW_TRIGGER, 29), (TRUNCATE_TRIGGER, 32))
    }


def there(item: Audited = T, enabled: str = "A", comment: str = OURS, **what: Any) -> dict[Any, ObservedTrigger]:
    return {(item.table, name): ObservedTrigger(form, enabled, comment) for name, form in forms(item, **what).items()}


def observed(at: Home, triggers: Mapping[Any, ObservedTrigger] | None = None, **more: Any) -> Observed:
    return Observed({one.name: one for one in TABLES}, at, COLUMNS, triggers or {}, frozenset({"auditor"}), **more)


def plan(at: Observed, declared: Audit = DECLARED, *, purge: bool = False) -> Plan:
    return core.plan(declared, at, ROUTINES, purge=purge)


def steps(found: Plan) -> list[tuple[str, str]]:
    return [(change.action, change.name) for change in found.changes]


NEW = [
    ("create", "log"),
    ("function", "record_change"),
    ("function", "trail"),
    ("partition", "log_2026_11"),
    ("partition", "log_2026_12"),
    ("partition", "log_2027_01"),
]


def test_nothing_is_there() -> None:
    found = plan(observed(EMPTY))
    assert steps(found) == [*NEW, ("attach", "t")]
    assert [d.before for d in found.differences] == [""] * 7
    assert found.drift == ()
    assert found.changes[0].subject.schema
    assert {change.lock for change in found.changes[:3]} == {"none on tables"}


def test_all_is_there() -> None:
    assert plan(observed(home(), there())) == Plan()


def test_without_a_table_there_is_no_log_but_one_that_is_there_is_kept() -> None:
    bare = replace(DECLARED, tables=())
    assert plan(observed(EMPTY), bare) == Plan()
    assert steps(plan(observed(home(log=Log("boss", True, NEEDED, ("at",), (DEFAULT,)))), bare)) == NEW[3:]
    gone = replace(DECLARED, tables=(replace(T, present=False),))
    assert plan(observed(EMPTY), gone) == Plan()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (home(marked=False), [("mark", "audit")]),
        (home(log=Log("boss", True, NEEDED, ("at",), months(0, 1, 2))), [("partition", "log_default")]),
        (home(log=Log("boss", True, NEEDED, ("at",), (*months(0, 2), DEFAULT))), [("partition", "log_2026_12")]),
        (home(log=Log("boss", True, NEEDED, ("at",), (*months(-1, 0, 1, 2, 3), DEFAULT))), []),
        (home(routines={DECLARED.trail: ObservedRoutine(ROUTINES[DECLARED.trail], "boss")}), [NEW[1]]),
        (home(schema=True, log=None, guarded=()), [NEW[0], *NEW[3:]]),
    ],
)
def test_what_is_missing_is_made(at: Home, expected: list[tuple[str, str]]) -> None:
    assert steps(plan(observed(at, there()))) == expected


@pytest.mark.parametrize(
    ("what", "anew"),
    [
        ({"source": " BEGIN RETURN NULL; END "}, False),
        ({"settings": ()}, False),
        ({"definer": False}, False),
        ({"volatility": "STABLE"}, False),
        ({"result": "void"}, True),
        ({"language": "sql"}, False),
    ],
)
def test_a_function_that_is_another_is_replaced(what: dict[str, Any], anew: bool) -> None:
    routines = {name: ObservedRoutine(form, "boss") for name, form in ROUTINES.items()}
    name = DECLARED.recorder
    routines[name] = ObservedRoutine(replace(ROUTINES[name], **what), "boss")
    found = plan(observed(home(routines=routines), there()))
    assert steps(found) == [("function", "record_change")]
    assert found.changes[0].subject.anew == anew
    assert found.drift == ()
    made = {(name, VERSION): "Monday", (name, "0" * 12): "Sunday"}
    found = plan(observed(home(routines=routines, made=made), there()))
    assert found.drift == ("function audit.record_change is no longer what was made on Monday: somebody changed it",)
    assert found.changes[0].subject.former == ("0" * 12,)


def test_a_newer_version_of_a_function_is_no_drift() -> None:
    name = DECLARED.recorder
    routines = {**home().routines, name: ObservedRoutine(replace(ROUTINES[name], source=" old "), "boss")}
    assert plan(observed(home(routines=routines, made={(name, "0" * 12): "Sunday"}), there())).drift == ()


def test_a_function_of_somebody_else_is_taken_back() -> None:
    routines = {name: ObservedRoutine(form, "mallory") for name, form in ROUTINES.items()}
    found = plan(observed(home(routines=routines), there()))
    assert steps(found) == NEW[1:3]
    assert "-- belongs to mallory" in found.differences[0].before


@pytest.mark.parametrize(
    ("one", "seen"),
    [
        (guarded("TABLE", "audit.log", "SELECT", ("app", "SELECT")), "app held SELECT on table audit.log"),
        (guarded("TABLE", "audit.log", "SELECT", ("", "SELECT")), "PUBLIC held SELECT on table audit.log"),
        (guarded("TABLE", "audit.log", "SELECT", ("app", "SELECT (old)")), "app held SELECT (old) on table audit.log"),
        (guarded("TABLE", "audit.log", "SELECT", ("auditor", "DELETE")), "auditor held DELETE on table audit.log"),
        (guarded("TABLE", "audit.log", "SELECT", ("auditor", "SELECT*")), "auditor held SELECT* on table audit.log"),
        (
            guarded("TABLE", "audit.log_2026_11", "", ("auditor", "SELECT")),
            "auditor held SELECT on table audit.log_2026",
        ),
        (
            guarded("TABLE", "audit.log", "SELECT", owner={"SELECT", "INSERT", "DELETE", "UPDATE"}),
            "boss could DELETE, UPDATE what is written in audit.log",
        ),
        (
            guarded("TABLE", "audit.log", "SELECT", owner={"SELECT", "INSERT", "UPDATE (old)"}),
            "boss could UPDATE (old) what is written in audit.log",
        ),
        (guarded("FUNCTION", "audit.f()", "", ("", "EXECUTE")), "PUBLIC held EXECUTE on function audit.f()"),
        (guarded("SCHEMA", "audit", "USAGE", ("app", "CREATE")), "app held CREATE on schema audit"),
        (guarded("TABLE", "audit.log", "SELECT", owner={"SELECT"}), ""),
        (replace(guarded("TABLE", "audit.log"), needed="SELECT"), ""),
    ],
)
def test_rights_that_differ_are_mended_and_wider_ones_named(one: Guarded, seen: str) -> None:
    found = plan(observed(home(guarded=(guarded("SCHEMA", "audit", "USAGE"), one)), there()))
    assert steps(found) == [("rights", "log")]
    assert [guarded.name for guarded in found.changes[0].subject.guarded] == [one.name]
    (difference,) = found.differences
    assert difference.before != difference.after
    assert [line[: len(seen)] for line in found.drift] == ([seen] if seen else [])


def test_what_somebody_dropped_is_named() -> None:
    made = {
        (LOG, "log"): "Monday",
        (LOG, "log_2026_12"): "Monday",
        (DECLARED.recorder, "0" * 12): "Monday",
        (T.table, ROW_TRIGGER): "Monday",
        (T.table, TRUNCATE_TRIGGER): "Tuesday",
    }
    assert plan(observed(replace(EMPTY, made=made))).drift == (
        "log audit.log was there since Monday and somebody dropped it",
        "function audit.record_change was there since Monday and somebody dropped it",
        "trigger pgstead_audit_row on public.t was there since Monday and somebody dropped it",
        "trigger pgstead_audit_truncate on public.t was there since Tuesday and somebody dropped it",
    )
    gap = home(log=Log("boss", True, NEEDED, ("at",), (*months(0, 2), DEFAULT)), made=made)
    assert plan(observed(gap, there())).drift == (
        "partition audit.log_2026_12 was there since Monday and somebody dropped it",
    )


@pytest.mark.parametrize(
    ("triggers", "names", "seen"),
    [
        (there(enabled="D"), [ROW_TRIGGER, TRUNCATE_TRIGGER], "fired never: somebody switched it"),
        (there(enabled="O"), [ROW_TRIGGER, TRUNCATE_TRIGGER], "fired not for replicated rows"),
        (there(enabled=""), [ROW_TRIGGER, TRUNCATE_TRIGGER], "fired not everywhere"),
        (there(plain=False), [ROW_TRIGGER, TRUNCATE_TRIGGER], "does not see every change"),
        (there(kind=5), [ROW_TRIGGER, TRUNCATE_TRIGGER], "does not see every change"),
        (there(arguments=("full",)), [ROW_TRIGGER, TRUNCATE_TRIGGER], ""),
        (there(function=q("audit.other")), [ROW_TRIGGER, TRUNCATE_TRIGGER], ""),
        ({key: one for key, one in there().items() if key[1] == ROW_TRIGGER}, [TRUNCATE_TRIGGER], ""),
    ],
)
def test_triggers_that_are_not_as_declared_are_replaced(triggers: Any, names: list[str], seen: str) -> None:
    found = plan(observed(home(), triggers))
    assert steps(found) == [("attach", "t")]
    assert [name for name, _form in found.changes[0].subject.triggers] == names
    assert found.changes[0].lock == "ShareRowExclusiveLock"
    assert [seen in line for line in found.drift] == ([True] * 2 if seen else [])


def test_absent_and_purge_take_triggers_away_and_never_the_log() -> None:
    gone = replace(DECLARED, tables=(replace(T, present=False),))
    found = plan(observed(home(), there()), gone)
    assert steps(found) == [("detach", "t")]
    assert found.changes[0].subject.triggers == (ROW_TRIGGER, TRUNCATE_TRIGGER)
    assert plan(observed(home()), gone) == Plan()
    bare = replace(DECLARED, tables=())
    assert plan(observed(home(), there()), bare) == Plan(unmanaged=("audit of public.t",))
    assert steps(plan(observed(home(), there()), bare, purge=True)) == [("detach", "t")]
    theirs = observed(home(), there(comment="mine"))
    assert plan(theirs, bare, purge=True) == Plan(unmanaged=("audit of public.t",))


def test_a_table_without_a_key_is_recorded_with_a_warning() -> None:
    at = observed(EMPTY)
    at = replace(at, columns={T.table: Columns({"a": 1})})
    assert plan(at).warnings == (
        "tables[0] (public.t): has no primary key: its rows are recorded without a key to find them by",
    )


def said(*items: Audited, at: Observed | None = None, purge: bool = False, **more: Any) -> list[str]:
    declared = replace(DECLARED, tables=items, **more)
    return [str(problem) for problem in core.check(declared, at or observed(home()), purge=purge)]


E, E1 = Audited("tables[0]", q("e")), Audited("tables[1]", q("e1"))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ((replace(T, excluded=("x",)),), ["excluded column x does not exist"]),
        ((replace(T, redacted=("x", "A")),), ["redacted column x does not exist", "redacted column A does not exist"]),
        ((replace(T, redacted=("id",)),), ["redacted column id is part of the primary key"]),
        ((replace(T, excluded=("id",), redacted=("a",)),), ["excluded column id is part of the primary key"]),
        ((Audited("tables[0]", q("tt")),), ["table public.tt does not exist; did you mean public.t?"]),
        ((Audited("tables[0]", q("tt"), present=False),), []),
        ((Audited("tables[0]", q("mv")),), ["public.mv is a materialised view, which cannot carry this"]),
        ((E, E1), ["is recorded with its parent public.e (tables[0] (public.e))"]),
        ((E, replace(E1, present=False)), []),
        ((T, E), []),
    ],
)
def test_what_cannot_be_audited_is_named(items: tuple[Audited, ...], words: list[str]) -> None:
    found = said(*items)
    assert len(found) == len(words), found
    assert all(one in line for one, line in zip(words, found, strict=True))


def test_triggers_above_and_below_each_other_are_refused() -> None:
    part = observed(home(), there(E1))
    assert said(E, at=part) == [
        "tables[0] (public.e): its partition public.e1 has audit triggers of its own: declare that one with state: absent"
    ]
    assert said(E, replace(E1, present=False), at=part) == []
    assert said(E, at=part, purge=True) == []
    whole = observed(home(), there(E))
    assert said(E1, at=whole) == [
        "tables[1] (public.e1): is recorded with its parent public.e (the triggers that it has)"
    ]
    assert said(E1, at=whole, purge=True) == []


def test_readers_that_do_not_exist_are_named() -> None:
    assert said(readers=("auditor", "public")) == ["readers: role public does not exist"]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (home(), None),
        (EMPTY, None),
        (replace(EMPTY, schema=True), None),
        (replace(EMPTY, schema=True, crowded=True), "was not made for a log and holds other objects"),
        (home(log=Log("boss", False, NEEDED, ("at",))), "was not made by this module"),
        (home(log=Log("boss", True, {"at": "text"}, ("at",))), "it needs at timestamp with time zone, record text"),
        (home(log=Log("boss", True, {**NEEDED, "note": "text"}, ("at",))), None),
        (home(log=Log("boss", True, NEEDED, ())), "it needs PARTITION BY RANGE (at)"),
        (home(member=False, actor="me"), "belongs to boss, and me is no member of it"),
    ],
)
def test_a_log_that_cannot_be_kept_is_named(at: Home, words: str | None) -> None:
    found = [problem.what for problem in check_log(DECLARED, at, NEEDED)]
    assert bool(found) == bool(words)
    assert all(words in what for what in found if words)


def test_what_others_put_on_the_log_is_refused_with_the_statement_that_removes_it() -> None:
    found = [
        Meddling("trigger x on audit.log", "DROP TRIGGER x ON audit.log"),
        Meddling("eve, whom y belongs to,", "ALTER y"),
    ]
    for at in (home(meddling=tuple(found)), replace(EMPTY, meddling=tuple(found))):
        assert [str(problem) for problem in check_log(DECLARED, at, NEEDED)] == [
            (
                "audit_schema: trigger x on audit.log could silence, forge or break entries: DROP TRIGGER x ON audit.log, "
                "and run again"
            ),
            "audit_schema: eve, whom y belongs to, could silence, forge or break entries: ALTER y, and run again",
        ]


def test_who_may_read_or_write_everything_is_named() -> None:
    read, wrote = "pg_read_all_data", "pg_write_all_data"
    masters = (("a", read), ("a", wrote), ("auditor", read), ("auditor", wrote), ("boss", read), ("boss", wrote))
    assert [line.split(", whatever")[0] for line in plan(observed(home(masters=masters), there())).warnings] == [
        f"a may read entries of audit.log as a member of {read}",
        *(
            f"{role} may insert, change and delete entries of audit.log as a member of {wrote}"
            for role in ("a", "auditor", "boss")
        ),
    ]
