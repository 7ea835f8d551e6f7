#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pooler_auth
short_description: Let PgBouncer look up SCRAM secrets, and nothing else
version_added: 0.1.0
description:
  - Keeps the role C(pgbouncer_auth) (no password, no attribute), the function C(pgbouncer.lookup) (security definer,
    fixed search path, not PUBLIC's) and their rights as they should be, in each lookup database.
options:
  databases:
    description: Databases that PgBouncer asks; from PgBouncer 1.19 that is one.
    type: list
    elements: str
    required: true
  port:
    description: Number of the socket.
    type: int
    default: 5432

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Install the lookup function
  pgstead.ops.pooler_auth:
    databases: [postgres]
"""

RETURN = r"""
statements:
  description: What ran, or would run.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.pooler_auth import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "databases": {"type": "list", "elements": "str", "required": True},
    "port": {"type": "int", "default": 5432},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
