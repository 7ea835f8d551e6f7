# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring pgBackRest's configuration into force: first the stanza is made with it where nobody sees it, then it is put in place.

So a repository that cannot be used never stops the archiving to those that can.
"""

from __future__ import annotations

import configparser
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._core.backup_config import CONFIGURATION, SECRETS, marker_name
from .._core.errors import HostError
from .._core.wal import of_archiver
from .._shell import Context, Outcome
from .facts import ARCHIVING_MARKERS
from .files import Wanted, diff, differing, make_directory, write
from .pgbackrest import PgBackRest

AS_POSTGRES = ("runuser", "-u", "postgres", "--")


def engine(params: Mapping[str, Any], context: Context, options: tuple[str, ...] = ()) -> PgBackRest:
    """Return pgBackRest as the module's parameters want it."""
    keys = tuple(int(one["key"]) for one in params["repositories"])
    return PgBackRest(context.run, params["stanza"], keys, options, AS_POSTGRES)


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring configuration and stanza about, or have archiving checked."""
    if params["state"] == "checked":
        if not context.check_mode:
            found = engine(params, context)
            _push_forgotten(found)
            found.check()
            _faults(found, params)
        return Outcome(False)
    files = _files(params)
    if params["state"] == "configured":
        return _configured(files, context)
    marker = Wanted(
        ARCHIVING_MARKERS / f"{marker_name(params['version'], params['cluster'])}.json",
        json.dumps({"stanza": params["stanza"], "repositories": params["repositories"]}, sort_keys=True) + "\n",
    )
    to_write = differing([*files, marker])
    shown = _shown(to_write)
    # what was lost or emptied since is made anew, and may keep archiving from all others
    needed = bool(to_write) or any(held.missing for held in engine(params, context).info().held)
    if needed and not context.check_mode:
        _prove(params, context)
        for file in (*files, marker):  # the marker last: it says that all the rest is there
            write(file)
    return Outcome(needed, {}, shown)


def _configured(files: list[Wanted], context: Context) -> Outcome:
    """Write the files where there are none: a new host has no cluster that the stanza could be made for."""
    missing = [file for file in files if not file.path.exists()]
    shown = _shown(missing)
    if not context.check_mode:
        for file in missing:
            write(file)
    return Outcome(bool(missing), {}, shown)


def _files(params: Mapping[str, Any]) -> list[Wanted]:
    return [
        Wanted(Path(CONFIGURATION), params["configuration"], "root", "postgres", 0o640),
        Wanted(Path(SECRETS), params["secrets"], "root", "postgres", 0o640),
    ]


def _shown(files: list[Wanted]) -> list[dict[str, str]]:
    """Return the diff; of the secrets only that they change."""
    shown = diff([file for file in files if str(file.path) != SECRETS])
    if any(str(file.path) == SECRETS for file in files):
        header = {"before_header": SECRETS, "after_header": SECRETS}
        shown.append({"before": "", "after": "(secrets, not shown)\n", **header})
    return shown


def _prove(params: Mapping[str, Any], context: Context) -> None:
    """Make the stanza with the new configuration, before anything else sees that. Raises HostError."""
    place = Path(tempfile.mkdtemp(prefix="pgstead-backup-", dir="/run"))
    try:
        for directory in (place, place / "conf.d"):
            make_directory(directory, "root", "postgres", 0o750)
        staged = [
            Wanted(place / "pgbackrest.conf", params["configuration"], "root", "postgres", 0o640),
            Wanted(place / "conf.d/secrets.conf", params["secrets"], "root", "postgres", 0o640),
        ]
        for file in staged:
            write(file)
        proving = engine(
            params, context, (f"--config={staged[0].path}", f"--config-include-path={staged[1].path.parent}")
        )
        proving.create()
        _faults(proving, params)
    except HostError as error:
        raise HostError(f"nothing was changed, for these repositories cannot be used: {error}") from error
    finally:
        shutil.rmtree(place)


def _push_forgotten(found: PgBackRest) -> None:
    """Archive what a server that was restored onto a new host wrote before it archived: the history of its timeline, without
    which no later restore would find that, and what is complete of it.
    """
    told = configparser.ConfigParser(interpolation=None)
    told.read_string(Path(CONFIGURATION).read_text(encoding="utf-8"))
    wal = Path(told[found.stanza]["pg1-path"]) / "pg_wal"
    histories = sorted(wal.glob("*.history"))
    if not histories:
        return  # the first timeline needs none
    for path in histories:
        found.push(path)
    there = {name for held in found.info().held if held.archive for name in found.arrivals(held.key, held.archive)}
    for path in sorted(wal.glob(f"archive_status/{histories[-1].stem}*.done")):
        segment = wal / path.stem
        if segment.name not in there and of_archiver(segment.name) == segment.name and segment.exists():
            found.push(segment)


def _faults(found: PgBackRest, params: Mapping[str, Any]) -> None:
    names = {int(one["key"]): one["name"] for one in params["repositories"]}
    faults = [f"{names[held.key]} {held.fault}" for held in found.info().held if held.fault]
    if faults:
        raise HostError("; ".join(faults))
