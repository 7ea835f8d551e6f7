# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one list of checks. A further one is a pure function of Observed beside its kind, and a line here."""

from __future__ import annotations

from . import lint_audit as audit
from . import lint_columns as columns
from . import lint_indexes as indexes
from . import lint_keys as keys
from . import lint_routines as routines
from . import lint_row_security as row_security
from . import lint_views as views
from .lint_values import Check
from .units import MB

CHECKS = (
    # keys and constraints
    Check(
        "foreign_key_without_index",
        "warning",
        ("performance", "locking"),
        "Foreign key without an index on its columns",
        keys.foreign_key_without_index,
    ),
    Check(
        "foreign_key_type_mismatch",
        "warning",
        ("integrity", "performance"),
        "Foreign key whose columns have different types",
        keys.foreign_key_type_mismatch,
    ),
    Check(
        "table_without_primary_key",
        "warning",
        ("integrity", "replication"),
        "Table without a primary key",
        keys.table_without_primary_key,
    ),
    Check(
        "constraint_not_validated",
        "warning",
        ("integrity",),
        "Constraint that was never validated",
        keys.constraint_not_validated,
    ),
    # indexes
    Check(
        "duplicate_index",
        "warning",
        ("performance", "space"),
        "Index with the definition of another",
        indexes.duplicate_index,
    ),
    Check(
        "overlapping_index",
        "info",
        ("performance", "space"),
        "Index that is the beginning of another",
        indexes.overlapping_index,
    ),
    Check(
        "unused_index",
        "warning",
        ("performance", "space"),
        "Index that no query reads",
        indexes.unused_index,
        floor=MB,
        blind=indexes.statistics_too_young,
    ),
    Check(
        "invalid_index",
        "error",
        ("performance", "maintenance"),
        "Index that a failed build left",
        indexes.invalid_index,
        blind=indexes.builds_unseen,
    ),
    Check(
        "unattached_partition_index",
        "warning",
        ("performance", "maintenance"),
        "Index that not every partition has",
        indexes.unattached_partition_index,
        blind=indexes.builds_unseen,
    ),
    Check(
        "missing_index_candidate",
        "info",
        ("performance",),
        "Large table that is read whole again and again",
        keys.missing_index_candidate,
        floor=8 * MB,
    ),
    # columns
    Check(
        "sequence_near_limit",
        "warning",  # error from 90 % on
        ("availability",),
        "Sequence that is about to run out",
        columns.sequence_near_limit,
        blind=columns.sequences_unreadable,
    ),
    Check("column_json", "info", ("types",), "Column of type json", columns.column_json),
    Check("column_money", "warning", ("types",), "Column of type money", columns.column_money),
    Check("column_char", "info", ("types",), "Column of type char(n)", columns.column_char),
    Check(
        "column_timestamp",
        "warning",
        ("types", "integrity"),
        "Column of type timestamp without time zone",
        columns.column_timestamp,
    ),
    Check("column_serial", "info", ("types",), "Serial column instead of an identity column", columns.column_serial),
    # functions and extensions
    Check(
        "security_definer_without_search_path",
        "error",  # warning where not everybody may call it
        ("security",),
        "SECURITY DEFINER function without a search_path of its own",
        routines.security_definer_without_search_path,
    ),
    Check(
        "extension_older_than_available",
        "info",
        ("maintenance", "security"),
        "Extension older than its files on the host",
        routines.extension_older_than_available,
    ),
    # row security, and what shows protected tables
    Check(
        "row_security_disabled",
        "error",
        ("security",),
        "Table with policies whose row security is disabled",
        row_security.row_security_disabled,
    ),
    Check(
        "partition_bypasses_row_security",
        "error",
        ("security",),
        "Partition or child of a protected table that is open by its own name",
        row_security.partition_bypasses_row_security,
    ),
    Check(
        "row_security_without_policy",
        "warning",
        ("security", "availability"),
        "Table with row security and no policy",
        row_security.row_security_without_policy,
    ),
    Check(
        "row_security_not_forced",
        "warning",
        ("security",),
        "Table whose row security does not hold its owner",
        row_security.row_security_not_forced,
    ),
    Check(
        "row_security_only_restrictive",
        "warning",
        ("security", "availability"),
        "Table with restrictive policies only",
        row_security.row_security_only_restrictive,
    ),
    Check(
        "policy_column_without_index",
        "warning",
        ("performance",),
        "Column that a policy compares, without an index",
        row_security.policy_column_without_index,
    ),
    Check(
        "policy_setting_without_nullif",
        "warning",
        ("security", "availability"),
        "Policy that reads a setting without NULLIF",
        row_security.policy_setting_without_nullif,
    ),
    Check(
        "policy_always_true",
        "warning",
        ("security",),
        "Policy that is true for every row",
        row_security.policy_always_true,
    ),
    Check(
        "application_role_bypasses_row_security",
        "error",
        ("security",),
        "Application role that policies do not hold",
        row_security.application_role_bypasses_row_security,
    ),
    Check(
        "view_bypasses_row_security",
        "error",
        ("security",),
        "View that shows all rows of a protected table",
        views.view_bypasses_row_security,
    ),
    Check(
        "view_without_security_invoker",
        "warning",
        ("security",),
        "View of a protected table without security_invoker",
        views.view_without_security_invoker,
    ),
    Check(
        "materialized_view_over_row_security",
        "warning",  # error where others may read it
        ("security",),
        "Materialised view of a protected table",
        views.materialized_view_over_row_security,
    ),
    Check(
        "foreign_table_over_row_security",
        "warning",
        ("security",),
        "Foreign table that shows rows of a protected table",
        views.foreign_table_over_row_security,
    ),
    # audit
    Check(
        "audit_trigger_missing",
        "error",
        ("security", "audit"),
        "Audited table that lost a trigger",
        audit.audit_trigger_missing,
        blind=audit.notes_unread,
    ),
    Check(
        "audit_trigger_disabled",
        "error",  # warning where it is not ENABLE ALWAYS
        ("security", "audit"),
        "Audit trigger that does not always fire",
        audit.audit_trigger_disabled,
    ),
    Check(
        "audit_partition_horizon",
        "warning",  # error once there is none
        ("audit", "availability"),
        "Audit log that runs out of partitions",
        audit.audit_partition_horizon,
    ),
    Check(
        "audit_rows_in_default_partition",
        "warning",
        ("audit", "maintenance"),
        "Audit log with rows in its DEFAULT partition",
        audit.audit_rows_in_default_partition,
    ),
)
