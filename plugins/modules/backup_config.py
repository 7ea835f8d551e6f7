#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_config
short_description: Prove and apply the configuration of pgBackRest, and create its stanza
version_added: 0.1.0
description:
  - Creates the stanza with the new configuration where nothing else sees it yet. Only when every repository could be used
    that way is the configuration put in place, so that one which cannot be used stops no archiving to the others.
  - A marker on the host then says that the stanza is there; role P(pgstead.ops.postgresql#role) has PostgreSQL archive
    only once it exists.
options:
  state:
    description:
      - V(present) brings configuration and stanza about.
      - V(configured) writes the configuration where there is none, unproven, as for a restore onto a new host.
      - V(checked) has PostgreSQL archive a segment now and waits until every repository has it; it never reports a change.
    type: str
    choices: [present, configured, checked]
    default: present
  version:
    description: Major version of the cluster.
    type: int
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    default: main
  stanza:
    description: Name of the stanza.
    type: str
    required: true
  repositories:
    description: The repositories of the configuration.
    type: list
    elements: dict
    required: true
    suboptions:
      key:
        description: pgBackRest's number.
        type: int
        required: true
      name:
        description: What it is called in messages.
        type: str
        required: true
  configuration:
    description: The whole text of C(/etc/pgbackrest/pgbackrest.conf).
    type: str
    default: ""
  secrets:
    description: The whole text of C(/etc/pgbackrest/conf.d/secrets.conf), which only root and postgres may read.
    type: str
    default: ""

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Configure the repositories
  pgstead.ops.backup_config:
    version: 17
    stanza: db1
    repositories: [{key: 1, name: local}]
    configuration: "{{ plan.configuration }}"
    secrets: "{{ backup_spec | pgstead.ops.backup_secrets }}"
  vars:
    plan: "{{ backup_spec | pgstead.ops.backup_plan(looked.facts) }}"
"""

RETURN = r"""# It returns nothing besides."""

from ansible_collections.pgstead.ops.plugins.module_utils._host.backup_config import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "configured", "checked"], "default": "present"},
    "version": {"type": "int", "required": True},
    "cluster": {"type": "str", "default": "main"},
    "stanza": {"type": "str", "required": True},
    "repositories": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"key": {"type": "int", "required": True}, "name": {"type": "str", "required": True}},
    },
    "configuration": {"type": "str", "default": ""},
    "secrets": {"type": "str", "default": "", "no_log": True},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
