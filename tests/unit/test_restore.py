"""Recovery targets: what is asked for, what can be reached, and from which backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import (
    Reach,
    Target,
    choose,
    options,
    restore_points,
    segment_bytes,
    summary,
    target,
    timeline_to_follow,
    too_small,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.timelines import Left
from ansible_collections.pgstead.ops.plugins.module_utils._core.wal import lsn

from .backup_world import NOW, backup, wal

SECOND = timedelta(seconds=1)
OLD, NEW = backup("old", hours=10, at=10), backup("new", hours=2, at=20)
WAL = tuple(wal(number) for number in range(10, 31))
REACH = Reach(1, (OLD, NEW), WAL, NOW - timedelta(minutes=1), 1, {})


def at(hours: float, more: timedelta = timedelta(0)) -> Target:
    return Target("time", "a time", NOW - timedelta(hours=hours) + more)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("latest", "", Target("latest")),
        ("name", " before release ", Target("name", "before release")),
        ("lsn", "0/1a00028", Target("lsn", "0/1A00028", lsn=0x1A00028)),
        ("lsn", "16/B374D848", Target("lsn", "16/B374D848", lsn=0x16B374D848)),
    ],
)
def test_targets(kind: str, value: str, expected: Target) -> None:
    assert target(kind, value, NOW) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-03-15 11:00:00.123456+00", "2026-03-15 11:00:00.123456+00"),
        ("2026-03-15 12:30:00+02:00", "2026-03-15 10:30:00.000000+00"),
        ("2026-03-15T12:00:00Z", "2026-03-15 12:00:00.000000+00"),
    ],
)
def test_a_time_is_said_in_utc_to_the_microsecond(value: str, text: str) -> None:
    found = target("time", value, NOW)
    assert found.value == text
    assert found.moment is not None
    assert f"{found.moment:%Y-%m-%d %H:%M:%S.%f%z}" == f"{text}00"


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("immediate", "", "backup_restore_type: 'immediate' is not one of latest, time, name, lsn"),
        ("latest", "now", "latest has no target"),
        ("time", "", "a time is needed"),
        ("name", "  ", "a name is needed"),
        ("time", "yesterday", "'yesterday' is not a time as"),
        ("time", "2026-03-15 11:00:00", "has no zone: add +00"),
        ("time", "2026-03-15 12:00:00.000001+00", "is in the future: it is 2026-03-15 12:00:00+00"),
        ("lsn", "0x1A00028", "is not an LSN"),
        ("lsn", "0/1A000281A", "is not an LSN"),
        ("name", "é" * 32, "is not the name of a restore point"),
        ("name", "a\nb", "is not the name of a restore point"),
        ("name", "O'Brien", """cannot tell the server of "O'Brien": give the LSN"""),
        ("name", "a\\b", "give the LSN of that restore point"),
    ],
)
def test_what_is_no_target(kind: str, value: str, words: str) -> None:
    with pytest.raises(SpecError) as raised:
        target(kind, value, NOW)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("wanted", "label", "expected"),
    [
        (Target("latest"), "", "new"),
        (Target("latest"), "old", "old"),
        (at(1), "", "new"),
        (at(2, SECOND), "", "new"),
        (at(2, SECOND - timedelta(microseconds=1)), "", "old"),  # it may have ended later in that second
        (at(2), "", "old"),
        (at(1), "old", "old"),
        (Target("lsn", "0/14000138", lsn=lsn(NEW.lsn[1])), "", "new"),
        (Target("lsn", "0/14000137", lsn=lsn(NEW.lsn[1]) - 1), "", "old"),
        (Target("name", "canary", lsn=lsn("0/B000028")), "", "old"),
        (Target("name", "not in the log"), "old", "old"),
    ],
)
def test_the_backup_to_begin_with(wanted: Target, label: str, expected: str) -> None:
    assert choose(wanted, REACH, label).label == expected


@pytest.mark.parametrize(
    ("wanted", "reach", "label", "words"),
    [
        (at(10), REACH, "", "lies before the end of the oldest backup that could lead there, old, which ended at"),
        (Target("lsn", "0/1", lsn=1), REACH, "", "lies before the end of the oldest backup"),
        (at(5), REACH, "new", "lies before the end of the oldest backup that could lead there, new"),
        (at(0), REACH, "", f"lies beyond the WAL of repository 1: its last segment, {wal(30)}, was archived at"),
        (at(0), REACH, "old", "lies beyond the WAL"),
        (
            Target("lsn", "0/1F000000", lsn=31 * 2**24),
            REACH,
            "",
            f"beyond the WAL of repository 1, which ends with {wal(30)}",
        ),
        (at(1), replace(REACH, segments=()), "", "repository 1 has no archived WAL"),
        (Target("latest"), replace(REACH, segments=()), "", "repository 1 has no archived WAL"),
        (Target("latest"), replace(REACH, backups=()), "", "has no good backup to begin with"),
        (Target("latest"), replace(REACH, backups=(replace(OLD, good=False),)), "", "has no good backup"),
        (Target("latest"), REACH, "lost", "there is no backup lost in repository 1; there are old, new"),
        (Target("latest"), replace(REACH, backups=()), "lost", "there are none"),
    ],
)
def test_what_cannot_be_reached(wanted: Target, reach: Reach, label: str, words: str) -> None:
    with pytest.raises(SpecError) as raised:
        choose(wanted, reach, label)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("hours", "refused"), [(1.6, False), (1.5, True), (1.2, True), (1.0, False), (0.5, False)], ids=str
)
def test_a_time_that_only_a_timeline_has_that_was_left(hours: float, refused: bool) -> None:
    """Recovery that follows the newest one would end where the other was left, and succeed."""
    left = Left(1, NOW - timedelta(hours=1.5), NOW - timedelta(hours=1))
    reach = replace(REACH, timeline=2, ends={1: 0x1F000000}, left=(left,))
    if not refused:
        assert choose(at(hours), reach).label == "new"
        return
    with pytest.raises(SpecError) as raised:
        choose(at(hours), reach)
    assert "is a time of timeline 1 after 2026-03-15 10:30:00+00, at which an earlier restore left it" in str(
        raised.value
    )
    assert "Say backup_restore_timeline: 1 to go back onto what was left, or 2 if not" in str(raised.value)


@pytest.mark.parametrize(
    ("gone", "wanted", "expected"),
    [
        ((), Target("latest"), "new"),
        ((15,), Target("latest"), "new"),  # before the backup
        ((25,), Target("latest"), f"WAL {wal(25)} is missing in repository 1: from backup new"),
        ((25, 26), Target("name", "unknown"), f"WAL {wal(25)} to {wal(26)} is missing"),
        ((20,), Target("latest"), f"WAL {wal(20)} is missing"),
        ((25,), Target("lsn", "", lsn=24 * 2**24), "new"),  # the target comes first
        ((25,), Target("lsn", "", lsn=25 * 2**24), f"WAL {wal(25)} is missing"),
        ((15,), Target("lsn", "", lsn=18 * 2**24), f"WAL {wal(15)} is missing in repository 1: from backup old"),
    ],
)
def test_a_gap_on_the_way_is_refused(gone: tuple[int, ...], wanted: Target, expected: str) -> None:
    """Recovery would end before it, open the server, and say nothing."""
    reach = replace(REACH, segments=tuple(name for name in WAL if name not in {wal(number) for number in gone}))
    if expected == "new":
        assert choose(wanted, reach).label == expected
        return
    with pytest.raises(SpecError) as raised:
        choose(wanted, reach)
    assert expected in str(raised.value)


def test_a_gap_after_a_time_does_not_keep_from_it() -> None:
    """A backup that began later says where the log was by then."""
    since = backup("since", hours=1, at=28)
    without = tuple(name for name in WAL if name not in (wal(29), wal(30)))
    reach = replace(REACH, backups=(OLD, NEW, since), segments=(*without, wal(31), wal(32)))
    assert choose(at(1.5), reach).label == "new"
    with pytest.raises(SpecError, match=f"WAL {wal(29)} to {wal(30)} is missing"):
        choose(at(0.9), reach)
    before = replace(reach, segments=tuple(name for name in reach.segments if name != wal(25)))
    with pytest.raises(SpecError, match=f"WAL {wal(25)} is missing"):
        choose(at(1.5), before)


@pytest.mark.parametrize(
    ("asked", "chosen", "newest", "expected"),
    [
        ("", OLD, 1, ""),  # the server finds its own
        ("", OLD, 3, "3"),
        ("2", OLD, 3, "2"),
        ("", backup("on it", timeline=3), 3, ""),
    ],
)
def test_the_timeline_to_follow(asked: str, chosen: Any, newest: int, expected: str) -> None:
    assert timeline_to_follow(asked, chosen, replace(REACH, timeline=newest)) == expected


def test_what_was_made_on_a_later_timeline_does_not_lead_to_an_earlier_one() -> None:
    later = backup("later", hours=1, at=25, timeline=2)
    reach = replace(REACH, backups=(OLD, NEW, later))
    assert choose(Target("latest"), reach).label == "new"
    with pytest.raises(SpecError, match="has no good backup to begin with"):
        choose(Target("latest"), reach, "later")


def test_arrivals_are_known_to_the_second() -> None:
    """A segment that arrived at 11:59:00.9 is listed with 11:59:00, and has what was committed at 11:59:00.5."""
    arrived = NOW - timedelta(minutes=1)
    almost = arrived + SECOND - timedelta(microseconds=1)
    assert choose(Target("time", "", almost), REACH).label == "new"
    with pytest.raises(SpecError, match="lies beyond the WAL"):
        choose(Target("time", "", arrived + SECOND), REACH)


def test_the_end_of_the_wal_in_small_segments() -> None:
    """Segment 1FF of 1 MB ends at 0/20000000; read as one of 16 MB, it would be no segment at all."""
    held = replace(OLD, lsn=("0/900028", "0/900138"))
    held = replace(held, wal=(("000000010000000000000009",) * 2))
    names = [f"0000000100000000{number:08X}" for number in range(9, 0x200)]
    reach = Reach(1, (held,), tuple(names), NOW, 1, {}, 2**20)
    assert choose(Target("lsn", "", lsn=0x1FFFFFFF), reach).label == "old"
    with pytest.raises(SpecError, match="lies beyond the WAL"):
        choose(Target("lsn", "", lsn=0x20000000), reach)


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ([("000000010000000000000019", "0/1900028")], 2**20),
        ([("000000010000000000000019", "0/19000028")], 2**24),
        ([("000000010000000500000001", "5/40000028")], 2**30),
        ([("000000010000000500000000", "5/28")], 2**24),  # every size fits
        ([("000000010000000500000000", "5/28"), ("000000010000000500000007", "5/1C00028")], 2**22),
        ([("000000010000000000000019", "")], 2**24),  # pgBackRest before 2.36 does not say
        ([], 2**24),
    ],
)
def test_the_size_of_segments_is_what_name_and_lsn_agree_in(begun: list[tuple[str, str]], expected: int) -> None:
    assert segment_bytes([backup("b", wal=(name, name), lsn=(at, at)) for name, at in begun]) == expected


@pytest.mark.parametrize(
    ("backups", "ends", "expected"),
    [
        # made at 0/14000138 on timeline 1, which was left at 0/C000098 for timeline 2
        ((OLD, NEW), {1: 0xC000098}, "old"),
        ((OLD, NEW), {1: 0x15000000}, "new"),
        ((OLD, NEW), None, "new"),  # no history at hand: recovery itself would refuse
        ((OLD, backup("on it", hours=3, at=14, timeline=2)), {1: 0xC000098}, "on it"),
        ((OLD, backup("aside", hours=3, at=14, timeline=3)), {1: 0xC000098}, "old"),
        ((OLD, replace(NEW, lsn=("", ""))), {1: 0x7F000000}, "old"),
    ],
)
def test_abandoned_timelines(backups: Any, ends: Any, expected: str) -> None:
    reach = Reach(1, backups, (*WAL, *(wal(number, 2) for number in range(10, 31))), NOW, 2, ends)
    assert choose(Target("latest"), reach).label == expected


@pytest.mark.parametrize(
    ("wanted", "timeline", "words"),
    [
        (Target("latest"), "", []),
        (Target("latest"), "3", ["--target-timeline=3"]),
        (Target("name", "a b"), "", ["--type=name", "--target=a b", "--target-action=promote"]),
        (Target("lsn", "0/1"), "2", ["--target-timeline=2", "--type=lsn", "--target=0/1", "--target-action=promote"]),
    ],
)
def test_words_for_pgbackrest(wanted: Target, timeline: str, words: list[str]) -> None:
    assert options(wanted, timeline) == words


CONTROL = """\
max_connections setting:              200
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           5
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
"""


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"max_connections": "200", "max_prepared_transactions": "5"}, []),
        ({"max_connections": "500", "max_prepared_transactions": "5", "max_wal_senders": "10"}, []),
        ({"max_connections": "199", "max_prepared_transactions": "5"}, ["max_connections"]),
        ({}, ["max_connections", "max_prepared_transactions"]),
        (
            {
                "max_connections": "200",
                "max_wal_senders": "3",
                "max_worker_processes": "4",
                "max_locks_per_transaction": "10",
            },
            ["max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction"],
        ),
    ],
)
def test_settings_that_are_too_small(settings: dict[str, str], names: list[str]) -> None:
    assert [fault.split(" is ")[0] for fault in too_small(CONTROL, settings)] == names


def test_the_fault_has_both_values() -> None:
    (fault,) = too_small("max_connections setting:   200\n", {"max_connections": "20"})
    assert fault == "max_connections is 20 here, but the server that was backed up had 200"


LINES = [
    '2026-03-15 10:00:00 UTC [1] LOG:  restore point "canary" created at 0/A000090',
    '{"message":"restore point \\"canary\\" created at 1/B000090","error_severity":"LOG"}',
    '2026-03-15 10:02:00 UTC [1] LOG:  restore point "canary bird" created at 0/C000090',
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("canary", (0xA000090, 0x10B000090)), ("canary bird", (0xC000090,)), ("anary", ()), ("canar.", ()), ("", ())],
)
def test_restore_points_in_the_log(name: str, expected: tuple[int, ...]) -> None:
    assert restore_points(LINES, name) == expected


def test_the_summary_of_a_restore() -> None:
    found = {"phases": {"fetch": 1.23}, "target": "latest", "backup": "B", "repository": 1, "stopped_at": ""}
    assert summary(found) == "latest from B of 1: end of the WAL (fetch 1.2 s)"
