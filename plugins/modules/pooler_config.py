#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pooler_config
short_description: Apply PgBouncer's configuration, checked by SHOW CONFIG, or take it back
version_added: 0.1.0
description:
  - Proves a new file in a PgBouncer process of its own, swaps it in, reloads (or restarts where a setting needs it), and
    compares SHOW CONFIG with the file. On any error the previous files are put back.
  - Several processes that share the port are restarted one after the other; from PgBouncer 1.23 each lets its clients
    finish.
options:
  processes:
    description: One entry for each process.
    type: list
    elements: dict
    required: true
    suboptions:
      unit:
        description: Its systemd unit.
        type: str
        required: true
      path:
        description: Its file.
        type: path
        required: true
      socket_directory:
        description: Where its socket is.
        type: path
        required: true
      content:
        description: The whole text of its file.
        type: str
        required: true
  files:
    description: Files that all processes share, text by path.
    type: dict
    required: true
  port:
    description: The port.
    type: int
    default: 6432
  version:
    description: The installed version.
    type: str
    required: true

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Apply PgBouncer's configuration
  pgstead.ops.pooler_config:
    version: 1.24.1
    processes:
      - unit: pgbouncer.service
        path: /etc/pgbouncer/pgbouncer.ini
        socket_directory: /run/pgbouncer
        content: "{{ rendered_ini }}"
    files:
      /etc/pgbouncer/pg_hba.conf: |
        hostssl all all 0.0.0.0/0 scram-sha-256
"""

RETURN = r"""
actions:
  description: What was done (start, reload, restart), or would be.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.pooler_config import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "processes": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "unit": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "socket_directory": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
        },
    },
    "files": {"type": "dict", "required": True},
    "port": {"type": "int", "default": 6432},
    "version": {"type": "str", "required": True},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
