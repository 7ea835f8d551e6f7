"""What PostgreSQL 14 to 18 know about their settings."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import catalogue

ALL = range(catalogue.OLDEST, catalogue.NEWEST + 1)
LIBRARIES = ("pg_stat_statements", "auto_explain")


def complaint(name: str, value: str, version: int = 17, libraries: tuple[str, ...] = LIBRARIES) -> str | None:
    return catalogue.complaint(version, name, value, libraries)


@pytest.mark.parametrize("version", ALL)
def test_every_entry_is_whole(version: int) -> None:
    known = catalogue.parameters(version)
    assert len(known) > 330
    for name, parameter in known.items():
        assert name == parameter.name.lower()
        assert (parameter.minimum is not None) is (parameter.kind in ("integer", "real"))
        assert (parameter.maximum is not None) is (parameter.kind in ("integer", "real"))
        assert bool(parameter.words) is (parameter.kind == "enum")
        if parameter.minimum is not None and parameter.maximum is not None:
            assert parameter.minimum <= parameter.maximum
        assert parameter.unit in ("", *catalogue.SIZE_UNITS, *catalogue.TIME_UNITS)


@pytest.mark.parametrize(
    ("name", "majors"),
    [
        ("work_mem", [14, 15, 16, 17, 18]),
        ("stats_temp_directory", [14]),
        ("force_parallel_mode", [14, 15]),
        ("archive_library", [15, 16, 17, 18]),
        ("old_snapshot_threshold", [14, 15, 16]),
        ("reserved_connections", [16, 17, 18]),
        ("summarize_wal", [17, 18]),
        ("io_method", [18]),
        ("db_user_namespace", [14, 15, 16]),
    ],
)
def test_which_major_has_what(name: str, majors: list[int]) -> None:
    assert [version for version in ALL if name in catalogue.parameters(version)] == majors


def test_entries_that_changed_between_majors() -> None:
    assert catalogue.parameters(14)["wal_compression"].kind == "bool"
    assert catalogue.parameters(15)["wal_compression"].kind == "enum"
    assert catalogue.parameters(17)["autovacuum_max_workers"].needs_restart
    assert not catalogue.parameters(18)["autovacuum_max_workers"].needs_restart
    assert catalogue.parameters(17)["log_connections"].kind == "bool"
    assert catalogue.parameters(18)["log_connections"].kind == "string"
    assert catalogue.parameters(16)["maintenance_work_mem"].minimum == 1024
    assert catalogue.parameters(17)["maintenance_work_mem"].minimum == 64


def test_wrapped_words_are_whole() -> None:
    words = catalogue.parameters(17)["default_transaction_isolation"].words
    assert words == ("serializable", "repeatable read", "read committed", "read uncommitted")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("work_mem", "64kB"),
        ("work_mem", "64"),
        ("WORK_MEM", "1.5GB"),
        ("autovacuum_work_mem", "-1"),
        ("shared_buffers", "16"),
        ("max_wal_size", "2MB"),
        ("wal_buffers", "-1"),
        ("statement_timeout", "0"),
        ("statement_timeout", "30s"),
        ("checkpoint_timeout", "30"),
        ("checkpoint_timeout", "1d"),
        ("log_rotation_age", "1d"),
        ("max_connections", "100"),
        ("max_connections", "1e2"),
        ("max_connections", "0x64"),
        ("log_file_mode", "0640"),
        ("log_file_mode", "0777"),
        ("random_page_cost", "1.1"),
        ("random_page_cost", ".5"),
        ("checkpoint_completion_target", "0.9"),
        ("jit", "ON"),
        ("jit", "no"),
        ("jit", "1"),
        ("huge_pages", "try"),
        ("huge_pages", "true"),
        ("wal_level", "Logical"),
        ("ssl_max_protocol_version", ""),
        ("log_line_prefix", "anything at all"),
        ("pg_stat_statements.max", "10000"),
        ("auto_explain.log_format", "json"),
    ],
)
def test_accepted(name: str, value: str) -> None:
    assert complaint(name, value) is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("work_mem", "4mb", ["'4mb'", "B, kB, MB, GB, TB"]),
        ("work_mem", "4 megs", ["'4 megs'", "B, kB, MB, GB, TB"]),
        ("work_mem", "30s", ["'30s'", "B, kB, MB, GB, TB"]),
        ("work_mem", "63kB", ["63kB", "64 …", "kB, MB"]),
        ("work_mem", "-4MB", ["-4MB", "outside"]),
        ("work_mem", "3TB", ["3TB", "outside"]),
        ("work_mem", "", ["not a number"]),
        ("autovacuum_work_mem", "-2", ["-2", "outside -1 …"]),
        ("statement_timeout", "5MB", ["us, ms, s, min, h, d"]),
        ("statement_timeout", "5m", ["us, ms, s, min, h, d"]),
        ("statement_timeout", "-1", ["outside 0 …", "min"]),
        ("checkpoint_timeout", "29s", ["outside 30 … 86400 s"]),
        ("checkpoint_timeout", "25h", ["outside 30 … 86400 s"]),
        ("max_connections", "0", ["outside 1 … 262143"]),
        ("max_connections", "262144", ["outside 1 … 262143"]),
        ("max_connections", "100MB", ["takes no unit"]),
        ("max_connections", "many", ["not a number"]),
        ("max_connections", "1/2", ["not a number"]),
        ("max_connections", "1_000", ["not a number"]),
        ("max_connections", "inf", ["not a number"]),
        ("log_file_mode", "01000", ["outside 0 … 511"]),
        ("log_file_mode", "640", ["outside 0 … 511"]),
        ("checkpoint_completion_target", "1.01", ["outside 0 … 1"]),
        ("jit", "maybe", ["'maybe'", "on or off"]),
        ("jit", "2", ["on or off"]),
        ("wal_level", "hot_standby", ["'hot_standby'", "minimal, replica, logical"]),
        ("wal_level", "on", ["minimal, replica, logical"]),
        ("wal_compression", "gzip", ["pglz, lz4, zstd, on, off"]),
        ("wrok_mem", "4MB", ["no such setting", "work_mem"]),
        ("qqqqqq", "1", ["no such setting", "PostgreSQL 17"]),
        ("io_method", "worker", ["PostgreSQL 17", "exists in 18"]),
        ("old_snapshot_threshold", "1h", ["PostgreSQL 17", "exists in 14, 15, 16"]),
        ("pg_stat_statements.maximum", "1", ["no such setting", "pg_stat_statements.max"]),
        ("auto_explain.nothing", "1", ["no such setting"]),
        ("timescaledb.x", "1", ["'timescaledb'", "postgresql_preload_libraries"]),
    ],
)
def test_refused_with_accepted_values(name: str, value: str, said: list[str]) -> None:
    found = complaint(name, value)
    assert found is not None
    assert all(word in found for word in said)


@pytest.mark.parametrize(("version", "accepted"), [(14, False), (15, True), (18, True)])
def test_lz4_needs_15(version: int, accepted: bool) -> None:
    assert (complaint("wal_compression", "lz4", version) is None) is accepted


@pytest.mark.parametrize(
    ("name", "library", "accepted"),
    [
        ("timescaledb.max_background_workers", "timescaledb", True),
        ("timescaledb.max_background_workers", "citus", False),
        ("cron.database_name", "pg_cron", True),  # its settings have another prefix
        ("cron.database_name", "cron", False),
    ],
)
def test_settings_of_libraries(name: str, library: str, accepted: bool) -> None:
    assert (complaint(name, "x", libraries=(*LIBRARIES, library)) is None) is accepted


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("shared_buffers", "1MB", 128),
        ("shared_buffers", "128", 128),
        ("work_mem", "-1", -1),
        ("checkpoint_timeout", "5min", 300),
        ("statement_timeout", "1s", 1000),
        ("log_rotation_age", "1h", 60),
        ("log_file_mode", "0640", 0o640),
        ("random_page_cost", "1.1", Fraction(11, 10)),
    ],
)
def test_in_base_unit(name: str, value: str, expected: Fraction) -> None:
    assert catalogue.in_base_unit(catalogue.parameters(17)[name], value) == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("work_mem", "units B, kB, MB, GB, TB"),
        ("statement_timeout", "units us, ms, s, min, h, d"),
        ("max_connections", "no unit"),
    ],
)
def test_accepted_units(name: str, said: str) -> None:
    assert catalogue.accepted_units(catalogue.parameters(17)[name]) == said
