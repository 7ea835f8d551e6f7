#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: access_info
short_description: Read roles, databases and rights once, and say which of them need a call
version_added: 0.1.0
description:
  - Lays the declared databases beside one reading of the catalogues and returns, for each kind, the arguments with
    which a module of community.postgresql must be called. Nothing to do means empty lists, so a no-op makes no call.
  - Passwords are compared with the stored SCRAM verifier's own salt; they are in no result.
  - In check mode without a server the whole declaration would follow, and no connection is made.
options:
  databases:
    description: The entries of C(pgstead_databases), without passwords (filter P(pgstead.ops.without_secrets#filter)).
    type: list
    elements: dict
    required: true
  passwords:
    description: Password, or SCRAM verifier, of each login role by its name.
    type: dict
    default: {}
  monitoring_role:
    description: The role that monitoring uses; a member of C(pg_monitor) that logs in by peer.
    type: str
    default: pgstead_monitor
  port:
    description: Number of the socket.
    type: int
    default: 5432
  locale:
    description: Locale of databases that declare none.
    type: str
    default: C.UTF-8
  encoding:
    description: Encoding of databases that declare none.
    type: str
    default: UTF8

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: See what the database shop still needs
  pgstead.ops.access_info:
    databases:
      - name: shop
        owner: shop_owner
        application_role:
          name: shop_app
    passwords:
      shop_app: "{{ vault_shop_app }}"
  register: access
"""

RETURN = r"""
plan:
  description: Arguments by kind (roles, memberships, databases, schemas, extensions, privileges).
  type: dict
  returned: success
connected:
  description: Whether a server was asked.
  type: bool
  returned: success
msg:
  description: How many objects differ.
  type: str
  returned: success
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.access import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "databases": {"type": "list", "elements": "dict", "required": True},
    "passwords": {"type": "dict", "default": {}, "no_log": True},
    "monitoring_role": {"type": "str", "default": "pgstead_monitor"},
    "port": {"type": "int", "default": 5432},
    "locale": {"type": "str", "default": "C.UTF-8"},
    "encoding": {"type": "str", "default": "UTF8"},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
