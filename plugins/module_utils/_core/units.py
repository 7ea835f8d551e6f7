# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sizes and durations as PostgreSQL writes them (units of guc.c: B kB MB GB TB, us ms s min h d)."""

from __future__ import annotations

import re
from fractions import Fraction

KB = 1024
MB = 1024 * KB
GB = 1024 * MB
TB = 1024 * GB

SIZE_UNITS = {"B": 1, "kB": KB, "8kB": 8 * KB, "MB": MB, "16MB": 16 * MB, "GB": GB, "TB": TB}
TIME_UNITS = {
    "us": Fraction(1, 1000),
    "ms": Fraction(1),
    "s": Fraction(1000),
    "min": Fraction(60_000),
    "h": Fraction(3_600_000),
    "d": Fraction(86_400_000),
}
SIZE_WORDS = ("B", "kB", "MB", "GB", "TB")

# an exponent of more digits is nobody's setting, and takes for ever to write out
_NUMBER = re.compile(r"^\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-z]*)\s*$")
_OCTAL_OR_HEX = re.compile(r"0([0-7]+)|0[xX]([0-9a-fA-F]+)")


def split_number(text: str) -> tuple[Fraction, str]:
    """Split `64MB` into (64, "MB"); the unit is empty where none is written. Raises ValueError for anything else."""
    match = _NUMBER.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number")
    return Fraction(match.group(1)), match.group(2)


def parse_size(text: str | int, default_unit: str = "B") -> int:
    """Return bytes. `default_unit` (a key of SIZE_UNITS) applies where the text names none. Raises ValueError."""
    number, unit = split_number(str(text))
    factor = SIZE_UNITS.get(unit or default_unit)
    if factor is None or unit in ("8kB", "16MB"):
        raise ValueError(f"{text!r} has no size unit PostgreSQL knows: use one of {', '.join(SIZE_WORDS)}")
    return int(number * factor)


def parse_duration_ms(text: str | int, default_unit: str = "ms") -> Fraction:
    """Return milliseconds. `default_unit` applies where the text names none. Raises ValueError."""
    number, unit = split_number(str(text))
    factor = TIME_UNITS.get(unit or default_unit)
    if factor is None:
        raise ValueError(f"{text!r} has no time unit PostgreSQL knows: use one of {', '.join(TIME_UNITS)}")
    return number * factor


def parse_count(text: str) -> int:
    """Return a whole number as PostgreSQL reads it: 010 is octal, 0x10 hexadecimal, a fraction is rounded."""
    if match := _OCTAL_OR_HEX.fullmatch(text.strip()):
        return int(match[1], 8) if match[1] else int(match[2], 16)
    number, unit = split_number(text)
    if unit:
        raise ValueError(f"{text!r} is not a plain number")
    return round(number)


def format_size(size: int) -> str:
    """Write bytes in the largest unit that keeps the number whole, never below kB (rounded down)."""
    for unit in ("TB", "GB", "MB"):
        if size >= SIZE_UNITS[unit] and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]}{unit}"
    return f"{size // KB}kB"


def human_size(size: int) -> str:
    """Write bytes for a person: one decimal, the unit that fits (`23.5 GB`)."""
    for unit in ("TB", "GB", "MB"):
        if size >= SIZE_UNITS[unit]:
            return f"{size / SIZE_UNITS[unit]:.1f} {unit}"
    return f"{size // KB} kB"


def human_duration(seconds: float) -> str:
    """Write seconds for a person: one decimal below ten, else the two units that fit (`2 min 3 s`, `1 h 5 min`)."""
    if abs(seconds) < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for name, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"
