# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd units, by instance: the umbrella unit `postgresql` says active while its cluster has failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .._core.errors import HostError
from .._core.hidden import without_values

Run = Callable[[Sequence[str]], tuple[int, str, str]]


def is_active(run: Run, unit: str) -> bool:
    """Say whether a unit runs."""
    return run(["systemctl", "is-active", "--quiet", unit])[0] == 0


def is_enabled(run: Run, unit: str) -> bool:
    """Say whether a unit starts with the host."""
    return run(["systemctl", "is-enabled", "--quiet", unit])[0] == 0


def read_anew(run: Run, *units: str) -> None:
    """Have systemd read its units where it has not since these were written, by this run or by one that was cut off."""
    _code, out, _err = run(["systemctl", "show", "--property=NeedDaemonReload", "--value", *units])
    if "yes" in out.split():
        run(["systemctl", "daemon-reload"])


def control(run: Run, verb: str, *units: str) -> None:
    """start, restart, stop, enable … Raises HostError with systemd's words and the unit's last log lines."""
    if verb in ("start", "restart"):
        run(["systemctl", "daemon-reload"])  # a drop-in written by this run, or by one that was cut off
    code, _out, err = run(["systemctl", verb, *units])
    if code != 0:
        raise HostError(f"systemctl {verb} {' '.join(units)} failed: {err.strip()} | {journal(run, *units)}")


def journal(run: Run, *units: str, lines: int = 15) -> str:
    """Return a unit's last log lines in one line of text."""
    selection = [word for unit in units for word in ("-u", unit)]
    _code, out, _err = run(["journalctl", "--no-pager", "-o", "cat", "-n", str(lines), *selection])
    return " | ".join(without_values(line) for line in out.splitlines() if line.strip())
