#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: dump_info
short_description: List the dumps of a database in a store, and say what is wrong with each
version_added: 0.1.0
description:
  - Reads the names, the manifests and the sizes of the dumps that job C(backup_dumps) stored. No secret key is needed.
  - With O(verify), archives are fetched, and their content is compared with the SHA-256 in the manifest.
  - An archive or manifest that was changed, cut off or lost is named in RV(faults); the module fails only where the store
    cannot be asked.
options:
  database:
    description: The database.
    type: str
    required: true
  remote:
    description: Directory of the database's dumps, as rclone names it.
    type: str
    required: true
  verify:
    description: Whose content is fetched and hashed.
    type: str
    choices: [none, latest, all]
    default: none
  system_user:
    description: Operating system user as whom rclone runs.
    type: str
    default: postgres
  work_directory:
    description: Directory of O(system_user), mode 0700, into which archives are fetched.
    type: path
    default: /var/lib/pgstead/dumps
  rclone_config:
    description: Configuration of rclone in which O(remote) is found.
    type: path
    default: /etc/pgstead/rclone.conf
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Is the latest dump still what was stored?
  pgstead.ops.dump_info:
    database: shop
    remote: offsite:backups/db1/main/shop
    verify: latest
"""

RETURN = r"""
dumps:
  description: The dumps, oldest first.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name, without ending.
      type: str
    taken:
      description: When, in UTC.
      type: str
    bytes:
      description: Size of the archive by its manifest, where that can be read.
      type: int
    lsn:
      description: Where the WAL was, where the manifest can be read.
      type: str
    verified:
      description: Whether its content was fetched and hashed.
      type: bool
    fault:
      description: What is wrong with it; empty for nothing.
      type: str
faults:
  description: All faults, one of which is that there is no whole dump.
  type: list
  elements: str
  returned: success
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_look import faults, survey
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_programs import Programs
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_remote import Store
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    "database": {"type": "str", "required": True},
    "remote": {"type": "str", "required": True},
    "verify": {"type": "str", "choices": ["none", "latest", "all"], "default": "none"},
    "system_user": {"type": "str", "default": "postgres"},
    "work_directory": {"type": "path", "default": "/var/lib/pgstead/dumps"},
    "rclone_config": {"type": "path", "default": "/etc/pgstead/rclone.conf"},
}


def job(params: Mapping[str, Any], _context: Context) -> Outcome:
    store = Store(params["remote"], Path(params["rclone_config"]), Programs(params["system_user"]))
    found = survey(store, params["database"], params["verify"], Path(params["work_directory"]))
    return Outcome(False, {"dumps": found, "faults": faults(store, params["database"], found)})


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
