#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: server_info
short_description: Look at a Debian host before it becomes a PostgreSQL server
version_added: 0.1.0
description:
  - Reads memory, processors (the smaller of host and control group), disks, clock, name resolution, package versions,
    existing clusters and listening ports in one call. The plans of the roles are computed from it.
  - Needs nothing on the host but Python. Changes nothing.
options:
  version:
    description: The PostgreSQL major version that is planned.
    type: int
    required: true
  cluster:
    description: The name of the cluster that is planned; the limits of its unit count.
    type: str
    default: main
  data_directory:
    description: The data directory that is planned; its disk is measured.
    type: path
    required: true
  tls_certificate:
    description: The server certificate to look at.
    type: path
    default: /etc/pgstead/tls/server.crt
  tls_key:
    description: Its key.
    type: path
    default: /etc/pgstead/tls/server.key
  directories:
    description: Directories that the caller needs; those that are missing are returned.
    type: list
    elements: path
    default: []
  controller_time:
    description:
      - The controller's time in ISO 8601 with its offset, to be compared with the host's. A moment that names no offset
        would be read in the zone of whoever reads it, so it is refused.
    type: str

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Look at the host
  pgstead.ops.server_info:
    version: 17
    data_directory: /var/lib/postgresql/17/main
  register: looked

- name: Say how much memory a server may use
  ansible.builtin.debug:
    msg: "{{ looked.facts.memory }}"
"""

RETURN = r"""
facts:
  description: What was seen.
  type: dict
  returned: always
  sample: {"cpus": 2, "memory": {"host_bytes": 25273081856, "cgroup_bytes": null, "planned_bytes": null, "huge_page_bytes": 2097152}}
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.server_info import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "version": {"type": "int", "required": True},
    "cluster": {"type": "str", "default": "main"},
    "data_directory": {"type": "path", "required": True},
    "tls_certificate": {"type": "path", "default": "/etc/pgstead/tls/server.crt"},
    # no_log=False: a path, not a key
    "tls_key": {"type": "path", "default": "/etc/pgstead/tls/server.key", "no_log": False},
    "directories": {"type": "list", "elements": "path", "default": []},
    "controller_time": {"type": "str"},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
