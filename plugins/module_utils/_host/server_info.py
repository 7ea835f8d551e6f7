# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts for the plans: one look at the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._shell import Context, Outcome
from .facts import observe


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Return `facts`; changes nothing."""
    tls = (params["tls_certificate"], params["tls_key"])
    cluster = (int(params["version"]), str(params["cluster"]))
    found = observe(context.run, cluster, params["data_directory"], tls, params["directories"])
    return Outcome(False, {"facts": found})
