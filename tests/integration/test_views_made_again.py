"""A view that is made again has what it had: rights neither more nor fewer, its owner, and how it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import SpecError

from .conftest import Server, first_and_last
from .test_views import TABLES, VIEWS, actions, ask, changed, declare

OTHER_COLUMNS = changed(1, query="SELECT user_id, id FROM orders WHERE status IN ('open', 'new')")
FEWER_SUMS = "SELECT user_id, count(*) AS n FROM open_orders GROUP BY user_id HAVING count(*) > 0"
RIGHTS = """
SELECT c.relname::text, '' AS part, coalesce(g.rolname::text, 'PUBLIC'), x.privilege_type, x.is_grantable
FROM pg_class c CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
LEFT JOIN pg_roles g ON g.oid = x.grantee WHERE c.relname IN ('late', 'open_orders', 'sums')
UNION ALL
SELECT c.relname, a.attname, coalesce(g.rolname::text, 'PUBLIC'), x.privilege_type, x.is_grantable
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid CROSS JOIN aclexplode(a.attacl) x
LEFT JOIN pg_roles g ON g.oid = x.grantee WHERE c.relname IN ('late', 'open_orders', 'sums')
ORDER BY 1, 2, 3, 4
"""
OWNERS = """
SELECT relname::text, relkind::text, pg_get_userbyid(relowner)::text
FROM pg_class WHERE relname IN ('late', 'open_orders', 'sums') ORDER BY 1
"""


@pytest.fixture
def shop(server: Server) -> Iterator[Server]:
    server.run("CREATE DATABASE views", "CREATE ROLE mover")
    server.run(TABLES, "GRANT CREATE ON SCHEMA public TO viewer, mover", database="views")
    yield server
    server.run("DROP DATABASE views WITH (FORCE)", "DROP ROLE onlooker", "DROP ROLE viewer", "DROP ROLE mover")


def again(server: Server, views: list[dict[str, Any]], steps: list[tuple[str, str]], **options: Any) -> Any:
    """Declare what has views made again; check mode says the same, and nothing is left to do."""
    predicted, done = declare(server, views, check=True, **options), declare(server, views, **options)
    assert actions(done) == steps
    assert (predicted.changed, predicted.diff, predicted.warnings) == (done.changed, done.diff, done.warnings)
    assert [step["sql"] for step in predicted.data["plan"]] == [step["sql"] for step in done.data["plan"]]
    assert not declare(server, views, **options).changed
    return done


REBUILD, SWAP = [("rebuild", "open_orders")], [("fill", "sums"), ("swap", "sums")]
WAYS: list[tuple[list[dict[str, Any]], list[tuple[str, str]]]] = [
    (OTHER_COLUMNS, REBUILD),
    (changed(2, query=FEWER_SUMS), SWAP),
]
DEFAULTS = {
    "none": "SELECT",
    "others": "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO onlooker WITH GRANT OPTION",
    "in a schema": "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO PUBLIC, onlooker",
    "nothing for the owner": "ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM postgres",
    "of another role": "ALTER DEFAULT PRIVILEGES FOR ROLE viewer GRANT ALL ON TABLES TO PUBLIC",
}


@pytest.mark.parametrize(("views", "steps"), WAYS, ids=["rebuild", "swap"])
@pytest.mark.parametrize("default", DEFAULTS)
def test_rights_are_what_they_were(
    shop: Server, default: str, views: list[dict[str, Any]], steps: list[tuple[str, str]]
) -> None:
    declare(shop, VIEWS)
    shop.run(
        "GRANT SELECT ON late TO onlooker WITH GRANT OPTION",
        "REVOKE ALL ON open_orders FROM postgres; GRANT SELECT ON open_orders TO postgres",
        "ALTER VIEW late OWNER TO viewer; REVOKE DELETE ON late FROM viewer",
        "REVOKE ALL ON sums FROM postgres",
        DEFAULTS[default],
        database="views",
    )
    before = ask(shop, RIGHTS)
    again(shop, views, steps)
    assert ask(shop, RIGHTS) == before


@pytest.mark.parametrize(("views", "steps"), WAYS, ids=["rebuild", "swap"])
def test_rights_on_columns_are_what_they_were(
    shop: Server, views: list[dict[str, Any]], steps: list[tuple[str, str]]
) -> None:
    declare(shop, VIEWS)
    shop.run(
        "GRANT SELECT (user_id) ON sums TO onlooker WITH GRANT OPTION; GRANT SELECT (user_id) ON sums TO PUBLIC",
        "GRANT UPDATE (id), SELECT (user_id) ON late TO viewer",
        "REVOKE ALL ON late FROM postgres; GRANT SELECT (id) ON late TO postgres",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO onlooker",
        database="views",
    )
    before = ask(shop, RIGHTS)
    again(shop, views, steps)
    assert ask(shop, RIGHTS) == before


@first_and_last
def test_nobody_reads_a_view_that_is_being_filled(shop: Server) -> None:
    """What takes hours to fill stands there meanwhile, under a name of its own."""
    declare(shop, VIEWS)
    shop.run("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", database="views")
    (fill, _swap) = declare(shop, changed(2, query=FEWER_SUMS), check=True).data["plan"]
    shop.run("BEGIN", *fill["sql"], "COMMIT", database="views")
    made = "FROM pg_class WHERE relkind = 'm' AND relname LIKE 'pgstead_new_%'"
    assert ask(shop, f"SELECT has_table_privilege('onlooker', oid, 'SELECT') {made}") == [(False,)]


@first_and_last
def test_rights_on_a_column_that_goes_are_named_instead(shop: Server) -> None:
    declare(shop, VIEWS)
    shop.run("GRANT SELECT (user_id) ON open_orders TO onlooker", database="views")
    views = [VIEWS[1] | {"query": "SELECT id FROM orders"}, *[{"name": n, "state": "absent"} for n in ("late", "sums")]]
    for check in (True, False):
        with pytest.raises(SpecError, match=r"open_orders is made again, without rights on column user_id: take that"):
            declare(shop, views, check=check)


@pytest.mark.parametrize("number", [0, 2], ids=["becomes materialised", "becomes a plain view"])
def test_a_flip_of_kind_keeps_the_owner_and_the_rights(shop: Server, number: int) -> None:
    declare(shop, VIEWS)
    name = VIEWS[number]["name"]
    kind = "MATERIALIZED VIEW" if VIEWS[number].get("materialized") else "VIEW"
    shop.run(
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; GRANT SELECT ON orders, open_orders TO viewer",
        f"GRANT SELECT ON {name} TO onlooker; GRANT SELECT (user_id) ON {name} TO mover",
        f"COMMENT ON COLUMN {name}.user_id IS 'who'; ALTER {kind} {name} OWNER TO viewer",
        database="views",
    )
    before = (ask(shop, RIGHTS), ask(shop, OWNERS))
    again(shop, changed(number, materialized=not VIEWS[number].get("materialized")), [("rebuild", name)])
    kinds = {
        kind: ask(shop, f"SELECT relname::text FROM pg_class WHERE relkind = '{kind}' AND relname = '{name}'")
        for kind in "vm"
    }
    assert kinds == ({"v": [], "m": [(name,)]} if number == 0 else {"v": [(name,)], "m": []})
    assert ask(shop, RIGHTS) == before[0]
    assert [(one, owner) for one, _, owner in ask(shop, OWNERS)] == [(one, owner) for one, _, owner in before[1]]
    assert ask(
        shop,
        f"SELECT col_description('{name}'::regclass, attnum) FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attname = 'user_id'",
    ) == [("who",)]


@pytest.mark.parametrize(("views", "steps"), WAYS, ids=["rebuild", "swap"])
def test_a_role_that_is_not_the_owner_leaves_the_owner(
    shop: Server, views: list[dict[str, Any]], steps: list[tuple[str, str]]
) -> None:
    shop.run(
        "GRANT viewer TO mover; GRANT CREATE ON DATABASE views TO mover; GRANT SELECT ON orders TO mover, viewer",
        database="views",
    )
    declare(shop, VIEWS, session_role="mover")
    shop.run(
        "ALTER VIEW late OWNER TO viewer; ALTER VIEW open_orders OWNER TO viewer",
        "ALTER MATERIALIZED VIEW sums OWNER TO viewer",
        "ALTER DEFAULT PRIVILEGES FOR ROLE mover GRANT ALL ON TABLES TO onlooker",
        "ALTER DEFAULT PRIVILEGES FOR ROLE mover REVOKE ALL ON TABLES FROM mover",
        database="views",
    )
    before = (ask(shop, OWNERS), ask(shop, RIGHTS))
    again(shop, views, steps, session_role="mover")
    assert (ask(shop, OWNERS), ask(shop, RIGHTS)) == before


DIRECT = [VIEWS[0], VIEWS[1], {**VIEWS[2], "query": "SELECT user_id, count(*) AS n FROM orders GROUP BY user_id"}]
OTHER_ROWS: dict[str, tuple[dict[str, Any], list[dict[str, Any]], list[tuple[str, str]]]] = {
    "swap": ({"query": f"{DIRECT[2]['query']} HAVING count(*) > 0"}, [], SWAP),
    "rebuild": (
        {"query": f"{DIRECT[2]['query']} HAVING count(*) > 0"},
        [{"name": "above", "query": "SELECT n FROM sums"}],
        [("rebuild", "sums")],
    ),
}


@pytest.mark.parametrize("way", OTHER_ROWS)
def test_rows_are_kept_as_the_owner_may_see_them(shop: Server, way: str) -> None:
    """Whoever runs this may see more: the next refresh would take those rows away again."""
    what, more, steps = OTHER_ROWS[way]
    declare(shop, [*DIRECT, *more])
    shop.run(
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON orders USING (user_id = 3)",
        "GRANT SELECT ON orders TO viewer; ALTER MATERIALIZED VIEW sums OWNER TO viewer",
        "REFRESH MATERIALIZED VIEW sums",
        database="views",
    )
    assert ask(shop, "SELECT user_id FROM sums") == [(3,)]
    again(shop, [*DIRECT[:2], {**DIRECT[2], **what}, *more], steps)
    assert ask(shop, "SELECT user_id FROM sums") == [(3,)]


STORED = """
SELECT c.relname::text, c.relkind::text, coalesce(s.spcname::text, ''), coalesce(m.amname::text, ''), ARRAY(SELECT o FROM unnest(c.reloptions) o ORDER BY 1),
       t.reloptions,
       i.indisclustered, i.indisreplident, replace(pg_get_indexdef(i.indexrelid), c.relname, ''), obj_description(c.oid, 'pg_class'),
       ARRAY(SELECT ROW(a.attname, nullif(a.attstattarget, -1), a.attoptions, a.attstorage, a.attcompression,
                        col_description(c.oid, a.attnum))::text
             FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND (c.oid = 'notes'::regclass OR i.indrelid = 'notes'::regclass)
ORDER BY 1
"""
NOTES = {
    "name": "notes",
    "query": "SELECT id, status::text AS status, total, repeat('x', id) AS note FROM orders",
    "materialized": True,
}
ABOVE = {"name": "above", "query": "SELECT id FROM notes"}


@pytest.fixture
def stored(shop: Server) -> Iterator[Server]:
    """A materialised view with everything that can be said of how it is stored."""
    place = shop.directory / "views_elsewhere"
    shop.command("mkdir", "-p", str(place))
    shop.run(f"CREATE TABLESPACE views_fast LOCATION '{place}'")
    shop.run("CREATE ACCESS METHOD stack TYPE TABLE HANDLER heap_tableam_handler", database="views")
    shop.run(
        "SET default_table_access_method = stack",
        "CREATE MATERIALIZED VIEW notes AS SELECT id, status::text AS status, total, repeat('x', id) AS note FROM orders",
        "ALTER MATERIALIZED VIEW notes SET (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false)",
        "ALTER MATERIALIZED VIEW notes SET TABLESPACE views_fast",
        "CREATE UNIQUE INDEX notes_id ON notes (id) WITH (fillfactor = 60)",
        "CREATE INDEX \"notes WHERE\" ON notes (lower(status), total) TABLESPACE views_fast WHERE note <> ' WHERE '",
        'ALTER INDEX "notes WHERE" ALTER COLUMN 1 SET STATISTICS 77',
        "COMMENT ON INDEX notes_id IS E'why\\nmanaged by pgstead.ops.indexes'",
        "ALTER MATERIALIZED VIEW notes CLUSTER ON notes_id",
        "ALTER MATERIALIZED VIEW notes ALTER note SET STORAGE EXTERNAL, ALTER status SET COMPRESSION pglz",
        "ALTER MATERIALIZED VIEW notes ALTER id SET STATISTICS 500, ALTER total SET (n_distinct = 5)",
        "COMMENT ON COLUMN notes.total IS 'it''s in euro'",
        database="views",
    )
    yield shop
    shop.run("DROP DATABASE views WITH (FORCE)", "DROP TABLESPACE views_fast", "CREATE DATABASE views")


@pytest.mark.parametrize(
    ("more", "steps"), [([], [("fill", "notes"), ("swap", "notes")]), ([ABOVE], [("rebuild", "notes")])]
)
def test_how_a_materialised_view_is_stored_is_kept(
    stored: Server, more: list[dict[str, Any]], steps: list[tuple[str, str]]
) -> None:
    declare(stored, [NOTES, *more])
    before = ask(stored, STORED)
    again(stored, [{**NOTES, "query": f"{NOTES['query']} WHERE id > 10"}, *more], steps)
    assert ask(stored, STORED) == before
    assert ask(stored, "SELECT count(*), sum(length(note)) FROM notes") == [(90, sum(range(11, 101)))]


@first_and_last
@pytest.mark.parametrize("query", ["SELECT id, status::text AS status, total FROM orders", "SELECT 1 AS id"])
def test_an_index_on_a_column_that_goes_is_named_instead(stored: Server, query: str) -> None:
    declare(stored, [NOTES])
    for check in (True, False):
        with pytest.raises(SpecError, match=r"public\.notes is made again, without index notes WHERE on note"):
            declare(stored, [{**NOTES, "query": query}], check=check)


@first_and_last
def test_what_a_plain_view_cannot_have_is_told(stored: Server) -> None:
    declare(stored, [NOTES])
    done = again(stored, [{**NOTES, "materialized": False}], [("rebuild", "notes")])
    (said,) = done.warnings
    for word in (
        "public.notes",
        "index notes_id",
        "index notes WHERE",
        "fillfactor=70",
        "tablespace views_fast",
        "access method stack",
    ):
        assert word in said
    assert ask(stored, "SELECT obj_description('notes'::regclass), col_description('notes'::regclass, 3)") == [
        (None, "it's in euro")
    ]


@first_and_last
def test_what_a_column_of_another_type_cannot_have_is_told(stored: Server) -> None:
    declare(stored, [NOTES])
    stored.run('DROP INDEX "notes WHERE"', database="views")
    other = {**NOTES, "query": "SELECT id, 1 AS status, total, 2 AS note FROM orders"}
    done = again(stored, [other], [("fill", "notes"), ("swap", "notes")])
    assert list(done.warnings) == [
        "public.notes is made again without compression of column status, storage of column note"
    ]


@first_and_last
def test_what_cannot_be_given_back_is_named_instead(stored: Server) -> None:
    declare(stored, [NOTES])
    stored.run("CREATE STATISTICS both_of_them ON id, total FROM notes", database="views")
    for check in (True, False):
        with pytest.raises(SpecError, match=r"is made again, without statistics both_of_them: take that off before"):
            declare(stored, [{**NOTES, "query": f"{NOTES['query']} WHERE id > 10"}], check=check)
