# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What PostgreSQL knows about its own settings, so that bad input is refused before a server exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import cache

from .catalogue_data import ENTRIES
from .units import SIZE_UNITS, SIZE_WORDS, TIME_UNITS, parse_duration_ms, parse_size, split_number

OLDEST, NEWEST = 14, 18
_TYPES = {"b": "bool", "i": "integer", "r": "real", "e": "enum", "s": "string"}
_CONTEXTS = {"p": "postmaster", "h": "sighup", "S": "superuser", "B": "superuser-backend", "k": "backend", "u": "user"}
# libraries whose settings do not begin with their own name
_PREFIXES = {"cron": "pg_cron"}
_BOOLEANS = {"on", "off", "true", "false", "yes", "no", "1", "0"}


@dataclass(frozen=True)
class Parameter:
    """One setting of one major version, as pg_settings describes it; limits are in `unit`."""

    name: str
    kind: str
    context: str
    unit: str
    minimum: Fraction | None
    maximum: Fraction | None
    words: tuple[str, ...]

    @property
    def needs_restart(self) -> bool:
        return self.context == "postmaster"


@cache
def parameters(version: int) -> Mapping[str, Parameter]:
    """Return every setting of a major version by lower-case name."""
    found: dict[str, Parameter] = {}
    for entry in " ".join(ENTRIES.split()).split(";"):
        if not entry.strip():
            continue
        fields = [*entry.strip().split("|"), *[""] * 7][:7]
        name, kind, context, unit, limits, since, until = fields
        if int(since or OLDEST) <= version <= int(until or NEWEST):
            numeric = kind in "ir"
            low, high = limits.split(":") if numeric else ("", "")
            found[name.lower()] = Parameter(
                name=name,
                kind=_TYPES[kind],
                context=_CONTEXTS[context],
                unit=unit,
                minimum=Fraction(low) if low else None,
                maximum=Fraction(high) if high else None,
                words=tuple(limits.split(",")) if kind == "e" else (),
            )
    return found


def complaint(version: int, name: str, value: str, libraries: tuple[str, ...] = ()) -> str | None:
    """Say why PostgreSQL `version` would refuse `name = value`, or return None.

    Settings of other preloaded `libraries` (a dotted name whose prefix is loaded) are accepted unchecked: only the
    library itself knows them, and the proof on the host asks it.
    """
    known = parameters(version).get(name.lower())
    if known is None:
        return _unknown(version, name, libraries)
    if known.kind == "bool":
        return None if value.lower() in _BOOLEANS else f"{value!r} is not a boolean: use on or off"
    if known.kind == "enum":
        # PostgreSQL takes boolean spellings for the enums that began as booleans
        if value.lower() in [word.lower() for word in known.words] or (
            value.lower() in _BOOLEANS and {"on", "off"} & set(known.words)
        ):
            return None
        return f"{value!r} is not one of {', '.join(known.words)}"
    if known.kind in ("integer", "real"):
        return _number_complaint(known, value)
    return None


def in_base_unit(parameter: Parameter, value: str) -> Fraction:
    """Return a numeric value in the parameter's own unit. Raises ValueError where the text does not fit it."""
    if parameter.unit in SIZE_UNITS:
        return Fraction(parse_size(value, parameter.unit), SIZE_UNITS[parameter.unit])
    if parameter.unit in TIME_UNITS:
        return parse_duration_ms(value, parameter.unit) / TIME_UNITS[parameter.unit]
    if parameter.kind == "integer" and (octal := re.fullmatch(r"0([0-7]+)|0x([0-9a-fA-F]+)", value.strip())):
        # as strtol reads it: file modes are written in octal
        return Fraction(int(octal[1], 8) if octal[1] else int(octal[2], 16))
    number, unit = split_number(value)
    if unit:
        raise ValueError(f"{value!r} is not a plain number, and {parameter.name} takes no unit")
    return number


def _unknown(version: int, name: str, libraries: tuple[str, ...]) -> str | None:
    prefix = name.split(".", 1)[0]
    prefix = _PREFIXES.get(prefix, prefix)
    if "." in name:
        if prefix in libraries and prefix not in ("pg_stat_statements", "auto_explain"):
            return None
        if prefix not in libraries:
            return f"no library {prefix!r} is preloaded: add it to postgresql_preload_libraries"
    elsewhere = [str(major) for major in range(OLDEST, NEWEST + 1) if name.lower() in parameters(major)]
    if elsewhere:
        return f"PostgreSQL {version} has no such setting (it exists in {', '.join(elsewhere)})"
    close = get_close_matches(name.lower(), list(parameters(version)), n=2)
    return "no such setting" + (f": did you mean {' or '.join(close)}?" if close else f" in PostgreSQL {version}")


def _number_complaint(known: Parameter, value: str) -> str | None:
    try:
        number = in_base_unit(known, value)
    except ValueError as error:
        return str(error)
    if (known.minimum is not None and number < known.minimum) or (known.maximum is not None and number > known.maximum):
        unit = f" ({accepted_units(known)})" if known.unit else ""
        return f"{value} is outside {float(known.minimum or 0):g} … {float(known.maximum or 0):g} {known.unit}{unit}"
    return None


def accepted_units(parameter: Parameter) -> str:
    """Name the units a parameter takes, for error messages."""
    if parameter.unit in SIZE_UNITS:
        return "units " + ", ".join(SIZE_WORDS)
    return "units " + ", ".join(TIME_UNITS) if parameter.unit in TIME_UNITS else "no unit"
