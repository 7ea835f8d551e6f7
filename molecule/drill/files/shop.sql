CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, orders int NOT NULL);
INSERT INTO customers (name, orders) SELECT 'customer ' || i, i % 7 FROM generate_series(1, 5000) i;
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text NOT NULL, total numeric(10, 2) NOT NULL
);
INSERT INTO orders (user_id, total) SELECT 'user ' || i % 50, i FROM generate_series(1, 20000) i;
CREATE INDEX ON orders (user_id);
