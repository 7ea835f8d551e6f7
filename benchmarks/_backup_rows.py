"""Realistic rows for benchmarks/backup.py: the same for the same seed and size, made by the server from the row's number.

Five tables of a shop, with what decides how well rows are compressed and how long their indexes take: random uuids as keys,
jsonb documents that share their keys but not their values, sentences of a small vocabulary, numerics, times that grow.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from _backup_cluster import DATABASE, Cluster
from _common import BenchmarkError

SEED = 20260101
# bytes of a database on PostgreSQL 15, indexes included, divided by its orders
BYTES_PER_ORDER = 1590
LINES_PER_ORDER, EVENTS_PER_ORDER = 2, 2
DIGESTS_AT_ONCE = 2
# 128 of them: seven bits of a hash choose one
WORDS = """
    order parcel late early customer asked for refund invoice paid twice address changed again please call back before noon
    delivery driver left note neighbour door broken glass replaced size colour wrong blue green red small large return
    label printed sent warehouse stock counted missing found gift card balance discount code expired extended manager
    approved rejected waiting supplier answer reminder second final closed open summer winter sale newsletter complaint
    praise support ticket chat phone letter contract renewed cancelled the and with without not yet still only box bag
    damaged intact heavy light express standard pickup locker branch counter signature tracking number scanned
    customs duty tax receipt copy original annex page colleague weekend holiday morning evening tomorrow yesterday soon
    later never always north south west east first third half double
"""
LARGEST_DAMAGED = 2**20
_EVERY = 10

# a number from the seed, a row and a salt; functions of one immutable expression are inlined, which others would not be
_FUNCTIONS = """
CREATE FUNCTION pick(i bigint, salt int) RETURNS bigint IMMUTABLE PARALLEL SAFE
    RETURN hashint8extended(i, {seed} + salt) & 2147483647;
CREATE FUNCTION key(kind text, i bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE
    RETURN md5('{seed}' || kind || i::text)::uuid;
CREATE FUNCTION moment(i bigint) RETURNS timestamptz IMMUTABLE PARALLEL SAFE
    RETURN to_timestamp(1704067200 + i * 7 + (pick(i, 9) % 7000000) / 1e6::float8);
CREATE FUNCTION eight(bits bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN {eight};
CREATE FUNCTION sentence(i bigint, salt int, letters bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN left(eight(hashint8extended(i, {seed} + salt)), letters::int);
"""
_TABLES = """
CREATE TABLE customers (id uuid NOT NULL, email text NOT NULL, name text NOT NULL, address jsonb NOT NULL,
    credit numeric(12, 2) NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE products (id uuid NOT NULL, title text NOT NULL, attributes jsonb NOT NULL, price numeric(10, 2) NOT NULL,
    updated_at timestamptz NOT NULL);
CREATE TABLE orders (id uuid NOT NULL, customer_id uuid NOT NULL, status text NOT NULL, total numeric(12, 2) NOT NULL,
    details jsonb NOT NULL, placed_at timestamptz NOT NULL);
CREATE TABLE order_lines (order_id uuid NOT NULL, line int NOT NULL, product_id uuid NOT NULL, quantity int NOT NULL,
    price numeric(10, 2) NOT NULL, note text);
CREATE TABLE events (id uuid NOT NULL, kind text NOT NULL, payload jsonb NOT NULL, message text NOT NULL,
    at timestamptz NOT NULL);
"""
_INDEXES = """
ALTER TABLE customers ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX customers_email ON customers (lower(email));
ALTER TABLE products ADD PRIMARY KEY (id);
CREATE INDEX products_attributes ON products USING gin (attributes jsonb_path_ops);
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE INDEX orders_customer ON orders (customer_id, placed_at);
CREATE INDEX orders_placed_at ON orders (placed_at);
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE order_lines ADD PRIMARY KEY (order_id, line);
CREATE INDEX order_lines_product ON order_lines (product_id);
ALTER TABLE order_lines ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_open ON events ((payload ->> 'session'), at) WHERE kind = 'checkout';
"""
_ROWS = {
    "customers": """SELECT key('customer', i), 'user' || i || '@' || (ARRAY['example.org', 'example.com', 'example.net'])
            [1 + pick(i, 1) % 3], initcap(sentence(i, 2, 8 + pick(i, 17) % 9)), jsonb_build_object('street', initcap(sentence(i, 3, 9 + pick(i, 18) % 12)),
            'number', pick(i, 4) % 300, 'postcode', lpad((pick(i, 5) % 100000)::text, 5, '0'), 'city',
            initcap(sentence(i % 800, 6, 7)), 'geo', jsonb_build_array((pick(i, 7) % 180000000) / 1e6,
            (pick(i, 8) % 90000000) / 1e6)), (pick(i, 10) % 1000000) / 100.0, moment(i)""",
    "products": """SELECT key('product', i), initcap(sentence(i, 11, 28)), jsonb_build_object('colour', (ARRAY['blue', 'green',
            'red', 'black', 'white'])[1 + pick(i, 12) % 5], 'weight_g', pick(i, 13) % 20000, 'tags',
            to_jsonb(string_to_array(sentence(i, 14, 20), ' ')), 'ean', 4000000000000 + pick(i, 15)),
            (pick(i, 16) % 100000) / 100.0, moment(i)""",
    "orders": """SELECT key('order', i), key('customer', pick(i, 20) % {customers} + 1), (ARRAY['new', 'paid', 'sent',
            'delivered', 'delivered', 'delivered', 'returned'])[1 + pick(i, 21) % 7], (pick(i, 22) % 5000000) / 100.0,
            jsonb_build_object('channel', (ARRAY['web', 'app', 'shop'])[1 + pick(i, 23) % 3], 'payment',
            jsonb_build_object('token', md5(i::text), 'method', (ARRAY['card', 'invoice', 'debit'])[1 + pick(i, 24) % 3]),
            'note', sentence(i, 25, pick(i, 26) % 60), 'items', pick(i, 27) % 20), moment(i)""",
    "order_lines": """SELECT key('order', (i - 1) / {lines} + 1), ((i - 1) % {lines})::int, key('product', pick(i, 30)
            % {products} + 1), (1 + pick(i, 31) % 9)::int, (pick(i, 32) % 100000) / 100.0,
            CASE WHEN pick(i, 33) % 3 = 0 THEN sentence(i, 34, 30) END""",
    "events": """SELECT key('event', i), (ARRAY['view', 'view', 'view', 'search', 'cart', 'checkout'])[1 + pick(i, 40) % 6],
            jsonb_build_object('session', key('session', i / 9), 'customer', key('customer', pick(i, 41) % {customers} + 1),
            'ms', pick(i, 42) % 4000, 'path', '/' || replace(sentence(i, 43, 22), ' ', '/'), 'agent',
            (ARRAY['Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0', 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1) Mobile Safari', 'Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/131.0', 'shop-app/7.2 (Android 15)'])[1 + pick(i / 9, 44) % 4]), sentence(i, 45, 60) || ' ' || sentence(i, 46, pick(i, 47) % 60), moment(i)""",
}
_KEYS = {"customers": "id", "products": "id", "orders": "id", "order_lines": "order_id, line", "events": "id"}
# in parts, so that no text becomes longer than PostgreSQL's 1 GB, whatever the size
_DIGEST = """SELECT coalesce(sum(rows), 0)::bigint, coalesce(md5(string_agg(part || hash, ',' ORDER BY part)), '') FROM (
    SELECT left({first}::text, 2) AS part, count(*) AS rows,
        md5(string_agg(hashtextextended(t::text, 0)::text, ',' ORDER BY {key})) AS hash FROM {table} t GROUP BY 1) parts"""
_CHANGE = """UPDATE orders SET status = 'archived {stamp}' WHERE placed_at >= (SELECT min(placed_at) FROM (
    SELECT placed_at FROM orders ORDER BY placed_at DESC LIMIT {changed}) newest)"""

Digests = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Size:
    """How many rows there are at first."""

    orders: int

    @property
    def rows(self) -> dict[str, int]:
        """Rows by table."""
        customers, products = max(self.orders // 5, 1), max(self.orders // 50, 1)
        return {
            "customers": customers,
            "products": products,
            "orders": self.orders,
            "order_lines": self.orders * LINES_PER_ORDER,
            "events": self.orders * EVENTS_PER_ORDER,
        }

    @property
    def written(self) -> dict[str, int]:
        """Rows that each round's localised writes change and append: 1 % of two tables, the newest rows."""
        return {"orders changed": max(self.orders // 100, 1), "events appended": max(self.rows["events"] // 100, 1)}


def size(gigabytes: float) -> Size:
    """Return how many rows make about so many gigabytes (10^9 bytes)."""
    return Size(max(int(gigabytes * 1e9 / BYTES_PER_ORDER), 100))


def load(cluster: Cluster, size: Size) -> None:
    """Make the tables, fill them, then index them, as a restored dump does."""
    words = ", ".join(f"'{word}'" for word in WORDS.split())
    eight = " || ' ' || ".join(f"(ARRAY[{words}])[1 + (bits >> {shift} & 127)]" for shift in range(0, 56, 7))
    cluster.query(_FUNCTIONS.format(seed=SEED, eight=eight))
    filled = [_insert(table, 1, rows, size) for table, rows in size.rows.items()]
    cluster.query(";".join([f"BEGIN; {_TABLES}", *filled, "COMMIT"]))
    cluster.query(_INDEXES)
    cluster.query("VACUUM (FREEZE, ANALYZE)")


def change(cluster: Cluster, size: Size, number: int) -> None:
    """Make the localised writes of a round, from 0 on: the newest orders change, and events are appended."""
    written, first = size.written, size.rows["events"] + 1
    cluster.query(_CHANGE.format(stamp=number, changed=written["orders changed"]))
    begin = first + number * written["events appended"]
    cluster.query(_insert("events", begin, begin + written["events appended"] - 1, size))


def _insert(table: str, first: int, last: int, size: Size) -> str:
    select = _ROWS[table].format(lines=LINES_PER_ORDER, **size.rows)
    return f"INSERT INTO {table} {select} FROM generate_series({first}::bigint, {last}::bigint) i"


def digests(cluster: Cluster, database: str = DATABASE) -> Digests:
    """Return each table's number of rows and an MD5 over all its rows in the order of their keys."""

    def digest(table: str) -> tuple[int, str]:
        key = _KEYS[table]
        sql = _DIGEST.format(table=table, key=key, first=key.split(",", maxsplit=1)[0])
        ((rows, hash_),) = cluster.query(sql, database)
        return int(rows), str(hash_)

    # a server sorts and aggregates these with one process each; the last ones are the largest
    tables = list(reversed(_KEYS))
    with ThreadPoolExecutor(DIGESTS_AT_ONCE) as pool:
        return dict(zip(tables, pool.map(digest, tables), strict=True))


def compare(who: str, wanted: Digests, found: Digests) -> None:
    """Refuse a restored database that is not what was backed up. Raises BenchmarkError."""
    wrong = [
        f"{table} has {found[table][0]} rows with MD5 {found[table][1]}, not {rows} with {hash_}"
        for table, (rows, hash_) in wanted.items()
        if found[table] != (rows, hash_)
    ]
    if wrong:
        raise BenchmarkError(f"{who} did not bring back what was backed up: {'; '.join(wrong)}")


def damage(data: Path, number: int) -> dict[str, int]:
    """Damage a stopped cluster's large files, the same ones for everybody: one in ten is deleted, another has a bad page.

    Returns how many, and their bytes.
    """
    files = list(_large(data))
    random.Random(SEED + number).shuffle(files)
    deleted, spoilt = files[::_EVERY], files[1::_EVERY]
    told = {
        "files deleted": len(deleted),
        "files with a bad page": len(spoilt),
        "bytes of these files": sum(file.stat().st_size for file in (*deleted, *spoilt)),
    }
    for file in deleted:
        file.unlink()
    for file in spoilt:
        with file.open("r+b") as stream:
            stream.seek(file.stat().st_size // 2 // 8192 * 8192)
            stream.write(b"\xa5" * 8192)
    return told


def _large(data: Path) -> Iterator[Path]:
    for file in sorted((data / "base").glob("*/*")):
        if file.stat().st_size >= LARGEST_DAMAGED and file.name.partition(".")[0].isdigit():
            yield file
