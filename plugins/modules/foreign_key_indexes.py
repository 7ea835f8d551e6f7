#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: foreign_key_indexes
short_description: Find foreign keys without an index on their columns, and give them one
version_added: 0.1.0
description:
  - A foreign key makes no index on the referencing columns. Without one, every delete and key change of the other table
    reads this one whole, and locks rows meanwhile.
  - A key is served by a valid index without a condition (btree, or hash for one column) whose first columns are the key's
    columns in any order, in the columns' own collations.
  - Indexes made here are named C(<table>_<columns>_fkey_idx), with six digits before C(fkey_idx) where somebody else's index
    has that name, and built as module M(pgstead.ops.indexes) does.
options:
  mode:
    description: V(create) builds what is missing, V(report) only names it.
    type: str
    choices: [create, report]
    default: report
  exclude:
    description: Foreign keys that need no index.
    type: list
    elements: dict
    default: []
    suboptions:
      table:
        description: Table of the foreign key, with its schema if that is not O(schema).
        type: str
        required: true
      constraint:
        description: Name of the foreign key; all of the table when not given.
        type: str
  minimum_size:
    description: Tables smaller than this are passed over; partitions count together.
    type: str
    default: 0MB
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._schema.apply, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Every foreign key of the shop has an index
  pgstead.ops.foreign_key_indexes:
    login_db: shop
    session_role: shop_owner
    mode: create
    exclude:
      - table: orders
        constraint: orders_currency_fkey

- name: Which foreign keys of large tables have none
  pgstead.ops.foreign_key_indexes:
    login_db: shop
    minimum_size: 8MB
  register: keys
"""

RETURN = r"""
missing:
  description: Foreign keys that had no index when the task began, with table, constraint, columns and table_size.
  type: list
  elements: dict
  returned: success
plan:
  description: The steps, in order, with kind, object, table, action, sql, lock, seconds (none in check mode) and note.
  type: list
  elements: dict
  returned: success
drift:
  description: Objects that this collection made and somebody else dropped; they are made again.
  type: list
  elements: str
  returned: success
waiting:
  description: Whether the database has no tables yet.
  type: bool
  returned: success
applied:
  description: The steps that had been carried out when the task failed.
  type: list
  elements: dict
  returned: failure
msg:
  description: What came of it, in one line.
  type: str
  returned: always
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.foreign_key import choice
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_foreign_key import ForeignKeyIndexes
from ansible_collections.pgstead.ops.plugins.module_utils._schema import APPLY, CONNECTION, run_kind
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    **APPLY,
    "mode": {"type": "str", "choices": ["create", "report"], "default": "report"},
    "exclude": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"table": {"type": "str", "required": True}, "constraint": {"type": "str"}},
    },
    "minimum_size": {"type": "str", "default": "0MB"},
}


def job(params: Mapping[str, Any], context: Context) -> Outcome:
    chosen, problems = choice(params["exclude"], params["minimum_size"], params["schema"])
    if problems:
        raise SpecError(problems)
    kind = ForeignKeyIndexes(chosen, params["mode"] == "create", params["purge"])
    found = run_kind(kind, "indexes of foreign keys", params, context)
    data = {name: value for name, value in found.data.items() if name != "unmanaged"}
    if params["mode"] == "report" and kind.missing:
        data["msg"] = f"{len(kind.missing)} foreign keys have no index"
    return replace(found, data={**data, "missing": list(kind.missing or ())})


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
