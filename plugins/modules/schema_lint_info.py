#!/usr/bin/python
# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: schema_lint_info
short_description: Read a database's catalogue and report what an expert would object to, each with its fix
version_added: 0.1.0
description:
  - Reads catalogue and statistics in one read-only transaction, and no row of a user's table. A member of C(pg_monitor)
    may do it, or the owner. Nothing is ever changed.
  - Each finding has a stable key, and says how it is put right, in SQL and where a module of this collection does it, as
    YAML for the entry of C(pgstead_databases). Where a person has to decide, it says on what.
  - Objects of extensions, and what partitions have from their parent, are left out.
  - The file docs/schema-lint.md lists all checks with levels and fixes, and how the score is made.
options:
  schemas:
    description: Schemas to look at; all but PostgreSQL's own when not given.
    type: list
    elements: str
    default: []
  checks:
    description: Only these checks; all when not given.
    type: list
    elements: str
    default: []
  exclude_checks:
    description: All but these checks.
    type: list
    elements: str
    default: []
  suppressions:
    description:
      - Findings that are accepted. One whose day has passed no longer suppresses, and is itself the finding
        C(suppression_expired). Ones that match nothing are returned as RV(unused_suppressions).
    type: list
    elements: dict
    default: []
    suboptions:
      key:
        description: Key of the finding, or its beginning and a C(*).
        type: str
        required: true
      reason:
        description: Why it is accepted, for whoever reads this next year.
        type: str
        required: true
      expires:
        description: Last day that it holds, as C(YYYY-MM-DD) by the server's calendar; for ever when not given.
        type: str
  levels:
    description:
      - Another level (V(error), V(warning), V(info)) for all findings of a check, by the check's name. That of
        C(suppression_expired) can be given, too.
    type: dict
    default: {}
  minimum_size:
    description:
      - Size of the table below which a check says nothing, by the check's name. A partitioned table has the size of all
        its partitions.
      - V(1MB) for C(unused_index), V(8MB) for C(missing_index_candidate) and V(0MB) for all others when not given.
    type: dict
    default: {}
  unused_index_days:
    description: For how long reads must have been counted before an index without any is called unused.
    type: int
    default: 14
  application_roles:
    description:
      - Roles that the application logs in as, which row security is to hold. When none is given, these are the roles that
        policies name, and those, superusers apart, that have rights on protected tables without owning them.
    type: list
    elements: str
    default: []
  missing_index_reads:
    description: How much must have been read of a table in sequential scans before an index seems to be missing.
    type: str
    default: 10GB
author: pgstead contributors (@pgstead)
extends_documentation_fragment: [pgstead.ops._schema, pgstead.ops._attributes]
"""

EXAMPLES = r"""
- name: What would an expert say about the shop
  pgstead.ops.schema_lint_info:
    login_db: shop
    login_user: pgstead_monitor
    system_user: pgstead
  register: lint

- name: As a table
  ansible.builtin.debug:
    msg: "{{ lint.table.splitlines() }}"

- name: In CI, with what is known and accepted
  pgstead.ops.schema_lint_info:
    login_db: shop
    schemas: [public]
    exclude_checks: [column_timestamp]
    levels:
      foreign_key_without_index: error
    minimum_size:
      unused_index: 100MB
    suppressions:
      - key: unused_index:public.orders_yearly_report_idx
        reason: The report of the year's end reads it
      - key: column_serial:public.*
        reason: They go with the new order service
        expires: "2099-12-31"
  register: lint

- name: No errors, and no accepted finding that is none
  ansible.builtin.assert:
    that:
      - lint.counts.error == 0
      - not lint.unused_suppressions
    fail_msg: "{{ lint.table }}"
"""

RETURN = r"""
findings:
  description: What was found and is not suppressed, the worst first, then by key.
  type: list
  elements: dict
  returned: success
  contains:
    key:
      description: "Stable name, C(<check>:<schema>.<object>)."
      type: str
      sample: foreign_key_without_index:public.orders.orders_user_id_fkey
    check:
      description: Name of the check.
      type: str
    level:
      description: V(error), V(warning) or V(info).
      type: str
    categories:
      description: What it is about, such as C(performance) or C(integrity).
      type: list
      elements: str
    object:
      description: The object, with its schema.
      type: str
    detail:
      description: What is wrong, why, and what a person has to decide.
      type: str
    remediation_sql:
      description: Statements to be run in this order, each by itself outside a transaction; empty where a person decides.
      type: list
      elements: str
    remediation_yaml:
      description: What to put under the database's entry in C(pgstead_databases); empty where no module mends it.
      type: str
    table_size:
      description: Size of the table, for people; null where it does not matter.
      type: str
    table_bytes:
      description: The same in bytes.
      type: int
suppressed:
  description: Findings that a suppression hides, with its RV(suppressed[].reason) and C(expires).
  type: list
  elements: dict
  returned: success
  contains:
    reason:
      description: The suppression's reason.
      type: str
unused_suppressions:
  description: Suppressions that match nothing although their check was made; with key, reason and expires.
  type: list
  elements: dict
  returned: success
not_checked:
  description: Checks that could not be made, or not for all objects, by name with the reason.
  type: dict
  returned: success
score:
  description:
    - From 0 to 100, which is a schema without findings. An error costs 10, a warning 3, an info 1; in a schema of more than
      ten tables these are divided by a tenth of their number.
  type: int
  returned: success
counts:
  description: Number of findings by level (C(error), C(warning), C(info)).
  type: dict
  returned: success
table:
  description: The findings as a text table with level, key, size of the table and how it is put right.
  type: str
  returned: success
msg:
  description: Score and counts in one line.
  type: str
  returned: always
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint import (
    as_data,
    lint,
    message,
    settings,
    suppression_data,
    text_table,
)
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_values import Finding
from ansible_collections.pgstead.ops.plugins.module_utils._core.lint_yaml import to_yaml
from ansible_collections.pgstead.ops.plugins.module_utils._pg.lint import read_lint
from ansible_collections.pgstead.ops.plugins.module_utils._pg.lint_fix import statements
from ansible_collections.pgstead.ops.plugins.module_utils._schema import CONNECTION, target
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context, Outcome, run

ARGUMENTS = {
    **CONNECTION,
    "schemas": {"type": "list", "elements": "str", "default": []},
    "checks": {"type": "list", "elements": "str", "default": []},
    "exclude_checks": {"type": "list", "elements": "str", "default": []},
    "suppressions": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "key": {"type": "str", "required": True},
            "reason": {"type": "str", "required": True},
            "expires": {"type": "str"},
        },
    },
    "levels": {"type": "dict", "default": {}},
    "minimum_size": {"type": "dict", "default": {}},
    "unused_index_days": {"type": "int", "default": 14},
    "application_roles": {"type": "list", "elements": "str", "default": []},
    "missing_index_reads": {"type": "str", "default": "10GB"},
}


def job(params: Mapping[str, Any], _context: Context) -> Outcome:
    chosen, problems = settings(params)
    if problems:
        raise SpecError(problems)
    report = lint(read_lint(target(params), params["schemas"], params["application_roles"]), chosen)
    data = {
        "findings": [_with_remedy(finding) for finding in report.findings],
        "suppressed": [
            _with_remedy(finding) | suppression_data(by) | {"key": finding.key} for finding, by in report.suppressed
        ],
        "unused_suppressions": [suppression_data(suppression) for suppression in report.unused],
        "not_checked": dict(report.not_checked),
        "score": report.score,
        "counts": report.counts,
        "table": text_table(report.findings),
        "msg": message(report),
    }
    return Outcome(False, data)


def _with_remedy(finding: Finding) -> dict[str, Any]:
    remedy = {
        "remediation_sql": list(statements(finding.fixes)),
        "remediation_yaml": to_yaml(finding.declaration),
    }
    return as_data(finding) | remedy


def main() -> None:
    run(ARGUMENTS, job)


if __name__ == "__main__":
    main()
