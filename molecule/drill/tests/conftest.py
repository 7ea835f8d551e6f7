"""Fixtures over the hosts of this scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import testinfra

from ansible_collections.pgstead.ops.molecule.shared.failures import pytest_runtest_makereport  # noqa: F401 - a hook
from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server


@dataclass(frozen=True)
class Pair:
    """A primary, and the host that drills its backups."""

    primary: Server
    driller: Any

    @property
    def versioned(self) -> bool:
        """Whether it has a repository in the store that keeps versions."""
        return self.primary.name.endswith("trixie")

    @property
    def name(self) -> str:
        return self.primary.name.replace("drill", "driller")


def pair_of(name: str) -> Pair:
    """Return a primary, by name, and its drill host."""
    primary = Server(name, testinfra.get_host(f"docker://{name}"))
    return Pair(primary, testinfra.get_host(f"docker://{name.replace('drill', 'driller')}"))


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return pair_of(request.param)


@pytest.fixture
def versioned() -> Pair:
    """Return the pair that has a repository in the store that keeps versions."""
    return next(found for found in map(pair_of, VERSIONS) if found.versioned)


@pytest.fixture
def store() -> Any:
    return testinfra.get_host("docker://pgstead-drill-store")
