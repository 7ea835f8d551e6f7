-- What an application's migrations would bring; nothing here says in which schema.
CREATE TABLE currencies (code text PRIMARY KEY);
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id int NOT NULL REFERENCES users, currency text NOT NULL REFERENCES currencies,
    replaces bigint REFERENCES orders, total numeric NOT NULL, note text, created_at timestamptz NOT NULL
);
CREATE TABLE events (at date NOT NULL, kind text NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE TABLE documents (id int PRIMARY KEY, tenant int NOT NULL, body text NOT NULL);
