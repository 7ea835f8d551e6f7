INSERT INTO currencies VALUES ('EUR'), ('CHF');
INSERT INTO users SELECT i, 'User' || i || '@example.org' FROM generate_series(1, 100) i;
INSERT INTO orders (user_id, currency, total, note, created_at)
SELECT 1 + i % 100, 'EUR', i, 'note ' || i, timestamptz '2026-01-01 00:00Z' + i * interval '1 hour'
FROM generate_series(1, 5000) i;
INSERT INTO events SELECT date '2026-01-01' + i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 700) i;
INSERT INTO documents SELECT i, i % 7, 'body ' || i FROM generate_series(1, 700) i;
