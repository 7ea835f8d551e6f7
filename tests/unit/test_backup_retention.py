"""Which of a repository's backups tiers keep, with all that they are made upon."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Backup
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup_retention import (
    expired,
    reasons,
    wal_fulls,
    wal_window,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError

from .backup_world import NOW, backup

DAY = timedelta(days=1)
KEEP = {"hourly": DAY, "daily": 7 * DAY, "weekly": 14 * DAY, "monthly": timedelta(0)}
YEARS = 20000


def chain(day: float, name: str = "") -> list[Backup]:
    """Return a full, a differential and an incremental backup, 24, 23 and 22 hours before so many days ago."""
    full, diff, incr = (f"{name or f'{day:g}'}{letter}" for letter in "FDI")
    hours = day * 24
    return [
        backup(full, "full", hours + 2),
        backup(diff, "diff", hours + 1, needs=frozenset({full})),
        backup(incr, "incr", hours, needs=frozenset({full, diff})),
    ]


@pytest.mark.parametrize(
    ("backups", "gone"),
    [
        ([], ()),
        ([backup("only", hours=YEARS)], ()),
        (chain(YEARS / 24), ()),  # the newest is an incremental one: all three stay
        # any moment of the last week is reached from it
        ([backup("old", hours=YEARS), *chain(1)], ()),
        ([*chain(100), *chain(1)], ("100D",)),
        ([backup("old", hours=YEARS), backup("bad", hours=300, good=False), *chain(1)], ("bad",)),
        # of a young host, from the oldest
        ([backup("first", hours=30), backup("second", hours=26), backup("new")], ()),
        (
            [backup("first", hours=30), backup("middle", hours=28), backup("second", hours=26), backup("new")],
            ("middle",),
        ),
        # those above go with it
        ([*chain(100), *chain(20), *chain(1)], ("100F", "20D")),
        # an hour of the last day is kept by any kind, a day by full or differential ones, a week by full ones
        (
            [backup("F", hours=9 * 24), backup("I", "incr", 3 * 24, needs=frozenset({"F"})), backup("new", hours=1)],
            ("I",),
        ),
        ([backup("F", hours=9 * 24), backup("D", "diff", 3 * 24, needs=frozenset({"F"})), backup("new", hours=1)], ()),
        ([backup("F", hours=30 * 24), backup("D", "diff", 3 * 24, needs=frozenset({"F"})), backup("new", hours=1)], ()),
        ([backup("D", "diff", 10 * 24, needs=frozenset({"F"})), backup("F", hours=16 * 24), backup("new")], ("D",)),
    ],
)
def test_what_goes(backups: list[Backup], gone: tuple[str, ...]) -> None:
    assert expired(backups, KEEP, NOW) == gone


@pytest.mark.parametrize("kind", ["full", "diff", "incr"])
def test_the_last_good_one_stays_with_what_it_needs(kind: str) -> None:
    base = backup("base", hours=YEARS + 2)
    last = backup("last", kind, YEARS + 1, needs=frozenset({"base"} if kind != "full" else ()))
    bad = [backup(f"bad {hours}", hours=YEARS - hours, good=False) for hours in range(3)]
    found = reasons([base, last, *bad], KEEP, NOW)
    assert "newest" in found["last"]
    assert ("base" in found) is (kind != "full")


def test_a_damaged_one_stays_until_a_good_one_follows() -> None:
    bad = backup("bad", hours=2, good=False)
    assert reasons([backup("old", hours=YEARS), bad], KEEP, NOW)["bad"] == ("damaged, and newer than any good one",)
    assert expired([bad, backup("new", hours=1)], KEEP, NOW) == ("bad",)


def test_a_long_chain_is_followed_to_its_begin() -> None:
    found = [backup("0", hours=YEARS)]
    found += [backup(str(n), "incr", YEARS - n, needs=frozenset({str(n - 1)})) for n in range(1, 6)]
    assert expired(found, KEEP, NOW) == ()
    assert "5 is made upon it" in reasons(found, KEEP, NOW)["0"]


def test_what_is_made_upon_one_that_is_lost_is_no_endless_search() -> None:
    one, two = backup("1", needs=frozenset({"2"})), backup("2", hours=2, needs=frozenset({"1", "lost"}))
    assert set(reasons([one, two], KEEP, NOW)) == {"1", "2", "lost"}


def test_a_clock_that_is_behind_expires_nothing() -> None:
    with pytest.raises(HostError, match="the clock is behind"):
        expired([backup("old", hours=YEARS), backup("ahead", hours=-1)], KEEP, NOW)


@pytest.mark.parametrize(
    ("ages", "days", "fulls"),
    [
        ([0, 7, 14, 21, 28, 35], 30, 6),
        ([0, 7, 14, 21, 28, 30, 35], 30, 6),  # one that is just old enough
        (list(range(41)), 30, 31),  # a full one every day
        ([0, 0, 0, 0, 0, 0, 7, 35], 30, 8),  # several of one day shorten nothing
        ([0, 7], 30, 2),  # none is old enough yet
        ([], 30, 1),
    ],
)
def test_the_wal_is_whole_for_the_window_however_many_full_ones_there_are(
    ages: list[int], days: int, fulls: int
) -> None:
    backups = [backup(f"{number}", hours=24 * age) for number, age in enumerate(ages)]
    assert wal_fulls([*backups, backup("i", "incr", hours=1)], timedelta(days=days), NOW) == fulls


def test_a_bad_full_one_begins_no_window() -> None:
    backups = [backup("new"), backup("bad", hours=24 * 31, good=False), backup("old", hours=24 * 40)]
    assert wal_fulls(backups, timedelta(days=30), NOW) == 3


def test_a_clock_that_may_be_ahead_expires_nothing() -> None:
    weekly = [backup(f"{week}", hours=24 * (1200 + 7 * week)) for week in range(5)]
    with pytest.raises(HostError, match="is the clock ahead"):
        expired([*weekly, backup("new", hours=0)], KEEP, NOW)
    assert expired([*weekly, backup("new", hours=0), backup("newer", hours=0)], KEEP, NOW) != ()


def _made(at: timedelta, more: tuple[int, ...], begun: list[Backup]) -> list[Backup]:
    """Return what a day adds: a full backup on each seventh and on some further days, else a differential one."""
    number = at.days
    if number % 7 == 0 or number in more:
        return [replace(backup(f"{number}F"), stopped=NOW + at)]
    base = max((one for one in begun if one.kind == "full"), key=lambda one: one.stopped)
    return [replace(backup(f"{number}D", "diff"), stopped=NOW + at, needs=frozenset({base.label}))]


@pytest.mark.parametrize("more", [(), (3,), (45, 52), (10, 11, 12)], ids=str)
@pytest.mark.parametrize(
    "keep",
    [
        {"hourly": DAY, "daily": 30 * DAY, "weekly": 90 * DAY, "monthly": 365 * DAY},
        {"hourly": DAY, "daily": 30 * DAY, "weekly": timedelta(0), "monthly": timedelta(0)},
        {"hourly": DAY, "daily": 7 * DAY, "weekly": 7 * DAY, "monthly": timedelta(0)},
    ],
    ids=["production", "days alone", "development"],
)
def test_every_moment_of_the_window_is_reached_on_every_day(keep: dict[str, timedelta], more: tuple[int, ...]) -> None:
    """The WAL before its begin is gone: the begin never goes back, and is never later than the window."""
    window, there, begun = wal_window(keep), list[Backup](), NOW
    for day in range(120):
        now = NOW + day * DAY + DAY / 24
        there += _made(day * DAY, more, there)
        fulls = sorted((one.stopped for one in there if one.kind == "full"), reverse=True)
        begin = fulls[min(wal_fulls(there, window, now), len(fulls)) - 1]
        assert begin >= begun
        begun = begin
        assert begin <= max(now - window, NOW)
        gone = set(expired(there, keep, now))
        there = [one for one in there if not ({one.label} | one.needs) & gone]
        assert begin in {one.stopped for one in there}
