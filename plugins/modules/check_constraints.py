#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: check_constraints
short_description: Keep CHECK constraints as declared, by definition, without a window in which nothing holds
version_added: 0.1.0
description:
  - Compares the definitions of all declared CHECK constraints with the catalogue at once. What is missing is added
    C(NOT VALID) under a short lock and validated apart, while the application reads and writes.
  - Rows that contradict a constraint are counted before anything is changed, and the task fails with some of their keys.
  - A changed expression is added beside the old one, validated, and takes its place in one transaction.
  - A database without tables is waiting for its migrations, which is no failure.
options:
  check_constraints:
    description: The constraints.
    type: list
    elements: dict
    required: true
    suboptions:
      table:
        description: Table, with its schema if that is not O(schema); as the catalogue has it.
        type: str
        required: true
      name:
        description: Name of the constraint.
        type: str
        required: true
      expression:
        description: What must hold for every row, in SQL.
        type: str
      validated:
        description:
          - Whether the rows that are there must hold as well. V(false) adds it for new rows only; a constraint that is
            validated already stays so.
        type: bool
        default: true
      no_inherit:
        description: Whether child tables are spared.
        type: bool
        default: false
      comment:
        description: Comment; an existing one is left alone when not given.
        type: str
      state:
        description: Whether it is to be there.
        type: str
        choices: [present, absent]
        default: present
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._schema.apply, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: What must hold in the shop
  pgstead.ops.check_constraints:
    login_db: shop
    session_role: shop_owner
    check_constraints:
      - table: orders
        name: orders_total_not_negative
        expression: total >= 0
      - table: orders
        name: orders_status_known
        expression: status IN ('open', 'paid', 'sent', 'closed')
        comment: The life of an order
      - table: users
        name: users_email_has_at
        expression: email LIKE '%@%'
        validated: false
"""

RETURN = r"""
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
unmanaged:
  description: CHECK constraints of the declared tables that nobody declared. They are left alone.
  type: list
  elements: str
  returned: success
waiting:
  description: Whether the database has no tables yet.
  type: bool
  returned: success
violations:
  description: By constraint, how many rows contradict it and some of their keys.
  type: list
  elements: str
  returned: failure
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
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.check_constraint import check_constraints
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_check import CheckConstraints
from ansible_collections.pgstead.ops.plugins.module_utils._schema import APPLY, CONNECTION, run_kind
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    **APPLY,
    "check_constraints": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "table": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "expression": {"type": "str"},
            "validated": {"type": "bool", "default": True},
            "no_inherit": {"type": "bool", "default": False},
            "comment": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


def job(params: Mapping[str, Any], context: Context) -> Outcome:
    declared, problems = check_constraints(params["check_constraints"], params["schema"])
    if problems:
        raise SpecError(problems)
    return run_kind(CheckConstraints(declared, purge=params["purge"]), "check constraints", params, context)


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
