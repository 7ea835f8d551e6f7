#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_settings
short_description: Write host files and bring kernel settings into force, reporting refusals
version_added: 0.1.0
description:
  - Writes the files (unit drop-ins, sysctl.d, tmpfiles.d) and sets each value now. What the kernel refuses, as a container's does,
    is returned and warned about; it does not fail the task.
options:
  files:
    description: Files to write, owned by root, mode 0644.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where.
        type: path
        required: true
      content:
        description: The whole text.
        type: str
        required: true
  sysctl:
    description: Kernel parameters by dotted name.
    type: dict
    default: {}
  sys:
    description: Values by path below /sys.
    type: dict
    default: {}

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Overcommit strictly
  pgstead.ops.host_settings:
    files:
      - path: /etc/sysctl.d/60-pgstead-postgresql.conf
        content: |
          vm.overcommit_memory = 2
    sysctl:
      vm.overcommit_memory: 2
"""

RETURN = r"""
applied:
  description: What was set.
  type: list
  elements: dict
  returned: success
refused:
  description: What the kernel refused, and why.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.host_settings import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"path": {"type": "path", "required": True}, "content": {"type": "str", "required": True}},
    },
    "sysctl": {"type": "dict", "default": {}},
    "sys": {"type": "dict", "default": {}},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
