#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster
short_description: Create a Debian PostgreSQL cluster with checksums, once
version_added: 0.1.0
description:
  - Creates a cluster with C(pg_createcluster) and marks it as made by this collection. It is not started.
  - Has the host start it at boot, whatever its C(start.conf) and C(postgresql.service) said.
  - A creation that was cut off is done anew. A cluster or data directory that the collection did not make is refused.
options:
  version:
    description: Major version.
    type: int
    required: true
  name:
    description: Name of the cluster.
    type: str
    default: main
  port:
    description: TCP port, and number of the socket.
    type: int
    default: 5432
  data_directory:
    description: Where the data goes.
    type: path
    required: true
  locale:
    description: Locale of the cluster.
    type: str
    default: C.UTF-8
  encoding:
    description: Encoding of the cluster.
    type: str
    default: UTF8
  data_checksums:
    description: Whether pages carry checksums.
    type: bool
    default: true

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Create the cluster
  pgstead.ops.cluster:
    version: 17
    data_directory: /var/lib/postgresql/17/main
"""

RETURN = r"""
cluster:
  description: Version and name.
  type: str
  returned: success
  sample: 17/main
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.cluster import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "version": {"type": "int", "required": True},
    "name": {"type": "str", "default": "main"},
    "port": {"type": "int", "default": 5432},
    "data_directory": {"type": "path", "required": True},
    "locale": {"type": "str", "default": "C.UTF-8"},
    "encoding": {"type": "str", "default": "UTF8"},
    "data_checksums": {"type": "bool", "default": True},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
