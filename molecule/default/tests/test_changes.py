"""What happens when the inventory, the database or the host changes between two runs."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import Server, play, servers

RUNS = {
    "site": ("pgstead.ops.site",),
    "site in check mode": ("pgstead.ops.site", "--check", "--diff"),
    "server alone": ("pgstead.ops.provision", "--tags", "postgresql"),
    "pooler alone": ("pgstead.ops.provision", "--tags", "pgbouncer"),
}


@pytest.mark.parametrize("name", RUNS)
def test_another_run_changes_nothing(name: str) -> None:
    playbook, *arguments = RUNS[name]
    run = play(*arguments, playbook=playbook)
    assert run.code == 0, run.output
    assert run.changed == {"pgstead-bookworm": 0, "pgstead-trixie": 0}, run.output


@pytest.mark.usefixtures("restored")
def test_a_reloadable_setting_is_reloaded_and_predicted(both: list[Server]) -> None:
    before = [server.started() for server in both]
    files = [server.files() for server in both]
    check = play("--check", "--diff", postgresql_settings={"work_mem": "3MB"})
    # the file, and its explanation in settings.json
    assert check.changed == {server.name: 2 for server in both}, check.output
    assert "+work_mem = '3MB'" in check.output
    assert [server.files() for server in both] == files
    run = play("--diff", postgresql_settings={"work_mem": "3MB"})
    assert run.code == 0, run.output
    assert run.changed == check.changed
    assert [server.sql("SHOW work_mem") for server in both] == ["3MB", "3MB"]
    assert [server.started() for server in both] == before


@pytest.mark.usefixtures("restored")
def test_a_restart_only_setting_restarts_only_when_the_policy_allows(both: list[Server]) -> None:
    before = [server.started() for server in both]
    wanted = {"max_worker_processes": 11}
    waiting = play(postgresql_settings=wanted, postgresql_restart_policy="never")
    assert waiting.code == 0, waiting.output
    assert "max_worker_processes" in waiting.output
    assert [server.started() for server in both] == before
    assert [
        server.sql("SELECT pending_restart FROM pg_settings WHERE name = 'max_worker_processes'") for server in both
    ] == [
        "t",
        "t",
    ]
    still = play(postgresql_settings=wanted, postgresql_restart_policy="never")
    assert still.changed == {server.name: 0 for server in both}, still.output
    run = play(postgresql_settings=wanted)
    assert run.code == 0, run.output
    assert [server.sql("SHOW max_worker_processes") for server in both] == ["11", "11"]
    assert all(server.started() != start for server, start in zip(both, before, strict=True))


@pytest.mark.usefixtures("restored")
def test_audited_classes_of_statements_are_logged(both: list[Server]) -> None:
    wanted = {"postgresql_audit_statements": ["ddl", "role"]}
    check = play("--check", **wanted)
    assert check.code == 0, check.output
    run = play(**wanted)
    assert run.code == 0, run.output
    assert run.changed == check.changed, check.output + run.output
    for server in both:
        # one at a time: of a string of several, pgaudit logs the whole with each
        for statement in (
            "CREATE TABLE audited (id int)",
            "SELECT count(*) FROM audited",
            "DROP TABLE audited",
            "CREATE ROLE audited PASSWORD 'must not be seen'",
            "DROP ROLE audited",
        ):
            server.sql(statement)
        logged = server.host.check_output("grep -rh AUDIT: /var/log/postgresql/%s-main", str(server.version))
        assert "CREATE TABLE audited" in logged
        assert "CREATE ROLE audited" in logged
        assert "must not be seen" not in logged
        assert "SELECT count" not in logged


@pytest.mark.usefixtures("restored")
def test_what_drifted_in_the_database_is_put_back(both: list[Server]) -> None:
    for server in both:
        server.sql("ALTER ROLE shop_app PASSWORD 'somebody changed it' CREATEDB")
        server.sql("ALTER ROLE shop_owner LOGIN")
        server.sql("REVOKE CONNECT ON DATABASE shop FROM shop_app; GRANT CONNECT ON DATABASE shop TO PUBLIC")
        server.sql("CREATE TABLE app.foreign_hand (id int); GRANT CREATE ON SCHEMA public TO PUBLIC", "shop")
        with pytest.raises(psycopg2.OperationalError):
            server.connect(port=5432)
    run = play()
    assert run.code == 0, run.output
    for server in both:
        assert server.ask("SELECT count(*) FROM app.foreign_hand", port=5432) == [(0,)]
        assert server.sql("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'shop_app'") == "f"
        assert server.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'shop_owner'") == "f"
        assert server.sql("SELECT has_schema_privilege('public', 'public', 'CREATE')", "shop") == "f"
        server.sql("DROP TABLE app.foreign_hand", "shop")
    assert play().changed == {server.name: 0 for server in both}


@pytest.mark.usefixtures("restored")
def test_a_lookup_function_somebody_changed_is_put_back(both: list[Server]) -> None:
    for server in both:
        database = "postgres" if server.name == "pgstead-trixie" else "shop"
        server.sql("GRANT EXECUTE ON FUNCTION pgbouncer.lookup(text) TO PUBLIC", database)
        server.sql("ALTER FUNCTION pgbouncer.lookup(text) RESET search_path", database)
    run = play("--tags", "pgbouncer")
    assert run.changed == {server.name: 1 for server in both}, run.output
    assert play("--tags", "pgbouncer").changed == {server.name: 0 for server in both}


@pytest.mark.usefixtures("restored")
def test_a_certificate_is_renewed_before_it_expires_and_served_by_both(server: Server) -> None:
    def served(port: int) -> str:
        argv = ["openssl", "s_client", "-starttls", "postgres", "-connect", f"{server.address}:{port}"]
        shown = subprocess.run(argv, input="", capture_output=True, text=True, check=False).stdout
        return subprocess.run(
            ["openssl", "x509", "-noout", "-serial"], input=shown, capture_output=True, text=True, check=True
        ).stdout

    before = served(6432)
    assert before == served(5432)
    run = play("--limit", server.name, postgresql_tls_renew_days=398)
    assert run.code == 0, run.output
    assert served(5432) != before
    assert served(6432) == served(5432)


@pytest.mark.usefixtures("restored")
def test_a_line_in_auto_conf_against_the_inventory_is_reported(both: list[Server]) -> None:
    for server in both:
        server.sql("ALTER SYSTEM SET work_mem = '1MB'")
    run = play()
    for server in both:
        server.sql("ALTER SYSTEM RESET work_mem")
    assert run.code == 0, run.output
    assert "work_mem = 1024 in postgresql.auto.conf overrides" in run.output or "work_mem = 1MB in" in run.output


@pytest.mark.usefixtures("restored")
def test_the_pooler_reloads_for_a_size_and_restarts_for_its_port(both: list[Server]) -> None:
    def pids() -> list[int]:
        return [server.host.process.get(comm="pgbouncer").pid for server in both]

    before = pids()
    run = play("--tags", "pgbouncer", pgbouncer_default_pool_size=7)
    assert run.code == 0, run.output
    assert pids() == before
    assert all("default_pool_size = 7" in s.host.file("/etc/pgbouncer/pgbouncer.ini").content_string for s in both)
    run = play("--tags", "pgbouncer", pgbouncer_port=6433)
    assert run.code == 0, run.output
    assert all(new != old for new, old in zip(pids(), before, strict=True))
    assert [server.ask("SELECT 1", port=6433) for server in both] == [[(1,)], [(1,)]]


def cancel_once_it_runs(server: Server, connection: Any) -> None:
    """The pooler may be connecting still, and a cancel that comes before the query is none."""
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(20)'"
    while server.sql(running) == "0":
        time.sleep(0.1)
    connection.cancel()


@pytest.mark.usefixtures("restored")
def test_several_pooler_processes_share_the_port_and_cancel_finds_its_process() -> None:
    trixie = next(server for server in servers() if server.name == "pgstead-trixie")
    run = play("--limit", trixie.name, pgbouncer_processes=2, pgbouncer_default_pool_size=10)
    assert run.code == 0, run.output
    assert len(trixie.host.process.filter(comm="pgbouncer")) == 2
    for _attempt in range(8):
        connection = trixie.connect()
        with connection.cursor() as cursor:
            threading.Thread(target=cancel_once_it_runs, args=(trixie, connection), daemon=True).start()
            with pytest.raises(psycopg2.errors.QueryCanceled, match="user request"):
                cursor.execute("SELECT pg_sleep(20)")
        connection.close()
    again = play("--limit", trixie.name, pgbouncer_processes=2, pgbouncer_default_pool_size=10)
    assert again.changed == {trixie.name: 0}, again.output
