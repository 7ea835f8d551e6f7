-- The tables of database shop: what an application's own migrations would bring; shop_data.sql has the rows. Plain SQL
-- for one transaction, run once by the owner in schema public of an empty database, PostgreSQL 14 or newer.
--
-- Left out on purpose, because the inventory declares it beside this file: indexes that no primary key or unique
-- constraint makes (shop_indexes.yml) and CHECK constraints (shop_checks.yml). Most foreign keys have no index on the
-- columns that refer; foreign_key_indexes finds those.
--
-- Three back ends share the database: workshops that cut panels, a marketplace of plugins, and vending machines.

CREATE TYPE run_status AS ENUM ('queued', 'running', 'succeeded', 'failed');
CREATE TYPE machine_status AS ENUM ('in_service', 'out_of_order', 'in_storage', 'retired');

-- Workshops ---------------------------------------------------------------------------------------------------------

CREATE TABLE organisations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL, slug varchar(63) NOT NULL UNIQUE, kind text NOT NULL,
    country varchar(2) NOT NULL, currency varchar(3) NOT NULL DEFAULT 'EUR', settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz
);
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations,
    email text NOT NULL, full_name text NOT NULL, role text NOT NULL DEFAULT 'member',
    password_hash text, sso_subject text, failed_logins smallint NOT NULL DEFAULT 0,
    last_login_ip inet, last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), deactivated_at timestamptz
);
CREATE TABLE projects (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations, created_by uuid REFERENCES users ON DELETE SET NULL,
    reference varchar(40) NOT NULL, name text NOT NULL, status text NOT NULL DEFAULT 'open',
    tags text[] NOT NULL DEFAULT '{}', due_on date,
    created_at timestamptz NOT NULL DEFAULT now(), closed_at timestamptz,
    UNIQUE (organisation_id, reference)
);
CREATE TABLE materials (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisations,
    name text NOT NULL, kind text NOT NULL, thickness_mm numeric(6, 2) NOT NULL, grain boolean NOT NULL DEFAULT false,
    sheet_length_mm integer NOT NULL, sheet_width_mm integer NOT NULL,
    sheet_area_m2 numeric(8, 4) GENERATED ALWAYS AS (sheet_length_mm::numeric * sheet_width_mm / 1000000) STORED,
    price_per_m2 numeric(10, 2) NOT NULL, currency varchar(3) NOT NULL DEFAULT 'EUR',
    UNIQUE (organisation_id, name)
);
CREATE TABLE cutting_lists (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE, created_by uuid REFERENCES users ON DELETE SET NULL,
    name text NOT NULL, revision integer NOT NULL DEFAULT 1,
    kerf_mm numeric(4, 2) NOT NULL DEFAULT 3.2, trim_mm numeric(5, 2) NOT NULL DEFAULT 10,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (project_id, name, revision)
);
CREATE TABLE parts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cutting_list_id uuid NOT NULL REFERENCES cutting_lists ON DELETE CASCADE,
    material_id bigint NOT NULL REFERENCES materials,
    label varchar(80) NOT NULL, quantity integer NOT NULL DEFAULT 1, rotatable boolean NOT NULL DEFAULT true,
    length_mm numeric(8, 1) NOT NULL, width_mm numeric(8, 1) NOT NULL, edge_banding text[] NOT NULL DEFAULT '{}',
    area_m2 numeric(12, 4) GENERATED ALWAYS AS (length_mm * width_mm * quantity / 1000000) STORED
);
CREATE TABLE optimisation_runs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    cutting_list_id uuid NOT NULL REFERENCES cutting_lists ON DELETE CASCADE,
    requested_by uuid REFERENCES users ON DELETE SET NULL,
    status run_status NOT NULL DEFAULT 'queued', algorithm text NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}', result jsonb, error text, waste_percent numeric(5, 2),
    queued_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz, finished_at timestamptz
);
CREATE TABLE sheet_layouts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES optimisation_runs ON DELETE CASCADE,
    material_id bigint NOT NULL REFERENCES materials,
    sheet_number integer NOT NULL, placements jsonb NOT NULL,
    sheet_area_m2 numeric(8, 4) NOT NULL, used_area_m2 numeric(8, 4) NOT NULL,
    waste_area_m2 numeric(8, 4) GENERATED ALWAYS AS (sheet_area_m2 - used_area_m2) STORED,
    UNIQUE (run_id, sheet_number)
);
CREATE TABLE offcuts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisations, material_id bigint NOT NULL REFERENCES materials,
    sheet_layout_id bigint REFERENCES sheet_layouts ON DELETE SET NULL,
    used_in_run_id uuid REFERENCES optimisation_runs ON DELETE RESTRICT,
    rack varchar(20), length_mm numeric(8, 1) NOT NULL, width_mm numeric(8, 1) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), used_at timestamptz
);

-- Plugins -----------------------------------------------------------------------------------------------------------

CREATE TABLE plugins (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    publisher_id uuid NOT NULL REFERENCES organisations,
    slug varchar(63) NOT NULL UNIQUE, name text NOT NULL, category text NOT NULL, description text, homepage text,
    is_public boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE plugin_versions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plugin_id uuid NOT NULL REFERENCES plugins ON DELETE CASCADE,
    version text NOT NULL, manifest jsonb NOT NULL, size_bytes bigint NOT NULL, sha256 varchar(64) NOT NULL,
    released_at timestamptz NOT NULL DEFAULT now(), yanked_at timestamptz,
    UNIQUE (plugin_id, version)
);
CREATE TABLE installations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    plugin_version_id bigint NOT NULL REFERENCES plugin_versions,
    organisation_id uuid NOT NULL REFERENCES organisations, installed_by uuid REFERENCES users ON DELETE SET NULL,
    enabled boolean NOT NULL DEFAULT true, settings jsonb NOT NULL DEFAULT '{}',
    installed_at timestamptz NOT NULL DEFAULT now(), removed_at timestamptz
);
CREATE TABLE plugin_metrics (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    installation_id uuid NOT NULL REFERENCES installations ON DELETE CASCADE,
    metric varchar(60) NOT NULL, value double precision NOT NULL, labels jsonb NOT NULL DEFAULT '{}',
    measured_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE analytics_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid REFERENCES users ON DELETE SET NULL, installation_id uuid REFERENCES installations ON DELETE SET NULL,
    name varchar(80) NOT NULL, session_id uuid NOT NULL, client_ip inet, payload jsonb NOT NULL DEFAULT '{}',
    occurred_at timestamptz NOT NULL, received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    created_by uuid REFERENCES users ON DELETE SET NULL,
    name text NOT NULL, token_sha256 varchar(64) NOT NULL, scopes text[] NOT NULL, allowed_from inet[],
    created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz, revoked_at timestamptz
);
CREATE TABLE webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    url text NOT NULL, signing_key text NOT NULL, events text[] NOT NULL, active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE webhook_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event text NOT NULL, payload jsonb NOT NULL, attempts smallint NOT NULL DEFAULT 0, response_status smallint,
    created_at timestamptz NOT NULL DEFAULT now(), next_attempt_at timestamptz, delivered_at timestamptz
);
CREATE TABLE subscriptions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations, plugin_id uuid NOT NULL REFERENCES plugins,
    plan text NOT NULL, status text NOT NULL DEFAULT 'active', seats integer NOT NULL DEFAULT 1,
    unit_price numeric(10, 2) NOT NULL, currency varchar(3) NOT NULL DEFAULT 'EUR',
    starts_on date NOT NULL, ends_on date
);
CREATE TABLE invoices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisations, subscription_id uuid REFERENCES subscriptions,
    number varchar(20) NOT NULL UNIQUE, status text NOT NULL DEFAULT 'open', lines jsonb NOT NULL,
    net_amount numeric(12, 2) NOT NULL, tax_rate numeric(4, 3) NOT NULL, tax_amount numeric(12, 2) NOT NULL,
    gross_amount numeric(12, 2) GENERATED ALWAYS AS (net_amount + tax_amount) STORED,
    currency varchar(3) NOT NULL DEFAULT 'EUR', issued_on date NOT NULL, due_on date NOT NULL, paid_at timestamptz
);

-- Vending machines --------------------------------------------------------------------------------------------------

CREATE TABLE machine_models (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    manufacturer text NOT NULL, name text NOT NULL, slot_count smallint NOT NULL, power_watts integer NOT NULL,
    features text[] NOT NULL DEFAULT '{}',
    UNIQUE (manufacturer, name)
);
CREATE TABLE locations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisations,
    name text NOT NULL, city text NOT NULL, country varchar(2) NOT NULL, opening_hours jsonb,
    latitude numeric(9, 6) NOT NULL, longitude numeric(9, 6) NOT NULL
);
CREATE TABLE machines (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations,
    model_id bigint NOT NULL REFERENCES machine_models, location_id bigint REFERENCES locations,
    serial_number varchar(40) NOT NULL UNIQUE, status machine_status NOT NULL DEFAULT 'in_storage',
    firmware text, ip_address inet, target_celsius numeric(4, 1), installed_on date, retired_on date
);
CREATE TABLE products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku varchar(20) NOT NULL UNIQUE, ean varchar(13), name text NOT NULL, category text NOT NULL,
    vat_rate numeric(4, 3) NOT NULL, shelf_life_days integer, nutrition jsonb,
    discontinued boolean NOT NULL DEFAULT false
);
CREATE TABLE product_prices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES products ON DELETE CASCADE,
    location_id bigint REFERENCES locations, -- NULL: everywhere else
    amount numeric(8, 2) NOT NULL, currency varchar(3) NOT NULL DEFAULT 'EUR',
    valid_from timestamptz NOT NULL, valid_to timestamptz
);
CREATE TABLE slots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id uuid NOT NULL REFERENCES machines ON DELETE CASCADE,
    code varchar(4) NOT NULL, product_id bigint REFERENCES products ON DELETE SET NULL,
    capacity smallint NOT NULL, quantity smallint NOT NULL DEFAULT 0, refill_below smallint NOT NULL DEFAULT 2,
    UNIQUE (machine_id, code)
);
CREATE TABLE technicians (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations, user_id uuid NOT NULL UNIQUE REFERENCES users,
    phone varchar(20), certifications text[] NOT NULL DEFAULT '{}', active boolean NOT NULL DEFAULT true
);
CREATE TABLE refills (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id uuid NOT NULL REFERENCES machines, technician_id uuid NOT NULL REFERENCES technicians,
    cash_collected numeric(10, 2) NOT NULL DEFAULT 0, started_at timestamptz NOT NULL, finished_at timestamptz
);
CREATE TABLE sales (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id uuid NOT NULL, slot_code varchar(4) NOT NULL, product_id bigint NOT NULL REFERENCES products,
    status text NOT NULL DEFAULT 'completed', quantity smallint NOT NULL DEFAULT 1,
    unit_price numeric(8, 2) NOT NULL, discount numeric(8, 2) NOT NULL DEFAULT 0,
    amount numeric(10, 2) GENERATED ALWAYS AS (quantity * unit_price - discount) STORED,
    sold_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (machine_id, slot_code) REFERENCES slots (machine_id, code)
);
CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sale_id bigint NOT NULL REFERENCES sales,
    method text NOT NULL, amount numeric(10, 2) NOT NULL, currency varchar(3) NOT NULL DEFAULT 'EUR',
    provider_reference text, card_last4 varchar(4), paid_at timestamptz NOT NULL, refunded_at timestamptz
);
CREATE TABLE inventory_movements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot_id bigint NOT NULL REFERENCES slots, refill_id bigint REFERENCES refills, sale_id bigint REFERENCES sales,
    kind text NOT NULL, delta smallint NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE gps_positions (
    machine_id uuid NOT NULL REFERENCES machines ON DELETE CASCADE, recorded_at timestamptz NOT NULL,
    latitude numeric(9, 6) NOT NULL, longitude numeric(9, 6) NOT NULL,
    accuracy_m real, speed_kmh real NOT NULL DEFAULT 0, battery_percent smallint,
    PRIMARY KEY (machine_id, recorded_at)
) PARTITION BY RANGE (recorded_at);
CREATE TABLE gps_positions_2026_01 PARTITION OF gps_positions
    FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00');
CREATE TABLE gps_positions_2026_02 PARTITION OF gps_positions
    FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00');
CREATE TABLE gps_positions_2026_03 PARTITION OF gps_positions
    FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00');
CREATE TABLE gps_positions_2026_04 PARTITION OF gps_positions
    FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-05-01 00:00:00+00');
CREATE TABLE gps_positions_2026_05 PARTITION OF gps_positions
    FOR VALUES FROM ('2026-05-01 00:00:00+00') TO ('2026-06-01 00:00:00+00');
CREATE TABLE gps_positions_default PARTITION OF gps_positions DEFAULT;
CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id uuid NOT NULL REFERENCES machines, acknowledged_by uuid REFERENCES users,
    severity text NOT NULL, status text NOT NULL DEFAULT 'open', code varchar(40) NOT NULL, details jsonb,
    raised_at timestamptz NOT NULL DEFAULT now(), acknowledged_at timestamptz, resolved_at timestamptz
);
CREATE TABLE maintenance_visits (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id uuid NOT NULL REFERENCES machines, technician_id uuid REFERENCES technicians,
    alert_id bigint REFERENCES alerts ON DELETE SET NULL,
    planned_for date NOT NULL, arrived_at timestamptz, left_at timestamptz, cost numeric(10, 2), report text
);
