# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a program without a shell, with words in English, and hear all that it says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from .._core.errors import HostError


def run(argv: Sequence[str]) -> tuple[int, str, str]:
    """Return exit code, output and errors. Raises HostError where there is no such program."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, its words never go through a shell
            list(argv), capture_output=True, check=False, env=environment, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise HostError(f"{argv[0]} cannot be run: {error.strerror}. Is its package installed?") from error
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
