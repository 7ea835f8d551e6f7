#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: schema_export_info
short_description: Read what a database has, as the items that the schema modules accept
version_added: 0.1.0
description:
  - Returns indexes, CHECK constraints, whether foreign keys have indexes, views and row security, in the words of
    C(pgstead_databases). Applied to the same database, or to its restored dump, they change nothing.
  - Row security comes policy by policy; the shorthands and the context are not guessed.
  - Left out without a word are indexes behind constraints, what a partition has from its parent, and what this collection
    made for its own use (such as the log of C(audit)). What else is left out is named with the reason.
options:
  schemas:
    description: Schemas to read; all but PostgreSQL's own when not given.
    type: list
    elements: str
    default: []
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Begin with what is there
  pgstead.ops.schema_export_info:
    login_db: shop
  register: found

- name: As YAML for the inventory
  ansible.builtin.copy:
    content: "{{ found.export | to_nice_yaml }}"
    dest: ./shop.yml
    mode: "0600"
  delegate_to: localhost
"""

RETURN = r"""
export:
  description:
    - Items by key of C(pgstead_databases) - C(indexes), C(foreign_key_indexes), C(check_constraints), C(views),
      C(row_security), C(audit).
  type: dict
  returned: success
left_out:
  description: What is left out although it is there, with the reason.
  type: list
  elements: str
  returned: success
msg:
  description: How much was found.
  type: str
  returned: always
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._pg.schema_export import read_export
from ansible_collections.pgstead.ops.plugins.module_utils._schema import CONNECTION, target
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    "schemas": {"type": "list", "elements": "str", "default": []},
}


def job(params: Mapping[str, Any], _context: Context) -> Outcome:
    found = read_export(target(params), params["schemas"], params["schema"])
    counts = {kind.replace("_", " "): len(items) for kind, items in found.items.items() if isinstance(items, list)}
    counts["protected tables"] = len(found.items["row_security"]["tables"])
    counts["audited tables"] = len(found.items.get("audit", {"tables": ()})["tables"])
    message = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return Outcome(False, {"export": dict(found.items), "left_out": list(found.skipped), "msg": message})


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
