#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: audit
short_description: Keep an audit trail of tables - who changed which row, when, from where, and what it was before
version_added: 0.1.0
description:
  - Makes one log for each database, the table C(log) of a schema of its own, with a partition for each month (UTC), and
    gives each declared table the triggers that write into it. An entry belongs to the change's transaction - what is
    rolled back leaves none.
  - The log is insert-only. Nobody but its owner has a right on it unless named in O(readers), and the owner itself cannot
    update, delete or truncate. Applications need no right at all to be recorded.
  - Heals what somebody dropped, switched off or altered (triggers, functions, rights, partitions), and says so.
  - Refuses to go on where triggers, rules, row security or other owners could silence or forge entries, and where a hidden
    column would be shown under another name; says what to do. Warns of members of C(pg_read_all_data) and
    C(pg_write_all_data), who are above all rights on the log.
  - Months that are older than O(retention) are dropped, and further months made, by the scheduled job of role
    P(pgstead.ops.agent#role), and not by this module.
options:
  tables:
    description: The audited tables. A partitioned table is recorded with all its partitions, under its own name.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Table, with its schema if that is not O(schema); as the catalogue has it.
        type: str
        required: true
      mode:
        description: As O(mode), for this table.
        type: str
        choices: [changed, full]
      excluded_columns:
        description: Columns that are never looked at - a change of nothing else is not recorded.
        type: list
        elements: str
        default: []
      redacted_columns:
        description: Columns of which is only recorded that they changed, as V(***); their values are never in the log.
        type: list
        elements: str
        default: []
      state:
        description: V(absent) takes the triggers away. What is written in the log stays.
        type: str
        choices: [present, absent]
        default: present
  audit_schema:
    description: Schema of the log. It holds nothing else.
    type: str
    default: audit
  mode:
    description: Whether an UPDATE writes the columns that changed, or all of them. INSERT and DELETE write all.
    type: str
    choices: [changed, full]
    default: changed
  retention:
    description: >-
      How long entries are kept - V(2 years), V(18 months), V(1 month); for good when not given. Whole months are dropped.
    type: str
  partitions_ahead:
    description: How many months are made ahead of time, besides the current one; at least 2.
    type: int
    default: 3
  readers:
    description: Roles that may read the log.
    type: list
    elements: str
    default: []
  context:
    description: The settings that carry the application's user into a transaction, as module M(pgstead.ops.row_security) has them.
    type: dict
    suboptions:
      user:
        description: Setting that holds the user, for example V(app.user_id).
        type: str
        required: true
      role:
        description: Setting that holds the user's role, for example V(app.user_role).
        type: str
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._schema.apply, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Record who changes orders and users
  pgstead.ops.audit:
    login_db: shop
    session_role: shop_owner
    context:
      user: app.user_id
      role: app.user_role
    retention: 2 years
    tables:
      - name: orders
        mode: full
      - name: users
        redacted_columns: [email]
        excluded_columns: [manager_id]
"""

RETURN = r"""
plan:
  description: The steps, in order, with kind, object, table, action, sql, lock, seconds (none in check mode) and note.
  type: list
  elements: dict
  returned: success
drift:
  description: What somebody dropped, switched off, altered or opened; it is mended.
  type: list
  elements: str
  returned: success
unmanaged:
  description: Tables that are audited and not declared. They are left alone without O(purge).
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
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.audit_spec import audit
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_audit import AuditTrail
from ansible_collections.pgstead.ops.plugins.module_utils._schema import APPLY, CONNECTION, run_kind
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    **APPLY,
    "tables": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "mode": {"type": "str", "choices": ["changed", "full"]},
            "excluded_columns": {"type": "list", "elements": "str", "default": []},
            "redacted_columns": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
    "audit_schema": {"type": "str", "default": "audit"},
    "mode": {"type": "str", "choices": ["changed", "full"], "default": "changed"},
    "retention": {"type": "str"},
    "partitions_ahead": {"type": "int", "default": 3},
    "readers": {"type": "list", "elements": "str", "default": []},
    "context": {
        "type": "dict",
        "options": {
            "user": {"type": "str", "required": True},
            "role": {"type": "str"},
        },
    },
}


def job(params: Mapping[str, Any], surroundings: Context) -> Outcome:
    declared, problems = audit(params, params["schema"])
    if problems:
        raise SpecError(problems)
    return run_kind(AuditTrail(declared, params["purge"]), "audited tables", params, surroundings)


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
