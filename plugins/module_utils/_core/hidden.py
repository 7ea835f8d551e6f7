# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a host's configuration is not shown in warnings, diffs and evidence, for it can hold a secret.

Nobody declared it as one: a person wrote it there, or pg_basebackup -R did, which notes the password of the primary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

NOT_SHOWN = "(not shown: can hold a secret)"
NEW = "(new, not shown: can hold a secret)"  # equal lines would be left out of a diff
FILE = "(this file differs from what is declared; not shown: can hold passwords)\n"
USERLIST = "userlist.txt"

# A connection string, what gives a passphrase, and what an extension or an application keeps in a setting of its own (the
# key of a token, a DSN): there, only libraries that are known to have no secret are shown.
_OPEN_LIBRARIES = "auto_explain|cron|pg_stat_statements|pgaudit|plpgsql"
_NAME = rf"(?:[\w$]*(?:conninfo|passphrase_command)|(?!(?:{_OPEN_LIBRARIES})\.)[\w$]+\.[\w.$]*)"
_SECRET = re.compile(_NAME, re.IGNORECASE)
# What a shell runs is no declared value where ALTER SYSTEM set it. In files and logs it is shown: there it is the archiver's.
_COMMAND = "_command"
_BLANK = r"[^\S\n]*"
# to the end of the line, whatever the quotes; in comments, too, where somebody keeps the line of before
_SETTING = re.compile(
    rf"^({_BLANK}{_NAME}(?![\w.$]){_BLANK}=?{_BLANK}|[^\n#]*#[^\n]*?(?<![\w.$]){_NAME}{_BLANK}={_BLANK})(\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
# of databases in pgbouncer.ini, and of LDAP and RADIUS in pg_hba.conf
_PASSWORD = re.compile(r"(\w*(?:password|passwd|secrets)[^\S\n]*=[^\S\n]*)(\S[^\n]*)", re.IGNORECASE)
_QUOTED_IN_LOG = re.compile(
    rf"(parameter \"{_NAME}\"(?: changed to|:) |system set {_NAME}\s*(?:=|\bto\b)\s*)[^\n]*", re.IGNORECASE
)


def may_hold_secret(name: str) -> bool:
    """Say whether the value of a setting of PostgreSQL can be, or contain, a secret."""
    return name.lower().endswith(_COMMAND) or bool(_SECRET.fullmatch(name))


def shown(name: str, value: str) -> str:
    """Return a setting's value for people to read, or that it is not shown."""
    return NOT_SHOWN if may_hold_secret(name) else value


def without_secrets(entry: Mapping[str, str]) -> dict[str, str]:
    """Return one before/after pair of a diff of a configuration file without what can hold a secret."""
    name, before, after = PurePosixPath(entry["after_header"]).name, entry["before"], entry["after"]
    if name == USERLIST:
        return {**entry, "before": "", "after": FILE}
    pattern = _SETTING if name == "postgresql.conf" else _PASSWORD
    there = {match[0] for match in pattern.finditer(before)}
    return {
        **entry,
        "before": pattern.sub(lambda match: match[1] + NOT_SHOWN, before),
        "after": pattern.sub(lambda match: match[1] + (NOT_SHOWN if match[0] in there else NEW), after),
    }


def without_values(line: str) -> str:
    """Return a line of the server's log without values of such settings that it quotes."""
    return _QUOTED_IN_LOG.sub(rf"\1{NOT_SHOWN}", line)
