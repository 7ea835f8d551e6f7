#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: database_restore
short_description: Restore one database from a dump, beside the old one or in its place
version_added: 0.1.0
description:
  - Finds a dump that job C(backup_dumps) made, checks its manifest and the SHA-256 of the archive, decrypts it, checks the
    SHA-256 of every file, and only then creates a database C(<database>_restored_<UTC time>) and fills it.
  - Row counts are compared with the manifest, where that has counted them, and extensions. Locale, encoding, owner, settings,
    rights, connection limit and comment of the database are those that it had when it was dumped.
  - With O(state=swapped) the restored database then takes the name of the old one, which is kept, closed, as
    C(<database>_before_<UTC time>). Sessions of both are ended, so pause the pooler first.
  - What fails leaves the old database as it was. What was cut off is taken up by the next run - a swap is finished, or undone
    where none is asked for any more, and half a restored database is dropped.
  - Roles belong to the whole server and are not restored. They must exist; C(globals.sql) in the archive has those of the
    dumped server.
options:
  database:
    description: The database, by the name that it had when it was dumped.
    type: str
    required: true
  state:
    description:
      - V(verified) looks at everything and restores nothing. V(restored) leaves the side database for you.
      - V(swapped) puts it in the place of the old one, which need not exist any more.
      - A swap of the same dump that was cut off, or that failed for sessions that did not end, is finished without restoring anew.
    type: str
    choices: [verified, restored, swapped]
    default: restored
  remote:
    description: Directory of the database's dumps, as rclone names it. Either this or O(path).
    type: str
    default: ""
  name:
    description: Which dump in O(remote), by its name with or without ending, or V(latest).
    type: str
    default: latest
  path:
    description: Archive on the host. Its manifest lies beside it.
    type: str
    default: ""
  format:
    description:
      - V(openssl) reads the dumps of earlier systems - SQL by C(pg_dump), gzip, C(openssl enc -aes-256-cbc -pbkdf2 -salt).
        These have nothing that a change of single bits would show by, so RV(integrity) is V(none).
    type: str
    choices: [pgstead, openssl]
    default: pgstead
  identity_file:
    description: File on the host with the secret key (age identity, or OpenPGP), which only its owner can read. It is not copied.
    type: str
    default: ""
  passphrase_file:
    description: File on the host with the passphrase of the OpenPGP key, or of a dump by openssl, which only its owner can read.
    type: str
    default: ""
  tables:
    description:
      - Restores the rows of these tables only, into a side database that has all tables, and no foreign keys.
      - A name without a schema is in C(public). Of a partitioned table, name the partitions.
      - Such a side database never takes the place of the old one; copy from it what you need.
    type: list
    elements: str
    default: []
  jobs:
    description: How many connections restore at once.
    type: int
    default: 2
  swap_wait:
    description: How long sessions may take to end, for O(state=swapped).
    type: str
    default: 30s
  login_unix_socket:
    description: Directory of the server's socket.
    type: str
    default: /var/run/postgresql
  login_port:
    description: The server's port.
    type: int
    default: 5432
  login_user:
    description: Superuser to connect as.
    type: str
    default: postgres
  system_user:
    description: Operating system user whose peer identity is used, and as whom PostgreSQL's programs and rclone run.
    type: str
    default: postgres
  programs_directory:
    description: Where PostgreSQL's programs lie, by major version.
    type: path
    default: /usr/lib/postgresql
  work_directory:
    description: Directory of O(system_user), mode 0700, in which the dump lies unencrypted meanwhile.
    type: path
    default: /var/lib/pgstead/dumps
  rclone_config:
    description: Configuration of rclone in which O(remote) is found.
    type: path
    default: /etc/pgstead/rclone.conf
author: pgstead contributors (@pgstead)
attributes:
  idempotent:
    description: A second run restores again. The role asks before it swaps.
    support: none
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: The latest dump, to look at
  pgstead.ops.database_restore:
    database: shop
    remote: offsite:backups/db1/main/shop
    identity_file: /root/dumps.key

- name: A certain one instead of what is there
  pgstead.ops.database_restore:
    database: shop
    state: swapped
    remote: offsite:backups/db1/main/shop
    name: 20260315T012700Z-shop
    identity_file: /root/dumps.key

- name: Rows of one table
  pgstead.ops.database_restore:
    database: shop
    path: /srv/20260315T012700Z-shop.tar.age
    identity_file: /root/dumps.key
    tables: [public.orders]

- name: A dump of the system before this one
  pgstead.ops.database_restore:
    database: shop
    format: openssl
    path: /srv/old/shop.sql.gz.enc
    passphrase_file: /root/old.passphrase
"""

RETURN = r"""
dump:
  description: Name of the archive.
  type: str
  returned: success
restored_as:
  description: The database that now has the content; empty in check mode, and where nothing was restored.
  type: str
  returned: success
safety_copy:
  description: The old database, if it was swapped.
  type: str
  returned: success
integrity:
  description:
    - By what the dump was recognised whole, V(sha256) or V(none); V(verified before) where a swap was finished.
  type: str
  returned: success
notes:
  description: What differs without harm, or could not be compared.
  type: list
  elements: str
  returned: success
msg:
  description: What came of it, in one line.
  type: str
  returned: always
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_restore import FORMATS, LATEST, STATES, Request
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import Problem, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.units import parse_duration_ms
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_programs import Programs
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_restore import Host, predict, restore
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    "database": {"type": "str", "required": True},
    "state": {"type": "str", "choices": list(STATES), "default": "restored"},
    "remote": {"type": "str", "default": ""},
    "name": {"type": "str", "default": LATEST},
    "path": {"type": "str", "default": ""},
    "format": {"type": "str", "choices": list(FORMATS), "default": "pgstead"},
    "identity_file": {"type": "str", "default": ""},
    "passphrase_file": {"type": "str", "default": "", "no_log": False},
    "tables": {"type": "list", "elements": "str", "default": []},
    "jobs": {"type": "int", "default": 2},
    "swap_wait": {"type": "str", "default": "30s"},
    "login_unix_socket": {"type": "str", "default": "/var/run/postgresql"},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str", "default": "postgres"},
    "system_user": {"type": "str", "default": "postgres"},
    "programs_directory": {"type": "path", "default": "/usr/lib/postgresql"},
    "work_directory": {"type": "path", "default": "/var/lib/pgstead/dumps"},
    "rclone_config": {"type": "path", "default": "/etc/pgstead/rclone.conf"},
}


def job(params: Mapping[str, Any], context: Context) -> Outcome:
    try:
        wait = float(parse_duration_ms(params["swap_wait"], "s") / 1000)
    except ValueError as error:
        raise SpecError([Problem("swap_wait", str(error))]) from error
    same = ("database", "state", "path", "remote", "name", "format", "identity_file", "passphrase_file", "jobs")
    request = Request(**{key: params[key] for key in same}, tables=tuple(params["tables"]), swap_wait=wait)
    host = Host(
        Target(
            params["login_unix_socket"],
            params["login_port"],
            user=params["login_user"],
            system_user=params["system_user"],
        ),
        Path(params["programs_directory"]),
        Path(params["work_directory"]),
        Path(params["rclone_config"]),
        Programs(params["system_user"]),
    )
    found = predict(request, host) if context.check_mode else restore(request, host)
    return Outcome(request.state != "verified", {**found, "msg": _message(request, found, context)})


def _message(request: Request, found: Mapping[str, Any], context: Context) -> str:
    if request.state == "verified":
        return (
            f"{found['dump']} has the size that it should have" if context.check_mode else f"{found['dump']} is whole"
        )
    place = "in the place of" if request.state == "swapped" else "beside"
    if context.check_mode:
        return f"{found['dump']} would be restored {place} {request.database}"
    kept = f", and the old one is {found['safety_copy']}" if found["safety_copy"] else ""
    return f"{found['dump']} is database {found['restored_as']}{kept}"


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
