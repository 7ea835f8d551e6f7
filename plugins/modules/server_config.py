#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: server_config
short_description: Prove a server's configuration files, then apply them or take them back
version_added: 0.1.0
description:
  - With O(state=proven) the files are staged and proven with the server's own binaries on a scratch cluster, and
    against the host's memory. The server is not touched.
  - With O(state=applied) proven files are swapped in atomically, reloaded, and checked through C(pg_file_settings),
    C(pg_hba_file_rules) and C(pending_restart); the server is restarted only where a changed setting needs it and
    O(restart_policy) allows. On any error the previous files are put back and serving, and the task fails with the
    server's own message.
options:
  state:
    description: Prove only, or apply what has been proven.
    type: str
    choices: [proven, applied]
    default: applied
  version:
    description: Major version.
    type: int
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    default: main
  port:
    description: Port the files ask for.
    type: int
    default: 5432
  files:
    description: The whole text of C(postgresql.conf), C(pg_hba.conf) and C(pg_ident.conf), by these names.
    type: dict
    required: true
  memory_bytes:
    description: Memory that the server may use; a configuration whose shared memory exceeds it is refused.
    type: int
    required: true
  huge_page_bytes:
    description: Size of a huge page.
    type: int
    default: 2097152
  huge_pages:
    description:
      - Huge pages to reserve when the server is about to be started or restarted. All or none; without the option they are left alone.
    type: int
  libraries_to_come:
    description:
      - Preloaded libraries whose package was missing when the play began. Check mode, which installs nothing, proves the
        files without them.
    type: list
    elements: str
    default: []
  restart_policy:
    description:
      - V(needed) restarts only for settings that need it, V(never) lists them instead, V(always) restarts on every change.
    type: str
    choices: [needed, never, always]
    default: needed

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Prove the files
  pgstead.ops.server_config:
    state: proven
    version: 17
    memory_bytes: 8589934592
    files: "{{ rendered_files }}"

- name: Apply the files, but leave restarts to the maintenance window
  pgstead.ops.server_config:
    version: 17
    memory_bytes: 8589934592
    files: "{{ rendered_files }}"
    restart_policy: never
"""

RETURN = r"""
huge_pages:
  description: Number of huge pages that hold the server's shared memory (PostgreSQL 15 and newer).
  type: int
  returned: when proven
settings_changed:
  description: Settings whose value differs from the previous file.
  type: list
  elements: str
  returned: when applied
actions:
  description: What was done (start, reload, restart), or would be.
  type: list
  elements: str
  returned: when applied
pending_restart:
  description: Settings that wait for a restart.
  type: list
  elements: str
  returned: when applied
evidence:
  description: Path of the evidence record on the host.
  type: str
  returned: when something was applied
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.server_config import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "state": {"type": "str", "choices": ["proven", "applied"], "default": "applied"},
    "version": {"type": "int", "required": True},
    "cluster": {"type": "str", "default": "main"},
    "port": {"type": "int", "default": 5432},
    "files": {"type": "dict", "required": True},
    "memory_bytes": {"type": "int", "required": True},
    "huge_page_bytes": {"type": "int", "default": 2097152},
    "huge_pages": {"type": "int"},
    "libraries_to_come": {"type": "list", "elements": "str", "default": []},
    "restart_policy": {"type": "str", "choices": ["needed", "never", "always"], "default": "needed"},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
