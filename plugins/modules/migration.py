#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: migration
short_description: Run the application's own schema once, scripts or a command
version_added: 0.1.0
description:
  - Runs SQL scripts, or a command, whose content this database has not seen. What ran is remembered by its SHA-256 in the
    schema C(pgstead) of the database. A script that was changed is new content, and runs.
  - All new scripts run in one transaction, together with the note that they ran. What fails is rolled back whole, and the
    message names script, line and the server's words.
  - It is no migration tool - it neither orders nor reverts. With one of those, use O(command).
options:
  scripts:
    description:
      - The scripts, in order. SQL alone - no C(COMMIT), no commands of psql, no rows for C(COPY); such a script is refused
        before anything is done.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name for messages, for example its path.
        type: str
        required: true
      content:
        description: Its text. It is kept out of logs.
        type: str
        required: true
  command:
    description:
      - Command to run instead of scripts, without a shell, on the host of the module, as O(system_user) (over TCP, as the
        user that the module runs as).
      - It is told where to connect by C(PGHOST), C(PGPORT), C(PGDATABASE), C(PGUSER), and the role by C(PGOPTIONS); over TCP
        also by C(PGPASSWORD), C(PGSSLMODE) and C(PGSSLROOTCERT).
      - Its own text is what it is remembered by - put the release into it, so that another release is another command. It
        is noted when it has returned 0, and should be safe to repeat, for it can be cut off before the note.
      - The text is shown and logged, so no secret belongs in it.
    type: str
  session_role:
    description:
      - Role to act as after connecting (C(SET ROLE)), so that what the scripts create belongs to it.
      - No fence - a script can say C(RESET ROLE).
    type: str
  search_path:
    description: Schemas in which scripts find names, behind O(schema), in which they create what they name without one.
    type: list
    elements: str
    default: [public]
  lock_timeout:
    description:
      - How long a statement of a script may wait for a lock, and so make others wait. All scripts are then rolled back, and
        tried again after at least as long a pause.
    type: str
    default: 2s
  lock_attempts:
    description: How often it is tried before the task fails, naming who held the lock.
    type: int
    default: 10
  run_wait:
    description: How long to wait for another run on the same database.
    type: str
    default: 1min
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Tables and first rows of the shop
  pgstead.ops.migration:
    login_db: shop
    session_role: shop_owner
    scripts:
      - name: schema.sql
        content: CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status text NOT NULL);
      - name: rows.sql
        content: INSERT INTO orders (status) VALUES ('open');

- name: The application's own tool; the release makes it a new command
  pgstead.ops.migration:
    login_db: shop
    session_role: shop_owner
    command: /opt/shop/2.4.1/bin/migrate up
"""

RETURN = r"""
ran:
  description: Names of the scripts that ran, or the command; in check mode, those that would.
  type: list
  elements: str
  returned: success
connected:
  description: Whether there was a database to ask; without one, check mode takes everything for new.
  type: bool
  returned: success
script:
  description: The script that failed.
  type: str
  returned: failure
line:
  description: Its line where the server found the error, or where the statement begins.
  type: int
  returned: failure
msg:
  description: What came of it, in one line.
  type: str
  returned: always
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import DatabaseMissing, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.migration import digest, one_of, scripts
from ansible_collections.pgstead.ops.plugins.module_utils._host.migration import run_command
from ansible_collections.pgstead.ops.plugins.module_utils._pg.engine import Options
from ansible_collections.pgstead.ops.plugins.module_utils._pg.migration import load, run_once
from ansible_collections.pgstead.ops.plugins.module_utils._schema import CONNECTION, options, reachable
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    "scripts": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "content": {"type": "str", "required": True, "no_log": True},
        },
    },
    "command": {"type": "str"},
    "session_role": {"type": "str"},
    "search_path": {"type": "list", "elements": "str", "default": ["public"]},
    "lock_timeout": {"type": "str", "default": "2s"},
    "lock_attempts": {"type": "int", "default": 10},
    "run_wait": {"type": "str", "default": "1min"},
}


def job(params: Mapping[str, Any], context: Context) -> Outcome:
    command = params["command"]
    read, problems = scripts(params["scripts"] or [])
    problems = (*one_of(params["scripts"], command), *problems)
    if problems:
        raise SpecError(problems)
    told = options({**params, "build_wait": params["run_wait"]}, context)  # nothing is built here
    if reachable(params, context):
        try:
            ran = _command(command, told, context) if command else load(read, params["schema"], told)
            return _outcome(ran, context, connected=True)
        except DatabaseMissing:
            if not context.check_mode:
                raise
    return _outcome((command,) if command else tuple(script.name for script in read), context, connected=False)


def _command(command: str, told: Options, context: Context) -> tuple[str, ...]:
    run_now = run_once(digest(command), lambda: run_command(command, told.target, told.role, context), told)
    return (command,) if run_now else ()


def _outcome(ran: tuple[str, ...], context: Context, *, connected: bool) -> Outcome:
    verb = "would run" if context.check_mode else "ran"
    message = f"{verb} {', '.join(ran)}" if ran else "everything has run already"
    return Outcome(bool(ran), {"ran": list(ran), "connected": connected, "msg": message})


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
