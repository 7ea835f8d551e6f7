"""Sizes, durations and counts as PostgreSQL writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import units


@pytest.mark.parametrize(
    ("text", "default", "expected"),
    [
        ("64MB", "B", 64 * 1024**2),
        ("64 MB", "kB", 64 * 1024**2),
        ("1GB", "8kB", 1024**3),
        ("2TB", "B", 2 * 1024**4),
        ("7B", "kB", 7),
        (4096, "B", 4096),
        ("16", "8kB", 16 * 8192),
        ("3", "16MB", 48 * 1024**2),
        ("1.5GB", "B", 3 * 512 * 1024**2),
        (".5kB", "B", 512),
        ("1e3kB", "B", 1024000),
        ("-1", "kB", -1024),
        ("0", "MB", 0),
    ],
)
def test_parse_size(text: str | int, default: str, expected: int) -> None:
    assert units.parse_size(text, default) == expected


@pytest.mark.parametrize(
    "text", ["", "MB", "64mb", "64K", "64KB", "1g", "4 8kB", "8kBx", "1 2MB", "1/2GB", "1_0MB", "٣MB", "1e1000000"]
)
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|unit"):
        units.parse_size(text)


def test_wrong_size_unit_names_the_accepted_ones() -> None:
    with pytest.raises(ValueError, match="B, kB, MB, GB, TB"):
        units.parse_size("64mb")


@pytest.mark.parametrize("text", ["1 8kB", "8kB"])
def test_block_units_are_not_for_people(text: str) -> None:
    """`8kB` is eight kilobytes, not one block: units of pg_settings are defaults only."""
    if text == "8kB":
        assert units.parse_size(text) == 8192
    else:
        with pytest.raises(ValueError, match="number"):
            units.parse_size(text)


@pytest.mark.parametrize(
    ("text", "default", "expected"),
    [
        ("30s", "ms", 30_000),
        ("15min", "s", 900_000),
        ("1h", "ms", 3_600_000),
        ("2d", "ms", 172_800_000),
        ("500us", "ms", Fraction(1, 2)),
        ("250", "ms", 250),
        ("250", "s", 250_000),
        (0, "ms", 0),
        ("-1", "ms", -1),
    ],
)
def test_parse_duration(text: str | int, default: str, expected: Fraction) -> None:
    assert units.parse_duration_ms(text, default) == expected


@pytest.mark.parametrize("text", ["30 sec", "1m", "5M", "1 hour", "s"])
def test_parse_duration_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|us, ms, s, min, h, d"):
        units.parse_duration_ms(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100", 100),
        ("3.0", 3),
        ("2.6", 3),
        ("1e2", 100),
        ("0640", 0o640),
        ("0x10", 16),
        (" 7 ", 7),
        ("0", 0),
        ("-1", -1),
    ],
)
def test_parse_count(text: str, expected: int) -> None:
    assert units.parse_count(text) == expected


@pytest.mark.parametrize("text", ["", "ten", "4kB", "1/2", "0x", "1_000"])
def test_parse_count_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        units.parse_count(text)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0kB"),
        (1023, "0kB"),
        (64 * 1024, "64kB"),
        (1024**2, "1MB"),
        (1536 * 1024, "1536kB"),
        (1536 * 1024**2, "1536MB"),
        (4 * 1024**3, "4GB"),
        (1024**4, "1TB"),
    ],
)
def test_format_size(size: int, expected: str) -> None:
    assert units.format_size(size) == expected


@given(st.integers(min_value=0, max_value=2**50))
def test_a_written_size_reads_back(kilobytes: int) -> None:
    assert units.parse_size(units.format_size(kilobytes * 1024)) == kilobytes * 1024


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1023 * 1024, "1023 kB"), (1024**2, "1.0 MB"), (24064 * 1024**2, "23.5 GB"), (3 * 1024**4, "3.0 TB")],
)
def test_human_size(size: int, expected: str) -> None:
    assert units.human_size(size) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.94, "0.9 s"),
        (3.0, "3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (123.4, "2 min 3 s"),
        (900, "15 min"),
        (3599.7, "1 h"),
        (3900, "1 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_human_duration(seconds: float, expected: str) -> None:
    assert units.human_duration(seconds) == expected
