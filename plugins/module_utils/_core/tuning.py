# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings computed from a host's resources: one pure function, a reason for every value, and the memory budget.

Sources of the formulas: PostgreSQL's documentation ("Resource Consumption", "WAL Configuration"), PGTune's and
timescaledb-tune's published rules, and the measurements in docs/tuning.md. All sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .units import GB, MB, format_size, human_size, parse_count, parse_size

PROFILES = ("oltp", "analytics", "mixed", "development")
STORAGES = ("ssd", "hdd", "network")
BUDGET_SHARE = 0.8  # of memory; the rest is the kernel's, the page cache's and the pooler's
# A hash that does not fit is written to disk and read back, and its planner turns to sorting instead (docs/tuning.md).
HASH_MEM_MULTIPLIER = 8


@dataclass(frozen=True)
class Resources:
    """What a server may use: memory is the smaller of host and cgroup limit."""

    memory_bytes: int
    cpus: int
    storage: str = "ssd"
    data_disk_bytes: int = 0


@dataclass(frozen=True)
class Setting:
    """One line of postgresql.conf: value without quotes, and why it is so."""

    name: str
    value: str
    reason: str
    source: str = "profile"


@dataclass(frozen=True)
class Profile:
    """What distinguishes a profile; `nodes` is how many work_mem areas a connection may use at once."""

    connections: int
    nodes: float
    shared_share: float
    checkpoint_minutes: int
    max_wal: int
    statistics_target: int
    parallel_share: float


_PROFILES = {
    "oltp": Profile(150, 1.0, 0.25, 15, 16 * GB, 100, 0.5),
    "analytics": Profile(50, 2.0, 0.25, 30, 32 * GB, 500, 1.0),
    "mixed": Profile(100, 1.5, 0.25, 15, 16 * GB, 200, 0.5),
    "development": Profile(50, 1.0, 0.125, 5, 1 * GB, 100, 0.5),
}


@dataclass(frozen=True)
class Budget:
    """Memory that a configuration plans with, in bytes, against what may be used (docs/tuning.md has the limits)."""

    shared: int
    work: int
    maintenance: int
    allowed: int
    memory: int

    @property
    def total(self) -> int:
        return self.shared + self.work + self.maintenance

    def complaint(self) -> str | None:
        """Say by how much the budget is broken and what to change, or return None."""
        if self.total <= self.allowed:
            return None
        return (
            f"shared memory {human_size(self.shared)} + work_mem of all connections {human_size(self.work)} + "
            f"maintenance {human_size(self.maintenance)} = {human_size(self.total)}, more than "
            f"{BUDGET_SHARE:.0%} of {human_size(self.memory)} ({human_size(self.allowed)}): lower shared_buffers, "
            "work_mem, max_connections or maintenance_work_mem, or give the host more memory"
        )


def budget(values: Mapping[str, str], resources: Resources, profile: str) -> Budget:
    """Return the budget of settings by name (those absent count with PostgreSQL's defaults).

    SB + wal_buffers + work_mem × (connections × nodes + processors × (hash_mem_multiplier - 1)) + (autovacuum workers
    × autovacuum_work_mem + one maintenance_work_mem) ≤ 0.8 × memory: every connection has its areas, and as many
    hashes as there are processors are at their full size.
    """

    def size(name: str, default: str, unit: str) -> int:
        return parse_size(values.get(name, default), unit)

    maintenance = size("maintenance_work_mem", "64MB", "kB")
    vacuum = values.get("autovacuum_work_mem", "-1")
    vacuum_each = maintenance if vacuum == "-1" else parse_size(vacuum, "kB")
    connections = parse_count(values.get("max_connections", "100"))
    wal = values.get("wal_buffers", "-1")
    areas = _areas(connections, _PROFILES[profile], resources, float(values.get("hash_mem_multiplier", "2")))
    return Budget(
        shared=size("shared_buffers", "128MB", "8kB") + (16 * MB if wal == "-1" else parse_size(wal, "8kB")),
        work=int(size("work_mem", "4MB", "kB") * areas),
        maintenance=maintenance + parse_count(values.get("autovacuum_max_workers", "3")) * vacuum_each,
        allowed=int(resources.memory_bytes * BUDGET_SHARE),
        memory=resources.memory_bytes,
    )


def tune(
    resources: Resources, profile: str = "oltp", version: int = 17, connections: int | None = None
) -> tuple[Setting, ...]:
    """Return the settings that depend on the host, in the order they are written to postgresql.conf.

    `connections` overrides the profile's max_connections. Raises ValueError for an unknown profile or storage,
    and for a host or connections below 1.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: use one of {', '.join(PROFILES)}")
    if resources.storage not in STORAGES:
        raise ValueError(f"unknown storage {resources.storage!r}: use one of {', '.join(STORAGES)}")
    if resources.memory_bytes < 1 or resources.cpus < 1 or resources.data_disk_bytes < 0:
        raise ValueError("memory and processors must be above 0, the disk's size 0 (unknown) or more")
    if connections is not None and connections < 1:
        raise ValueError(f"{connections} connections are too few: at least 1")
    shape = _PROFILES[profile]
    return (
        *_memory(resources, shape, profile, connections or shape.connections, connections is not None),
        *_wal(resources, shape, version),
        *_planner(resources, shape, version),
        *_workers(resources, shape, profile),
        *_autovacuum(resources),
    )


def _areas(connections: int, shape: Profile, resources: Resources, multiplier: float) -> float:
    """Return how many areas of work_mem are planned for at once."""
    return connections * shape.nodes + resources.cpus * max(0.0, multiplier - 1)


def _floor(size: float, step: int, low: int, high: int) -> int:
    return max(low, min(high, int(size) // step * step))


def _memory(resources: Resources, shape: Profile, profile: str, connections: int, given: bool) -> tuple[Setting, ...]:
    memory = resources.memory_bytes
    ram = human_size(memory)
    shared = _floor(memory * shape.shared_share, 16 * MB, 32 * MB, 64 * GB)
    maintenance = _floor(memory / 16, 16 * MB, 16 * MB, 2 * GB)
    vacuum = _floor(memory / 64, 16 * MB, 16 * MB, 1 * GB)
    fixed = shared + 16 * MB + maintenance + vacuum_workers(resources) * vacuum
    left = memory * BUDGET_SHARE - fixed
    areas = _areas(connections, shape, resources, HASH_MEM_MULTIPLIER)
    share = left / areas
    work = _floor(share, MB if share >= MB else 64 * 1024, 64 * 1024, 1 * GB)
    return (
        Setting(
            "max_connections",
            str(connections),
            "postgresql_max_connections" if given else f"the {profile} profile; clients beyond it wait in PgBouncer",
        ),
        Setting(
            "shared_buffers",
            format_size(shared),
            f"{shape.shared_share:.1%} of {ram}, at most 64 GB: the page cache has the rest",
        ),
        Setting(
            "effective_cache_size",
            format_size(_floor(memory * 0.75, 16 * MB, 64 * MB, 1024 * GB)),
            f"75% of {ram}: what the planner may assume cached, here and in the page cache",
        ),
        Setting(
            "work_mem",
            format_size(work),
            f"({BUDGET_SHARE:.0%} of {ram} - {human_size(fixed)} shared and maintenance) / "
            f"{areas:g} areas: {connections} connections x {shape.nodes:g} sorts or hashes, and one hash of "
            "hash_mem_multiplier's size for each processor; at most 1 GB",
        ),
        Setting(
            "hash_mem_multiplier",
            str(HASH_MEM_MULTIPLIER),
            "a hash that spills costs more than a sort that spills; counted in the memory budget",
        ),
        Setting(
            "maintenance_work_mem", format_size(maintenance), f"1/16 of {ram}, at most 2 GB: index builds, VALIDATE"
        ),
        Setting("autovacuum_work_mem", format_size(vacuum), f"1/64 of {ram} for each autovacuum worker"),
        Setting("huge_pages", "try", "used when the kernel has them reserved (vm.nr_hugepages, see sysctl.d)"),
    )


def _wal(resources: Resources, shape: Profile, version: int) -> tuple[Setting, ...]:
    disk = resources.data_disk_bytes
    ceiling = disk // 10 if disk else 4 * GB
    max_wal = _floor(min(shape.max_wal, ceiling), 64 * MB, 256 * MB, shape.max_wal)
    min_wal = _floor(max_wal / 8, 16 * MB, 80 * MB, 4 * GB)
    where = f"10% of the data disk ({human_size(disk)})" if disk else "4.0 GB (the disk's size is unknown)"
    return (
        Setting(
            "max_wal_size",
            format_size(max_wal),
            f"the smaller of {human_size(shape.max_wal)} and {where}: fewer forced checkpoints, fewer full-page images",
        ),
        Setting("min_wal_size", format_size(min_wal), "an eighth of max_wal_size is kept for reuse"),
        Setting(
            "checkpoint_timeout",
            f"{shape.checkpoint_minutes}min",
            "each page is written whole to WAL once a checkpoint; longer is less WAL, and longer crash recovery",
        ),
        Setting("checkpoint_completion_target", "0.9", "spread a checkpoint's writes over the interval"),
        Setting(
            "wal_compression",
            "lz4" if version >= 15 else "on",
            "full-page images compress well, and lz4 costs little" if version >= 15 else "lz4 needs PostgreSQL 15",
        ),
        Setting("wal_buffers", "16MB", "one WAL segment: what a burst of commits needs at most"),
    )


def _planner(resources: Resources, shape: Profile, version: int) -> tuple[Setting, ...]:
    spinning = resources.storage == "hdd"
    depth = {"hdd": 2, "ssd": 200, "network": 100}[resources.storage]
    settings = [
        Setting(
            "random_page_cost",
            "4.0" if spinning else "1.1",
            f"{resources.storage}: a random read costs "
            + ("a seek" if spinning else "about what a sequential one does"),
        ),
        Setting("effective_io_concurrency", str(depth), f"requests that {resources.storage} storage serves at once"),
        Setting(
            "maintenance_io_concurrency", str(min(depth, 100)), "the same for VACUUM, ANALYZE and recovery prefetching"
        ),
        Setting(
            "parallel_setup_cost", "2000", "a worker is started for each query anew: short ones stay in one process"
        ),
        Setting(
            "parallel_tuple_cost",
            "0.001",
            "a worker hands a row over while it computes the next: large results too are shared out",
        ),
        Setting(
            "default_statistics_target",
            str(shape.statistics_target),
            "rows sampled per column: more where plans are large and few",
        ),
        Setting(
            "jit",
            "on" if shape.parallel_share >= 1 else "off",
            "compiling pays for long scans"
            if shape.parallel_share >= 1
            else "compiling costs more than short queries gain",
        ),
    ]
    if version >= 18:
        settings.append(Setting("io_method", "worker", "asynchronous reads without special kernel rights"))
    return tuple(settings)


def _workers(resources: Resources, shape: Profile, profile: str) -> tuple[Setting, ...]:
    cpus = resources.cpus
    # PostgreSQL's own defaults are 2 and 2, and the leader works too: with 2 processors a third process only makes the
    # others wait (docs/tuning.md, "Measured"); with more, fewer workers would make a lone query slower than untuned
    beside = cpus - 1
    query = min(max(2, round(cpus * shape.parallel_share)), beside, 8)
    build = min(max(2, cpus // 2), beside, 8)
    return (
        Setting("max_worker_processes", str(max(8, cpus * 2)), "parallel workers and extensions' own, at least 8"),
        Setting("max_parallel_workers", str(max(2, cpus)), f"the host has {cpus} processors"),
        Setting(
            "max_parallel_workers_per_gather",
            str(query),
            f"{shape.parallel_share:.0%} of the processors for one query of the {profile} profile, at least 2; no more "
            f"than the {beside} beside its leader",
        ),
        Setting(
            "max_parallel_maintenance_workers",
            str(build),
            f"half of the processors for one index build, 2 to 8; no more than the {beside} beside its leader",
        ),
    )


def vacuum_workers(resources: Resources) -> int:
    """Return autovacuum_max_workers: 3, one more for each 8 processors, at most 8."""
    return min(8, 3 + resources.cpus // 8)


def _autovacuum(resources: Resources) -> tuple[Setting, ...]:
    limit = 300 if resources.storage == "hdd" else 2000
    return (
        Setting("autovacuum_max_workers", str(vacuum_workers(resources)), "3, and one more for each 8 processors"),
        Setting(
            "autovacuum_vacuum_scale_factor", "0.05", "vacuum after 5% dead rows: short runs instead of rare long ones"
        ),
        Setting("autovacuum_analyze_scale_factor", "0.02", "fresh statistics after 2% changed rows"),
        Setting(
            "autovacuum_vacuum_insert_scale_factor", "0.1", "insert-only tables get visibility maps and freezing early"
        ),
        Setting(
            "autovacuum_vacuum_cost_limit", str(limit), f"{resources.storage} storage keeps up with a quicker vacuum"
        ),
    )
