"""Fixtures over the hosts of this scenario."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import testinfra

from ansible_collections.pgstead.ops.molecule.shared.failures import pytest_runtest_makereport  # noqa: F401 - a hook
from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server, servers


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Server:
    return Server(request.param, testinfra.get_host(f"docker://{request.param}"))


@pytest.fixture
def both() -> list[Server]:
    return servers()


@pytest.fixture
def store() -> testinfra.host.Host:
    return testinfra.get_host("docker://pgstead-backup-store")


@pytest.fixture
def spoiled(server: Server) -> Iterator[str]:
    """Give a copy of the jobs' configuration that a test may spoil."""
    path = "/etc/pgstead/spoiled.json"
    server.host.check_output(f"cp /etc/pgstead/agent.json {path}")
    yield path
    server.host.check_output(f"rm -f {path}")
