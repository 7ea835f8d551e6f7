"""Fixtures over the hosts of this scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import testinfra

from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server


@dataclass(frozen=True)
class Pair:
    """A primary, and the host that drills its backups."""

    primary: Server
    driller: Any

    @property
    def name(self) -> str:
        return self.primary.name.replace("drill", "driller")


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest) -> Pair:
    primary = Server(request.param, testinfra.get_host(f"docker://{request.param}"))
    return Pair(primary, testinfra.get_host(f"docker://{request.param.replace('drill', 'driller')}"))


@pytest.fixture
def store() -> Any:
    return testinfra.get_host("docker://pgstead-drill-store")
