#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: views
short_description: Keep views and materialised views as declared, with the rights that hang on them
version_added: 0.1.0
description:
  - Compares all declared views with the catalogue by definition and options, whatever the order of the list.
  - A view whose columns stay is replaced in place, its options said again. One whose columns change is rebuilt in one
    transaction together with the declared views that are made of it. Owners, rights and comments (of columns, too) are
    what they were, whatever ALTER DEFAULT PRIVILEGES says, and so are the indexes of materialised views and how their
    rows are stored. What a plain view or a column of another type cannot have is named in a warning.
  - A view that somebody else made of it, and nobody declared, is a reason to refuse. So is what would go with a view that
    is made again, as triggers, rules, defaults of columns, and rights or indexes on a column that goes.
  - A changed materialised view is filled, with its indexes, under a name of its own, and takes the old one's place in a
    short transaction. One that other declared views are made of is filled in that transaction, and its readers wait.
    It is filled as its owner, as by every refresh.
options:
  views:
    description: The views.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: View, with its schema if that is not O(schema).
        type: str
        required: true
      query:
        description: What it shows, in SQL.
        type: str
      materialized:
        description: Whether its rows are kept.
        type: bool
        default: false
      refresh:
        description:
          - Whether the scheduled job C(refresh_views) of role P(pgstead.ops.agent#role) fills a materialised view anew.
            This module itself fills it when it makes it, and not again.
          - Its readers go on while it is filled, for which it needs a unique index on columns, without a condition.
        type: bool
        default: false
      security_invoker:
        description: Whether it shows what its reader may see, and not what its owner may (PostgreSQL 15 and newer).
        type: bool
        default: false
      security_barrier:
        description: Whether conditions of a query cannot look past those of the view.
        type: bool
        default: false
      check_option:
        description: Whether rows written through it must be visible in it.
        type: str
        choices: [local, cascaded]
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
- name: Views of the shop
  pgstead.ops.views:
    login_db: shop
    session_role: shop_owner
    views:
      - name: open_orders
        query: SELECT id, user_id, total FROM orders WHERE status = 'open'
        security_barrier: true
      - name: revenue
        materialized: true
        query: SELECT user_id, sum(total) AS total FROM open_orders GROUP BY user_id
        comment: Filled anew every night
        refresh: true
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
  description: Always empty; views that nobody declared are left alone.
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
from ansible_collections.pgstead.ops.plugins.module_utils._core.view_spec import views
from ansible_collections.pgstead.ops.plugins.module_utils._pg.kinds_view import Views
from ansible_collections.pgstead.ops.plugins.module_utils._schema import APPLY, CONNECTION, run_kind
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    **APPLY,
    "views": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "query": {"type": "str"},
            "materialized": {"type": "bool", "default": False},
            "refresh": {"type": "bool", "default": False},
            "security_invoker": {"type": "bool", "default": False},
            "security_barrier": {"type": "bool", "default": False},
            "check_option": {"type": "str", "choices": ["local", "cascaded"]},
            "comment": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


def job(params: Mapping[str, Any], context: Context) -> Outcome:
    declared, problems = views(params["views"], params["schema"])
    if problems:
        raise SpecError(problems)
    return run_kind(Views(declared, params["purge"]), "views", params, context)


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
