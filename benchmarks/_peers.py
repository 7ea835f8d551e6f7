"""The four configurations that are compared: Debian's default, PGTune's and Pigsty's formulas, and this collection's.

PGTune and Pigsty are reimplemented from their published formulas (PGTune for "oltp" on SSD, Pigsty's oltp template),
each with the max_connections it recommends, because work_mem follows from it. Left out everywhere: logging,
statistics collection, preloaded libraries, replication slots. They cost something, but they are not what is compared
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, floor

from _common import GB, KB, MB, BenchmarkError, use_collection


@dataclass(frozen=True)
class Host:
    """What the formulas are computed from."""

    memory_bytes: int
    cpus: int
    disk_bytes: int


@dataclass(frozen=True)
class Configuration:
    """A named set of settings; every setting not named keeps PostgreSQL's default. The environment is the server's."""

    name: str
    settings: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)


def debian() -> Configuration:
    """What `apt install postgresql-17` gives."""
    return Configuration("debian", {})


def pgtune(host: Host, connections: int = 300) -> Configuration:
    """PGTune, database type "oltp", SSD."""
    shared = host.memory_bytes // 4
    workers = host.cpus if host.cpus >= 4 else 8
    work = max((host.memory_bytes - shared) // ((connections + workers) * 3), 4 * MB)
    settings = {
        "max_connections": str(connections),
        "shared_buffers": f"{shared // KB}kB",
        "effective_cache_size": f"{host.memory_bytes * 3 // 4 // KB}kB",
        "maintenance_work_mem": f"{min(host.memory_bytes // 16, 8 * GB) // KB}kB",
        "work_mem": f"{work // KB}kB",
        "huge_pages": "try" if shared >= 2 * GB else "off",
        "min_wal_size": "2GB",
        "max_wal_size": "8GB",
        "checkpoint_completion_target": "0.9",
        "wal_buffers": "16MB",
        "wal_compression": "lz4",
        "default_statistics_target": "100",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "jit": "off",
    }
    if host.cpus >= 4:
        half = str(min(ceil(host.cpus / 2), 4))
        settings |= {
            "max_worker_processes": str(host.cpus),
            "max_parallel_workers": str(host.cpus),
            "max_parallel_workers_per_gather": half,
            "max_parallel_maintenance_workers": half,
        }
    return Configuration("pgtune", settings)


def pigsty(host: Host, connections: int = 500) -> Configuration:
    """Pigsty's oltp template on SSD, behind its PgBouncer (500 connections)."""
    shared_mb = ceil(host.memory_bytes / MB / 4)
    twentieth = min(max(ceil(host.disk_bytes / (20 * GB)), 1), 100)
    return Configuration(
        "pigsty",
        {
            "max_connections": str(connections),
            "shared_buffers": f"{shared_mb}MB",
            "effective_cache_size": f"{host.memory_bytes // MB - shared_mb}MB",
            "maintenance_work_mem": f"{ceil(shared_mb / 4)}MB",
            "work_mem": f"{min(max(floor(shared_mb / connections), 64), 1024)}MB",
            "hash_mem_multiplier": "8.0",
            "huge_pages": "try",
            "max_worker_processes": str(max(host.cpus + 8, 16) + 8),
            "max_parallel_workers": str(max(ceil(host.cpus / 2), 2)),
            "max_parallel_workers_per_gather": str(min(max(floor(host.cpus / 5), 2), 8)),
            "max_parallel_maintenance_workers": str(max(ceil(host.cpus / 3), 2)),
            "parallel_setup_cost": "2000",
            "parallel_tuple_cost": "0.2",
            "min_parallel_table_scan_size": "16MB",
            "min_parallel_index_scan_size": "1024",
            "min_wal_size": f"{twentieth}GB",
            "max_wal_size": f"{twentieth * 4}GB",
            "wal_buffers": "16MB",
            "wal_level": "logical",
            "wal_log_hints": "on",
            "wal_writer_delay": "20ms",
            "wal_writer_flush_after": "1MB",
            "commit_delay": "20",
            "commit_siblings": "10",
            "checkpoint_timeout": "15min",
            "checkpoint_completion_target": "0.80",
            "bgwriter_delay": "10ms",
            "bgwriter_lru_maxpages": "800",
            "bgwriter_lru_multiplier": "5.0",
            "vacuum_cost_delay": "20ms",
            "vacuum_cost_limit": "2000",
            "random_page_cost": "1.1",
            "effective_io_concurrency": "200",
            "maintenance_io_concurrency": "100",
            "default_statistics_target": "400",
            "autovacuum_vacuum_scale_factor": "0.08",
            "autovacuum_analyze_scale_factor": "0.04",
        },
    )


def ours(host: Host, version: int = 17) -> Configuration:
    """This collection's oltp profile for a major of PostgreSQL, computed by the function the role uses."""
    use_collection()
    try:
        from ansible_collections.pgstead.ops.plugins.module_utils._core.tuning import Resources, tune
    except ImportError as error:
        raise BenchmarkError(f"cannot import the collection's tuning function: {error}") from error
    resources = Resources(
        memory_bytes=host.memory_bytes, cpus=host.cpus, storage="ssd", data_disk_bytes=host.disk_bytes
    )
    return Configuration(
        "pgstead", {setting.name: setting.value for setting in tune(resources, profile="oltp", version=version)}
    )


def configurations(host: Host) -> list[Configuration]:
    """The four of them, in the order of the table."""
    return [debian(), pgtune(host), pigsty(host), ours(host)]
