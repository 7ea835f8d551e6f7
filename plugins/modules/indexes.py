#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: indexes
short_description: Keep indexes as declared, by definition, without blocking writers
version_added: 0.1.0
description:
  - Compares the definitions of all declared indexes with the catalogue at once, and builds, replaces or drops what differs
    with C(CONCURRENTLY).
  - An index is built under a name of its own and takes its final name when it is valid. A changed definition is built
    beside the old one, takes its name together with replica identity, CLUSTER mark and statistics targets, and then the
    old one is dropped.
  - On a partitioned table, the index is made on each partition concurrently and attached.
  - Invalid leftovers of failed builds are dropped and built again.
  - A database without tables is waiting for its migrations, which is no failure.
options:
  indexes:
    description: The indexes.
    type: list
    elements: dict
    required: true
    suboptions:
      table:
        description: Table or materialised view, with its schema if that is not O(schema); as the catalogue has it.
        type: str
        required: true
      name:
        description:
          - Name of the index; C(<table>_<columns>_idx) when not given, and then a valid index of the same definition
            under any name will do.
        type: str
      columns:
        description:
          - The key, in order. A column's name, or a mapping with C(column) or C(expression), and C(opclass),
            C(opclass_parameters), C(collation), C(order) (V(asc) or V(desc)) and C(nulls) (V(first) or V(last)).
        type: list
        elements: raw
      method:
        description: Access method.
        type: str
        default: btree
      unique:
        description: Whether no two rows may have the same key.
        type: bool
        default: false
      nulls_not_distinct:
        description: Whether a unique index takes two NULLs for the same (PostgreSQL 15 and newer).
        type: bool
        default: false
      include:
        description: Columns stored beside the key.
        type: list
        elements: str
      where:
        description: Condition of a partial index, in SQL.
        type: str
      storage_parameters:
        description: Storage parameters such as C(fillfactor). A change builds the index anew, for most need that.
        type: dict
      tablespace:
        description: Tablespace; the database's own when not given.
        type: str
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
- name: Indexes of the shop
  pgstead.ops.indexes:
    login_db: shop
    session_role: shop_owner
    indexes:
      - table: orders
        columns: [user_id, status, {column: created_at, order: desc}]
      - table: orders
        name: orders_open_idx
        columns: [created_at]
        where: status = 'open'
        include: [total]
      - table: orders
        columns: [{column: metadata, opclass: jsonb_path_ops}]
        method: gin
      - table: users
        name: users_email_lower_key
        columns: [{expression: lower(email)}]
        unique: true
        comment: One account for each address, however it is written
      - table: orders
        name: orders_old_idx
        state: absent

- name: From the controller, over TLS
  pgstead.ops.indexes:
    login_db: shop
    login_host: db1.example.org
    login_user: shop_migrations
    login_password: a-secret-from-your-vault
    ca_cert: /etc/ssl/certs/ca-certificates.crt
    indexes:
      - table: orders
        columns: [user_id, status, {column: created_at, order: desc}]
  delegate_to: localhost
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
  description: Indexes of the declared tables that nobody declared. They are left alone.
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
from ansible_collections.pgstead.ops.plugins.module_utils._core.index_spec import indexes
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_index import Indexes
from ansible_collections.pgstead.ops.plugins.module_utils._schema import APPLY, CONNECTION, run_kind
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    **APPLY,
    "indexes": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "table": {"type": "str", "required": True},
            "name": {"type": "str"},
            "columns": {"type": "list", "elements": "raw"},
            "method": {"type": "str", "default": "btree"},
            "unique": {"type": "bool", "default": False},
            "nulls_not_distinct": {"type": "bool", "default": False},
            "include": {"type": "list", "elements": "str"},
            "where": {"type": "str"},
            "storage_parameters": {"type": "dict"},
            "tablespace": {"type": "str"},
            "comment": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


def job(params: Mapping[str, Any], context: Context) -> Outcome:
    declared, problems = indexes(params["indexes"], params["schema"])
    if problems:
        raise SpecError(problems)
    return run_kind(Indexes(declared, purge=params["purge"]), "indexes", params, context)


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
