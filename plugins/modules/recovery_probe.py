#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_probe
short_description: Prove that a restored instance holds what it must
version_added: 0.1.0
description:
  - Looks at a PostgreSQL instance on this host that was restored from a backup - are its pages and indexes whole, can every
    row be read, are the rows there that must be there and no others, and does it answer its owner's questions as expected.
  - Every check comes to C(passed), C(failed) or C(could_not_run), with a sentence and seconds. The task fails where a check
    failed, and as well where one that was asked for could not run.
  - Rows are looked for in the tables themselves, never in an index.
  - All SQL runs in read-only transactions that are rolled back. In check mode all checks run as well, for they change
    nothing; only O(checks.amcheck.install_missing) has no effect then.
options:
  login_unix_socket:
    description: Directory of the instance's socket.
    type: str
    default: /var/run/postgresql
  login_port:
    description: Its port.
    type: int
    default: 5432
  login_user:
    description: Role to connect as; a superuser, for the programs read everything.
    type: str
    default: postgres
  login_db:
    description: Database for questions about the whole cluster.
    type: str
    default: postgres
  system_user:
    description: Operating system user that owns the cluster; its programs run as this user when the module runs as root.
    type: str
    default: postgres
  binaries:
    description: Directory of pg_checksums, pg_amcheck and pg_dump; Debian's of the cluster's major when not given.
    type: path
  timeout:
    description: How long one program or one SQL statement may take. What is cut off could not run.
    type: str
    default: 4h
  databases:
    description:
      - Databases for the checks that look at whole databases (C(amcheck), C(dump), C(sequences), C(invalid_indexes),
        C(unvalidated_constraints)). All that can be connected to, without templates, when empty.
    type: list
    elements: str
    default: []
  checks:
    description: What to prove; at least one.
    type: dict
    required: true
    suboptions:
      checksums:
        description: The checksum of every block (C(pg_checksums --check)) of a cluster that was stopped cleanly.
        type: dict
        suboptions:
          data_directory:
            description: The stopped cluster's data directory.
            type: path
            required: true
      amcheck:
        description: The structure of tables and B-tree indexes (C(pg_amcheck)).
        type: dict
        suboptions:
          heapallindexed:
            description: Whether every row must be in each of its indexes.
            type: bool
            default: true
          rootdescend:
            description: Whether every index entry is looked for from the root again. Takes C(SHARE) locks, so writers wait.
            type: bool
            default: false
          install_missing:
            description:
              - Whether a database without the extension gets it, in a schema C(pgstead_amcheck), until its check is over.
              - Not for standbys, where nothing can be created.
            type: bool
            default: false
          jobs:
            description: Connections that work at the same time.
            type: int
            default: 1
      dump:
        description: Whether C(pg_dump) must be able to read every row.
        type: bool
        default: false
      sequences:
        description: >-
          Whether sequences that belong to a column must give next what it does not have. Those of tables that a
          subscription fills are left out, for sequences are not replicated.
        type: bool
        default: false
      invalid_indexes:
        description: Whether an invalid index is a failure.
        type: bool
        default: false
      unvalidated_constraints:
        description: Whether a constraint that is C(NOT VALID) is a failure.
        type: bool
        default: false
      canary:
        description: Rows that must be there, and rows that must not.
        type: list
        elements: dict
        suboptions:
          database:
            description: Its database.
            type: str
            required: true
          table:
            description: The table, with its schema if that is not C(public).
            type: str
            required: true
          key:
            description: Column that tells the rows apart.
            type: str
            required: true
          present:
            description: Values of the column that must be there.
            type: list
            elements: str
          absent:
            description: Values of the column that must not be there.
            type: list
            elements: str
      counts:
        description: How many rows tables must have; give either O(checks.counts.rows) or O(checks.counts.manifest).
        type: dict
        suboptions:
          rows:
            description: Number of rows by table, by database.
            type: dict
          manifest:
            description: JSON file on the host that holds the same.
            type: path
          tolerance:
            description: By how much the numbers may differ, as rows (C(100)) or as a part of the expected (C(0.5%)).
            type: str
            default: "0"
      roles:
        description: Roles that must exist.
        type: list
        elements: str
      extensions:
        description: Extensions that must exist.
        type: list
        elements: dict
        suboptions:
          database:
            description: Its database.
            type: str
            required: true
          name:
            description: The extension.
            type: str
            required: true
          version:
            description: Its version, where that matters.
            type: str
      settings:
        description: Settings by name, with values as C(SHOW) writes them.
        type: dict
      statements:
        description:
          - The owner's questions, each with one of V(value), V(rows) and V(condition).
          - Values are compared with the server's own texts; numbers with numbers.
        type: list
        elements: dict
        suboptions:
          name:
            description: What the question proves; it names the check.
            type: str
            required: true
          database:
            description: Where it is asked.
            type: str
            required: true
          sql:
            description: One C(SELECT), C(VALUES), C(TABLE) or C(WITH). One that writes is refused before anything runs.
            type: str
            required: true
          role:
            description: The role that asks it (C(SET ROLE)).
            type: str
            required: true
          value:
            description: The one value that it must answer.
            type: raw
          rows:
            description: All rows that it must answer, in order. NULL is C(null).
            type: list
            elements: list
          condition:
            description: What the one number that it answers must be, like C(>= 100).
            type: str
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: Prove the instance restored to the moment before the mistake
  pgstead.ops.recovery_probe:
    login_port: 5433
    checks:
      amcheck:
        install_missing: true
      dump: true
      sequences: true
      canary:
        - database: shop
          table: orders
          key: id
          present: [41]
          absent: [42]
      counts:
        manifest: /var/lib/pgstead/restored/counts.json
        tolerance: 1%
      roles: [shop_owner, shop_app]
      statements:
        - name: no order without a customer
          database: shop
          sql: SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = o.user_id)
          role: shop_owner
          value: 0

- name: Prove the pages of a copy that has been stopped
  pgstead.ops.recovery_probe:
    checks:
      checksums:
        data_directory: /var/lib/pgstead/restored/data
"""

RETURN = r"""
checks:
  description: Every check with its database (empty for the cluster), status, words and seconds.
  type: list
  elements: dict
  returned: when the checks were run, whatever they came to
  sample:
    - check: canary
      database: shop
      status: passed
      words: "public.orders: 1 rows present, 1 absent, as expected"
      seconds: 0.004
msg:
  description: What came of it, and a line for each check that did not pass.
  type: str
  returned: always
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import NotRecovered, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_probe import bad, summary
from ansible_collections.pgstead.ops.plugins.module_utils._core.recovery_spec import wish
from ansible_collections.pgstead.ops.plugins.module_utils._host.recovery_probe import Programs, manifest, prove
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target
from ansible_collections.pgstead.ops.plugins.module_utils._schema import milliseconds
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

_DATABASE = {"type": "str", "required": True}
CHECKS = {
    "checksums": {"type": "dict", "options": {"data_directory": {"type": "path", "required": True}}},
    "amcheck": {
        "type": "dict",
        "options": {
            "heapallindexed": {"type": "bool", "default": True},
            "rootdescend": {"type": "bool", "default": False},
            "install_missing": {"type": "bool", "default": False},
            "jobs": {"type": "int", "default": 1},
        },
    },
    "dump": {"type": "bool", "default": False},
    "sequences": {"type": "bool", "default": False},
    "invalid_indexes": {"type": "bool", "default": False},
    "unvalidated_constraints": {"type": "bool", "default": False},
    "canary": {
        "type": "list",
        "elements": "dict",
        "options": {
            "database": _DATABASE,
            "table": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": False},
            "present": {"type": "list", "elements": "str"},
            "absent": {"type": "list", "elements": "str"},
        },
    },
    "counts": {
        "type": "dict",
        "options": {
            "rows": {"type": "dict"},
            "manifest": {"type": "path"},
            "tolerance": {"type": "str", "default": "0"},
        },
    },
    "roles": {"type": "list", "elements": "str"},
    "extensions": {
        "type": "list",
        "elements": "dict",
        "options": {"database": _DATABASE, "name": {"type": "str", "required": True}, "version": {"type": "str"}},
    },
    "settings": {"type": "dict"},
    "statements": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "database": _DATABASE,
            "sql": {"type": "str", "required": True},
            "role": {"type": "str", "required": True},
            "value": {"type": "raw"},
            "rows": {"type": "list", "elements": "list"},
            "condition": {"type": "str"},
        },
    },
}
ARGUMENTS = {
    "login_unix_socket": {"type": "str", "default": "/var/run/postgresql"},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str", "default": "postgres"},
    "login_db": {"type": "str", "default": "postgres"},
    "system_user": {"type": "str", "default": "postgres"},
    "binaries": {"type": "path"},
    "timeout": {"type": "str", "default": "4h"},
    "databases": {"type": "list", "elements": "str", "default": []},
    "checks": {"type": "dict", "required": True, "options": CHECKS},
}


def job(params: Mapping[str, Any], context: Context) -> Outcome:
    file = (params["checks"]["counts"] or {}).get("manifest")
    asked, problems = wish(params["databases"], params["checks"], manifest(file) if file else None)
    if problems:
        raise SpecError(problems)
    timeout = milliseconds("timeout", params["timeout"])
    checks = prove(
        asked, Programs(context.run, _target(params), params["binaries"] or "", timeout), check_mode=context.check_mode
    )
    data = {"checks": [asdict(check) for check in checks]}
    if bad(checks):
        raise NotRecovered(summary(checks), data)
    return Outcome(False, {**data, "msg": summary(checks)})


def _target(params: Mapping[str, Any]) -> Target:
    return Target(
        socket_directory=params["login_unix_socket"],
        port=params["login_port"],
        database=params["login_db"],
        user=params["login_user"],
        system_user=params["system_user"],
    )


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
