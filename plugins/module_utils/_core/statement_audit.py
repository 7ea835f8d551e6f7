# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pgaudit: which statements the server writes into its log, beside the trail of rows that the audit triggers keep."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import Problem
from .tuning import Setting

LIBRARY = "pgaudit"
VARIABLE = "postgresql_audit_statements"
CLASSES = ("read", "write", "function", "role", "ddl", "misc", "misc_set", "all")


def package(version: int) -> str:
    """Return the Debian package that brings the library."""
    return f"postgresql-{version}-pgaudit"


def problems(classes: Sequence[str]) -> list[Problem]:
    """Name what is no class of statements; `-misc` takes one out of `all`."""
    unknown = [name for name in classes if name.removeprefix("-") not in CLASSES]
    accepted = f"{', '.join(CLASSES)}, or one of them behind a minus sign, which takes it out"
    found = [Problem(VARIABLE, f"{name!r} is not one of {accepted}") for name in unknown]
    if classes and not unknown and all(name.startswith("-") for name in classes):
        found.append(Problem(VARIABLE, "only takes classes out: begin with one that is logged, for example all"))
    return found


def settings(classes: Sequence[str]) -> tuple[Setting, ...]:
    """Return what postgresql.conf says to pgaudit."""
    rows = (
        ("log", ", ".join(classes), VARIABLE),
        ("log_catalog", "off", "statements that only read the catalogue are every client's noise"),
        ("log_parameter", "off", "parameter values are personal data: never logged"),
    )
    return tuple(Setting(f"{LIBRARY}.{name}", value, reason, "statement audit") for name, value, reason in rows)
