# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore of one database is asked for, how it names databases, and what it finds that an earlier one left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any

from .dump_name import ARCHIVES, STAMP
from .errors import Problem, SpecError
from .names import NAME_BYTES, unusable

STATES = ("verified", "restored", "swapped")
FORMATS = ("pgstead", "openssl")
LATEST = "latest"
# A setting of the side database, because it can be changed in the transaction that renames
MARKER = "pgstead.restore"


@dataclass(frozen=True)
class Request:
    """One restore: of `path`, an archive with its manifest beside it, or of `name` in `remote`, a directory as rclone has it.

    Files of keys and passphrases are read where they lie. `jobs` is connections, `swap_wait` seconds.
    """

    database: str
    state: str
    path: str
    remote: str
    name: str
    format: str
    identity_file: str
    passphrase_file: str
    tables: tuple[str, ...]
    jobs: int
    swap_wait: float


@dataclass(frozen=True)
class Side:
    """A database that a restore made beside another, and how far that came: restoring, ready, swapping, or unswapped, which
    is whole, and closed to everybody. `touched`: somebody has opened since what a swap had closed.
    """

    name: str
    of: str
    stage: str
    dump: str
    touched: bool = False

    @property
    def marker(self) -> str:
        return json.dumps({"of": self.of, "stage": self.stage, "dump": self.dump}, sort_keys=True)


def side(name: str, marker: str) -> Side | None:
    """Read the marker of a database; None where it is not one of ours."""
    try:
        told = json.loads(marker)
        return Side(name, str(told["of"]), str(told["stage"]), str(told["dump"]))
    except (ValueError, KeyError, TypeError):
        return None


def continues(request: Request, left: Side, latest: Callable[[], str]) -> bool:
    """Say whether what an earlier run left is to take the place of the old database now: a swap that was cut off, or that failed
    for somebody's sessions, of the dump that is asked for. `latest` looks its name up.
    """
    if request.state != "swapped" or left.touched or left.stage not in ("swapping", "unswapped"):
        return False
    asked = PurePath(request.path).name if request.path else request.name
    if asked == LATEST and not request.path:  # a swap that was cut off has closed the database: that is finished
        return left.stage == "swapping" or latest() == left.dump
    if left.stage == "unswapped" and request.format != "pgstead":
        return False  # its name says nothing of what is in it
    return asked in (left.dump, *(left.dump.removesuffix(ending) for ending in ARCHIVES.values()))


def beside(database: str, what: str, now: datetime, taken: Collection[str] = ()) -> str:
    """Return `<database>_<what>_<UTC time>`, of which the database's name is cut where it would be too long, and the time is
    the first second from `now` on whose name is not `taken`.
    """
    ending = f"_{what}_{now.astimezone(UTC):{STAMP}}"
    name = database.encode()[: NAME_BYTES - len(ending)].decode(errors="ignore") + ending
    return beside(database, what, now + timedelta(seconds=1), taken) if name in taken else name


def is_beside(database: str, what: str, name: str) -> bool:
    """Say whether `beside` gave this name."""
    match = re.search(rf"_{what}_(\d{{8}}T\d{{6}}Z)$", name)
    try:
        return match is not None and beside(database, what, datetime.fromisoformat(match[1])) == name
    except ValueError:
        return False


def check(request: Request) -> None:
    """Raise SpecError with everything that contradicts itself, before anything is touched."""
    problems: list[Problem] = []

    def refuse(where: str, what: str, *, wrong: bool) -> None:
        problems.extend([Problem(where, what)] if wrong else [])

    complaint = unusable(request.database)
    refuse("database", complaint or "", wrong=complaint is not None)
    reserved = request.database in ("postgres", "template0", "template1")
    refuse("database", f"{request.database} is the server's own, and is not replaced", wrong=reserved)
    refuse("path", "give either path, or remote (with name)", wrong=bool(request.path) == bool(request.remote))
    refuse("jobs", f"{request.jobs}: there is at least one", wrong=request.jobs < 1)
    refuse("swap_wait", f"{request.swap_wait:g} s is no time to wait", wrong=request.swap_wait <= 0)
    only_some = "some tables' rows are restored into a side database only: use state restored, and copy what you need"
    refuse("tables", only_some, wrong=bool(request.tables) and request.state == "swapped")
    if request.format == "openssl":
        refuse("path", "is missing: an openssl-encrypted dump is read from a file on the host", wrong=not request.path)
        refuse("passphrase_file", "is missing: the file with the dump's passphrase", wrong=not request.passphrase_file)
        refuse("tables", "a dump in SQL is restored whole", wrong=bool(request.tables))
    else:
        refuse("identity_file", "is missing: the file with the secret key", wrong=not request.identity_file)
        archive = not request.path or request.path.endswith(tuple(ARCHIVES.values()))
        refuse("path", f"{request.path} ends in none of {', '.join(ARCHIVES.values())}", wrong=not archive)
    if problems:
        raise SpecError(problems)


# what the server keeps as a list whose items are quoted one by one (variable_is_guc_list_quote() of pg_dump)
_LISTS = frozenset(
    {"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries"}
    | {"temp_tablespaces", "unix_socket_directories"}
)


def setting_values(name: str, stored: str) -> tuple[str, ...]:
    """Return the values of a stored setting, each of which is one literal of SET."""
    if name.lower() not in _LISTS:
        return (stored,)
    values, rest = [], stored.strip()
    while rest:
        if rest.startswith('"'):
            end = _closing(rest)
            values.append(rest[1:end].replace('""', '"'))
            rest = rest[end + 1 :].lstrip()
        else:
            word, _, _ = rest.partition(",")
            values.append(word.strip())
            rest = rest[len(word) :]
        rest = rest.removeprefix(",").lstrip()
    return tuple(values) or ("",)


def _closing(text: str) -> int:
    """Return where the quotation ends that begins a text."""
    place = 1
    while place < len(text):
        if text[place] == '"':
            if text[place + 1 : place + 2] != '"':
                return place
            place += 1
        place += 1
    return place


def roles(properties: Mapping[str, Any]) -> list[str]:
    """Return the roles that a database's own properties name."""
    named = {properties["owner"], *(each["role"] for each in properties["settings"])}
    named |= {each["grantee"] for each in properties["grants"] or ()}
    return sorted(named - {""})
