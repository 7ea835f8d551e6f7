"""What a converged host is: who gets in and how, which settings are in force, who may read what."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.pgstead.ops.molecule.shared.hosts import Server, password
from ansible_collections.pgstead.ops.plugins.module_utils._core.catalogue import in_base_unit, parameters


def test_client_gets_in_with_scram_over_verified_tls(server: Server, tmp_path: Path) -> None:
    certificate = server.certificate(tmp_path)
    for port in (6432, 5432):
        rows = server.ask(
            "SELECT current_user, current_database()", port=port, sslmode="verify-full", sslrootcert=certificate
        )
        assert rows == [("shop_app", "shop")]


def test_pooler_reaches_the_server_over_tls_where_it_uses_tcp(server: Server) -> None:
    over_tls = server.ask("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0]
    assert over_tls is (server.name == "pgstead-trixie")


@pytest.mark.parametrize("port", [6432, 5432])
def test_client_without_tls_is_refused(server: Server, port: int) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"(?i)ssl|no encryption"):
        server.connect(port=port, sslmode="disable")


@pytest.mark.parametrize("port", [6432, 5432])
def test_wrong_password_is_refused(server: Server, port: int) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"(?i)authentication failed"):
        server.connect(port=port, password="wrong-password")


@pytest.mark.parametrize("user", ["postgres", "pgbouncer_auth", "pgstead_monitor", "shop_owner"])
def test_nobody_else_gets_in_from_outside(server: Server, user: str) -> None:
    for port in (6432, 5432):
        with pytest.raises(psycopg2.OperationalError):
            server.connect(port=port, user=user)


def test_lookup_is_no_way_into_the_database_postgres(server: Server) -> None:
    with pytest.raises(psycopg2.OperationalError):
        server.connect(dbname="pgb_auth")


def test_every_rendered_setting_is_in_force(server: Server) -> None:
    rendered = json.loads(server.host.file("/etc/pgstead/settings.json").content_string)
    assert len(rendered) > 80
    shown = json.loads(server.sql("SELECT json_object_agg(lower(name), setting) FROM pg_settings"))
    known = parameters(server.version)
    for setting in rendered:
        name = setting["name"].lower()
        assert setting["reason"], name
        if known[name].kind in ("integer", "real") and not setting["value"].startswith("0"):
            assert in_base_unit(known[name], setting["value"]) == pytest.approx(float(shown[name])), name
        else:
            assert setting["value"].lower() == shown[name].lower(), name
    assert server.sql("SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"
    errors = "SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL"
    assert server.sql(errors) == "0"
    assert server.sql("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL") == "0"


def test_pooler_has_every_rendered_setting_in_force(server: Server) -> None:
    command = "runuser -u postgres -- psql -XAt -F = -h /run/pgbouncer -p 6432 pgbouncer -c %s"
    shown = dict(line.split("=")[:2] for line in server.host.check_output(command, "SHOW CONFIG").splitlines())
    text = server.host.file("/etc/pgbouncer/pgbouncer.ini").content_string.split("[pgbouncer]")[1]
    lines = [line.split(" = ", 1) for line in text.splitlines() if " = " in line and not line.startswith(";")]
    assert len(lines) > 25
    # auth_query holds an equals sign of its own nowhere; everything else must be the same text
    assert {name: value.strip() for name, value in lines if shown[name] != value.strip()} == {}


def test_data_has_checksums_and_the_chosen_locale(server: Server) -> None:
    assert server.sql("SHOW data_checksums") == "on"
    assert server.sql("SELECT datcollate FROM pg_database WHERE datname = 'shop'") == "C.UTF-8"


def test_application_owns_nothing_and_reads_and_writes_what_the_owner_makes(server: Server) -> None:
    server.sql(
        "SET ROLE shop_owner; CREATE TABLE IF NOT EXISTS app.proof (id bigserial PRIMARY KEY, note text)", "shop"
    )
    assert server.ask("INSERT INTO app.proof (note) VALUES ('x') RETURNING note") == [("x",)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        server.ask("CREATE TABLE app.mine (id int)")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        server.ask("CREATE TABLE public.mine (id int)")
    assert server.ask("SELECT count(*) > 0 FROM app.proof", user="shop_readonly") == [(True,)]
    with pytest.raises(psycopg2.Error, match=r"read-only|permission denied"):
        server.ask("INSERT INTO app.proof (note) VALUES ('y') RETURNING 1", user="shop_readonly")
    server.sql("DROP TABLE app.proof", "shop")


def test_role_attributes_limits_and_timeouts(server: Server) -> None:
    rows = server.sql(
        "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls, "
        "rolconnlimit FROM pg_roles WHERE rolname IN ('shop_owner', 'shop_app', 'pgstead_monitor') ORDER BY 1"
    ).splitlines()
    assert rows == ["pgstead_monitor|t|f|-1", "shop_app|t|f|60", "shop_owner|f|f|-1"]
    assert server.ask("SHOW statement_timeout", port=5432) == [("30s",)]
    assert server.ask("SHOW idle_in_transaction_session_timeout", port=5432) == [("1min",)]
    assert server.sql("SELECT pg_has_role('pgstead_monitor', 'pg_monitor', 'MEMBER')") == "t"


def test_jobs_reach_server_and_pooler_by_peer(server: Server) -> None:
    monitor = "runuser -u pgstead -- psql -XAt -U pgstead_monitor -d shop -c 'SELECT current_user'"
    assert server.host.check_output(monitor) == "pgstead_monitor"
    version = "runuser -u pgstead -- psql -XAt -h /run/pgbouncer -p 6432 pgbouncer -c 'SHOW VERSION'"
    assert "PgBouncer" in server.host.check_output(version)
    assert server.host.run("runuser -u pgstead -- psql -XAt -U postgres -c 'SELECT 1'").rc != 0


def test_pooler_runs_as_a_user_of_its_own_with_enough_files(server: Server) -> None:
    process = server.host.process.get(comm="pgbouncer")
    assert process.user == "pgbouncer"
    limits = server.host.file(f"/proc/{process.pid}/limits").content_string
    files = next(line for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(files.split()[3]) >= 4096
    assert server.host.run("runuser -u pgbouncer -- psql -XAt -U postgres -d postgres -c 'SELECT 1'").rc != 0


def test_certificate_and_secrets_are_nobodys_to_read(server: Server) -> None:
    key = server.host.file("/etc/pgstead/tls/server.key")
    assert (key.user, key.group, key.mode) == ("root", "ssl-cert", 0o640)
    for path in ("/etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/userlist.txt", f"{server.configuration}/pg_hba.conf"):
        assert server.host.file(path).mode & 0o007 == 0, path
    assert server.host.file(f"/var/lib/postgresql/{server.version}/main").mode == 0o700


def test_no_secret_lies_anywhere_on_the_host(server: Server) -> None:
    server.ask("SELECT 1")
    # the pattern goes in by standard input: on a command line it would itself end in the journal
    places = "/etc /var/log /var/lib/pgstead /run /tmp /root"
    assert server.grep(f"grep -rlFf - {places}", password()) == ""
    assert server.grep("ps -eo args | grep -Ff -", password()) == ""
    server.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    # SCRAM verifiers stay out of statistics and server log too
    assert server.sql("SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%SCRAM-SHA-256$4096%'") == "0"
    assert server.host.run("grep -rlF 'SCRAM-SHA-256$4096' /var/log").stdout == ""


def test_log_is_structured_and_has_no_parameter_values(server: Server) -> None:
    server.ask("SELECT pg_sleep(0.2)", port=5432)
    connection = server.connect(port=5432)
    with connection.cursor() as cursor:
        cursor.execute("PREPARE slow(text) AS SELECT pg_sleep(0.2), $1")
        cursor.execute("EXECUTE slow('p4rameter')")
    connection.close()
    lines = server.host.check_output(f"cat /var/log/postgresql/{server.version}-main/*.json").splitlines()
    records = [json.loads(line) for line in lines]
    assert any("pg_sleep" in record.get("message", "") and "duration" in record["message"] for record in records)
    assert any("connection authenticated" in record.get("message", "") for record in records)
    assert not any("Parameters" in record.get("detail", "") for record in records)


def test_evidence_of_the_configuration_is_kept(server: Server) -> None:
    first = server.host.check_output("ls -1 /var/lib/pgstead/evidence/*-configuration.json | head -1")
    record = json.loads(server.host.file(first).content_string)
    assert record["schema"] == 1
    assert record["status"] == "ok"
    assert record["facts"]["cluster"] == f"{server.version}/main"
    assert server.host.file(first.replace(".json", ".html")).contains("scratch cluster")


@pytest.mark.parametrize("user", ["postgres", "pgstead", "pgbouncer_auth"])
@pytest.mark.parametrize("database", ["pgbouncer", "shop"])
def test_roles_of_the_pooler_itself_are_turned_away_at_the_network(server: Server, user: str, database: str) -> None:
    """By the line for them, before any password counts: PgBouncer knows them with an empty one.

    Its console asks first who may use it at all: a user it knows who may not is "not allowed" before that line.
    """
    with pytest.raises(psycopg2.OperationalError, match=r"login rejected|not allowed"):
        server.connect(user=user, dbname=database)
