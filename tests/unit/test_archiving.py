"""What is wrong with archiving, by the server's account and by what an archive holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.archiving import (
    Archiving,
    archiving_faults,
    continuity_faults,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.backup import Held

from .backup_world import NOW, backup, wal

COMMAND = "pgbackrest --stanza=db1 archive-push %p"
MINUTE = timedelta(minutes=1)
GOOD = Archiving(COMMAND, False, wal(7), NOW - MINUTE, None, None, 0, None, NOW)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({}, ()),
        ({"failed": wal(6), "failed_time": NOW - 5 * MINUTE}, ()),  # it has gone on since
        ({"failed": wal(8), "failed_time": NOW}, (f"archiving of {wal(8)} fails, last at 2026-03-15 12:00:00 UTC",)),
        (
            {"last": None, "last_time": None, "failed": wal(1), "failed_time": NOW - 5 * MINUTE},
            (f"archiving of {wal(1)} fails",),
        ),
        ({"waiting": 3, "oldest": NOW - 15 * MINUTE}, ()),
        ({"waiting": 3, "oldest": NOW - 16 * MINUTE}, ("3 segments wait to be archived, the oldest for 16 min",)),
        ({"command": "/bin/true"}, ("archive_command is '/bin/true', so nothing leaves the host",)),
        (
            {"command": COMMAND.replace("db1", "db2"), "waiting": 9, "oldest": NOW - 99 * MINUTE},
            ("archive_command is",),
        ),
        ({"in_recovery": True, "command": "/bin/false", "failed": wal(8), "failed_time": NOW}, ()),
    ],
)
def test_the_servers_account(seen: dict[str, Any], words: tuple[str, ...]) -> None:
    found = archiving_faults(replace(GOOD, **seen), COMMAND, 15 * MINUTE)
    assert len(found) == len(words)
    assert all(fault.startswith(said) for fault, said in zip(found, words, strict=True)), found


def test_failing_and_late_are_two_faults() -> None:
    seen = replace(GOOD, failed=wal(8), failed_time=NOW, waiting=1, oldest=NOW - timedelta(hours=2))
    assert len(archiving_faults(seen, COMMAND, 15 * MINUTE)) == 2


OLD, NEW = backup("old", hours=48, at=10), backup("new", hours=1, at=20)
LONG = backup("long", hours=48, wal=(wal(10), wal(12)))


def numbers(*spans: tuple[int, int], timeline: int = 1) -> list[str]:
    return [wal(number, timeline) for low, high in spans for number in range(low, high + 1)]


@pytest.mark.parametrize(
    ("backups", "names", "fulls", "last", "words"),
    [
        ((OLD, NEW), numbers((10, 25)), 2, wal(25), ()),
        ((OLD, NEW), numbers((10, 15), (17, 25)), 2, wal(25), (f"WAL {wal(16)} is missing",)),
        ((OLD, NEW), numbers((10, 15), (18, 25)), 2, wal(25), (f"WAL {wal(16)} to {wal(17)} is missing",)),
        # only since the newest full one the WAL is kept whole: before it, what its own backup needs
        ((OLD, NEW), numbers((10, 10), (20, 25)), 1, wal(25), ()),
        ((OLD, NEW), numbers((20, 25)), 1, wal(25), ("backup old cannot become consistent",)),
        ((OLD, NEW), numbers((10, 12), (14, 15), (17, 25)), 2, wal(25), (f"WAL {wal(13)} is", f"WAL {wal(16)} is")),
        (
            (LONG,),
            numbers((10, 10), (12, 14)),
            2,
            None,
            (f"backup long cannot become consistent: segment {wal(11)}", "WAL"),
        ),
        ((OLD,), numbers((10, 24)), 2, wal(25), (f"the archive ends at {wal(24)}, but the server has had {wal(25)}",)),
        ((OLD,), numbers((10, 26)), 2, wal(25), ()),  # one more has come since the server was asked
        ((OLD,), numbers((10, 20)), 2, None, ()),  # a standby
        ((OLD,), [], 2, wal(25), ("backup old cannot become", "the archive ends at nothing, but")),
        ((OLD,), [*numbers((10, 20)), *numbers((20, 25), timeline=2)], 2, wal(25, 2), ()),
        (
            (OLD,),
            [*numbers((10, 20)), *numbers((22, 25), timeline=2)],
            2,
            wal(25, 2),
            (f"WAL {wal(21, 2)} is missing",),
        ),
        (
            (backup("diff", "diff", at=10),),
            numbers((10, 12), (15, 16)),
            2,
            wal(16),
            (),
        ),  # without a full one, nothing is
        ((), numbers((10, 12), (15, 16)), 2, wal(16), ()),
    ],
)
def test_continuity(backups: Any, names: list[str], fulls: int, last: str | None, words: tuple[str, ...]) -> None:
    found = continuity_faults(Held(1, backups=backups), names, fulls, last)
    assert len(found) == len(words), found
    assert all(fault.startswith(said) for fault, said in zip(found, words, strict=True)), found


def test_continuity_in_segments_of_another_size() -> None:
    """A name with more than FF at its end exists only in smaller ones."""
    names = [f"0000000100000000{low:08X}" for low in (0x0FE, 0x0FF, 0x100, 0x102)]
    held = Held(1, backups=(backup("full", wal=(names[0], names[0])),))
    found = continuity_faults(held, names, 1, names[-1], 2**20)
    assert len(found) == 1
    assert found[0].startswith("WAL 000000010000000000000101 is missing")
