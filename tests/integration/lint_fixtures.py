"""Schemas with one fault each, and beside each the same without it: what the tests of the lint make and read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Statements that make a fault in the schema `bad`, and its twin `good` without; `{s}` stands for the schema's name.

    `objects` are those found in the faulty one. Statements that must fail (they leave an invalid index) begin with `!`.
    """

    check: str
    bad: str
    good: str
    objects: tuple[str, ...]
    since: int = 14  # the major that can have it

    @property
    def schemas(self) -> tuple[str, str]:
        return f"{self.check}_bad", f"{self.check}_good"


ORDERS = "CREATE TABLE {s}.users (id bigint PRIMARY KEY); "
BROKEN = (
    "CREATE TABLE {s}.t (id bigint PRIMARY KEY, a int); INSERT INTO {s}.t VALUES (1, 1), (2, 1);"
    "!CREATE UNIQUE INDEX CONCURRENTLY t_a_idx ON {s}.t (a);"
    "!CREATE UNIQUE INDEX CONCURRENTLY t_pkey_ccnew1 ON {s}.t (a);"
    "CREATE INDEX pgstead_new_0123456789ab ON {s}.t (a);"
    "DELETE FROM {s}.t WHERE id = 2"
)
PARTITIONED = (
    "CREATE TABLE {s}.t (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
    "CREATE TABLE {s}.t_1 PARTITION OF {s}.t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');"
    "CREATE TABLE {s}.t_2 PARTITION OF {s}.t DEFAULT PARTITION BY LIST (at);"
    "CREATE TABLE {s}.t_2_1 PARTITION OF {s}.t_2 DEFAULT;"
)
ROWS = "CREATE TABLE {s}.t (id bigint PRIMARY KEY, a int, b int); INSERT INTO {s}.t SELECT i, i, i FROM generate_series(1, 2000) i;"
READ_20_TIMES = "SELECT sum((SELECT max(a + g) FROM {s}.t)) FROM generate_series(1, 25) g;"
KEYED = "CREATE TABLE {s}.t (id bigint PRIMARY KEY, a int, b int, c int); "

CASES = (
    Case(
        "foreign_key_without_index",
        ORDERS
        + "CREATE TABLE {s}.pairs (a bigint, b bigint, PRIMARY KEY (a, b));"
        "CREATE TABLE {s}.orders (id bigint PRIMARY KEY, user_id bigint REFERENCES {s}.users, other_id bigint,"
        " FOREIGN KEY (user_id, other_id) REFERENCES {s}.pairs); "
        + PARTITIONED.replace("(id bigint,", "(id bigint, user_id bigint REFERENCES {s}.users,"),
        ORDERS
        + "CREATE TABLE {s}.orders (id bigint PRIMARY KEY, user_id bigint REFERENCES {s}.users); CREATE INDEX ON {s}.orders"
        " (user_id, id)",
        ("orders.orders_user_id_fkey", "orders.orders_user_id_other_id_fkey", "t.t_user_id_fkey"),
    ),
    Case(
        "foreign_key_type_mismatch",
        ORDERS
        + "CREATE DOMAIN {s}.small AS int; CREATE DOMAIN {s}.smaller AS {s}.small;"
        "CREATE TABLE {s}.orders (id bigint PRIMARY KEY, user_id {s}.smaller REFERENCES {s}.users);"
        "CREATE INDEX ON {s}.orders (user_id)",
        ORDERS
        + "CREATE DOMAIN {s}.large AS bigint; CREATE TABLE {s}.names (name text PRIMARY KEY);"
        "CREATE TABLE {s}.orders (id bigint PRIMARY KEY, user_id {s}.large REFERENCES {s}.users,"
        " name varchar(20) REFERENCES {s}.names); CREATE INDEX ON {s}.orders (user_id); CREATE INDEX ON {s}.orders (name)",
        ("orders.orders_user_id_fkey",),
    ),
    Case(
        "table_without_primary_key",
        "CREATE TABLE {s}.t (id bigint); CREATE TABLE {s}.u (id bigint NOT NULL, a int); CREATE UNIQUE INDEX ON {s}.u (id);"
        "CREATE TABLE {s}.p (id bigint) PARTITION BY LIST (id); CREATE TABLE {s}.p_1 PARTITION OF {s}.p DEFAULT",
        PARTITIONED,
        ("p", "t", "u"),
    ),
    Case(
        "constraint_not_validated",
        ORDERS
        + "CREATE TABLE {s}.orders (id bigint PRIMARY KEY, user_id bigint, total int);"
        "CREATE INDEX ON {s}.orders (user_id);"
        "ALTER TABLE {s}.orders ADD CONSTRAINT known FOREIGN KEY (user_id) REFERENCES {s}.users NOT VALID;"
        "ALTER TABLE {s}.orders ADD CONSTRAINT \"Total's {{x}}\" CHECK (total > 0 OR total::text ~ '{{{{') NOT VALID",
        ORDERS
        + "CREATE TABLE {s}.orders (id bigint PRIMARY KEY, user_id bigint REFERENCES {s}.users, CHECK (id > 0));"
        "CREATE INDEX ON {s}.orders (user_id)",
        ("orders.Total's {x}", "orders.known"),
    ),
    Case(
        "duplicate_index",
        KEYED + "CREATE INDEX i1 ON {s}.t (a, b DESC) INCLUDE (c) WHERE c > 0;"
        "CREATE INDEX i2 ON {s}.t (a, b DESC) INCLUDE (c) WITH (fillfactor = 70) WHERE c > 0;"
        "CREATE INDEX i3 ON {s}.t (id); CREATE UNIQUE INDEX i4 ON {s}.t (id);"
        "CREATE INDEX i5 ON {s}.t (b); CREATE INDEX i6 ON {s}.t (b); ALTER TABLE {s}.t CLUSTER ON i6;"
        "CREATE TABLE {s}.p (LIKE {s}.t) PARTITION BY LIST (a); ALTER TABLE {s}.p ADD PRIMARY KEY (id, a);"
        "CREATE TABLE {s}.p_1 PARTITION OF {s}.p DEFAULT;"
        "CREATE INDEX p1 ON {s}.p (b); CREATE INDEX p2 ON {s}.p (b); CREATE INDEX p_1_own ON {s}.p_1 (b)",
        KEYED + "CREATE INDEX i1 ON {s}.t (a, b); CREATE INDEX i2 ON {s}.t (a, b DESC); CREATE INDEX i3 ON {s}.t (b, a);"
        "CREATE INDEX i4 ON {s}.t (b) WHERE c > 0; CREATE INDEX i5 ON {s}.t (b) WHERE c > 1;"
        "CREATE INDEX i6 ON {s}.t USING hash (b); CREATE INDEX i7 ON {s}.t ((a + 1)); CREATE INDEX i8 ON {s}.t ((a + 2))",
        ("i2", "i3", "i4", "i5", "p2", "p_1_own"),
    ),
    Case(
        "overlapping_index",
        KEYED + "CREATE INDEX i1 ON {s}.t (a); CREATE INDEX i2 ON {s}.t (a, b); CREATE INDEX i3 ON {s}.t (b) INCLUDE (c);"
        "CREATE UNIQUE INDEX i4 ON {s}.t (b, c)",
        KEYED + "CREATE UNIQUE INDEX i1 ON {s}.t (a); CREATE INDEX i2 ON {s}.t (a, b); CREATE INDEX i3 ON {s}.t (b DESC);"
        "CREATE INDEX i4 ON {s}.t (b, c); CREATE INDEX i5 ON {s}.t (c) WHERE a > 0; CREATE INDEX i6 ON {s}.t (c, a);"
        "CREATE INDEX i7 ON {s}.t (b) INCLUDE (id)",
        ("i1", "i3"),
    ),
    Case(
        "unused_index",
        ROWS + "CREATE INDEX i1 ON {s}.t (a)",
        ROWS + "CREATE INDEX i1 ON {s}.t (a); CREATE UNIQUE INDEX i2 ON {s}.t (b); SET enable_seqscan = off;"
        "ALTER TABLE {s}.t ADD r bigint REFERENCES {s}.t; CREATE INDEX i3 ON {s}.t (r); ANALYZE {s}.t;"
        "SELECT a FROM {s}.t WHERE a = 7",
        ("i1",),
    ),
    Case("invalid_index", BROKEN, KEYED + "CREATE INDEX ON {s}.t (a)", ("pgstead_new_0123456789ab", "t_a_idx", "t_pkey_ccnew1")),
    Case(
        "unattached_partition_index",
        PARTITIONED + "CREATE INDEX t_at_idx ON ONLY {s}.t (at DESC) WHERE id > 0;"
        "CREATE INDEX mine ON {s}.t_1 (at DESC) WHERE id > 0",
        PARTITIONED + "CREATE INDEX t_at_idx ON {s}.t (at DESC) WHERE id > 0",
        ("t_at_idx",),
    ),
    Case("missing_index_candidate", ROWS + READ_20_TIMES, ROWS, ("t",)),
    Case(
        "sequence_near_limit",
        "CREATE TABLE {s}.t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int, m bigint, u int);"
        "CREATE SEQUENCE {s}.n AS bigint OWNED BY {s}.t.n; ALTER TABLE {s}.t ALTER n SET DEFAULT nextval('{s}.n');"
        "CREATE SEQUENCE {s}.m AS int OWNED BY {s}.t.m;"
        "CREATE SEQUENCE {s}.u; ALTER TABLE {s}.t ALTER u SET DEFAULT nextval('{s}.u');"
        "SELECT setval('{s}.t_id_seq', 2000000000); SELECT setval('{s}.n', 1700000000); SELECT setval('{s}.m', 2000000000);"
        "SELECT setval('{s}.u', 1700000000);"
        "CREATE DOMAIN {s}.did AS int; ALTER TABLE {s}.t ADD d {s}.did; CREATE SEQUENCE {s}.d OWNED BY {s}.t.d;"
        "ALTER TABLE {s}.t ALTER d SET DEFAULT nextval('{s}.d'); SELECT setval('{s}.d', 1700000000)",
        "CREATE TABLE {s}.t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY);"
        "SELECT setval('{s}.t_id_seq', 2000000000); SELECT setval('{s}.t_n_seq', 1000000000)",
        ("d", "m", "n", "t_id_seq", "u"),
    ),
    Case("column_json", KEYED + "ALTER TABLE {s}.t ADD j json", KEYED + "ALTER TABLE {s}.t ADD j jsonb", ("t.j",)),
    Case("column_money", KEYED + "ALTER TABLE {s}.t ADD m money", KEYED + "ALTER TABLE {s}.t ADD m numeric", ("t.m",)),
    Case(
        "column_char",
        KEYED + "ALTER TABLE {s}.t ADD x char(2)",
        KEYED + 'ALTER TABLE {s}.t ADD x text, ADD y varchar(2), ADD z "char"',
        ("t.x",),
    ),
    Case(
        "column_timestamp",
        "CREATE TABLE {s}.p (at timestamp PRIMARY KEY) PARTITION BY RANGE (at); CREATE TABLE {s}.p_1 PARTITION OF {s}.p DEFAULT",
        "CREATE TABLE {s}.p (at timestamptz PRIMARY KEY)",
        ("p.at",),
    ),
    Case(
        "column_serial",
        "CREATE TABLE {s}.t (id bigserial PRIMARY KEY); INSERT INTO {s}.t DEFAULT VALUES;"
        "CREATE TABLE {s}.\"T 2\" (\"I'd\" serial PRIMARY KEY);"
        "CREATE TABLE {s}.clients (id serial PRIMARY KEY); ALTER TABLE {s}.clients RENAME TO customers;"
        "CREATE TABLE {s}.base (id serial PRIMARY KEY); CREATE TABLE {s}.child (PRIMARY KEY (id)) INHERITS ({s}.base);"
        "CREATE DOMAIN {s}.did AS bigint; CREATE TABLE {s}.d (id {s}.did PRIMARY KEY); CREATE SEQUENCE {s}.s OWNED BY {s}.d.id;"
        "ALTER TABLE {s}.d ALTER id SET DEFAULT nextval('{s}.s')",
        "CREATE TABLE {s}.t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
        ("T 2.I'd", "base.id", "customers.id", "d.id", "t.id"),
    ),
    Case(
        "security_definer_without_search_path",
        "CREATE TYPE {s}.kind AS ENUM ('a'); CREATE FUNCTION {s}.f(k {s}.kind, n int DEFAULT 1) RETURNS int LANGUAGE sql"
        " SECURITY DEFINER AS 'SELECT 1'; CREATE PROCEDURE {s}.p(OUT n int) LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"
        "CREATE FUNCTION {s}.q() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"
        "REVOKE EXECUTE ON FUNCTION {s}.q() FROM PUBLIC",
        "CREATE FUNCTION {s}.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1';"
        "CREATE FUNCTION {s}.g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ("f(k security_definer_without_search_path_bad.kind, n integer)", "p(OUT n integer)", "q()"),
    ),
    Case(
        "extension_older_than_available",
        "CREATE EXTENSION citext SCHEMA {s} VERSION '1.4'",
        "CREATE EXTENSION hstore SCHEMA {s}",
        ("citext",),
    ),
)  # fmt: skip
