# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the audit log is made of: its columns, the function that writes into it, and the one that reads a record's trail."""

from __future__ import annotations

from collections.abc import Mapping

from .._core.audit_log import Routine
from .._core.audit_spec import Audit
from .._core.names import QualifiedName

# login_user and not session_user: that word is SQL's own, and SELECT session_user would show the reader's name
COLUMNS: Mapping[str, str] = {
    "at": "timestamp with time zone",
    "schema_name": "text",
    "table_name": "text",
    "record": "text",
    "operation": "text",
    "login_user": "text",
    "role": "text",
    "application_user": "text",
    "application_role": "text",
    "client_address": "inet",
    "application_name": "text",
    "transaction": "xid8",
    "old": "jsonb",
    "new": "jsonb",
}
ALWAYS_THERE = ("at", "schema_name", "table_name", "operation", "login_user", "role", "transaction")
# the name that a log's reader gives a record, and what is known of the rest
_TRAIL = tuple(name for name in COLUMNS if name not in ("schema_name", "table_name", "record"))
SETTINGS = ("search_path=pg_catalog, pg_temp",)
# A value is written one way, whatever the caller's session has set: else a key would have several spellings, and a change
# might look like none. What is set here is all that values are written by, and that any role may set.
_EXACT = (
    *SETTINGS,
    "extra_float_digits=1",
    "TimeZone=UTC",
    "DateStyle=ISO, YMD",
    "IntervalStyle=postgres",
    "bytea_output=hex",
    "lc_monetary=C",
    "quote_all_identifiers=off",
)
# The index of records, as the server deparses it. An entry of a btree holds 2704 bytes, else a row with a long key could not
# be changed any more: 500 characters are 2000 bytes at most, and two names and a moment 140.
KEYED = '"left"(record, 500)'
RECORDER_ARGUMENTS = ""
TRAIL_ARGUMENTS = "schema_name text, table_name text, record text"


def routines(audit: Audit) -> dict[QualifiedName, Routine]:
    """Return the functions of a log."""
    shown = ", ".join(f"{name} {COLUMNS[name]}" for name in _TRAIL)
    return {
        audit.recorder: Routine("trigger", _recorder(audit.log), _EXACT, True, "VOLATILE", "plpgsql"),
        audit.trail: Routine(f"TABLE({shown})", _trail(audit.log), SETTINGS, False, "STABLE", "sql"),
    }


def _recorder(log: QualifiedName) -> str:
    """Return the body of the trigger function. It runs for every changed row: one query at most besides the INSERT.

    What the INSERT writes is worked out in plain assignments before: PL/pgSQL keeps their expressions ready, while those
    inside a statement are made ready anew at every call, which cost a fifth of the whole.
    """
    return f"""
DECLARE
    -- arguments: mode, primary key, columns left out, hidden ones, what to show for redacted ones, the settings with the
    -- application's user and role, schema and name of a partitioned table, and all columns of one that hides some
    in_schema text := TG_TABLE_SCHEMA;
    in_table text := TG_TABLE_NAME;
    keys constant text[] := TG_ARGV[1];
    active_role text := current_setting('role');
    for_user text;
    for_role text;
    client text := current_setting('application_name');
    old_row jsonb;
    new_row jsonb;
    known jsonb;
    excluded text[];
    mask jsonb;
    strange jsonb;
    same text[];
    key text;
    part text;
    record_key text;
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        old_row := to_jsonb(OLD);
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        new_row := to_jsonb(NEW);
    END IF;
    known := coalesce(old_row, new_row);
    IF cardinality(keys) = 1 THEN
        record_key := known ->> keys[1];
    ELSIF known IS NOT NULL THEN
        FOREACH key IN ARRAY keys LOOP
            part := ROW(known ->> key)::text;
            record_key := concat_ws(',', record_key, substr(part, 2, length(part) - 2));
        END LOOP;
        record_key := '(' || record_key || ')';
    END IF;
    IF TG_ARGV[2] <> '{{}}' OR TG_ARGV[3] <> '{{}}' THEN
        excluded := TG_ARGV[2];
        mask := TG_ARGV[4];
        IF NOT known ?& TG_ARGV[3]::text[] THEN
            -- one of the hidden columns has another name by now, and which one is not known here: no value is written
            SELECT jsonb_object_agg(name, '***'::text) INTO mask FROM jsonb_object_keys(known - excluded) AS name;
        ELSIF TG_NARGS > 9 THEN
            -- a column that came since, or under another name, may hold what is hidden: it is redacted, too
            strange := known - TG_ARGV[9]::text[];
            IF strange <> '{{}}' THEN
                SELECT mask || jsonb_object_agg(name, '***'::text) INTO mask FROM jsonb_object_keys(strange) AS name;
            END IF;
        END IF;
        old_row := old_row - excluded;
        new_row := new_row - excluded;
    END IF;
    IF old_row = new_row THEN
        RETURN NULL;
    END IF;
    -- a column of the key that has another name by now would leave nobody able to say which row this was: all is kept
    IF TG_OP = 'UPDATE' AND TG_ARGV[0] = 'changed' AND known ?& keys THEN
        same := ARRAY(
            SELECT name FROM (SELECT jsonb_object_keys(new_row) AS name) AS n WHERE old_row -> name = new_row -> name);
        old_row := old_row - same;
        new_row := new_row - same;
        mask := mask - same;
    END IF;
    IF mask IS NOT NULL THEN
        old_row := old_row || mask;
        new_row := new_row || mask;
    END IF;
    IF active_role = 'none' THEN
        active_role := session_user;
    END IF;
    IF TG_ARGV[5] <> '' THEN
        for_user := NULLIF(current_setting(TG_ARGV[5], true), '');
    END IF;
    IF TG_ARGV[6] <> '' THEN
        for_role := NULLIF(current_setting(TG_ARGV[6], true), '');
    END IF;
    IF TG_ARGV[7] <> '' THEN
        in_schema := TG_ARGV[7];
        in_table := TG_ARGV[8];
    END IF;
    IF client = '' THEN
        client := NULL;
    END IF;
    INSERT INTO {log.sql} (
        at, schema_name, table_name, record, operation, login_user, role, application_user, application_role,
        client_address, application_name, transaction, old, new)
    VALUES (
        clock_timestamp(), in_schema, in_table, record_key, TG_OP, session_user, active_role, for_user, for_role,
        inet_client_addr(), client, pg_current_xact_id(), old_row, new_row);
    RETURN NULL;
END
"""


def _trail(log: QualifiedName) -> str:
    """Return the body of the function that reads a record's trail; a TRUNCATE is part of every record's."""
    shown = ", ".join(f"l.{name}" for name in _TRAIL)
    start = KEYED.replace("record", "l.record")  # what the index holds; the whole key is compared besides
    return f"""
    SELECT {shown}
    FROM {log.sql} AS l
    WHERE l.schema_name = $1 AND l.table_name = $2
      AND ({start} = "left"($3, 500) AND l.record = $3 OR {start} IS NULL AND l.record IS NULL AND l.operation = 'TRUNCATE')
    ORDER BY l.at
"""
