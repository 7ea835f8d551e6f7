-- Rows for the tables of shop_schema.sql, about 130,000 of them. The same on every run and on every version: no clock,
-- and MD5 instead of random(), whose numbers PostgreSQL 15 changed. All of them satisfy shop_checks.yml.

CREATE FUNCTION seed_uuid(kind text, i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN md5(kind || i::text)::uuid;
CREATE FUNCTION seed_pick(kind text, i bigint, n integer) RETURNS integer LANGUAGE sql IMMUTABLE -- one of 0 ... n - 1
    RETURN mod(('x' || left(md5(kind || i::text), 7))::bit(28)::integer, n);
CREATE FUNCTION seed_word(kind text, i bigint, words text[]) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN words[1 + mod(('x' || left(md5(kind || i::text), 7))::bit(28)::integer, cardinality(words))];
CREATE FUNCTION seed_time(minutes bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE -- since 2026 began in UTC
    RETURN to_timestamp(1767225600 + minutes * 60);

-- Workshops ---------------------------------------------------------------------------------------------------------

-- Organisations 1, 4, 7 ... are workshops, 2, 5, 8 ... publishers, 3, 6, 9 ... operators of vending machines.
INSERT INTO organisations (id, name, slug, kind, country, currency, settings, created_at, deleted_at)
SELECT seed_uuid('organisation', i), seed_word('name', i, '{Oak,Harbour,Alder,Summit,Copper,Linden}') || ' ' || i,
       'org-' || i, ('{operator,workshop,publisher}'::text[])[1 + mod(i, 3)], country,
       CASE country WHEN 'CH' THEN 'CHF' ELSE 'EUR' END, jsonb_build_object('units', 'mm', 'beta', mod(i, 10) = 0),
       seed_time(-600000 + i * 60), CASE WHEN mod(i, 40) = 0 THEN seed_time(i * 100) END
FROM generate_series(1, 120) i, seed_word('country', i, '{DE,FR,IT,CH,AT}') country ORDER BY i;

-- User u belongs to organisation 1 + (u - 1) mod 120. One in five logs in through the organisation's own directory.
INSERT INTO users (id, organisation_id, email, full_name, role, password_hash, sso_subject, failed_logins,
                   last_login_ip, last_login_at, created_at, deactivated_at)
SELECT seed_uuid('user', i), seed_uuid('organisation', 1 + mod(i - 1, 120)),
       first || '.' || last || i || '@example.com', first || ' ' || last,
       CASE WHEN i <= 120 THEN 'owner' WHEN mod(i, 7) = 0 THEN 'admin' ELSE 'member' END,
       CASE WHEN mod(i, 5) > 0 THEN 'scrypt:' || md5('password' || i) END,
       CASE WHEN mod(i, 5) = 0 THEN 'oidc:' || md5('subject' || i) END,
       greatest(seed_pick('failed', i, 40) - 36, 0), inet '10.0.0.0' + seed_pick('ip', i, 65536),
       seed_time(seed_pick('login', i, 216000)), seed_time(-500000 + i * 30),
       CASE WHEN mod(i, 29) = 0 THEN seed_time(i * 50) END
FROM generate_series(1, 1800) i, seed_word('first', i, '{Ada,Bela,Chiara,Dario,Elif,Femke,Goran,Hana}') first,
     seed_word('last', i, '{Adler,Blanc,Conti,Demir,Egger,Fontana,Graf,Horvat,Ilic,Jansen}') last
ORDER BY i;

-- Project p is of workshop w = 1 + (p - 1) mod 40, which is organisation 3 w - 2; so are its lists and their runs.
INSERT INTO projects (id, organisation_id, created_by, reference, name, status, tags, due_on, created_at, closed_at)
SELECT seed_uuid('project', i), seed_uuid('organisation', o), seed_uuid('user', o + 120 * seed_pick('author', i, 15)),
       'P-' || lpad(i::text, 5, '0'), seed_word('work', i, '{Kitchen,Wardrobe,Counter,Bookcase,Reception}') || ' ' || i,
       status, CASE WHEN mod(i, 4) = 0 THEN '{rush,export}'::text[] ELSE '{}' END, date '2026-01-15' + i / 10,
       seed_time(i * 150), CASE WHEN status IN ('done', 'cancelled') THEN seed_time(i * 150 + 20000) END
FROM generate_series(1, 1200) i, LATERAL (SELECT 3 * (1 + mod(i - 1, 40)) - 2 AS o) x,
     seed_word('state', i, '{done,done,done,in_production,open,cancelled}') status
ORDER BY i;

-- Each workshop stocks six materials: w, w + 40, w + 80 ...
INSERT INTO materials (organisation_id, name, kind, thickness_mm, grain, sheet_length_mm, sheet_width_mm, price_per_m2)
SELECT seed_uuid('organisation', 3 * w - 2), kind || ' ' || mm || ' mm', kind, mm, kind IN ('plywood', 'veneer'),
       2800, 2070, 8 + mm * 1.15 + mod(w, 5)
FROM unnest('{mdf,chipboard,plywood,veneer,acrylic,hdf}'::text[], '{19,18,15,19.6,4,3}'::numeric[])
     WITH ORDINALITY k (kind, mm, n), generate_series(1, 40) w
ORDER BY n, w;

INSERT INTO cutting_lists (id, project_id, created_by, name, revision, kerf_mm, metadata, created_at, updated_at)
SELECT seed_uuid('list', i), seed_uuid('project', p), seed_uuid('user', 3 * mod(p - 1, 40) + 1), 'Carcass',
       1 + (i - 1) / 1200, 3.2 + seed_pick('kerf', i, 3) * 0.4,
       jsonb_build_object('source', seed_word('source', i, '{import,editor,api}')),
       seed_time(p * 150 + 30), seed_time(p * 150 + 30 + seed_pick('edit', i, 5000))
FROM generate_series(1, 2400) i, LATERAL (SELECT 1 + mod(i - 1, 1200) AS p) x
ORDER BY i;

INSERT INTO parts (cutting_list_id, material_id, label, quantity, rotatable, length_mm, width_mm, edge_banding)
SELECT seed_uuid('list', l), 40 * seed_pick('material', i, 6) + 1 + mod(l - 1, 40),
       seed_word('part', i, '{Side,Shelf,Back,Door,Drawer front,Plinth}') || ' ' || n, 1 + seed_pick('count', i, 6),
       mod(i, 3) > 0, 200 + seed_pick('length', i, 22000) * 0.1, 80 + seed_pick('width', i, 5200) * 0.1,
       CASE mod(i, 3) WHEN 0 THEN '{left,right}'::text[] WHEN 1 THEN '{top}' ELSE '{}' END
FROM generate_series(1, 2400) l, generate_series(1, 8) n, LATERAL (SELECT l * 8 + n AS i) x
ORDER BY l, n;

INSERT INTO optimisation_runs (id, cutting_list_id, requested_by, status, algorithm, parameters, result, error,
                               waste_percent, queued_at, started_at, finished_at)
SELECT seed_uuid('run', i), seed_uuid('list', 1 + mod(i - 1, 2400)), seed_uuid('user', 3 * mod(i - 1, 40) + 1),
       state::run_status, seed_word('algorithm', i, '{guillotine,maxrects,genetic}'),
       jsonb_build_object('time_limit_s', 30, 'rotate', mod(i, 2) = 0, 'seed', i),
       CASE state WHEN 'succeeded' THEN jsonb_build_object('sheets', 2, 'cuts', 20 + mod(i, 60), 'waste', waste) END,
       CASE state WHEN 'failed' THEN 'a part is larger than its sheet' END,
       CASE state WHEN 'succeeded' THEN waste END, seed_time(i * 58),
       CASE WHEN state <> 'queued' THEN seed_time(i * 58 + 1) END,
       CASE WHEN state IN ('succeeded', 'failed') THEN seed_time(i * 58 + 2 + mod(i, 9)) END
FROM generate_series(1, 3600) i, LATERAL (
         SELECT 4 + seed_pick('waste', i, 2600) * 0.01 AS waste,
                CASE WHEN i > 3590 THEN 'queued' WHEN i > 3586 THEN 'running'
                     WHEN seed_pick('run', i, 100) < 7 THEN 'failed' ELSE 'succeeded' END AS state
     ) x
ORDER BY i;

INSERT INTO sheet_layouts (run_id, material_id, sheet_number, placements, sheet_area_m2, used_area_m2)
SELECT r.id, 40 * seed_pick('sheet', i, 6) + 1 + mod(i - 1, 40), n,
       jsonb_build_array(jsonb_build_object('x', 0, 'y', 0, 'length', 1200, 'width', 600),
                         jsonb_build_object('x', 1204, 'y', 0, 'length', 900 - mod(i, 200), 'width', 600)),
       5.796, 5.796 - 0.001 * seed_pick('unused', i * 2 + n, 1500)
FROM generate_series(1, 3600) i JOIN optimisation_runs r ON r.id = seed_uuid('run', i), generate_series(1, 2) n
WHERE r.status = 'succeeded'
ORDER BY i, n;

INSERT INTO offcuts (organisation_id, material_id, sheet_layout_id, used_in_run_id, rack, length_mm, width_mm,
                     created_at, used_at)
SELECT m.organisation_id, m.id, s.id,
       CASE WHEN used THEN seed_uuid('run', 1 + mod(m.id - 1, 40) + 40 * mod(s.id, 90)) END, 'R' || mod(s.id, 12),
       700 + seed_pick('offcut', s.id, 1400), 120 + seed_pick('rest', s.id, 500), r.finished_at,
       CASE WHEN used THEN r.finished_at + interval '30 hours' END
FROM sheet_layouts s JOIN materials m ON m.id = s.material_id JOIN optimisation_runs r ON r.id = s.run_id,
     LATERAL (SELECT mod(s.id, 3) = 0 AS used) x
WHERE mod(s.id, 4) = 1
ORDER BY s.id;

-- Plugins -----------------------------------------------------------------------------------------------------------

INSERT INTO plugins (id, publisher_id, slug, name, category, description, homepage, is_public, created_at)
SELECT seed_uuid('plugin', i), seed_uuid('organisation', 3 * (1 + mod(i - 1, 40)) - 1),
       lower(what || '-' || how || '-' || i), what || ' ' || how,
       seed_word('category', i, '{export,reporting,machine,accounting}'),
       what || ' ' || lower(how) || ' for workshops that have outgrown spreadsheets',
       'https://plugins.example.com/' || i, mod(i, 6) > 0, seed_time(-400000 + i * 1000)
FROM generate_series(1, 60) i, seed_word('what', i, '{Label,Nesting,Stock,Invoice,Route,Waste}') what,
     seed_word('how', i, '{Printer,Monitor,Export,Planner,Bridge}') how
ORDER BY i;

INSERT INTO plugin_versions (plugin_id, version, manifest, size_bytes, sha256, released_at, yanked_at)
SELECT seed_uuid('plugin', 1 + mod(i - 1, 60)), '1.' || (i - 1) / 60 || '.' || seed_pick('patch', i, 9),
       jsonb_build_object('entry_point', 'main.js', 'permissions', jsonb_build_array('projects:read')),
       20000 + seed_pick('size', i, 900000), md5('a' || i) || md5('b' || i), seed_time(-300000 + i * 1000),
       CASE WHEN mod(i, 31) = 0 THEN seed_time(-299000 + i * 1000) END
FROM generate_series(1, 240) i;

INSERT INTO installations (id, plugin_version_id, organisation_id, installed_by, enabled, settings, installed_at,
                           removed_at)
SELECT seed_uuid('installation', i), 1 + mod((i - 1) / 120 + o * 7, 240), seed_uuid('organisation', o),
       seed_uuid('user', o + 120 * seed_pick('installer', i, 15)), mod(i, 9) > 1,
       jsonb_build_object('interval_s', 60 * (1 + mod(i, 5))), seed_time(i * 90),
       CASE WHEN mod(i, 9) = 0 THEN seed_time(i * 90 + 9000) END
FROM generate_series(1, 1500) i, LATERAL (SELECT 1 + mod(i - 1, 120) AS o) x
ORDER BY i;

INSERT INTO plugin_metrics (installation_id, metric, value, labels, measured_at)
SELECT seed_uuid('installation', 1 + seed_pick('measured', i, 1500)),
       seed_word('metric', i, '{calls,errors,duration_ms}'), seed_pick('value', i, 100000) * 0.01,
       jsonb_build_object('region', seed_word('region', i, '{eu,us}')), seed_time(i * 20)
FROM generate_series(1, 10000) i;

INSERT INTO analytics_events (user_id, installation_id, name, session_id, client_ip, payload, occurred_at, received_at)
SELECT seed_uuid('user', 1 + seed_pick('visitor', i, 1800)),
       CASE WHEN mod(i, 3) = 0 THEN seed_uuid('installation', 1 + seed_pick('used', i, 1500)) END,
       seed_word('event', i, '{page.viewed,run.started,list.exported,plugin.opened}'), seed_uuid('session', i / 6),
       inet '10.0.0.0' + seed_pick('client', i, 65536),
       jsonb_build_object('path', '/p/' || seed_pick('path', i, 50), 'ms', seed_pick('ms', i, 900)),
       seed_time(i * 15), seed_time(i * 15 + mod(i, 2))
FROM generate_series(1, 14000) i;

INSERT INTO api_keys (id, organisation_id, created_by, name, token_sha256, scopes, allowed_from, created_at,
                      expires_at, revoked_at)
SELECT seed_uuid('key', i), seed_uuid('organisation', 1 + mod(i - 1, 120)), seed_uuid('user', i), 'key ' || i,
       md5('k' || i) || md5('l' || i), '{projects:read,runs:write}',
       CASE WHEN mod(i, 4) = 0 THEN '{10.0.0.0/8}'::inet[] END, seed_time(i * 60),
       CASE WHEN mod(i, 2) = 0 THEN seed_time(i * 60 + 525600) END,
       CASE WHEN mod(i, 11) = 0 THEN seed_time(i * 90) END
FROM generate_series(1, 240) i;

INSERT INTO webhooks (id, organisation_id, url, signing_key, events, active, created_at)
SELECT seed_uuid('webhook', i), seed_uuid('organisation', 1 + mod(i - 1, 120)), 'https://hooks.example.com/' || i,
       md5('signing' || i), '{run.finished,alert.raised}', mod(i, 8) > 0, seed_time(i * 60)
FROM generate_series(1, 160) i;

INSERT INTO webhook_deliveries (webhook_id, event, payload, attempts, response_status, created_at, next_attempt_at,
                                delivered_at)
SELECT seed_uuid('webhook', 1 + mod(i - 1, 160)), seed_word('hook', i, '{run.finished,alert.raised}'),
       jsonb_build_object('number', i), CASE WHEN waits THEN 3 ELSE 1 END, CASE WHEN waits THEN 503 ELSE 200 END,
       seed_time(i * 50), CASE WHEN waits THEN seed_time(i * 50 + 60) END,
       CASE WHEN NOT waits THEN seed_time(i * 50 + 1) END
FROM generate_series(1, 4000) i, LATERAL (SELECT mod(i, 37) = 0 AS waits) x
ORDER BY i;

INSERT INTO subscriptions (id, organisation_id, plugin_id, plan, status, seats, unit_price, starts_on, ends_on)
SELECT seed_uuid('subscription', i), seed_uuid('organisation', 1 + mod(i - 1, 120)),
       seed_uuid('plugin', 1 + mod(i + (i - 1) / 120 * 17, 60)), seed_word('plan', i, '{basic,team,business}'),
       CASE WHEN mod(i, 12) = 0 THEN 'cancelled' ELSE 'active' END, 1 + seed_pick('seats', i, 25),
       4.90 + seed_pick('price', i, 30), date '2025-10-01' + mod(i, 90),
       CASE WHEN mod(i, 12) = 0 THEN date '2026-06-30' END
FROM generate_series(1, 360) i;

INSERT INTO invoices (organisation_id, subscription_id, number, status, lines, net_amount, tax_rate, tax_amount,
                      issued_on, due_on, paid_at)
SELECT s.organisation_id, s.id, '2026-' || lpad(n::text, 6, '0'), state,
       jsonb_build_array(jsonb_build_object('text', s.plan, 'seats', s.seats, 'unit_price', s.unit_price)),
       s.seats * s.unit_price, 0.19, round(s.seats * s.unit_price * 0.19, 2), make_date(2026, month, 1),
       make_date(2026, month, 15), CASE state WHEN 'paid' THEN seed_time(month * 43800 - 43800 + mod(n, 20000)) END
FROM generate_series(1, 5) month, generate_series(1, 360) i JOIN subscriptions s ON s.id = seed_uuid('subscription', i),
     LATERAL (SELECT month * 360 - 360 + i AS n) x,
     LATERAL (SELECT CASE WHEN mod(n, 50) = 0 THEN 'void' WHEN n > 1700 OR mod(n, 23) = 0 THEN 'open'
                          ELSE 'paid' END AS state) y
ORDER BY n;

-- Vending machines --------------------------------------------------------------------------------------------------

INSERT INTO machine_models (manufacturer, name, slot_count, power_watts, features)
SELECT ('{Norda,Veltro,Kiosque}'::text[])[1 + mod(i, 3)], 'M' || i, 10, 300 + 20 * i, '{card_reader,gps}'
FROM generate_series(1, 12) i;

-- Operator o is organisation 3 o; it has the locations and the machines o, o + 40, o + 80 ..., and technician o.
INSERT INTO locations (organisation_id, name, city, country, opening_hours, latitude, longitude)
SELECT seed_uuid('organisation', 3 * (1 + mod(i - 1, 40))),
       seed_word('place', i, '{Station,Clinic,Campus,Depot}') || ' ' || i,
       seed_word('city', i, '{Berlin,Lyon,Turin,Basel,Graz}'), seed_word('city', i, '{DE,FR,IT,CH,AT}'),
       '{"daily": "06:00-22:00"}', 45 + seed_pick('latitude', i, 7000000) * 0.000001,
       5 + seed_pick('longitude', i, 9000000) * 0.000001
FROM generate_series(1, 160) i;

INSERT INTO machines (id, organisation_id, model_id, location_id, serial_number, status, firmware, ip_address,
                      target_celsius, installed_on, retired_on)
SELECT seed_uuid('machine', i), seed_uuid('organisation', 3 * o), 1 + mod(i, 12),
       CASE WHEN i <= 285 THEN o + 40 * seed_pick('site', i, 4) END, 'VM-' || lpad(i::text, 6, '0'),
       (CASE WHEN i > 292 THEN 'retired' WHEN i > 285 THEN 'in_storage' WHEN mod(i, 23) = 0 THEN 'out_of_order'
             ELSE 'in_service' END)::machine_status,
       '4.' || mod(i, 6), inet '10.64.0.0' + i, 4 + mod(i, 4) * 0.5, date '2024-01-01' + i,
       CASE WHEN i > 292 THEN date '2026-06-01' + (i - 292) END
FROM generate_series(1, 300) i, LATERAL (SELECT 1 + mod(i - 1, 40) AS o) x
ORDER BY i;

INSERT INTO products (sku, ean, name, category, vat_rate, shelf_life_days, nutrition, discontinued)
SELECT 'SKU-' || lpad(i::text, 4, '0'), CASE WHEN mod(i, 10) > 0 THEN '40' || lpad((i * 7919)::text, 11, '0') END,
       flavour || ' ' || good || ' ' || i, seed_word('shelf', i, '{snack,drink,fresh,other}'),
       CASE WHEN mod(i, 3) = 0 THEN 0.19 ELSE 0.07 END, 30 + 5 * mod(i, 60),
       jsonb_build_object('kcal', 40 + seed_pick('kcal', i, 460)), mod(i, 25) = 0
FROM generate_series(1, 200) i, seed_word('flavour', i, '{Apple,Hazelnut,Lemon,Cocoa,Salted}') flavour,
     seed_word('good', i, '{bar,juice,cookie,crisps,water}') good
ORDER BY i;

-- Of each product: the price until February, the one since then, and another one at one location.
INSERT INTO product_prices (product_id, location_id, amount, valid_from, valid_to)
SELECT i, CASE n WHEN 3 THEN 1 + mod(i, 160) END, 0.9 + mod(i, 26) * 0.1 + n * 0.1,
       CASE n WHEN 2 THEN seed_time(44640) ELSE seed_time(0) END, CASE n WHEN 1 THEN seed_time(44640) END
FROM generate_series(1, 200) i, generate_series(1, 3) n
ORDER BY i, n;

INSERT INTO slots (machine_id, code, product_id, capacity, quantity)
SELECT seed_uuid('machine', m), chr(65 + n / 5) || 1 + mod(n, 5), 1 + seed_pick('slot', m * 10 + n, 200), 10,
       seed_pick('filled', m * 10 + n, 11)
FROM generate_series(1, 300) m, generate_series(0, 9) n
ORDER BY m, n;

INSERT INTO technicians (id, organisation_id, user_id, phone, certifications, active)
SELECT seed_uuid('technician', o), seed_uuid('organisation', 3 * o), seed_uuid('user', 3 * o), '+4930' || 1000000 + o,
       '{electrics}', o < 39
FROM generate_series(1, 40) o;

INSERT INTO refills (machine_id, technician_id, cash_collected, started_at, finished_at)
SELECT seed_uuid('machine', m), seed_uuid('technician', 1 + mod(m - 1, 40)), seed_pick('cash', i, 9000) * 0.01,
       seed_time(i * 100), CASE WHEN i < 1998 THEN seed_time(i * 100 + 5 + mod(i, 20)) END
FROM generate_series(1, 2000) i, LATERAL (SELECT 1 + seed_pick('refill', i, 300) AS m) x
ORDER BY i;

-- Busy machines sell more: the smaller of two picks.
INSERT INTO sales (machine_id, slot_code, product_id, status, quantity, unit_price, discount, sold_at)
SELECT s.machine_id, s.code, s.product_id,
       seed_word('sale', i, '{completed,completed,completed,completed,completed,refunded,failed}'),
       1 + seed_pick('sold', i, 5) / 4, 0.9 + mod(s.product_id, 26) * 0.1, CASE WHEN mod(i, 20) = 0 THEN 0.2 ELSE 0 END,
       seed_time(i * 17)
FROM generate_series(1, 12000) i
     JOIN slots s ON s.id = 1 + least(seed_pick('busy', i, 3000), seed_pick('calm', i, 3000))
ORDER BY i;

INSERT INTO payments (sale_id, method, amount, provider_reference, card_last4, paid_at, refunded_at)
SELECT v.id, method, v.amount, CASE WHEN method <> 'cash' THEN 'pay_' || md5('payment' || v.id) END,
       CASE method WHEN 'card' THEN lpad(seed_pick('digits', v.id, 10000)::text, 4, '0') END, v.sold_at,
       CASE v.status WHEN 'refunded' THEN v.sold_at + interval '2 hours' END
FROM sales v, seed_word('method', v.id, '{card,card,app,cash}') method
WHERE v.status <> 'failed'
ORDER BY v.id;

INSERT INTO inventory_movements (slot_id, refill_id, sale_id, kind, delta, created_at)
SELECT s.id, r.id, NULL, 'refill', 4, r.started_at
FROM refills r JOIN slots s USING (machine_id)
WHERE s.code IN ('A1', 'B2')
UNION ALL
SELECT s.id, NULL, v.id, 'sale', -v.quantity, v.sold_at
FROM sales v JOIN slots s ON (s.machine_id, s.code) = (v.machine_id, v.slot_code)
WHERE v.status = 'completed'
ORDER BY 6, 1;

INSERT INTO gps_positions (machine_id, recorded_at, latitude, longitude, accuracy_m, speed_kmh, battery_percent)
SELECT seed_uuid('machine', m), seed_time(n * 5400 + m),
       45 + seed_pick('north', m, 7000) * 0.001 + seed_pick('drift north', i, 100) * 0.000001,
       5 + seed_pick('east', m, 9000) * 0.001 + seed_pick('drift east', i, 100) * 0.000001,
       3 + mod(n, 9), 0, 20 + seed_pick('battery', i, 81)
FROM generate_series(0, 39) n, generate_series(1, 300) m, LATERAL (SELECT m * 40 + n AS i) x
ORDER BY n, m;

INSERT INTO alerts (machine_id, acknowledged_by, severity, status, code, details, raised_at, acknowledged_at,
                    resolved_at)
SELECT seed_uuid('machine', m), CASE WHEN status <> 'open' THEN seed_uuid('user', 3 * (1 + mod(m - 1, 40))) END,
       seed_word('severity', i, '{info,warning,warning,critical}'), status,
       seed_word('alert', i, '{temperature,door_open,coin_jam,offline}'), jsonb_build_object('celsius', 4 + mod(i, 15)),
       seed_time(i * 180), CASE WHEN status <> 'open' THEN seed_time(i * 180 + 15) END,
       CASE status WHEN 'resolved' THEN seed_time(i * 180 + 300) END
FROM generate_series(1, 1200) i, LATERAL (
         SELECT 1 + seed_pick('alarmed', i, 300) AS m,
                CASE WHEN i > 1180 THEN 'open' WHEN mod(i, 30) = 0 THEN 'acknowledged' ELSE 'resolved' END AS status
     ) x
ORDER BY i;

INSERT INTO maintenance_visits (machine_id, technician_id, alert_id, planned_for, arrived_at, left_at, cost, report)
SELECT a.machine_id, t.id, a.id, date '2026-01-02' + a.id::integer / 8,
       CASE WHEN visited THEN a.raised_at + interval '24 hours' END,
       CASE WHEN visited THEN a.raised_at + interval '25 hours' END, CASE WHEN visited THEN 45 + mod(a.id, 90) END,
       CASE WHEN visited THEN 'repaired: ' || a.code END
FROM alerts a JOIN machines m ON m.id = a.machine_id JOIN technicians t ON t.organisation_id = m.organisation_id,
     LATERAL (SELECT a.id < 1150 AS visited) x
WHERE mod(a.id, 2) = 0
ORDER BY a.id;

DROP FUNCTION seed_uuid, seed_pick, seed_word, seed_time;
