#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_restore
short_description: Bring a whole cluster back to a time, a restore point, an LSN, or the end of its WAL
version_added: 0.1.0
description:
  - Refuses before anything is touched what cannot be had - a target before the oldest backup or beyond the archived WAL, a restore
    point that nobody knows, too little room, a running server that is not said to be overwritten.
  - Clients of PgBouncer wait meanwhile. The cluster as it was is kept beside, and comes back where the restore fails.
  - A run that was cut off is finished by the next one. What was found and done is kept as evidence.
  - It always reports a change. In check mode it says from which backup it would restore, and touches nothing.
options:
  version:
    description: Major version of the cluster.
    type: int
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    default: main
  port:
    description: Port of the server.
    type: int
    default: 5432
  data_directory:
    description: Directory of the cluster.
    type: path
    required: true
  stanza:
    description: Name of the stanza.
    type: str
    required: true
  repository:
    description: Number of the repository to restore from.
    type: int
    default: 1
  repository_time:
    description: >-
      Read the repository as its store had it at this time, given with its zone, to get back what was deleted or overwritten since.
      Of stores that keep versions, and with pgBackRest 2.54 or newer. What the server has not archived by then is not looked
      at. The stanza is made anew afterwards.
    type: str
    default: ""
  type:
    description: What the target is.
    type: str
    choices: [latest, time, name, lsn]
    default: latest
  target:
    description: >-
      Where recovery ends - a time with its zone, the name of a restore point, or an LSN. A time is exact to the microsecond, and
      what was committed at that very time is included.
    type: str
    default: ""
  set:
    description: Label of the backup to begin with; by default the newest good one before the target.
    type: str
    default: ""
  timeline:
    description: The timeline to follow; by default the newest one. Needed to go back onto a timeline that was left.
    type: str
    default: ""
  overwrite:
    description: Whether a running server may be replaced.
    type: bool
    default: false
  lose_wal:
    description: Whether WAL of a stopped server may be lost that is in no repository.
    type: bool
    default: false
  drop_altered:
    description: >-
      Settings that ALTER SYSTEM had made on the server that was backed up, and that do not come back, as of one that must not do
      what it did there.
    type: list
    elements: str
    default: []
  mode:
    description:
      - V(aside) moves the directory of the cluster aside, where it stays.
      - V(delta) restores over it, only what differs, for hosts without room for two. What was not archived is refused to be lost.
    type: str
    choices: [aside, delta]
    default: aside
  pause_seconds:
    description: How long to wait for running transactions of the pooler's clients to end.
    type: int
    default: 10
  timeout_seconds:
    description: How long recovery may take.
    type: int
    default: 43200

author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Bring everything back to before the mishap
  pgstead.ops.cluster_restore:
    version: 17
    data_directory: /var/lib/postgresql/17/main
    stanza: db1
    type: time
    target: 2026-01-31 12:34:56.123456+00
    overwrite: true

- name: Bring everything back from a bucket that was emptied
  pgstead.ops.cluster_restore:
    version: 17
    data_directory: /var/lib/postgresql/17/main
    stanza: db1
    repository: 2
    repository_time: 2026-01-31 12:00:00+00
    overwrite: true
"""

RETURN = r"""
backup:
  description: Label of the backup that was restored.
  type: str
  returned: success
stopped_at:
  description: The server's own words on where recovery stopped.
  type: str
  returned: success
timeline:
  description: The timeline that the server writes now.
  type: int
  returned: changed
aside:
  description: Where the cluster as it was lies now; empty in mode delta.
  type: path
  returned: changed
phases:
  description: Seconds of each phase - C(prepare), C(stop), C(fetch), C(recover), C(settle).
  type: dict
  returned: success
archived:
  description: Whether a segment of the new timeline was seen in the repository; not where the server does not archive yet.
  type: bool
  returned: changed
evidence:
  description: Path of the evidence.
  type: path
  returned: changed
summary:
  description: All of that in one line.
  type: str
  returned: changed
"""

from ansible_collections.pgstead.ops.plugins.module_utils._host.restore import run as job
from ansible_collections.pgstead.ops.plugins.module_utils._shell import run

ARGUMENTS = {
    "version": {"type": "int", "required": True},
    "cluster": {"type": "str", "default": "main"},
    "port": {"type": "int", "default": 5432},
    "data_directory": {"type": "path", "required": True},
    "stanza": {"type": "str", "required": True},
    "repository": {"type": "int", "default": 1},
    "repository_time": {"type": "str", "default": ""},
    "type": {"type": "str", "choices": ["latest", "time", "name", "lsn"], "default": "latest"},
    "target": {"type": "str", "default": ""},
    "set": {"type": "str", "default": ""},
    "timeline": {"type": "str", "default": ""},
    "overwrite": {"type": "bool", "default": False},
    "lose_wal": {"type": "bool", "default": False},
    "drop_altered": {"type": "list", "elements": "str", "default": []},
    "mode": {"type": "str", "choices": ["aside", "delta"], "default": "aside"},
    "pause_seconds": {"type": "int", "default": 10},
    "timeout_seconds": {"type": "int", "default": 43200},
}


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
