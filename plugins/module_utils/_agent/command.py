# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's command: pgstead version, pgstead list, pgstead run JOB, pgstead register,
pgstead heartbeat.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._core import job
from .._core.agent_config import Config
from .._core.errors import PgsteadError, SpecError
from . import heartbeat
from .clock import now
from .journal import note, unexpected
from .memory import missed, notices, register, remembered
from .run import become, run
from .state import latest, load

CONFIGURATION = Path("/etc/pgstead/agent.json")
_CODES = "exit codes: 0 ok, 1 failed, 2 refused (command or configuration), 3 warning, 75 skipped"


def main(argv: Sequence[str], version: str) -> int:
    """Carry a command line out and return the exit code; `version` is the archive's."""
    told = _parser().parse_args(argv)
    try:
        return _carry_out(told, version)
    except PgsteadError as error:
        return _refuse(told, error)
    except Exception as error:  # noqa: BLE001 - from cron, nobody would see the traceback
        sys.stderr.write(f"pgstead: {unexpected(error)}\n")
        return job.EXIT_CODES["failed"]


def _carry_out(told: argparse.Namespace, version: str) -> int:
    if told.verb == "version":
        return _show(told.json, {"version": version}, [version])
    config = load(told.config)
    if told.verb == "list":
        configured = datetime.fromtimestamp(told.config.stat().st_mtime, UTC)
        listed = overview(config, version, now(), configured)
        return _show(told.json, listed, job.overview(listed))
    if told.verb == "register":
        become(config.user)
        names = register(config, now())
        return _show(told.json, {"registered": names}, [f"{name}: its schedule is new" for name in names])
    if told.verb == "heartbeat":
        heartbeat.run(config)
    entry = run(told.job, config, version)
    _show(told.json, entry, [job.sentence(entry)])
    return job.EXIT_CODES[entry["status"]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgstead", description="Runs the scheduled jobs of a PostgreSQL host.", epilog=_CODES
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    version = verbs.add_parser("version", help="say which version this is, with a hash of its content")
    listing = verbs.add_parser("list", help="show the configured jobs, and what each came to last")
    registering = verbs.add_parser("register", help="note which schedules are new; a playbook does that")
    beating = verbs.add_parser("heartbeat", help="write the heartbeat until it is ended; a service does that")
    running = verbs.add_parser("run", help="run a job now, as cron does", epilog=_CODES)
    running.add_argument("job", metavar="JOB", help="its name, as in pgstead list")
    for verb in (listing, registering, beating, running):
        verb.add_argument(
            "--config", type=Path, default=CONFIGURATION, metavar="PATH", help=f"configuration ({CONFIGURATION})"
        )
    for verb in (version, listing, registering, running):
        verb.add_argument("--json", action="store_true", help="answer in JSON")
    return parser


def overview(config: Config, version: str, moment: datetime, configured: datetime) -> dict[str, Any]:
    """Return the configured jobs with their latest results, those that are overdue, and notices that nobody got.

    `moment` is now, in the host's zone; `configured` is when the configuration was written.
    """
    directory, listed = Path(config.state_directory), []
    overdue, (waiting, unknown) = missed(config, moment, configured), notices(config)
    for name, settings in config.jobs.items():
        last, unreadable = latest(directory, name)
        since = (moment - datetime.fromisoformat(last["started"])).total_seconds() if last else None
        listed.append(
            {
                "job": name,
                "schedule": settings.schedule,
                "deadline_seconds": settings.deadline_seconds,
                "age_seconds": since,
                "last": last,
                "unreadable": unreadable,
                "overdue": overdue[name],
                "standing": remembered(config, name)[0].status,
            }
        )
    undelivered = [*([unknown] if unknown else []), *waiting.undelivered]
    return {"version": version, "host": socket.gethostname(), "jobs": listed, "undelivered": undelivered}


def _show(as_json: bool, data: Mapping[str, Any], lines: Sequence[str]) -> int:
    sys.stdout.write(
        json.dumps(data, indent=2, sort_keys=True) + "\n" if as_json else "".join(f"{line}\n" for line in lines)
    )
    return 0


def _refuse(told: argparse.Namespace, error: PgsteadError) -> int:
    """Say why nothing could be done; from cron, only the journal hears it."""
    sys.stderr.write(f"pgstead: {error}\n")
    if told.verb in ("run", "heartbeat"):
        note("failed", f"{getattr(told, 'job', told.verb)}: {error}")
    return job.EXIT_REFUSED if isinstance(error, SpecError) else job.EXIT_CODES["failed"]
