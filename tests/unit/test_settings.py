"""Settings: merged, checked, quoted, read back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import settings as s
from ansible_collections.pgstead.ops.plugins.module_utils._core.tuning import Setting

LOADED = "a = 1\nshared_preload_libraries = 'pg_stat_statements, pgaudit'\n"


@pytest.mark.parametrize(
    ("libraries", "left"),
    [([], "pg_stat_statements, pgaudit"), (["pgaudit"], "pg_stat_statements"), (["pgaudit", "pg_stat_statements"], "")],
)
def test_a_text_without_some_of_its_libraries(libraries: list[str], left: str) -> None:
    found = s.parse(s.without_libraries(LOADED, libraries))
    assert found == {"a": "1", "shared_preload_libraries": left}


COMPUTED = (
    Setting("work_mem", "4MB", "computed"),
    Setting("TimeZone", "Etc/UTC", "computed"),
    Setting("archive_command", "/bin/true", "no repository", "wal"),
)
BACKUP = s.Fragment(
    "backup", {"archive_command": ("pgbackrest push %p", "the repository"), "wal_level": ("logical", "cdc")}
)
WATCH = s.Fragment("metrics", {"track_io_timing": ("on", "graphs")})


def merged(*fragments: s.Fragment, **overrides: object) -> dict[str, Setting]:
    found, problems = s.merge(COMPUTED, fragments, overrides)
    assert problems == ()
    return {setting.name: setting for setting in found}


def complaints(*fragments: s.Fragment, **overrides: object) -> list[str]:
    return [str(problem) for problem in s.merge(COMPUTED, fragments, overrides)[1]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "on"), (False, "off"), (1, "1"), (0, "0"), (0.05, "0.05"), ("64MB", "64MB"), ("on", "on"), ("", "")],
)
def test_as_text(value: object, expected: str) -> None:
    assert s.as_text(value) == expected


def test_nothing_to_merge_keeps_order_and_values() -> None:
    assert s.merge(COMPUTED, (), {}) == (COMPUTED, ())


def test_a_fragment_lies_over_computed_settings() -> None:
    found = merged(BACKUP, WATCH)
    assert list(found) == ["work_mem", "TimeZone", "archive_command", "wal_level", "track_io_timing"]
    assert found["archive_command"] == Setting(
        "archive_command", "pgbackrest push %p", "the repository", "fragment backup"
    )


def test_an_override_lies_over_both_and_says_what_was_computed() -> None:
    found = merged(WATCH, work_mem="8MB", timezone="Etc/UTC", jit=False)
    assert found["work_mem"] == Setting("work_mem", "8MB", "postgresql_settings; computed was 4MB", "inventory")
    assert found["TimeZone"] == Setting("TimeZone", "Etc/UTC", "postgresql_settings", "inventory")
    assert found["jit"] == Setting("jit", "off", "postgresql_settings", "inventory")


@pytest.mark.parametrize("value", ["on", True])
def test_agreement_is_no_conflict(value: object) -> None:
    same = s.Fragment("other", {"TRACK_IO_TIMING": ("on", "too")})
    assert complaints(WATCH, same, track_io_timing=value) == []


def test_fragments_that_contradict() -> None:
    other = s.Fragment("replication", {"WAL_LEVEL": ("replica", "")})
    (found,) = complaints(BACKUP, other)
    assert found == "fragment replication: WAL_LEVEL = replica contradicts fragment backup, which needs logical"


def test_an_override_that_contradicts_a_fragment() -> None:
    found, problems = s.merge(COMPUTED, [WATCH], {"track_io_timing": False})
    assert [str(p) for p in problems] == [
        "postgresql_settings.track_io_timing: contradicts fragment metrics, which needs on"
    ]
    assert found[-1].value == "on"


@pytest.mark.parametrize("name", [*s.RESERVED, "PORT", "Wal_Level"])
def test_reserved_settings_say_what_to_use(name: str) -> None:
    found, problems = s.merge(COMPUTED, (), {name: "x"})
    assert found == COMPUTED
    (problem,) = problems
    assert problem.where == f"postgresql_settings.{name}"
    assert problem.what == f"cannot be set here: {s.RESERVED[name.lower()]}"
    assert s.RESERVED[name.lower()]


@pytest.mark.parametrize("name", ["", "work mem", "work_mem\n", "a.b.c", "1st", "a=b", "x.", "include 'y'"])
def test_names_that_are_none(name: str) -> None:
    (found,) = complaints(**{name: "1"})
    assert found == f"postgresql_settings.{name}: is not a setting's name"


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}])
def test_values_that_are_none(value: Any) -> None:
    (found,) = complaints(log_line_prefix=value)
    assert found == "postgresql_settings.log_line_prefix: needs a value: a text, a number or a boolean"


def test_all_conflicts_come_together() -> None:
    other = s.Fragment("replication", {"wal_level": ("replica", "")})
    assert len(complaints(BACKUP, other, WATCH, fsync=False, port=1, track_io_timing="off")) == 4


@pytest.mark.parametrize(
    ("setting", "where", "said"),
    [
        (Setting("wrok_mem", "4MB", "", "inventory"), "postgresql_settings.wrok_mem", "work_mem"),
        (Setting("work_mem", "4mb", "", "inventory"), "postgresql_settings.work_mem", "B, kB, MB, GB, TB"),
        (Setting("work_mem", "1kB", "", "fragment x"), "fragment x.work_mem", "outside 64"),
        (Setting("log_line_prefix", "a\nb", "", "inventory"), "postgresql_settings.log_line_prefix", "line break"),
        (Setting("log_line_prefix", "a\0b", "", "inventory"), "postgresql_settings.log_line_prefix", "line break"),
        (
            Setting("timescaledb.x", "1", "", "inventory"),
            "postgresql_settings.timescaledb.x",
            "postgresql_preload_libraries",
        ),
    ],
)
def test_check_names_who_brought_it(setting: Setting, where: str, said: str) -> None:
    (problem,) = s.check([Setting("jit", "on", ""), setting], 17, ["auto_explain"])
    assert problem.where == where
    assert said in problem.what


def test_check_lets_a_preloaded_library_speak_for_itself() -> None:
    assert s.check([Setting("timescaledb.x", "1", "")], 17, ["timescaledb"]) == ()


@pytest.mark.parametrize(
    ("names", "version", "expected"),
    [
        (["shared_buffers", "work_mem"], 17, ("shared_buffers",)),
        (["SHARED_BUFFERS"], 14, ("SHARED_BUFFERS",)),
        (["autovacuum_max_workers"], 17, ("autovacuum_max_workers",)),
        (["autovacuum_max_workers"], 18, ()),
        (["autovacuum_worker_slots"], 18, ("autovacuum_worker_slots",)),
        (
            ["max_connections", "listen_addresses", "wal_level"],
            18,
            ("max_connections", "listen_addresses", "wal_level"),
        ),
        (["log_connections", "max_wal_size", "ssl_cert_file", "jit", "timescaledb.x"], 17, ()),
        ([], 17, ()),
    ],
)
def test_needs_restart(names: list[str], version: int, expected: tuple[str, ...]) -> None:
    assert s.needs_restart(names, version) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("on", "on"),
        ("replica", "replica"),
        ("100", "100"),
        ("-1", "-1"),
        ("0.9", "0.9"),
        ("64MB", "'64MB'"),
        ("15min", "'15min'"),
        ("", "''"),
        ("scram-sha-256", "'scram-sha-256'"),
        ("it's", "'it''s'"),
        ("C:\\x", "'C:\\\\x'"),
        ("\\'", "'\\\\'''"),
        ("a # b", "'a # b'"),
        ("/bin/true", "'/bin/true'"),
        ("%m [%p] ", "'%m [%p] '"),
        ("on\n", "'on\n'"),
    ],
)
def test_literal(value: str, expected: str) -> None:
    assert s.literal(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# work_mem = 4MB\n", {}),
        ("work_mem = 4MB # why\n", {"work_mem": "4MB"}),
        ("Work_Mem 4MB\n", {"work_mem": "4MB"}),
        ("  a='x' # it's\nb = 2", {"a": "x", "b": "2"}),
        ("a = 1\na = 2\n", {"a": "2"}),
        ("x.y = ''\n", {"x.y": ""}),
        ("a = 'it''s \\\\ # x'\n", {"a": "it's \\ # x"}),
    ],
)
def test_parse(text: str, expected: dict[str, str]) -> None:
    assert s.parse(text) == expected


LINE = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]))
HOSTILE = st.text("'\\\"#= \t\r;on0x1MB.-$%é")


@given(st.lists(LINE | HOSTILE, min_size=1, max_size=5))
@example(["\\", "'", "\\'", "'\\", "''", "\\\\", "# '", "a' # b = 1"])
@example(["\u2028", "\x85", "\x0c", "\r", "٣"])
def test_what_is_written_reads_back(values: list[str]) -> None:
    text = "".join(f"# it's a comment\nname_{n} = {s.literal(value)}\t# it's why\n" for n, value in enumerate(values))
    assert s.parse(text) == {f"name_{n}": value for n, value in enumerate(values)}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a = 1", "a = 1", ()),
        ("a = 1", "A = '1' # new comment", ()),
        ("a = 1\nb = 2\nc = 3", "b = 3\nc = 3\nd = 4", ("a", "b", "d")),
        ("", "a = ''", ("a",)),
    ],
)
def test_changed_names(before: str, after: str, expected: tuple[str, ...]) -> None:
    assert s.changed_names(before, after) == expected


def test_what_alter_system_left_is_proven_without_files_of_the_clusters_own() -> None:
    altered = """# Do not edit this file manually!
shared_buffers = '900GB'
search_path = '"$user", it''s'
archive_command = 'cp \\\\x %p'
ssl_cert_file = 'server.crt'
SSL_KEY_FILE = '/etc/ssl/x.key'
log_directory = 'log'
krb_server_keyfile = 'x'
"""
    kept = s.for_scratch(altered)
    assert s.parse(kept) == {
        "shared_buffers": "900GB",
        "search_path": '"$user", it\'s',
        "archive_command": "cp \\x %p",
        "ssl_key_file": "/etc/ssl/x.key",
    }
    assert s.for_scratch(kept) == kept
    assert s.for_scratch("") == ""
