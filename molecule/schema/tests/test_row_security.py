"""Tenants are proven to be apart, on the host and through PgBouncer; and the proof fails when they are not."""

from __future__ import annotations

import re

import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server, play

PROBE, SCHEMA = "pgstead.ops.probe", "pgstead.ops.schema"
NOTHING = dict.fromkeys(VERSIONS, 0)
SESSION_WIDE = """
CREATE OR REPLACE FUNCTION app.set_user_context(user_id text, user_role text DEFAULT NULL) RETURNS void LANGUAGE sql AS
$$ SELECT set_config('app.tenant', coalesce(user_id, ''), false), set_config('app.user_role', '', false) $$
"""
MUTATIONS = {
    "a policy is gone": ("DROP POLICY documents_owner ON app.documents", "sees its rows"),
    "the owner is not held": ("ALTER TABLE app.documents NO FORCE ROW LEVEL SECURITY", "is forced on the owner"),
    "a context outlasts its transaction": (SESSION_WIDE, "rows without a context"),
    "a view of the owner's": ("ALTER VIEW app.my_documents RESET (security_invoker)", "app.my_documents"),
}
RECONNECT = "runuser -u postgres -- psql -X -h /run/pgbouncer -p 6432 pgbouncer -c RECONNECT"


def test_isolation_is_proven_directly_and_through_the_pooler() -> None:
    run = play(playbook=PROBE, schema_probes=500)
    assert run.code == 0, run.output
    assert run.changed == NOTHING, run.output
    assert "shop: isolation proven" in run.output
    assert re.search(r"passed +pooled +app\.documents +rows without a context +0", run.output), run.output
    assert "leaks in 250 random probes" in run.output


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_hole_is_found_and_the_next_run_closes_it(name: str, both: list[Server]) -> None:
    mutation, words = MUTATIONS[name]
    for server in both:
        if name == "a view of the owner's":
            server.sql("ALTER VIEW app.my_documents OWNER TO postgres", "shop")
        server.sql(mutation, "shop")
    run = play(playbook=PROBE, schema_probes=100)
    assert run.code != 0, run.output
    assert "isolation NOT proven" in run.output
    assert words in run.output
    for server in both:
        server.sql("ALTER VIEW app.my_documents OWNER TO shop_owner", "shop")
        # what a session was told stays in the pool's connections, and the proof would rightly fail on
        server.host.check_output(RECONNECT)
    assert play(playbook=SCHEMA).code == 0
    assert play(playbook=SCHEMA).changed == NOTHING
    assert play(playbook=PROBE, schema_probes=0).code == 0


def test_without_the_pooler_it_says_so_in_the_table() -> None:
    run = play(playbook=PROBE, schema_probes=0, schema_probe_pooler=False)
    assert run.code == 0, run.output
    assert "pooled" not in run.output


def test_the_lint_reads_every_database_and_its_score_can_fail_a_run() -> None:
    run = play(playbook="pgstead.ops.lint")
    assert run.code == 0, run.output
    assert run.changed == NOTHING, run.output
    assert "shop: score " in run.output
    assert "foreign_key_without_index:app.orders.orders_currency_fkey" in run.output
    failing = play(playbook="pgstead.ops.lint", schema_lint_minimum_score=101)
    assert failing.code != 0
    assert "schema_lint_minimum_score is 101" in failing.output
