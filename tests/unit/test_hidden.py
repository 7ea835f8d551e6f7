"""What of a host's configuration is not shown: values that can hold a secret, in warnings, diffs and the server's words."""

from __future__ import annotations

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import catalogue, hidden
from ansible_collections.pgstead.ops.plugins.module_utils._core.restore import why_it_ended

S, NEW = hidden.NOT_SHOWN, hidden.NEW


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("primary_conninfo", True),
        ("Primary_ConnInfo", True),
        ("citus.node_conninfo", True),
        ("app.jwt_secret", True),
        ("pg_failover_slots.primary_dsn", True),
        ("pgaudit_like.x", True),
        ("a.b.c", True),
        ("pgaudit.log", False),
        ("pg_stat_statements.max", False),
        ("Auto_Explain.log_format", False),
        ("cron.database_name", False),
        ("ssl_key_file", False),
        ("work_mem", False),
        ("search_path", False),
    ],
)
def test_what_can_hold_a_secret(name: str, secret: bool) -> None:
    assert hidden.may_hold_secret(name) is secret
    assert (hidden.shown(name, "x") == "x") is not secret


def test_of_postgresqls_own_settings() -> None:
    versions = range(catalogue.OLDEST, catalogue.NEWEST + 1)
    known = {name for version in versions for name in catalogue.parameters(version)}
    assert {name for name in known if hidden.may_hold_secret(name)} == {
        "archive_cleanup_command",
        "archive_command",
        "primary_conninfo",
        "recovery_end_command",
        "restore_command",
        "ssl_passphrase_command",
    }


def pair(before: str, after: str, name: str = "postgresql.conf") -> tuple[str, str]:
    entry = {"before": before, "after": after, "before_header": name, "after_header": f"/etc/postgresql/17/main/{name}"}
    found = hidden.without_secrets(entry)
    assert found.keys() == entry.keys()
    assert found["after_header"] == entry["after_header"]
    return found["before"], found["after"]


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ("work_mem = 4MB  # why\n", "work_mem = 4MB  # why\n"),
        ("primary_conninfo = 'host=x password=pw'\n", f"primary_conninfo = {S}\n"),
        ("  PRIMARY_CONNINFO='it''s \\' pw' # why\nport = 1\n", f"  PRIMARY_CONNINFO={S}\nport = 1\n"),
        ("primary_conninfo 'pw'", f"primary_conninfo {S}"),
        ("primary_conninfo'pw'", f"primary_conninfo{S}"),
        ("app.key = pw\nport = 1", f"app.key = {S}\nport = 1"),
        ("#primary_conninfo = 'pw'\n", f"#primary_conninfo = {S}\n"),
        ("port = 1  # was: primary_conninfo = 'pw'\n", f"port = 1  # was: primary_conninfo = {S}\n"),
        ("archive_command = 'pgbackrest %p'\n", "archive_command = 'pgbackrest %p'\n"),
        ("# archive_command is the backup role's\n", "# archive_command is the backup role's\n"),
        ("primary_conninfo\nport = 1\n", "primary_conninfo\nport = 1\n"),
        ("ssl_passphrase_command_supports_reload = on", "ssl_passphrase_command_supports_reload = on"),
        ("pgaudit.log = 'ddl'", "pgaudit.log = 'ddl'"),
        ("log_line_prefix = '%m a.b'", "log_line_prefix = '%m a.b'"),
        ("", ""),
    ],
)
def test_a_diff_of_settings(before: str, shown: str) -> None:
    assert pair(before, "") == (shown, "")
    assert pair(before, before) == (shown, shown)


def test_a_diff_tells_that_a_value_differs() -> None:
    found = pair("primary_conninfo = 'a'\napp.key = 'b'\n", "primary_conninfo = 'c'\napp.key = 'b'\nx.y = 1\n")
    assert found == (
        f"primary_conninfo = {S}\napp.key = {S}\n",
        f"primary_conninfo = {NEW}\napp.key = {S}\nx.y = {NEW}\n",
    )


@pytest.mark.parametrize(
    ("name", "before", "shown"),
    [
        ("pg_hba.conf", "host all all all ldap ldapserver=x ldapbindpasswd=pw\n", f"host all all all ldap ldapserver=x ldapbindpasswd={S}\n"),
        ("pg_hba.conf", 'host all all all ldap "ldapbindpasswd=p w" x\n', f'host all all all ldap "ldapbindpasswd={S}\n'),
        ("pg_hba.conf", "host all all all radius radiussecrets = pw", f"host all all all radius radiussecrets = {S}"),
        ("pg_hba.conf", "hostssl all all all scram-sha-256", "hostssl all all all scram-sha-256"),
        ("pg_ident.conf", "my.map /^(.*)@x$ \\1", "my.map /^(.*)@x$ \\1"),
        ("pgbouncer.ini", "shop = host=x PASSWORD='p w' port=1\n", f"shop = host=x PASSWORD={S}\n"),
        ("pgbouncer.ini", "auth_query = SELECT usename, passwd FROM x(1)", "auth_query = SELECT usename, passwd FROM x(1)"),
    ],
)  # fmt: skip
def test_a_diff_of_other_files(name: str, before: str, shown: str) -> None:
    assert pair(before, "", name) == (shown, "")


def test_a_diff_of_names_and_passwords_only_says_that_they_differ() -> None:
    assert pair('"shop" "pw"\n', '"postgres" ""\n', "userlist.txt") == ("", hidden.FILE)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('LOG:  parameter "primary_conninfo" changed to "password=pw"', f'LOG:  parameter "primary_conninfo" changed to {S}'),
        ('LOG:  parameter "work_mem" changed to "4MB"', 'LOG:  parameter "work_mem" changed to "4MB"'),
        ('FATAL:  invalid value for parameter "app.key": "pw"', f'FATAL:  invalid value for parameter "app.key": {S}'),
        ('FATAL:  unrecognized configuration parameter "a.b" in file "x" line 3', None),
        ("LOG:  statement: alter system set primary_conninfo to 'pw'", f"LOG:  statement: alter system set primary_conninfo to {S}"),
        ("STATEMENT:  ALTER SYSTEM SET app.key='pw'", f"STATEMENT:  ALTER SYSTEM SET app.key={S}"),
        ("DETAIL:  The failed archive command was: pgbackrest", None),
    ],
)  # fmt: skip
def test_the_servers_words(line: str, shown: str | None) -> None:
    assert hidden.without_values(line) == (shown or line)


def test_a_server_that_ended_for_a_setting_does_not_tell_it() -> None:
    told = 'FATAL:  invalid value for parameter "primary_conninfo": "pw"'
    said = why_it_ended([f"2026-01-02 UTC [1] {told}", "2026-01-02 UTC [1] FATAL:  no"])
    assert "pw" not in said
    assert S in said
    assert said.endswith("no")
