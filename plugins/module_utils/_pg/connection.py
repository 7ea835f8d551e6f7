# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections: through the local socket, by peer, as the operating system user that the server expects; or over TLS."""

from __future__ import annotations

import codecs
import os
import pwd
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from .._core.errors import ConnectionFailed, DatabaseMissing

# Loaded now: as another user, the interpreter's own directory may be out of reach.
for codec in ("ascii", "utf-8"):
    codecs.lookup(codec)

try:
    import psycopg2
except ImportError:  # a bare host: the role installs the driver before any module needs it
    psycopg2 = None  # type: ignore[assignment]
driver: Any = psycopg2  # its exceptions, for those who are only called with a connection

# libpq gives no SQLSTATE for a refused connection; servers with other languages are merely not recognised
MISSING_DATABASE = re.compile(r'database ".*" does not exist')


@dataclass(frozen=True)
class Target:
    """Where to connect: a socket directory (with the rights of `system_user`), or an address with a password over TLS."""

    socket_directory: str
    port: int
    database: str = "postgres"
    user: str = "postgres"
    system_user: str = "postgres"
    address: str = ""  # host name: the socket is not used
    password: str = field(default="", repr=False)
    sslmode: str = "verify-full"
    sslrootcert: str = ""

    def __str__(self) -> str:
        place = f"{self.address}:{self.port}" if self.address else f"{self.socket_directory}/.s.PGSQL.{self.port}"
        return f"{place}, database {self.database}, user {self.user}"


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Take a user's effective identity for a moment: peer authentication looks at it when the socket connects."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise ConnectionFailed(f"operating system user {name!r} does not exist on this host") from None
    before = (os.geteuid(), os.getegid())
    if before[0] == account.pw_uid:
        yield
        return
    if before[0] != 0:
        raise ConnectionFailed(f"needs to run as root or {name} (become: true)")
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])


def has_driver() -> bool:
    """Say whether psycopg2 is installed where this code runs."""
    return psycopg2 is not None


@contextmanager
def connect(target: Target, timeout_seconds: int = 10) -> Iterator[Any]:
    """Yield an autocommit connection, closed afterwards. Raises ConnectionFailed, naming socket and user."""
    if psycopg2 is None:
        raise ConnectionFailed("the Python driver is missing on this host: install python3-psycopg2")
    words: dict[str, Any] = {"host": target.address or target.socket_directory}
    if target.address:
        words |= {"password": target.password, "sslmode": target.sslmode}
        words |= {"sslrootcert": target.sslrootcert} if target.sslrootcert else {}
        # a server that has gone without a word is noticed within a minute
        words |= {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 4}
    try:
        with nullcontext() if target.address else acting_as(target.system_user):
            connection = psycopg2.connect(
                port=target.port,
                dbname=target.database,
                user=target.user,
                connect_timeout=timeout_seconds,
                application_name="pgstead",
                client_encoding="UTF8",  # whatever the role or database has set: names are texts of any language
                **words,
            )
    except psycopg2.Error as error:
        text = str(error).strip()
        missing = MISSING_DATABASE.search(text)
        raise (DatabaseMissing if missing else ConnectionFailed)(f"cannot connect to {target}: {text}") from error
    try:
        connection.autocommit = True
        yield connection
    finally:
        connection.close()


def rows(connection: Any, sql: str, parameters: tuple[Any, ...] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows; with parameters, a percent sign in the statement itself is doubled."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall())


def execute(connection: Any, sql: str) -> None:
    """Run one statement that returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
