"""The same for row security, views and audit; lint_world.py makes the roles."""

from __future__ import annotations

from .lint_fixtures import Case

ROLES = (
    "CREATE ROLE lint_owner",
    "CREATE ROLE lint_app LOGIN",
    "CREATE ROLE lint_member LOGIN IN ROLE lint_owner",
    "CREATE ROLE lint_bypass LOGIN BYPASSRLS",
    "CREATE ROLE lint_riser LOGIN IN ROLE lint_bypass",
)
NO_ROLES = (
    "DROP ROLE lint_riser",
    "DROP ROLE lint_member",
    "DROP ROLE lint_owner",
    "DROP ROLE lint_app",
    "DROP ROLE lint_bypass",
)

BARE = "CREATE TABLE {s}.t (id bigint PRIMARY KEY, user_id bigint NOT NULL, note text); "
TABLE = BARE + "CREATE INDEX ON {s}.t (user_id); "
ENABLED = "ALTER TABLE {s}.t ENABLE ROW LEVEL SECURITY; "
FORCED = ENABLED + "ALTER TABLE {s}.t FORCE ROW LEVEL SECURITY; "
MINE = "(user_id = (SELECT NULLIF(current_setting('app.user_id', true), '')::bigint)); "
POLICY = "CREATE POLICY p ON {s}.t TO lint_app USING " + MINE
PROTECTED = TABLE + FORCED + POLICY
SPLIT = (
    "CREATE TABLE {s}.p (id bigint, tenant varchar(20), at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
    "CREATE TABLE {s}.p_1 PARTITION OF {s}.p DEFAULT; "
)
WALL = (
    "ALTER TABLE {s}.p ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
    "CREATE POLICY w ON {s}.p TO lint_app USING (tenant = (SELECT NULLIF(current_setting('app.tenant', true), ''))); "
)
# a partition, one of those below it, one of somebody else, and a child of which everybody may fill a column
BELOW = (
    "CREATE TABLE {s}.p_2 PARTITION OF {s}.p FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (id);"
    "CREATE TABLE {s}.p_2_1 PARTITION OF {s}.p_2 DEFAULT;"
    "CREATE TABLE {s}.p_3 PARTITION OF {s}.p FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');"
    "CREATE TABLE {s}.kid (PRIMARY KEY (id)) INHERITS ({s}.t);"
    "CREATE INDEX ON {s}.kid (user_id); CREATE INDEX ON {s}.p (tenant); "
)
OPENED = (
    "GRANT USAGE ON SCHEMA {s} TO PUBLIC; GRANT SELECT ON {s}.p_1, {s}.p_2_1 TO lint_app;"
    "GRANT INSERT (note) ON {s}.kid TO PUBLIC; ALTER TABLE {s}.p_3 OWNER TO lint_owner; "
)
# a semicolon would end the statement for the fixture
AUDIT = (
    "CREATE FUNCTION {s}.record_change() RETURNS trigger LANGUAGE plpgsql AS E'BEGIN RETURN NULL\\x3b END';"
    "COMMENT ON FUNCTION {s}.record_change() IS E'Notes who changed what\nmanaged by pgstead.ops.audit'; "
)
LOG = (
    "CREATE TABLE {s}.log (at timestamptz NOT NULL, what jsonb) PARTITION BY RANGE (at);"
    "CREATE TABLE {s}.log_default PARTITION OF {s}.log DEFAULT; "
)
WIDE = "CREATE TABLE {s}.log_wide PARTITION OF {s}.log FOR VALUES FROM ('2000-01-01') TO ('2999-01-01'); "
PAST = "CREATE TABLE {s}.log_past PARTITION OF {s}.log FOR VALUES FROM ('2000-01-01') TO ('2001-01-01'); "


def row_trigger(table: str) -> str:
    return (
        f"CREATE TRIGGER pgstead_audit_row AFTER INSERT OR UPDATE OR DELETE ON {{s}}.{table} FOR EACH ROW EXECUTE FUNCTION"
        f" {{s}}.record_change(); ALTER TABLE {{s}}.{table} ENABLE ALWAYS TRIGGER pgstead_audit_row; "
    )


def audited(table: str) -> str:
    return row_trigger(table) + (
        f"CREATE TRIGGER pgstead_audit_truncate AFTER TRUNCATE ON {{s}}.{table} FOR EACH STATEMENT EXECUTE FUNCTION"
        f" {{s}}.record_change(); ALTER TABLE {{s}}.{table} ENABLE ALWAYS TRIGGER pgstead_audit_truncate; "
    )


def keyed(*tables: str) -> str:
    return "".join(f"CREATE TABLE {{s}}.{table} (id bigint PRIMARY KEY); " for table in tables)


def noted(table: str) -> str:
    return (
        "INSERT INTO pgstead.made (kind, schema_name, table_name, name)"
        f" VALUES ('audit', '{{s}}', '{table}', 'pgstead_audit_row'); "
    )


SECURITY_CASES = (
    Case(
        "row_security_disabled",
        TABLE
        + POLICY
        + "CREATE TABLE {s}.r (id bigint PRIMARY KEY);"
        "CREATE POLICY p ON {s}.r AS RESTRICTIVE TO lint_app USING (id > 0)",
        PROTECTED,
        ("r", "t"),
    ),
    Case(
        "partition_bypasses_row_security",
        PROTECTED + SPLIT + WALL + BELOW + OPENED,
        PROTECTED
        + SPLIT
        + WALL
        + BELOW
        + OPENED
        + "".join(
            f"ALTER TABLE {{s}}.{one} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; "
            for one in ("p_1", "p_2_1", "p_3", "kid")
        )
        # nobody whom a policy would hold, and a right that shows and writes no row
        + "GRANT SELECT ON {s}.p_2 TO lint_bypass; GRANT REFERENCES ON {s}.p_2 TO lint_app",
        ("kid", "p_1", "p_2_1", "p_3"),
    ),
    Case(
        "row_security_without_policy",
        TABLE + FORCED,
        PROTECTED + SPLIT + WALL + "ALTER TABLE {s}.p_1 ENABLE ROW LEVEL SECURITY",
        ("t",),
    ),
    Case("row_security_not_forced", TABLE + ENABLED + POLICY, PROTECTED, ("t",)),
    Case(
        "row_security_only_restrictive",
        TABLE + FORCED + "CREATE POLICY p ON {s}.t AS RESTRICTIVE TO lint_app USING " + MINE,
        PROTECTED + "CREATE POLICY r ON {s}.t AS RESTRICTIVE TO lint_app USING (id > 0)",
        ("t",),
    ),
    Case(
        "policy_column_without_index",
        BARE + "CREATE INDEX ON {s}.t (user_id) WHERE note IS NULL; " + FORCED + POLICY + SPLIT + WALL,
        BARE
        + "CREATE INDEX ON {s}.t (user_id, id); "
        + FORCED
        + POLICY
        + "CREATE POLICY q ON {s}.t FOR SELECT TO lint_app USING (note = 'public' OR note IN ('a', 'b'));"
        + SPLIT
        + "CREATE INDEX ON {s}.p (tenant); "
        + WALL,
        ("p.tenant", "t.user_id"),
    ),
    Case(
        "policy_setting_without_nullif",
        TABLE
        + FORCED
        + "CREATE POLICY p ON {s}.t TO lint_app USING (user_id = (SELECT current_setting('app.user_id')::bigint));"
        "CREATE TABLE {s}.u (id bigint PRIMARY KEY, kind text);"
        "ALTER TABLE {s}.u ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY q ON {s}.u TO lint_app USING (kind = current_setting('app.' || kind, true));"
        "CREATE POLICY r ON {s}.u TO lint_app USING (current_setting('app.kind', true) IS NULL OR kind = 'a');"
        "CREATE POLICY s ON {s}.u TO lint_app USING (COALESCE(current_setting('app.kind', true), '') = kind)",
        PROTECTED + "CREATE POLICY q ON {s}.t FOR SELECT TO lint_app USING (current_setting('role') = note)",
        ("t.p", "u.q", "u.r", "u.s"),
    ),
    Case(
        "policy_always_true",
        PROTECTED + "CREATE POLICY every ON {s}.t FOR SELECT TO lint_app USING (true);"
        "CREATE POLICY added ON {s}.t FOR INSERT TO lint_app WITH CHECK (user_id > 0 OR true)",
        PROTECTED + "CREATE POLICY fine ON {s}.t AS RESTRICTIVE TO lint_app USING (true)",
        ("t.added", "t.every"),
    ),
    Case(
        "application_role_bypasses_row_security",
        TABLE + FORCED + "CREATE POLICY p ON {s}.t TO lint_app, lint_member USING " + MINE + "GRANT INSERT (id) ON {s}.t"
        " TO lint_bypass, lint_riser; ALTER TABLE {s}.t OWNER TO lint_owner",
        PROTECTED + "CREATE POLICY o ON {s}.t TO lint_owner USING (id > 0); GRANT SELECT ON {s}.t TO lint_app;"
        "ALTER TABLE {s}.t OWNER TO lint_owner",
        ("lint_bypass", "lint_member", "lint_riser"),
    ),
    Case(
        "view_bypasses_row_security",
        PROTECTED + 'CREATE VIEW {s}."Shown" AS SELECT id FROM {s}.t;'
        "CREATE TABLE {s}.u (id bigint PRIMARY KEY, user_id bigint); CREATE INDEX ON {s}.u (user_id);"
        "ALTER TABLE {s}.u ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {s}.u TO lint_app USING " + MINE + "CREATE VIEW"
        " {s}.w AS SELECT id FROM {s}.u; ALTER TABLE {s}.u OWNER TO lint_owner; ALTER VIEW {s}.w OWNER TO lint_owner;"
        "COMMENT ON VIEW {s}.w IS 'Owner''s'; CREATE TABLE {s}.kid (PRIMARY KEY (id)) INHERITS ({s}.t);"
        "CREATE VIEW {s}.x AS SELECT id FROM {s}.kid; ALTER VIEW {s}.x OWNER TO lint_app",
        PROTECTED + "CREATE VIEW {s}.v AS SELECT id FROM {s}.t; ALTER VIEW {s}.v OWNER TO lint_app;"
        "CREATE VIEW {s}.above AS SELECT id FROM {s}.v;"
        "CREATE TABLE {s}.open (id bigint PRIMARY KEY); CREATE VIEW {s}.o AS SELECT id FROM {s}.open",
        ("Shown", "w", "x"),
    ),
    Case(
        "view_without_security_invoker",
        PROTECTED + "CREATE VIEW {s}.v WITH (security_barrier) AS SELECT id FROM {s}.t WHERE id > 0;"
        "ALTER VIEW {s}.v OWNER TO lint_app; CREATE VIEW {s}.off WITH (security_invoker = off) AS SELECT id FROM {s}.t;"
        "ALTER VIEW {s}.off OWNER TO lint_app",
        PROTECTED + "CREATE VIEW {s}.v WITH (security_invoker = on) AS SELECT id FROM {s}.t",
        ("off", "v"),
        since=15,
    ),
    Case(
        "materialized_view_over_row_security",
        PROTECTED + "CREATE VIEW {s}.v AS SELECT id FROM {s}.t; CREATE MATERIALIZED VIEW {s}.m AS SELECT id FROM {s}.v;"
        "CREATE MATERIALIZED VIEW {s}.n AS SELECT id FROM {s}.t; GRANT SELECT ON {s}.n TO lint_app",
        PROTECTED + "CREATE TABLE {s}.open (id bigint PRIMARY KEY); CREATE MATERIALIZED VIEW {s}.m AS SELECT id FROM {s}.open",
        ("m", "n"),
    ),
    Case(
        "foreign_table_over_row_security",
        PROTECTED + "CREATE FOREIGN DATA WRAPPER postgres_fdw;"
        "CREATE SERVER {s}_same FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'lint');"
        "CREATE FOREIGN TABLE {s}.shown (id bigint) SERVER {s}_same OPTIONS (table_name 't');"
        "CREATE TABLE {s}.p (id bigint NOT NULL, tenant varchar(20)) PARTITION BY LIST (id);"
        "CREATE FOREIGN TABLE {s}.p_far PARTITION OF {s}.p DEFAULT SERVER {s}_same; " + WALL,
        PROTECTED + "CREATE SERVER {s}_other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'elsewhere');"
        "CREATE FOREIGN TABLE {s}.shown (id bigint) SERVER {s}_other OPTIONS (table_name 't')",
        ("p_far", "shown"),
    ),
    Case(
        "audit_trigger_missing",
        AUDIT + keyed("a", "b", "c") + audited("a") + row_trigger("b") + noted("c") + LOG + WIDE + noted("log"),
        AUDIT + keyed("a", "b") + audited("a") + noted("a") + noted("gone"),
        ("b.pgstead_audit_truncate", "c.pgstead_audit_row", "c.pgstead_audit_truncate"),
    ),
    Case(
        "audit_trigger_disabled",
        AUDIT + keyed("a") + audited("a") + "ALTER TABLE {s}.a DISABLE TRIGGER pgstead_audit_row;"
        "ALTER TABLE {s}.a ENABLE TRIGGER pgstead_audit_truncate; "
        + SPLIT
        + audited("p")
        + "ALTER TABLE {s}.p_1 DISABLE TRIGGER pgstead_audit_row",
        AUDIT + keyed("a") + audited("a") + SPLIT + audited("p"),
        ("a.pgstead_audit_row", "a.pgstead_audit_truncate", "p_1.pgstead_audit_row"),
    ),
    Case(
        "audit_partition_horizon",
        AUDIT + LOG + PAST + "CREATE TABLE {s}.trail (at date) PARTITION BY RANGE (at);"
        "COMMENT ON TABLE {s}.trail IS 'managed by pgstead.ops.audit'",
        AUDIT + LOG + PAST + WIDE.replace("2000", "2001") + "CREATE TABLE {s}.events (at date) PARTITION BY RANGE (at)",
        ("log", "trail"),
    ),
    Case(
        "audit_rows_in_default_partition",
        AUDIT + LOG + WIDE + "INSERT INTO {s}.log VALUES ('1999-12-31')",
        AUDIT + LOG + WIDE + "INSERT INTO {s}.log VALUES ('2026-01-01')",
        ("log_default",),
    ),
)  # fmt: skip
