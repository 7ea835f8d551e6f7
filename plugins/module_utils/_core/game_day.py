# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A game day, on which a whole host is rebuilt: how long each part took, and what it must have come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .recovery_probe import COULD_NOT_RUN, FAILED, PASSED, Check

NO_APPLICATION = "no database declares an application_role that could be asked for"


def phases(begun: float, provisioned: float, served: float, restored: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds from the bare machine until a client was served; what is between recovery and client is `serve`.

    The first three are moments in seconds since 1970, `restored` are the phases of the restore: one whose run was cut off while
    the server recovered does not know for how long, and that counts as `serve`.
    """
    found = {"provision": provisioned - begun, **{name: restored.get(name, 0.0) for name in ("fetch", "recover")}}
    found["serve"] = served - begun - sum(found.values())
    return {name: round(seconds, 3) for name, seconds in found.items()}


def checks(databases: Sequence[str], differing: Sequence[str], marker: Check) -> list[Check]:
    """Judge what was looked at: databases whose application was served, and what is not as the inventory has it."""
    served = [
        Check("served", name, PASSED, "the application was answered through the pooler", 0.0) for name in databases
    ]
    if differing:
        access = Check("access", "", FAILED, f"{', '.join(differing)} differ from the inventory", 0.0)
    else:
        access = Check("access", "", PASSED, "roles, databases and rights are as declared", 0.0)
    return [*(served or [Check("served", "", COULD_NOT_RUN, NO_APPLICATION, 0.0)]), access, marker]
