"""Names of WAL segments: what lies between them, in segments of any size and on several timelines."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.wal import (
    DEFAULT_SEGMENT_BYTES,
    SEGMENT_SIZES,
    absent,
    archived,
    gaps,
    of_archiver,
    segment,
)

from .backup_world import wal

MB = 2**20


@pytest.mark.parametrize("size", SEGMENT_SIZES)
def test_a_name_is_read_and_written_in_every_size(size: int) -> None:
    last = f"00000002{3:08X}{2**32 // size - 1:08X}"
    found = segment(last, size)
    assert (found.timeline, found.number, found.name(size)) == (2, 4 * (2**32 // size) - 1, last)
    assert segment(f"00000002{4:08X}{0:08X}", size).number == found.number + 1


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("000000010000000000000100", DEFAULT_SEGMENT_BYTES),  # one of a smaller size
        ("000000010000000000000004", 1024 * MB),
        ("00000001000000000000000a", DEFAULT_SEGMENT_BYTES),
        ("00000002.history", DEFAULT_SEGMENT_BYTES),
        ("000000010000000000000001.partial", DEFAULT_SEGMENT_BYTES),
        ("", DEFAULT_SEGMENT_BYTES),
    ],
)
def test_what_is_no_segment_is_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match="is not the name of a WAL segment"):
        segment(name, size)


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([], ()),
        ([7], ()),
        ([1, 2, 3], ()),
        ([3, 1, 2, 2], ()),
        ([1, 3], ((2, 2),)),
        ([1, 2, 6, 7, 9], ((3, 5), (8, 8))),
        ([254, 255, 256, 257], ()),  # no segment FF was left out, as before PostgreSQL 9.3
        ([254, 257], ((255, 256),)),
    ],
)
def test_gaps_on_one_timeline(numbers: list[int], missing: tuple[tuple[int, int], ...]) -> None:
    assert gaps([wal(number) for number in numbers]) == tuple((wal(first), wal(last)) for first, last in missing)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ([wal(1), wal(2), wal(2, 2), wal(3, 2)], ()),  # left in the middle of segment 2
        ([wal(1), wal(2), wal(3, 2)], ()),  # left at its end
        ([wal(1), wal(2), wal(4, 2)], ((wal(3, 2), wal(3, 2)),)),
        ([wal(1), wal(2), wal(3), wal(4), wal(3, 2), wal(4, 2)], ()),  # the old server went on for a while
        ([wal(1), wal(2), wal(2, 2), wal(2, 3), wal(3, 3)], ()),
        ([wal(1), wal(2), wal(2, 3), wal(5, 3)], ((wal(3, 3), wal(4, 3)),)),
    ],
)
def test_gaps_over_timelines(names: list[str], missing: tuple[tuple[str, str], ...]) -> None:
    assert gaps(names) == missing


def test_gaps_in_small_and_large_segments() -> None:
    small = [f"0000000100000000{low:08X}" for low in (0xFFE, 0xFFF)] + [f"0000000100000001{low:08X}" for low in (0, 2)]
    assert gaps(small, MB) == (("000000010000000100000001", "000000010000000100000001"),)
    large = ["000000010000000000000003", "000000010000000100000000"]
    assert gaps(large, 1024 * MB) == ()


@pytest.mark.parametrize(
    ("needed", "there", "missing"),
    [
        ((2, 2), [1, 2, 3], ()),
        ((2, 4), [1, 2, 3, 4], ()),
        ((2, 4), [2, 4], (3,)),
        ((2, 4), [], (2, 3, 4)),
        ((255, 256), [255], (256,)),
    ],
)
def test_what_a_backup_lacks(needed: tuple[int, int], there: list[int], missing: tuple[int, ...]) -> None:
    found = absent((wal(needed[0]), wal(needed[1])), [wal(number) for number in there])
    assert found == tuple(wal(number) for number in missing)


def test_the_same_number_on_another_timeline_does_not_stand_in() -> None:
    assert absent((wal(2), wal(2)), [wal(2, 2)]) == (wal(2),)


def test_files_of_an_archive() -> None:
    sha = "0123456789abcdef0123456789abcdef01234567"
    files = [
        f"0000000100000000/{wal(2)}-{sha}.zst",
        f"0000000100000000/{wal(1)}-{sha}",
        f"0000000100000000/{wal(1)}-{sha[::-1]}.gz",  # pushed twice
        f"0000000100000000/{wal(3)}.partial-{sha}.gz",
        f"0000000100000000/{wal(4)}-{sha}.pgbackrest.tmp",
        f"0000000100000000/{wal(5)}-{sha[:20]}",
        "00000002.history",
        "archive.info",
    ]
    assert archived(files) == (wal(1), wal(2))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, None),
        (wal(7), wal(7)),
        (f"{wal(7)}.00000028.backup", wal(7)),
        ("00000002.history", None),
        (f"{wal(7)}.partial", None),
    ],
)
def test_what_the_archiver_had_last(name: str | None, expected: str | None) -> None:
    assert of_archiver(name) == expected
