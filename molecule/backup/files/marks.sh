#!/bin/sh
# Writes row 1, takes a named restore point, an LSN and a time, writes row 2, and has all of it archived. Prints them as JSON.
# Argument: a name that nothing else has.
set -eu
sql() { runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d shop -c "$1"; }

sql "CREATE TABLE IF NOT EXISTS canary (id text PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())" 2>/dev/null
sql "INSERT INTO canary VALUES ('$1-1')"
sql "SELECT pg_create_restore_point('$1')" >/dev/null
lsn="$(sql "SELECT pg_current_wal_insert_lsn()")"
time="$(sql "SELECT clock_timestamp()")"
sql "INSERT INTO canary VALUES ('$1-2')"
printf '{"name": "%s", "lsn": "%s", "time": "%s"}\n' "$1" "$lsn" "$time"
