# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that follow from decisions, not from the host's size: paths, TLS, WAL, logging, statistics."""

from __future__ import annotations

from dataclasses import dataclass

from .tuning import Setting
from .units import GB, format_size

ENVIRONMENTS = ("development", "staging", "production")
# The systems this replaces called a statement slow from here on.
SLOW_STATEMENT_MS = {"production": 1000, "staging": 100, "development": 100}
DEFAULT_LIBRARIES = ("pg_stat_statements", "auto_explain")


@dataclass(frozen=True)
class Instance:
    """Where a cluster lives on its host and how it is reached."""

    version: int
    name: str
    port: int
    data_directory: str
    listen_addresses: tuple[str, ...]
    locale: str
    tls_certificate: str
    tls_key: str

    @property
    def configuration_directory(self) -> str:
        return f"/etc/postgresql/{self.version}/{self.name}"

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.name}"


def baseline(
    instance: Instance, environment: str, libraries: tuple[str, ...], sample_rate: float, disk_bytes: int
) -> tuple[Setting, ...]:
    """Return the settings every pgstead server has, in the order they are written."""
    return (
        *_place(instance),
        *_security(instance),
        *_wal(disk_bytes),
        *_logging(instance, environment, sample_rate),
        *_statistics(instance.version, environment, libraries),
        *_locale(instance.locale),
    )


def _rows(source: str, rows: tuple[tuple[str, str, str], ...]) -> tuple[Setting, ...]:
    return tuple(Setting(name, value, reason, source) for name, value, reason in rows)


def _place(instance: Instance) -> tuple[Setting, ...]:
    directory = instance.configuration_directory
    return _rows(
        "instance",
        (
            ("data_directory", instance.data_directory, "postgresql_data_directory"),
            ("hba_file", f"{directory}/pg_hba.conf", "rendered beside this file"),
            ("ident_file", f"{directory}/pg_ident.conf", "rendered beside this file"),
            ("external_pid_file", f"/var/run/postgresql/{instance.version}-{instance.name}.pid", "Debian's place"),
            ("cluster_name", f"{instance.version}/{instance.name}", "shown in the process list"),
            ("listen_addresses", ", ".join(instance.listen_addresses), "postgresql_listen_addresses"),
            ("port", str(instance.port), "postgresql_port"),
            ("unix_socket_directories", "/var/run/postgresql", "Debian's place; local jobs and PgBouncer use it"),
        ),
    )


def _security(instance: Instance) -> tuple[Setting, ...]:
    return _rows(
        "security",
        (
            ("password_encryption", "scram-sha-256", "the only password method that pg_hba.conf accepts"),
            ("ssl", "on", "pg_hba.conf has no line for remote clients without TLS"),
            ("ssl_cert_file", instance.tls_certificate, "given or self-signed, renewed before it expires"),
            ("ssl_key_file", instance.tls_key, "readable by group ssl-cert only"),
            ("ssl_min_protocol_version", "TLSv1.2", "older protocols are broken"),
            ("row_security", "on", "policies apply unless a role is exempt"),
        ),
    )


def _wal(disk_bytes: int) -> tuple[Setting, ...]:
    keep = max(1 * GB, min(64 * GB, disk_bytes // 5 // GB * GB)) if disk_bytes else 4 * GB
    return _rows(
        "wal",
        (
            ("wal_level", "replica", "archiving and physical replication need it"),
            ("archive_mode", "on", "always: turning it on later would need a restart"),
            ("archive_command", "/bin/true", "no backup repository is declared yet: segments are not kept"),
            ("max_wal_senders", "10", "replicas and base backups; raising it later would need a restart"),
            ("max_replication_slots", "10", "as many as senders"),
            ("max_slot_wal_keep_size", format_size(keep), "a dead replica's slot must never fill the disk (20% of it)"),
            ("wal_log_hints", "on", "pg_rewind can repair a diverged old primary"),
            ("hot_standby", "on", "a replica answers queries"),
        ),
    )


def _logging(instance: Instance, environment: str, sample_rate: float) -> tuple[Setting, ...]:
    slow = SLOW_STATEMENT_MS[environment]
    structured = "jsonlog" if instance.version >= 15 else "csvlog"
    return _rows(
        "logging",
        (
            ("logging_collector", "on", "structured files need the collector"),
            ("log_destination", structured, "one parseable record a line"),
            ("log_directory", f"/var/log/postgresql/{instance.version}-{instance.name}", "a directory of its own"),
            ("log_filename", "postgresql-%d.log", "one file for each day of the month, overwritten a month later"),
            ("log_file_mode", "0640", "group adm may read"),
            ("log_rotation_age", "1d", "daily"),
            ("log_rotation_size", "0", "by day only, so that a day's file is whole"),
            ("log_truncate_on_rotation", "on", "bounds the directory to a month"),
            ("log_line_prefix", "%m [%p] %q%u@%d/%a ", "for the few lines written before the collector runs"),
            ("log_timezone", "Etc/UTC", "hosts in several zones compare"),
            ("log_checkpoints", "on", "cause and cost of each checkpoint"),
            ("log_connections", "on", "who came, how"),
            ("log_disconnections", "on", "and how long they stayed"),
            ("log_lock_waits", "on", "waits longer than deadlock_timeout name their blocker"),
            ("deadlock_timeout", "1s", "also the threshold of log_lock_waits"),
            ("log_temp_files", "10MB", "what spilled from work_mem"),
            ("log_autovacuum_min_duration", "1s", "what autovacuum did and what it cost"),
            ("log_min_duration_statement", f"{slow}ms", f"slow in {environment}"),
            ("log_min_duration_sample", "0", "every statement may be sampled, so percentiles are honest"),
            ("log_statement_sample_rate", f"{sample_rate:g}", "postgresql_statement_sample_rate"),
            ("log_parameter_max_length", "0", "parameter values are personal data: never logged"),
            ("log_parameter_max_length_on_error", "0", "nor on error"),
        ),
    )


def _statistics(version: int, environment: str, libraries: tuple[str, ...]) -> tuple[Setting, ...]:
    rows = [
        ("shared_preload_libraries", ", ".join(libraries), "postgresql_preload_libraries"),
        ("compute_query_id", "on", "joins log lines, activity and pg_stat_statements"),
        ("track_io_timing", "on", "where time goes; cheap on hosts with a good clock"),
        ("track_functions", "pl", "procedural functions show up in statistics"),
        ("track_activity_query_size", "4kB", "long statements are readable in pg_stat_activity"),
    ]
    if "pg_stat_statements" in libraries:
        rows += [
            ("pg_stat_statements.max", "10000", "room for an ORM's many shapes"),
            ("pg_stat_statements.track", "top", "what clients sent"),
        ]
    if "auto_explain" in libraries:
        rows += [
            (
                "auto_explain.log_min_duration",
                f"{SLOW_STATEMENT_MS[environment]}ms",
                "the plan of every slow statement",
            ),
            ("auto_explain.log_nested_statements", "on", "also inside functions"),
        ]
        if version >= 16:
            rows.append(("auto_explain.log_parameter_max_length", "0", "parameter values are never logged"))
    return _rows("statistics", tuple(rows))


def _locale(locale: str) -> tuple[Setting, ...]:
    return _rows(
        "locale",
        (
            ("timezone", "Etc/UTC", "one zone on every server; sessions choose their own"),
            ("datestyle", "iso, mdy", "PostgreSQL's own default, written down"),
            ("lc_messages", "C", "log lines that tools and people can search for"),
            ("lc_monetary", locale, "postgresql_locale"),
            ("lc_numeric", locale, "postgresql_locale"),
            ("lc_time", locale, "postgresql_locale"),
            ("default_text_search_config", "pg_catalog.english", "initdb's choice, written down"),
        ),
    )
