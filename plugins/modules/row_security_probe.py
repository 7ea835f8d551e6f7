#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: row_security_probe
short_description: Prove by behaviour that row-level security keeps tenants apart
version_added: 0.1.0
description:
  - Asks, as the application's role, whether a tenant sees, changes, deletes, gives away or forges rows of another, and
    whether anything is seen without a context; for two tenants of each table, and for every view that shows it. Then the
    same through PgBouncer, by clients that take turns on its server connections, and at random.
  - Looks also for ways around that nobody has gone yet - an application role that could become the owner, partitions and
    inheritance children by their own names, rights that row security does not hold, views and functions of somebody whom it
    does not hold as it holds the application.
  - A check that could not run is a failure, and so is a table about which nothing could be asked.
  - All of it happens in transactions that are rolled back. That does not take back sequence numbers, nor what a trigger
    does outside the database, so on production servers it is for you to decide.
  - The connecting role must be a superuser, or have BYPASSRLS and be a member of O(application_role).
options:
  application_role:
    description: The role that the application logs in as.
    type: str
    required: true
  context:
    description: The settings that carry the application's user, as in M(pgstead.ops.row_security).
    type: dict
    required: true
    suboptions:
      user:
        description: Setting that holds the user.
        type: str
        required: true
      role:
        description: Setting that holds the user's role.
        type: str
      function:
        description: The function that sets both for one transaction.
        type: str
        default: set_user_context
  tables:
    description: The protected tables.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Table, with its schema if that is not O(schema).
        type: str
        required: true
      owner_column:
        description: Column that holds whose the row is.
        type: str
        required: true
      admin_role:
        description: Value of the context's role that sees all rows.
        type: str
      tenants:
        description: Two values of the owner column; the two with most rows when not given.
        type: list
        elements: str
  pooler:
    description: PgBouncer, where the same is to be asked through it.
    type: dict
    suboptions:
      host:
        description: Host name, or directory of its socket.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        default: 6432
      password:
        description: Password of the application's role.
        type: str
        required: true
      ssl_mode:
        description: How its certificate is checked.
        type: str
        choices: [verify-full, verify-ca, require, disable]
        default: verify-full
      ca_cert:
        description: File with the certificates that it is checked against.
        type: path
  probes:
    description: How many random questions to ask besides, half of them through the pooler where there is one.
    type: int
    default: 0
  seed:
    description: Seed of the random questions; the same one asks the same.
    type: int
    default: 1
  trusted_functions:
    description: Functions that may lead around row security, as C(schema.name(types)).
    type: list
    elements: str
    default: []
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Prove that customers cannot see each other's orders
  pgstead.ops.row_security_probe:
    login_db: shop
    application_role: shop_app
    context:
      user: app.user_id
      role: app.user_role
    tables:
      - name: orders
        owner_column: user_id
        admin_role: admin
    probes: 1000
"""

RETURN = r"""
checks:
  description: Every check with way, object, question, status (passed, failed, not run) and detail.
  type: list
  elements: dict
  returned: always
table:
  description: The checks as a text table, the bad ones first.
  type: str
  returned: always
probes_per_second:
  description: How quickly the random questions were answered.
  type: float
  returned: always
msg:
  description: What came of it, in one line.
  type: str
  returned: always
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.probe import subjects
from ansible_collections.pgstead.ops.plugins.module_utils._core.row_security_spec import context
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target
from ansible_collections.pgstead.ops.plugins.module_utils._pg.probe_run import Order, probe
from ansible_collections.pgstead.ops.plugins.module_utils._schema import CONNECTION, target
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    "application_role": {"type": "str", "required": True},
    "context": {
        "type": "dict",
        "required": True,
        "options": {
            "user": {"type": "str", "required": True},
            "role": {"type": "str"},
            "function": {"type": "str", "default": "set_user_context"},
        },
    },
    "tables": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "owner_column": {"type": "str", "required": True},
            "admin_role": {"type": "str"},
            "tenants": {"type": "list", "elements": "str"},
        },
    },
    "pooler": {
        "type": "dict",
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 6432},
            "password": {"type": "str", "required": True, "no_log": True},
            "ssl_mode": {
                "type": "str",
                "choices": ["verify-full", "verify-ca", "require", "disable"],
                "default": "verify-full",
            },
            "ca_cert": {"type": "path"},
        },
    },
    "probes": {"type": "int", "default": 0},
    "seed": {"type": "int", "default": 1},
    "trusted_functions": {"type": "list", "elements": "str", "default": []},
}


def job(params: Mapping[str, Any], _surroundings: Context) -> Outcome:
    carried, problems = context(params["context"], params["schema"])
    asked, more = subjects(params["tables"], params["schema"])
    if problems or more or carried is None:
        raise SpecError([*problems, *more])
    order = Order(
        server=target(params),
        pooler=_pooler(params),
        role=params["application_role"],
        context=carried,
        subjects=asked,
        probes=params["probes"],
        seed=params["seed"],
        trusted_functions=tuple(params["trusted_functions"]),
    )
    return Outcome(False, probe(order))


def _pooler(params: Mapping[str, Any]) -> Target | None:
    raw = params["pooler"]
    if not raw:
        return None
    return Target(
        socket_directory="",
        port=raw["port"],
        database=params["login_db"],
        user=params["application_role"],
        address=raw["host"],
        password=raw["password"],
        sslmode=raw["ssl_mode"],
        sslrootcert=raw["ca_cert"] or "",
    )


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
