# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts for the plans: one look at the host."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .._core.errors import HostError
from .._shell import Context, Outcome
from .facts import observe


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Return `facts`; changes nothing. Raises HostError for a moment that names no offset."""
    told = _epoch(params["controller_time"]) if params.get("controller_time") else None
    tls = (params["tls_certificate"], params["tls_key"])
    cluster = (int(params["version"]), str(params["cluster"]))
    found = observe(context.run, cluster, params["data_directory"], tls, params["directories"])
    return Outcome(False, {"facts": found | {"controller_epoch": told}})


def _epoch(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        what = "is no moment with an offset: write it as 2026-07-01T12:00:00+00:00"
        raise HostError(f"controller_time: {text!r} {what}")
    return moment.timestamp()
