#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: What backups there are, how old, whether the WAL between them is whole, and the 3-2-1 rule
version_added: 0.1.0
description:
  - Looks at every repository of a host's backups. It changes nothing, and reads no stored file unless O(verify) says so.
options:
  settings:
    description: What the filter P(pgstead.ops.backup_settings#filter) makes of the inventory.
    type: dict
    required: true
  port:
    description: Port of the server.
    type: int
    default: 5432
  verify:
    description: Read every stored file, as the daily job does. It takes its time.
    type: bool
    default: false

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Look at the backups
  pgstead.ops.backup_info:
    settings: "{{ backup_spec | pgstead.ops.backup_settings }}"
  register: looked

- name: Say what is wrong with them
  ansible.builtin.debug:
    msg: "{{ looked.faults + looked.archiving.faults }}"
"""

RETURN = r"""
repositories:
  description: What each repository holds - C(name), C(type), C(offsite), C(newest) by kind with its age, C(backups), C(wal),
    C(stored) bytes, C(faults), and C(unusable), which says why it cannot be read, or is empty.
  type: list
  elements: dict
  returned: success
archiving:
  description: >-
    What the server says of its archiving - its C(command), whether that is C(set) to the stanza, C(waiting) segments, the
    C(last) one, C(faults).
  type: dict
  returned: success
three_two_one:
  description: Whether the rule is C(kept); counts of C(copies), C(kinds) of storage and C(offsite) ones; what is C(missing).
  type: dict
  returned: success
faults:
  description: Everything that is wrong with a repository, in sentences that name it.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.backup_info import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "settings": {"type": "dict", "required": True},
    "port": {"type": "int", "default": 5432},
    "verify": {"type": "bool", "default": False},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
