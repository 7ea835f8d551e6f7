# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A program that migrates a database: run as the user whose peer identity the server knows, told where by libpq's names."""

from __future__ import annotations

import os
import pwd
import re
import shlex

from .._core.errors import HostError
from .._pg.connection import Target
from .._shell import Context

SHOWN_LINES = 20


def environment(target: Target, role: str) -> dict[str, str]:
    """Return what libpq, and everything built on it, reads."""
    words = {
        "PGHOST": target.address or target.socket_directory,
        "PGPORT": str(target.port),
        "PGDATABASE": target.database,
        "PGUSER": target.user,
    }
    if role:
        # libpq's options are separated by blanks, which a backslash takes that meaning from
        escaped = re.sub(r"([\\\s])", r"\\\1", role)
        words["PGOPTIONS"] = f"-c role={escaped}"
    if target.address:
        words |= {"PGSSLMODE": target.sslmode}
        words |= {"PGPASSWORD": target.password} if target.password else {}
        words |= {"PGSSLROOTCERT": target.sslrootcert} if target.sslrootcert else {}
    return words


def run_command(command: str, target: Target, role: str, context: Context) -> None:
    """Run a command without a shell. Raises HostError with the end of what it said."""
    argv, words, directory = shlex.split(command), environment(target, role), None
    if not target.address and os.geteuid() == 0:
        # the socket asks for the user; over TCP there need not even be one of that name here
        try:
            account = pwd.getpwnam(target.system_user)
        except KeyError:
            raise HostError(f"operating system user {target.system_user!r} does not exist on this host") from None
        argv = ["runuser", "-u", target.system_user, "--", *argv]
        words |= {"HOME": account.pw_dir, "USER": target.system_user, "LOGNAME": target.system_user}
        directory = account.pw_dir if os.path.isdir(account.pw_dir) else "/"  # noqa: PTH112 - as os.chdir will see it
    code, out, err = context.run(argv, words, directory)
    if code:
        said = "\n".join((out.rstrip() + "\n" + err).strip().splitlines()[-SHOWN_LINES:])
        raise HostError(
            f"{command!r} returned {code}; it is not noted as run, and runs again next time. Its last words: {said}",
            {"returned": code},
        )
