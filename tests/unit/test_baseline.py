"""Settings that follow from decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import baseline as b
from ansible_collections.pgstead.ops.plugins.module_utils._core import catalogue
from ansible_collections.pgstead.ops.plugins.module_utils._core.tuning import Resources, tune

GB = 1024**3
INSTANCE = b.Instance(17, "main", 5433, "/srv/pg", ("localhost", "192.0.2.7"), "de_DE.UTF-8", "/tls/c", "/tls/k")


def values(
    version: int = 17,
    environment: str = "production",
    libraries: tuple[str, ...] = b.DEFAULT_LIBRARIES,
    disk: int = 0,
) -> dict[str, str]:
    found = b.baseline(replace(INSTANCE, version=version), environment, libraries, 0.001, disk)
    return {setting.name: setting.value for setting in found}


def test_places_of_an_instance() -> None:
    assert INSTANCE.configuration_directory == "/etc/postgresql/17/main"
    assert INSTANCE.unit == "postgresql@17-main"


@pytest.mark.parametrize("environment", b.ENVIRONMENTS)
@pytest.mark.parametrize("version", range(14, 19))
def test_every_setting_is_known_explained_and_there_once(version: int, environment: str) -> None:
    found = b.baseline(replace(INSTANCE, version=version), environment, b.DEFAULT_LIBRARIES, 0.001, 100 * GB)
    for setting in found:
        assert setting.reason
        assert catalogue.complaint(version, setting.name, setting.value, b.DEFAULT_LIBRARIES) is None, setting
    names = [setting.name.lower() for setting in (*found, *tune(Resources(GB, 1), version=version))]
    assert len(set(names)) == len(names)


def test_the_instance_arrives() -> None:
    expected = {
        "data_directory": "/srv/pg",
        "hba_file": "/etc/postgresql/17/main/pg_hba.conf",
        "ident_file": "/etc/postgresql/17/main/pg_ident.conf",
        "external_pid_file": "/var/run/postgresql/17-main.pid",
        "cluster_name": "17/main",
        "listen_addresses": "localhost, 192.0.2.7",
        "port": "5433",
        "ssl_cert_file": "/tls/c",
        "ssl_key_file": "/tls/k",
        "log_directory": "/var/log/postgresql/17-main",
        "lc_time": "de_DE.UTF-8",
        "lc_messages": "C",
    }
    assert expected.items() <= values().items()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password_encryption", "scram-sha-256"),
        ("ssl", "on"),
        ("archive_mode", "on"),
        ("archive_command", "/bin/true"),
        ("wal_level", "replica"),
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("log_min_duration_sample", "0"),
        ("log_statement_sample_rate", "0.001"),
    ],
)
def test_contracts(name: str, value: str) -> None:
    assert values()[name] == value


@pytest.mark.parametrize(
    ("disk", "expected"),
    [(0, "4GB"), (GB, "1GB"), (9 * GB, "1GB"), (100 * GB, "20GB"), (104 * GB, "20GB"), (1000 * GB, "64GB")],
)
def test_slots_are_always_bounded(disk: int, expected: str) -> None:
    assert values(disk=disk)["max_slot_wal_keep_size"] == expected


@pytest.mark.parametrize(
    ("environment", "expected"), [("production", "1000ms"), ("staging", "100ms"), ("development", "100ms")]
)
def test_slow_statements(environment: str, expected: str) -> None:
    found = values(environment=environment)
    assert found["log_min_duration_statement"] == found["auto_explain.log_min_duration"] == expected


@pytest.mark.parametrize("version", range(14, 19))
def test_versions(version: int) -> None:
    found = values(version)
    assert found["log_destination"] == ("jsonlog" if version >= 15 else "csvlog")
    assert ("auto_explain.log_parameter_max_length" in found) is (version >= 16)


@pytest.mark.parametrize(
    ("libraries", "prefixes"),
    [
        ((), set()),
        (("pg_stat_statements",), {"pg_stat_statements"}),
        (("auto_explain", "pgaudit"), {"auto_explain"}),
    ],
)
def test_settings_come_with_their_library(libraries: tuple[str, ...], prefixes: set[str]) -> None:
    found = values(libraries=libraries)
    assert found["shared_preload_libraries"] == ", ".join(libraries)
    assert {name.split(".")[0] for name in found if "." in name} == prefixes
