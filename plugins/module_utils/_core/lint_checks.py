# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one list of checks. A further one is a pure function of Observed beside its kind, and a line here."""

from __future__ import annotations

from . import lint_columns as columns
from . import lint_indexes as indexes
from . import lint_keys as keys
from . import lint_routines as routines
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
        "error",
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
)
