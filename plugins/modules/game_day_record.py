#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: game_day_record
short_description: Judge and record the rebuilding of a whole host from its inventory and its repositories
version_added: 0.1.0
description:
  - What playbook C(game_day) ends with. Measures from the bare machine until a client was served through the pooler, asks the
    rebuilt server how much was lost, compares both with the objectives, and keeps evidence of it.
  - Fails where an objective is missed or a check did not pass; the evidence is kept all the same.
  - It always reports a change. In check mode it does nothing.
options:
  cluster:
    description: Name of the host in the inventory.
    type: str
    required: true
  stanza:
    description: Name of the stanza.
    type: str
    required: true
  version:
    description: Major version of the cluster.
    type: int
    required: true
  port:
    description: Port of the server.
    type: int
    default: 5432
  repository:
    description: The repository that was restored from.
    type: dict
    required: true
    suboptions:
      key:
        description: Its number.
        type: int
        required: true
      name:
        description: Its name.
        type: str
        required: true
      offsite:
        description: Whether it is declared as off-site.
        type: bool
        default: false
  rto_objective:
    description: How long it may take until a client is served, as V(15min).
    type: str
    required: true
  rpo_objective:
    description: How much of the latest data may be lost, as a time.
    type: str
    required: true
  begun:
    description: When it was begun, in seconds since 1970.
    type: float
    required: true
  provisioned:
    description: When the restore was begun.
    type: float
    required: true
  served:
    description: When a client was served.
    type: float
    required: true
  restored:
    description: What M(pgstead.ops.cluster_restore) returned - backup, target, stopped_at, phases.
    type: dict
    required: true
  databases:
    description: Databases in which an application was answered through the pooler.
    type: list
    elements: str
    required: true
  differing:
    description: What is not as the inventory declares it, of what M(pgstead.ops.access_info) compares.
    type: list
    elements: str
    default: []

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Keep what it took
  pgstead.ops.game_day_record:
    cluster: db1
    stanza: db1
    version: 17
    repository: {key: 2, name: store, offsite: true}
    rto_objective: 15min
    rpo_objective: 5min
    begun: 1769862896.1
    provisioned: 1769863010.5
    served: 1769863055.0
    restored:
      backup: 20260131-010700F
      target: latest
      stopped_at: redo done at 0/8000148
      phases: {fetch: 31.5, recover: 4.2}
    databases: [shop]
"""

RETURN = r"""
msg:
  description: What it came to in one line.
  type: str
  returned: always
evidence:
  description: Path of the record.
  type: path
  returned: changed
page:
  description: Path of its page.
  type: path
  returned: changed
manifest:
  description: Path of the manifest with both hashes.
  type: path
  returned: changed
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.game_day import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "cluster": {"type": "str", "required": True},
    "stanza": {"type": "str", "required": True},
    "version": {"type": "int", "required": True},
    "port": {"type": "int", "default": 5432},
    "repository": {
        "type": "dict",
        "required": True,
        "options": {
            "key": {"type": "int", "required": True, "no_log": False},
            "name": {"type": "str", "required": True},
            "offsite": {"type": "bool", "default": False},
        },
    },
    "rto_objective": {"type": "str", "required": True},
    "rpo_objective": {"type": "str", "required": True},
    "begun": {"type": "float", "required": True},
    "provisioned": {"type": "float", "required": True},
    "served": {"type": "float", "required": True},
    "restored": {"type": "dict", "required": True},
    "databases": {"type": "list", "elements": "str", "required": True},
    "differing": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
