# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a server certificate must be made or made anew, and which names it has."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Problem

DAY_SECONDS = 86400


@dataclass(frozen=True)
class CertificatePlan:
    """`renew` is empty where nothing is to do, else the reason; names as community.crypto writes them (DNS:, IP:)."""

    self_signed: bool
    renew: str
    names: tuple[str, ...]
    common_name: str


def names(facts: Mapping[str, Any], extra: Sequence[str]) -> tuple[str, ...]:
    """Return the subject alternative names: the host's own, its addresses, loopback, and the declared ones."""
    found = [*dict.fromkeys([facts["hostname"], facts["fqdn"], "localhost", "127.0.0.1", "::1"])]
    found += [*facts["addresses"], *(str(name) for name in extra)]
    return tuple(dict.fromkeys(_typed(name) for name in found if name))


def plan_certificate(
    tls: Mapping[str, Any], extra: Sequence[str], renew_days: int, facts: Mapping[str, Any]
) -> tuple[CertificatePlan, tuple[Problem, ...]]:
    """Decide about the certificate; `facts["tls"]` is what _host.facts saw at its path."""
    seen, wanted = facts["tls"], names(facts, extra)
    if tls.get("certificate"):
        error = seen["error"]
        if not error and seen["not_after"] <= facts["epoch"]:
            error = f"{tls['certificate']} has expired: give a valid one"
        return CertificatePlan(False, "", wanted, facts["hostname"]), (
            Problem("postgresql_tls", error),
        ) if error else ()
    renew = ""
    if seen["error"]:
        renew = seen["error"]
    elif seen["not_after"] - facts["epoch"] < renew_days * DAY_SECONDS:
        renew = f"expires within {renew_days} days"
    elif missing := [name for name in wanted if name not in seen["names"]]:
        renew = f"does not name {', '.join(missing)}"
    return CertificatePlan(True, renew, wanted, facts["hostname"]), ()


def _typed(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
