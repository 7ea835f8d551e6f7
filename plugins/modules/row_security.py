#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: row_security
short_description: Keep row-level security as declared, by definition, and refuse what would not protect
version_added: 0.1.0
description:
  - Compares policies with the catalogue by definition, and changes each table in one transaction, so that there is no moment
    in which its rows are open.
  - Makes the index that each owner column needs, and the function that carries the application's user into a transaction;
    the function raises when it is called outside of one.
  - Refuses, before anything is changed, what would not protect - an application role that owns a table, is a member of its
    owner, has BYPASSRLS or is a superuser; only restrictive policies; C(current_setting) without C(NULLIF); a function that
    would be called anew for each row although it depends on none.
  - Permissive policies that nobody declared are named, for they open rows beside the declared ones.
  - With O(purge), policies made here that are no longer declared are dropped. A table that is taken out of O(tables) keeps
    its row security as it is, so that nobody whom policies hold sees its rows; a warning names it, and V(absent) as its state
    opens it. Indexes of owner columns and the context's function stay.
options:
  context:
    description: The settings that carry the application's user into a transaction.
    type: dict
    suboptions:
      user:
        description: Setting that holds the user, for example V(app.user_id).
        type: str
        required: true
      role:
        description: Setting that holds the user's role, for example V(app.user_role).
        type: str
      function:
        description: The function that sets both for one transaction, with its schema if that is not O(schema).
        type: str
        default: set_user_context
  application_roles:
    description: Roles that the application logs in as. Policies without roles are for them, and they must not bypass any.
    type: list
    elements: str
    default: []
  tables:
    description: The protected tables.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Table, with its schema if that is not O(schema); as the catalogue has it.
        type: str
        required: true
      owner_column:
        description: Column that holds whose the row is. Makes the policy C(<table>_owner).
        type: str
      admin_role:
        description: Value of the context's role that sees and writes all rows. Makes the policy C(<table>_admin).
        type: str
      force:
        description: Whether the table's owner is held as well.
        type: bool
        default: true
      policies:
        description: Further policies.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name of the policy.
            type: str
            required: true
          command:
            description: What it is for.
            type: str
            choices: [all, select, insert, update, delete]
            default: all
          restrictive:
            description: Whether it narrows what the permissive policies allow.
            type: bool
            default: false
          roles:
            description: Roles it holds for; O(application_roles) when not given. V(public) is everybody.
            type: list
            elements: str
          using:
            description: Which rows are seen, in SQL.
            type: str
          with_check:
            description: Which rows may be written, in SQL; as O(tables[].policies[].using) when not given.
            type: str
          comment:
            description: Comment; an existing one is left alone when not given.
            type: str
          state:
            description: Whether it is to be there.
            type: str
            choices: [present, absent]
            default: present
      state:
        description: V(absent) drops the policies made here, and switches row security off when none is left.
        type: str
        choices: [present, absent]
        default: present
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._schema.apply, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Users see their own orders, administrators see all
  pgstead.ops.row_security:
    login_db: shop
    session_role: shop_owner
    context:
      user: app.user_id
      role: app.user_role
    application_roles: [shop_app]
    tables:
      - name: orders
        owner_column: user_id
        admin_role: admin
      - name: users
        policies:
          - name: users_self
            using: id = (SELECT NULLIF(current_setting('app.user_id', true), '')::bigint)
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
  description: Policies of the declared tables that nobody declared. They are left alone.
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

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security_spec import context
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_security import RowSecurity
from ansible_collections.pgstead.ops.plugins.module_utils._schema import APPLY, CONNECTION, run_kind
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    **APPLY,
    "context": {
        "type": "dict",
        "options": {
            "user": {"type": "str", "required": True},
            "role": {"type": "str"},
            "function": {"type": "str", "default": "set_user_context"},
        },
    },
    "application_roles": {"type": "list", "elements": "str", "default": []},
    "tables": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "owner_column": {"type": "str"},
            "admin_role": {"type": "str"},
            "force": {"type": "bool", "default": True},
            "policies": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "command": {
                        "type": "str",
                        "choices": ["all", "select", "insert", "update", "delete"],
                        "default": "all",
                    },
                    "restrictive": {"type": "bool", "default": False},
                    "roles": {"type": "list", "elements": "str"},
                    "using": {"type": "str"},
                    "with_check": {"type": "str"},
                    "comment": {"type": "str"},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


def job(params: Mapping[str, Any], surroundings: Context) -> Outcome:
    carried, problems = context(params["context"], params["schema"])
    if problems:
        raise SpecError(problems)
    kind = RowSecurity(params["tables"], carried, params["application_roles"], params["schema"], params["purge"])
    return run_kind(kind, "protected tables", params, surroundings)


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
