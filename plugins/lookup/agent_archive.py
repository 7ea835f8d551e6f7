# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the host's command on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
name: agent_archive
short_description: Build the command pgstead of the hosts, on the control node
version_added: 0.1.0
author: pgstead contributors (@pgstead)
description:
  - Builds one file that Python runs, from the packages of this collection, and returns where it lies. It lies in a
    temporary directory of the control node, which Ansible removes when it ends.
  - The same collection gives the same bytes, so that a task which copies the file changes a host only when the
    collection has changed.
options:
  _terms:
    description: There are none.
"""

EXAMPLES = r"""
- name: Install the command
  ansible.builtin.copy:
    src: "{{ lookup('pgstead.ops.agent_archive').path }}"
    dest: /usr/lib/pgstead/pgstead
    mode: "0755"

- name: Say which version it reports
  ansible.builtin.debug:
    msg: "{{ lookup('pgstead.ops.agent_archive').version }}"
"""

RETURN = r"""
_raw:
  description: The one item.
  type: list
  elements: dict
  contains:
    path:
      description: The file, on the control node.
      type: path
    version:
      description: What C(pgstead version) says - the collection's version, and a hash of the content.
      type: str
  sample:
    - path: /home/you/.ansible/tmp/ansible-local-1/pgstead-0.1.0+0123456789ab
      version: 0.1.0+0123456789ab
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.pgstead.ops.plugins.plugin_utils.agent_archive import Archive, build


class LookupModule(LookupBase):
    """Lookup pgstead.ops.agent_archive."""

    def run(
        self,
        terms: list[Any],
        variables: Any = None,  # noqa: ARG002 - Ansible gives them
        **kwargs: Any,
    ) -> list[dict[str, str]]:
        """Return the path and version of the archive."""
        if terms or kwargs:
            raise AnsibleError("pgstead.ops.agent_archive takes no arguments")
        archive = build()
        path = Path(constants.DEFAULT_LOCAL_TMP) / f"pgstead-{archive.version}"
        if not path.exists():
            _place(archive, path)
        return [{"path": str(path), "version": archive.version}]


def _place(archive: Archive, path: Path) -> None:
    """Write the file whole: hosts are served by several processes at once."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "wb") as stream:
        stream.write(archive.content)
    Path(name).replace(path)
