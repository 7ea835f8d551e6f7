# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a Debian cluster once, with a marker that says it is ours, finish or redo what was cut off; have it start at boot."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._core.errors import HostError
from .._shell import Context, Outcome
from . import service
from .facts import CONFIGURATIONS, MARKERS
from .files import Wanted, look, write

EVERY_CLUSTER = "postgresql.service"  # starts, at boot, each cluster whose start.conf says auto
SERVED = "postmaster.opts"  # a server writes it at its first start, and nobody takes it away


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Create the cluster with pg_createcluster unless its marker says it is complete. It is not started, but at boot."""
    version, name, data = str(params["version"]), str(params["name"]), Path(params["data_directory"])
    marker = MARKERS / f"{version}-{name}.json"
    state = json.loads(marker.read_text())["state"] if marker.exists() else "absent"
    configuration = CONFIGURATIONS / version / name
    if state == "complete":
        return Outcome(_start_at_boot(configuration, context), {"cluster": f"{version}/{name}"})
    if state == "creating":  # we began it and were cut off
        if (data / SERVED).exists():
            raise HostError(
                f"{data} was being created when a run was cut off, and has been started since: it may hold data by now. "
                f"Look into it; if nothing in it counts, pg_dropcluster --stop {version} {name}, and run again"
            )
    elif configuration.exists() or (data.is_dir() and any(data.iterdir())):
        raise HostError(f"{configuration} or {data} exists and is not ours: nothing was touched")
    if context.check_mode:
        return Outcome(True, {"cluster": f"{version}/{name}"})
    if state == "creating":
        for left in (configuration, data):
            shutil.rmtree(left, ignore_errors=True)
    MARKERS.mkdir(parents=True, exist_ok=True)
    _mark(marker, params, "creating")
    argv = ["pg_createcluster", "--port", str(params["port"]), "--datadir", str(data), "--locale", params["locale"]]
    argv += ["--encoding", params["encoding"], version, name, "--"]
    argv += ["--data-checksums"] if params["data_checksums"] else []
    code, out, err = context.run(argv)
    if code != 0:
        raise HostError(f"pg_createcluster failed: {(err or out).strip()}")
    _mark(marker, params, "complete")
    _start_at_boot(configuration, context)
    return Outcome(True, {"cluster": f"{version}/{name}"})


def _start_at_boot(configuration: Path, context: Context) -> bool:
    """Have the host start the cluster with itself; say whether it would not have."""
    path = configuration / "start.conf"
    content = look(path).content
    words = re.sub("#.*", "", "auto" if content is None else content).split()  # as postgresql-common reads it
    manual = words != ["auto"]
    disabled = not service.is_enabled(context.run, EVERY_CLUSTER)
    if not context.check_mode:
        if manual:
            write(Wanted(path, "auto\n", "postgres", "postgres"))
        if disabled:
            service.control(context.run, "enable", EVERY_CLUSTER)
    return manual or disabled


def _mark(marker: Path, params: Mapping[str, Any], state: str) -> None:
    body = {key: params[key] for key in ("version", "name", "data_directory", "port")} | {"state": state}
    write(Wanted(marker, json.dumps(body, sort_keys=True) + "\n"))
